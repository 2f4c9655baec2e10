/* Whether a request is among those that the store's buckets remember (FindRequest). */
#include "actor/activation.h"
#include "base/mark.h"

struct find {
    struct actors *actors;
    struct kelpie_actor *act; /* held; NULL: nobody waits */
    struct invocation *inv;
    struct find_args args;
    char type[ACTOR_TYPE_MAX + 1];
    char id[ACTOR_ID_MAX + 1];
    struct txn txn;
};

static void detach(struct find *f)
{
    struct kelpie_actor *act = f->act;

    f->inv->find = NULL;
    f->inv = NULL;
    f->act = NULL;
    act->finds--;
    act_release(act);
}

static void take(struct invocation *inv, const struct find_args *args)
{
    const struct remembered_record *r = &args->record;

    inv->looked = true;
    inv->found = args->found;
    if (!args->found)
        return;
    SOMETIMES("repeat-answered-from-the-store");
    inv->found_status = r->status;
    inv->found_reply_kept = r->reply_kept;
    inv->found_fingerprint = r->fingerprint;
    buf_clear(&inv->reply);
    buf_append_bytes(&inv->reply, r->reply);
}

static void on_found(struct txn *txn, int status)
{
    struct find *f = txn->arg;
    struct actors *a = f->actors;
    struct kelpie_actor *act = f->act;

    a->finds--;
    if (act) {
        struct invocation *inv = f->inv;
        act_hold(act);
        detach(f);
        if (status == 0) {
            take(inv, &f->args);
            act_saw(a, (struct act_sight){SEEN_LOOKED, .act = act, .inv = inv});
            gate_go_on(act);
        } else {
            list_remove(&inv->link);
            act->mailbox_count--;
            if (status != KELPIE_E_STORE_CORRUPT && status != KELPIE_E_STORE_NEWER)
                status = KELPIE_E_UNAVAILABLE;
            act_answer(act, inv, invocation_refusal(inv, status), bytes_of_str(txn->reason));
            gate_go_on(act);
        }
        act_release(act);
    }
    mem_free(a->env->mem, f);
}

void find_start(struct kelpie_actor *act, struct invocation *inv, const uint64_t *buckets,
                size_t count)
{
    struct actors *a = act->actors;
    struct find *f = MEM_NEW(a->env->mem, struct find);

    CHECK(!inv->find && count <= HEAD_BUCKETS_MAX);
    f->actors = a;
    f->act = act;
    f->inv = inv;
    memcpy(f->type, inv->type, sizeof f->type);
    memcpy(f->id, inv->id, sizeof f->id);
    f->args = (struct find_args){
        .ref = {.ks = a->ks, .type = f->type, .id = f->id},
        .hash = inv->hash,
        .bucket_count = count,
    };
    memcpy(f->args.buckets, buckets, count * sizeof *buckets);
    inv->find = f;
    act->finds++;
    a->finds++;
    act_hold(act);
    find_txn(&f->txn, a->env, &f->args, on_found, f);
    f->txn.fail_fast = true;
    txn_start(&f->txn);
}

void find_leave(struct invocation *inv)
{
    struct find *f = inv->find;

    if (!f)
        return;
    detach(f);
    txn_cancel(&f->txn);
}

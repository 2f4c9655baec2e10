/* The rules of an activation: Activate and CommitWrite of the specification. */
#include "registry/rules_actor.h"

#include "base/mark.h"
#include "base/mutant.h"
#include "kelpie/error.h"

#define READ_PLACEMENT 0

static enum verdict corrupt_placement(struct rule_ctx *ctx, int error, const struct actor_ref *ref)
{
    struct key key = key_actor(ref->ks, ref->type, ref->id);

    return rule_corrupt(ctx, error, key_bytes(&key));
}

static enum verdict refuse_placement(struct rule_ctx *ctx, const struct placement_record *p)
{
    if (!p->placed)
        return rule_refuse(ctx, "the actor is placed nowhere (generation %llu)",
                           (unsigned long long)p->generation);
    return rule_refuse(ctx, "the actor is placed on node %s in generation %llu", p->node_id,
                       (unsigned long long)p->generation);
}

/* Spec: Activate. */
enum verdict rule_load_actor(struct rule_ctx *ctx, void *arg)
{
    struct load_args *a = arg;
    int error = placement_read(ctx, READ_PLACEMENT, &a->ref, &a->placement);

    if (error)
        return corrupt_placement(ctx, error, &a->ref);
    if (!placement_is_on(&a->placement, &a->self) && !MUTANT("loadany")) {
        SOMETIMES("load-not-placed-here");
        a->outcome = PLACE_NOT_MINE;
        return refuse_placement(ctx, &a->placement);
    }
    a->outcome = PLACE_FOUND;
    return RULE_DONE;
}

void load_txn(struct txn *t, const struct env *env, struct load_args *args, txn_fn *done, void *arg)
{
    struct key placement = key_actor(args->ref.ks, args->ref.type, args->ref.id);
    struct key_range state = keys_state(args->ref.ks, args->ref.type, args->ref.id);

    args->outcome = PLACE_UNDECIDED;
    txn_init(t, env, "Activate", rule_load_actor, args, done, arg);
    CHECK(txn_read(t, key_bytes(&placement), false) == READ_PLACEMENT);
    CHECK(txn_read_range(t, key_bytes(&state.begin), key_bytes(&state.end), LOAD_ROWS_MAX, false) ==
          LOAD_READ_STATE);
}

#define COMMIT_READ_SLOT 1

static void write_state(struct rule_ctx *ctx, const struct commit_args *a)
{
    struct buf value;

    buf_init(&value, ctx->txn->env->mem);
    for (size_t i = 0; i < a->write_count; i++) {
        const struct state_write *w = &a->writes[i];
        struct key key = key_state(a->ref.ks, a->ref.type, a->ref.id, w->key);
        struct state_record row = {.value = w->value};

        if (!w->present) {
            if (!MUTANT("undeleted"))
                rule_delete(ctx, key_bytes(&key));
            continue;
        }
        state_record_encode(&row, key_bytes(&key), &value);
        rule_put(ctx, key_bytes(&key), buf_bytes(&value));
    }
    buf_deinit(&value);
}

/*
 * Spec: CommitWrite. The placement is the fence; the request's slot is what attempts of one commit
 * exclude each other by, and what tells our own earlier commit: request id, generation and
 * sequence. A slot with as high a sequence that is not ours was written by an activation that knew
 * more than this one, which the fence would refuse too; it is refused here as a second line.
 */
enum verdict rule_commit_actor(struct rule_ctx *ctx, void *arg)
{
    struct commit_args *a = arg;
    struct key slot_key = key_request_slot(a->ref.ks, a->ref.type, a->ref.id, a->slot);
    struct placement_record p;
    struct request_record slot;
    struct bytes value;
    bool has_slot = rule_row(ctx->txn, COMMIT_READ_SLOT, &value);
    int error = placement_read(ctx, READ_PLACEMENT, &a->ref, &p);

    if (error)
        return corrupt_placement(ctx, error, &a->ref);
    if (has_slot) {
        error = request_record_decode(key_bytes(&slot_key), value, ctx->scratch, &slot);
        if (error)
            return rule_corrupt(ctx, error, key_bytes(&slot_key));
        if (slot.sequence == a->request.sequence && slot.generation == a->generation &&
            strcmp(slot.request_id, a->request.request_id) == 0) {
            SOMETIMES("commit-recognised-as-done");
            a->outcome = PLACE_MADE;
            return RULE_DONE;
        }
    }
    if (!MUTANT("nofence")) {
        a->outcome = PLACE_NOT_MINE;
        if (!placement_is_on(&p, &a->self) ||
            (p.generation != a->generation && !MUTANT("fencenode"))) {
            SOMETIMES("commit-fenced");
            return refuse_placement(ctx, &p);
        }
        if (has_slot && slot.sequence >= a->request.sequence && !MUTANT("fencenode"))
            return rule_refuse(ctx, "the actor's commit %llu was made by another activation",
                               (unsigned long long)a->request.sequence);
    }
    a->outcome = PLACE_MADE;
    write_state(ctx, a);
    {
        struct buf row;

        buf_init(&row, ctx->txn->env->mem);
        request_record_encode(&a->request, key_bytes(&slot_key), &row);
        rule_put(ctx, key_bytes(&slot_key), buf_bytes(&row));
        buf_deinit(&row);
    }
    return RULE_COMMIT;
}

void commit_txn(struct txn *t, const struct env *env, struct commit_args *args, txn_fn *done,
                void *arg)
{
    struct key placement = key_actor(args->ref.ks, args->ref.type, args->ref.id);
    struct key slot = key_request_slot(args->ref.ks, args->ref.type, args->ref.id, args->slot);

    CHECK(args->generation > 0 && args->request.sequence > 0);
    args->outcome = PLACE_UNDECIDED;
    txn_init(t, env, "CommitWrite", rule_commit_actor, args, done, arg);
    /* The planted mistake: nothing that was read fences the commit, neither the placement nor the
     * slot, which an activation elsewhere writes too as soon as it commits that often. */
    CHECK(txn_read(t, key_bytes(&placement), MUTANT("nofence") || MUTANT("fencesnap")) ==
          READ_PLACEMENT);
    CHECK(txn_read(t, key_bytes(&slot), MUTANT("nofence")) == COMMIT_READ_SLOT);
}

static enum verdict rule_list(struct rule_ctx *ctx, void *arg)
{
    (void)ctx;
    (void)arg;
    return RULE_DONE;
}

void list_txn(struct txn *t, const struct env *env, const struct keyspace *ks,
              const struct host *host, uint32_t limit, txn_fn *done, void *arg)
{
    struct key_range range = keys_by_incarnation(ks, host->node_id, host->incarnation);

    txn_init(t, env, "ListPlacements", rule_list, NULL, done, arg);
    CHECK(txn_read_range(t, key_bytes(&range.begin), key_bytes(&range.end), limit, false) == 0);
}

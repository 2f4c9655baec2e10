/*
 * The output gate (docs/adr/0017-turns.md). While a commit is in flight, turns run on what the actor
 * is about to be; each is answered when the commits of all that it has seen have landed, those that
 * changed nothing too. What ran meanwhile is committed together next (spec: SendWrite, CommitWrite).
 */
#include "actor/activation.h"
#include "base/mark.h"
#include "base/mutant.h"

static void on_committed(struct txn *txn, int status);

bool gate_open(const struct kelpie_actor *act)
{
    if (act->open || (act->erasing && !MUTANT("eraseearly")))
        return false;
    if (act->state == ACT_IDLE)
        return true;
    return act->state == ACT_COMMITTING && act->alone == 0 &&
           act->pending_count < BATCH_TURNS_MAX &&
           act->pending_reply_bytes < BATCH_REPLY_BYTES_MAX &&
           act->pending_waiting_bytes < BATCH_WAITING_BYTES_MAX &&
           act->joined_count < BATCH_TURNS_MAX && act->joined_bytes < BATCH_WAITING_BYTES_MAX &&
           batch_cost_lets(&act->pending_cost, act->pending_count) &&
           act->values.unsaved_count < BATCH_CHANGES_MAX;
}

void gate_go_on(struct kelpie_actor *act)
{
    if (erase_is_over(act)) {
        act_run_later(act);
    } else if (act->open) {
        open_turn_go_on(act);
        if (read_ready(act))
            act_run_later(act);
    } else if (act->state == ACT_IDLE)
        act_go_on(act);
    else if (act->state == ACT_COMMITTING && act->mailbox_count > 0)
        act_run_later(act);
}

static void answer(struct kelpie_actor *act, struct invocation *inv)
{
    act_answer(act, inv, inv->status, buf_bytes(&inv->reply));
}

static size_t kept_len(const struct invocation *inv)
{
    return inv->reply.len <= REPLY_KEPT_MAX ? inv->reply.len : 0;
}

/* ---- a commit of what is pending */

/* With the replies behind them: their turns may have been answered when an attempt is repeated. */
static void take_requests(struct kelpie_actor *act, struct act_op *op, size_t reply_bytes)
{
    struct commit_args *args = &op->args.commit;
    struct commit_request *q;
    uint8_t *at;

    q = op->requests =
        mem_zalloc(act->actors->env->mem, 1, act->flying_count * sizeof *q + reply_bytes);
    at = (uint8_t *)(q + act->flying_count);
    LIST_FOREACH(l, &act->flying)
    {
        const struct invocation *inv = LIST_ENTRY(l, const struct invocation, link);
        struct remembered_record *r = &q->record;
        if (!inv->wrote || inv->kind == INVOKE_MESSAGE || (inv->is_send && MUTANT("sendanew")))
            continue;
        q->hash = inv->hash;
        memcpy(r->request_id, inv->request_id, sizeof r->request_id);
        r->generation = act->generation;
        r->fingerprint = inv->fingerprint;
        r->status = inv->status;
        r->reply_kept = inv->reply.len <= REPLY_KEPT_MAX;
        r->reply = bytes_of(at, kept_len(inv));
        if (r->reply.len)
            memcpy(at, inv->reply.data, r->reply.len);
        at += r->reply.len;
        q++;
    }
    args->requests = op->requests;
    args->request_count = (size_t)(q - op->requests);
}

/* The horizon must not pass a request that waits, if it is not behind it already. */
static uint64_t least_need_ms(const struct kelpie_actor *act)
{
    uint64_t now = env_now_ns(act->actors->env), least = UINT64_MAX;

    LIST_FOREACH(l, &act->mailbox)
    {
        const struct invocation *inv = LIST_ENTRY(l, const struct invocation, link);
        if (inv->kind != INVOKE_REQUEST)
            continue;
        uint64_t need = remember_need_ms(&act->memory, invocation_age_ms(act, inv), now);
        if (need < least && need >= act->memory.head.horizon_ms && !MUTANT("nohorizonwait"))
            least = need;
    }
    return least;
}

static void plan(struct kelpie_actor *act, struct act_op *op, size_t reply_bytes)
{
    struct commit_args *args = &op->args.commit;
    struct head_record *h;

    remember_plan(&act->memory, act->generation, args->request_count, reply_bytes,
                  least_need_ms(act), env_now_ns(act->actors->env), &op->plan);
    h = &op->plan.head;
    h->rows = act->values.keys;
    h->sum = act->values.sum;
    h->class_version = act->class->version;
    h->sent = op->sent_number;
    h->expire_ms = act->class->expire_after_ms;
    for (size_t i = 0; i < args->request_count; i++)
        op->requests[i].record.number = h->number;
    args->head = *h;
    args->forgotten = op->plan.forgotten;
    args->forgotten_count = op->plan.forgotten_count;
    args->forget_slots = op->plan.forget_slots;
}

static void fly_pending(struct kelpie_actor *act)
{
    struct list *l;

    CHECK(list_empty(&act->flying));
    while ((l = list_pop(&act->pending)))
        list_append(&act->flying, l);
    act->flying_count = act->pending_count;
    act->joined_count = act->joined_bytes = 0;
    act->pending_count = act->pending_reply_bytes = act->pending_waiting_bytes = 0;
    act->pending_cost = (struct batch_cost){0};
    act->pending_wrote = false;
}

static void commit_start(struct kelpie_actor *act)
{
    struct actors *a = act->actors;
    struct act_op *op = act_op_new(act, OP_COMMIT);
    struct commit_args *args = &op->args.commit;
    size_t reply_bytes = act->pending_reply_bytes;

    fly_pending(act);
    if (act->flying_count > 1)
        SOMETIMES("turns-committed-together");
    args->ref = act_ref(act);
    args->self = actors_self(a);
    take_requests(act, op, reply_bytes);
    args->write_count = actor_state_take(&act->values, &op->writes, &args->whole);
    args->writes = op->writes;
    args->erased = act->erasing;
    if (args->whole)
        SOMETIMES("state-written-as-a-whole");
    messages_take(act, op);
    plan(act, op, reply_bytes);
    act_set_state(act, ACT_COMMITTING);
    act_saw(a, (struct act_sight){SEEN_COMMIT, .act = act, .op = op});
    commit_txn(&op->txn, a->env, args, on_committed, op);
    /* A full or absent store is an answer, as long as surely nothing was committed. */
    op->txn.fail_fast = true;
    txn_start(&op->txn);
}

void gate_turn_done(struct kelpie_actor *act, struct invocation *inv)
{
    act->actors->stats.turns++;
    act_saw(act->actors, (struct act_sight){SEEN_RAN, .act = act, .inv = inv});
    if ((!inv->wrote && MUTANT("unchangedearly")) ||
        (inv->status == KELPIE_E_DOMAIN && MUTANT("domainearly"))) {
        answer(act, inv);
        return;
    }
    if (!inv->wrote && list_empty(&act->pending)) {
        /* It has seen what flies, at most. */
        if (act->state == ACT_COMMITTING) {
            SOMETIMES("unchanged-turn-waits-at-the-gate");
            list_append(&act->flying, &inv->link);
            act->flying_count++;
            act->joined_count++;
            act->joined_bytes += inv->reply.len;
        } else {
            answer(act, inv);
        }
        return;
    }
    list_append(&act->pending, &inv->link);
    act->pending_count++;
    act->pending_reply_bytes += inv->wrote ? kept_len(inv) : 0;
    act->pending_waiting_bytes += inv->reply.len;
    act->pending_wrote |= inv->wrote;
    batch_cost_add(&act->pending_cost, inv);
    if (act->state == ACT_IDLE)
        commit_start(act);
}

/* ---- it has ended */

static void remember_all(struct kelpie_actor *act, const struct act_op *op)
{
    const struct commit_args *args = &op->args.commit;

    remember_planned(&act->memory, &op->plan);
    for (size_t i = 0; i < args->request_count; i++)
        remember_applied(&act->memory, args->requests[i].hash, &args->requests[i].record);
}

static void committed(struct kelpie_actor *act, struct act_op *op)
{
    struct actors *a = act->actors;
    const struct commit_args *args = &op->args.commit;
    struct list landed, *l;

    a->stats.commits++;
    a->stats.commit_conflicts += op->txn.attempts > 1 ? op->txn.attempts - 1 : 0;
    remember_all(act, op);
    act_count_memory(act);
    /* Still COMMITTING in here: should the lease be gone, the callers are told "unknown". */
    if (!act_may_go_on(act)) {
        SOMETIMES("lease-over-when-the-commit-was-answered");
        return;
    }
    act_saw(a, (struct act_sight){SEEN_LANDED, .act = act, .op = op});
    list_init(&landed);
    while ((l = list_pop(&act->flying)))
        list_append(&landed, l);
    act->flying_count = 0;
    act->alone -= act->alone > 0;
    actor_state_committed(&act->values, args->writes, args->write_count, args->whole);
    act_set_state(act, ACT_IDLE);
    if (act->pending_wrote)
        commit_start(act);
    /* The planted mistake: what is only on its way now leaves with what has landed. */
    while (MUTANT("batchearly") && (l = list_pop(&act->flying)))
        list_append(&landed, l);
    while ((l = list_pop(&landed)))
        answer(act, LIST_ENTRY(l, struct invocation, link));
    messages_landed(act, op);
    gate_go_on(act);
}

/* Surely not committed. What ran since has seen it: the activation ends, memory included, and
 * whoever asked is told so, or asks again under the same id. */
static void not_committed(struct kelpie_actor *act, int status)
{
    const char *text = "the actor's commit did not land; it begins anew";
    struct list failed, *l;

    SOMETIMES("commit-did-not-land");
    if (status == KELPIE_E_STORE_UNAVAILABLE || status == KELPIE_E_TIMEOUT ||
        status == KELPIE_E_CANCELLED)
        status = KELPIE_E_UNAVAILABLE;
    list_init(&failed);
    while ((l = list_pop(&act->flying)))
        list_append(&failed, l);
    act->flying_count = 0;
    if (MUTANT("norollback")) {
        act_set_state(act, ACT_IDLE);
        invocations_answer_all(act->actors, &failed, KELPIE_E_UNAVAILABLE, text, NULL);
        act_go_on(act);
        return;
    }
    while ((l = list_pop(&failed))) {
        struct invocation *inv = LIST_ENTRY(l, struct invocation, link);
        act_answer(act, inv, invocation_refusal(inv, inv->wrote ? status : KELPIE_E_UNAVAILABLE),
                   bytes_of_str(inv->wrote ? kelpie_error_text(status) : text));
    }
    act_drop(act, KELPIE_E_UNAVAILABLE, NULL, text);
}

/* All its turns run again, on what is in the store, so many of them one a commit. Messages are read
 * again. */
static void run_again(struct kelpie_actor *act, size_t alone)
{
    struct list all, *l;

    list_init(&all);
    mailbox_take_all(act, &all);
    act_free_memory(act);
    while ((l = list_pop(&all))) {
        struct invocation *inv = LIST_ENTRY(l, struct invocation, link);
        if (inv->kind == INVOKE_MESSAGE) {
            act_answer(act, inv, 0, bytes_of(NULL, 0));
            continue;
        }
        inv->wrote = false;
        sends_drop(act->actors, inv);
        inv->for_flight = false;
        list_append(inv->flags & KELPIE_METHOD_READ ? &act->reads : &act->mailbox, &inv->link);
        act->mailbox_count++;
    }
    act->alone = alone;
    act_set_state(act, ACT_LOADING);
    act_load(act);
}

/* The store takes no such batch: its turns run again, one a commit, so that only the guilty one gets
 * the error. */
static void too_much(struct kelpie_actor *act)
{
    if (act->flying_count == 1) {
        SOMETIMES("turn-over-the-bounds-of-a-commit");
        not_committed(act, KELPIE_E_STATE_FULL);
        return;
    }
    SOMETIMES("batch-over-the-bounds-of-a-commit");
    run_again(act, act->flying_count);
}

/* Some attempt of what flies may have landed, or may yet. */
static void answer_unknown(struct kelpie_actor *act)
{
    LIST_FOREACH_SAFE(l, tmp, &act->flying)
    {
        struct invocation *inv = LIST_ENTRY(l, struct invocation, link);
        if (!inv->wrote)
            continue;
        list_remove(&inv->link);
        act_answer(act, inv, KELPIE_E_UNKNOWN_RESULT, bytes_of(NULL, 0));
    }
}

/* It may still land, and nobody goes on trying: no message before that is settled. */
static void left_unsettled(struct kelpie_actor *act)
{
    struct actors *a = act->actors;
    struct list waiting;

    answer_unknown(act);
    list_init(&waiting);
    mailbox_take_all(act, &waiting);
    act_set_state(act, ACT_UNSETTLED);
    act_free_memory(act);
    invocations_answer_all(a, &waiting, KELPIE_E_UNAVAILABLE, "", NULL);
}

static void on_committed(struct txn *txn, int status)
{
    struct act_op *op = txn->arg;
    struct kelpie_actor *act = op->act;
    struct actors *a = op->actors;
    char why[2 * TXN_REASON_SIZE];

    if (act_op_end(op, status))
        return;
    CHECK(act->state == ACT_COMMITTING && !act->current);
    act_hold(act);
    if (status && status != KELPIE_E_UNKNOWN_RESULT)
        act_saw(a, (struct act_sight){SEEN_REFUSED, .act = act, .op = op, .status = status});
    switch (status) {
    case 0:
        committed(act, op);
        break;
    case KELPIE_E_REFUSED:
        if (op->args.commit.messages.voided) {
            /* A message is not there any more that a turn has consumed. */
            run_again(act, 0);
            break;
        }
        a->stats.fenced++;
        log_warn(&a->env->log, "actor_fenced", "%s generation=%llu why=%s", ACT_FIELDS(act),
                 (unsigned long long)act->generation, log_quote(txn->reason, why, sizeof why));
        /* An attempt of it may have landed before the placement went on, and be overwritten since. */
        if (txn->unknown_pending) {
            SOMETIMES("fenced-after-it-may-have-landed");
            answer_unknown(act);
        }
        act_drop(act, KELPIE_E_NOT_HERE, NULL, "");
        break;
    case KELPIE_E_UNKNOWN_RESULT:
        SOMETIMES("commit-left-unsettled");
        left_unsettled(act);
        break;
    case KELPIE_E_STORE_CORRUPT:
    case KELPIE_E_STORE_NEWER:
        log_error(&a->env->log, "actor_commit_failed", "%s error=%s why=%s", ACT_FIELDS(act),
                  kelpie_error_name(status), log_quote(txn->reason, why, sizeof why));
        act_drop(act, status, NULL, txn->reason);
        break;
    case KELPIE_E_LIMIT:
        too_much(act);
        break;
    default:
        not_committed(act, status);
        break;
    }
    act_op_free(op);
    act_release(act);
}

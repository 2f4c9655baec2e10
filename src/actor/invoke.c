/* One message: the class's callback, and the commit of what it wrote (spec: SendWrite). */
#include "actor/activation.h"
#include "base/mark.h"
#include "base/mutant.h"

static void answer_current(struct kelpie_actor *act, int status, struct bytes body)
{
    struct invocation *inv = act->current;

    act->current = NULL;
    invocation_answer(act->actors, inv, status, body, NULL);
}

static void answer_kept(struct kelpie_actor *act, struct invocation *inv,
                        const struct request_record *kept)
{
    struct actors *a = act->actors;

    a->stats.replays++;
    if (kept->generation == act->generation)
        SOMETIMES("repeat-answered-from-memory");
    else
        SOMETIMES("repeat-answered-from-the-store");
    if (!kept->reply_kept)
        SOMETIMES("repeat-whose-reply-was-not-kept");
    if (kept->reply_kept)
        invocation_answer(a, inv, kept->status, kept->reply, NULL);
    else
        invocation_answer_text(a, inv, KELPIE_E_APPLIED_NO_REPLY,
                               kelpie_error_text(KELPIE_E_APPLIED_NO_REPLY));
}

static int call_receive(struct kelpie_actor *act, const struct invocation *inv)
{
    struct actors *a = act->actors;
    struct kelpie_message message = {
        .method = inv->method,
        .request_id = inv->request_id,
        .body = inv->body,
        .body_len = inv->body_len,
    };
    uint64_t began_ns = env_now_ns(a->env), took_ns;
    char method[4 * KELPIE_METHOD_MAX + 3];
    int status;

    act_callback_begins(act);
    act->in_receive = true;
    status = act->class->receive(act, &message);
    act->in_receive = false;
    took_ns = env_now_ns(a->env) - began_ns;
    if (took_ns > timing_lease_ns(&cluster_config_of(a->cluster)->timing))
        log_warn(&a->env->log, "handler_outlasted_lease", "%s method=%s took_ms=%llu",
                 ACT_FIELDS(act), log_quote(inv->method, method, sizeof method),
                 (unsigned long long)(took_ns / NS_PER_MS));
    return status <= 0 ? status : KELPIE_E_HANDLER_FAILED;
}

/* The errors that a handler may give; any other is its failure. */
static int handler_error(int status)
{
    switch (status) {
    case KELPIE_E_INVALID:
    case KELPIE_E_UNKNOWN_METHOD:
    case KELPIE_E_NOT_FOUND:
    case KELPIE_E_REFUSED:
    case KELPIE_E_TOO_LARGE:
    case KELPIE_E_STATE_FULL:
        return status;
    default:
        return KELPIE_E_HANDLER_FAILED;
    }
}

static void on_committed(struct txn *txn, int status);

static void commit_start(struct kelpie_actor *act)
{
    struct actors *a = act->actors;
    struct invocation *inv = act->current;
    struct act_op *op = act_op_new(act, OP_COMMIT);
    struct commit_args *args = &op->args.commit;
    uint64_t sequence = act->kept.last + 1;

    args->ref = act_ref(act);
    args->self = actors_self(a);
    args->generation = act->generation;
    args->slot = (uint32_t)(sequence % REQUESTS_KEPT);
    args->request.sequence = sequence;
    args->request.generation = act->generation;
    memcpy(args->request.request_id, inv->request_id, sizeof args->request.request_id);
    args->request.reply_kept = inv->reply.len <= REPLY_KEPT_MAX;
    if (args->request.reply_kept)
        args->request.reply = buf_bytes(&inv->reply);
    args->write_count = act->values.unsaved_count;
    op->writes = MEM_NEW_ARRAY(a->env->mem, struct state_write, args->write_count);
    actor_state_unsaved(&act->values, op->writes);
    args->writes = op->writes;
    act_set_state(act, ACT_COMMITTING);
    commit_txn(&op->txn, a->env, args, on_committed, op);
    /* A full or absent store is an answer, as long as surely nothing was committed. */
    op->txn.fail_fast = true;
    txn_start(&op->txn);
}

static void committed(struct kelpie_actor *act, const struct act_op *op)
{
    struct actors *a = act->actors;

    a->stats.commits++;
    a->stats.commit_conflicts += op->txn.attempts > 1 ? op->txn.attempts - 1 : 0;
    kept_replies_add(&act->kept, &op->args.commit.request);
    actor_state_saved(&act->values);
    act_count_memory(act);
    /* Still COMMITTING in here: should the lease be gone, the caller is told "unknown". */
    if (!act_may_go_on(act)) {
        SOMETIMES("lease-over-when-the-commit-was-answered");
        return;
    }
    act_set_state(act, ACT_IDLE);
    answer_current(act, 0, buf_bytes(&act->current->reply));
    act_go_on(act);
}

/* Surely not committed: the message is taken back, the actor goes on. */
static void not_committed(struct kelpie_actor *act, int status)
{
    SOMETIMES("commit-rolled-back");
    if (!MUTANT("norollback"))
        actor_state_rollback(&act->values);
    act_count_memory(act);
    if (status == KELPIE_E_STORE_UNAVAILABLE || status == KELPIE_E_TIMEOUT ||
        status == KELPIE_E_CANCELLED)
        status = KELPIE_E_UNAVAILABLE;
    act_set_state(act, ACT_IDLE);
    answer_current(act, status, bytes_of_str(kelpie_error_text(status)));
    act_go_on(act);
}

/* It may still land, and nobody goes on trying: no message before that is settled. */
static void left_unsettled(struct kelpie_actor *act)
{
    struct actors *a = act->actors;
    struct list waiting;

    answer_current(act, KELPIE_E_UNKNOWN_RESULT, bytes_of(NULL, 0));
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
    CHECK(act->state == ACT_COMMITTING && act->current);
    act_hold(act);
    switch (status) {
    case 0:
        committed(act, op);
        break;
    case KELPIE_E_REFUSED:
        a->stats.fenced++;
        log_warn(&a->env->log, "actor_fenced", "%s generation=%llu why=%s", ACT_FIELDS(act),
                 (unsigned long long)act->generation, log_quote(txn->reason, why, sizeof why));
        /* An attempt of it may have landed before the placement went on, and be overwritten since. */
        if (txn->unknown_pending) {
            SOMETIMES("fenced-after-it-may-have-landed");
            answer_current(act, KELPIE_E_UNKNOWN_RESULT, bytes_of(NULL, 0));
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
    default:
        not_committed(act, status);
        break;
    }
    act_op_free(op);
    act_release(act);
}

void act_invoke(struct kelpie_actor *act, struct invocation *inv)
{
    struct request_record kept;
    int status;

    if (!MUTANT("nodedupe") && kept_replies_find(&act->kept, inv->request_id, &kept)) {
        answer_kept(act, inv, &kept);
        return;
    }
    act->current = inv;
    status = call_receive(act, inv);
    /* A handler may have run for long: nothing leaves before the lease was looked at. */
    if (!MUTANT("slowlapse") && !act_may_go_on(act))
        return;
    if (status) {
        SOMETIMES("handler-failed");
        if (!MUTANT("keepfailed"))
            actor_state_rollback(&act->values);
        status = handler_error(status);
        if (inv->reply.len == 0)
            buf_append_bytes(&inv->reply, bytes_of_str(act_error_text(act, status)));
        answer_current(act, status, buf_bytes(&inv->reply));
    } else if (!actor_state_touched(&act->values)) {
        answer_current(act, 0, buf_bytes(&inv->reply));
    } else {
        commit_start(act);
    }
}

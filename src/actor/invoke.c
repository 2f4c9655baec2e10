/* One turn: whether the message is new, then the class's callback. What it wrote goes to gate.c. */
#include "actor/activation.h"
#include "actor/open_turn.h"
#include "base/mark.h"
#include "base/mutant.h"

#include <stdio.h>

void act_answer(struct kelpie_actor *act, struct invocation *inv, int status, struct bytes body)
{
    invocation_answer(act->actors, inv, status, body, NULL);
}

static void answer_text(struct kelpie_actor *act, struct invocation *inv, int status,
                        const char *text)
{
    act_answer(act, inv, status, bytes_of_str(text));
}

/* What was remembered goes to whoever asks the same; a record of format 1 does not say what that was. */
static void answer_kept(struct kelpie_actor *act, struct invocation *inv,
                        const struct remembered_record *kept)
{
    struct actors *a = act->actors;

    if (!uuid_is_zero(kept->fingerprint) && !uuid_equal(kept->fingerprint, inv->fingerprint) &&
        !MUTANT("nofingerprint")) {
        SOMETIMES("request-id-reused");
        answer_text(act, inv, KELPIE_E_REQUEST_ID_REUSED,
                    kelpie_error_text(KELPIE_E_REQUEST_ID_REUSED));
        return;
    }
    a->stats.replays++;
    if (!kept->reply_kept)
        SOMETIMES("repeat-whose-reply-was-not-kept");
    if (kept->reply_kept)
        act_answer(act, inv, kept->status, kept->reply);
    else
        answer_text(act, inv, KELPIE_E_APPLIED_NO_REPLY,
                    kelpie_error_text(KELPIE_E_APPLIED_NO_REPLY));
}

static void answer_found(struct kelpie_actor *act, struct invocation *inv)
{
    struct remembered_record kept = {
        .fingerprint = inv->found_fingerprint,
        .status = inv->found_status,
        .reply_kept = inv->found_reply_kept,
        .reply = buf_bytes(&inv->reply),
    };

    answer_kept(act, inv, &kept);
}

static bool wants_look(const struct kelpie_actor *act, const struct invocation *inv,
                       uint64_t buckets[HEAD_BUCKETS_MAX], size_t *count)
{
    uint64_t now = env_now_ns(act->actors->env);
    struct remembered_record kept;

    if (inv->kind != INVOKE_REQUEST || inv->looked || inv->find || MUTANT("nodedupe") ||
        MUTANT("dedupenode") || remember_reply(&act->memory, inv->hash, &kept))
        return false;
    *count = remember_where(&act->memory, inv->hash, invocation_age_ms(act, inv), now, buckets);
    return *count > 0;
}

bool act_must_look(const struct kelpie_actor *act, const struct invocation *inv)
{
    uint64_t buckets[HEAD_BUCKETS_MAX];
    size_t count;

    return inv->find || wants_look(act, inv, buckets, &count);
}

void act_look(struct kelpie_actor *act)
{
    uint64_t buckets[HEAD_BUCKETS_MAX];
    size_t count;

    LIST_FOREACH(l, &act->mailbox)
    {
        struct invocation *inv = LIST_ENTRY(l, struct invocation, link);
        if (act->finds >= FINDS_MAX)
            return;
        if (wants_look(act, inv, buckets, &count))
            find_start(act, inv, buckets, count);
    }
}

static struct kelpie_message message_for(const struct invocation *inv)
{
    const struct message *m = inv->mail;
    struct kelpie_message message = {
        .method = inv->method,
        .request_id = inv->request_id,
        .body = inv->body,
        .body_len = inv->body_len,
        .flags = inv->flags,
    };

    if (m) {
        message.body = m->body;
        message.body_len = m->record.body.len;
        message.sender_type = m->record.sender_type;
        message.sender_id = m->record.sender_id;
        message.due_ms = m->record.due_ms;
        message.missed = m->missed;
        message.attempt = m->record.attempts + 1;
    }
    return message;
}

/* What somebody outside sends: the message is the actor's own, to itself. */
static int send_to_self(struct kelpie_actor *act, const struct invocation *inv)
{
    const struct kelpie_send_options o = {.after_ms = inv->after_ms};
    int status;

    SOMETIMES("sent-from-outside");
    act_callback_begins(act, "receive", inv);
    act->in_receive = true;
    status = kelpie_send(act, inv->type, inv->id, inv->method, inv->body, inv->body_len, &o);
    act->in_receive = false;
    act_callback_ends(act);
    return status;
}

static int call_receive(struct kelpie_actor *act, struct invocation *inv)
{
    struct actors *a = act->actors;
    uint64_t began_ns = env_now_ns(a->env), took_ns;
    char method[4 * KELPIE_METHOD_MAX + 3];
    int status;

    inv->message = message_for(inv);
    if (inv->deadline_ns > began_ns)
        inv->message.remaining_ms = (uint32_t)((inv->deadline_ns - began_ns) / NS_PER_MS);
    act_callback_begins(act, "receive", inv);
    act->in_receive = true;
    status = act->class->receive(act, &inv->message);
    act->in_receive = false;
    act_callback_ends(act);
    if (status != KELPIE_PENDING || (act->open && !act->open->outside)) /* else it is outside */
        quarantine_returned(act, "receive", inv->method);
    took_ns = env_now_ns(a->env) - began_ns;
    if (took_ns > timing_lease_ns(&cluster_config_of(a->cluster)->timing))
        log_warn(&a->env->log, "handler_outlasted_lease", "%s method=%s took_ms=%llu",
                 ACT_FIELDS(act), log_quote(inv->method, method, sizeof method),
                 (unsigned long long)(took_ns / NS_PER_MS));
    return status <= 0 || status == KELPIE_PENDING ? status : KELPIE_E_HANDLER_FAILED;
}

/* The errors that a handler may give, its own and those that its calls ended with; any other is its
 * failure. */
static int handler_error(const struct invocation *inv, int status)
{
    switch (status) {
    case KELPIE_E_TIMEOUT:
    case KELPIE_E_UNAVAILABLE:
    case KELPIE_E_MAILBOX_FULL:
        return invocation_refusal(inv, status);
    case KELPIE_E_UNKNOWN_RESULT:
    case KELPIE_E_TOO_LATE:
    case KELPIE_E_CALL_CYCLE:
    case KELPIE_E_CALL_DEPTH:
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

bool act_call_class(struct kelpie_actor *act, struct invocation *inv)
{
    buf_clear(&inv->reply);
    inv->failed = inv->erases = false;
    act->current = inv;
    inv->status = inv->is_send ? send_to_self(act, inv) : call_receive(act, inv);
    /* A handler may have run for long: nothing leaves before the lease was looked at. */
    return MUTANT("slowlapse") || act_may_go_on(act);
}

void act_take_status(struct kelpie_actor *act, struct invocation *inv)
{
    int status = inv->status;

    if (inv->failed) {
        SOMETIMES("domain-error");
        inv->status = KELPIE_E_DOMAIN;
    } else if (status) {
        SOMETIMES("handler-failed");
        inv->status = handler_error(inv, status);
        if (inv->reply.len == 0)
            buf_append_bytes(&inv->reply, bytes_of_str(act_error_text(act, status, inv->status)));
    }
}

/* It may have been applied, and that forgotten; or the young ones take up all the room. */
static bool refuse(struct kelpie_actor *act, struct invocation *inv)
{
    uint64_t now = env_now_ns(act->actors->env), full_ms;
    char text[128];

    if (!remember_reaches(&act->memory, invocation_age_ms(act, inv), now)) {
        SOMETIMES("request-too-late");
        act->actors->stats.too_late++;
        answer_text(act, inv, KELPIE_E_TOO_LATE, kelpie_error_text(KELPIE_E_TOO_LATE));
        return true;
    }
    full_ms = remember_full_ms(&act->memory, act->flying_count + act->pending_count, now);
    if (full_ms == 0)
        return false;
    SOMETIMES("remembers-too-many");
    cap_reached(&act->actors->caps[ACTORS_CAP_REMEMBERED], act->actors->env);
    (void)snprintf(text, sizeof text,
                   "the actor remembers as many young requests as it can; come back in %llu s",
                   (unsigned long long)((full_ms + 999) / 1000));
    answer_text(act, inv, invocation_refusal(inv, KELPIE_E_TOO_MANY), text);
    return true;
}

void act_invoke(struct kelpie_actor *act, struct invocation *inv)
{
    struct remembered_record kept;
    bool known = inv->kind == INVOKE_REQUEST && !MUTANT("nodedupe") &&
                 remember_reply(&act->memory, inv->hash, &kept);

    if (inv->kind == INVOKE_NUDGE) {
        answer_text(act, inv, 0, "");
        return;
    }
    if (inv->kind == INVOKE_MESSAGE && !message_begins(act, inv))
        return;
    if (known) {
        if (kept.generation == act->generation)
            SOMETIMES("repeat-answered-from-memory");
        answer_kept(act, inv, &kept);
        return;
    }
    if (inv->found) {
        answer_found(act, inv);
        return;
    }
    if (inv->kind == INVOKE_REQUEST && (refuse(act, inv) || quarantine_refuses(act, inv)))
        return;
    act_saw(act->actors, (struct act_sight){SEEN_NEW, .act = act, .inv = inv});
    if (!act_call_class(act, inv))
        return;
    if (inv->status == KELPIE_PENDING && open_turn_stays(act))
        return;
    act_turn_ends(act, inv);
}

void act_turn_ends(struct kelpie_actor *act, struct invocation *inv)
{
    act->current = NULL;
    open_turn_end(act);
    act_take_status(act, inv);
    if (inv->status && !MUTANT("keepfailed"))
        actor_state_rollback(&act->values);
    if (inv->status && !MUTANT("keepsends"))
        sends_drop(act->actors, inv);
    act->erasing = inv->erases && inv->status == 0 &&
                   (inv->kind == INVOKE_MESSAGE || erase_has_work(act, inv));
    if (!act->erasing)
        actor_state_not_erased(&act->values); /* there was nothing: the activation goes on */
    if (inv->kind == INVOKE_MESSAGE) {
        actor_state_keep(&act->values);
        message_ends(act, inv);
        return;
    }
    /* A domain error is an answer for good: it is committed, and remembered, like a reply. */
    inv->wrote =
        (inv->status == 0 && (actor_state_touched(&act->values) || !list_empty(&inv->sends))) ||
        (inv->status == KELPIE_E_DOMAIN && !MUTANT("domainforgotten")) || act->erasing;
    actor_state_keep(&act->values);
    gate_turn_done(act, inv);
}

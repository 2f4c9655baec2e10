/* Messages on the node that hosts their actor: made, answered once, freed. */
#include "actor/activation.h"
#include "base/mark.h"
#include "base/mutant.h"

struct invocation *invocation_new(struct actors *a, const struct actor_request *r)
{
    struct invocation *inv = mem_zalloc(a->env->mem, 1, sizeof *inv + r->body.len + r->chain.len);
    struct bytes caller = r->chain.len ? chain_caller(r->chain) : bytes_of_str(r->caller);

    list_init(&inv->link);
    list_init(&inv->followers);
    list_init(&inv->sends);
    buf_init(&inv->reply, a->env->mem);
    inv->deadline_ns = env_now_ns(a->env) + r->remaining_ms * NS_PER_MS;
    inv->generation = r->generation;
    memcpy(inv->type, r->type, sizeof inv->type);
    memcpy(inv->id, r->id, sizeof inv->id);
    memcpy(inv->method, r->method, sizeof inv->method);
    memcpy(inv->request_id, r->request_id, sizeof inv->request_id);
    inv->hash = request_hash(r->request_id);
    inv->is_send = r->send;
    inv->after_ms = r->after_ms;
    inv->fingerprint =
        request_fingerprint(caller, r->method, r->body, r->send ? &r->after_ms : NULL);
    inv->age_ms = r->age_ms;
    inv->age_known = r->age_known;
    inv->arrived_ns = env_now_ns(a->env);
    inv->body_len = r->body.len;
    if (r->body.len)
        memcpy(inv->body, r->body.data, r->body.len);
    if (r->chain.len && !MUTANT("nochain")) {
        memcpy(inv->body + r->body.len, r->chain.data, r->chain.len);
        inv->chain = bytes_of(inv->body + r->body.len, r->chain.len);
    }
    if (r->op == ACTOR_OP_NUDGE) {
        inv->kind = INVOKE_NUDGE;
        inv->until_ms = r->until_ms;
        inv->hash = (struct uuid){.b = {0}};
    }
    return inv;
}

static void invocation_free(struct actors *a, struct invocation *inv)
{
    CHECK(list_empty(&inv->followers) && list_empty(&inv->link));
    find_leave(inv);
    sends_drop(a, inv);
    if (inv->mail)
        message_release(inv->mail);
    buf_deinit(&inv->reply);
    mem_free(a->env->mem, inv);
}

static void reply_to_peer(struct actors *a, const struct rpc_request *request, int status,
                          struct bytes body, const struct placement *hint)
{
    struct actor_answer answer = {
        .has_hint = hint != NULL, .clock_ns = env_now_ns(a->env), .body = body};

    if (hint)
        answer.hint = *hint;
    buf_clear(&a->out);
    actor_answer_encode(&a->out, &answer);
    rpc_reply(a->rpc, request, status, buf_bytes(&a->out));
}

static void answer_one(struct actors *a, struct invocation *inv, int status, struct bytes body,
                       const struct placement *hint)
{
    if (inv->from_peer)
        reply_to_peer(a, &inv->request, status, body, hint);
    else if (inv->call)
        call_answered(inv->call, status, body, hint);
}

void invocation_answer(struct actors *a, struct invocation *inv, int status, struct bytes body,
                       const struct placement *hint)
{
    struct list *l;

    act_saw(a, (struct act_sight){SEEN_ANSWERED, .inv = inv, .status = status});
    /* The body may be the first one's reply buffer: it goes last. */
    while ((l = list_pop(&inv->followers))) {
        struct invocation *follower = LIST_ENTRY(l, struct invocation, link);
        answer_one(a, follower, status, body, hint);
        invocation_free(a, follower);
    }
    answer_one(a, inv, status, body, hint);
    invocation_free(a, inv);
}

void invocation_answer_text(struct actors *a, struct invocation *inv, int status, const char *text)
{
    invocation_answer(a, inv, status, bytes_of_str(text), NULL);
}

int invocation_refusal(const struct invocation *inv, int status)
{
    return inv->calls_out > 0 && kelpie_error_applied(status) == KELPIE_APPLIED_NO
               ? KELPIE_E_UNKNOWN_RESULT
               : status;
}

void invocations_answer_all(struct actors *a, struct list *list, int status, const char *text,
                            const struct placement *hint)
{
    struct list *l;

    while ((l = list_pop(list))) {
        struct invocation *inv = LIST_ENTRY(l, struct invocation, link);
        invocation_answer(a, inv, invocation_refusal(inv, status), bytes_of_str(text), hint);
    }
}

void invocation_follow(struct actors *a, struct invocation *first, struct invocation *inv)
{
    CHECK(list_empty(&inv->followers));
    if (first->follower_count == FOLLOWERS_MAX) {
        struct invocation *oldest =
            LIST_ENTRY(list_pop(&first->followers), struct invocation, link);
        SOMETIMES("follower-gives-its-place-up");
        cap_reached(&a->caps[ACTORS_CAP_REPEATS], a->env);
        first->follower_count--;
        invocation_answer_text(
            a, oldest, MUTANT("followerno") ? KELPIE_E_MAILBOX_FULL : KELPIE_E_UNKNOWN_RESULT,
            "later repeats of the request wait in this one's place");
    }
    first->follower_count++;
    list_append(&first->followers, &inv->link);
}

struct invocation *invocation_expire(struct actors *a, struct invocation *inv)
{
    uint64_t now = env_now_ns(a->env);
    struct list all, *l;
    struct invocation *first = NULL;

    list_init(&all);
    list_append(&all, &inv->link);
    while ((l = list_pop(&inv->followers)))
        list_append(&all, l);
    inv->follower_count = 0;
    while ((l = list_pop(&all))) {
        struct invocation *one = LIST_ENTRY(l, struct invocation, link);
        if (one->deadline_ns <= now) {
            SOMETIMES("message-waited-beyond-its-deadline");
            invocation_answer_text(a, one, invocation_refusal(one, KELPIE_E_TIMEOUT), "");
        } else if (first) {
            invocation_follow(a, first, one);
        } else {
            if (one != inv)
                SOMETIMES("repeat-outlives-its-first");
            first = one;
        }
    }
    return first;
}

/* Raises the age by what the connection can have held; true when that is too long, or not known: the
 * caller asks again, with what this clock says now. */
static bool held_too_long(const struct actors *a, struct actor_request *r)
{
    uint64_t now = env_now_ns(a->env);

    if (MUTANT("connectionage"))
        return false;
    if (r->echo_ns == 0 || r->echo_ns > now || now - r->echo_ns > HELD_NS_MAX) {
        SOMETIMES("held-too-long-by-a-connection");
        return true;
    }
    r->age_ms += (now - r->echo_ns + NS_PER_MS - 1) / NS_PER_MS;
    return false;
}

void actors_on_rpc(void *arg, const struct rpc_request *request)
{
    struct actors *a = arg;
    struct actor_request r;
    struct invocation *inv;

    if (actor_request_decode(request->payload, &r)) {
        rpc_reply(a->rpc, request, KELPIE_E_PROTOCOL, bytes_of(NULL, 0));
        return;
    }
    if (r.op == ACTOR_OP_ACTIVATE) {
        reply_to_peer(a, request, 0, bytes_of(NULL, 0), NULL);
        host_activate(a, r.type, r.id);
        return;
    }
    a->stats.calls_received++;
    if (r.op == ACTOR_OP_CALL && held_too_long(a, &r)) {
        reply_to_peer(a, request, KELPIE_E_TOO_OLD, bytes_of(NULL, 0), NULL);
        return;
    }
    if (r.remaining_ms > CALL_DEADLINE_MS_MAX)
        r.remaining_ms = CALL_DEADLINE_MS_MAX;
    inv = invocation_new(a, &r);
    inv->from_peer = true;
    inv->request = *request;
    inv->request.payload = bytes_of(NULL, 0);
    host_deliver(a, inv);
}

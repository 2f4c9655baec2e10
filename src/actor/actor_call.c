/*
 * Calls that start on this node: find the actor, send the message where it is, and try again with
 * the same request id, until there is an answer or the deadline passed.
 */
#include "actor/actor_call.h"

#include "actor/class_methods.h"
#include "actor/outside_link.h"

#include "base/mark.h"
#include "base/mutant.h"

#include <stdio.h>

static void step(struct actor_call *call);

static void call_free(struct actor_call *call)
{
    struct mem mem = call->actors->env->mem;

    CHECK(!call->rpc.rpc && !call->finder && !call->inv);
    mem_free(mem, call->excluded);
    mem_free(mem, call);
}

/* Whoever works at it works for nobody. */
static void detach(struct actor_call *call)
{
    struct actors *a = call->actors;

    CHECK(call->state != CALL_DONE);
    timer_stop(&call->timer);
    if (call->finder)
        finder_leave(call);
    if (call->inv) {
        call->inv->call = NULL;
        open_turn_left(a, call->inv);
        call->inv = NULL;
    }
    list_remove(&call->link);
    a->call_count--;
    call->state = CALL_DONE;
}

/* The call itself lives until its RPC has completed. */
static void let_go(struct actor_call *call)
{
    struct actors *a = call->actors;

    if (call->rpc.rpc) {
        a->zombie_calls++;
        rpc_cancel(&call->rpc);
    } else {
        call_free(call);
    }
}

static void finish(struct actor_call *call, int status, struct bytes reply)
{
    detach(call);
    call->done(call->arg, status, reply);
    let_go(call);
}

void call_abandon(struct actor_call *call)
{
    if (call->actors->looking == call)
        call->actors->looking = NULL;
    detach(call);
    let_go(call);
}

static void finish_text(struct actor_call *call, int status, const char *text)
{
    finish(call, status, bytes_of_str(text[0] ? text : kelpie_error_text(status)));
}

static uint64_t remaining_ns(const struct actor_call *call)
{
    uint64_t now = env_now_ns(call->actors->env);

    return now < call->deadline_ns ? call->deadline_ns - now : 0;
}

/* The message is being applied on this node, as the first or as a repeat of it. */
static bool local_may_be_applied(const struct actor_call *call)
{
    const struct invocation *inv = call->inv;
    const struct kelpie_actor *act = act_find(call->actors, inv->type, inv->id);

    return inv->calls_out > 0 ||
           (act && mailbox_running(act, inv->hash) && !outside_waits_yet(act, inv->hash));
}

/* An attempt of it may have been applied, or may be yet. */
static void finish_unknown(struct actor_call *call, const char *why)
{
    char text[CALL_REASON_SIZE + 96];
    bool refused = call->status && kelpie_error_applied(call->status) == KELPIE_APPLIED_NO;
    bool said = call->status == KELPIE_E_UNKNOWN_RESULT && remaining_ns(call) == 0 &&
                strcmp(call->reason, kelpie_error_text(call->status)) != 0;

    (void)snprintf(text, sizeof text, "%s; whether the request was applied is not known%s%s", why,
                   refused ? "; the last refusal: "
                   : said  ? "; the last answer: "
                           : "",
                   refused || said ? call->reason : "");
    finish_text(call, KELPIE_E_UNKNOWN_RESULT, text);
}

/* That node cannot have it now, another one may. */
static bool excludes(int status)
{
    return status == KELPIE_E_NODE_FULL || status == KELPIE_E_CLASS_OLDER;
}

static void deadline_passed(struct actor_call *call)
{
    if (call->state == CALL_REMOTE || (call->state == CALL_LOCAL && local_may_be_applied(call)))
        call->maybe_applied = true;
    if (call->maybe_applied) {
        SOMETIMES("call-deadline-result-unknown");
        finish_unknown(call, "the deadline passed");
        return;
    }
    SOMETIMES("call-deadline-surely-not-applied");
    if (call->status == KELPIE_E_UNAVAILABLE || excludes(call->status))
        finish_text(call, call->status, call->reason);
    else
        finish_text(call, KELPIE_E_TIMEOUT, "");
}

/* The node ends it before its time. */
static void give_up(struct actor_call *call, const char *why)
{
    if (call->maybe_applied || call->state == CALL_REMOTE || call->state == CALL_LOCAL)
        finish_unknown(call, why);
    else
        finish_text(call, KELPIE_E_UNAVAILABLE, why);
}

static void on_timer(void *arg)
{
    struct actor_call *call = arg;

    if (call->state == CALL_NEW && call->status) {
        finish_text(call, call->status, call->reason);
        return;
    }
    if (call->suspended) {
        give_up(call,
                call->actors->suspended ? "the node's lease ran out" : "the node stood still");
        return;
    }
    if (remaining_ns(call) == 0) {
        deadline_passed(call);
        return;
    }
    if (call->state == CALL_NEW || call->state == CALL_WAITING)
        step(call);
    else
        timer_start(&call->timer, remaining_ns(call));
}

/* Waits for an answer, with the deadline running. */
static void wait_in(struct actor_call *call, enum call_state state)
{
    call->state = state;
    timer_start(&call->timer, remaining_ns(call));
}

static uint64_t retry_delay_ns(const struct actor_call *call)
{
    struct random random = call->actors->env->random;
    uint64_t delay = RETRY_DELAY_MIN_NS;

    /* It has moved, and we know where to: at once, unless it goes on like that. */
    if ((call->status == KELPIE_E_NOT_HERE || call->status == KELPIE_E_TOO_OLD) && call->tries <= 2)
        return 0;
    for (unsigned i = 1; i < call->tries && delay < RETRY_DELAY_MAX_NS; i++)
        delay *= 2;
    if (delay > RETRY_DELAY_MAX_NS)
        delay = RETRY_DELAY_MAX_NS;
    return delay / 2 + random_below(random, delay / 2 + 1);
}

static void retry(struct actor_call *call, int status, struct bytes why)
{
    uint64_t delay, left = remaining_ns(call);

    call->status = status;
    if (why.len)
        (void)snprintf(call->reason, sizeof call->reason, "%.*s",
                       (int)(why.len < sizeof call->reason ? why.len : sizeof call->reason - 1),
                       (const char *)why.data);
    else
        (void)snprintf(call->reason, sizeof call->reason, "%s", kelpie_error_text(status));
    call->tries++;
    call->actors->stats.retries++;
    call->state = CALL_WAITING;
    delay = retry_delay_ns(call);
    timer_start(&call->timer, delay < left ? delay : left);
}

static void exclude(struct actor_call *call, const char *node_id, int why)
{
    call->excluded_why = why;
    if (!call->excluded)
        call->excluded = MEM_NEW(call->actors->env->mem, struct excluded);
    excluded_add(call->excluded, node_id);
}

/* Refusals that pass: another attempt may meet with none. */
static bool passes(int status)
{
    return status == KELPIE_E_NOT_HERE || status == KELPIE_E_UNAVAILABLE || excludes(status) ||
           status == KELPIE_E_LIMIT || status == KELPIE_E_TOO_OLD;
}

/* One attempt failed, or succeeded. A refusal says of its own attempt that it was not applied, and
 * nothing of those before: once one of them may have been, only its own result decides. */
static void settle(struct actor_call *call, int status, struct bytes body)
{
    enum kelpie_applied applied = kelpie_error_applied(status);

    if (status == KELPIE_E_TOO_LATE && call->maybe_applied) {
        finish_unknown(call, "the actor no longer remembers so old a request");
        return;
    }
    if (status == KELPIE_E_POISONED && call->maybe_applied) {
        SOMETIMES("poisoned-after-it-may-have-been-applied");
        finish_unknown(call, "what was called ends processes of nodes, and is not run for a while");
        return;
    }
    /* A domain error is remembered: had an earlier attempt done something, it would have said so. */
    if (applied == KELPIE_APPLIED_YES || status == KELPIE_E_TOO_LATE || status == KELPIE_E_DOMAIN) {
        finish(call, status, body);
        return;
    }
    if (applied == KELPIE_APPLIED_UNKNOWN) {
        call->maybe_applied = true;
    } else if (!passes(status) && (!call->maybe_applied || MUTANT("lastdecides"))) {
        finish(call, status, body);
        return;
    } else if (!passes(status)) {
        SOMETIMES("refusal-after-it-may-have-been-applied");
    }
    retry(call, status, body);
}

/* The address of the life that a hint names, as this node's own view has it. */
static bool hint_resolve(const struct actors *a, const struct placement *hint,
                         struct placement *out)
{
    const struct view *view = cluster_view(a->cluster);
    const struct member *m =
        hint && hint->record.placed && view ? view_find(view, hint->record.node_id) : NULL;

    if (!m || uuid_is_zero(m->boot) || !uuid_equal(m->boot, hint->record.boot))
        return false;
    *out = (struct placement){.record = hint->record};
    memcpy(out->addr, m->addr, sizeof out->addr);
    return true;
}

/* An attempt that failed: what the callee knows, or nothing, takes the cached placement's place. */
static void learn(struct actor_call *call, int status, const struct placement *hint)
{
    struct directory *d = &call->actors->directory;
    struct placement known;

    if (hint_resolve(call->actors, hint, &known)) {
        SOMETIMES("callee-says-where-it-is");
        directory_learn(d, call->type, call->id, &known);
    } else if (MUTANT("keepplace")) {
        return;
    } else if (status == KELPIE_E_NOT_HERE || status == KELPIE_E_UNREACHABLE ||
               status == KELPIE_E_UNAVAILABLE || status == KELPIE_E_TIMEOUT || excludes(status))
        directory_forget(d, call->type, call->id);
    /* The third time it has moved: the store knows. */
    if (status == KELPIE_E_NOT_HERE && call->tries >= 2) {
        SOMETIMES("call-moved-three-times");
        directory_forget(d, call->type, call->id);
    }
}

void call_answered(struct actor_call *call, int status, struct bytes body,
                   const struct placement *hint)
{
    CHECK(call->state == CALL_LOCAL);
    call->inv = NULL;
    call->state = CALL_WAITING;
    if (excludes(status))
        exclude(call, cluster_config_of(call->actors->cluster)->node_id, status);
    learn(call, status, hint);
    /* Queued beyond its deadline: surely not applied. */
    if (status == KELPIE_E_TIMEOUT && remaining_ns(call) == 0)
        deadline_passed(call);
    else
        settle(call, status, body);
}

static void tell_given_up(const struct actor_call *call)
{
    char type[4 * ACTOR_TYPE_MAX + 3], id[4 * ACTOR_ID_MAX + 3], method[4 * KELPIE_METHOD_MAX + 3],
        request[4 * REQUEST_ID_MAX + 3];
    log_warn(&call->actors->env->log, "call_given_up",
             "type=%s id=%s method=%s request=%s reason=\"%u nodes ended while they had it\"",
             log_quote(call->type, type, sizeof type), log_quote(call->id, id, sizeof id),
             log_quote(call->method, method, sizeof method),
             log_quote(call->request_id, request, sizeof request), call->lives_lost);
}

/* True when the attempt's node is the second one that ended with this call: the call ends too. */
static bool end_if_deadly(struct actor_call *call)
{
    const struct uuid boot = call->rpc.target_boot;

    if (call->lives_lost == 0 || !uuid_equal(boot, call->lost_boot))
        call->lives_lost++;
    call->lost_boot = boot;
    if (call->lives_lost < LIVES_LOST_MAX)
        return false;
    SOMETIMES("call-two-nodes-ended-with-it");
    tell_given_up(call);
    call->state = CALL_WAITING;
    finish_text(call, KELPIE_E_UNKNOWN_RESULT,
                "two nodes ended one after the other while they had this request; whether it was "
                "applied is not known");
    return true;
}

static void on_rpc_done(struct rpc_call *rpc, int status, struct bytes payload)
{
    struct actor_call *call = rpc->arg;
    struct actor_answer answer = {.has_hint = false};

    if (call->state == CALL_DONE) {
        call->actors->zombie_calls--;
        call_free(call);
        return;
    }
    CHECK(call->state == CALL_REMOTE);
    /* What does not decode counts as no answer. */
    if (payload.len && actor_answer_decode(payload, &answer))
        status = KELPIE_E_UNREACHABLE;
    else if (payload.len)
        peer_clock_learn(call->actors, rpc->target_boot, answer.clock_ns);
    if (status == KELPIE_E_TIMEOUT)
        call->timeouts++;
    if (excludes(status))
        exclude(call, rpc->from.node_id, status);
    learn(call, status, answer.has_hint ? &answer.hint : NULL);
    if (status == KELPIE_E_UNREACHABLE && end_if_deadly(call))
        return;
    /* No answer in time: the callee may be at it. (It may also say itself that it was not.) */
    if (status == KELPIE_E_TIMEOUT && payload.len == 0)
        status = KELPIE_E_UNKNOWN_RESULT;
    settle(call, status, answer.body);
}

/* What this node adds to the age: for as long as it has had the request. */
static void set_age(const struct actor_call *call, struct actor_request *r)
{
    uint64_t held_ns = env_now_ns(call->actors->env) - call->came_ns;

    r->age_known = call->age_ms != REQUEST_AGE_UNKNOWN;
    r->age_ms = r->age_known ? call->age_ms : 0;
    if (!MUTANT("callage"))
        r->age_ms += (held_ns + NS_PER_MS - 1) / NS_PER_MS;
}

static void send_local(struct actor_call *call, uint64_t generation)
{
    struct actors *a = call->actors;
    struct actor_request r = {.op = call->nudge ? ACTOR_OP_NUDGE : ACTOR_OP_CALL,
                              .generation = generation,
                              .until_ms = call->until_ms,
                              .send = call->send,
                              .after_ms = call->after_ms};
    struct invocation *inv;

    memcpy(r.type, call->type, sizeof r.type);
    memcpy(r.id, call->id, sizeof r.id);
    memcpy(r.method, call->method, sizeof r.method);
    memcpy(r.request_id, call->request_id, sizeof r.request_id);
    set_age(call, &r);
    r.body = bytes_of(call->body, call->body_len);
    r.chain = call->chain;
    inv = invocation_new(a, &r);
    inv->deadline_ns = call->deadline_ns;
    inv->call = call;
    call->inv = inv;
    a->stats.calls_local += !call->nudge;
    wait_in(call, CALL_LOCAL);
    host_deliver(a, inv);
}

/* An attempt that gets no answer is repeated, under the same request id: a lost frame costs this
 * long and no more, and a repeat that meets the first still at work gets that one's answer. */
static uint64_t attempt_timeout_ns(const struct actor_call *call)
{
    uint64_t ms = cluster_config_of(call->actors->cluster)->timing.rpc_timeout_ms;
    uint64_t left = remaining_ns(call);

    if (ms < ATTEMPT_TIMEOUT_MIN_MS)
        ms = ATTEMPT_TIMEOUT_MIN_MS;
    ms <<= call->timeouts < 6 ? call->timeouts : 6;
    return ms * NS_PER_MS < left ? ms * NS_PER_MS : left;
}

static void send_remote(struct actor_call *call, const struct placement *placement)
{
    struct actors *a = call->actors;
    struct actor_request r = {
        .op = call->nudge ? ACTOR_OP_NUDGE : ACTOR_OP_CALL,
        .until_ms = call->until_ms,
        .generation = placement->record.generation,
        .remaining_ms = (uint32_t)(remaining_ns(call) / NS_PER_MS) + 1,
        .body = bytes_of(call->body, call->body_len),
        .chain = call->chain,
        .send = call->send,
        .after_ms = call->after_ms,
    };

    memcpy(r.type, call->type, sizeof r.type);
    memcpy(r.id, call->id, sizeof r.id);
    memcpy(r.method, call->method, sizeof r.method);
    memcpy(r.request_id, call->request_id, sizeof r.request_id);
    set_age(call, &r);
    r.echo_ns = peer_clock(a, placement->record.boot);
    buf_clear(&a->out);
    actor_request_encode(&a->out, &r);
    a->stats.calls_forwarded += !call->nudge;
    wait_in(call, CALL_REMOTE);
    rpc_start(a->rpc, &call->rpc, placement->addr, placement->record.boot, RPC_ACTOR_CALL,
              buf_bytes(&a->out), attempt_timeout_ns(call), on_rpc_done, call);
}

static void send_to(struct actor_call *call, const struct placement *placement)
{
    struct host self = actors_self(call->actors);

    /* Whatever the incarnation: what is right now, loading finds out. */
    if (strcmp(placement->record.node_id, self.node_id) == 0 &&
        uuid_equal(placement->record.boot, self.boot))
        send_local(call, placement->record.generation);
    else
        send_remote(call, placement);
}

/* A node whose lease ran out asks nothing of others and writes nothing until it acts again, and says
 * so at once. It may have been stopped for long: whoever asked may have gone elsewhere since, and so
 * far on that the actor no longer knows the request id, so nothing is tried again later. (A node that
 * has left by itself still hands calls on to the others.) */
static bool end_if_suspended(struct actor_call *call)
{
    struct actors *a = call->actors;

    a->looking = call;
    (void)cluster_may_act(a->cluster); /* notices that the lease has just run out */
    if (a->looking != call)
        return true; /* it was a turn's, which ended with that: it is gone */
    a->looking = NULL;
    if (!a->suspended)
        return false;
    SOMETIMES("call-ended-by-the-lapse");
    call->state = CALL_WAITING;
    call->suspended = true;
    timer_start(&call->timer, 0);
    return true;
}

void calls_suspend(struct actors *a)
{
    LIST_FOREACH(l, &a->calls)
    {
        struct actor_call *call = LIST_ENTRY(l, struct actor_call, link);
        call->suspended = true;
        timer_start(&call->timer, 0);
    }
}

void actors_stood_still(struct actors *a)
{
    LIST_FOREACH(l, &a->calls)
    {
        struct actor_call *call = LIST_ENTRY(l, struct actor_call, link);
        /* What a turn asks for was in no socket. */
        call->suspended |= call->state == CALL_NEW && call->chain.len == 0;
    }
}

static void step(struct actor_call *call)
{
    struct actors *a = call->actors;
    const struct kelpie_actor *act;
    struct placement placement;

    if (end_if_suspended(call))
        return;
    act = act_find(a, call->type, call->id);
    if (act && act->state != ACT_SETTLING && act->state != ACT_UNSETTLED) {
        send_local(call, 0);
    } else if (directory_find(&a->directory, cluster_view(a->cluster), call->type, call->id,
                              &placement)) {
        send_to(call, &placement);
    } else {
        wait_in(call, CALL_FINDING);
        finder_want(a, call);
    }
}

void call_found(struct actor_call *call, const struct placement *placement)
{
    CHECK(call->state == CALL_FINDING);
    if (remaining_ns(call) == 0)
        deadline_passed(call);
    else if (!end_if_suspended(call))
        send_to(call, placement);
}

void call_found_nothing(struct actor_call *call)
{
    CHECK(call->state == CALL_FINDING && call->reads);
    if (remaining_ns(call) == 0)
        deadline_passed(call);
    else if (!end_if_suspended(call))
        send_local(call, 0);
}

void call_not_found(struct actor_call *call, int status, const char *why)
{
    CHECK(call->state == CALL_FINDING);
    if (excludes(status)) {
        if (!call->maybe_applied) {
            finish_text(call, status, why);
            return;
        }
        /* All were asked: those that had no room may have some by now. */
        SOMETIMES("all-full-after-it-may-have-been-applied");
        mem_free(call->actors->env->mem, call->excluded);
        call->excluded = NULL;
    }
    settle(call, status, bytes_of_str(why));
}

void calls_view_changed(struct actors *a)
{
    LIST_FOREACH(l, &a->calls)
    {
        struct actor_call *call = LIST_ENTRY(l, struct actor_call, link);
        if (call->state != CALL_WAITING)
            continue;
        call->tries = 0;
        timer_start(&call->timer, 0);
    }
}

void calls_close(struct actors *a)
{
    while (!list_empty(&a->calls)) {
        struct actor_call *call = LIST_ENTRY(a->calls.next, struct actor_call, link);
        give_up(call, "the node is closing");
    }
}

/* What is wrong with the arguments: a status, with a sentence in call->reason. */
static int check_arguments(struct actor_call *call, const struct call_ask *ask)
{
    char *why = call->reason;
    size_t size = sizeof call->reason;
    int error = id_check("actor type", bytes_of_str(ask->type), ACTOR_TYPE_MAX, why, size);

    if (!error)
        error = id_check("actor id", bytes_of_str(ask->id), ACTOR_ID_MAX, why, size);
    if (!error)
        error = id_check("method", bytes_of_str(ask->method), KELPIE_METHOD_MAX, why, size);
    if (!error && ask->request_id[0])
        error = id_check("request id", bytes_of_str(ask->request_id), REQUEST_ID_MAX, why, size);
    if (!error && ask->body.len > KELPIE_BODY_MAX) {
        (void)snprintf(why, size, "the body has %zu bytes; at most %u are allowed", ask->body.len,
                       KELPIE_BODY_MAX);
        error = KELPIE_E_TOO_LARGE;
    }
    if (!error && ask->send && ask->body.len > KELPIE_MESSAGE_BODY_MAX) {
        (void)snprintf(why, size, "the message has %zu bytes; at most %u are allowed",
                       ask->body.len, KELPIE_MESSAGE_BODY_MAX);
        error = KELPIE_E_TOO_LARGE;
    }
    if (!error && ask->send && ask->after_ms > KELPIE_SEND_DELAY_MS_MAX) {
        (void)snprintf(why, size, "the delay is over %llu ms, ten years",
                       (unsigned long long)KELPIE_SEND_DELAY_MS_MAX);
        error = KELPIE_E_INVALID;
    }
    if (!error && ask->deadline_ms > CALL_DEADLINE_MS_MAX) {
        (void)snprintf(why, size, "the deadline is %u ms; at most %d ms are allowed",
                       ask->deadline_ms, CALL_DEADLINE_MS_MAX);
        error = KELPIE_E_INVALID;
    }
    if (!error && call->actors->closed) {
        (void)snprintf(why, size, "the node is closing");
        error = KELPIE_E_UNAVAILABLE;
    }
    if (!error && call->actors->call_count >= CALLS_MAX) {
        cap_reached(&call->actors->caps[ACTORS_CAP_CALLS], call->actors->env);
        error = KELPIE_E_LIMIT;
    }
    return error;
}

static uint32_t call_flags(const struct actors *a, const char *type, const char *method)
{
    const struct kelpie_class *class = actors_class(a, type);

    return class ? class_method_flags(class, method) : 0;
}

void calls_nudge(struct actors *a, const char *type, const char *id, uint64_t until_ms,
                 actor_call_fn *done, void *arg)
{
    struct actor_call *call = MEM_NEW(a->env->mem, struct actor_call);

    call->actors = a;
    call->done = done;
    call->arg = arg;
    call->nudge = true;
    call->until_ms = until_ms;
    list_init(&call->wait_link);
    timer_init(&call->timer, a->env->timers, "nudge_call", on_timer, call);
    memcpy(call->type, type, strlen(type));
    memcpy(call->id, id, strlen(id));
    call->came_ns = env_now_ns(a->env);
    call->deadline_ns = call->came_ns + NUDGE_DEADLINE_MS * NS_PER_MS;
    list_append(&a->calls, &call->link);
    a->call_count++;
    timer_start(&call->timer, 0);
}

static void take_arguments(struct actor_call *call, const struct call_ask *ask)
{
    struct actors *a = call->actors;
    uint8_t *chain = call->body + ask->body.len;

    (void)snprintf(call->type, sizeof call->type, "%s", ask->type);
    (void)snprintf(call->id, sizeof call->id, "%s", ask->id);
    (void)snprintf(call->method, sizeof call->method, "%s", ask->method);
    if (ask->request_id[0])
        (void)snprintf(call->request_id, sizeof call->request_id, "%s", ask->request_id);
    else
        uuid_to_text(random_uuid(a->env->random), call->request_id);
    call->send = ask->send;
    call->after_ms = ask->after_ms;
    call->reads = !ask->send && (call_flags(a, ask->type, ask->method) & KELPIE_METHOD_READ) != 0;
    call->age_ms = ask->request_id[0] ? ask->age_ms : 0;
    call->came_ns = env_now_ns(a->env);
    call->body_len = ask->body.len;
    if (ask->body.len)
        memcpy(call->body, ask->body.data, ask->body.len);
    call->chain = bytes_of(chain, ask->chain.len);
    if (ask->chain.len)
        memcpy(chain, ask->chain.data, ask->chain.len);
}

struct actor_call *call_start(struct actors *a, const struct call_ask *ask, actor_call_fn *done,
                              void *arg)
{
    size_t kept = ask->body.len <= KELPIE_BODY_MAX ? ask->body.len : 0;
    struct actor_call *call = mem_zalloc(a->env->mem, 1, sizeof *call + kept + ask->chain.len);

    CHECK(done);
    call->actors = a;
    call->done = done;
    call->arg = arg;
    list_init(&call->wait_link);
    timer_init(&call->timer, a->env->timers, "actor_call", on_timer, call);
    call->status = check_arguments(call, ask);
    if (!call->status)
        take_arguments(call, ask);
    call->deadline_ns =
        env_now_ns(a->env) +
        (ask->deadline_ms ? ask->deadline_ms : CALL_DEADLINE_MS_DEFAULT) * NS_PER_MS;
    list_append(&a->calls, &call->link);
    a->call_count++;
    timer_start(&call->timer, 0);
    return call;
}

#include "rpc/rpc.h"

#include <stdio.h>

#include "base/mark.h"
#include "kelpie/error.h"
#include "rpc/rpc_message.h"

/* call->status while nothing is decided yet; every decided status is 0 or negative. A decided call
 * only waits for its timer, armed with 0, to run `done` from the loop. */
#define IN_FLIGHT 1

static void report_bad(struct rpc *rpc, const char *from, int error, const char *why)
{
    rpc->dropped++;
    if (rpc->on_bad)
        rpc->on_bad(rpc->on_bad_arg, from, error, why);
}

static void complete(struct rpc_call *call, int status, struct bytes payload)
{
    struct rpc *rpc = call->rpc;

    CHECK(rpc && status <= 0);
    timer_stop(&call->timer);
    map_remove(&rpc->calls, &call->node);
    call->rpc = NULL;
    call->status = status;
    call->done(call, status, payload);
}

static void on_timer(void *arg)
{
    struct rpc_call *call = arg;

    complete(call, call->status == IN_FLIGHT ? KELPIE_E_TIMEOUT : call->status, bytes_of(NULL, 0));
}

/* Decides the outcome; `done` follows from the loop. What was decided first stands. */
static void settle(struct rpc_call *call, int status)
{
    if (call->status != IN_FLIGHT)
        return;
    call->status = status;
    timer_start(&call->timer, 0);
}

static bool boot_matches(const struct rpc_call *call, const void *boot)
{
    return uuid_equal(call->target_boot, *(const struct uuid *)boot);
}

static bool addr_matches(const struct rpc_call *call, const void *addr)
{
    return strcmp(call->addr, addr) == 0;
}

static bool any_matches(const struct rpc_call *call, const void *arg)
{
    (void)call;
    (void)arg;
    return true;
}

static void settle_all(struct rpc *rpc, bool (*matches)(const struct rpc_call *, const void *),
                       const void *arg, int status)
{
    for (struct map_node *n = map_first(&rpc->calls); n; n = map_next(n)) {
        struct rpc_call *call = MAP_ENTRY(n, struct rpc_call, node);

        if (matches(call, arg))
            settle(call, status);
    }
}

/* Both know their cluster, and it is not the same one. */
static bool is_foreign(const struct rpc *rpc, const struct rpc_identity *from)
{
    return !uuid_is_zero(rpc->self.cluster_id) && !uuid_is_zero(from->cluster_id) &&
           !uuid_equal(rpc->self.cluster_id, from->cluster_id);
}

static void report_foreign(struct rpc *rpc, const struct rpc_identity *from)
{
    char theirs[UUID_TEXT_SIZE], ours[UUID_TEXT_SIZE];
    char why[RPC_NODE_ID_MAX + NET_ADDR_SIZE + 2 * UUID_TEXT_SIZE + 64];

    uuid_to_text(from->cluster_id, theirs);
    uuid_to_text(rpc->self.cluster_id, ours);
    (void)snprintf(why, sizeof why, "node %s at %s belongs to cluster %s, this node to cluster %s",
                   from->node_id, from->addr, theirs, ours);
    report_bad(rpc, from->addr, KELPIE_E_STORE_FOREIGN, why);
}

static void on_request(struct rpc *rpc, const struct rpc_message *m)
{
    struct rpc_request request = {
        .from = m->from,
        .id = m->id,
        .deadline_ns = env_now_ns(rpc->env) + m->remaining_ms * NS_PER_MS,
        .payload = m->payload,
    };

    if (is_foreign(rpc, &m->from)) {
        report_foreign(rpc, &m->from);
        rpc_reply(rpc, &request, KELPIE_E_STORE_FOREIGN, bytes_of(NULL, 0));
    } else if (!uuid_is_zero(m->target_boot) && !uuid_equal(m->target_boot, rpc->self.boot)) {
        SOMETIMES("message-to-another-life");
        rpc_reply(rpc, &request, KELPIE_E_NOT_HERE, bytes_of(NULL, 0));
    } else if (!rpc->handlers[m->kind].fn) {
        rpc_reply(rpc, &request, KELPIE_E_UNAVAILABLE, bytes_of(NULL, 0));
    } else {
        rpc->handlers[m->kind].fn(rpc->handlers[m->kind].arg, &request);
    }
}

/* Another life than the one that was asked can only say that it is another, and another cluster
 * only that it is foreign. */
static bool answer_is_plausible(const struct rpc *rpc, const struct rpc_call *call,
                                const struct rpc_message *m)
{
    if (m->status == KELPIE_E_STORE_FOREIGN || m->status == KELPIE_E_NOT_HERE)
        return true;
    if (is_foreign(rpc, &m->from))
        return false;
    return uuid_is_zero(call->target_boot) || uuid_equal(call->target_boot, m->from.boot);
}

static void on_answer(struct rpc *rpc, const struct rpc_message *m)
{
    uint8_t key[8];
    struct rpc_call *call;

    rpc_id_key(m->id, key);
    call = MAP_ENTRY(map_find(&rpc->calls, bytes_of(key, sizeof key)), struct rpc_call, node);
    /* Late, or a duplicate: nobody waits for it any more. */
    if (!call || call->status != IN_FLIGHT) {
        rpc->dropped++;
        return;
    }
    if (!answer_is_plausible(rpc, call, m)) {
        report_bad(rpc, m->from.addr, KELPIE_E_PROTOCOL,
                   "an answer came from another node than the one that was asked");
        return;
    }
    call->from = m->from;
    complete(call, m->status, m->payload);
}

static void on_frame(void *arg, struct bytes payload)
{
    struct rpc *rpc = arg;
    struct rpc_message m;

    rpc->received++;
    if (rpc_message_decode(payload, &m)) {
        report_bad(rpc, "a peer", KELPIE_E_PROTOCOL, "a message is malformed");
        return;
    }
    if (m.is_answer)
        on_answer(rpc, &m);
    else
        on_request(rpc, &m);
}

static void on_down(void *arg, const char *addr)
{
    settle_all(arg, addr_matches, addr, KELPIE_E_UNREACHABLE);
}

static void on_bad_frame(void *arg, const char *from, int error)
{
    report_bad(arg, from, error, kelpie_error_text(error));
}

static const struct net_events events = {
    .frame = on_frame,
    .down = on_down,
    .bad = on_bad_frame,
};

void rpc_init(struct rpc *rpc, const struct env *env)
{
    *rpc = (struct rpc){.env = env};
    map_init(&rpc->calls);
    buf_init(&rpc->out, env->mem);
    buf_init(&rpc->scratch, env->mem);
    /* Answers meant for an earlier life at this address find no call. */
    rpc->next_id = random_u64(env->random);
    env->net.ops->receive(env->net.ctx, &events, rpc);
}

void rpc_deinit(struct rpc *rpc)
{
    CHECK(rpc->calls.count == 0);
    rpc->env->net.ops->receive(rpc->env->net.ctx, NULL, NULL);
    buf_deinit(&rpc->out);
    buf_deinit(&rpc->scratch);
}

void rpc_set_identity(struct rpc *rpc, const struct rpc_identity *self)
{
    rpc->self = *self;
}

void rpc_serve(struct rpc *rpc, enum rpc_kind kind, rpc_handler_fn *fn, void *arg)
{
    CHECK(kind > 0 && kind < RPC_KIND_COUNT);
    rpc->handlers[kind].fn = fn;
    rpc->handlers[kind].arg = arg;
}

static int send_message(struct rpc *rpc, const char *addr, const struct rpc_message *m)
{
    int error;

    buf_clear(&rpc->out);
    rpc_message_encode(&rpc->out, m);
    error = net_send(rpc->env->net, addr, buf_bytes(&rpc->out), &rpc->scratch);
    if (error)
        rpc->dropped++;
    else
        rpc->sent++;
    return error;
}

static int send_request(struct rpc *rpc, struct rpc_call *call, enum rpc_kind kind,
                        struct bytes payload, uint64_t timeout_ns)
{
    struct rpc_message m = {
        .kind = (uint8_t)kind,
        .id = call->id,
        .remaining_ms = rpc_remaining_ms(timeout_ns),
        .from = rpc->self,
        .target_boot = call->target_boot,
        .payload = payload,
    };

    if (rpc->calls.count > RPC_CALLS_MAX)
        return KELPIE_E_LIMIT;
    if (payload.len > RPC_PAYLOAD_MAX)
        return KELPIE_E_TOO_LARGE;
    if (call->addr[0] == '\0')
        return KELPIE_E_UNREACHABLE;
    return send_message(rpc, call->addr, &m);
}

void rpc_start(struct rpc *rpc, struct rpc_call *call, const char *addr, struct uuid target_boot,
               enum rpc_kind kind, struct bytes payload, uint64_t timeout_ns, rpc_done_fn *done,
               void *arg)
{
    int error;

    CHECK(timeout_ns > 0 && done && kind > 0 && kind < RPC_KIND_COUNT);
    *call = (struct rpc_call){
        .done = done,
        .arg = arg,
        .sent_ns = env_now_ns(rpc->env),
        .rpc = rpc,
        .id = rpc->next_id++,
        .target_boot = target_boot,
        .status = IN_FLIGHT,
    };
    /* An address that does not fit is no address: the call ends as unreachable. */
    if (strlen(addr) < sizeof call->addr)
        memcpy(call->addr, addr, strlen(addr) + 1);
    rpc_id_key(call->id, call->id_key);
    CHECK(!map_insert(&rpc->calls, &call->node, bytes_of(call->id_key, sizeof call->id_key)));
    timer_init(&call->timer, rpc->env->timers, "rpc_call", on_timer, call);

    error = send_request(rpc, call, kind, payload, timeout_ns);
    if (error)
        settle(call, error);
    else
        timer_start(&call->timer, timeout_ns);
}

void rpc_cancel(struct rpc_call *call)
{
    if (call->rpc)
        settle(call, KELPIE_E_CANCELLED);
}

void rpc_cancel_all(struct rpc *rpc)
{
    settle_all(rpc, any_matches, NULL, KELPIE_E_CANCELLED);
}

void rpc_fail_boot(struct rpc *rpc, struct uuid boot)
{
    if (uuid_is_zero(boot))
        return;
    if (rpc->calls.count > 0)
        SOMETIMES("calls-outstanding-when-a-member-goes");
    settle_all(rpc, boot_matches, &boot, KELPIE_E_UNREACHABLE);
}

size_t rpc_outstanding(const struct rpc *rpc)
{
    return rpc->calls.count;
}

void rpc_reply(struct rpc *rpc, const struct rpc_request *request, int status, struct bytes payload)
{
    struct rpc_message m = {
        .is_answer = true,
        .id = request->id,
        .status = status,
        .from = rpc->self,
        .target_boot = request->from.boot,
        .payload = payload,
    };

    CHECK(status <= 0 && status >= -RPC_STATUS_MAX);
    if (env_now_ns(rpc->env) >= request->deadline_ns) {
        rpc->dropped++;
        return;
    }
    if (payload.len > RPC_PAYLOAD_MAX) {
        m.status = KELPIE_E_TOO_LARGE;
        m.payload = bytes_of(NULL, 0);
    }
    /* A full queue loses it: the caller's deadline, or its repeat, deals with that. */
    (void)send_message(rpc, request->from.addr, &m);
}

#include "rpc/rpc.h"

#include <stdio.h>

#include "base/mark.h"
#include "base/mutant.h"
#include "kelpie/error.h"
#include "rpc/rpc_message.h"

/* call->status while nothing is decided yet; every decided status is 0 or negative. A decided call
 * only waits for its timer, armed with 0, to run `done` from the loop. */
#define IN_FLIGHT 1
#define FOREIGN_TELL_MS 1000

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

/* A zero id is nobody's. */
static bool uuid_matches(struct uuid a, struct uuid b)
{
    if (MUTANT("zeroid") && (uuid_is_zero(a) || uuid_is_zero(b)))
        return true;
    return !uuid_is_zero(a) && uuid_equal(a, b);
}

static enum net_standing refuse(struct rpc *rpc, const char *from, int error, const char *why)
{
    rpc->refused++;
    report_bad(rpc, from, error, why);
    return NET_REFUSED;
}

/* The sentence costs more than the frame that it is about: one in FOREIGN_TELL_MS. */
static enum net_standing refuse_foreign(struct rpc *rpc, const struct net_from *from,
                                        struct bytes payload, struct rpc_message *m)
{
    char theirs[UUID_TEXT_SIZE], ours[UUID_TEXT_SIZE];
    char why[RPC_NODE_ID_MAX + 2 * UUID_TEXT_SIZE + 64];
    uint64_t now = env_now_ns(rpc->env);

    rpc->refused++;
    if (rpc->foreign_told_ns && now - rpc->foreign_told_ns < FOREIGN_TELL_MS * NS_PER_MS)
        return NET_REFUSED;
    rpc->foreign_told_ns = now;
    uuid_to_text(m->from.cluster_id, theirs);
    uuid_to_text(rpc->self.cluster_id, ours);
    if (rpc_message_decode(payload, m))
        m->from.node_id[0] = '\0';
    (void)snprintf(why, sizeof why, "node %s belongs to cluster %s, this node to cluster %s",
                   m->from.node_id, theirs, ours);
    report_bad(rpc, from->somewhere, KELPIE_E_STORE_FOREIGN, why);
    return NET_REFUSED;
}

static enum net_standing standing_of(const struct rpc *rpc, const struct rpc_identity *who)
{
    return rpc->knows && rpc->knows(rpc->knows_arg, who) ? NET_MEMBER : NET_STRANGER;
}

/* Who has proven what it is speaks as nobody else. */
static bool speaks_as_itself(const struct net_from *from, const struct rpc_identity *who)
{
    return from->identity[0] == '\0' || strcmp(from->identity, who->node_id) == 0;
}

/* What the places at the head of a request say already: 0, or the error it is answered with. */
static int head_fault(const struct rpc *rpc, const struct rpc_message *m)
{
    if (uuid_is_zero(rpc->self.cluster_id))
        return KELPIE_E_UNAVAILABLE;
    if (!uuid_matches(rpc->self.cluster_id, m->from.cluster_id))
        return KELPIE_E_STORE_FOREIGN;
    return uuid_matches(m->target_boot, rpc->self.boot) ? 0 : KELPIE_E_NOT_HERE;
}

static void answer_head(struct rpc *rpc, const struct net_from *from, const struct rpc_message *m,
                        int error)
{
    struct rpc_request request = {.from = m->from, .id = m->id, .conn = from->conn};

    request.deadline_ns = UINT64_MAX;
    rpc_reply(rpc, &request, error, bytes_of(NULL, 0));
}

/* Refused by its head alone. Whoever asks for another life of this node may have known that one: a
 * known life that does is no stranger. */
static enum net_standing on_head_fault(struct rpc *rpc, const struct net_from *from,
                                       struct rpc_message *m, struct bytes payload, int error)
{
    answer_head(rpc, from, m, error);
    if (error == KELPIE_E_UNAVAILABLE)
        return NET_STRANGER;
    if (error == KELPIE_E_STORE_FOREIGN)
        return refuse_foreign(rpc, from, payload, m);
    SOMETIMES("message-to-another-life");
    if (rpc_message_decode(payload, m) == 0 && standing_of(rpc, &m->from) == NET_MEMBER)
        return NET_MEMBER;
    rpc->refused++;
    return NET_REFUSED;
}

static enum net_standing on_request(struct rpc *rpc, const struct net_from *from,
                                    struct bytes payload, struct rpc_message *m)
{
    int fault = head_fault(rpc, m);

    if (!fault && rpc_message_decode(payload, m))
        return refuse(rpc, from->somewhere, KELPIE_E_PROTOCOL, "a message is malformed");
    if (!fault && !speaks_as_itself(from, &m->from))
        return refuse(rpc, from->somewhere, KELPIE_E_PROTOCOL,
                      "a message names another node than the one that its sender proved to be");
    /* A refusal of the one copy would be no answer to the other. */
    if (!MUTANT("copytaken") && rpc_seen_before(&rpc->seen, rpc->env->mem, from->conn, m->id)) {
        SOMETIMES("request-arrives-twice");
        rpc->dropped++;
        return NET_STRANGER;
    }
    if (fault)
        return on_head_fault(rpc, from, m, payload, fault);

    struct rpc_request request = {
        .from = m->from,
        .conn = from->conn,
        .id = m->id,
        .deadline_ns = env_now_ns(rpc->env) + m->remaining_ms * NS_PER_MS,
        .payload = m->payload,
    };
    enum net_standing standing = standing_of(rpc, &m->from);

    if (!rpc->handlers[m->kind].fn)
        rpc_reply(rpc, &request, KELPIE_E_UNAVAILABLE, bytes_of(NULL, 0));
    else
        rpc->handlers[m->kind].fn(rpc->handlers[m->kind].arg, &request);
    return standing;
}

/* It came from where the request went, and from the life that was asked. Another life at that
 * address can only say that it is another, and another cluster only that it is foreign. */
static bool answer_is_plausible(const struct rpc *rpc, const struct rpc_call *call,
                                const struct net_from *from, const struct rpc_message *m)
{
    if (MUTANT("answerbyid"))
        return true;
    if (strcmp(call->addr, from->dialled) != 0 || !speaks_as_itself(from, &m->from) ||
        !uuid_matches(m->target_boot, rpc->self.boot))
        return false;
    if (m->status == KELPIE_E_STORE_FOREIGN || m->status == KELPIE_E_NOT_HERE)
        return true;
    if (!uuid_matches(call->target_boot, m->from.boot))
        return false;
    return m->status == KELPIE_E_UNAVAILABLE ||
           uuid_matches(rpc->self.cluster_id, m->from.cluster_id);
}

static enum net_standing on_answer(struct rpc *rpc, const struct net_from *from,
                                   struct bytes payload, struct rpc_message *m)
{
    uint8_t key[8];
    struct rpc_call *call;

    rpc_id_key(m->id, key);
    call = MAP_ENTRY(map_find(&rpc->calls, bytes_of(key, sizeof key)), struct rpc_call, node);
    /* Late, or a duplicate: nobody waits for it any more. */
    if (!call || call->status != IN_FLIGHT) {
        rpc->dropped++;
        return NET_STRANGER;
    }
    if (rpc_message_decode(payload, m))
        return refuse(rpc, from->somewhere, KELPIE_E_PROTOCOL, "a message is malformed");
    if (!answer_is_plausible(rpc, call, from, m)) {
        SOMETIMES("answer-of-another");
        return refuse(rpc, from->somewhere, KELPIE_E_PROTOCOL,
                      "an answer came from another node than the one that was asked");
    }
    call->from = m->from;
    complete(call, m->status, m->payload);
    return NET_MEMBER;
}

static enum net_standing on_frame(void *arg, const struct net_from *from, struct bytes payload)
{
    struct rpc *rpc = arg;
    struct rpc_message m;
    bool dialled = from->dialled[0] != '\0';

    rpc->received++;
    if (rpc_message_head(payload, &m))
        return refuse(rpc, from->somewhere, KELPIE_E_PROTOCOL, "a message is malformed");
    if (m.is_answer != dialled && !MUTANT("answerbyid"))
        return refuse(rpc, from->somewhere, KELPIE_E_PROTOCOL,
                      dialled ? "a node that was asked asks on the same connection"
                              : "an answer came to a node that has not asked there");
    return m.is_answer ? on_answer(rpc, from, payload, &m) : on_request(rpc, from, payload, &m);
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
    *rpc = (struct rpc){.env = env,
                        .calls_cap = {.name = "rpc_calls", .bound = RPC_CALLS_MAX},
                        .queue_cap = {.name = "rpc_queue"}};
    map_init(&rpc->calls);
    rpc_seen_init(&rpc->seen);
    buf_init(&rpc->out, env->mem);
    buf_init(&rpc->scratch, env->mem);
    /* Answers meant for an earlier life at this address find no call. */
    rpc->next_id = random_u64(env->random) | 1;
    env->net.ops->receive(env->net.ctx, &events, rpc);
}

void rpc_deinit(struct rpc *rpc)
{
    CHECK(rpc->calls.count == 0);
    rpc->env->net.ops->receive(rpc->env->net.ctx, NULL, NULL);
    rpc_seen_deinit(&rpc->seen, rpc->env->mem);
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

void rpc_set_known(struct rpc *rpc, bool (*knows)(void *arg, const struct rpc_identity *who),
                   void *arg)
{
    rpc->knows = knows;
    rpc->knows_arg = arg;
}

static int sent(struct rpc *rpc, int error)
{
    if (error)
        rpc->dropped++;
    else
        rpc->sent++;
    if (error == KELPIE_E_LIMIT)
        cap_reached(&rpc->queue_cap, rpc->env);
    return error;
}

static struct bytes encoded(struct rpc *rpc, const struct rpc_message *m)
{
    buf_clear(&rpc->out);
    rpc_message_encode(&rpc->out, m);
    return buf_bytes(&rpc->out);
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

    if (rpc->calls.count > RPC_CALLS_MAX) {
        cap_reached(&rpc->calls_cap, rpc->env);
        return KELPIE_E_LIMIT;
    }
    if (payload.len > RPC_PAYLOAD_MAX)
        return KELPIE_E_TOO_LARGE;
    if (uuid_is_zero(rpc->self.cluster_id) && !MUTANT("zeroid"))
        return KELPIE_E_UNAVAILABLE;
    if (call->addr[0] == '\0' || uuid_is_zero(call->target_boot))
        return KELPIE_E_UNREACHABLE;
    return sent(rpc, net_send(rpc->env->net, call->addr, encoded(rpc, &m), &rpc->scratch));
}

static uint64_t next_id(struct rpc *rpc)
{
    if (rpc->next_id == 0)
        rpc->next_id = 1;
    return rpc->next_id++;
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
        .id = next_id(rpc),
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
    if (MUTANT("dialmessage"))
        rpc->dropped +=
            net_send(rpc->env->net, request->from.node_id, encoded(rpc, &m), &rpc->scratch) != 0;
    /* A full queue or a connection that is gone loses it: the caller is told of the one, and its
     * deadline, or its repeat, deals with the other. */
    (void)sent(rpc, net_answer(rpc->env->net, request->conn, encoded(rpc, &m), &rpc->scratch));
}

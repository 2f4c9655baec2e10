/*
 * Attempts: one call given to one process. Where a process stands still it lies in a socket meanwhile, or
 * in the queue of those not yet accepted, and is read when the process goes on, unless that closes its
 * clients' connections first. It says how old its request is, if its client does.
 */
#include "actor/actor_call.h"

#include <stdio.h>
#include <stdlib.h>

#include "kelpie/error.h"
#include "rpc/rpc_message.h"
#include "sim/report/sim_record.h"
#include "sim/steps/sim_turns.h"
#include "sim/workload/sim_trial.h"
#include "sim/workload/sim_workload_link.h"
#include "sim/world/sim_host.h"

#define LONG_WAY_IN 16 /* of the attempts, one is long under way to its node */
#define LONG_WAY_MS 2000
#define LONG_STOP_NS (6 * NS_PER_S) /* after it connections must have been closed */
#define READING_MS 3000             /* until all sockets have been read then */
#define LOST_CONNECTION_MS_MAX 80

/* "other" is of no class: some answer all methods alike, or say that they have none of that name. */
static const char *method_of(const struct sim_op *op, bool other)
{
    static const char *const methods[] = {"add", "get", "echo", "add"};

    if (other)
        return "other";
    /* Of trials every other one is declared as a read. */
    return op->kind == OP_GET && op->actor->trial && op->serial % 2 ? "read" : methods[op->kind];
}

static void attempt_free(struct attempt *a)
{
    if (a->client)
        a->client->attempt = NULL;
    world_cancel(a->p->world, &a->event);
    world_cancel(a->p->world, &a->arrive);
    list_remove(&a->link);
    op_release(a->op);
    free(a);
}

uint64_t actor_window_ns(const struct sim_actor *a)
{
    return (a->trial ? TRIAL_REMEMBER_MS : REMEMBER_MS_DEFAULT) * NS_PER_MS;
}

/* ---- answers */

static void take_error(struct workload *work, struct attempt *a, int status, struct bytes why)
{
    struct sim_op *op = a->op;
    bool first = !op->answered;

    if (kelpie_error_applied(status) == KELPIE_APPLIED_NO)
        history_refused(op, status == KELPIE_E_DOMAIN);
    work->stats.errors++;
    work->stats.mailbox_full += status == KELPIE_E_MAILBOX_FULL;
    work->stats.applied_no_reply += status == KELPIE_E_APPLIED_NO_REPLY;
    work->stats.too_late += status == KELPIE_E_TOO_LATE;
    work->stats.too_many += status == KELPIE_E_TOO_MANY;
    if (status == KELPIE_E_TOO_LATE)
        check_too_late(work->w, a);
    else if (check_error(work->w, op, status, why) && op->kind == OP_FAIL && op->answered && first)
        work->stats.failed++;
}

static void take_answer(struct workload *work, struct attempt *a, int status, struct bytes reply)
{
    struct sim_op *op = a->op;
    bool first = !op->answered;

    if (op->lost)
        return;
    if (a->other) {
        work->stats.reused += status == KELPIE_E_REQUEST_ID_REUSED;
        check_other(work->w, a, status);
        return;
    }
    if (!check_outcome(work->w, op, a->number, a->late, status))
        return;
    if (status) {
        take_error(work, a, status, reply);
        return;
    }
    if (!check_reply(work->w, op, reply) || !first)
        return;
    history_answered(work->w, op);
    work->stats.acknowledged++;
    work->stats.acknowledged_adds += op->kind == OP_ADD;
}

static void record_attempt(const struct attempt *a, int status)
{
    struct record_line l = {.from_ns = a->started_ns,
                            .node = (uint8_t)a->p->node,
                            .slot = (uint8_t)a->p->slot,
                            .value = a->op->serial,
                            .status = status,
                            .end = status ? END_ERROR : END_OK};
    record_call(a->p->world, &l, method_of(a->op, a->other), a->op->actor->type, a->op->actor->id);
}

static void on_call_done(void *arg, int status, struct bytes reply)
{
    struct attempt *a = arg, told;
    struct world *w = a->p->world;

    if (w->record)
        record_attempt(a, status);
    w->checks->compared[CHECK_COMPLETION]++;
    take_answer(w->work, a, status, reply);
    told = *a;
    attempt_free(a);
    if (told.client)
        client_completed(told.client, &told, status);
}

/* The process had all the time it asked for. */
static void on_attempt_due(struct world *w, struct sim_event *e)
{
    struct attempt *a = CONTAINER_OF(e, struct attempt, event);
    /* By a clock that may be a tenth slow. */
    uint64_t ms = w->config.call_deadline_ms;
    uint64_t patience = (ms + (a->p->skewed ? ms / 8 : ms / 64) + LATE_MS) * NS_PER_MS;
    uint64_t since = a->started_ns > a->p->thawed_ns ? a->started_ns : a->p->thawed_ns;

    if (a->p->frozen || since + patience > w->now_ns) {
        world_after(w, e, patience);
        return;
    }
    COMPARE(w, CHECK_COMPLETION, false,
            "n%u did not complete request %s to %s/%s within its deadline of %u ms and %u more",
            a->p->node + 1, a->op->request_id, a->op->actor->type, a->op->actor->id,
            w->config.call_deadline_ms, LATE_MS);
}

/* ---- to the process */

static bool is_under_way(const struct world *w, const struct attempt *a)
{
    LIST_FOREACH(it, &w->work->attempts)
    {
        if (LIST_ENTRY(it, struct attempt, link) == a)
            return true;
    }
    return false;
}

/* The process has read it, and looks at the time before it looks at that: it may close it unread. */
static void deliver(struct attempt *a)
{
    struct sim_op *op = a->op;
    struct process *p = a->p;
    struct world *w = p->world;
    char body[OP_BODY_MAX];

    process_enter(p, PROCESS_CALL, op->serial);
    a->in_socket = true;
    node_notice(process_node(p));
    if (is_under_way(w, a)) {
        a->in_socket = false;
        a->started_ns = w->now_ns;
        if (w->turns)
            turns_on_read(w, op->actor->type, op->actor->id, op->request_id, a->sent_ns);
        op->expires_ns = w->now_ns + timing_window_ns(&w->config.timing) +
                         w->config.fault_ms_max * NS_PER_MS +
                         (w->config.call_deadline_ms + LATE_MS) * NS_PER_MS;
        world_after(w, &a->event, (w->config.call_deadline_ms + LATE_MS) * NS_PER_MS);
        (void)snprintf(body, sizeof body, "%s", op->body);
        actors_call(node_actors(process_node(p)), op->actor->type, op->actor->id,
                    method_of(op, a->other), op->request_id, a->age_ms, bytes_of_str(body),
                    w->config.call_deadline_ms, on_call_done, a);
    }
    process_leave(p);
}

/* Its connection closed before it was read: surely it did nothing. */
static void close_unread(struct attempt *a)
{
    struct client *c = a->client;
    struct world *w = a->p->world;

    CHECK(a->in_socket);
    if (!a->other && !a->late)
        a->op->open--;
    w->work->stats.unread++;
    attempt_free(a);
    if (c)
        client_next(c, (1 + world_below(w, STREAM_AGES, LOST_CONNECTION_MS_MAX)) * NS_PER_MS);
}

static void on_arrive(struct world *w, struct sim_event *e)
{
    struct attempt *a = CONTAINER_OF(e, struct attempt, arrive);

    if (process_hold(a->p, e)) {
        a->held_ns = a->held_ns ? a->held_ns : w->now_ns;
        return;
    }
    /* After a long stop nobody reads all of its sockets at once. */
    if (a->held_ns && w->now_ns - a->held_ns > LONG_STOP_NS) {
        a->held_ns = 0;
        world_after(w, e, (1 + world_below(w, STREAM_AGES, READING_MS)) * NS_PER_MS);
        return;
    }
    if (process_closing(a->p))
        close_unread(a);
    else
        deliver(a);
}

static uint64_t age_of(const struct world *w, const struct sim_op *op)
{
    uint64_t age = (w->now_ns - op->first_ns + NS_PER_MS - 1) / NS_PER_MS;

    if (!op->ages)
        return REQUEST_AGE_UNKNOWN;
    return op->slow_watch ? age - age / 101 : age;
}

bool attempt_may_come(const struct world *w, const struct sim_op *op)
{
    return op->ages || op->attempts == 0 || w->now_ns <= op->first_ns + actor_window_ns(op->actor);
}

void attempt_send(struct world *w, struct client *c, struct sim_op *op, struct process *p,
                  enum attempt_kind kind)
{
    struct attempt *a = calloc(1, sizeof *a);
    bool sockets = sim_fault_on(&w->config, FAULT_SOCKETS);

    CHECK(a && attempt_may_come(w, op));
    a->client = c;
    a->op = op;
    a->p = p;
    a->sent_ns = w->now_ns;
    event_init(&a->event, on_attempt_due);
    event_init(&a->arrive, on_arrive);
    list_append(&w->work->attempts, &a->link);
    op->refs++;
    a->other = kind == ATTEMPT_OTHER;
    a->late = op->applied;
    a->answered = op->answered;
    if (op->attempts == 0) {
        op->first_ns = w->now_ns;
        if (w->turns)
            turns_on_send(w, op->actor->type, op->actor->id, op->request_id);
    }
    a->age_ms = age_of(w, op);
    op->crossed |= a->other;
    if (!a->other) {
        op->open += !a->late;
        history_asked(w, op);
        a->number = op->attempts + 1;
        w->work->stats.retries += op->attempts++ > 0;
    }
    if (c)
        c->attempt = a;
    w->work->stats.calls++;
    if (!p->frozen && !(sockets && world_below(w, STREAM_AGES, LONG_WAY_IN) == 0)) {
        deliver(a);
        return;
    }
    a->in_socket = true;
    if (p->frozen)
        world_met(w, FAULT_SOCKETS);
    world_after(w, &a->arrive, (1 + world_below(w, STREAM_AGES, LONG_WAY_MS)) * NS_PER_MS);
}

/* ---- the process's side */

void workload_drop_unread(struct world *w, const struct process *p)
{
    LIST_FOREACH_SAFE(it, tmp, &w->work->attempts)
    {
        struct attempt *a = LIST_ENTRY(it, struct attempt, link);
        if (a->p == p && a->in_socket)
            close_unread(a);
    }
}

void workload_process_gone(struct world *w, struct process *p)
{
    LIST_FOREACH_SAFE(it, tmp, &w->work->attempts)
    {
        struct attempt *a = LIST_ENTRY(it, struct attempt, link);
        struct client *c = a->client;
        if (a->p != p)
            continue;
        if (a->in_socket) {
            close_unread(a);
            continue;
        }
        attempt_free(a);
        if (c)
            client_next(c, (1 + world_below(w, STREAM_WORK, LOST_CONNECTION_MS_MAX * 1000)) * 1000);
    }
}

size_t workload_calls_of(const struct world *w, const struct process *p)
{
    size_t n = 0;
    LIST_FOREACH(it, &w->work->attempts)
    {
        const struct attempt *a = LIST_ENTRY(it, struct attempt, link);
        n += a->p == p && !a->in_socket;
    }
    return n;
}

/* ---- which attempt it is */

static struct sim_op *op_of(const struct world *w, const char *request_id)
{
    struct map_node *n = w->work ? map_find(&w->work->ops, bytes_of_str(request_id)) : NULL;

    return MAP_ENTRY(n, struct sim_op, node);
}

static const struct attempt *attempt_of(const struct process *p, uint64_t rpc_id)
{
    struct node *node = process_node(p);

    if (!node)
        return NULL;
    LIST_FOREACH(it, &node_actors(node)->calls)
    {
        const struct actor_call *call = LIST_ENTRY(it, const struct actor_call, link);
        if (call->state == CALL_REMOTE && call->rpc.id == rpc_id && call->done == on_call_done)
            return call->arg;
    }
    return NULL;
}

static void note_sent(struct sim_op *op, struct uuid boot, uint64_t rpc_id, unsigned attempt)
{
    if (op->sent_count == op->sent_cap) {
        op->sent_cap = op->sent_cap ? op->sent_cap * 2 : 4;
        op->sent = realloc(op->sent, op->sent_cap * sizeof *op->sent);
        CHECK(op->sent);
    }
    op->sent[op->sent_count++] = (struct sent){boot, rpc_id, attempt};
}

void workload_sent(struct process *p, struct bytes frame)
{
    struct rpc_message m;
    struct actor_request r;
    struct sim_op *op;

    if (sim_trials(&p->world->config) == 0 || rpc_message_decode(frame, &m) || m.is_answer ||
        m.kind != RPC_ACTOR_CALL || actor_request_decode(m.payload, &r) || r.op != ACTOR_OP_CALL ||
        strcmp(r.type, sim_class_trial.type) != 0)
        return;
    const struct attempt *a = attempt_of(p, m.id);
    op = op_of(p->world, r.request_id);
    if (op && a && a->op == op && !a->other)
        note_sent(op, p->boot, m.id, a->number);
}

unsigned workload_attempt(const struct world *w, const struct kelpie_actor *actor)
{
    const struct invocation *inv = actor->current;
    const struct sim_op *op = op_of(w, inv->request_id);

    if (!inv->from_peer)
        return inv->call && inv->call->done == on_call_done
                   ? ((const struct attempt *)inv->call->arg)->number
                   : 0;
    for (size_t i = 0; op && i < op->sent_count; i++)
        if (op->sent[i].rpc_id == inv->request.id &&
            uuid_equal(op->sent[i].boot, inv->request.from.boot))
            return op->sent[i].attempt;
    return 0;
}

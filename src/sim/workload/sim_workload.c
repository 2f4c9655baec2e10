#include "sim/workload/sim_workload.h"

#include <stdio.h>
#include <stdlib.h>

#include "actor/activation.h"
#include "kelpie/error.h"
#include "sim/report/sim_record.h"
#include "sim/workload/sim_workload_link.h"
#include "sim/world/sim_host.h"

#define RETRY_MS_MAX 80
#define LATE_MS 1500 /* after its deadline a call must have been completed */
/* An actor keeps 256 request ids: no more requests than this begin while one may be repeated. */
#define ADDS_APART_MAX 200
#define GIVE_UP_IN 12 /* one in so many errors makes a client give up */
#define COME_BACK_MS_MAX 20000
#define ASK_AGAIN_IN 16
#define BURST_CALLS (MAILBOX_MAX + BATCH_TURNS_MAX + 64)
#define STORM_CALLS (3 * FOLLOWERS_MAX)

struct client {
    struct world *w;
    struct sim_event event; /* what it does next, or loses its patience */
    struct sim_op *op;
    struct attempt *attempt; /* the one it waits for */
    struct sim_actor *only;  /* a probe */
    bool done;               /* a probe has its answer */
};

/* One call given to one process; it may outlive its client's interest. */
struct attempt {
    struct list link;
    struct sim_event event; /* the time by which it must be complete */
    struct client *client;  /* NULL: nobody waits */
    struct sim_op *op;
    struct process *p;
    uint64_t started_ns;
    bool late;       /* it began when its request had been applied already */
    unsigned number; /* of the request's attempts, from 1 */
};

struct workload {
    struct world *w;
    struct sim_actor *actors;
    unsigned actor_count;
    struct client *clients;
    unsigned client_count;
    struct client *probes;
    struct sim_event burst;
    struct list attempts;
    struct map ops; /* by request id */
    uint32_t serial;
    bool stopped;
    bool between_epochs;
    struct workload_stats stats;
};

static uint64_t below_ms(struct world *w, uint64_t ms)
{
    return (1 + world_below(w, STREAM_WORK, ms * 1000)) * 1000;
}

static void op_release(struct sim_op *op)
{
    if (op)
        op->refs--;
}

static void op_free(struct workload *work, struct sim_op *op)
{
    map_remove(&work->ops, &op->node);
    list_remove(&op->link);
    free(op);
}

/* Forgets what is over, and says whether another add may begin. The oldest request that may still be
 * repeated decides: those behind it saw as many adds or more. */
static bool may_add(const struct world *w, struct sim_actor *a)
{
    while (!list_empty(&a->ops)) {
        struct sim_op *op = LIST_ENTRY(a->ops.next, struct sim_op, link);
        w->work->stats.looked++;
        if (op->refs > 0 || op->expires_ns >= w->now_ns)
            return a->adds - op->adds_before < ADDS_APART_MAX;
        op_free(w->work, op);
    }
    return true;
}

/* ---- requests */

static struct sim_op *op_new(struct workload *work, const struct client *c)
{
    struct world *w = work->w;
    struct sim_op *op = calloc(1, sizeof *op);
    struct sim_actor *a =
        c->only ? c->only : &work->actors[world_below(w, STREAM_WORK, work->actor_count)];

    CHECK(op);
    op->serial = ++work->serial;
    op->refs = 1;
    op->actor = a;
    op->floor = a->floor;
    op->acknowledged = a->acknowledged;
    op->adds_before = a->adds;
    list_append(&a->ops, &op->link);
    op->lost = work->between_epochs;
    (void)snprintf(op->request_id, sizeof op->request_id, "r%u", op->serial);
    CHECK(!map_insert(&work->ops, &op->node, bytes_of_str(op->request_id)));
    if (!a->counter)
        op->kind = OP_ECHO;
    else if (!may_add(w, a) || c->only || world_below(w, STREAM_WORK, 4) == 0)
        op->kind = OP_GET;
    else
        op->kind = OP_ADD;
    op_ask(w, op, !c->only);
    return op;
}

static void client_next(struct client *c, uint64_t delay_ns)
{
    world_after(c->w, &c->event, delay_ns);
}

static void client_drop_op(struct client *c)
{
    op_release(c->op);
    c->op = NULL;
}

static void attempt_free(struct attempt *a)
{
    if (a->client)
        a->client->attempt = NULL;
    world_cancel(a->p->world, &a->event);
    list_remove(&a->link);
    op_release(a->op);
    free(a);
}

/* ---- answers */

static void take_answer(struct workload *work, struct attempt *a, int status, struct bytes reply)
{
    struct sim_op *op = a->op;
    bool first = !op->answered;

    if (op->lost || !check_outcome(work->w, op, a->number, a->late, status))
        return;
    if (status) {
        if (kelpie_error_applied(status) == KELPIE_APPLIED_NO)
            history_refused(op);
        work->stats.errors++;
        work->stats.mailbox_full += status == KELPIE_E_MAILBOX_FULL;
        work->stats.applied_no_reply += status == KELPIE_E_APPLIED_NO_REPLY;
        if (check_error(work->w, op, status, reply) && op->kind == OP_FAIL && op->answered && first)
            work->stats.failed++;
        return;
    }
    if (!check_reply(work->w, op, reply) || !first)
        return;
    history_answered(work->w, op);
    work->stats.acknowledged++;
    work->stats.acknowledged_adds += op->kind == OP_ADD;
}

static const char *const methods[] = {"add", "get", "echo", "add"};

static void record_attempt(const struct attempt *a, int status)
{
    struct record_line l = {.from_ns = a->started_ns,
                            .node = (uint8_t)a->p->node,
                            .slot = (uint8_t)a->p->slot,
                            .value = a->op->serial,
                            .status = status,
                            .end = status ? END_ERROR : END_OK};
    record_call(a->p->world, &l, methods[a->op->kind], a->op->actor->type, a->op->actor->id);
}

/* Some node that lives hosts actors of that class. */
static bool is_hosted(struct world *w, const struct sim_actor *a)
{
    for (unsigned n = 0; n < w->config.nodes; n++)
        if (host_process(w, n, SIM_SLOT_NODE) && (!a->trial || w->config.trial_hosts >> n & 1u))
            return true;
    return false;
}

static void probe_done(struct client *c)
{
    c->done = true;
    c->w->checks->compared[CHECK_ANSWERS]++;
    client_drop_op(c);
}

static void on_call_done(void *arg, int status, struct bytes reply)
{
    struct attempt *a = arg;
    struct world *w = a->p->world;
    struct client *c = a->client;

    bool nowhere = c && c->only && status == KELPIE_E_UNKNOWN_TYPE && !is_hosted(w, a->op->actor);

    if (w->record)
        record_attempt(a, status);
    w->checks->compared[CHECK_COMPLETION]++;
    take_answer(w->work, a, status, reply);
    attempt_free(a);
    if (nowhere)
        probe_done(c);
    else if (c)
        client_next(c, below_ms(w, status ? RETRY_MS_MAX : 1));
}

/* The process had all the time it asked for. */
static void on_attempt_due(struct world *w, struct sim_event *e)
{
    struct attempt *a = CONTAINER_OF(e, struct attempt, event);
    uint64_t patience = (w->config.call_deadline_ms + LATE_MS) * NS_PER_MS;
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

/* ---- clients */

/* Gives the request to one process. `c` waits for the answer; NULL: nobody does. */
static void send_to(struct world *w, struct client *c, struct sim_op *op, struct process *p)
{
    struct attempt *a = calloc(1, sizeof *a);
    CHECK(a);
    a->client = c;
    a->op = op;
    a->p = p;
    a->started_ns = w->now_ns;
    event_init(&a->event, on_attempt_due);
    list_append(&w->work->attempts, &a->link);
    op->refs++;
    a->late = op->applied;
    op->open += !a->late;
    history_asked(w, op);
    a->number = op->attempts + 1;
    op->expires_ns = w->now_ns + timing_window_ns(&w->config.timing) +
                     w->config.fault_ms_max * NS_PER_MS +
                     (w->config.call_deadline_ms + LATE_MS) * NS_PER_MS;
    w->work->stats.retries += op->attempts++ > 0;
    if (c)
        c->attempt = a;
    w->work->stats.calls++;
    world_after(w, &a->event, (w->config.call_deadline_ms + LATE_MS) * NS_PER_MS);
    process_enter(p, PROCESS_CALL, op->serial);
    char body[OP_BODY_MAX + 12];
    /* A repeat asks the same: it does not say which attempt it is. */
    (void)snprintf(body, sizeof body, op->actor->trial ? "%s 0" : "%s", op->body);
    actors_call(node_actors(process_node(p)), op->actor->type, op->actor->id, methods[op->kind],
                op->request_id, REQUEST_AGE_UNKNOWN, bytes_of_str(body), w->config.call_deadline_ms,
                on_call_done, a);
    process_leave(p);
}

static void client_send(struct client *c)
{
    struct world *w = c->w;
    struct process *p = hosts_pick(w, STREAM_WORK, false);

    /* A request to a frozen process waits in its socket; the client loses its patience as ever. */
    if (!p || p->frozen) {
        client_next(c, below_ms(w, RETRY_MS_MAX * 4));
        return;
    }
    /* Some clients wait for the answer, some are impatient and ask another node meanwhile. */
    uint64_t patience = w->config.call_deadline_ms + LATE_MS;
    if (world_below(w, STREAM_WORK, 4) == 0)
        patience = 20 + world_below(w, STREAM_WORK, patience);
    client_next(c, patience * NS_PER_MS);
    send_to(w, c, c->op, p);
}

static bool gives_up(struct client *c)
{
    const struct sim_op *op = c->op;

    if (c->only)
        return false;
    return op->attempts > 0 && world_below(c->w, STREAM_WORK, GIVE_UP_IN) == 0;
}

/* With the same request id, long after. */
static bool comes_back(struct client *c)
{
    struct world *w = c->w;

    if (w->work->stopped || !world_fault(w, FAULT_COMES_BACK, STREAM_TRIAL, 1, 2))
        return false;
    client_next(c, (1 + world_below(w, STREAM_TRIAL, COME_BACK_MS_MAX)) * NS_PER_MS);
    return true;
}

/* Although it has its answer: the same, or that it was applied. */
static bool asks_once_more(struct client *c)
{
    struct world *w = c->w;

    if (w->work->stopped || c->op->again || c->op->kind != OP_ADD)
        return false;
    c->op->again = world_fault(w, FAULT_COMES_BACK, STREAM_TRIAL, 1, ASK_AGAIN_IN);
    return c->op->again;
}

/* ---- bursts */

static void burst(struct workload *work)
{
    struct world *w = work->w;
    struct process *p = hosts_pick(w, STREAM_TRIAL, false);
    struct sim_actor *a = &work->actors[world_below(w, STREAM_TRIAL, work->actor_count)];

    if (!p || p->frozen || !a->counter)
        return;
    world_met(w, FAULT_BURST);
    /* The first one has to be committed, and the others wait meanwhile. */
    for (unsigned i = 0; i < BURST_CALLS && !p->frozen && !process_closing(p); i++) {
        struct client nobody = {.w = w, .only = a};
        struct sim_op *op = op_new(work, &nobody);
        op->apart = i > 0;
        if (i == 0 && may_add(w, a)) {
            op->kind = OP_ADD;
            op_ask(w, op, false);
        }
        send_to(w, NULL, op, p);
        op_release(op);
    }
}

/* One request, sent over and over by way of one node: its repeats wait for the first, and there are too
 * many. Preferably to an actor that says which of them it was. */
static void storm(struct workload *work)
{
    struct world *w = work->w;
    struct process *p = hosts_pick(w, STREAM_TRIAL, false);
    unsigned trials = sim_trials(&w->config);
    uint64_t at = trials ? w->config.actors + world_below(w, STREAM_TRIAL, trials)
                         : world_below(w, STREAM_TRIAL, w->config.actors);
    struct client nobody = {.w = w, .only = &work->actors[at]};
    struct sim_op *op;

    if (!p || p->frozen || !may_add(w, nobody.only))
        return;
    world_met(w, FAULT_BURST);
    op = op_new(work, &nobody);
    op->kind = OP_ADD;
    op_ask(w, op, false);
    for (unsigned i = 0; i < STORM_CALLS && !p->frozen && !process_closing(p); i++)
        send_to(w, NULL, op, p);
    op_release(op);
}

static void on_burst(struct world *w, struct sim_event *e)
{
    if (w->calm || w->work->stopped)
        return;
    if (world_below(w, STREAM_TRIAL, 2) == 0)
        burst(w->work);
    else
        storm(w->work);
    world_after(w, e, (1 + world_below(w, STREAM_TRIAL, 2ull * w->config.burst_ms)) * NS_PER_MS);
}

static void on_client_due(struct world *w, struct sim_event *e)
{
    struct client *c = CONTAINER_OF(e, struct client, event);
    struct workload *work = w->work;

    if (c->attempt) {
        work->stats.impatient++;
        c->attempt->client = NULL;
        c->attempt = NULL;
    }
    if (c->op && c->op->answered) {
        if (c->only) {
            check_final(w, c->op);
            probe_done(c);
            return;
        }
        if (asks_once_more(c)) {
            client_send(c);
            return;
        }
        client_drop_op(c);
        client_next(c, below_ms(w, w->config.think_ms * 2));
        return;
    }
    if (c->op && gives_up(c)) {
        work->stats.gave_up++;
        if (comes_back(c))
            return;
        client_drop_op(c);
    }
    if (work->stopped && !c->only) {
        client_drop_op(c);
        return;
    }
    if (!c->op)
        c->op = op_new(work, c);
    client_send(c);
}

void workload_process_gone(struct world *w, struct process *p)
{
    LIST_FOREACH_SAFE(it, tmp, &w->work->attempts)
    {
        struct attempt *a = LIST_ENTRY(it, struct attempt, link);
        struct client *c = a->client;
        if (a->p != p)
            continue;
        attempt_free(a);
        if (c)
            client_next(c, below_ms(w, RETRY_MS_MAX));
    }
}

size_t workload_calls_of(const struct world *w, const struct process *p)
{
    size_t n = 0;
    LIST_FOREACH(it, &w->work->attempts)
    {
        n += LIST_ENTRY(it, struct attempt, link)->p == p;
    }
    return n;
}

/* ---- the world's side */

void workload_applied(struct world *w, const char *type, const char *id, const char *request_id,
                      unsigned by)
{
    struct map_node *n = w->work ? map_find(&w->work->ops, bytes_of_str(request_id)) : NULL;
    struct sim_op *op = MAP_ENTRY(n, struct sim_op, node);

    if (op && !op->lost && !op->applied && strcmp(op->actor->type, type) == 0 &&
        strcmp(op->actor->id, id) == 0)
        check_applied(w, op, by == 0 && op->attempts == 1 ? 1 : by);
}

struct workload *workload_new(struct world *w)
{
    struct workload *work = calloc(1, sizeof *work);
    const struct sim_config *c = &w->config;

    CHECK(work);
    work->w = w;
    list_init(&work->attempts);
    map_init(&work->ops);
    work->actor_count = c->actors + sim_trials(c) + (c->actors ? c->echo_actors : 0);
    event_init(&work->burst, on_burst);
    work->actors = calloc(work->actor_count + 1, sizeof *work->actors);
    work->client_count = c->actors ? c->clients : 0;
    work->clients = calloc(work->client_count + 1, sizeof *work->clients);
    CHECK(work->actors && work->clients);
    for (unsigned i = 0; i < work->actor_count; i++) {
        struct sim_actor *a = &work->actors[i];
        a->trial = i >= c->actors && i < c->actors + sim_trials(c);
        a->counter = i < c->actors || a->trial;
        list_init(&a->ops);
        (void)snprintf(a->type, sizeof a->type, "%s",
                       a->trial     ? "trial"
                       : a->counter ? "counter"
                                    : "echo");
        (void)snprintf(a->id, sizeof a->id, "a%u", i);
    }
    for (unsigned i = 0; i < work->client_count; i++) {
        work->clients[i].w = w;
        event_init(&work->clients[i].event, on_client_due);
    }
    return work;
}

void workload_free(struct workload *work)
{
    if (!work)
        return;
    CHECK(list_empty(&work->attempts));
    for (unsigned i = 0; i < work->client_count; i++)
        client_drop_op(&work->clients[i]);
    for (unsigned i = 0; i < work->actor_count; i++) {
        if (work->probes)
            client_drop_op(&work->probes[i]);
        free(work->actors[i].by_value);
        history_free(&work->actors[i]);
        while (!list_empty(&work->actors[i].ops))
            op_free(work, LIST_ENTRY(work->actors[i].ops.next, struct sim_op, link));
    }
    free(work->probes);
    free(work->clients);
    free(work->actors);
    free(work);
}

void workload_start(struct world *w)
{
    for (unsigned i = 0; i < w->work->client_count; i++)
        client_next(&w->work->clients[i], below_ms(w, 2000));
    if (w->work->actor_count > 0 && sim_fault_on(&w->config, FAULT_BURST))
        world_after(w, &w->work->burst, w->config.burst_ms * NS_PER_MS);
}

/* ---- a store that was set back */

/* Nobody waits for what was asked. */
static void forget_requests(struct workload *work)
{
    struct world *w = work->w;

    for (unsigned i = 0; i < work->actor_count; i++)
        LIST_FOREACH(it, &work->actors[i].ops)
        {
            LIST_ENTRY(it, struct sim_op, link)->lost = true;
        }
    for (unsigned i = 0; i < work->client_count; i++) {
        struct client *c = &work->clients[i];
        if (c->attempt)
            c->attempt->client = NULL;
        c->attempt = NULL;
        client_drop_op(c);
        client_next(c, below_ms(w, w->config.think_ms * 2));
    }
}

static void reset_actor(struct sim_actor *a)
{
    history_free(a);
    a->base = a->floor = a->acknowledged = a->issued = 0;
    if (a->by_value)
        memset(a->by_value, 0, a->value_cap * sizeof *a->by_value);
}

/* The row of a counter's value: it goes on from there. */
static void take_row(struct workload *work, const struct store_write *row, struct buf *scratch)
{
    struct key_parts parts;
    struct state_record state;

    if (key_parse(&work->w->shadow->ks, row->key, &parts) || parts.family != KEY_STATE)
        return;
    for (unsigned i = 0; i < work->actor_count; i++) {
        struct sim_actor *a = &work->actors[i];
        const char *key = a->trial ? "n" : "value";
        if (!a->counter || strcmp(a->type, parts.type) != 0 || strcmp(a->id, parts.id) != 0 ||
            !bytes_equal(bytes_of(parts.state_key, parts.state_key_len), bytes_of_str(key)))
            continue;
        buf_clear(scratch);
        CHECK(state_record_decode(row->key, row->value, scratch, &state) == 0);
        uint64_t v = 0;
        for (size_t at = 0; at < state.value.len; at++)
            v = v * 10 + (uint64_t)(state.value.data[at] - '0');
        a->base = a->floor = a->acknowledged = a->issued = v;
    }
}

/* What a process still has may be applied yet, in the new epoch: nobody is told, but others see it. */
static void note_outstanding(struct world *w, struct sim_actor *a)
{
    LIST_FOREACH(it, &a->ops)
    {
        struct sim_op *op = LIST_ENTRY(it, struct sim_op, link);
        op->noted = 0;
        if (op->refs == 0)
            continue;
        a->issued += op->amount;
        history_asked(w, op);
    }
}

void workload_set_back(struct world *w, const struct store_write *rows, size_t count)
{
    struct workload *work = w->work;
    struct sim_mem mem;
    struct buf scratch;

    check_histories(w, work->actors, work->actor_count);
    for (unsigned i = 0; i < work->actor_count; i++)
        reset_actor(&work->actors[i]);
    forget_requests(work);
    work->between_epochs = true;
    sim_mem_init(&mem);
    buf_init(&scratch, sim_mem_of(&mem));
    for (size_t i = 0; i < count; i++)
        take_row(work, &rows[i], &scratch);
    for (unsigned i = 0; i < work->actor_count; i++)
        note_outstanding(w, &work->actors[i]);
    buf_deinit(&scratch);
}

void workload_new_epoch(struct world *w)
{
    forget_requests(w->work);
    w->work->between_epochs = false;
}

void workload_stop(struct world *w)
{
    w->work->stopped = true;
}

void workload_probe(struct world *w)
{
    struct workload *work = w->work;

    work->probes = calloc(work->actor_count + 1, sizeof *work->probes);
    CHECK(work->probes);
    for (unsigned i = 0; i < work->actor_count; i++) {
        work->probes[i].w = w;
        work->probes[i].only = &work->actors[i];
        event_init(&work->probes[i].event, on_client_due);
        client_next(&work->probes[i], below_ms(w, 500));
    }
}

bool workload_probed(const struct world *w, char *why, size_t why_size)
{
    for (unsigned i = 0; i < w->work->actor_count; i++) {
        const struct client *c = &w->work->probes[i];
        if (c->done)
            continue;
        (void)snprintf(why, why_size, "%s/%s has not answered", c->only->type, c->only->id);
        return false;
    }
    return true;
}

void workload_judge(struct world *w)
{
    check_histories(w, w->work->actors, w->work->actor_count);
}

const struct workload_stats *workload_stats(const struct world *w)
{
    return &w->work->stats;
}

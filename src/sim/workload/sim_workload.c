#include "sim/workload/sim_workload.h"

#include <stdio.h>
#include <stdlib.h>

#include "actor/activation.h"
#include "kelpie/error.h"
#include "sim/report/sim_record.h"
#include "sim/workload/sim_types.h"
#include "sim/workload/sim_workload_link.h"
#include "sim/world/sim_host.h"

#define RETRY_MS_MAX 80
#define GIVE_UP_IN 12 /* one in so many errors makes a client give up */
#define COME_BACK_MS_MAX 20000
#define ASK_AGAIN_IN 16
#define ASK_LATE_IN 4
#define REUSES_IN 3
#define PROBE_WRITES_MAX 256 /* beyond these each actor is written by way of one node */
#define BURST_CALLS (MAILBOX_MAX + BATCH_TURNS_MAX + 64)
#define STORM_CALLS (3 * FOLLOWERS_MAX)

static uint64_t below_ms(struct world *w, uint64_t ms)
{
    return (1 + world_below(w, STREAM_WORK, ms * 1000)) * 1000;
}

void op_release(struct sim_op *op)
{
    if (op)
        op->refs--;
}

static void op_free(struct workload *work, struct sim_op *op)
{
    map_remove(&work->ops, &op->node);
    list_remove(&op->link);
    free(op->sent);
    free(op);
}

/* Forgets what is over. */
static void forget_old(struct workload *work, struct sim_actor *a)
{
    while (!list_empty(&a->ops)) {
        struct sim_op *op = LIST_ENTRY(a->ops.next, struct sim_op, link);
        work->stats.looked++;
        if (op->refs > 0 || op->expires_ns >= work->w->now_ns)
            return;
        op_free(work, op);
    }
}

/* ---- requests */

/* Of trials they go for a short window only, so most of their clients say them. */
static void draw_ages(struct world *w, struct sim_op *op)
{
    bool late = sim_fault_on(&w->config, FAULT_LATE_REPEATS);

    if (op->actor->trial || late)
        op->ages = world_below(w, STREAM_AGES, op->actor->trial ? 8 : 4) > 0;
    op->slow_watch = op->ages && world_below(w, STREAM_AGES, 2) == 0;
}

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
    list_append(&a->ops, &op->link);
    op->lost = work->between_epochs;
    draw_ages(w, op);
    (void)snprintf(op->request_id, sizeof op->request_id, "r%u", op->serial);
    CHECK(!map_insert(&work->ops, &op->node, bytes_of_str(op->request_id)));
    forget_old(work, a);
    if (!a->counter)
        op->kind = OP_ECHO;
    else if (c->only ? !c->writes : world_below(w, STREAM_WORK, 4) == 0)
        op->kind = OP_GET;
    else
        op->kind = OP_ADD;
    op_ask(w, op, !c->only);
    return op;
}

void client_next(struct client *c, uint64_t delay_ns)
{
    world_after(c->w, &c->event, delay_ns);
}

static void client_drop_op(struct client *c)
{
    op_release(c->op);
    c->op = NULL;
    c->asks_late = false;
}

/* ---- answers */

/* Some node that lives hosts actors of that class, in the version that wrote this one's state. */
static bool is_hosted(struct world *w, const struct sim_actor *a)
{
    uint32_t version = a->trial ? shadow_class_version(w->shadow, a->type, a->id) : 0;

    for (unsigned n = 0; n < w->config.nodes; n++) {
        const struct process *p = host_process(w, n, SIM_SLOT_NODE);
        bool comes = p && types_has(process_types(p), a->type);
        if (!p || (comes && !types_wants(process_types(p), a->type)))
            continue;
        if (!a->trial || (p->class_version > 0 && p->class_version >= version))
            return true;
    }
    return false;
}

static void probe_done(struct client *c)
{
    c->done = true;
    c->writes = false;
    c->w->checks->compared[CHECK_ANSWERS]++;
    client_drop_op(c);
}

void client_completed(struct client *c, const struct attempt *a, int status)
{
    bool nowhere = (status == KELPIE_E_UNKNOWN_TYPE || status == KELPIE_E_CLASS_OLDER) &&
                   !is_hosted(c->w, a->op->actor);

    /* An actor that remembers as much as it can says so for a window. */
    if (c->only && (nowhere || status == KELPIE_E_TOO_MANY)) {
        probe_done(c);
        return;
    }
    /* What it asked was another thing. */
    if (a->other || a->op->too_late)
        client_drop_op(c);
    client_next(c, below_ms(c->w, status ? RETRY_MS_MAX : 1));
}

/* ---- clients */

/* Of a node; NULL when it is away. */
static struct process *process_of(struct world *w, unsigned node)
{
    for (unsigned slot = 0; slot < 2; slot++) {
        struct process *p = host_process(w, node, slot);
        if (p && !process_closing(p))
            return p;
    }
    return NULL;
}

/* To the next node that is there; after the last one what was written is read by way of any. */
static void probe_goes_on(struct client *c)
{
    client_drop_op(c);
    do
        c->through++;
    while (c->through <= c->last && !process_of(c->w, c->through));
    c->writes = c->through <= c->last;
    client_next(c, below_ms(c->w, 1));
}

static void client_send(struct client *c, enum attempt_kind kind)
{
    struct world *w = c->w;
    struct process *p = c->writes ? process_of(w, c->through) : hosts_pick(w, STREAM_WORK, false);

    if (!p || (p->frozen && !sim_fault_on(&w->config, FAULT_SOCKETS))) {
        client_next(c, below_ms(w, RETRY_MS_MAX * 4));
        return;
    }
    /* Some clients wait for the answer, some are impatient and ask another node meanwhile. */
    uint64_t patience = w->config.call_deadline_ms + LATE_MS;
    if (world_below(w, STREAM_WORK, 4) == 0)
        patience = 20 + world_below(w, STREAM_WORK, patience);
    client_next(c, patience * NS_PER_MS);
    attempt_send(w, c, c->op, p, kind);
}

/* After the time for which the actor remembers, or about as long. */
static uint64_t late_ns(struct world *w, const struct sim_op *op)
{
    uint64_t distance_ms =
        actor_window_ns(op->actor) / NS_PER_MS + REMEMBER_SOCKET_MS + REMEMBER_HELD_MS;

    return (1 + world_below(w, STREAM_AGES, 2 * distance_ms)) * NS_PER_MS;
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

    if (w->work->stopped)
        return false;
    if (c->op->ages && world_fault(w, FAULT_LATE_REPEATS, STREAM_AGES, 1, 2)) {
        client_next(c, late_ns(w, c->op));
        return true;
    }
    if (!world_fault(w, FAULT_COMES_BACK, STREAM_TRIAL, 1, 2))
        return false;
    client_next(c, (1 + world_below(w, STREAM_TRIAL, COME_BACK_MS_MAX)) * NS_PER_MS);
    return true;
}

/* Although it has its answer, which may have been long under way: the same, or that it was applied. Some
 * come very late, some ask for something else under that id. */
static bool asks_once_more(struct client *c)
{
    struct world *w = c->w;
    struct sim_op *op = c->op;

    if (w->work->stopped || op->again || op->kind != OP_ADD || !attempt_may_come(w, op))
        return false;
    op->again = world_fault(w, FAULT_COMES_BACK, STREAM_TRIAL, 1, ASK_AGAIN_IN);
    if (op->ages && world_fault(w, FAULT_LATE_REPEATS, STREAM_AGES, 1, ASK_LATE_IN)) {
        op->again = c->asks_late = true;
        client_next(c, late_ns(w, op));
    } else if (op->again) {
        client_send(c, op->ages && world_below(w, STREAM_AGES, REUSES_IN) == 0 ? ATTEMPT_OTHER
                                                                               : ATTEMPT_SAME);
    }
    return op->again;
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
        if (i == 0) {
            op->kind = OP_ADD;
            op_ask(w, op, false);
        }
        attempt_send(w, NULL, op, p, ATTEMPT_SAME);
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

    if (!p || p->frozen)
        return;
    world_met(w, FAULT_BURST);
    op = op_new(work, &nobody);
    op->kind = OP_ADD;
    op_ask(w, op, false);
    bool crosses = sim_fault_on(&w->config, FAULT_LATE_REPEATS);
    for (unsigned i = 0; i < STORM_CALLS && !p->frozen && !process_closing(p); i++)
        attempt_send(w, NULL, op, p, crosses && i % 4 == 3 ? ATTEMPT_OTHER : ATTEMPT_SAME);
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
        if (c->only && c->writes) {
            w->checks->compared[CHECK_WRITES]++;
            probe_goes_on(c);
            return;
        }
        if (c->only) {
            check_final(w, c->op);
            probe_done(c);
            return;
        }
        if (c->asks_late) {
            c->asks_late = false;
            client_send(c, ATTEMPT_SAME);
            return;
        }
        if (asks_once_more(c))
            return;
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
    if (c->op && !attempt_may_come(w, c->op))
        client_drop_op(c);
    if (!c->op)
        c->op = op_new(work, c);
    client_send(c, ATTEMPT_SAME);
}

/* ---- the world's side */

void workload_decided(struct world *w, const char *type, const char *id, const char *request_id,
                      int status, unsigned by)
{
    struct map_node *n = w->work ? map_find(&w->work->ops, bytes_of_str(request_id)) : NULL;
    struct sim_op *op = MAP_ENTRY(n, struct sim_op, node);

    if (!op || op->lost || strcmp(op->actor->type, type) != 0 || strcmp(op->actor->id, id) != 0)
        return;
    if (status)
        check_refused(w, op, status);
    else if (!op->applied)
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

void workload_probe_writes(struct world *w)
{
    struct workload *work = w->work;
    bool all = work->actor_count * w->config.nodes <= PROBE_WRITES_MAX;

    for (unsigned i = 0; i < work->actor_count; i++) {
        struct client *c = &work->probes[i];
        c->done = false;
        c->writes = true;
        c->through = all ? 0 : i % w->config.nodes;
        c->last = all ? w->config.nodes - 1 : c->through;
        if (process_of(w, c->through))
            client_next(c, below_ms(w, 500));
        else
            probe_goes_on(c);
    }
}

bool workload_probed(const struct world *w, char *why, size_t why_size)
{
    for (unsigned i = 0; i < w->work->actor_count; i++) {
        const struct client *c = &w->work->probes[i];
        if (c->done)
            continue;
        if (c->writes)
            (void)snprintf(why, why_size, "%s/%s has not taken a write by way of n%u",
                           c->only->type, c->only->id, c->through + 1);
        else
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

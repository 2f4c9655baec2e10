#include "sim/faults/sim_restore.h"

#include <stdio.h>
#include <stdlib.h>

#include "kelpie/error.h"
#include "registry/rules_restored.h"
#include "sim/faults/sim_rot.h"
#include "sim/report/sim_record.h"
#include "sim/stores/store_copy.h"
#include "sim/workload/sim_chains.h"
#include "sim/workload/sim_sessions.h"
#include "sim/workload/sim_workload.h"
#include "sim/world/sim_host_link.h"

#define AGE_MS_MIN 1000     /* of a backup when it is restored */
#define SET_BACK_MS_MAX 800 /* after the last machine went down */
#define AGAIN_MS 300        /* until the operator tries again what was refused, or broken off */
#define LOOK_MS 500
#define ROUND_MS 20000 /* for one transaction of the program */
#define SURVIVES_IN 3
#define BREAKS_OFF_IN 12       /* transactions after which the program is killed */
#define COMES_BACK_MS_MAX 8000 /* a machine that was cut off, after the new epoch has begun */
#define PATIENCE_MS 20000      /* a restore does not begin later than this before the calm */
#define PROGRAM_NODE 0         /* the machine that the program runs on */

enum restore_step {
    RESTORE_IDLE,
    RESTORE_SETS_BACK,
    RESTORE_LOOKS,
    RESTORE_ACTORS,
    RESTORE_NODES,
    RESTORE_FINISHES
};

struct restore {
    struct world *w;
    struct store_copy backup;
    uint64_t made_ns;
    bool there;

    enum restore_step step;
    struct sim_event next;
    struct sim_event back; /* the machines that were cut off are reached again */
    uint32_t survivors;    /* 1 << node */
    bool setting_back;
    unsigned last_old_life;
    unsigned strangers[SIM_NODES_MAX * 2]; /* of the old lives, those that were no member yet */
    unsigned stranger_count;

    struct process *program;
    struct restored_op *op; /* of the program's memory */
    bool done;
    int status;
    uint64_t looked_since_ns;
};

static uint64_t below(struct world *w, uint64_t bound)
{
    return world_below(w, STREAM_RESTORE, bound);
}

/* ---- the backup */

static void make_backup(struct restore *r)
{
    if (rot_is_there(r->w))
        return; /* whoever backs up has looked whether the store is sound */
    store_copy_take(&r->backup, r->w);
    r->there = r->backup.count > 0;
    r->made_ns = r->w->now_ns;
}

/* ---- all goes down, and the rows are set back */

static void isolate(struct world *w, unsigned node, bool on)
{
    for (unsigned n = 0; n < w->config.nodes; n++) {
        if (n == node)
            continue;
        sim_net_cut(w->net, n, node, on);
        sim_net_cut(w->net, node, n, on);
    }
    sim_store_cut(w, node, on);
}

static void stop_all(struct restore *r)
{
    struct world *w = r->w;

    hosts_hold(w, true);
    for (unsigned n = 0; n < w->config.nodes; n++) {
        if (n != PROGRAM_NODE && below(w, SURVIVES_IN) == 0) {
            r->survivors |= 1u << n;
            isolate(w, n, true);
        } else {
            host_kill(w, n, SIM_SLOT_NODE, HOST_DOWN);
        }
    }
    r->step = RESTORE_SETS_BACK;
    world_after(w, &r->next, below(w, SET_BACK_MS_MAX) * NS_PER_MS);
}

/* Whoever has never joined knows no epoch, and holds nothing of one. */
static void note_strangers(struct restore *r)
{
    r->stranger_count = 0;
    LIST_FOREACH(it, &r->w->processes)
    {
        const struct process *p = LIST_ENTRY(it, struct process, link);
        const struct node *n = process_node(p);
        if (n && uuid_is_zero(cluster_id(node_cluster((struct node *)n))))
            r->strangers[r->stranger_count++] = p->life;
    }
}

static void set_back(struct restore *r)
{
    struct world *w = r->w;
    const struct store_write *rows = r->backup.rows;
    size_t count = r->backup.count;

    rot_forget(w);
    sim_store_set_back(w, rows, count);
    r->last_old_life = w->lives;
    note_strangers(r);
    r->setting_back = true;
    checks_on_set_back(w, rows, count);
    workload_set_back(w, rows, count);
    chains_set_back(w);
    sessions_set_back(w);
    r->setting_back = false;
    r->step = RESTORE_LOOKS;
}

/* ---- the operator's program: kelpie store restored */

static void program_end(struct restore *r)
{
    if (r->program)
        process_free(r->program);
    r->program = NULL;
    r->op = NULL;
}

static void program_after(struct process *p)
{
    struct restore *r = p->owner;

    if (r->done && !event_queued(&r->next))
        world_after(r->w, &r->next, 0);
}

static const struct process_ops program_ops = {.after = program_after};

static void on_done(struct txn *t, int status)
{
    struct restore *r = t->arg;
    r->done = true;
    r->status = status;
}

typedef void prepare_fn(struct restored_op *op, const struct env *env, txn_fn *done, void *arg);

static void transact(struct restore *r, prepare_fn *prepare)
{
    process_enter(r->program, PROCESS_ORDER, 32u + r->step);
    prepare(r->op, &r->program->env, on_done, r);
    r->op->txn.give_up_ns = ROUND_MS * NS_PER_MS;
    txn_start(&r->op->txn);
    process_leave(r->program);
}

static void perform(struct restore *r)
{
    static prepare_fn *const prepare[] = {[RESTORE_LOOKS] = restored_look_prepare,
                                          [RESTORE_ACTORS] = restored_actors_prepare,
                                          [RESTORE_NODES] = restored_nodes_prepare,
                                          [RESTORE_FINISHES] = restored_finish_prepare};
    r->done = false;
    transact(r, prepare[r->step]);
}

static void program_start(struct restore *r)
{
    struct world *w = r->w;

    r->done = false;
    r->program = process_new(w, PROGRAM_NODE, SIM_SLOT_SUPERVISOR, &program_ops, r);
    process_enter(r->program, PROCESS_START, 2);
    r->op = MEM_NEW(r->program->env.mem, struct restored_op);
    r->op->ks = &w->shadow->ks;
    r->op->new_cluster_id = random_uuid(r->program->env.random);
    process_leave(r->program);
    r->step = RESTORE_LOOKS;
    r->looked_since_ns = 0;
    perform(r);
}

/* From the beginning, a little later. */
static void begin_anew(struct restore *r)
{
    program_end(r);
    r->step = RESTORE_LOOKS;
    world_after(r->w, &r->next, AGAIN_MS * NS_PER_MS);
}

static void finished(struct restore *r)
{
    struct world *w = r->w;

    program_end(r);
    r->step = RESTORE_IDLE;
    if (w->record)
        record_mark(w, PROGRAM_NODE, SIM_SLOT_SUPERVISOR, "a new epoch");
    workload_new_epoch(w);
    chains_set_back(w);
    sessions_set_back(w);
    hosts_hold(w, false);
    if (r->survivors)
        world_after(w, &r->back, below(w, COMES_BACK_MS_MAX) * NS_PER_MS);
}

static void look_on(struct restore *r)
{
    struct world *w = r->w;
    uint32_t lease =
        r->op->lease_ms > w->config.timing.lease_ms ? r->op->lease_ms : w->config.timing.lease_ms;

    r->op->again = true;
    if (r->looked_since_ns == 0)
        r->looked_since_ns = w->now_ns;
    if (w->now_ns - r->looked_since_ns >= 2 * window_of_lease_ns(lease)) {
        r->step = RESTORE_ACTORS;
        r->op->cursor.len = 0;
        perform(r);
        return;
    }
    r->done = false;
    world_after(w, &r->next, LOOK_MS * NS_PER_MS);
}

static void page_on(struct restore *r)
{
    r->op->cursor = r->op->next;
    if (r->op->at_end) {
        r->op->cursor.len = 0;
        r->step = r->step == RESTORE_ACTORS ? RESTORE_NODES : RESTORE_FINISHES;
    }
    perform(r);
}

/* What the last transaction came to. */
static void go_on(struct restore *r)
{
    struct world *w = r->w;

    if (r->status || (!w->calm && below(w, BREAKS_OFF_IN) == 0))
        begin_anew(r);
    else if (r->step == RESTORE_FINISHES)
        finished(r);
    else if (r->step == RESTORE_LOOKS)
        look_on(r);
    else
        page_on(r);
}

static void on_next(struct world *w, struct sim_event *e)
{
    struct restore *r = CONTAINER_OF(e, struct restore, next);
    (void)w;

    if (r->step == RESTORE_SETS_BACK)
        set_back(r);
    if (!r->program)
        program_start(r);
    else if (r->done)
        go_on(r);
    else
        perform(r);
}

static void on_back(struct world *w, struct sim_event *e)
{
    struct restore *r = CONTAINER_OF(e, struct restore, back);

    for (unsigned n = 0; n < w->config.nodes; n++)
        if (r->survivors >> n & 1u)
            isolate(w, n, false);
    r->survivors = 0;
}

/* ---- the world's side */

struct restore *restore_new(struct world *w)
{
    struct restore *r = calloc(1, sizeof *r);

    CHECK(r);
    r->w = w;
    event_init(&r->next, on_next);
    event_init(&r->back, on_back);
    return r;
}

void restore_free(struct restore *r)
{
    if (!r)
        return;
    program_end(r);
    store_copy_free(&r->backup);
    free(r);
}

void restore_turn(struct world *w)
{
    struct restore *r = w->restore;
    uint64_t end_ns = w->config.duration_ms * NS_PER_MS;

    if (!restore_idle(w))
        return;
    if (!r->there || below(w, 3) == 0) {
        make_backup(r);
        return;
    }
    if (w->now_ns < r->made_ns + AGE_MS_MIN * NS_PER_MS ||
        w->now_ns + PATIENCE_MS * NS_PER_MS > end_ns)
        return;
    world_met(w, FAULT_RESTORE);
    stop_all(r);
}

bool restore_idle(const struct world *w)
{
    return w->restore->step == RESTORE_IDLE && w->restore->survivors == 0;
}

void restore_calm(struct world *w)
{
    struct restore *r = w->restore;

    /* All links heal; before the new epoch has begun nobody of the old one may be reached. */
    for (unsigned n = 0; n < w->config.nodes && r->step != RESTORE_IDLE; n++)
        if (r->survivors >> n & 1u)
            host_kill(w, n, SIM_SLOT_NODE, HOST_DOWN);
    world_cancel(w, &r->back);
    if (r->survivors)
        on_back(w, &r->back);
}

bool restore_excuses(const struct world *w, const char *check)
{
    const struct restore *r = w->restore;

    if (!r)
        return false;
    return r->setting_back ||
           (r->step > RESTORE_SETS_BACK && sim_fault_suspends(FAULT_RESTORE, check));
}

bool restore_has_been(const struct world *w)
{
    return w->restore && w->restore->last_old_life > 0;
}

bool restore_is_old_life(const struct world *w, unsigned life)
{
    const struct restore *r = w->restore;

    for (unsigned i = 0; r && i < r->stranger_count; i++)
        if (r->strangers[i] == life)
            return false;
    return r && life <= r->last_old_life;
}

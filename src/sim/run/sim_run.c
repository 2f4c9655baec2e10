#include "sim/run/sim_run.h"

#include <stdio.h>

#include "base/mark.h"
#include "sim/checkers/checks.h"
#include "sim/faults/sim_emptied.h"
#include "sim/faults/sim_nemesis.h"
#include "sim/faults/sim_restore.h"
#include "sim/faults/sim_rot.h"
#include "sim/faults/sim_stranger.h"
#include "sim/report/sim_record.h"
#include "sim/steps/sim_steps.h"
#include "sim/steps/sim_turns.h"
#include "sim/stores/sim_store.h"
#include "sim/workload/sim_chains.h"
#include "sim/workload/sim_deadly.h"
#include "sim/workload/sim_operator.h"
#include "sim/workload/sim_posts.h"
#include "sim/workload/sim_sessions.h"
#include "sim/workload/sim_types.h"
#include "sim/workload/sim_users.h"
#include "sim/workload/sim_workload.h"
#include "sim/world/sim_host.h"
#include "sim/world/sim_net.h"

#define START_SPREAD_MS 1500
#define LOOK_MS 20 /* how often convergence is looked at */
/* Within this, and twice as long as a call may take, every actor answers in the calm. */
#define ANSWER_MS_MAX 5000
#define MESSAGES_MS_MAX 40000 /* within this all messages that are due are applied, or dead */
#define CLOSE_MS_MAX 10000
#define TYPES_MS_MAX 30000 /* until the types of each node are those that it wants */
/* What each kind of operation may take in the calm, on top of what is said of each. */
#define WRITE_MS_MAX 15000    /* one write by way of every node, and a read */
#define DRAINS_MS_MAX 1000    /* until nobody drains who does not leave */
#define SWEPT_MS_MAX 5000     /* until no placement is void */
#define USERS_MS_MAX 60000    /* all questions of a workload in the end */
#define DEADLY_MS_MAX 20000   /* beyond the longest quarantine */
#define RESTORE_MS_MAX 120000 /* of a restore that had begun before the calm */

void sim_build(struct world *w, const struct sim_config *config)
{
    world_init(w, config);
    w->net = sim_net_new(w);
    w->store = sim_store_new(w);
    w->shadow = shadow_new(w);
    w->checks = checks_new(w);
    w->hosts = hosts_new(w);
    w->nemesis = nemesis_new(w);
    w->work = workload_new(w);
    w->chains = chains_new(w);
    w->posts = posts_new(w);
    w->sessions = sessions_new(w);
    w->deadlies = deadlies_new(w);
    w->users = users_new(w);
    w->operators = operators_new(w);
    w->restore = restore_new(w);
    w->emptied = emptied_new(w);
    w->rot = rot_new(w);
    w->strangers = strangers_new(w);
}

void sim_tear_down(struct world *w)
{
    hosts_free(w->hosts);
    world_drop_events(w);
    operators_free(w->operators);
    restore_free(w->restore);
    emptied_free(w->emptied);
    rot_free(w->rot);
    strangers_free(w->strangers);
    workload_free(w->work);
    chains_free(w->chains);
    posts_free(w->posts);
    sessions_free(w->sessions);
    deadlies_free(w->deadlies);
    users_free(w->users);
    nemesis_free(w->nemesis);
    checks_free(w->checks);
    shadow_free(w->shadow);
    sim_store_free(w);
    sim_net_free(w->net);
    world_deinit(w);
}

/* Runs until `holds` says so, or the bound is over: then that is a violation. Returns the
 * milliseconds it took. */
static uint64_t run_until(struct world *w, enum check check, uint64_t bound_ms,
                          bool (*holds)(struct world *w, char *why, size_t why_size))
{
    uint64_t start = w->now_ns, end = start + bound_ms * NS_PER_MS;
    char why[256] = "";

    while (!w->stop) {
        if (holds(w, why, sizeof why)) {
            w->checks->compared[check]++;
            break;
        }
        if (w->now_ns >= end) {
            COMPARE(w, check, false, "not within %llu ms of calm: %s", (unsigned long long)bound_ms,
                    why);
            break;
        }
        world_run(w, w->now_ns + LOOK_MS * NS_PER_MS);
    }
    return (w->now_ns - start) / NS_PER_MS;
}

static bool probed(struct world *w, char *why, size_t why_size)
{
    return workload_probed(w, why, why_size) && chains_probed(w, why, why_size);
}

/* Until nothing is under way in any node: calls nest. */
static uint64_t quiet_ms_max(const struct world *w)
{
    return MESSAGES_MS_MAX + 3ull * w->config.call_deadline_ms;
}

/* What was begun comes to an end, and actors take writes by way of every node. */
static void run_orderly(struct world *w)
{
    run_until(w, CHECK_DRAIN_OVER, DRAINS_MS_MAX, check_drains);
    workload_probe_writes(w);
    run_until(w, CHECK_WRITES, WRITE_MS_MAX, probed);
    run_until(w, CHECK_QUIET, quiet_ms_max(w), check_quiet);
    run_until(w, CHECK_SWEPT, SWEPT_MS_MAX, check_swept);
    run_until(w, CHECK_TYPES, TYPES_MS_MAX, check_types);
}

/* All that is due; where receivers are full, one after the other. */
static void run_posts(struct world *w)
{
    char why[256];

    do
        run_until(w, CHECK_NOTHING_LOST, MESSAGES_MS_MAX, posts_moved);
    while (!w->stop && !posts_settled(w, why, sizeof why));
}

/* What their actors say in the end. */
static void run_users(struct world *w)
{
    run_until(w, CHECK_NOTHING_LOST, MESSAGES_MS_MAX, users_settled);
    run_until(w, CHECK_QUIET, quiet_ms_max(w), check_quiet);
    users_ask_at_end(w);
    run_until(w, CHECK_ANSWERS, USERS_MS_MAX, users_done);
}

/* What ended processes is well now; the last of its quarantines goes by. */
static void run_deadlies(struct world *w)
{
    deadlies_probe(w);
    if (w->config.deadly)
        run_until(w, CHECK_FORGIVEN,
                  DEADLY_MS_MAX + 2ull * w->config.call_deadline_ms +
                      (POISON_UNITS_MAX + 2) * w->config.timing.quarantine_ms,
                  deadlies_settled);
    deadlies_stop(w);
}

/* A node leaves, undisturbed, and its next life stays. */
static void run_leave(struct world *w, uint64_t bound_ms)
{
    int node = hosts_leave_one(w);
    uint64_t failures;

    if (node < 0)
        return;
    failures = w->shadow->nodes[node].times_failed;
    run_until(w, CHECK_LEAVE, bound_ms + w->config.timing.drain_deadline_ms, hosts_one_is_back);
    if (w->stop)
        return;
    /* Of others, one that is dead for good may be failed now. */
    COMPARE(w, CHECK_LEAVE, w->shadow->nodes[node].times_failed == failures,
            "n%d left in the calm, and was declared failed", node + 1);
    run_until(w, CHECK_CONVERGENCE, bound_ms, hosts_converged);
}

static bool restored(struct world *w, char *why, size_t why_size)
{
    (void)snprintf(why, why_size, "the store has not become a new epoch");
    return restore_idle(w);
}

static bool closed(struct world *w, char *why, size_t why_size)
{
    (void)snprintf(why, why_size, "a node does not close");
    return hosts_closed(w);
}

/* The safety phase; now and then a look at what lasts. */
static void run_with_faults(struct world *w)
{
    uint64_t end_ns = w->config.duration_ms * NS_PER_MS;

    while (!w->stop && w->now_ns < end_ns) {
        uint64_t until_ns = w->now_ns + COVERAGE_LOOK_MS * NS_PER_MS;
        world_run(w, until_ns < end_ns ? until_ns : end_ns);
        coverage_look(w);
    }
}

_Static_assert(CHECK_COUNT <= SIM_CHECKS_MAX, "a result has room for every checker");

static void collect_counts(const struct world *w, struct sim_result *r)
{
    const struct hosts_stats *h = hosts_stats(w);
    const struct operator_stats *o = operators_stats(w);
    const struct workload_stats *c = workload_stats(w);
    const struct sim_store_stats s = sim_store_stats(w);
    const struct sim_net_stats *n = sim_net_stats(w->net);

    r->elections = w->shadow->elections;
    r->terms = w->shadow->terms;
    r->failures = w->shadow->failures;
    r->placements = w->shadow->placements;
    r->views = w->shadow->view.number;
    r->starts = h->starts;
    r->crashes = h->crashes;
    r->leaves = h->leaves;
    r->left = h->left;
    r->twins = h->twins;
    r->twins_ended = h->twins_ended;
    r->watchdog = h->watchdog;
    r->declared = h->declared;
    r->orders = o->orders;
    r->obeyed = o->obeyed;
    r->rolled = o->rolled;
    r->calls = c->calls;
    r->acknowledged = c->acknowledged;
    r->retries = c->retries;
    r->gave_up = c->gave_up;
    r->failed_as_due = c->failed;
    r->mailbox_full = c->mailbox_full;
    r->applied_no_reply = c->applied_no_reply;
    r->messages = n->sent;
    r->lost = n->lost;
    r->refused = n->refused;
    r->reads = s.reads;
    r->commits = s.commits;
    r->committed = s.committed;
    r->conflicts = s.conflicts;
    r->unknown = s.unknown;
    r->late = s.late;
    r->histories = w->checks->histories;
    r->histories_open = w->checks->histories_open;
    for (unsigned f = 0; f < FAULT_COUNT; f++)
        r->faults[f] = w->met[f];
    memcpy(r->pairs, w->coverage.pairs, sizeof r->pairs);
    coverage_marks(&r->marks);
    if (w->steps)
        steps_count(w->steps, r->steps);
    for (unsigned i = 0; i < CHECK_COUNT; i++)
        r->compared[i] = w->checks->compared[i];
}

static void collect(const struct world *w, struct sim_result *r)
{
    r->seed = w->config.seed;
    r->trace = hash128_value(&w->trace);
    memcpy(r->prefix, w->prefix, sizeof r->prefix);
    r->faults_on = w->config.faults;
    r->events = w->events;
    r->sim_ms = w->now_ns / NS_PER_MS;
    collect_counts(w, r);
    r->violation_count = w->violation_count;
    memcpy(r->violations, w->violations, sizeof r->violations);
}

void sim_run(const struct sim_config *config, struct sim_result *r)
{
    struct world w;

    *r = (struct sim_result){0};
    marks_clear();
    sim_build(&w, config);
    if (w.steps)
        steps_start(&w);
    if (w.turns)
        turns_start(&w);
    hosts_start(&w, START_SPREAD_MS);
    workload_start(&w);
    chains_start(&w);
    posts_start(&w);
    sessions_start(&w);
    deadlies_start(&w);
    users_start(&w);
    nemesis_start(&w);
    strangers_start(&w);
    operators_start(&w);
    run_with_faults(&w);

    emptied_calm(&w);
    restore_calm(&w);
    rot_repair_all(&w);
    nemesis_calm(&w);
    operators_calm(&w);
    if (!w.stop)
        run_until(&w, CHECK_ORDERS, RESTORE_MS_MAX, restored);
    hosts_calm(&w);
    r->converge_bound_ms =
        SIM_WINDOWS_MAX * timing_window_ns(&config->timing) / NS_PER_MS + SIM_START_MS_MAX;
    r->converge_ms = run_until(&w, CHECK_CONVERGENCE, r->converge_bound_ms, hosts_converged);
    if (!w.stop)
        run_deadlies(&w);
    workload_stop(&w);
    chains_stop(&w);
    sessions_stop(&w);
    posts_stop(&w);
    users_stop(&w);
    /* Some are asked at once, as they are; some when all that was asked before is over. */
    if (!w.stop && world_below(&w, STREAM_FAULT, 2) == 0)
        run_until(&w, CHECK_QUIET, quiet_ms_max(&w), check_quiet);
    if (!w.stop) {
        workload_probe(&w);
        chains_probe(&w);
        r->answer_bound_ms = ANSWER_MS_MAX + 2ull * config->call_deadline_ms;
        r->answer_ms = run_until(&w, CHECK_ANSWERS, r->answer_bound_ms, probed);
    }
    if (!w.stop)
        run_posts(&w);
    if (!w.stop)
        run_orderly(&w);
    if (!w.stop && config->users_source)
        run_users(&w);
    if (!w.stop)
        run_leave(&w, r->converge_bound_ms);
    if (!w.stop) {
        hosts_close(&w);
        run_until(&w, CHECK_LEAK, CLOSE_MS_MAX, closed);
    }
    if (!w.stop)
        workload_judge(&w);
    checks_finish(&w);
    if (w.record)
        record_finish(&w);
    collect(&w, r);
    sim_tear_down(&w);
}

/*
 * What nodes say of a missing primary or majority, against the rows: the loss that one tells is one, or was a moment
 * ago, and so is the return (LossesAreTrue); and no loss that lasts goes untold by a node that acts all the while,
 * and no return (LossesAreTold). A primary is there while the row names an Active life whose heartbeat landed within
 * a lease; a majority, when more than half of the voters are Active, and heard of within a window.
 */
#include <stdio.h>
#include <stdlib.h>

#include "sim/checkers/checks.h"
#include "sim/faults/sim_emptied.h"
#include "sim/faults/sim_restore.h"
#include "sim/faults/sim_rot.h"
#include "sim/world/sim_host.h"

#define LOOK_NS (100 * NS_PER_MS)
#define SLACK_MS                                                                                   \
    3000 /* reads that take long, or fail and are tried again with the next heartbeat */

static uint64_t latest(uint64_t a, uint64_t b)
{
    return a > b ? a : b;
}

/* ---- what the rows say */

static bool is_led(const struct shadow *s)
{
    const struct primary_record *p = &s->primary;
    int n = s->primary_there && !p->vacant ? shadow_node_number(p->node_id) : -1;
    const struct shadow_node *node = n >= 0 ? &s->nodes[n] : NULL;

    return node && node->there && node->rec.state == NODE_ACTIVE &&
           node->rec.incarnation == p->incarnation && uuid_equal(node->rec.boot, p->boot) &&
           s->w->now_ns - node->heartbeat_ns <= timing_lease_ns(&s->w->config.timing);
}

static bool has_majority(const struct shadow *s)
{
    unsigned voters = 0, heard = 0;

    for (unsigned n = 0; n < SIM_NODES_MAX; n++) {
        const struct shadow_node *node = &s->nodes[n];
        enum node_state state = node->rec.state;
        if (!node->there || (state != NODE_ACTIVE && state != NODE_LEAVING && state != NODE_FAILED))
            continue;
        voters++;
        heard += state == NODE_ACTIVE && !node->rec.flagged &&
                 s->w->now_ns - node->heartbeat_ns <= timing_window_ns(&s->w->config.timing);
    }
    return 2 * heard > voters;
}

static void look(struct world *w)
{
    struct losses *l = &w->checks->losses;

    if (!emptied_idle(w) || !restore_idle(w) || rot_is_there(w))
        l->unsure_ns = w->now_ns;
    *(is_led(w->shadow) ? &l->led_ns : &l->unled_ns) = w->now_ns;
    if (w->now_ns - l->looked_ns < LOOK_NS)
        return;
    l->looked_ns = w->now_ns;
    *(has_majority(w->shadow) ? &l->many_ns : &l->few_ns) = w->now_ns;
}

/* Who goes may be a voter that is not heard for less time than lies between two looks. */
void losses_on_commit(struct world *w)
{
    struct losses *l = &w->checks->losses;

    *(has_majority(w->shadow) ? &l->many_ns : &l->few_ns) = w->now_ns;
}

/* ---- what a node says */

static struct losses_said *said_by(const struct process *p)
{
    struct losses_said *said = &p->world->checks->losses.said[p->node][p->slot];

    if (said->life != p->life)
        *said = (struct losses_said){.life = p->life};
    return said;
}

/* Whoever the row names as primary knows better, and lives of before a restore know of another store. */
static bool is_apart(const struct process *p)
{
    return p->skewed || uuid_equal(p->world->shadow->primary.boot, p->boot) ||
           restore_is_old_life(p->world, p->life);
}

static uint64_t stale_ns(const struct world *w)
{
    const struct timing *t = &w->config.timing;

    return timing_window_ns(t) + timing_lease_ns(t) +
           (2ull * t->heartbeat_ms + SLACK_MS) * NS_PER_MS;
}

/* That was so not longer ago than what a node reads may be old. */
static void compare_told(struct process *p, const char *name, const char *fields, uint64_t so_ns)
{
    struct world *w = p->world;
    uint64_t ago = w->now_ns - latest(so_ns, w->checks->losses.unsure_ns);

    COMPARE(w, CHECK_LOSS_TRUE, ago <= stale_ns(w) || is_apart(p),
            "n%u tells %s (%s), which has not been so for %llu ms", p->node + 1, name, fields,
            (unsigned long long)(ago / NS_PER_MS));
}

static void compare_form(struct process *p, enum log_level level, const char *name,
                         const char *fields, bool lost, bool said)
{
    bool form =
        level == (lost ? LOG_WARN : LOG_INFO) && strstr(fields, lost ? "reason=\"" : "missing_ms=");

    COMPARE(p->world, CHECK_LOSS_TRUE, form && lost != said, "n%u tells badly, or again: %s %s",
            p->node + 1, name, fields);
}

void losses_told(struct process *p, enum log_level level, const char *name, const char *fields)
{
    static const char *const names[] = {"primary_lost", "primary_found", "majority_lost",
                                        "majority_found"};
    const struct losses *l = &p->world->checks->losses;
    struct losses_said *said = said_by(p);
    unsigned i = 0;

    while (i < ARRAY_LEN(names) && strcmp(name, names[i]) != 0)
        i++;
    if (i == ARRAY_LEN(names))
        return;
    bool lost = i % 2 == 0, counted = i == 2 && strstr(fields, "heard from");
    bool *what = i < 2 ? &said->primary : &said->majority;

    look(p->world);
    compare_form(p, level, name, fields, lost, *what);
    *what = lost;
    compare_told(p, name, fields, lost ? l->unled_ns : l->led_ns);
    if (counted)
        compare_told(p, name, fields, l->few_ns);
}

/* ---- what it does not say */

static void compare_untold(struct process *p, uint64_t since_ns, uint64_t bound_ns, bool said,
                           const char *what)
{
    struct world *w = p->world;
    uint64_t ns = w->now_ns - since_ns;

    if (8 * ns >= bound_ns)
        COMPARE(w, CHECK_LOSS_TOLD, ns <= bound_ns, "n%u %s that %s is missing, for %llu ms",
                p->node + 1, said ? "still says" : "does not say", what,
                (unsigned long long)(ns / NS_PER_MS));
}

void losses_on_step(struct process *p)
{
    struct world *w = p->world;
    const struct cluster *c = node_cluster(process_node(p));
    const struct losses *l = &w->checks->losses;
    struct losses_said *said = said_by(p);
    bool acts =
        cluster_state(c) == NODE_ACTIVE && cluster_lease_left_ns(c) > 0 && !cluster_claim(c);
    uint64_t window = timing_window_ns(&w->config.timing);

    look(w);
    if (!acts || is_apart(p))
        said->acts_ns = w->now_ns;
    if (w->now_ns - said->looked_ns < LOOK_NS)
        return;
    said->looked_ns = w->now_ns;
    uint64_t since = latest(latest(said->acts_ns, p->thawed_ns),
                            latest(l->unsure_ns, w->checks->grey.nodes[p->node].steady_ns));
    uint64_t bound = stale_ns(w) + window;
    compare_untold(p, latest(since, said->primary ? l->unled_ns : l->led_ns), bound, said->primary,
                   "a primary");
    uint64_t unlike = said->majority ? l->unled_ns : latest(l->led_ns, l->many_ns);
    compare_untold(p, latest(since, unlike), bound + window, said->majority, "a majority");
}

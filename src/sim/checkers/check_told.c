/* What nodes tell people is so: whoever they name as failed is, and they say who did it and why. */
#include <stdio.h>
#include <stdlib.h>

#include "sim/checkers/checks.h"
#include "sim/faults/sim_restore.h"
#include "sim/world/sim_host.h"

/* The value of `key`, quoted or not; the ids of a world need no escapes. "": there is none. */
static void field(const char *fields, const char *key, char *out, size_t size)
{
    size_t len = strlen(key), n = 0;
    const char *at = fields;
    out[0] = '\0';
    while ((at = strstr(at, key)) && ((at > fields && at[-1] != ' ') || at[len] != '='))
        at += len;
    if (!at)
        return;
    at += len + 1;
    bool quoted = *at == '"';
    for (at += quoted; *at && *at != (quoted ? '"' : ' ') && n + 1 < size; at++)
        out[n++] = *at;
    out[n] = '\0';
}

static void named(struct process *p, unsigned node, uint64_t incarnation);

static void check_failed_named(struct process *p, enum log_level level, const char *fields)
{
    struct world *w = p->world;
    char who[NODE_ID_MAX + 1], by[NODE_ID_MAX + 1], number[24], reason[256];
    field(fields, "who", who, sizeof who);
    field(fields, "by", by, sizeof by);
    field(fields, "incarnation", number, sizeof number);
    field(fields, "reason", reason, sizeof reason);
    int n = shadow_node_number(who);
    if (!COMPARE(w, CHECK_FAILED_NAMED,
                 n >= 0 && level == LOG_WARN && reason[0] && shadow_node_number(by) == (int)p->node,
                 "n%u names a failure badly: %s", p->node + 1, fields))
        return;
    const struct node_record *r = &w->shadow->nodes[n].rec;
    uint64_t incarnation = strtoull(number, NULL, 10);
    named(p, (unsigned)n, incarnation);
    bool over =
        r->incarnation > incarnation ||
        (r->incarnation == incarnation && (r->state == NODE_FAILED || r->state == NODE_LEFT));
    (void)COMPARE(
        w, CHECK_FAILED_NAMED, over || restore_has_been(w),
        "n%u says that incarnation %llu of %s has failed, which is %s in incarnation %llu",
        p->node + 1, (unsigned long long)incarnation, who, node_state_name(r->state),
        (unsigned long long)r->incarnation);
}

/* Nobody speaks of damage where no fault did any. */
static void check_damage(struct process *p, const char *name, const char *fields)
{
    const struct world *w = p->world;
    bool damaged = w->met[FAULT_CORRUPTION] > 0 || w->met[FAULT_ROT] > 0 || restore_has_been(w);

    COMPARE(p->world, CHECK_DAMAGE, damaged, "n%u says %s, and nothing was damaged: %s",
            p->node + 1, name, fields);
}

/* ---- and all failures are named */

#define NAMED_LEASES 3 /* a transaction has a lease; then the rows say what became of it */

void told_failed(struct world *w, unsigned node, uint64_t incarnation, unsigned by_life)
{
    for (unsigned i = 0; i < UNNAMED_MAX; i++) {
        struct unnamed *u = &w->checks->unnamed[i];
        if (u->life)
            continue;
        *u = (struct unnamed){
            .node = node, .life = by_life, .incarnation = incarnation, .since_ns = w->now_ns};
        return;
    }
}

static void named(struct process *p, unsigned node, uint64_t incarnation)
{
    for (unsigned i = 0; i < UNNAMED_MAX; i++) {
        struct unnamed *u = &p->world->checks->unnamed[i];
        if (u->life == p->life && u->node == node && u->incarnation == incarnation)
            u->life = 0;
    }
}

/* Whoever has no lease may not hear of its commit, and whoever stood still has not had the time. */
void told_on_step(struct process *p)
{
    struct world *w = p->world;
    const struct cluster *c = node_cluster(process_node(p));
    uint64_t within = (NAMED_LEASES * w->config.timing.lease_ms + 1000) * NS_PER_MS;

    for (unsigned i = 0; i < UNNAMED_MAX; i++) {
        struct unnamed *u = &w->checks->unnamed[i];
        if (u->life != p->life)
            continue;
        if (cluster_lease_left_ns(c) == 0 || p->thawed_ns > u->since_ns)
            u->since_ns = w->now_ns;
        if (!COMPARE(w, CHECK_FAILURES_TOLD, w->now_ns - u->since_ns <= within,
                     "n%u has failed incarnation %llu of n%u and does not say so", p->node + 1,
                     (unsigned long long)u->incarnation, u->node + 1))
            u->life = 0;
    }
}

void told_on_end(const struct process *p)
{
    for (unsigned i = 0; i < UNNAMED_MAX; i++)
        if (p->world->checks->unnamed[i].life == p->life)
            p->world->checks->unnamed[i].life = 0;
}

void check_told(struct process *p, enum log_level level, const char *name, const char *fields)
{
    if (strcmp(name, "node_failed") == 0)
        check_failed_named(p, level, fields);
    losses_told(p, level, name, fields);
    if (strcmp(name, "record_corrupt") == 0)
        check_damage(p, name, fields);
}

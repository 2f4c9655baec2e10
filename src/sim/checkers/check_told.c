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

void check_told(struct process *p, enum log_level level, const char *name, const char *fields)
{
    if (strcmp(name, "node_failed") == 0)
        check_failed_named(p, level, fields);
    if (strcmp(name, "record_corrupt") == 0)
        check_damage(p, name, fields);
}

#include "sim/faults/sim_emptied.h"

#include <stdlib.h>

#include "record/keys.h"
#include "sim/checkers/checks.h"
#include "sim/faults/sim_rot.h"
#include "sim/report/sim_record.h"
#include "sim/stores/store_copy.h"
#include "sim/world/sim_host_link.h"

#define AWAY_MS_MIN 100

struct emptied {
    struct world *w;
    struct store_copy own; /* what the nodes' store holds */
    bool away;
    struct sim_event back;
};

/* Whoever does not may found a cluster, and rightly. */
static bool all_know_their_cluster(struct world *w)
{
    for (unsigned n = 0; n < w->config.nodes; n++)
        if (!host_is_out(w, n) && uuid_is_zero(w->hosts->host[n].home))
            return false;
    LIST_FOREACH(it, &w->processes)
    {
        struct node *n = process_node(LIST_ENTRY(it, struct process, link));
        if (n && uuid_is_zero(cluster_id(node_cluster(n))))
            return false;
    }
    return true;
}

static void on_back(struct world *w, struct sim_event *event)
{
    struct emptied *e = CONTAINER_OF(event, struct emptied, back);

    e->away = false;
    sim_store_set_back(w, e->own.rows, e->own.count);
    if (w->record)
        record_mark(w, 0, SIM_SLOT_SUPERVISOR, "the store is back");
}

struct emptied *emptied_new(struct world *w)
{
    struct emptied *e = calloc(1, sizeof *e);

    CHECK(e);
    e->w = w;
    event_init(&e->back, on_back);
    return e;
}

void emptied_free(struct emptied *e)
{
    if (!e)
        return;
    store_copy_free(&e->own);
    free(e);
}

bool emptied_strike(struct world *w)
{
    struct emptied *e = w->emptied;
    uint64_t ms;

    if (e->away || rot_is_there(w) || !all_know_their_cluster(w))
        return false;
    store_copy_take(&e->own, w);
    sim_store_set_back(w, NULL, 0);
    e->away = true;
    if (w->record)
        record_mark(w, 0, SIM_SLOT_SUPERVISOR, "an empty store");
    ms = AWAY_MS_MIN + world_below(w, STREAM_EXCHANGE, w->config.fault_ms_max);
    world_after(w, &e->back, ms * NS_PER_MS);
    return true;
}

bool emptied_idle(const struct world *w)
{
    return !w->emptied || !w->emptied->away;
}

void emptied_calm(struct world *w)
{
    struct emptied *e = w->emptied;

    if (!e->away)
        return;
    world_cancel(w, &e->back);
    on_back(w, &e->back);
}

void emptied_commit(struct world *w, const struct commit_seen *commit)
{
    for (size_t i = 0; i < commit->write_count; i++) {
        struct key_parts parts;
        bool probe = key_parse(&w->shadow->ks, commit->writes[i].key, &parts) == 0 &&
                     parts.family == KEY_PROBE;
        COMPARE(w, CHECK_FOUNDS_ONCE, probe,
                "n%u, which has been of a cluster, wrote to an empty store (family %d, %s)",
                commit->node + 1, (int)parts.family,
                commit->writes[i].kind == STORE_PUT ? "put" : "delete");
    }
}

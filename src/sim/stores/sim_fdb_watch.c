/* Watches of the simulated FoundationDB. They compare values, some time after a change: one that
 * was taken back meanwhile is not seen. */
#include "base/check.h"
#include "sim/stores/sim_fdb_internal.h"

#define FIRES_ANYWAY (-1) /* the error of a watch that fires when it is due, whatever the value */

struct sim_watched {
    struct map_node node;
    struct list futures; /* by in_tr */
    uint8_t key[];
};

static bool watch_differs(const struct fdb_future *f)
{
    const struct sim_fdb *c = f->db->c;
    struct bytes now;
    bool present = fdb_rows_get(&c->rows, f->key->range.begin, UINT64_MAX, &now);
    return present != f->present || (present && !bytes_equal(now, buf_bytes(&f->value)));
}

static struct sim_watched *watched_of(struct sim_fdb *c, struct bytes key)
{
    struct map_node *node = map_find(&c->watches, key);
    if (node)
        return MAP_ENTRY(node, struct sim_watched, node);
    struct sim_watched *k = mem_alloc(c->mem, sizeof(*k) + key.len);
    memcpy(k->key, key.data, key.len);
    list_init(&k->futures);
    node = map_insert(&c->watches, &k->node, bytes_of(k->key, key.len));
    CHECK(!node);
    return k;
}

/* Its transaction is committed: from now on it is on its own. */
void sim_watch_arm(struct fdb_future *f)
{
    struct sim_fdb *c = f->db->c;
    f->tr = NULL;
    list_remove(&f->in_tr);
    f->watched = watched_of(c, f->key->range.begin);
    list_append(&f->watched->futures, &f->in_tr);
    if (++f->db->watch_count > f->db->watches_max)
        sim_future_finish(f, FDB_TOO_MANY_WATCHES);
    else if (sim_fdb_draw(c, SIM_FDB_WATCH_SPURIOUS))
        f->error = FIRES_ANYWAY;
    if (!f->ready && (f->error || watch_differs(f)))
        timer_start(&f->timer, sim_fdb_soon(c, f->error ? 2 * NS_PER_S : NS_PER_MS));
}

void sim_watch_disarm(struct fdb_future *f)
{
    struct sim_watched *k = f->watched;
    if (!k)
        return;
    struct sim_fdb *c = f->db->c;
    f->watched = NULL;
    list_remove(&f->in_tr);
    f->db->watch_count--;
    if (list_empty(&k->futures)) {
        map_remove(&c->watches, &k->node);
        mem_free(c->mem, k);
    }
}

void sim_watch_due(struct fdb_future *f)
{
    static const int failures[] = {FDB_FUTURE_VERSION, FDB_PROCESS_BEHIND, FDB_OPERATION_CANCELLED,
                                   FDB_TIMED_OUT};
    struct sim_fdb *c = f->db->c;
    if (!sim_fdb_reachable(f->db)) {
        timer_start(&f->timer, SIM_FDB_POLL_NS);
    } else if (sim_fdb_draw(c, SIM_FDB_WATCH_ERROR)) {
        sim_future_finish(f, failures[rng_below(&c->rng, ARRAY_LEN(failures))]);
    } else if (f->error || watch_differs(f)) {
        c->stats.watches_fired++;
        sim_future_finish(f, 0);
    }
}

static void watched_touch(struct sim_fdb *c, struct sim_watched *k)
{
    LIST_FOREACH(it, &k->futures)
    {
        struct fdb_future *f = LIST_ENTRY(it, struct fdb_future, in_tr);
        if (!f->timer.armed && !sim_fdb_draw(c, SIM_FDB_WATCH_MISSES))
            timer_start(&f->timer,
                        sim_fdb_draw(c, SIM_FDB_WATCH_SLOW) ? sim_fdb_late(c) : sim_fdb_latency(c));
    }
}

void sim_watches_fire(struct sim_fdb *c)
{
    for (struct map_node *node = map_first(&c->watches); node; node = map_next(node)) {
        LIST_FOREACH(it, &MAP_ENTRY(node, struct sim_watched, node)->futures)
        {
            struct fdb_future *f = LIST_ENTRY(it, struct fdb_future, in_tr);
            f->error = FIRES_ANYWAY;
            timer_start(&f->timer, sim_fdb_latency(c));
        }
    }
}

void sim_watches_touch(struct sim_fdb *c, const struct store_write *w)
{
    if (c->watches.count == 0)
        return;
    bool range = w->kind == STORE_DELETE_RANGE;
    struct map_node *node =
        range ? map_lower_bound(&c->watches, w->key) : map_find(&c->watches, w->key);
    while (node && (!range || bytes_compare(node->key, w->value) < 0)) {
        watched_touch(c, MAP_ENTRY(node, struct sim_watched, node));
        node = range ? map_next(node) : NULL;
    }
}

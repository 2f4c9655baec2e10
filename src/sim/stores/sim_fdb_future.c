/* Futures of the simulated library: ready once, called back once, also after their destruction. */
#include "base/check.h"
#include "sim/stores/sim_fdb_internal.h"

/* The callback of a pending future that was destroyed comes within this; what would come before the
 * second comes at once. */
#define DESTROYED_CALL_NS (2 * NS_PER_MS)
#define DESTROYED_INLINE_NS (NS_PER_MS / 4)

static void on_timer(void *arg);

struct fdb_future *sim_future_new(struct fdb_transaction *tr, enum sim_op op)
{
    struct fdb_database *db = tr->db;
    struct sim_fdb *c = db->c;
    struct fdb_future *f = MEM_NEW(c->mem, struct fdb_future);
    f->db = db;
    f->tr = tr;
    f->op = op;
    timer_init(&f->timer, c->o.timers, "fdb_future", on_timer, f);
    buf_init(&f->value, c->mem);
    buf_init(&f->rows, c->mem);
    list_append(&db->futures, &f->link);
    list_append(&tr->futures, &f->in_tr);
    db->future_count++;
    return f;
}

void sim_future_free(struct fdb_future *f)
{
    struct sim_fdb *c = f->db->c;
    sim_watch_disarm(f);
    timer_stop(&f->timer);
    list_remove(&f->link);
    list_remove(&f->in_tr);
    buf_deinit(&f->value);
    buf_deinit(&f->rows);
    mem_free(c->mem, f->key);
    mem_free(c->mem, f);
}

/* Of what the process has been told so far, and is told now. */
static uint64_t future_digest(const struct fdb_future *f)
{
    uint64_t d = f->db->digest;
    d = (d ^ (uint64_t)f->op) * 0x100000001b3u;
    d = (d ^ (uint64_t)(unsigned)f->error) * 0x100000001b3u;
    d = (d ^ f->number) * 0x100000001b3u;
    return (d ^ f->value.len) * 0x100000001b3u;
}

static void future_call(struct fdb_future *f)
{
    f->called = true;
    f->db->digest = future_digest(f);
    f->db->c->stats.destroyed_callbacks += f->destroyed;
    f->fn(f, f->arg);
    if (f->destroyed)
        sim_future_free(f);
}

static void on_timer(void *arg)
{
    struct fdb_future *f = arg;
    if (sim_fdb_frozen(f->db, &f->held))
        return;
    if (f->ready)
        future_call(f);
    else if (f->watched)
        sim_watch_due(f);
    else
        sim_future_serve(f);
}

/* Leaves the transaction. */
static void future_leave(struct fdb_future *f)
{
    struct fdb_transaction *tr = f->tr;
    sim_watch_disarm(f);
    timer_stop(&f->timer);
    f->held = false;
    list_remove(&f->in_tr);
    f->tr = NULL;
    if (tr && f->reading)
        tr->reading--;
    f->reading = false;
}

void sim_future_finish(struct fdb_future *f, int error)
{
    CHECK(!f->ready);
    future_leave(f);
    f->ready = true;
    f->error = error;
    if (f->fn)
        future_call(f);
}

int sim_future_set_callback(struct fdb_future *f, fdb_callback *fn, void *arg)
{
    struct sim_fdb *c = f->db->c;
    CHECK(!f->fn && !f->destroyed && fn);
    f->fn = fn;
    f->arg = arg;
    if (!f->ready)
        return 0;
    if (rng_chance(&c->rng, 1, 2)) {
        c->stats.inline_callbacks++;
        future_call(f);
    } else {
        timer_start(&f->timer, sim_fdb_soon(c, NS_PER_MS));
    }
    return 0;
}

void sim_future_destroy(struct fdb_future *f)
{
    struct sim_fdb *c = f->db->c;
    CHECK(!f->destroyed);
    f->destroyed = true;
    f->db->future_count--;
    if (f->ready) {
        if (!f->fn || f->called)
            sim_future_free(f);
        return;
    }
    future_leave(f);
    f->ready = true;
    f->error = FDB_OPERATION_CANCELLED;
    if (!f->fn) {
        sim_future_free(f);
        return;
    }
    /* Inside this very call, as a library that has loaded further clients does, or later. */
    uint64_t delay = sim_fdb_soon(c, DESTROYED_CALL_NS);
    if (delay < DESTROYED_INLINE_NS)
        future_call(f);
    else
        timer_start(&f->timer, delay);
}

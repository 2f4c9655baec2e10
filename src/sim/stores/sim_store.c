#include "sim/stores/sim_store.h"

struct sim_store *sim_store_new(struct world *w)
{
    return w->config.store == SIM_STORE_EMBEDDED ? embedded_new(w) : fdb_store_new(w);
}

void sim_store_free(struct world *w)
{
    w->store->ops->free(w);
    w->store = NULL;
}

struct store sim_store_of(struct process *p)
{
    return p->world->store->ops->client(p);
}

void sim_store_detach(struct process *p)
{
    p->world->store->ops->detach(p);
}

void sim_store_freeze(struct process *p)
{
    p->world->store->ops->freeze(p);
}

uint64_t sim_store_thaw(struct process *p)
{
    return p->world->store->ops->thaw(p);
}

bool sim_store_closed(struct process *p)
{
    return p->world->store->ops->closed(p);
}

void sim_store_cut(struct world *w, unsigned node, bool cut)
{
    w->store->ops->cut(w, node, cut);
}

void sim_store_recovery(struct world *w, bool reads_too, bool on)
{
    w->store->ops->recovery(w, reads_too, on);
}

void sim_store_throttle(struct world *w, bool on)
{
    w->store->ops->throttle(w, on);
}

void sim_store_full(struct world *w, bool on)
{
    w->store->ops->full(w, on);
}

void sim_store_process(struct world *w, bool up)
{
    w->store->ops->process(w, up);
}

void sim_store_heal(struct world *w)
{
    w->store->ops->heal(w);
}

void sim_store_each(struct world *w, sim_row_fn *fn, void *arg)
{
    w->store->ops->each(w, fn, arg);
}

void sim_store_set_back(struct world *w, const struct store_write *rows, size_t count)
{
    w->store->ops->set_back(w, rows, count);
}

void sim_store_flip(struct world *w, struct bytes key, size_t bit)
{
    w->store->ops->flip(w, key, bit);
}

size_t sim_store_holds(const struct process *p)
{
    return p->world->store->ops->holds(p);
}

size_t sim_store_in_flight(const struct world *w)
{
    return w->store->ops->in_flight(w);
}

struct sim_store_stats sim_store_stats(const struct world *w)
{
    return w->store->ops->stats(w);
}

#include "sim/sim_rig.h"

#include "sim/faults/sim_nemesis.h"
#include "sim/workload/sim_workload.h"

struct sim_config rig_config(void)
{
    struct sim_config c;

    sim_config_draw(&c, 1);
    c.faults = 0;
    c.store = SIM_STORE_EMBEDDED;
    c.nodes = 3;
    c.net_delay_us = 100;
    c.net_jitter_us = 50;
    c.store_delay_us = 100;
    c.store_jitter_us = 50;
    c.store_batch_us = 0;
    c.timing = timing_default();
    return c;
}

void rig_begin(struct rig *r, const struct sim_config *config)
{
    struct world *w = &r->w;

    r->config = *config;
    world_init(w, config);
    w->net = sim_net_new(w);
    w->store = sim_store_new(w);
    w->shadow = shadow_new(w);
    w->checks = checks_new(w);
}

void rig_end(struct rig *r)
{
    struct world *w = &r->w;

    LIST_FOREACH_SAFE(it, tmp, &w->processes)
    {
        process_free(LIST_ENTRY(it, struct process, link));
    }
    checks_free(w->checks);
    shadow_free(w->shadow);
    sim_store_free(w);
    sim_net_free(w->net);
    world_deinit(w);
}

struct process *rig_process(struct rig *r, unsigned node)
{
    static const struct process_ops none;
    sim_net_note_row(r->w.net, sim_net_addr(r->w.net, node, SIM_SLOT_NODE));
    return process_new(&r->w, node, SIM_SLOT_NODE, &none, NULL);
}

static void on_done(struct store_req *req, int status)
{
    *(int *)req->arg = status;
}

int rig_commit(struct rig *r, struct process *p, const struct store_write *writes, size_t count)
{
    int status = 1;
    struct store_req req = {.writes = writes, .write_count = count, .fn = on_done, .arg = &status};

    p->env.store.ops->commit(p->env.store.ctx, &req);
    while (status == 1 && !r->w.stop)
        world_run(&r->w, r->w.now_ns + NS_PER_MS);
    /* A checker has spoken: nobody waits for the answer any more. */
    if (status == 1)
        p->env.store.ops->cancel(p->env.store.ctx, &req);
    return status;
}

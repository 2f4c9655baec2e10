#include "store/fdb_fixture.h"

#include "store/heap_mem.h"
#include "store/store_fdb.h"

#define PUMP_NS NS_PER_MS /* virtual time that passes in one turn of the real loop */

static void client_ready(void *arg)
{
    struct fdb_client *c = arg;
    store_fdb_ready(c->store);
}

static void client_wake(void *arg)
{
    struct fdb_client *c = arg;
    timer_start(&c->wake, 0);
}

static void client_open(struct fdb_fixture *f, struct fdb_client *c, struct log log,
                        struct bytes prefix)
{
    const struct store_fdb_env env = {
        .mem = test_mem(),
        .clock = virtual_loop_clock(&f->time),
        .timers = virtual_loop_timers(&f->time),
        .log = log,
        .wake = {client_wake, c},
    };
    const struct store_fdb_options o = {.prefix = prefix, .order = true};
    timer_init(&c->wake, env.timers, "wake", client_ready, c);
    c->db = sim_fdb_database(f->sim, c);
    CHECK(!store_fdb_new(&env, sim_fdb_api(), c->db, &o, &c->store));
}

static void client_close(struct fdb_fixture *f, struct fdb_client *c)
{
    store_fdb_close(c->store);
    while (!store_fdb_idle(c->store))
        CHECK(virtual_loop_step(&f->time));
    timer_stop(&c->wake);
    store_fdb_free(c->store);
    CHECK(sim_fdb_database_holds(c->db) == 0);
    sim_fdb_database_kill(c->db);
}

void fdb_fixture_init(struct fdb_fixture *f, const struct env *env, uint64_t seed,
                      const uint16_t *rates, struct bytes prefix)
{
    memset(f, 0, sizeof(*f));
    virtual_loop_init(&f->time);
    struct sim_fdb_options o = {
        .mem = test_mem(),
        .clock = virtual_loop_clock(&f->time),
        .timers = virtual_loop_timers(&f->time),
        .seed = seed,
    };
    for (size_t i = 0; rates && i < SIM_FDB_FAULT_COUNT; i++)
        o.rate[i] = rates[i];
    f->sim = sim_fdb_new(&o);
    for (size_t i = 0; i < FIXTURE_CLIENTS; i++)
        client_open(f, &f->client[i], env->log, prefix);
}

void fdb_fixture_deinit(struct fdb_fixture *f)
{
    for (size_t i = 0; i < FIXTURE_CLIENTS; i++)
        client_close(f, &f->client[i]);
    sim_fdb_free(f->sim);
    virtual_loop_deinit(&f->time);
}

static void pump(void *arg)
{
    struct fdb_fixture *f = arg;
    virtual_loop_run(&f->time, f->time.now_ns + PUMP_NS);
    timer_start(&f->pump, 0);
}

void fdb_fixture_open(struct store_fixture *f)
{
    struct fdb_fixture *fdb = MEM_NEW(test_mem(), struct fdb_fixture);
    fdb_fixture_init(fdb, &f->env, 11, NULL, bytes_of_str("\x15\x01test/"));
    for (size_t i = 0; i < FIXTURE_CLIENTS; i++)
        f->store[i] = store_fdb_store(fdb->client[i].store);
    f->fdb = fdb;
    timer_init(&fdb->pump, f->env.timers, "pump", pump, fdb);
    timer_start(&fdb->pump, 0);
}

void fdb_fixture_close(struct store_fixture *f)
{
    timer_stop(&f->fdb->pump);
    fdb_fixture_deinit(f->fdb);
    mem_free(test_mem(), f->fdb);
}

void fdb_fixture_restart(struct store_fixture *f)
{
    sim_fdb_recovery_begin(f->fdb->sim, true);
    sim_fdb_recovery_end(f->fdb->sim, true);
}

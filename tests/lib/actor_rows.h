/* Rows of one actor and its nodes, and running one transaction on them: for tables of rules. */
#ifndef KELPIE_TESTS_ACTOR_ROWS_H
#define KELPIE_TESTS_ACTOR_ROWS_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#include "kelpie/error.h"
#include "lib/small_world.h"
#include "registry/rules_actor.h"

#define TYPE "counter"
#define ID "a"
#define NO_STATE 99

struct run {
    bool done;
    int status;
    bool committed;
    char reason[TXN_REASON_SIZE];
};

static inline void on_done(struct txn *t, int status)
{
    struct run *r = t->arg;

    r->done = true;
    r->status = status;
    r->committed = t->committed;
    (void)snprintf(r->reason, sizeof r->reason, "%s", t->reason);
}

static inline struct uuid boot_of(unsigned n)
{
    struct uuid u = {{(uint8_t)n}};

    return u;
}

static inline struct host host_of(const char *node, uint64_t incarnation, unsigned boot)
{
    struct host h = {.incarnation = incarnation, .boot = boot_of(boot)};

    (void)snprintf(h.node_id, sizeof h.node_id, "%s", node);
    return h;
}

static inline void put_node(struct small_world *w, const char *id, int state, uint64_t incarnation,
                            unsigned boot, const char *class)
{
    struct key key = key_node(&w->ks, id);
    struct node_record r = {
        .state = (enum node_state)state,
        .incarnation = incarnation,
        .boot = boot_of(boot),
        .lease_ms = 2000,
        .class_count = 1,
    };
    struct buf value;

    if (state == NO_STATE)
        return;
    (void)snprintf(r.addr, sizeof r.addr, "addr-of-%s", id);
    (void)snprintf(r.http_addr, sizeof r.http_addr, "http-of-%s", id);
    (void)snprintf(r.classes[0], sizeof r.classes[0], "%s", class);
    buf_init(&value, w->env.mem);
    node_record_encode(&r, key_bytes(&key), &value);
    small_put(w, key, &value);
    buf_deinit(&value);
}

static inline void put_placement(struct small_world *w, const char *node, uint64_t incarnation,
                                 unsigned boot, uint64_t generation)
{
    struct key key = key_actor(&w->ks, TYPE, ID);
    struct placement_record p = {.placed = node[0] != 0, .generation = generation};
    struct by_node_record by = {.generation = generation};
    struct buf value;

    if (p.placed) {
        (void)snprintf(p.node_id, sizeof p.node_id, "%s", node);
        p.incarnation = incarnation;
        p.boot = boot_of(boot);
    }
    buf_init(&value, w->env.mem);
    placement_record_encode(&p, key_bytes(&key), &value);
    small_put(w, key, &value);
    if (p.placed) {
        key = key_by_node(&w->ks, node, incarnation, TYPE, ID);
        by_node_record_encode(&by, key_bytes(&key), &value);
        small_put(w, key, &value);
    }
    buf_deinit(&value);
}

static const enum small_commit plans[] = {SMALL_COMMIT_PLAIN, SMALL_COMMIT_UNKNOWN_DONE,
                                          SMALL_COMMIT_UNKNOWN_NOT};

static inline void run_txn(struct small_world *w, struct txn *t, struct run *r,
                           enum small_commit plan)
{
    w->commits = 0;
    w->commit_plan = plan;
    txn_start(t);
    assert_true(small_run_until(w, &r->done, 5000));
    w->commit_plan = SMALL_COMMIT_PLAIN;
}

#endif

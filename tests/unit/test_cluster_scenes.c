/* Scenes of whole nodes: what a single rule cannot show, because it lies in when a node runs it. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#include "kelpie/error.h"
#include "lib/small_world.h"

static const struct kelpie_class *const builtin[] = {&kelpie_class_counter, NULL};

static struct cluster *cluster_at(struct small_world *w, size_t i)
{
    return node_cluster(w->nodes[i].node);
}

static struct primary_record decode_primary(struct small_world *w, struct bytes value)
{
    struct key key = key_primary(&w->ks);
    struct primary_record p;
    struct buf scratch;
    buf_init(&scratch, w->env.mem);
    assert_int_equal(primary_record_decode(key_bytes(&key), value, &scratch, &p), 0);
    buf_deinit(&scratch);
    return p;
}

static struct primary_record stored_primary(struct small_world *w)
{
    struct buf value;
    buf_init(&value, w->env.mem);
    assert_true(small_get(w, key_primary(&w->ks), &value));
    struct primary_record p = decode_primary(w, buf_bytes(&value));
    buf_deinit(&value);
    return p;
}

static enum node_state stored_state(struct small_world *w, struct node *n)
{
    struct key key = key_node(&w->ks, cluster_config_of(node_cluster(n))->node_id);
    struct node_record r;
    struct buf value, scratch;
    buf_init(&value, w->env.mem);
    buf_init(&scratch, w->env.mem);
    assert_true(small_get(w, key, &value));
    assert_int_equal(node_record_decode(key_bytes(&key), buf_bytes(&value), &scratch, &r), 0);
    buf_deinit(&value);
    buf_deinit(&scratch);
    return r.state;
}

/* ---- NodeLeave */

static unsigned vacated;

/* Once that commit has landed another node may be elected: nobody may claim the term by then. */
static void nobody_claims_what_is_vacated(struct small_world *w, const struct store_req *req)
{
    struct key key = key_primary(&w->ks);
    for (size_t i = 0; i < req->write_count; i++) {
        if (!bytes_equal(req->writes[i].key, key_bytes(&key)) ||
            !decode_primary(w, req->writes[i].value).vacant)
            continue;
        vacated++;
        for (size_t k = 0; k < SMALL_NODES_MAX; k++)
            if (w->nodes[k].node)
                assert_int_equal(cluster_claim(cluster_at(w, k)), 0);
    }
}

static void a_primary_that_leaves_claims_nothing_when_it_commits(void **state)
{
    struct small_world *w = small_world_of(2, builtin);
    char why[200];
    (void)state;
    vacated = 0;
    assert_true(cluster_claim(cluster_at(w, 0)) > 0);
    w->before_commit = nobody_claims_what_is_vacated;
    assert_int_equal(node_leave(w->nodes[0].node, false, why, sizeof(why)), 0);
    assert_true(small_run_until(w, &w->nodes[0].left, 20000));
    assert_int_equal(vacated, 1);
    assert_true(small_wait_view(w, 1, 1));
    small_run_ms(w, 1000);
    assert_true(cluster_claim(cluster_at(w, 1)) > 0);
    small_world_free(w);
}

/* The only active node has just died, so nobody answers the newcomer, and it would wait a window. */
static void a_node_asked_to_leave_while_joining_goes_at_once(void **state)
{
    struct small_world *w = small_world_of(1, builtin);
    char why[200];
    (void)state;
    small_node_close(&w->nodes[0]);
    (void)small_node_start(w, 1, builtin, 0, 0);
    small_run_ms(w, 400);
    assert_int_equal(cluster_state(cluster_at(w, 1)), NODE_JOINING);
    assert_int_equal(node_leave(w->nodes[1].node, true, why, sizeof(why)), 0);
    assert_true(small_run_until(w, &w->nodes[1].left, 500));
    assert_int_equal(stored_state(w, w->nodes[1].node), NODE_LEFT);
    small_world_free(w);
}

/* ---- PrimaryStepDown */

/* Two of three die, and the third's lease lapses before it declares them: it is stored as primary,
 * claims nothing, and has no majority to be elected. It resigns, for the operator's sake. */
static void a_stored_primary_without_majority_resigns(void **state)
{
    struct small_world *w = small_world_of(3, builtin);
    (void)state;
    assert_true(cluster_claim(cluster_at(w, 0)) > 0);
    w->store_cut = true;
    small_node_close(&w->nodes[1]);
    small_node_close(&w->nodes[2]);
    small_run_ms(w, 2500);
    assert_int_equal(cluster_claim(cluster_at(w, 0)), 0);
    assert_false(cluster_may_act(cluster_at(w, 0)));
    w->store_cut = false;
    assert_false(stored_primary(w).vacant);
    small_run_ms(w, 6000);
    assert_true(cluster_may_act(cluster_at(w, 0)));
    assert_int_equal(cluster_claim(cluster_at(w, 0)), 0);
    assert_true(stored_primary(w).vacant);
    small_world_free(w);
}

/* ---- the store is away from all */

#define OUTAGE_MS 60000 /* thirty leases */

/* Nodes suspend within their lease and say why, ask at a bounded rate, and go on in the same lives. */
static void outage(bool full)
{
    const char *reason = full ? "the store has no room left" : "the store does not answer";
    struct small_world *w = small_world_of(3, builtin);
    uint64_t failures = 0, elections = 0;
    small_run_ms(w, 1000);
    *(full ? &w->store_full : &w->store_cut) = true;
    small_run_ms(w, 2100);
    size_t before = w->requests;
    for (size_t i = 0; i < 3; i++) {
        assert_false(cluster_may_act(cluster_at(w, i)));
        assert_string_equal(cluster_reason(cluster_at(w, i)), reason);
    }
    small_run_ms(w, OUTAGE_MS);
    /* A few operations a node, each with a pause of half a heartbeat, or of half a second. */
    assert_in_range(w->requests - before, 3 * OUTAGE_MS / 2000, 3 * OUTAGE_MS / 50);
    for (size_t i = 0; i < 3; i++) {
        assert_false(cluster_may_act(cluster_at(w, i)));
        assert_string_equal(cluster_reason(cluster_at(w, i)), reason);
        assert_int_equal(cluster_stats(cluster_at(w, i))->suspends, 1);
    }
    w->store_full = w->store_cut = false;
    small_run_ms(w, 3000);
    for (size_t i = 0; i < 3; i++) {
        struct cluster *c = cluster_at(w, i);
        assert_true(cluster_may_act(c));
        assert_int_equal(cluster_state(c), NODE_ACTIVE);
        assert_int_equal(cluster_incarnation(c), 1);
        assert_int_equal(cluster_view(c)->count, 3);
        assert_string_equal(cluster_reason(c), "");
        failures += cluster_stats(c)->failures_declared;
        elections += cluster_stats(c)->elections_won;
    }
    assert_int_equal(failures, 0);
    assert_int_equal(elections, 1); /* after the outage; the founder needed none */
    assert_false(stored_primary(w).vacant);
    small_world_free(w);
}

static void an_outage_that_hits_all_fails_nobody(void **state)
{
    (void)state;
    outage(false);
}

static void a_full_disk_fails_nobody(void **state)
{
    (void)state;
    outage(true);
}

/* ---- two nodes */

/* As docs/protocol.md says: a primary that survives declares the other one failed, and then resigns. */
static void of_two_the_primary_survives(void **state)
{
    struct small_world *w = small_world_of(2, builtin);
    (void)state;
    small_node_close(&w->nodes[1]);
    assert_true(small_wait_view(w, 0, 1));
    assert_true(cluster_claim(cluster_at(w, 0)) > 0);
    small_run_ms(w, 6000);
    assert_int_equal(cluster_claim(cluster_at(w, 0)), 0);
    assert_true(stored_primary(w).vacant);
    assert_true(cluster_may_act(cluster_at(w, 0)));
    small_world_free(w);
}

static void of_two_the_other_one_survives(void **state)
{
    struct small_world *w = small_world_of(2, builtin);
    (void)state;
    small_node_close(&w->nodes[0]);
    small_run_ms(w, 20000);
    assert_true(cluster_may_act(cluster_at(w, 1)));
    assert_int_equal(cluster_view(cluster_at(w, 1))->count, 2);
    assert_int_equal(cluster_claim(cluster_at(w, 1)), 0);
    assert_string_equal(cluster_reason(cluster_at(w, 1)),
                        "no majority: 1 of 2 voters are with this node");
    small_world_free(w);
}

/* ---- forget --force */

struct told {
    bool done;
    int status;
    char why[256];
};

static void on_told(void *arg, int status, const char *why)
{
    struct told *t = arg;
    t->done = true;
    t->status = status;
    (void)snprintf(t->why, sizeof(t->why), "%s", why);
}

/* A primary that moves is there, and is said to be so at once; one that has just died is waited for. */
static void force_does_not_wait_for_a_primary_that_lives(void **state)
{
    struct small_world *w = small_world_of(3, builtin);
    struct told told[3] = {{.done = false}};
    (void)state;
    for (size_t i = 0; i < 2; i++)
        node_forget(w->nodes[i].node, "n3", true, on_told, &told[i]);
    small_run_ms(w, 1500); /* less than a window */
    for (size_t i = 0; i < 2; i++) {
        assert_true(told[i].done);
        assert_int_equal(told[i].status, KELPIE_E_REFUSED);
        assert_non_null(strstr(told[i].why, "is primary and alive: forget without force"));
    }
    small_node_close(&w->nodes[0]);
    small_node_close(&w->nodes[2]);
    node_forget(w->nodes[1].node, "n3", true, on_told, &told[2]);
    small_run_ms(w, 1500);
    assert_false(told[2].done);
    small_run_ms(w, 10000);
    assert_true(told[2].done);
    assert_int_equal(told[2].status, 0);
    small_world_free(w);
}

/* ---- no hot loops */

/* Nobody to elect it, a dead one that nobody can declare: the node goes on quietly. */
static void a_minority_is_quiet(void **state)
{
    struct small_world *w = small_world_of(2, builtin);
    (void)state;
    small_node_close(&w->nodes[0]);
    small_run_ms(w, 5000);
    size_t before = w->commits;
    small_run_ms(w, 30000);
    assert_true(w->commits - before < 3 * 30000 / 300);
    small_world_free(w);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_primary_that_leaves_claims_nothing_when_it_commits),
        cmocka_unit_test(a_node_asked_to_leave_while_joining_goes_at_once),
        cmocka_unit_test(a_stored_primary_without_majority_resigns),
        cmocka_unit_test(an_outage_that_hits_all_fails_nobody),
        cmocka_unit_test(a_full_disk_fails_nobody),
        cmocka_unit_test(of_two_the_primary_survives),
        cmocka_unit_test(of_two_the_other_one_survives),
        cmocka_unit_test(force_does_not_wait_for_a_primary_that_lives),
        cmocka_unit_test(a_minority_is_quiet),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

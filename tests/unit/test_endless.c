/* An actor whose every turn sends to itself, for ever: it takes its turns with others, and nothing grows. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#include "actor/activation.h"
#include "lib/small_world.h"

#define WAITING_MAX 48

/* "again" sends itself on as often as its body says: "1" for ever, "2" twice as many with each turn; "later" does
 * so in a second. "turns" tells how many there were. */
static int receive(struct kelpie_actor *actor, const struct kelpie_message *m)
{
    const struct kelpie_send_options later = {.after_ms = 1000};
    const uint8_t *value = NULL;
    size_t len = 0;
    uint32_t turns = 0;
    char text[16];
    int error = 0;

    if (kelpie_state_get(actor, "turns", 5, &value, &len))
        memcpy(&turns, value, sizeof turns);
    if (strcmp(m->method, "turns") == 0) {
        (void)snprintf(text, sizeof text, "%u", turns);
        return kelpie_reply_text(actor, text);
    }
    turns++;
    for (int n = m->body_len ? m->body[0] - '0' : 0; n > 0 && !error; n--)
        error = kelpie_send(actor, "ring", kelpie_actor_id(actor), m->method, m->body, m->body_len,
                            strcmp(m->method, "later") == 0 ? &later : NULL);
    return error ? error : kelpie_state_put(actor, "turns", 5, &turns, sizeof turns);
}

static const struct kelpie_class ring = {
    .abi = KELPIE_ABI_VERSION,
    .size = sizeof(struct kelpie_class),
    .type = "ring",
    .placement = KELPIE_PLACE_LOCAL,
    .receive = receive,
};
static const struct kelpie_class *const classes[] = {&ring, NULL};

static struct small_answer call(struct small_world *w, size_t node, const char *id,
                                const char *method, const char *body)
{
    struct small_answer r = {.done = false};

    actors_call(node_actors(w->nodes[node].node), "ring", id, method, "", UINT64_MAX,
                bytes_of_str(body), 0, small_on_answer, &r);
    assert_true(small_run_until(w, &r.done, 10000));
    return r;
}

static unsigned turns(struct small_world *w, size_t node, const char *id)
{
    return (unsigned)atoi(call(w, node, id, "turns", "").text);
}

static size_t steps_of_call(struct small_world *w, const char *id)
{
    struct small_answer r = {.done = false};
    size_t steps = 0;

    actors_call(node_actors(w->nodes[0].node), "ring", id, "again", "", UINT64_MAX,
                bytes_of_str("0"), 0, small_on_answer, &r);
    for (; !r.done; steps++)
        assert_true(small_step(w));
    assert_int_equal(r.status, 0);
    return steps;
}

/* The store takes its time, or none would pass. */
static void takes_a_while(struct small_world *w, const struct store_req *req)
{
    (void)req;
    w->now_ns += NS_PER_MS;
}

static void run_turns(struct small_world *w, const char *id, unsigned count)
{
    unsigned wanted = turns(w, 0, id) + count;

    for (int i = 0; i < 1000 && turns(w, 0, id) < wanted; i++)
        small_run_ms(w, 1000);
    assert_true(turns(w, 0, id) >= wanted);
}

struct rows {
    bool done;
    size_t count;
};

static void on_rows(struct txn *t, int status)
{
    struct rows *r = t->arg;

    assert_int_equal(status, 0);
    r->count += rule_rows(t, 0).count;
    r->done = true;
}

/* The rows of its inbox, of what has a time, and of its dead letters. */
static size_t rows_of(struct small_world *w, const char *id)
{
    uint32_t shard = actor_shard("ring", id, SHARDS_DEFAULT);
    const struct key_range ranges[] = {
        keys_inbox(&w->ks, shard, "ring", id),
        keys_later(&w->ks, "ring", id),
        keys_dead(&w->ks, "ring", id),
    };
    struct rows r = {.count = 0};
    struct txn t;

    for (size_t i = 0; i < sizeof ranges / sizeof ranges[0]; i++) {
        r.done = false;
        count_waiting_txn(&t, &w->env, &ranges[i], on_rows, &r);
        txn_start(&t);
        while (!r.done)
            assert_true(small_step(w));
    }
    return r.count;
}

/* One row and one commit a turn. Others of its node are answered as if it were not there, and the window of the
 * store apart, which holds 65,536 keys, no memory is taken. */
static void others_go_on(void **state)
{
    struct small_world *w = small_world_of(2, classes);
    struct actors *a = node_actors(w->nodes[0].node);
    char why[256];
    uint64_t commits;
    size_t alone, held;
    unsigned before;

    (void)state;
    w->before_commit = takes_a_while;
    (void)steps_of_call(w, "other");
    alone = steps_of_call(w, "other");
    assert_int_equal(call(w, 0, "a", "again", "1").status, 0);
    before = turns(w, 0, "a");
    commits = a->stats.commits;
    small_run_ms(w, 1000);
    assert_in_range(turns(w, 0, "a") - before, 900, 1000);
    assert_in_range(a->stats.commits - commits, 900, 1010);
    assert_in_range(steps_of_call(w, "other"), 1, 3 * alone);
    run_turns(w, "a", 70000);
    held = w->memory_held;
    run_turns(w, "a", 10000);
    assert_in_range(w->memory_held, 1, held + 20);
    assert_in_range(rows_of(w, "a"), 1, 2);
    assert_int_equal(a->nudge_calls, 0);
    /* Its node can leave, and it goes on elsewhere. */
    assert_int_equal(node_leave(w->nodes[0].node, false, why, sizeof why), 0);
    assert_true(small_run_until(w, &w->nodes[0].left, 20000));
    before = turns(w, 1, "a");
    small_run_ms(w, 1000);
    assert_in_range(turns(w, 1, "a"), before + 500, before + 1100);
    small_world_free(w);
}

/* Twice as many with each turn: up to the bound, dead letters included; then its turns are told so, and fail. */
static void what_doubles_is_bounded(void **state)
{
    static const char *const methods[] = {"again", "later"};

    (void)state;
    for (size_t i = 0; i < 2; i++) {
        struct small_world *w = small_world_of(1, classes);
        struct actors *a = node_actors(w->nodes[0].node);
        size_t rows;

        w->before_commit = takes_a_while;
        a->crowds.max = WAITING_MAX;
        assert_int_equal(call(w, 0, "a", methods[i], "2").status, 0);
        small_run_ms(w, 120000);
        rows = rows_of(w, "a");
        assert_in_range(rows, WAITING_MAX, 2 * WAITING_MAX);
        small_run_ms(w, 600000);
        assert_int_equal(rows_of(w, "a"), rows);
        assert_int_equal(call(w, 0, "a", methods[i], "2").status, KELPIE_E_MAILBOX_FULL);
        (void)steps_of_call(w, "other");
        small_world_free(w);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(others_go_on),
        cmocka_unit_test(what_doubles_is_bounded),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

/* An actor's state in memory, against a plain model. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include <cmocka.h>

#include "actor/actor.h"
#include "actor/actor_state.h"
#include "base/rng.h"
#include "support/test_mem.h"

static int put(struct actor_state *s, const char *key, const char *value)
{
    return actor_state_put(s, bytes_of_str(key), bytes_of_str(value));
}

static int del(struct actor_state *s, const char *key)
{
    return actor_state_delete(s, bytes_of_str(key));
}

static bool is(struct actor_state *s, const char *key, const char *value)
{
    struct bytes v;
    bool there = actor_state_get(s, STATE_AS_IT_WILL_BE, bytes_of_str(key), &v);

    return value ? there && bytes_equal(v, bytes_of_str(value)) : !there;
}

/* As if committed. */
static void saved(struct actor_state *s)
{
    struct state_write *w;
    bool whole;

    size_t count = actor_state_take(s, &w, &whole);
    actor_state_committed(s, w, count, whole);
    mem_free(s->mem, w);
}

static bool is_committed(struct actor_state *s, const char *key, const char *value)
{
    struct bytes v;
    bool there = actor_state_get(s, STATE_COMMITTED, bytes_of_str(key), &v);

    return value ? there && bytes_equal(v, bytes_of_str(value)) : !there;
}

static void test_rollback_and_commit(void **state)
{
    struct test_mem mem = {0};
    struct actor_state s;
    struct state_write *writes;
    bool whole;

    (void)state;
    actor_state_init(&s, test_mem(&mem));
    assert_int_equal(actor_state_load(&s, bytes_of_str("a"), bytes_of_str("1")), 0);
    assert_false(actor_state_touched(&s));
    assert_int_equal(put(&s, "a", "2"), 0);
    assert_int_equal(put(&s, "a", "3"), 0);
    assert_int_equal(put(&s, "b", ""), 0);
    assert_true(actor_state_touched(&s) && is(&s, "a", "3") && is(&s, "b", ""));
    actor_state_rollback(&s);
    assert_true(is(&s, "a", "1") && is(&s, "b", NULL) && s.unsaved_count == 0 && s.keys == 1);
    assert_false(actor_state_touched(&s));

    assert_int_equal(del(&s, "a"), 0);
    assert_int_equal(del(&s, "never"), 0);
    assert_int_equal(put(&s, "c", "9"), 0);
    assert_int_equal(s.unsaved_count, 2);
    assert_int_equal(actor_state_take(&s, &writes, &whole), 2);
    assert_true(!whole && bytes_equal(writes[0].key, bytes_of_str("a")) && !writes[0].present);
    assert_true(bytes_equal(writes[1].value, bytes_of_str("9")) && writes[1].present);
    assert_true(is(&s, "a", NULL) && is(&s, "c", "9") && s.unsaved_count == 0);
    /* Who reads is shown what is committed, until this is. */
    assert_true(is_committed(&s, "a", "1") && is_committed(&s, "c", NULL));
    actor_state_committed(&s, writes, 2, whole);
    mem_free(s.mem, writes);
    assert_true(is_committed(&s, "a", NULL) && is_committed(&s, "c", "9"));
    assert_int_equal(s.entries.count, 1);
    actor_state_deinit(&s);
    assert_int_equal(mem.held, 0);
}

/* What `activate` wrote stays unsaved until a message commits, also when one before it fails. */
static void test_kept_changes_survive_a_failed_message(void **state)
{
    struct test_mem mem = {0};
    struct actor_state s;

    (void)state;
    actor_state_init(&s, test_mem(&mem));
    assert_int_equal(put(&s, "a", "init"), 0);
    actor_state_begin(&s);
    assert_false(actor_state_touched(&s));
    assert_true(is_committed(&s, "a", "init"));
    assert_int_equal(put(&s, "a", "message"), 0);
    assert_int_equal(del(&s, "a"), 0);
    actor_state_rollback(&s);
    assert_true(is(&s, "a", "init"));
    assert_int_equal(s.unsaved_count, 1);
    saved(&s);
    assert_int_equal(s.unsaved_count, 0);
    actor_state_deinit(&s);
    assert_int_equal(mem.held, 0);
}

static void test_a_value_may_be_put_under_its_own_key(void **state)
{
    struct test_mem mem = {0};
    struct actor_state s;
    struct bytes v;

    (void)state;
    actor_state_init(&s, test_mem(&mem));
    assert_int_equal(put(&s, "a", "abcdef"), 0);
    assert_true(actor_state_get(&s, STATE_AS_IT_WILL_BE, bytes_of_str("a"), &v));
    assert_int_equal(actor_state_put(&s, bytes_of_str("a"), bytes_of(v.data + 2, 2)), 0);
    assert_true(is(&s, "a", "cd"));
    actor_state_deinit(&s);
}

static void test_bounds(void **state)
{
    static uint8_t big[KELPIE_STATE_VALUE_MAX + 1];
    struct test_mem mem = {0};
    struct actor_state s;
    char key[64];
    int error = 0;
    unsigned n = 0;

    (void)state;
    actor_state_init(&s, test_mem(&mem));
    memset(key, 'k', sizeof key);
    assert_int_equal(actor_state_put(&s, bytes_of(key, 0), bytes_of_str("v")), KELPIE_E_INVALID);
    assert_int_equal(actor_state_put(&s, bytes_of(big, KELPIE_STATE_KEY_MAX + 1), bytes_of_str("")),
                     KELPIE_E_INVALID);
    assert_int_equal(actor_state_put(&s, bytes_of(big, KELPIE_STATE_KEY_MAX), bytes_of_str("")), 0);
    assert_int_equal(actor_state_put(&s, bytes_of_str("a"), bytes_of(big, sizeof big)),
                     KELPIE_E_STATE_FULL);
    while (!error) {
        (void)snprintf(key, sizeof key, "big%u", n++);
        error = actor_state_put(&s, bytes_of_str(key), bytes_of(big, KELPIE_STATE_VALUE_MAX));
    }
    assert_int_equal(error, KELPIE_E_STATE_FULL);
    assert_true(s.bytes <= KELPIE_STATE_BYTES_MAX && n == 8);
    actor_state_rollback(&s);
    assert_int_equal(s.keys, 0);
    assert_int_equal(s.bytes, 0);
    for (error = 0, n = 0; !error; n++) {
        (void)snprintf(key, sizeof key, "%u", n);
        error = put(&s, key, "");
    }
    assert_int_equal(n - 1, KELPIE_STATE_KEYS_MAX);
    /* Rows that no actor can have written are damage, not a state that is full. */
    assert_int_equal(actor_state_load(&s, bytes_of_str("more"), bytes_of_str("")),
                     KELPIE_E_STORE_CORRUPT);
    saved(&s);
    /* All out, then others in: more changes than one commit may carry. */
    for (unsigned i = 0; i < KELPIE_STATE_KEYS_MAX; i++) {
        (void)snprintf(key, sizeof key, "%u", i);
        assert_int_equal(del(&s, key), 0);
    }
    for (error = 0, n = 0; !error; n++) {
        (void)snprintf(key, sizeof key, "new%u", n);
        error = put(&s, key, "");
    }
    assert_int_equal(s.unsaved_count, KELPIE_STATE_CHANGES_MAX);
    assert_int_equal(error, KELPIE_E_STATE_FULL);
    actor_state_rollback(&s);
    assert_int_equal(s.keys, KELPIE_STATE_KEYS_MAX);
    actor_state_deinit(&s);
    assert_int_equal(mem.held, 0);
}

/* ---- random steps beside a model ---- */

#define MODEL_KEYS 12

struct model {
    int now[MODEL_KEYS];        /* -1: not there */
    int kept[MODEL_KEYS];       /* before the message */
    int flying[MODEL_KEYS];     /* as the commit in flight has it */
    int committed[MODEL_KEYS];  /* as the store has it */
    struct state_write *writes; /* in flight; NULL: nothing is */
    size_t count;
    bool whole;
};

static void check_view(struct actor_state *s, enum state_view view, const int *values)
{
    struct bytes key = bytes_of(NULL, 0), value;

    for (int i = 0; i < MODEL_KEYS; i++) {
        char name[2] = {(char)('a' + i), 0}, text[16];
        bool there = actor_state_get(s, view, bytes_of_str(name), &value);
        assert_int_equal(there, values[i] >= 0);
        if (values[i] < 0)
            continue;
        (void)snprintf(text, sizeof text, "%d", values[i]);
        assert_true(bytes_equal(value, bytes_of_str(text)));
        assert_true(actor_state_next(s, view, key, &key, &value));
        assert_true(bytes_equal(key, bytes_of_str(name)));
        assert_true(bytes_equal(value, bytes_of_str(text)));
    }
    assert_false(actor_state_next(s, view, key, &key, &value) && key.len == 0);
}

static void check(struct actor_state *s, const struct model *m)
{
    size_t keys = 0;

    check_view(s, STATE_AS_IT_WILL_BE, m->now);
    check_view(s, STATE_COMMITTED, m->committed);
    for (int i = 0; i < MODEL_KEYS; i++)
        keys += m->now[i] >= 0;
    assert_int_equal(s->keys, keys);
}

/* A commit begins, between two messages, or lands, also while one runs. */
static void commit_step(struct actor_state *s, struct model *m)
{
    if (m->writes) {
        actor_state_committed(s, m->writes, m->count, m->whole);
        mem_free(s->mem, m->writes);
        m->writes = NULL;
        memcpy(m->committed, m->flying, sizeof m->committed);
    } else if (!actor_state_touched(s)) {
        m->count = actor_state_take(s, &m->writes, &m->whole);
        memcpy(m->flying, m->now, sizeof m->flying);
    }
}

static void test_random_steps(void **state)
{
    struct test_mem mem = {0};
    struct actor_state s;
    struct model m = {.writes = NULL};
    struct rng rng;

    (void)state;
    rng_seed(&rng, 7, 1);
    actor_state_init(&s, test_mem(&mem));
    for (int i = 0; i < MODEL_KEYS; i++)
        m.now[i] = m.kept[i] = m.committed[i] = -1;
    for (int step = 0; step < 20000; step++) {
        int i = (int)rng_below(&rng, MODEL_KEYS);
        char name[2] = {(char)('a' + i), 0}, text[16];
        switch (rng_below(&rng, 9)) {
        case 0:
            actor_state_rollback(&s);
            memcpy(m.now, m.kept, sizeof m.now);
            break;
        case 1:
            actor_state_keep(&s);
            memcpy(m.kept, m.now, sizeof m.now);
            break;
        case 2:
        case 3:
            assert_int_equal(del(&s, name), 0);
            m.now[i] = -1;
            break;
        case 4:
            commit_step(&s, &m);
            break;
        default:
            (void)snprintf(text, sizeof text, "%d", step);
            assert_int_equal(put(&s, name, text), 0);
            m.now[i] = step;
        }
        check(&s, &m);
    }
    mem_free(s.mem, m.writes);
    actor_state_deinit(&s);
    assert_int_equal(mem.held, 0);
}

/* A commit of the whole state lands while others change it. */
static void test_a_whole_state_is_committed(void **state)
{
    struct test_mem mem = {0};
    struct actor_state s;
    struct state_write *w;
    char key[32];
    bool whole;
    size_t count;

    (void)state;
    actor_state_init(&s, test_mem(&mem));
    for (unsigned i = 0; i < KELPIE_STATE_KEYS_MAX; i++) {
        (void)snprintf(key, sizeof key, "%u", i);
        assert_int_equal(put(&s, key, "x"), 0);
    }
    actor_state_keep(&s);
    saved(&s);
    for (unsigned i = 1; i < KELPIE_STATE_KEYS_MAX; i++) {
        (void)snprintf(key, sizeof key, "%u", i);
        assert_int_equal(del(&s, key), 0);
    }
    assert_int_equal(put(&s, "a", "1"), 0);
    assert_int_equal(put(&s, "b", "2"), 0);
    actor_state_keep(&s);
    count = actor_state_take(&s, &w, &whole);
    assert_true(whole && count == 3);
    assert_int_equal(put(&s, "7", "y"), 0);
    assert_int_equal(del(&s, "a"), 0);
    actor_state_keep(&s);
    assert_true(is_committed(&s, "7", "x") && is_committed(&s, "a", NULL));
    actor_state_committed(&s, w, count, whole);
    mem_free(s.mem, w);
    assert_true(is_committed(&s, "7", NULL) && is_committed(&s, "a", "1"));
    assert_true(is(&s, "7", "y") && is(&s, "a", NULL) && is_committed(&s, "b", "2"));
    saved(&s);
    assert_int_equal(s.entries.count, 3);
    actor_state_deinit(&s);
    assert_int_equal(mem.held, 0);
}

/* What is taken, applied to rows beside it, leaves what is in memory: as changes, and as a whole. */
static void test_what_is_taken(void **state)
{
    struct test_mem mem = {0};
    struct actor_state s;
    struct state_write *w;
    bool whole;
    char key[32];

    (void)state;
    actor_state_init(&s, test_mem(&mem));
    for (unsigned i = 0; i < KELPIE_STATE_KEYS_MAX; i++) {
        (void)snprintf(key, sizeof key, "%u", i);
        assert_int_equal(put(&s, key, "x"), 0);
    }
    assert_int_equal(actor_state_take(&s, &w, &whole), KELPIE_STATE_KEYS_MAX);
    assert_false(whole);
    mem_free(s.mem, w);
    for (unsigned i = 1; i < KELPIE_STATE_KEYS_MAX; i++) {
        (void)snprintf(key, sizeof key, "%u", i);
        assert_int_equal(del(&s, key), 0);
    }
    actor_state_keep(&s);
    assert_int_equal(put(&s, "a", "1"), 0);
    assert_int_equal(put(&s, "b", "2"), 0);
    /* More changes than rows: all there is. */
    assert_int_equal(actor_state_take(&s, &w, &whole), 3);
    assert_true(whole && w[0].present && bytes_equal(w[2].key, bytes_of_str("b")) &&
                bytes_equal(w[2].value, bytes_of_str("2")));
    /* It is a copy. */
    assert_int_equal(put(&s, "b", "3"), 0);
    assert_true(bytes_equal(w[2].value, bytes_of_str("2")));
    mem_free(s.mem, w);
    actor_state_deinit(&s);
    assert_int_equal(mem.held, 0);
}

/* The sum is that of the rows that are there, however they came about. */
static void test_sums(void **state)
{
    struct test_mem mem = {0};
    struct actor_state s, loaded;

    (void)state;
    actor_state_init(&s, test_mem(&mem));
    actor_state_init(&loaded, test_mem(&mem));
    assert_int_equal(s.sum, 0);
    assert_int_equal(put(&s, "a", "1"), 0);
    assert_int_equal(put(&s, "b", "2"), 0);
    assert_int_equal(put(&s, "a", "3"), 0);
    saved(&s);
    assert_int_equal(del(&s, "b"), 0);
    assert_int_equal(put(&s, "c", "4"), 0);
    actor_state_rollback(&s);
    assert_int_equal(actor_state_load(&loaded, bytes_of_str("b"), bytes_of_str("2")), 0);
    assert_true(s.sum != loaded.sum);
    assert_int_equal(actor_state_load(&loaded, bytes_of_str("a"), bytes_of_str("3")), 0);
    assert_true(s.sum == loaded.sum);
    assert_true(row_sum(bytes_of_str("ab"), bytes_of_str("c")) !=
                row_sum(bytes_of_str("a"), bytes_of_str("bc")));
    actor_state_deinit(&s);
    actor_state_deinit(&loaded);
    assert_int_equal(mem.held, 0);
}

/* An open turn waits: what was before it is committed, and its own values come back as they were. */
static void test_an_open_turn_lies_aside(void **state)
{
    struct test_mem mem = {0};
    struct actor_state s;
    struct state_write *w;
    uint64_t sum;
    bool whole;

    (void)state;
    actor_state_init(&s, test_mem(&mem));
    assert_int_equal(actor_state_load(&s, bytes_of_str("a"), bytes_of_str("1")), 0);
    assert_int_equal(actor_state_load(&s, bytes_of_str("d"), bytes_of_str("1")), 0);
    assert_int_equal(put(&s, "b", "1"), 0);
    assert_int_equal(del(&s, "d"), 0);
    actor_state_keep(&s);
    sum = s.sum;
    assert_int_equal(put(&s, "a", "2"), 0);
    assert_int_equal(put(&s, "c", "2"), 0);
    assert_int_equal(put(&s, "d", "2"), 0);
    assert_int_equal(del(&s, "b"), 0);
    for (unsigned i = 0; i < 3; i++) {
        actor_state_lay_aside(&s);
        assert_true(is(&s, "a", "1") && is(&s, "b", "1") && is(&s, "c", NULL) && is(&s, "d", NULL));
        assert_true(s.sum == sum && s.keys == 2 && !actor_state_touched(&s));
        if (i == 1) {
            assert_int_equal(actor_state_take(&s, &w, &whole), 2);
            assert_true(is_committed(&s, "b", NULL) && is_committed(&s, "d", "1"));
            actor_state_committed(&s, w, 2, whole);
            mem_free(s.mem, w);
        }
        /* Who reads beside it is not shown what is its own. */
        assert_true(is_committed(&s, "a", "1") && is_committed(&s, "c", NULL));
        assert_true(is_committed(&s, "b", i ? "1" : NULL) && is_committed(&s, "d", i ? NULL : "1"));
        actor_state_take_up(&s);
        assert_true(is(&s, "a", "2") && is(&s, "b", NULL) && is(&s, "c", "2") && is(&s, "d", "2"));
        assert_true(actor_state_touched(&s) && s.keys == 3 && s.touched_count == 4);
        assert_true(is_committed(&s, "a", "1") && is_committed(&s, "c", NULL));
        assert_true(is_committed(&s, "b", i ? "1" : NULL) && is_committed(&s, "d", i ? NULL : "1"));
    }
    actor_state_lay_aside(&s);
    actor_state_take_up(&s);
    actor_state_rollback(&s);
    assert_true(s.sum == sum && s.unsaved_count == 0 && s.entries.count == 2);
    assert_int_equal(put(&s, "c", "2"), 0);
    actor_state_lay_aside(&s);
    actor_state_deinit(&s);
    assert_int_equal(mem.held, 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_rollback_and_commit),
        cmocka_unit_test(test_kept_changes_survive_a_failed_message),
        cmocka_unit_test(test_a_value_may_be_put_under_its_own_key),
        cmocka_unit_test(test_bounds),
        cmocka_unit_test(test_random_steps),
        cmocka_unit_test(test_a_whole_state_is_committed),
        cmocka_unit_test(test_what_is_taken),
        cmocka_unit_test(test_sums),
        cmocka_unit_test(test_an_open_turn_lies_aside),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}

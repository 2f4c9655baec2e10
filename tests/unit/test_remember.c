/* What an actor remembers, by its own time: buckets, horizon, ages, bounds. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include <cmocka.h>

#include "actor/remember.h"
#include "support/test_mem.h"

#define WINDOW_MS 60000
#define DISTANCE_MS (WINDOW_MS + WINDOW_MS / 100 + REMEMBER_SOCKET_MS + REMEMBER_HELD_MS)

struct scene {
    struct test_mem mem;
    struct remember r;
    uint64_t now_ns;
};

static void begin(struct scene *s, const struct head_record *head, uint64_t window_ms)
{
    s->mem = (struct test_mem){0};
    s->now_ns = 5000 * NS_PER_MS;
    remember_init(&s->r, test_mem(&s->mem));
    remember_begin(&s->r, head, window_ms, s->now_ns);
}

static void end(struct scene *s)
{
    remember_deinit(&s->r);
    assert_int_equal(s->mem.held, 0);
}

static void pass_ms(struct scene *s, uint64_t ms)
{
    s->now_ns += ms * NS_PER_MS;
}

/* A commit with that request, or with none; how many buckets it forgets. */
static size_t commit(struct scene *s, const char *id, uint64_t need_ms)
{
    struct remember_plan plan;
    struct remembered_record record = {.generation = 3, .reply_kept = true};

    remember_plan(&s->r, 3, id ? 1 : 0, 0, need_ms, s->now_ns, &plan);
    assert_true(plan.head.number == s->r.head.number + 1 && plan.head.generation == 3);
    assert_true(plan.head.horizon_ms >= s->r.head.horizon_ms);
    assert_true(plan.head.own_ms >= s->r.head.own_ms);
    remember_planned(&s->r, &plan);
    if (id)
        remember_applied(&s->r, request_hash(id), &record);
    return plan.forgotten_count;
}

/* In memory, or to be looked for in the store. */
static bool knows(struct scene *s, const char *id, uint64_t age_ms)
{
    uint64_t buckets[HEAD_BUCKETS_MAX];
    struct remembered_record record;

    return remember_reply(&s->r, request_hash(id), &record) ||
           remember_where(&s->r, request_hash(id), age_ms, s->now_ns, buckets) > 0;
}

static void test_a_new_actor_takes_whatever_keeps_to_the_window(void **state)
{
    struct scene s;

    (void)state;
    begin(&s, NULL, WINDOW_MS);
    assert_int_equal(remember_own_ms(&s.r, s.now_ns), DISTANCE_MS);
    assert_true(remember_reaches(&s.r, 0, s.now_ns));
    assert_true(remember_reaches(&s.r, WINDOW_MS + REMEMBER_HELD_MS * 9 / 10, s.now_ns));
    assert_false(remember_reaches(&s.r, DISTANCE_MS, s.now_ns));
    assert_false(knows(&s, "r", WINDOW_MS));
    end(&s);
}

/* Applied, forgotten, and never taken for new by the same activation or the next. */
static void test_what_is_forgotten_is_too_late(void **state)
{
    struct scene s;
    uint64_t passed = 0;

    (void)state;
    begin(&s, NULL, WINDOW_MS);
    (void)commit(&s, "first", UINT64_MAX);
    while (knows(&s, "first", passed)) {
        assert_true(passed < 2 * DISTANCE_MS);
        pass_ms(&s, 1000);
        passed += 1000;
        (void)commit(&s, NULL, UINT64_MAX);
        if (passed <= DISTANCE_MS)
            assert_true(knows(&s, "first", passed));
    }
    assert_true(s.r.head.horizon_ms > DISTANCE_MS);
    assert_true(s.r.head.bucket_count <= 2 * BUCKETS_A_DISTANCE + 2);
    for (uint64_t said = passed; said <= passed + 1000; said += 100)
        assert_false(remember_reaches(&s.r, said, s.now_ns));
    end(&s);
}

static void test_the_horizon_waits_for_the_mailbox(void **state)
{
    struct scene s;
    uint64_t need;

    (void)state;
    begin(&s, NULL, WINDOW_MS);
    (void)commit(&s, "first", UINT64_MAX);
    pass_ms(&s, DISTANCE_MS / 2);
    need = remember_need_ms(&s.r, WINDOW_MS, s.now_ns);
    assert_int_equal(commit(&s, "second", need), 0);
    pass_ms(&s, 2 * DISTANCE_MS);
    assert_int_equal(commit(&s, NULL, need), 0);
    assert_true(s.r.head.horizon_ms <= need);
    assert_true(commit(&s, NULL, UINT64_MAX) > 0);
    assert_true(s.r.head.horizon_ms > need);
    end(&s);
}

/* The store may have forgotten before this node hears that the commit has landed: a look-up of then says
 * nothing of what lies behind the horizon of that commit. */
static void test_what_a_commit_under_way_forgets_is_too_late(void **state)
{
    struct remember_plan plan;
    struct scene s;

    (void)state;
    begin(&s, NULL, WINDOW_MS);
    (void)commit(&s, "first", UINT64_MAX);
    pass_ms(&s, DISTANCE_MS / 4);
    (void)commit(&s, "second", UINT64_MAX);
    pass_ms(&s, DISTANCE_MS);
    assert_true(remember_reaches(&s.r, DISTANCE_MS * 5 / 4, s.now_ns));
    remember_plan(&s.r, 3, 0, 0, UINT64_MAX, s.now_ns, &plan);
    assert_int_equal(plan.forgotten_count, 1);
    assert_false(remember_reaches(&s.r, DISTANCE_MS * 5 / 4, s.now_ns));
    assert_true(remember_reaches(&s.r, WINDOW_MS, s.now_ns));
    end(&s);
}

/* The next activation, with a longer window: what was forgotten stays so, and the rest is kept longer. */
static void test_a_longer_window_grows_as_time_passes(void **state)
{
    struct scene s;
    struct head_record head;

    (void)state;
    begin(&s, NULL, 1000);
    for (unsigned i = 0; i < 100; i++) {
        (void)commit(&s, "r", UINT64_MAX);
        pass_ms(&s, 1000);
    }
    (void)commit(&s, "last", UINT64_MAX);
    head = s.r.head;
    assert_true(head.horizon_ms > 0);
    end(&s);
    begin(&s, &head, 3600 * 1000);
    assert_int_equal(remember_own_ms(&s.r, s.now_ns), head.own_ms);
    assert_false(remember_reaches(&s.r, 60000, s.now_ns));
    assert_true(knows(&s, "last", 1000));
    pass_ms(&s, 600 * 1000);
    assert_int_equal(commit(&s, NULL, UINT64_MAX), 0);
    assert_int_equal(s.r.head.horizon_ms, head.horizon_ms);
    assert_true(remember_reaches(&s.r, 500 * 1000, s.now_ns));
    end(&s);
}

/* Of what it did itself an activation knows all; of what was before, where to look. */
static void test_where_to_look(void **state)
{
    struct head_record head = {.number = 9,
                               .generation = 2,
                               .own_ms = 200000,
                               .horizon_ms = 100000,
                               .bucket_count = 3,
                               .buckets = {{100000, 5, 0}, {150000, 5, 0}, {190000, 5, 0}}};
    uint64_t buckets[HEAD_BUCKETS_MAX];
    struct scene s;

    (void)state;
    begin(&s, &head, WINDOW_MS);
    assert_int_equal(remember_where(&s.r, request_hash("x"), 0, s.now_ns, buckets), 1);
    assert_int_equal(buckets[0], 190000);
    assert_int_equal(remember_where(&s.r, request_hash("x"), 20000, s.now_ns, buckets), 2);
    assert_int_equal(remember_where(&s.r, request_hash("x"), 80000, s.now_ns, buckets), 3);
    pass_ms(&s, 15000);
    assert_int_equal(remember_where(&s.r, request_hash("x"), 1000, s.now_ns, buckets), 0);
    assert_int_equal(remember_where(&s.r, request_hash("x"), 10000, s.now_ns, buckets), 1);
    (void)commit(&s, "mine", UINT64_MAX);
    assert_int_equal(remember_where(&s.r, request_hash("mine"), 0, s.now_ns, buckets), 1);
    assert_int_equal(buckets[0], s.r.head.buckets[s.r.head.bucket_count - 1].begin);
    end(&s);
}

static void test_requests_of_format_1(void **state)
{
    struct request_record slot = {.request_id = "old", .reply_kept = true, .status = 0};
    struct remembered_record record;
    struct scene s;

    (void)state;
    begin(&s, NULL, WINDOW_MS);
    slot.reply = bytes_of_str("5");
    remember_slot(&s.r, &slot);
    assert_true(remember_reply(&s.r, request_hash("old"), &record));
    assert_true(uuid_is_zero(record.fingerprint) && bytes_equal(record.reply, bytes_of_str("5")));
    for (uint64_t passed = 0; passed < DISTANCE_MS; passed += 1000, pass_ms(&s, 1000)) {
        (void)commit(&s, NULL, UINT64_MAX);
        assert_true(s.r.head.slots_until_ms == DISTANCE_MS);
    }
    pass_ms(&s, 1000);
    (void)commit(&s, NULL, UINT64_MAX);
    assert_int_equal(s.r.head.slots_until_ms, 0);
    assert_false(remember_reply(&s.r, request_hash("old"), &record));
    assert_true(s.r.head.horizon_ms >= DISTANCE_MS);
    end(&s);
}

/* 500,000 ids in memory, and the bound. */
static void test_many(void **state)
{
    struct scene s;
    char id[32];

    (void)state;
    begin(&s, NULL, WINDOW_MS);
    for (unsigned i = 0; i < 500000; i++) {
        (void)snprintf(id, sizeof id, "%u", i);
        (void)commit(&s, id, UINT64_MAX);
    }
    assert_true(s.r.bytes <= 500000u * 32);
    assert_int_equal(remember_full_ms(&s.r, 0, s.now_ns), 0);
    assert_true(knows(&s, "0", 0) && knows(&s, "499999", 0) && !knows(&s, "x", 0));
    assert_true(remember_full_ms(&s.r, REMEMBERED_IDS_MAX - 500000, s.now_ns) > 0);
    end(&s);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_a_new_actor_takes_whatever_keeps_to_the_window),
        cmocka_unit_test(test_what_is_forgotten_is_too_late),
        cmocka_unit_test(test_the_horizon_waits_for_the_mailbox),
        cmocka_unit_test(test_what_a_commit_under_way_forgets_is_too_late),
        cmocka_unit_test(test_a_longer_window_grows_as_time_passes),
        cmocka_unit_test(test_where_to_look),
        cmocka_unit_test(test_requests_of_format_1),
        cmocka_unit_test(test_many),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}

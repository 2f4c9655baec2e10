/* The checker of linearizability: tables of histories, and random ones against all orders. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#include "base/check.h"
#include "base/rng.h"
#include "sim/checkers/linear.h"

#define OPS_MAX 8
#define NEVER LINEAR_OPEN

struct history {
    const char *name;
    enum linear_verdict want;
    struct linear_op ops[OPS_MAX]; /* asked, answered, amount, value; asked 0: no more */
};

static const struct history histories[] = {
    {"nothing", LINEAR_OK, {{0}}},
    {"one add", LINEAR_OK, {{1, 2, 3, 3}}},
    {"one get", LINEAR_OK, {{1, 2, 0, 0}}},
    {"one after the other", LINEAR_OK, {{1, 2, 1, 1}, {3, 4, 2, 3}, {5, 6, 0, 3}}},
    {"overlapping adds, later one first", LINEAR_OK, {{1, 5, 1, 3}, {2, 4, 2, 2}}},
    {"a get beside an add sees it", LINEAR_OK, {{1, 5, 1, 1}, {2, 3, 0, 1}}},
    {"a get beside an add does not see it", LINEAR_OK, {{1, 5, 1, 1}, {2, 3, 0, 0}}},
    {"two gets beside an add, new then old",
     LINEAR_VIOLATION,
     {{1, 9, 1, 1}, {2, 3, 0, 1}, {4, 5, 0, 0}}},
    {"two gets beside an add, old then new", LINEAR_OK, {{1, 9, 1, 1}, {2, 3, 0, 0}, {4, 5, 0, 1}}},
    {"gets of one value listed out of order", LINEAR_OK, {{8, 9, 0, 0}, {1, 2, 0, 0}}},
    {"a stale get", LINEAR_VIOLATION, {{1, 2, 1, 1}, {3, 4, 0, 0}}},
    {"a get from nowhere", LINEAR_VIOLATION, {{1, 2, 0, 7}}},
    {"a lost add", LINEAR_VIOLATION, {{1, 2, 2, 2}, {3, 4, 1, 1}}},
    {"an add twice", LINEAR_VIOLATION, {{1, 2, 2, 4}}},
    {"two adds made one value", LINEAR_VIOLATION, {{1, 5, 1, 1}, {2, 6, 1, 1}}},
    {"answers cross the order of time", LINEAR_VIOLATION, {{1, 2, 1, 2}, {3, 4, 1, 1}}},
    {"an add below what it added", LINEAR_VIOLATION, {{1, 2, 3, 1}}},
    {"unanswered, happened", LINEAR_OK, {{1, NEVER, 2, 0}, {3, 4, 0, 2}}},
    {"unanswered, never happened", LINEAR_OK, {{1, NEVER, 2, 0}, {3, 4, 0, 0}}},
    {"unanswered, happened late",
     LINEAR_OK,
     {{1, NEVER, 2, 0}, {3, 4, 0, 0}, {5, 6, 1, 1}, {7, 8, 0, 3}}},
    {"unanswered, taken back", LINEAR_VIOLATION, {{1, NEVER, 2, 0}, {3, 4, 0, 2}, {5, 6, 0, 0}}},
    {"unanswered, happened twice", LINEAR_VIOLATION, {{1, NEVER, 2, 0}, {3, 4, 0, 4}}},
    {"unanswered, seen before it was asked", LINEAR_VIOLATION, {{1, 2, 0, 2}, {3, NEVER, 2, 0}}},
    {"one of two unanswered",
     LINEAR_OK,
     {{1, NEVER, 1, 0}, {2, NEVER, 2, 0}, {3, 4, 1, 3}, {5, 6, 0, 4}}},
    {"the wrong one is tried first",
     LINEAR_OK,
     {{1, NEVER, 1, 0}, {2, NEVER, 1, 0}, {3, NEVER, 2, 0}, {4, 5, 0, 2}, {6, 7, 1, 5}}},
    {"no two of three fit",
     LINEAR_VIOLATION,
     {{1, NEVER, 2, 0}, {2, NEVER, 2, 0}, {3, NEVER, 2, 0}, {4, 5, 0, 3}}},
    {"an unanswered get counts for nothing", LINEAR_OK, {{1, NEVER, 0, 9}, {2, 3, 0, 0}}},
};

static size_t length(const struct history *h)
{
    size_t n = 0;
    while (n < OPS_MAX && h->ops[n].asked)
        n++;
    return n;
}

static void test_tables(void **state)
{
    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(histories); i++) {
        const struct history *h = &histories[i];
        struct linear_result r = linear_check(h->ops, length(h), LINEAR_STATES_MAX);
        if (r.verdict != h->want)
            fail_msg("%s: %d", h->name, (int)r.verdict);
    }
}

/* Every order there is. */
static bool some_order(const struct linear_op *ops, size_t n, unsigned done, uint64_t value)
{
    bool all = true;

    for (size_t i = 0; i < n; i++)
        all &= (done >> i & 1u) || ops[i].answered == NEVER;
    if (all)
        return true;
    for (size_t i = 0; i < n; i++) {
        bool may = !(done >> i & 1u);
        for (size_t k = 0; k < n && may; k++)
            may = (done >> k & 1u) || k == i || ops[k].answered >= ops[i].asked;
        uint64_t after = value + ops[i].amount;
        if (may && (ops[i].answered == NEVER || ops[i].value == after) &&
            some_order(ops, n, done | 1u << i, after))
            return true;
    }
    return false;
}

/* Requests at random; answers as a real counter gives them, or (now and then) not quite. */
static size_t random_history(struct rng *r, struct linear_op *ops, bool honest)
{
    size_t n = 1 + rng_below(r, OPS_MAX - 1), done = 0;
    bool happened[OPS_MAX] = {false};
    uint64_t value = 0;

    for (size_t i = 0; i < n; i++) {
        ops[i].asked = 1 + rng_below(r, 20);
        ops[i].answered = ops[i].asked + 1 + rng_below(r, 9);
        ops[i].amount = rng_below(r, 3);
    }
    /* Each takes place at a moment within its time. */
    for (uint64_t now = 0; now < 40 && done < n; now++) {
        for (size_t i = 0; i < n; i++) {
            if (happened[i] || ops[i].asked > now ||
                (ops[i].answered > now + 1 && rng_chance(r, 2, 3)))
                continue;
            happened[i] = true;
            done++;
            bool open = rng_chance(r, 1, 4);
            value += open && rng_chance(r, 1, 2) ? 0 : ops[i].amount;
            ops[i].value = value;
            if (open)
                ops[i].answered = NEVER;
        }
    }
    if (!honest)
        for (size_t i = 0; i < n; i++)
            if (rng_chance(r, 1, 4))
                ops[i].value += rng_below(r, 4);
    return n;
}

static void test_random(void **state)
{
    struct rng r;
    unsigned seen[2] = {0, 0};

    (void)state;
    rng_seed(&r, 7, 0);
    for (unsigned round = 0; round < 60000; round++) {
        struct linear_op ops[OPS_MAX];
        bool honest = round % 3 == 0;
        size_t n = random_history(&r, ops, honest);
        bool want = some_order(ops, n, 0, 0);
        enum linear_verdict got = linear_check(ops, n, LINEAR_STATES_MAX).verdict;
        if (got != (want ? LINEAR_OK : LINEAR_VIOLATION)) {
            for (size_t i = 0; i < n; i++)
                printf("%llu..%lld add %llu: %llu\n", (unsigned long long)ops[i].asked,
                       (long long)ops[i].answered, (unsigned long long)ops[i].amount,
                       (unsigned long long)ops[i].value);
            fail_msg("round %u: %d, but all orders say %d", round, (int)got, (int)want);
        }
        if (honest)
            assert_true(want);
        seen[want]++;
    }
    assert_true(seen[0] > 1000 && seen[1] > 1000);
}

/* The bound is a verdict of its own, and long histories of a busy counter stay far below it. */
static void test_bound(void **state)
{
    enum { LONG = 50000, OPEN = 120 };
    struct linear_op *ops = calloc(LONG, sizeof *ops);
    uint64_t value = 0;

    (void)state;
    assert_non_null(ops);
    for (size_t i = 0; i < LONG; i++) {
        bool open = i % 400 == 0;
        uint64_t amount = 1 + i % 3;
        value += open && i % 800 == 0 ? 0 : amount;
        ops[i] = (struct linear_op){.asked = i * 3 + 1,
                                    .answered = open ? NEVER : i * 3 + 9,
                                    .amount = amount,
                                    .value = value};
    }
    struct linear_result r = linear_check(ops, LONG, LINEAR_STATES_MAX);
    assert_int_equal(r.verdict, LINEAR_OK);

    /* Nobody looked between the unanswered ones, and their sum is out of reach. */
    for (size_t i = 0; i < OPEN; i++)
        ops[i] = (struct linear_op){.asked = i + 1,
                                    .answered = NEVER,
                                    .amount = i % 2   ? 2
                                              : i % 4 ? 4
                                                      : 8};
    ops[OPEN] = (struct linear_op){.asked = 9999, .answered = 10000, .value = 301};
    assert_int_equal(linear_check(ops, OPEN + 1, 1000).verdict, LINEAR_NOT_CHECKED);
    assert_int_equal(linear_check(ops, OPEN + 1, UINT64_MAX).verdict, LINEAR_VIOLATION);
    free(ops);
}

/* The answer that is named is one that does not fit. */
static void test_names_the_answer(void **state)
{
    const struct linear_op stale[] = {{1, 2, 1, 1}, {3, 4, 1, 2}, {5, 6, 0, 1}, {7, 8, 0, 2}};
    const struct linear_op gap[] = {{1, 2, 1, 1}, {3, 4, 0, 1}, {5, 6, 1, 4}};

    (void)state;
    assert_int_equal(linear_check(stale, 4, LINEAR_STATES_MAX).op, 2);
    assert_int_equal(linear_check(gap, 3, LINEAR_STATES_MAX).op, 2);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_tables),
        cmocka_unit_test(test_random),
        cmocka_unit_test(test_bound),
        cmocka_unit_test(test_names_the_answer),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

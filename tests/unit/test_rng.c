#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/check.h"
#include "base/rng.h"

/* The published first values of xoshiro256** for the state 1, 2, 3, 4. */
static void test_reference(void **state)
{
    (void)state;
    static const uint64_t want[] = {
        11520, 0, 1509978240, 1215971899390074240, 1216172134540287360, 607988272756665600,
    };
    struct rng r = {{1, 2, 3, 4}};
    for (size_t i = 0; i < ARRAY_LEN(want); i++)
        assert_int_equal(rng_u64(&r), want[i]);
}

/* Every seed of every test means the same for ever: these values never change. */
static void test_golden(void **state)
{
    (void)state;
    static const struct {
        uint64_t seed, stream;
        uint64_t want[3];
    } table[] = {
        /* Stream 0 is splitmix64 seeding as others do it, too. */
        {0, 0, {0x99ec5f36cb75f2b4, 0xbf6e1f784956452a, 0x1a5f849d4933e6e0}},
        {0, 1, {0xfc72158253f7415e, 0x1fdd9141b20d58b1, 0x01e47fb3be09449e}},
        {1, 0, {0xb3f2af6d0fc710c5, 0x853b559647364cea, 0x92f89756082a4514}},
        {1, 1, {0x7801ffa85c6ecc24, 0x0858358f00dd267e, 0x867df49580968b98}},
        {42, 0, {0x15780b2e0c2ec716, 0x6104d9866d113a7e, 0xae17533239e499a1}},
        {0xffffffffffffffff,
         0xffffffffffffffff,
         {0x699ab771ac2a7b60, 0x88577171e3e34d16, 0x92a1bb7794042a52}},
    };
    for (size_t i = 0; i < ARRAY_LEN(table); i++) {
        struct rng r;
        rng_seed(&r, table[i].seed, table[i].stream);
        for (size_t j = 0; j < 3; j++)
            assert_int_equal(rng_u64(&r), table[i].want[j]);
    }
}

static void test_streams_differ(void **state)
{
    (void)state;
    uint64_t seen[20 * 20];
    size_t n = 0;
    for (uint64_t seed = 0; seed < 20; seed++) {
        for (uint64_t stream = 0; stream < 20; stream++) {
            struct rng r;
            rng_seed(&r, seed, stream);
            seen[n++] = rng_u64(&r);
        }
    }
    for (size_t i = 0; i < n; i++) {
        for (size_t j = i + 1; j < n; j++)
            assert_int_not_equal(seen[i], seen[j]);
    }
}

static void test_below(void **state)
{
    (void)state;
    struct rng r;
    rng_seed(&r, 1, 2);
    for (int i = 0; i < 100; i++)
        assert_int_equal(rng_below(&r, 1), 0);
    size_t count[7] = {0};
    for (int i = 0; i < 70000; i++)
        count[rng_below(&r, 7)]++;
    for (size_t i = 0; i < 7; i++)
        assert_in_range(count[i], 9500, 10500);
    /* A bound above half the range, where taking the remainder alone would be far from even. */
    uint64_t bound = 3ull << 62;
    size_t low = 0;
    for (int i = 0; i < 30000; i++) {
        uint64_t v = rng_below(&r, bound);
        assert_true(v < bound);
        low += v < bound / 3;
    }
    assert_in_range(low, 9500, 10500);
    assert_true(rng_below(&r, UINT64_MAX) < UINT64_MAX);
}

static void test_chance(void **state)
{
    (void)state;
    struct rng r;
    rng_seed(&r, 3, 4);
    size_t yes = 0;
    for (int i = 0; i < 40000; i++) {
        yes += rng_chance(&r, 1, 4);
        assert_false(rng_chance(&r, 0, 9));
        assert_true(rng_chance(&r, 9, 9));
    }
    assert_in_range(yes, 9500, 10500);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_reference),      cmocka_unit_test(test_golden),
        cmocka_unit_test(test_streams_differ), cmocka_unit_test(test_below),
        cmocka_unit_test(test_chance),
    };
    return cmocka_run_group_tests_name("rng", tests, NULL, NULL);
}

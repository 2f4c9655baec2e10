#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdlib.h>

#include "base/check.h"
#include "base/hash128.h"

/* The hash of the first `len` bytes of a text. */
static struct hash128 hash_of_text(size_t len)
{
    static const char text[] = "the quick brown kelpie swims over the lazy loch";
    CHECK(len < sizeof(text));
    struct hash128 h = hash128_start();
    hash128_bytes(&h, bytes_of(text, len));
    return hash128_value(&h);
}

/* Traces are compared across machines and versions: these values never change. */
static void test_golden(void **state)
{
    (void)state;
    static const struct {
        size_t len;
        const char *want;
    } table[] = {
        {0, "47feb69345726f92b6129daf0ab45bba"},  {1, "a764fcaaa2861e1939e619c64d30b55b"},
        {7, "905742a394b523317a3a69f5238b046d"},  {8, "7e6c7a225234904545d93d9e01d01529"},
        {9, "327950bb2f9306c2b88db5935eb5bcd8"},  {16, "e4225f4b5796fad7a0a4c3a66b568c7e"},
        {47, "3e16abdad026eaf164eb56b0febded42"},
    };
    for (size_t i = 0; i < ARRAY_LEN(table); i++) {
        char text[33];
        hash128_to_text(hash_of_text(table[i].len), text);
        assert_string_equal(text, table[i].want);
    }
    struct hash128 h = hash128_start();
    for (uint64_t i = 0; i < 1000; i++)
        hash128_u64(&h, i);
    char text[33];
    hash128_to_text(hash128_value(&h), text);
    assert_string_equal(text, "928a6c759fe517431b3a51b69484b407");
}

static void test_text(void **state)
{
    (void)state;
    char text[33];
    hash128_to_text((struct hash128){.hi = 0x0123456789abcdef, .lo = 0x00000000000000fe}, text);
    assert_string_equal(text, "0123456789abcdef00000000000000fe");
}

static void test_parts_count(void **state)
{
    (void)state;
    struct hash128 a = hash128_start(), b = hash128_start(), c = hash128_start();
    hash128_bytes(&a, bytes_of_str("ab"));
    hash128_bytes(&a, bytes_of_str("c"));
    hash128_bytes(&b, bytes_of_str("a"));
    hash128_bytes(&b, bytes_of_str("bc"));
    hash128_bytes(&c, bytes_of_str("abc"));
    assert_memory_not_equal(&a, &b, sizeof(a));
    assert_memory_not_equal(&a, &c, sizeof(a));
    /* Zero bytes count, although the tail is filled up with zeros. */
    struct hash128 one = hash128_start(), two = hash128_start(), none = hash128_start();
    hash128_bytes(&none, bytes_of(NULL, 0));
    hash128_bytes(&one, bytes_of("\0\0", 1));
    hash128_bytes(&two, bytes_of("\0\0", 2));
    assert_memory_not_equal(&one, &two, sizeof(one));
    assert_memory_not_equal(&one, &none, sizeof(one));
}

static void test_value_leaves_the_hash(void **state)
{
    (void)state;
    struct hash128 a = hash128_start();
    hash128_u64(&a, 1);
    struct hash128 b = a;
    (void)hash128_value(&a);
    assert_memory_equal(&a, &b, sizeof(a));
}

static int compare_u64(const void *a, const void *b)
{
    uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;
    return (x > y) - (x < y);
}

#define SMALL 300

/* Short sequences of small numbers, which is what traces are made of: no 64-bit half collides. */
static void test_no_collisions(void **state)
{
    (void)state;
    size_t n = 0;
    uint64_t *hi = calloc(2 * SMALL * SMALL, sizeof(*hi));
    assert_non_null(hi);
    uint64_t *lo = hi + SMALL * SMALL;
    for (uint64_t x = 0; x < SMALL; x++) {
        for (uint64_t y = 0; y < SMALL; y++) {
            struct hash128 h = hash128_start();
            hash128_u64(&h, x);
            hash128_u64(&h, y);
            struct hash128 v = hash128_value(&h);
            hi[n] = v.hi;
            lo[n++] = v.lo;
        }
    }
    qsort(hi, n, sizeof(*hi), compare_u64);
    qsort(lo, n, sizeof(*lo), compare_u64);
    for (size_t i = 1; i < n; i++) {
        assert_int_not_equal(hi[i - 1], hi[i]);
        assert_int_not_equal(lo[i - 1], lo[i]);
    }
    free(hi);
}

static int bits(uint64_t v)
{
    return __builtin_popcountll(v);
}

/* One bit of input changes about half of the bits, however early or late it came. */
static void test_spreads(void **state)
{
    (void)state;
    for (int later = 0; later < 3; later++) {
        for (int bit = 0; bit < 64; bit++) {
            struct hash128 a = hash128_start(), b = hash128_start();
            hash128_u64(&a, 0);
            hash128_u64(&b, 1ull << bit);
            for (int i = 0; i < later; i++) {
                hash128_u64(&a, 7);
                hash128_u64(&b, 7);
            }
            struct hash128 x = hash128_value(&a), y = hash128_value(&b);
            assert_in_range(bits(x.hi ^ y.hi), 12, 52);
            assert_in_range(bits(x.lo ^ y.lo), 12, 52);
        }
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_golden),        cmocka_unit_test(test_text),
        cmocka_unit_test(test_parts_count),   cmocka_unit_test(test_value_leaves_the_hash),
        cmocka_unit_test(test_no_collisions), cmocka_unit_test(test_spreads),
    };
    return cmocka_run_group_tests_name("hash128", tests, NULL, NULL);
}

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/rng.h"
#include "support/test_mem.h"
#include "support/tuple_values.h"

#define VALUES_MAX 4
#define POOL_MAX 256

/* Random values, with small alphabets so that equal beginnings are common. */
struct pool {
    struct rng rng;
    struct value values[POOL_MAX];
    uint8_t bytes[POOL_MAX][12];
    size_t used;
};

static void random_values(struct pool *p, struct value *out, size_t count, int depth);

static struct bytes random_bytes(struct pool *p, bool utf8)
{
    static const uint8_t alphabet[] = {0, 1, 'a', 'b', 0xfe, 0xff};
    size_t len = (size_t)rng_below(&p->rng, 5);
    uint8_t *data = p->bytes[p->used];
    for (size_t i = 0; i < len; i++)
        data[i] = alphabet[rng_below(&p->rng, utf8 ? 4 : 6)];
    return bytes_of(data, len);
}

static void random_int(struct pool *p, struct value *v)
{
    /* Around a power of two, where the length changes. */
    uint64_t u = 1ull << rng_below(&p->rng, 64);
    u += rng_below(&p->rng, 3) - 1;
    v->negative = u != 0 && rng_chance(&p->rng, 1, 2);
    v->u = u;
    v->type = !v->negative && u > INT64_MAX ? TUPLE_UINT : TUPLE_INT;
}

/* An integer of 9 to 12 bytes; few that differ. */
static void random_big(struct pool *p, struct value *v)
{
    uint8_t *data = p->bytes[p->used++];
    size_t len = 9 + (size_t)rng_below(&p->rng, 4);
    data[0] = rng_chance(&p->rng, 1, 2) ? 1 : 0xff;
    for (size_t i = 1; i < len; i++)
        data[i] = i + 2 > len && rng_chance(&p->rng, 1, 2) ? 0xff : 0;
    v->negative = rng_chance(&p->rng, 1, 2);
    v->bytes = bytes_of(data, len);
}

/* Often one where the order is in doubt: both zeros, the infinities, the smallest, NaNs of both
 * signs; else any bits. */
static uint64_t random_bits(struct pool *p, bool single)
{
    static const uint64_t special[] = {0,
                                       1,
                                       0x7fefffffffffffff,
                                       0x7ff0000000000000,
                                       0x7ff0000000000001,
                                       0x7ff8000000000000,
                                       0x7fffffffffffffff,
                                       0x3ff0000000000000};
    static const uint64_t special_single[] = {0,          1,          0x7f7fffff, 0x7f800000,
                                              0x7f800001, 0x7fc00000, 0x7fffffff, 0x3f800000};
    uint64_t bits = rng_u64(&p->rng);
    if (rng_chance(&p->rng, 2, 3))
        bits = (bits & 1 ? (uint64_t)1 << (single ? 31 : 63) : 0) |
               (single ? special_single : special)[rng_below(&p->rng, ARRAY_LEN(special))];
    return single ? bits & UINT32_MAX : bits;
}

static void random_stamp(struct pool *p, struct value *v)
{
    v->stamp = versionstamp_incomplete((uint16_t)rng_below(&p->rng, 3) * 255);
    if (rng_chance(&p->rng, 2, 3))
        v->stamp.commit[rng_below(&p->rng, 10)] = (uint8_t)rng_below(&p->rng, 3);
}

static void random_value(struct pool *p, struct value *v, int depth)
{
    CHECK(p->used < POOL_MAX);
    *v = (struct value){.type = (enum tuple_type)rng_below(&p->rng, TUPLE_VERSIONSTAMP + 1)};
    if (v->type == TUPLE_NESTED && depth == 0)
        v->type = TUPLE_NULL;
    if (v->type == TUPLE_BYTES || v->type == TUPLE_STRING) {
        v->bytes = random_bytes(p, v->type == TUPLE_STRING);
        p->used++;
    } else if (v->type == TUPLE_NESTED) {
        v->count = (size_t)rng_below(&p->rng, VALUES_MAX);
        struct value *inner = &p->values[p->used];
        p->used += v->count;
        CHECK(p->used < POOL_MAX);
        random_values(p, inner, v->count, depth - 1);
        v->inner = inner;
    } else if (v->type == TUPLE_INT || v->type == TUPLE_UINT) {
        random_int(p, v);
    } else if (v->type == TUPLE_BOOL) {
        v->u = rng_below(&p->rng, 2);
    } else if (v->type == TUPLE_UUID) {
        v->uuid.b[rng_below(&p->rng, 16)] = (uint8_t)rng_below(&p->rng, 256);
    } else if (v->type == TUPLE_BIG) {
        random_big(p, v);
    } else if (v->type == TUPLE_FLOAT || v->type == TUPLE_DOUBLE) {
        v->u = random_bits(p, v->type == TUPLE_FLOAT);
    } else if (v->type == TUPLE_VERSIONSTAMP) {
        random_stamp(p, v);
    }
}

static void random_values(struct pool *p, struct value *out, size_t count, int depth)
{
    for (size_t i = 0; i < count; i++)
        random_value(p, &out[i], depth);
}

static int order_of(int64_t a, int64_t b)
{
    return (a > b) - (a < b);
}

static int compare_values(const struct value *a, size_t a_count, const struct value *b,
                          size_t b_count);

/* What sorts together, by type code: the three integer types are one. */
static int rank_of(const struct value *v)
{
    return (int)(v->type == TUPLE_UINT || v->type == TUPLE_BIG ? TUPLE_INT : v->type);
}

/* By sign, then by magnitude: one of more than eight bytes is beyond all others. */
static int compare_ints(const struct value *a, const struct value *b)
{
    if (a->negative != b->negative)
        return a->negative ? -1 : 1;
    int c = order_of((int64_t)a->bytes.len, (int64_t)b->bytes.len);
    if (c == 0 && a->type == TUPLE_BIG)
        c = memcmp(a->bytes.data, b->bytes.data, a->bytes.len);
    else if (c == 0)
        c = a->u == b->u ? 0 : a->u < b->u ? -1 : 1;
    return a->negative ? -c : c;
}

/* NaNs by sign and bits, at the two ends; -0.0 before 0.0; all others as numbers. */
static int compare_doubles(double a, double b, uint64_t a_bits, uint64_t b_bits)
{
    int a_end = isnan(a) ? (signbit(a) ? -1 : 1) : 0;
    int b_end = isnan(b) ? (signbit(b) ? -1 : 1) : 0;
    if (a_end != b_end)
        return a_end - b_end;
    if (a_end)
        return a_bits == b_bits ? 0 : (a_bits < b_bits) == (a_end > 0) ? -1 : 1;
    if (a < b || a > b)
        return a < b ? -1 : 1;
    return (signbit(b) ? 1 : 0) - (signbit(a) ? 1 : 0);
}

/* The order of the elements themselves, without looking at how they are packed. */
static int compare_value(const struct value *a, const struct value *b)
{
    if (rank_of(a) != rank_of(b))
        return order_of(rank_of(a), rank_of(b));
    switch (a->type) {
    case TUPLE_NULL:
        return 0;
    case TUPLE_BYTES:
    case TUPLE_STRING:
        return bytes_compare(a->bytes, b->bytes);
    case TUPLE_NESTED:
        return compare_values(a->inner, a->count, b->inner, b->count);
    case TUPLE_INT:
    case TUPLE_UINT:
    case TUPLE_BIG:
        return compare_ints(a, b);
    case TUPLE_FLOAT:
        return compare_doubles((double)float_of(a->u), (double)float_of(b->u), a->u, b->u);
    case TUPLE_DOUBLE:
        return compare_doubles(double_of(a->u), double_of(b->u), a->u, b->u);
    case TUPLE_VERSIONSTAMP:
        if (memcmp(a->stamp.commit, b->stamp.commit, sizeof(a->stamp.commit)))
            return memcmp(a->stamp.commit, b->stamp.commit, sizeof(a->stamp.commit));
        return order_of(a->stamp.user, b->stamp.user);
    case TUPLE_BOOL:
        return order_of((int64_t)a->u, (int64_t)b->u);
    case TUPLE_UUID:
        return memcmp(a->uuid.b, b->uuid.b, 16);
    }
    return 0;
}

static int compare_values(const struct value *a, size_t a_count, const struct value *b,
                          size_t b_count)
{
    for (size_t i = 0; i < a_count && i < b_count; i++) {
        int c = compare_value(&a[i], &b[i]);
        if (c)
            return c;
    }
    return order_of((int64_t)a_count, (int64_t)b_count);
}

static void test_order(void **state)
{
    (void)state;
    static struct pool p;
    struct test_mem t = {0};
    struct buf one, other, scratch;
    buf_init(&one, test_mem(&t));
    buf_init(&other, test_mem(&t));
    buf_init(&scratch, test_mem(&t));
    size_t equal = 0;
    for (uint64_t seed = 0; seed < 30000; seed++) {
        struct value a[VALUES_MAX], b[VALUES_MAX];
        rng_seed(&p.rng, seed, 0);
        p.used = 0;
        size_t a_count = (size_t)rng_below(&p.rng, VALUES_MAX + 1);
        size_t b_count = (size_t)rng_below(&p.rng, VALUES_MAX + 1);
        random_values(&p, a, a_count, 3);
        random_values(&p, b, b_count, 3);
        /* Often the same beginning. */
        for (size_t i = 0; i < a_count && i < b_count && rng_chance(&p.rng, 2, 3); i++)
            b[i] = a[i];
        buf_clear(&one);
        buf_clear(&other);
        pack_values(&one, a, a_count);
        pack_values(&other, b, b_count);
        int want = compare_values(a, a_count, b, b_count);
        int got = bytes_compare(buf_bytes(&one), buf_bytes(&other));
        assert_int_equal(order_of(got, 0), order_of(want, 0));
        equal += want == 0;
        buf_deinit(&scratch);
        struct tuple_reader r = tuple_reader_of(buf_bytes(&one), &scratch);
        check_values(&r, a, a_count);
    }
    assert_in_range(equal, 1000, 29000);
    buf_deinit(&one);
    buf_deinit(&other);
    buf_deinit(&scratch);
    assert_int_equal(t.held, 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_order),
    };
    return cmocka_run_group_tests_name("tuple_order", tests, NULL, NULL);
}

/* Tuples as data, for tests: packed from it, and compared with it after reading. */
#ifndef KELPIE_TESTS_SUPPORT_TUPLE_VALUES_H
#define KELPIE_TESTS_SUPPORT_TUPLE_VALUES_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/tuple.h"

/* A value as the tests describe it: the last field that its type needs is set. */
struct value {
    enum tuple_type type;
    bool negative; /* TUPLE_INT: minus u; TUPLE_BIG: minus bytes */
    uint64_t u;    /* TUPLE_INT, TUPLE_UINT, TUPLE_BOOL; TUPLE_FLOAT, TUPLE_DOUBLE: IEEE bits */
    struct bytes bytes;
    struct uuid uuid;
    struct versionstamp stamp;
    const struct value *inner; /* TUPLE_NESTED */
    size_t count;
};

static inline float float_of(uint64_t bits)
{
    uint32_t single = (uint32_t)bits;
    float v;
    memcpy(&v, &single, sizeof(v));
    return v;
}

static inline double double_of(uint64_t bits)
{
    double v;
    memcpy(&v, &bits, sizeof(v));
    return v;
}

static inline void pack_values(struct buf *b, const struct value *v, size_t count);

static inline void pack_value(struct buf *b, const struct value *v)
{
    struct buf inner;
    switch (v->type) {
    case TUPLE_NULL:
        tuple_pack_null(b);
        break;
    case TUPLE_BYTES:
        tuple_pack_bytes(b, v->bytes);
        break;
    case TUPLE_STRING:
        tuple_pack_string(b, v->bytes);
        break;
    case TUPLE_NESTED:
        buf_init(&inner, b->mem);
        pack_values(&inner, v->inner, v->count);
        tuple_pack_nested(b, buf_bytes(&inner));
        buf_deinit(&inner);
        break;
    case TUPLE_INT:
    case TUPLE_UINT:
        if (v->negative && v->u <= (uint64_t)INT64_MAX + 1)
            tuple_pack_int(b, v->u > INT64_MAX ? INT64_MIN : -(int64_t)v->u);
        else if (v->negative)
            tuple_pack_negative(b, v->u);
        else
            tuple_pack_uint(b, v->u);
        break;
    case TUPLE_BIG:
        tuple_pack_big(b, v->negative, v->bytes);
        break;
    case TUPLE_FLOAT:
        tuple_pack_float(b, float_of(v->u));
        break;
    case TUPLE_DOUBLE:
        tuple_pack_double(b, double_of(v->u));
        break;
    case TUPLE_BOOL:
        tuple_pack_bool(b, v->u);
        break;
    case TUPLE_UUID:
        tuple_pack_uuid(b, v->uuid);
        break;
    case TUPLE_VERSIONSTAMP:
        tuple_pack_versionstamp(b, v->stamp);
        break;
    }
}

static inline void pack_values(struct buf *b, const struct value *v, size_t count)
{
    for (size_t i = 0; i < count; i++)
        pack_value(b, &v[i]);
}

static inline void check_values(struct tuple_reader *r, const struct value *v, size_t count);

static inline void check_item(const struct tuple_item *item, const struct value *v,
                              struct buf *scratch)
{
    assert_int_equal(item->type, v->type);
    struct tuple_reader inner;
    uint32_t single;
    switch (v->type) {
    case TUPLE_NULL:
        break;
    case TUPLE_BYTES:
    case TUPLE_STRING:
        assert_true(bytes_equal(item->bytes, v->bytes));
        break;
    case TUPLE_NESTED:
        inner = tuple_reader_of(item->bytes, scratch);
        check_values(&inner, v->inner, v->count);
        break;
    case TUPLE_INT:
    case TUPLE_UINT:
        assert_int_equal(item->negative, v->negative);
        assert_int_equal(item->u, v->u);
        if (v->type == TUPLE_INT && !v->negative)
            assert_int_equal(item->i, (int64_t)v->u);
        if (v->negative && v->u <= INT64_MAX)
            assert_int_equal(item->i, -(int64_t)v->u);
        if (v->negative && v->u > INT64_MAX)
            assert_int_equal(item->i, INT64_MIN);
        break;
    case TUPLE_BIG:
        assert_int_equal(item->negative, v->negative);
        assert_true(bytes_equal(item->bytes, v->bytes));
        break;
    case TUPLE_FLOAT:
        memcpy(&single, &item->f, sizeof(single));
        assert_int_equal(single, v->u);
        break;
    case TUPLE_DOUBLE:
        assert_memory_equal(&item->d, &v->u, sizeof(v->u));
        break;
    case TUPLE_BOOL:
        assert_int_equal(item->b, v->u);
        break;
    case TUPLE_UUID:
        assert_true(uuid_equal(item->uuid, v->uuid));
        break;
    case TUPLE_VERSIONSTAMP:
        assert_memory_equal(item->stamp.commit, v->stamp.commit, sizeof(v->stamp.commit));
        assert_int_equal(item->stamp.user, v->stamp.user);
        break;
    }
}

/* Reads all items of this level first and looks into them afterwards: they have to stay. */
static inline void check_values(struct tuple_reader *r, const struct value *v, size_t count)
{
    struct tuple_item items[16];
    assert_true(count <= ARRAY_LEN(items));
    for (size_t i = 0; i < count; i++)
        assert_true(tuple_next(r, &items[i]));
    assert_true(tuple_at_end(r));
    struct tuple_item more;
    assert_false(tuple_next(r, &more));
    assert_true(tuple_at_end(r));
    for (size_t i = 0; i < count; i++)
        check_item(&items[i], &v[i], r->scratch);
    for (size_t i = count; i-- > 0;) {
        if (v[i].type != TUPLE_NESTED)
            check_item(&items[i], &v[i], r->scratch);
    }
}

#endif

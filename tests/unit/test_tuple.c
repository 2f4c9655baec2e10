#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/tuple.h"
#include "support/test_dies.h"
#include "support/test_mem.h"
#include "support/tuple_values.h"

struct fixture {
    struct test_mem mem;
    struct buf buf;
    struct buf scratch;
};

static int setup(void **state)
{
    struct fixture *f = calloc(1, sizeof(*f));
    CHECK(f);
    buf_init(&f->buf, test_mem(&f->mem));
    buf_init(&f->scratch, test_mem(&f->mem));
    *state = f;
    return 0;
}

static int teardown(void **state)
{
    struct fixture *f = *state;
    buf_deinit(&f->buf);
    buf_deinit(&f->scratch);
    int leaked = f->mem.held != 0;
    free(f);
    return leaked;
}

static void check_both_ways(struct fixture *f, const struct value *v, size_t count,
                            struct bytes want)
{
    buf_clear(&f->buf);
    pack_values(&f->buf, v, count);
    assert_int_equal(f->buf.len, want.len);
    assert_true(bytes_equal(buf_bytes(&f->buf), want));
    buf_deinit(&f->scratch); /* begins small, so that whatever can move does */
    struct tuple_reader r = tuple_reader_of(want, &f->scratch);
    check_values(&r, v, count);
}

/* --- vectors --- */

#define B(text)                                                                                    \
    {                                                                                              \
        (const uint8_t *)(text), sizeof(text) - 1                                                  \
    }
#define V_NULL                                                                                     \
    {                                                                                              \
        .type = TUPLE_NULL                                                                         \
    }
#define V_BYTES(text)                                                                              \
    {                                                                                              \
        .type = TUPLE_BYTES, .bytes = B(text)                                                      \
    }
#define V_STR(text)                                                                                \
    {                                                                                              \
        .type = TUPLE_STRING, .bytes = B(text)                                                     \
    }
#define V_POS(n)                                                                                   \
    {                                                                                              \
        .type = TUPLE_INT, .u = n                                                                  \
    }
#define V_UINT(n)                                                                                  \
    {                                                                                              \
        .type = TUPLE_UINT, .u = n                                                                 \
    }
#define V_NEG(n)                                                                                   \
    {                                                                                              \
        .type = TUPLE_INT, .negative = true, .u = n                                                \
    }
#define V_BOOL(n)                                                                                  \
    {                                                                                              \
        .type = TUPLE_BOOL, .u = n                                                                 \
    }
#define V_BIG(is_negative, text)                                                                   \
    {                                                                                              \
        .type = TUPLE_BIG, .negative = is_negative, .bytes = B(text)                               \
    }
#define V_FLOAT(bits)                                                                              \
    {                                                                                              \
        .type = TUPLE_FLOAT, .u = bits                                                             \
    }
#define V_DOUBLE(bits)                                                                             \
    {                                                                                              \
        .type = TUPLE_DOUBLE, .u = bits                                                            \
    }
#define V_STAMP(n, ...)                                                                            \
    {                                                                                              \
        .type = TUPLE_VERSIONSTAMP, .stamp = { {__VA_ARGS__}, n }                                  \
    }
#define V_NESTED(...)                                                                              \
    {                                                                                              \
        .type = TUPLE_NESTED, .inner = (const struct value[]){__VA_ARGS__},                        \
        .count = sizeof((const struct value[]){__VA_ARGS__}) / sizeof(struct value)                \
    }
#define V_EMPTY                                                                                    \
    {                                                                                              \
        .type = TUPLE_NESTED                                                                       \
    }

static const struct vector {
    struct value value;
    struct bytes packed;
} vectors[] = {
    /* The test cases of design/tuple.md. */
    {V_NULL, B("\x00")},
    {V_BYTES("foo\0bar"), B("\x01"
                            "foo\x00\xff"
                            "bar\x00")},
    {V_STR("F\xc3\x94O\0bar"), B("\x02"
                                 "F\xc3\x94O\x00\xff"
                                 "bar\x00")},
    {V_NESTED(V_BYTES("foo\0bar"), V_NULL, V_EMPTY), B("\x05\x01"
                                                       "foo\x00\xff"
                                                       "bar\x00\x00\xff\x05\x00\x00")},
    {V_NEG(5551212), B("\x11\xabK\x93")},
    {V_FLOAT(0xc2280000), B("\x20\x3d\xd7\xff\xff")}, /* -42 */
    {V_BOOL(false), B("\x26")},
    {V_BOOL(true), B("\x27")},
    {V_EMPTY, B("\x05\x00")},
    {V_NESTED(V_NULL), B("\x05\x00\xff\x00")},
    /* As the bindings pack them. */
    {V_POS(0), B("\x14")},
    {V_POS(1), B("\x15\x01")},
    {V_NEG(1), B("\x13\xfe")},
    {V_NEG(5), B("\x13\xfa")},
    {V_POS(255), B("\x15\xff")},
    {V_POS(256), B("\x16\x01\x00")},
    {V_POS(5551212), B("\x17T\xb4l")},
    {V_NEG(255), B("\x13\x00")},
    {V_NEG(256), B("\x12\xfe\xff")},
    {V_POS(0xffff), B("\x16\xff\xff")},
    {V_POS(0x10000), B("\x17\x01\x00\x00")},
    {V_POS(0xffffff), B("\x17\xff\xff\xff")},
    {V_POS(0xffffffff), B("\x18\xff\xff\xff\xff")},
    {V_POS(0x100000000), B("\x19\x01\x00\x00\x00\x00")},
    {V_POS(0x10000000000), B("\x1a\x01\x00\x00\x00\x00\x00")},
    {V_POS(0x1000000000000), B("\x1b\x01\x00\x00\x00\x00\x00\x00")},
    {V_POS(INT64_MAX), B("\x1c\x7f\xff\xff\xff\xff\xff\xff\xff")},
    {V_UINT((uint64_t)INT64_MAX + 1), B("\x1c\x80\x00\x00\x00\x00\x00\x00\x00")},
    {V_UINT(UINT64_MAX), B("\x1c\xff\xff\xff\xff\xff\xff\xff\xff")},
    {V_NEG(0xffff), B("\x12\x00\x00")},
    {V_NEG(0x10000), B("\x11\xfe\xff\xff")},
    {V_NEG(0xffffffff), B("\x10\x00\x00\x00\x00")},
    {V_NEG(0x100000000), B("\x0f\xfe\xff\xff\xff\xff")},
    {V_NEG(679597611593465759), B("\x0c\xf6\x91\x95\x92\xaa\xc4\x80`")},
    {V_NEG((uint64_t)INT64_MAX), B("\x0c\x80\x00\x00\x00\x00\x00\x00\x00")},
    {V_NEG((uint64_t)INT64_MAX + 1), B("\x0c\x7f\xff\xff\xff\xff\xff\xff\xff")},
    {V_NEG((uint64_t)INT64_MAX + 2), B("\x0c\x7f\xff\xff\xff\xff\xff\xff\xfe")},
    {V_NEG(UINT64_MAX), B("\x0c\x00\x00\x00\x00\x00\x00\x00\x00")},
    {V_BYTES(""), B("\x01\x00")},
    {V_BYTES("\0"), B("\x01\x00\xff\x00")},
    {V_BYTES("\0\xff"), B("\x01\x00\xff\xff\x00")},
    {V_BYTES("\xff\0\0"), B("\x01\xff\x00\xff\x00\xff\x00")},
    {V_STR(""), B("\x02\x00")},
    {V_STR("hello"), B("\x02hello\x00")},
    {{.type = TUPLE_UUID, .uuid = {{0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 255}}},
     B("\x30\x00\x01\x02\x03\x04\x05\x06\x07\x08\x09\x0a\x0b\x0c\x0d\x0e\xff")},
    /* As TupleSerializationTest of the Java binding has them: 3.14, zero, infinity, the last NaN. */
    {V_FLOAT(0x4048f5c3), B("\x20\xc0\x48\xf5\xc3")},
    {V_FLOAT(0xc048f5c3), B("\x20\x3f\xb7\x0a\x3c")},
    {V_DOUBLE(0x40091eb851eb851f), B("\x21\xc0\x09\x1e\xb8\x51\xeb\x85\x1f")},
    {V_DOUBLE(0xc0091eb851eb851f), B("\x21\x3f\xf6\xe1\x47\xae\x14\x7a\xe0")},
    {V_FLOAT(0), B("\x20\x80\x00\x00\x00")},
    {V_FLOAT(0x80000000), B("\x20\x7f\xff\xff\xff")},
    {V_DOUBLE(0), B("\x21\x80\x00\x00\x00\x00\x00\x00\x00")},
    {V_DOUBLE(0x8000000000000000), B("\x21\x7f\xff\xff\xff\xff\xff\xff\xff")},
    {V_FLOAT(0x7f800000), B("\x20\xff\x80\x00\x00")},
    {V_FLOAT(0xff800000), B("\x20\x00\x7f\xff\xff")},
    {V_DOUBLE(0x7ff0000000000000), B("\x21\xff\xf0\x00\x00\x00\x00\x00\x00")},
    {V_DOUBLE(0xfff0000000000000), B("\x21\x00\x0f\xff\xff\xff\xff\xff\xff")},
    {V_FLOAT(0x7fffffff), B("\x20\xff\xff\xff\xff")},
    {V_DOUBLE(0x7fffffffffffffff), B("\x21\xff\xff\xff\xff\xff\xff\xff\xff")},
    {V_FLOAT(0xffffffff), B("\x20\x00\x00\x00\x00")},
    {V_DOUBLE(0xffffffffffffffff), B("\x21\x00\x00\x00\x00\x00\x00\x00\x00")},
    {V_BIG(false, "\x01\x00\x00\x00\x00\x00\x00\x00\x00"),
     B("\x1d\x09\x01\x00\x00\x00\x00\x00\x00\x00\x00")},
    {V_STR("\xe4\xb8\xad\xe6\x96\x87"), B("\x02\xe4\xb8\xad\xe6\x96\x87\x00")},
    {V_STR("\xf4\x8f\xbf\xbf"), B("\x02\xf4\x8f\xbf\xbf\x00")},
    {{.type = TUPLE_UUID,
      .uuid = {{0xff, 0xff, 0xff, 0xff, 0xba, 0x5e, 0xba, 0x11, 0, 0, 0, 0, 0x5c, 0xa1, 0xab,
                0x1e}}},
     B("\x30\xff\xff\xff\xff\xba\x5e\xba\x11\x00\x00\x00\x00\x5c\xa1\xab\x1e")},
    {V_STAMP(0, 0xaa, 0xbb, 0xcc, 0xdd, 0xee, 0xff, 0x00, 0x01, 0x02, 0x03),
     B("\x33\xaa\xbb\xcc\xdd\xee\xff\x00\x01\x02\x03\x00\x00")},
    {V_STAMP(657, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10),
     B("\x33\x01\x02\x03\x04\x05\x06\x07\x08\x09\x0a\x02\x91")},
    /* By the words of design/tuple.md, as the Python binding packs them. */
    {V_STAMP(7, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff),
     B("\x33\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\x00\x07")},
    {V_BIG(true, "\x01\x00\x00\x00\x00\x00\x00\x00\x00"),
     B("\x0b\xf6\xfe\xff\xff\xff\xff\xff\xff\xff\xff")},
    {V_BIG(true, "\xff\xff\xff\xff\xff\xff\xff\xff\xff"),
     B("\x0b\xf6\x00\x00\x00\x00\x00\x00\x00\x00\x00")},
    /* A 00 ff that is no escape, because it lies within an element. */
    {V_NESTED(V_DOUBLE(0x800000ff00ff0000), V_BIG(true, "\x01\xff\x00\xff\x00\xff\x00\xff\x00"),
              V_NULL, V_STAMP(255, 0, 0xff, 0, 0xff, 0, 0xff, 0, 0xff, 0, 0xff), V_FLOAT(0)),
     B("\x05\x21\x7f\xff\xff\x00\xff\x00\xff\xff\x0b\xf6\xfe\x00\xff\x00\xff\x00\xff\x00\xff"
       "\x00\xff\x33\x00\xff\x00\xff\x00\xff\x00\xff\x00\xff\x00\xff\x20\x80\x00\x00\x00\x00")},
    {V_NESTED(V_NESTED(V_NULL), V_NULL, V_STR("\0")),
     B("\x05\x05\x00\xff\x00\x00\xff\x02\x00\xff\x00\x00")},
    {V_NESTED(V_POS(0), V_NESTED(V_NESTED(V_NEG(255), V_NULL))),
     B("\x05\x14\x05\x05\x13\x00\x00\xff\x00\x00\x00")},
};

static void test_vectors(void **state)
{
    for (size_t i = 0; i < ARRAY_LEN(vectors); i++)
        check_both_ways(*state, &vectors[i].value, 1, vectors[i].packed);
}

static void test_tuples(void **state)
{
    const struct value v[] = {
        V_STR("kelpie"),
        V_BYTES("\0one\0"),
        V_NESTED(V_BYTES("\0two\0"), V_NULL, V_NESTED(V_STR("th\0ree"), V_NULL)),
        V_POS(7),
        V_NESTED(V_BYTES("four")),
        V_NESTED(V_NESTED(V_BYTES("fi\0ve"))),
        V_BYTES("\0six"),
        V_NULL,
    };
    struct fixture *f = *state;
    struct buf want;
    buf_init(&want, f->buf.mem);
    for (size_t i = 0; i < ARRAY_LEN(v); i++)
        pack_value(&want, &v[i]);
    check_both_ways(f, v, ARRAY_LEN(v), buf_bytes(&want));
    buf_deinit(&want);
    check_both_ways(f, NULL, 0, bytes_of(NULL, 0));
}

static void test_refused(void **state)
{
    static const struct bytes bad[] = {
        B("\x01"),
        B("\x01"
          "abc"),
        B("\x01"
          "abc\x00\xff"),
        B("\x02"),
        B("\x02\xff\x00"),             /* not UTF-8 */
        B("\x02\xc0\x80\x00"),         /* overlong */
        B("\x02\xed\xa0\x80\x00"),     /* a surrogate */
        B("\x02\xe2\x82\x00\xff\x00"), /* cut short by a NUL */
        B("\x03\x00"),
        B("\x03\x04"), /* the deprecated nesting */
        B("\x04"),
        B("\x05"),
        B("\x05\x00\xff"),
        B("\x05\x14"),
        B("\x05\x05\x00"),
        B("\x05\x02\xff\x00\x00"),
        B("\x05\x15\x00\x00"),
        B("\x06"),
        B("\x0a"),
        B("\x0b\xf6\xff\x00\x00\x00\x00\x00\x00\x00\x00"), /* a needless byte, also here */
        B("\x0b\xf7\x00\x00\x00\x00\x00\x00\x00\x00"),     /* eight bytes have their own code */
        B("\x0b\xf6\x00\x00\x00\x00\x00\x00\x00\x00"),     /* cut */
        B("\x0b"),
        B("\x1d\x09\x00\xff\xff\xff\xff\xff\xff\xff\xff"),
        B("\x1d\x08\xff\xff\xff\xff\xff\xff\xff\xff"),
        B("\x1d\x09\xff\xff\xff\xff\xff\xff\xff\xff"),
        B("\x1d\x00"),
        B("\x1d"),
        B("\x1e\x09\xff\xff\xff\xff\xff\xff\xff\xff\xff"),
        B("\x0c\x00\x00\x00\x00\x00\x00\x00"),
        B("\x1c\xff\xff\xff\xff\xff\xff\xff"),
        B("\x13"),
        B("\x13\xff"), /* minus zero */
        B("\x12\xff\x00"),
        B("\x15"),
        B("\x15\x00"), /* needless bytes */
        B("\x16\x00\xff"),
        B("\x1c\x00\xff\xff\xff\xff\xff\xff\xff"),
        B("\x20\x3d\xd7\xff"),
        B("\x21\x00\x00\x00\x00\x00\x00\x00"),
        B("\x22\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00"), /* long double: reserved */
        B("\x23\x00\x15\x01"),                             /* decimals: reserved */
        B("\x25"),                                         /* the deprecated true */
        B("\x28"),
        B("\x30\x00\x01\x02\x03\x04\x05\x06\x07\x08\x09\x0a\x0b\x0c\x0d\x0e"),
        B("\x31\x00\x01\x02\x03\x04\x05\x06\x07"),         /* 64-bit id: reserved */
        B("\x32\x00\x01\x02\x03\x04\x05\x06\x07\x08\x09"), /* of 80 bits: reserved */
        B("\x33\x00\x01\x02\x03\x04\x05\x06\x07\x08\x09\x0a"),
        B("\x34\x01\x00"), /* with a length before: reserved */
        B("\x40"),
        B("\xff"),
    };
    struct fixture *f = *state;
    for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
        struct tuple_item item;
        struct tuple_reader r = tuple_reader_of(bad[i], &f->scratch);
        assert_false(tuple_next(&r, &item));
        assert_false(r.ok);
        assert_false(tuple_at_end(&r));
        assert_false(tuple_next(&r, &item));
        /* The same after something good, which is still read. */
        buf_clear(&f->buf);
        tuple_pack_int(&f->buf, 7);
        buf_append_bytes(&f->buf, bad[i]);
        r = tuple_reader_of(buf_bytes(&f->buf), &f->scratch);
        assert_int_equal(tuple_next_uint(&r), 7);
        assert_true(r.ok);
        assert_false(tuple_next(&r, &item));
        assert_false(r.ok);
    }
}

/* A cut element is none, unless the cut makes an end of an escaped NUL. */
static void test_cut_anywhere(void **state)
{
    struct fixture *f = *state;
    for (size_t i = 0; i < ARRAY_LEN(vectors); i++) {
        const uint8_t *data = vectors[i].packed.data;
        for (size_t len = 1; len < vectors[i].packed.len; len++) {
            struct tuple_item item;
            struct tuple_reader r = tuple_reader_of(bytes_of(data, len), &f->scratch);
            bool got = tuple_next(&r, &item);
            assert_int_equal(got, r.ok);
            if (got)
                assert_true(data[len - 1] == 0x00 && data[len] == 0xff);
        }
    }
}

/* Everything that begins with a tuple lies before that tuple with TUPLE_RANGE_END. */
static void test_range_end(void **state)
{
    (void)state;
    uint8_t end = TUPLE_RANGE_END;
    for (size_t i = 0; i < ARRAY_LEN(vectors); i++)
        assert_true(bytes_compare(vectors[i].packed, bytes_of(&end, 1)) < 0);
}

/* --- typed reads --- */

static void test_typed(void **state)
{
    struct fixture *f = *state;
    struct uuid uuid = {{1, 2, 3}};
    struct versionstamp stamp = versionstamp_incomplete(9);
    assert_false(versionstamp_is_complete(stamp));
    stamp.commit[9] = 0;
    assert_true(versionstamp_is_complete(stamp));
    tuple_pack_str(&f->buf, "name");
    tuple_pack_bytes(&f->buf, bytes_of("\0x", 2));
    tuple_pack_uint(&f->buf, UINT64_MAX);
    tuple_pack_uint(&f->buf, 12);
    tuple_pack_int(&f->buf, INT64_MIN);
    tuple_pack_int(&f->buf, 13);
    tuple_pack_bool(&f->buf, true);
    tuple_pack_uuid(&f->buf, uuid);
    tuple_pack_nested(&f->buf, bytes_of("\x14", 1));
    tuple_pack_float(&f->buf, 0.1f);
    tuple_pack_double(&f->buf, 0.1);
    tuple_pack_versionstamp(&f->buf, stamp);
    struct tuple_reader r = tuple_reader_of(buf_bytes(&f->buf), &f->scratch);
    assert_true(bytes_equal(tuple_next_string(&r), bytes_of_str("name")));
    assert_true(bytes_equal(tuple_next_bytes(&r), bytes_of("\0x", 2)));
    assert_int_equal(tuple_next_uint(&r), UINT64_MAX);
    assert_int_equal(tuple_next_uint(&r), 12);
    assert_int_equal(tuple_next_int(&r), INT64_MIN);
    assert_int_equal(tuple_next_int(&r), 13);
    assert_true(tuple_next_bool(&r));
    assert_true(uuid_equal(tuple_next_uuid(&r), uuid));
    assert_true(bytes_equal(tuple_next_nested(&r), bytes_of("\x14", 1)));
    assert_true(tuple_next_float(&r) == 0.1f);
    assert_true(tuple_next_double(&r) == 0.1);
    struct versionstamp got = tuple_next_versionstamp(&r);
    assert_memory_equal(got.commit, stamp.commit, sizeof(stamp.commit));
    assert_int_equal(got.user, 9);
    assert_true(tuple_at_end(&r));
    assert_int_equal(tuple_next_uint(&r), 0);
    assert_false(r.ok);
}

/* Every typed read of every vector: right for its own type, and otherwise empty and not ok. */
static void test_typed_wrong(void **state)
{
    struct fixture *f = *state;
    for (size_t i = 0; i < ARRAY_LEN(vectors); i++) {
        const struct value *v = &vectors[i].value;
        bool number = v->type == TUPLE_INT || v->type == TUPLE_UINT;
        const bool want[] = {
            number && !v->negative,
            v->type == TUPLE_INT && v->u <= (uint64_t)INT64_MAX + (v->negative ? 1 : 0),
            v->type == TUPLE_BOOL,
            v->type == TUPLE_UUID,
            v->type == TUPLE_BYTES,
            v->type == TUPLE_STRING,
            v->type == TUPLE_NESTED,
            v->type == TUPLE_FLOAT,
            v->type == TUPLE_DOUBLE,
            v->type == TUPLE_VERSIONSTAMP,
        };
        for (size_t kind = 0; kind < ARRAY_LEN(want); kind++) {
            struct tuple_reader r = tuple_reader_of(vectors[i].packed, &f->scratch);
            bool empty = false;
            struct versionstamp stamp;
            switch (kind) {
            case 0:
                empty = tuple_next_uint(&r) == 0;
                break;
            case 1:
                empty = tuple_next_int(&r) == 0;
                break;
            case 2:
                empty = !tuple_next_bool(&r);
                break;
            case 3:
                empty = uuid_is_zero(tuple_next_uuid(&r));
                break;
            case 4:
                empty = tuple_next_bytes(&r).len == 0;
                break;
            case 5:
                empty = tuple_next_string(&r).len == 0;
                break;
            case 6:
                empty = tuple_next_nested(&r).len == 0;
                break;
            case 7:
                empty = tuple_next_float(&r) == 0;
                break;
            case 8:
                empty = tuple_next_double(&r) == 0;
                break;
            case 9:
                stamp = tuple_next_versionstamp(&r);
                empty = stamp.user == 0 && stamp.commit[0] == 0 && stamp.commit[9] == 0;
                break;
            }
            assert_int_equal(r.ok, want[kind]);
            assert_true(r.ok || empty);
        }
    }
}

/* --- depth --- */

static void pack_deep(struct buf *b, size_t depth)
{
    struct buf inner;
    buf_init(&inner, b->mem);
    for (size_t i = 0; i < depth; i++) {
        buf_clear(b);
        tuple_pack_nested(b, buf_bytes(&inner));
        buf_clear(&inner);
        buf_append_bytes(&inner, buf_bytes(b));
    }
    buf_deinit(&inner);
}

static void pack_too_deep(void *arg)
{
    pack_deep(arg, TUPLE_DEPTH_MAX + 1);
}

static void test_depth(void **state)
{
    struct fixture *f = *state;
    struct tuple_item item;
    pack_deep(&f->buf, TUPLE_DEPTH_MAX);
    assert_int_equal(f->buf.len, 2 * TUPLE_DEPTH_MAX);
    struct tuple_reader r = tuple_reader_of(buf_bytes(&f->buf), &f->scratch);
    assert_true(tuple_next(&r, &item));
    assert_true(tuple_at_end(&r));
    assert_true(test_dies(pack_too_deep, &f->buf));

    static uint8_t deep[100000];
    memset(deep, 0x05, sizeof(deep) / 2);
    for (size_t depth = TUPLE_DEPTH_MAX + 1; depth <= sizeof(deep) / 2; depth *= 3) {
        r = tuple_reader_of(bytes_of(deep + sizeof(deep) / 2 - depth, 2 * depth), &f->scratch);
        assert_false(tuple_next(&r, &item));
        assert_false(r.ok);
    }
}

static void pack_bad_string(void *arg)
{
    tuple_pack_string(arg, bytes_of("a\xff", 2));
}

static void pack_bad_inner(void *arg)
{
    tuple_pack_nested(arg, bytes_of("\x15", 1));
}

static void pack_minus_zero(void *arg)
{
    tuple_pack_negative(arg, 0);
}

#define bytes_of_text(text) bytes_of(text, sizeof(text) - 1)

static void pack_small_big(void *arg)
{
    tuple_pack_big(arg, false, bytes_of_text("\x01\x02\x03\x04\x05\x06\x07\x08"));
}

static void pack_padded_big(void *arg)
{
    tuple_pack_big(arg, true, bytes_of_text("\x00\x02\x03\x04\x05\x06\x07\x08\x09"));
}

static void pack_huge_big(void *arg)
{
    static const uint8_t huge[TUPLE_BIG_MAX + 1] = {1};
    tuple_pack_big(arg, false, bytes_of(huge, sizeof(huge)));
}

/* The longest integers there are. */
static void test_big(void **state)
{
    struct fixture *f = *state;
    uint8_t huge[TUPLE_BIG_MAX];
    struct tuple_item item;
    memset(huge, 0xa5, sizeof(huge));
    tuple_pack_big(&f->buf, true, bytes_of(huge, sizeof(huge)));
    tuple_pack_big(&f->buf, false, bytes_of(huge, sizeof(huge)));
    assert_int_equal(f->buf.len, 2 * (2 + sizeof(huge)));
    struct tuple_reader r = tuple_reader_of(buf_bytes(&f->buf), &f->scratch);
    for (int negative = 1; negative >= 0; negative--) {
        assert_true(tuple_next(&r, &item));
        assert_int_equal(item.type, TUPLE_BIG);
        assert_int_equal(item.negative, negative);
        assert_true(bytes_equal(item.bytes, bytes_of(huge, sizeof(huge))));
    }
    assert_true(tuple_at_end(&r));
}

static void test_packing_asserts(void **state)
{
    struct fixture *f = *state;
    assert_true(test_dies(pack_bad_string, &f->buf));
    assert_true(test_dies(pack_bad_inner, &f->buf));
    assert_true(test_dies(pack_minus_zero, &f->buf));
    assert_true(test_dies(pack_small_big, &f->buf));
    assert_true(test_dies(pack_padded_big, &f->buf));
    assert_true(test_dies(pack_huge_big, &f->buf));
}

/* What is not escaped is not copied. */
static void test_borrows(void **state)
{
    struct fixture *f = *state;
    tuple_pack_str(&f->buf, "plain");
    tuple_pack_nested(&f->buf, bytes_of("\x02i\x00\x14", 4));
    struct tuple_reader r = tuple_reader_of(buf_bytes(&f->buf), &f->scratch);
    assert_ptr_equal(tuple_next_string(&r).data, f->buf.data + 1);
    assert_ptr_equal(tuple_next_nested(&r).data, f->buf.data + 8);
    assert_true(tuple_at_end(&r));
    assert_int_equal(f->scratch.len, 0);
}

/* --- text --- */

static void check_text(struct fixture *f, struct bytes packed, const char *want)
{
    buf_clear(&f->buf);
    tuple_to_text(packed, &f->buf);
    buf_append_u8(&f->buf, 0);
    assert_string_equal((const char *)f->buf.data, want);
}

static void check_floats(struct fixture *f)
{
    static const struct {
        uint64_t bits;
        bool single;
        const char *text;
    } cases[] = {
        {0x3ff0000000000000, false, "(1.0)"},
        {0x8000000000000000, false, "(-0.0)"},
        {0x3fb999999999999a, false, "(0.1)"},
        {0x3fd5555555555555, false, "(0.3333333333333333)"},
        {0x7fefffffffffffff, false, "(1.7976931348623157e+308)"},
        {0x0000000000000001, false, "(5e-324)"},
        {0x7ff0000000000000, false, "(inf)"},
        {0xfff0000000000000, false, "(-inf)"},
        {0xfff8000000000001, false, "(nan(0xfff8000000000001))"},
        {0x3dcccccd, true, "(0.1f)"},
        {0xc2280000, true, "(-42.0f)"},
        {0x7f800000, true, "(inff)"},
        {0x7fc00000, true, "(nan(0x7fc00000)f)"},
        {0x00000001, true, "(1e-45f)"},
    };
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        buf_clear(&f->scratch);
        if (cases[i].single)
            tuple_pack_float(&f->scratch, float_of(cases[i].bits));
        else
            tuple_pack_double(&f->scratch, double_of(cases[i].bits));
        check_text(f, buf_bytes(&f->scratch), cases[i].text);
    }
}

static void test_text(void **state)
{
    struct fixture *f = *state;
    check_text(f, bytes_of(NULL, 0), "()");
    check_text(f, bytes_of("\x00", 1), "(null)");
    check_text(f,
               bytes_of("\x02kelpie\x00\x15\x07\x01\x00\xff\x00"
                        "\x26\x27",
                        16),
               "(\"kelpie\", 7, b\"\\x00\", false, true)");
    check_text(f, bytes_of("\x02\"\\\n\xc3\xa9\x00", 7), "(\"\\\"\\\\\\x0a\xc3\xa9\")");
    check_text(f, bytes_of("\x01\xc3\xa9\x00", 4), "(b\"\\xc3\\xa9\")");
    check_text(f, bytes_of("\x0c\x00\x00\x00\x00\x00\x00\x00\x00\x13\xfe", 11),
               "(-18446744073709551615, -1)");
    check_text(f, bytes_of("\x1c\xff\xff\xff\xff\xff\xff\xff\xff", 9), "(18446744073709551615)");
    check_text(f, bytes_of("\x05\x00\xff\x05\x00\x14\x00\x14", 8), "((null, (), 0), 0)");
    check_text(f,
               bytes_of("\x30\x00\x11\x22\x33\x44\x55\x66\x77\x88\x99\xaa\xbb\xcc\xdd\xee\xff", 17),
               "(00112233-4455-6677-8899-aabbccddeeff)");
    check_text(f, bytes_of("\x15\x01\xfe\xff", 4), "(1, ?\"feff\")");
    check_text(f, bytes_of("\x05", 1), "(?\"05\")");
    check_text(f, bytes_of_text("\x33\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\x00\x07"),
               "(versionstamp(incomplete, 7))");
    check_text(f, bytes_of_text("\x33\x00\x01\x02\x03\x04\x05\x06\x07\x08\x09\x01\x00"),
               "(versionstamp(00010203040506070809, 256))");
    check_text(f, bytes_of_text("\x0b\xf6\xfe\xff\xff\xff\xff\xff\xff\xff\xff"),
               "(-0x010000000000000000)");
    check_text(f, bytes_of_text("\x1d\x09\x01\x00\x00\x00\x00\x00\x00\x00\xff"),
               "(0x0100000000000000ff)");
    check_floats(f);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(test_vectors),      TEST(test_tuples),    TEST(test_refused),
        TEST(test_cut_anywhere), TEST(test_range_end), TEST(test_typed),
        TEST(test_typed_wrong),  TEST(test_depth),     TEST(test_packing_asserts),
        TEST(test_borrows),      TEST(test_text),      TEST(test_big),
    };
    return cmocka_run_group_tests_name("tuple", tests, NULL, NULL);
}

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/buf.h"
#include "support/test_mem.h"

struct fixture {
    struct test_mem mem;
    struct buf buf;
};

static int setup(void **state)
{
    struct fixture *f = calloc(1, sizeof(*f));
    CHECK(f);
    buf_init(&f->buf, test_mem(&f->mem));
    *state = f;
    return 0;
}

static int teardown(void **state)
{
    struct fixture *f = *state;
    buf_deinit(&f->buf);
    int leaked = f->mem.held != 0;
    free(f);
    return leaked;
}

static void test_big_endian(void **state)
{
    struct buf *b = &((struct fixture *)*state)->buf;
    buf_append_u8(b, 0x01);
    buf_append_u16(b, 0x0203);
    buf_append_u32(b, 0x04050607);
    buf_append_u64(b, 0x08090a0b0c0d0e0f);
    assert_int_equal(b->len, 15);
    for (size_t i = 0; i < b->len; i++)
        assert_int_equal(b->data[i], i + 1);

    struct reader r = reader_of(buf_bytes(b));
    assert_int_equal(reader_u8(&r), 0x01);
    assert_int_equal(reader_u16(&r), 0x0203);
    assert_int_equal(reader_u32(&r), 0x04050607);
    assert_int_equal(reader_u64(&r), 0x08090a0b0c0d0e0f);
    assert_true(reader_end(&r));
}

static void test_blobs(void **state)
{
    struct buf *b = &((struct fixture *)*state)->buf;
    buf_append_blob(b, bytes_of_str("one"));
    buf_append_blob(b, bytes_of(NULL, 0));
    buf_append_blob(b, bytes_of_str("three"));
    struct reader r = reader_of(buf_bytes(b));
    assert_true(bytes_equal(reader_blob(&r, 3), bytes_of_str("one")));
    assert_int_equal(reader_blob(&r, 0).len, 0);
    assert_false(reader_end(&r));
    assert_true(bytes_equal(reader_raw(&r, 4), bytes_of("\0\0\0\5", 4)));
    assert_true(bytes_equal(reader_raw(&r, 5), bytes_of_str("three")));
    assert_true(reader_end(&r));
}

/* After the first thing that is wrong, everything reads as nothing. */
static void test_reader_stays_wrong(void **state)
{
    struct buf *b = &((struct fixture *)*state)->buf;
    buf_append_blob(b, bytes_of_str("four"));
    buf_append_u64(b, UINT64_MAX);
    struct reader r = reader_of(buf_bytes(b));
    assert_int_equal(reader_blob(&r, 3).len, 0); /* longer than its bound */
    assert_false(r.ok);
    assert_int_equal(reader_u8(&r), 0);
    assert_int_equal(reader_u64(&r), 0);
    assert_int_equal(reader_raw(&r, 0).len, 0);
    assert_false(reader_end(&r));
}

static void test_reader_short(void **state)
{
    (void)state;
    static const uint8_t data[7] = {0, 0, 0, 4, 'a', 'b', 'c'};
    struct reader r = reader_of(bytes_of(data, sizeof(data)));
    assert_int_equal(reader_blob(&r, 100).len, 0); /* says four, has three */
    assert_false(r.ok);
    for (size_t len = 0; len < 8; len++) {
        r = reader_of(bytes_of(data, len < 7 ? len : 7));
        assert_int_equal(reader_u64(&r), 0);
        assert_false(r.ok);
    }
    r = reader_of(bytes_of(NULL, 0));
    assert_true(reader_end(&r));
    assert_int_equal(reader_raw(&r, 0).len, 0);
    assert_true(reader_end(&r));
    assert_int_equal(reader_raw(&r, SIZE_MAX).len, 0);
    assert_false(r.ok);
}

static void test_grows(void **state)
{
    struct fixture *f = *state;
    struct buf *b = &f->buf;
    for (uint32_t i = 0; i < 100000; i++)
        buf_append_u32(b, i);
    assert_int_equal(b->len, 400000);
    struct reader r = reader_of(buf_bytes(b));
    for (uint32_t i = 0; i < 100000; i++)
        assert_int_equal(reader_u32(&r), i);
    assert_true(f->mem.calls < 20); /* by doubling */
}

static void test_reserve(void **state)
{
    struct buf *b = &((struct fixture *)*state)->buf;
    assert_non_null(buf_reserve(b, 0));
    uint8_t *p = buf_reserve(b, 1000);
    assert_int_equal(b->len, 0);
    memset(p, 'x', 1000);
    b->len += 1000;
    assert_ptr_equal(buf_reserve(b, 0), b->data + 1000);
}

static void test_appendf(void **state)
{
    struct buf *b = &((struct fixture *)*state)->buf;
    buf_appendf(b, "%s", "");
    assert_int_equal(b->len, 0);
    buf_appendf(b, "node=%d", 7);
    /* Longer than what is there, at every length around the room that is left. */
    for (int width = 1; width < 300; width++) {
        size_t before = b->len;
        buf_appendf(b, " %*d", width, 42);
        size_t added = b->len - before;
        assert_int_equal(added, 1 + (width > 2 ? width : 2));
        assert_memory_equal(b->data + b->len - 2, "42", 2);
    }
    assert_memory_equal(b->data, "node=7 42 42  42", 16);
}

static void test_consume(void **state)
{
    struct buf *b = &((struct fixture *)*state)->buf;
    buf_append(b, "abcdef", 6);
    buf_consume(b, 0);
    buf_consume(b, 2);
    assert_true(bytes_equal(buf_bytes(b), bytes_of_str("cdef")));
    buf_consume(b, 4);
    assert_int_equal(b->len, 0);
    buf_consume(b, 0);
    buf_append(b, "g", 1);
    assert_true(bytes_equal(buf_bytes(b), bytes_of_str("g")));
}

static void test_reuse(void **state)
{
    struct fixture *f = *state;
    struct buf *b = &f->buf;
    buf_append(b, "abc", 3);
    buf_clear(b);
    assert_int_equal(b->len, 0);
    assert_int_equal(f->mem.held, 1);
    buf_deinit(b);
    assert_int_equal(f->mem.held, 0);
    buf_append(b, "def", 3);
    assert_true(bytes_equal(buf_bytes(b), bytes_of_str("def")));
}

static void test_bytes_order(void **state)
{
    (void)state;
    static const char *const sorted[] = {"", "a", "aa", "ab", "b", "\x7f", "\x80", "\xff"};
    for (size_t i = 0; i < ARRAY_LEN(sorted); i++) {
        for (size_t j = 0; j < ARRAY_LEN(sorted); j++) {
            int c = bytes_compare(bytes_of_str(sorted[i]), bytes_of_str(sorted[j]));
            assert_int_equal((c > 0) - (c < 0), (i > j) - (i < j));
        }
    }
    assert_true(bytes_start_with(bytes_of_str("abc"), bytes_of_str("ab")));
    assert_true(bytes_start_with(bytes_of_str("abc"), bytes_of(NULL, 0)));
    assert_false(bytes_start_with(bytes_of_str("ab"), bytes_of_str("abc")));
    assert_true(bytes_equal(bytes_of(NULL, 0), bytes_of_str("")));
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(test_big_endian),   TEST(test_blobs),   TEST(test_reader_stays_wrong),
        TEST(test_reader_short), TEST(test_grows),   TEST(test_reserve),
        TEST(test_appendf),      TEST(test_consume), TEST(test_reuse),
        TEST(test_bytes_order),
    };
    return cmocka_run_group_tests_name("buf", tests, NULL, NULL);
}

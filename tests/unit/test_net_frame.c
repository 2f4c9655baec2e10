/* Frames on the wire: what net_frame_scan() says to whole, short and wrong ones. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>

#include "base/mem.h"
#include "env/net.h"
#include "kelpie/error.h"

static void *test_alloc(void *ctx, size_t size)
{
    (void)ctx;
    return malloc(size);
}

static void *test_resize(void *ctx, void *ptr, size_t size)
{
    (void)ctx;
    return realloc(ptr, size);
}

static void test_release(void *ctx, void *ptr)
{
    (void)ctx;
    free(ptr);
}

static const struct mem_ops mem_ops = {test_alloc, test_resize, test_release};
static const struct mem mem = {&mem_ops, NULL};

struct scan_case {
    const char *name;
    size_t at;     /* the byte that is changed; SIZE_MAX: none */
    uint8_t value; /* to what */
    size_t len;    /* how much of the frame is there; SIZE_MAX: all */
    long expected; /* 1: the whole frame's length */
};

static const struct scan_case cases[] = {
    {"whole", SIZE_MAX, 0, SIZE_MAX, 1},
    {"nothing", SIZE_MAX, 0, 0, 0},
    {"one byte", SIZE_MAX, 0, 1, 0},
    {"half a header", SIZE_MAX, 0, 9, 0},
    {"header alone", SIZE_MAX, 0, NET_HEADER_SIZE, 0},
    {"last byte missing", SIZE_MAX, 0, NET_HEADER_SIZE + 4, 0},
    {"wrong first byte", 0, 'G', SIZE_MAX, KELPIE_E_PROTOCOL},
    {"wrong first byte, alone", 0, 'G', 1, KELPIE_E_PROTOCOL},
    {"wrong magic, short", 3, '2', 4, KELPIE_E_PROTOCOL},
    {"another version", 5, NET_VERSION + 1, SIZE_MAX, KELPIE_E_VERSION},
    {"another version, short", 5, NET_VERSION + 1, 6, KELPIE_E_VERSION},
    {"reserved bits", 6, 1, SIZE_MAX, KELPIE_E_PROTOCOL},
    {"longer than a frame may be", 8, 0xff, 12, KELPIE_E_PROTOCOL},
    {"longer than it is", 11, 6, SIZE_MAX, 0},
    {"shorter than it is", 11, 4, SIZE_MAX, KELPIE_E_PROTOCOL},
    {"checksum", 15, 0x5a, SIZE_MAX, KELPIE_E_PROTOCOL},
    {"payload", NET_HEADER_SIZE + 2, 'X', SIZE_MAX, KELPIE_E_PROTOCOL},
};

static void scan_says_what_is_wrong(void **state)
{
    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        const struct scan_case *c = &cases[i];
        struct buf frame;
        size_t len;

        buf_init(&frame, mem);
        net_frame_make(&frame, bytes_of_str("hello"));
        assert_int_equal(frame.len, NET_HEADER_SIZE + 5);
        if (c->at != SIZE_MAX)
            frame.data[c->at] = c->value;
        len = c->len == SIZE_MAX ? frame.len : c->len;
        print_message("%s\n", c->name);
        assert_int_equal(net_frame_scan(bytes_of(frame.data, len)),
                         c->expected == 1 ? (long)frame.len : c->expected);
        buf_deinit(&frame);
    }
}

static void a_stream_is_cut_into_its_frames(void **state)
{
    static const char *const payloads[] = {"", "a", "", "some longer payload"};
    struct buf stream;

    (void)state;
    buf_init(&stream, mem);
    for (size_t i = 0; i < ARRAY_LEN(payloads); i++)
        net_frame_make(&stream, bytes_of_str(payloads[i]));
    for (size_t i = 0; i < ARRAY_LEN(payloads); i++) {
        long len = net_frame_scan(buf_bytes(&stream));

        assert_true(len >= NET_HEADER_SIZE);
        assert_true(bytes_equal(net_frame_payload(bytes_of(stream.data, (size_t)len)),
                                bytes_of_str(payloads[i])));
        buf_consume(&stream, (size_t)len);
    }
    assert_int_equal(stream.len, 0);
    assert_int_equal(net_frame_scan(buf_bytes(&stream)), 0);
    buf_deinit(&stream);
}

static void the_largest_frame_passes_and_a_larger_one_is_not_sent(void **state)
{
    struct net nowhere = {NULL, NULL};
    struct buf frame;
    uint8_t *payload = calloc(1, NET_PAYLOAD_MAX + 1);

    (void)state;
    assert_non_null(payload);
    buf_init(&frame, mem);
    net_frame_make(&frame, bytes_of(payload, NET_PAYLOAD_MAX));
    assert_int_equal(net_frame_scan(buf_bytes(&frame)), NET_HEADER_SIZE + NET_PAYLOAD_MAX);
    assert_int_equal(
        net_send(nowhere, "127.0.0.1:1", bytes_of(payload, NET_PAYLOAD_MAX + 1), &frame),
        KELPIE_E_TOO_LARGE);
    buf_deinit(&frame);
    free(payload);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(scan_says_what_is_wrong),
        cmocka_unit_test(a_stream_is_cut_into_its_frames),
        cmocka_unit_test(the_largest_frame_passes_and_a_larger_one_is_not_sent),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}

/* Frames of the store's protocol with as many parts as there may be, and with one more. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "kelpie/error.h"
#include "store/store_protocol.h"
#include "support/test_mem.h"

#define READ_HEAD 10 /* number, and how many reads */
#define COUNT_AT 8   /* of a READ */
#define RANGES_AT 16 /* of a COMMIT */
#define WRITES_AT 18

static void put_count(struct buf *body, size_t at, size_t count)
{
    body->data[at] = (uint8_t)(count >> 8);
    body->data[at + 1] = (uint8_t)count;
}

/* The encoders refuse to write such frames, so one more part is added by hand. */
static void reads_have_a_bound(void **state)
{
    static struct store_read reads[STORE_READS_MAX], got[STORE_READS_MAX + 1];
    struct test_mem held = {0};
    struct buf frame;
    uint64_t id;
    size_t count;

    (void)state;
    buf_init(&frame, test_mem(&held));
    for (size_t i = 0; i < STORE_READS_MAX; i++)
        reads[i] = (struct store_read){.key = bytes_of_str("k")};
    store_encode_read(&frame, 7, reads, STORE_READS_MAX);
    buf_consume(&frame, STORE_FRAME_HEAD);
    assert_int_equal(store_decode_read(buf_bytes(&frame), &id, got, &count), 0);
    assert_int_equal(count, STORE_READS_MAX);

    size_t part = (frame.len - READ_HEAD) / STORE_READS_MAX;
    uint8_t one[STORE_KEY_MAX];
    assert_true(part <= sizeof one);
    memcpy(one, frame.data + READ_HEAD, part);
    buf_append(&frame, one, part);
    put_count(&frame, COUNT_AT, STORE_READS_MAX + 1);
    assert_int_equal(store_decode_read(buf_bytes(&frame), &id, got, &count), KELPIE_E_PROTOCOL);
    buf_deinit(&frame);
    assert_int_equal(held.held, 0);
}

static void commits_have_bounds(void **state)
{
    static const struct store_write write = {.kind = STORE_DELETE,
                                             .key = {(const uint8_t *)"k", 1}};
    static const struct {
        size_t ranges, writes;
        int status;
    } cases[] = {
        {STORE_READS_MAX, STORE_WRITES_MAX, 0},
        {STORE_READS_MAX + 1, 1, KELPIE_E_PROTOCOL},
        {1, STORE_WRITES_MAX + 1, KELPIE_E_PROTOCOL},
    };
    struct test_mem held = {0};
    struct store_commit_msg head;
    struct buf frame;

    (void)state;
    buf_init(&frame, test_mem(&held));
    store_encode_commit(&frame, 7, 1, NULL, 0, &write, 1);
    buf_consume(&frame, STORE_FRAME_HEAD);
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        put_count(&frame, RANGES_AT, cases[i].ranges);
        put_count(&frame, WRITES_AT, cases[i].writes);
        assert_int_equal(store_decode_commit_head(buf_bytes(&frame), &head), cases[i].status);
    }
    buf_deinit(&frame);
    assert_int_equal(held.held, 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(reads_have_a_bound),
        cmocka_unit_test(commits_have_bounds),
    };
    return cmocka_run_group_tests_name("store_frames", tests, NULL, NULL);
}

/* Values that are not what was written: none is taken for a record. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>

#include "base/crc32c.h"
#include "base/tuple.h"
#include "kelpie/error.h"
#include "lib/record_samples.h"

/* Longer values are left out where every bit of a value is tried. */
#define TRIED_MAX 3000

struct bufs {
    struct buf value, scratch, again, forged;
};

static int setup(void **state)
{
    struct bufs *b = calloc(1, sizeof(*b));
    CHECK(b);
    buf_init(&b->value, sample_mem());
    buf_init(&b->scratch, sample_mem());
    buf_init(&b->again, sample_mem());
    buf_init(&b->forged, sample_mem());
    *state = b;
    return 0;
}

static int teardown(void **state)
{
    struct bufs *b = *state;
    buf_deinit(&b->value);
    buf_deinit(&b->scratch);
    buf_deinit(&b->again);
    buf_deinit(&b->forged);
    free(b);
    return sample_mem_held() == 0 ? 0 : -1;
}

static int get(struct bufs *b, enum key_family family, struct bytes key, struct bytes value)
{
    buf_clear(&b->scratch);
    return record_get(family, key, value, &b->scratch, &b->again);
}

static void assert_corrupt(struct bufs *b, enum key_family family, struct bytes key,
                           struct bytes value)
{
    assert_int_equal(record_verify(key, value), KELPIE_E_STORE_CORRUPT);
    assert_int_equal(get(b, family, key, value), KELPIE_E_STORE_CORRUPT);
}

/* Runs `fn` with each sample's row in b->value. */
static void for_each_row(struct bufs *b,
                         void (*fn)(struct bufs *b, const struct record_sample *s, struct key key))
{
    struct record_sample samples[RECORD_SAMPLES_MAX];
    size_t n = record_samples(samples);
    for (size_t i = 0; i < n; i++) {
        struct key key = sample_key(samples[i].family);
        record_put(samples[i].family, samples[i].record, key_bytes(&key), &b->value);
        fn(b, &samples[i], key);
    }
}

static void flip_value(struct bufs *b, const struct record_sample *s, struct key key)
{
    if (b->value.len > TRIED_MAX)
        return;
    for (size_t bit = 0; bit < 8 * b->value.len; bit++) {
        b->value.data[bit / 8] ^= (uint8_t)(1u << bit % 8);
        assert_corrupt(b, s->family, key_bytes(&key), buf_bytes(&b->value));
        b->value.data[bit / 8] ^= (uint8_t)(1u << bit % 8);
    }
}

static void a_flipped_bit_of_the_value(void **state)
{
    for_each_row(*state, flip_value);
}

static void flip_key(struct bufs *b, const struct record_sample *s, struct key key)
{
    for (size_t bit = 0; bit < 8 * key.len; bit++) {
        key.data[bit / 8] ^= (uint8_t)(1u << bit % 8);
        assert_corrupt(b, s->family, key_bytes(&key), buf_bytes(&b->value));
        key.data[bit / 8] ^= (uint8_t)(1u << bit % 8);
    }
}

static void a_flipped_bit_of_the_key(void **state)
{
    for_each_row(*state, flip_key);
}

static void give_other_key(struct bufs *b, const struct record_sample *s, struct key key)
{
    struct keyspace ks = sample_space("kelpie");
    struct key others[SAMPLE_KEYS_MAX];
    size_t n = sample_keys(&ks, others);
    for (size_t i = 0; i < n; i++)
        if (!bytes_equal(key_bytes(&others[i]), key_bytes(&key)))
            assert_corrupt(b, s->family, key_bytes(&others[i]), buf_bytes(&b->value));
}

static void a_value_under_another_key(void **state)
{
    for_each_row(*state, give_other_key);
}

static void cut_value(struct bufs *b, const struct record_sample *s, struct key key)
{
    size_t len = b->value.len < TRIED_MAX ? b->value.len : TRIED_MAX;
    for (size_t i = 0; i < len; i++)
        assert_corrupt(b, s->family, key_bytes(&key), bytes_of(b->value.data, i));
    assert_corrupt(b, s->family, key_bytes(&key), bytes_of(b->value.data, b->value.len - 1));
    buf_append_u8(&b->value, 0);
    for (unsigned byte = 0; byte < 256; byte++) {
        b->value.data[b->value.len - 1] = (uint8_t)byte;
        assert_corrupt(b, s->family, key_bytes(&key), buf_bytes(&b->value));
    }
}

static void a_value_cut_or_longer(void **state)
{
    for_each_row(*state, cut_value);
}

/* --- values with a right checksum ----------------------------------------------------------- */

/* Adds the checksum to what was forged, and says what decode makes of it. */
static int sealed(struct bufs *b, enum key_family family)
{
    struct key key = sample_key(family);
    uint32_t sum = crc32c_extend(crc32c(key_bytes(&key)), buf_bytes(&b->forged));
    tuple_pack_uint(&b->forged, sum);
    int rc = get(b, family, key_bytes(&key), buf_bytes(&b->forged));
    buf_clear(&b->forged);
    return rc;
}

enum mutation { REPLACE_NULL, REPLACE_OTHER, REMOVE, INSERT };

/* Packs the fields of `body` again, all but the one at `at`. */
static size_t forge(struct bufs *b, struct bytes body, enum mutation m, size_t at)
{
    struct buf scratch;
    buf_init(&scratch, sample_mem());
    struct tuple_reader r = tuple_reader_of(body, &scratch);
    struct tuple_item item;
    size_t count = 0;
    for (;;) {
        struct bytes rest = r.rest;
        bool more = tuple_next(&r, &item);
        if (count == at && m == INSERT)
            tuple_pack_uint(&b->forged, 1);
        if (!more)
            break;
        if (count++ != at || m == INSERT)
            buf_append(&b->forged, rest.data, rest.len - r.rest.len);
        else if (m == REPLACE_NULL)
            tuple_pack_null(&b->forged);
        else if (m == REPLACE_OTHER && item.type == TUPLE_STRING)
            tuple_pack_bytes(&b->forged, item.bytes);
        else if (m == REPLACE_OTHER && item.type == TUPLE_BYTES)
            tuple_pack_str(&b->forged, "s");
        else if (m == REPLACE_OTHER)
            tuple_pack_bytes(&b->forged, bytes_of("\1", 1));
    }
    CHECK(r.ok);
    buf_deinit(&scratch);
    return count;
}

static struct bytes body_of(const struct buf *value)
{
    struct buf scratch;
    buf_init(&scratch, sample_mem());
    struct tuple_reader r = tuple_reader_of(buf_bytes(value), &scratch);
    struct tuple_item item;
    size_t end = 0;
    while (r.rest.len > 0) {
        end = value->len - r.rest.len;
        CHECK(tuple_next(&r, &item));
    }
    buf_deinit(&scratch);
    return bytes_of(value->data, end);
}

static void mutate(struct bufs *b, const struct record_sample *s, struct key key)
{
    static const enum mutation mutations[] = {REPLACE_NULL, REPLACE_OTHER, REMOVE, INSERT};
    struct bytes body = body_of(&b->value);
    (void)key;
    size_t fields = forge(b, body, REPLACE_NULL, SIZE_MAX);
    assert_int_equal(sealed(b, s->family), 0);
    for (size_t m = 0; m < ARRAY_LEN(mutations); m++) {
        size_t last = mutations[m] == INSERT ? fields : fields - 1;
        for (size_t at = 0; at <= last; at++) {
            (void)forge(b, body, mutations[m], at);
            /* Without its version, a record may begin with a number that is a later one. */
            int rc = sealed(b, s->family);
            if (at > 0 || mutations[m] == REPLACE_NULL || mutations[m] == REPLACE_OTHER)
                assert_int_equal(rc, KELPIE_E_STORE_CORRUPT);
            else
                assert_true(rc == KELPIE_E_STORE_CORRUPT || rc == KELPIE_E_STORE_NEWER);
        }
    }
}

static void fields_replaced_removed_inserted(void **state)
{
    for_each_row(*state, mutate);
}

static void with_version(struct bufs *b, uint64_t version)
{
    buf_clear(&b->forged);
    tuple_pack_uint(&b->forged, version);
}

static void a_newer_version(void **state)
{
    struct bufs *b = *state;
    static const uint64_t versions[] = {RECORD_VERSION + 1, 255, 256, (uint64_t)INT64_MAX + 1,
                                        UINT64_MAX};
    for (enum key_family f = KEY_FORMAT; f < KEY_FAMILY_COUNT; f++) {
        for (size_t i = 0; i < ARRAY_LEN(versions); i++) {
            with_version(b, versions[i]);
            assert_int_equal(sealed(b, f), KELPIE_E_STORE_NEWER);
            /* Fields that this version knows nothing about. */
            with_version(b, versions[i]);
            tuple_pack_null(&b->forged);
            tuple_pack_negative(&b->forged, UINT64_MAX);
            tuple_pack_bytes(&b->forged, bytes_of("\0\xff\0", 3));
            tuple_pack_bool(&b->forged, true);
            tuple_pack_uuid(&b->forged, (struct uuid){.b = {0}});
            assert_int_equal(sealed(b, f), KELPIE_E_STORE_NEWER);
        }
    }
    /* The checksum comes first. */
    struct key key = sample_key(KEY_TERM);
    with_version(b, RECORD_VERSION + 1);
    tuple_pack_uint(&b->forged, 9);
    tuple_pack_uint(&b->forged, 1);
    assert_corrupt(b, KEY_TERM, key_bytes(&key), buf_bytes(&b->forged));
}

static void not_a_version(void **state)
{
    struct bufs *b = *state;
    with_version(b, 0);
    tuple_pack_uint(&b->forged, 9);
    assert_int_equal(sealed(b, KEY_TERM), KELPIE_E_STORE_CORRUPT);
    tuple_pack_int(&b->forged, -1);
    tuple_pack_uint(&b->forged, 9);
    assert_int_equal(sealed(b, KEY_TERM), KELPIE_E_STORE_CORRUPT);
    tuple_pack_bytes(&b->forged, bytes_of("\0", 1));
    tuple_pack_uint(&b->forged, 9);
    assert_int_equal(sealed(b, KEY_TERM), KELPIE_E_STORE_CORRUPT);
    /* A checksum alone, and one of nothing. */
    assert_int_equal(sealed(b, KEY_TERM), KELPIE_E_STORE_CORRUPT);
    struct key key = sample_key(KEY_TERM);
    assert_corrupt(b, KEY_TERM, key_bytes(&key), bytes_of(NULL, 0));
}

/* --- fields out of bounds ------------------------------------------------------------------- */

static const struct uuid boot = {.b = {1}};

/* Packs elements: u number, s text, v boot id, b bytes, i signed, t/f bool. */
static void pack(struct buf *b, const char *kinds, ...)
{
    va_list ap;
    va_start(ap, kinds);
    for (; *kinds; kinds++) {
        switch (*kinds) {
        case 'u':
            tuple_pack_uint(b, va_arg(ap, uint64_t));
            break;
        case 'i':
            tuple_pack_int(b, va_arg(ap, int64_t));
            break;
        case 's':
            tuple_pack_str(b, va_arg(ap, const char *));
            break;
        case 'b':
            tuple_pack_bytes(b, bytes_of_str(va_arg(ap, const char *)));
            break;
        case 'v':
            tuple_pack_uuid(b, boot);
            break;
        default:
            tuple_pack_bool(b, *kinds == 't');
            break;
        }
    }
    va_end(ap);
}

#define U(v) ((uint64_t)(v))

static const char *text_of(size_t len)
{
    static char text[STORE_KEY_MAX];
    memset(text, 'x', len);
    text[len] = '\0';
    return text;
}

static int forged_node(struct bufs *b, uint64_t node_state, const char *addr, uint64_t lease_ms,
                       uint64_t class_count, size_t classes, const char *class)
{
    pack(&b->forged, "uuuvuufssuuu", U(1), node_state, U(1), U(0), U(0), addr, "h", lease_ms, U(1),
         class_count);
    for (size_t i = 0; i < classes; i++)
        tuple_pack_str(&b->forged, class);
    return sealed(b, KEY_NODE);
}

static void nodes_out_of_bounds(void **state)
{
    struct bufs *b = *state;
    const int corrupt = KELPIE_E_STORE_CORRUPT;
    assert_int_equal(forged_node(b, 4, "a", UINT32_MAX, 32, 32, "c"), 0);
    assert_int_equal(forged_node(b, 5, "a", 1, 1, 1, "c"), corrupt);
    assert_int_equal(forged_node(b, UINT64_MAX, "a", 1, 1, 1, "c"), corrupt);
    assert_int_equal(forged_node(b, 0, text_of(63), 1, 1, 1, "c"), 0);
    assert_int_equal(forged_node(b, 0, text_of(64), 1, 1, 1, "c"), corrupt);
    assert_int_equal(forged_node(b, 0, "a", U(UINT32_MAX) + 1, 1, 1, "c"), corrupt);
    assert_int_equal(forged_node(b, 0, "a", 1, 33, 33, "c"), corrupt);
    assert_int_equal(forged_node(b, 0, "a", 1, UINT64_MAX, 1, "c"), corrupt);
    assert_int_equal(forged_node(b, 0, "a", 1, 1, 2, "c"), corrupt);
    assert_int_equal(forged_node(b, 0, "a", 1, 2, 1, "c"), corrupt);
    assert_int_equal(forged_node(b, 0, "a", 1, 1, 1, ""), corrupt);
    assert_int_equal(forged_node(b, 0, "a", 1, 1, 1, text_of(64)), 0);
    assert_int_equal(forged_node(b, 0, "a", 1, 1, 1, text_of(65)), corrupt);
}

static int forged_heartbeat(struct bufs *b, uint64_t count, size_t pairs, const char *peer)
{
    pack(&b->forged, "uuvuuuu", U(1), U(1), U(1), U(0), U(0), count);
    for (size_t i = 0; i < pairs; i++)
        pack(&b->forged, "su", peer, U(1));
    return sealed(b, KEY_HEARTBEAT);
}

static void heartbeats_out_of_bounds(void **state)
{
    struct bufs *b = *state;
    const int corrupt = KELPIE_E_STORE_CORRUPT;
    assert_int_equal(forged_heartbeat(b, 0, 0, ""), 0);
    assert_int_equal(forged_heartbeat(b, 8, 8, text_of(128)), 0);
    assert_int_equal(forged_heartbeat(b, 9, 9, "p"), corrupt);
    assert_int_equal(forged_heartbeat(b, UINT64_MAX, 1, "p"), corrupt);
    assert_int_equal(forged_heartbeat(b, 1, 2, "p"), corrupt);
    assert_int_equal(forged_heartbeat(b, 2, 1, "p"), corrupt);
    assert_int_equal(forged_heartbeat(b, 1, 1, ""), corrupt);
    assert_int_equal(forged_heartbeat(b, 1, 1, text_of(129)), corrupt);
}

/* (1, `flag`, `node`, 1, boot, 1): a primary or a placement. */
static int forged_holder(struct bufs *b, enum key_family family, bool flag, struct bytes node)
{
    pack(&b->forged, flag ? "ut" : "uf", U(1));
    tuple_pack_string(&b->forged, node);
    pack(&b->forged, "uvu", U(1), U(1));
    return sealed(b, family);
}

static void holders_out_of_bounds(void **state)
{
    struct bufs *b = *state;
    static const enum key_family families[] = {KEY_PRIMARY, KEY_ACTOR};
    for (size_t i = 0; i < ARRAY_LEN(families); i++) {
        enum key_family f = families[i];
        bool held = f == KEY_ACTOR; /* placed, not vacant */
        const int corrupt = KELPIE_E_STORE_CORRUPT;
        assert_int_equal(forged_holder(b, f, held, bytes_of("n", 1)), 0);
        assert_int_equal(forged_holder(b, f, !held, bytes_of("n", 1)), 0);
        assert_int_equal(forged_holder(b, f, !held, bytes_of("", 0)), 0);
        assert_int_equal(forged_holder(b, f, held, bytes_of("", 0)), corrupt);
        assert_int_equal(forged_holder(b, f, held, bytes_of("a\0b", 3)), corrupt);
        assert_int_equal(forged_holder(b, f, held, bytes_of_str(text_of(128))), 0);
        assert_int_equal(forged_holder(b, f, held, bytes_of_str(text_of(129))), corrupt);
    }
}

static void others_out_of_bounds(void **state)
{
    struct bufs *b = *state;
    const int corrupt = KELPIE_E_STORE_CORRUPT;
    pack(&b->forged, "uuvuuuu", U(1), U(1), U(1), U(1), U(1), U(UINT32_MAX) + 1);
    assert_int_equal(sealed(b, KEY_HEARTBEAT), corrupt);
    pack(&b->forged, "uusuvs", U(1), U(1), "n", U(1), "a");
    assert_int_equal(sealed(b, KEY_VIEW_CHANGE), 0);
    pack(&b->forged, "uusuvs", U(1), U(2), "n", U(1), "a");
    assert_int_equal(sealed(b, KEY_VIEW_CHANGE), corrupt);
    pack(&b->forged, "uusuvs", U(1), U(0), "", U(1), "a");
    assert_int_equal(sealed(b, KEY_VIEW_CHANGE), corrupt);
    pack(&b->forged, "ussu", U(1), "n", "", U(1));
    assert_int_equal(sealed(b, KEY_MIGRATION), corrupt);
    pack(&b->forged, "ussu", U(1), "", "n", U(1));
    assert_int_equal(sealed(b, KEY_MIGRATION), corrupt);
    pack(&b->forged, "ui", U(1), (int64_t)-1);
    assert_int_equal(sealed(b, KEY_TERM), corrupt);
    tuple_pack_uint(&b->forged, 1);
    buf_append(&b->forged, "\x16\x00\x09", 3); /* 9, with a needless leading byte */
    assert_int_equal(sealed(b, KEY_TERM), corrupt);
    tuple_pack_uint(&b->forged, 1);
    buf_append(&b->forged, "\x02\xc3\x00\x02n\x00\x15\x01", 8); /* not UTF-8 */
    assert_int_equal(sealed(b, KEY_MIGRATION), corrupt);
}

static int forged_request(struct bufs *b, const char *id, int64_t status, bool kept, size_t reply)
{
    static const uint8_t zeros[REPLY_KEPT_MAX + 1];
    pack(&b->forged, kept ? "usuuit" : "usuuif", U(1), id, U(1), U(1), status);
    tuple_pack_bytes(&b->forged, bytes_of(zeros, reply));
    return sealed(b, KEY_REQUEST_SLOT);
}

static void requests_out_of_bounds(void **state)
{
    struct bufs *b = *state;
    const int corrupt = KELPIE_E_STORE_CORRUPT;
    assert_int_equal(forged_request(b, "r", -KELPIE_ERROR_MAX, true, REPLY_KEPT_MAX), 0);
    assert_int_equal(forged_request(b, "r", 0, false, 0), 0);
    assert_int_equal(forged_request(b, "r", 1, false, 0), corrupt);
    assert_int_equal(forged_request(b, "r", -KELPIE_ERROR_MAX - 1, false, 0), corrupt);
    assert_int_equal(forged_request(b, "", 0, true, 0), corrupt);
    assert_int_equal(forged_request(b, text_of(64), 0, true, 0), 0);
    assert_int_equal(forged_request(b, text_of(65), 0, true, 0), corrupt);
    assert_int_equal(forged_request(b, "r", (int64_t)INT32_MIN - 1, true, 0), corrupt);
    assert_int_equal(forged_request(b, "r", (int64_t)INT32_MAX + 1, true, 0), corrupt);
    assert_int_equal(forged_request(b, "r", INT64_MIN, true, 0), corrupt);
    assert_int_equal(forged_request(b, "r", 0, true, REPLY_KEPT_MAX + 1), corrupt);
    assert_int_equal(forged_request(b, "r", 0, false, 1), corrupt);
}

int main(void)
{
#define TEST(f) cmocka_unit_test_setup_teardown(f, setup, teardown)
    const struct CMUnitTest tests[] = {
        TEST(a_flipped_bit_of_the_value),
        TEST(a_flipped_bit_of_the_key),
        TEST(a_value_under_another_key),
        TEST(a_value_cut_or_longer),
        TEST(fields_replaced_removed_inserted),
        TEST(a_newer_version),
        TEST(not_a_version),
        TEST(nodes_out_of_bounds),
        TEST(heartbeats_out_of_bounds),
        TEST(holders_out_of_bounds),
        TEST(others_out_of_bounds),
        TEST(requests_out_of_bounds),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

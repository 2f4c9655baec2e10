/* Values of the store's rows: their bytes, and the way there and back. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#include "kelpie/error.h"
#include "lib/record_samples.h"

struct bufs {
    struct buf value, scratch, again, text;
};

static int setup(void **state)
{
    struct bufs *b = calloc(1, sizeof(*b));
    CHECK(b);
    buf_init(&b->value, sample_mem());
    buf_init(&b->scratch, sample_mem());
    buf_init(&b->again, sample_mem());
    buf_init(&b->text, sample_mem());
    *state = b;
    return 0;
}

static int teardown(void **state)
{
    struct bufs *b = *state;
    buf_deinit(&b->value);
    buf_deinit(&b->scratch);
    buf_deinit(&b->again);
    buf_deinit(&b->text);
    free(b);
    return sample_mem_held() == 0 ? 0 : -1;
}

static void assert_same(const char *name, struct bytes a, struct bytes b)
{
    if (!bytes_equal(a, b))
        fail_msg("%s: %zu and %zu bytes differ", name, a.len, b.len);
}

static void there_and_back(void **state)
{
    struct bufs *b = *state;
    struct record_sample samples[RECORD_SAMPLES_MAX];
    size_t n = record_samples(samples);
    for (size_t i = 0; i < n; i++) {
        const struct record_sample *s = &samples[i];
        struct key key = sample_key(s->family);
        /* Encoding clears what was there, decoding appends to scratch. */
        buf_append_u8(&b->value, 1);
        buf_append_u8(&b->scratch, 1);
        record_put(s->family, s->record, key_bytes(&key), &b->value);
        assert_int_equal(record_verify(key_bytes(&key), buf_bytes(&b->value)), 0);
        assert_int_equal(
            record_get(s->family, key_bytes(&key), buf_bytes(&b->value), &b->scratch, &b->again),
            0);
        assert_same(s->name, buf_bytes(&b->value), buf_bytes(&b->again));
    }
}

static void golden_values(void **state)
{
    struct bufs *b = *state;
    struct record_sample samples[RECORD_SAMPLES_MAX];
    size_t n = record_samples(samples);
    unsigned families = 0;
    for (size_t i = 0; i < n; i++) {
        const struct record_sample *s = &samples[i];
        if (!s->hex)
            continue;
        struct key key = sample_key(s->family);
        record_put(s->family, s->record, key_bytes(&key), &b->value);
        buf_clear(&b->text);
        for (size_t j = 0; j < b->value.len; j++)
            buf_appendf(&b->text, "%02x", b->value.data[j]);
        buf_append_u8(&b->text, 0);
        assert_string_equal((const char *)b->text.data, s->hex);
        families |= 1u << s->family;
    }
    assert_int_equal(families, (1u << KEY_FAMILY_COUNT) - 2);
}

static void golden_texts(void **state)
{
    struct bufs *b = *state;
    struct record_sample samples[RECORD_SAMPLES_MAX];
    struct keyspace ks = sample_space("kelpie");
    size_t n = record_samples(samples);
    for (size_t i = 0; i < n; i++) {
        const struct record_sample *s = &samples[i];
        struct key key = sample_key(s->family);
        record_put(s->family, s->record, key_bytes(&key), &b->value);
        buf_clear(&b->text);
        buf_clear(&b->again);
        record_to_text(&ks, key_bytes(&key), buf_bytes(&b->value), &b->text);
        key_to_text(&ks, key_bytes(&key), &b->again);
        assert_true(b->text.len > b->again.len);
        assert_memory_equal(b->text.data, b->again.data, b->again.len);
        buf_append_u8(&b->text, 0);
        if (s->text)
            assert_string_equal((const char *)b->text.data + b->again.len, s->text);
        assert_null(memchr(b->text.data, '\n', b->text.len));
    }
}

static void assert_text(struct bufs *b, const struct keyspace *ks, struct bytes key,
                        const char *text)
{
    buf_clear(&b->text);
    record_to_text(ks, key, buf_bytes(&b->value), &b->text);
    buf_append_u8(&b->text, 0);
    assert_string_equal((const char *)b->text.data, text);
}

static void text_of_what_cannot_be_decoded(void **state)
{
    struct bufs *b = *state;
    struct keyspace ks = sample_space("kelpie");
    struct keyspace other = sample_space("other");
    struct key term = key_term(&ks);
    term_record_encode(&(struct term_record){.term = 9}, key_bytes(&term), &b->value);
    b->value.data[3] ^= 1; /* term 8 */
    assert_text(b, &ks, key_bytes(&term), "cluster/primary_term store_corrupt (1, 8, 444090824)");
    struct key foreign = key_term(&other);
    assert_text(b, &ks, key_bytes(&foreign),
                "(\"other\", \"cluster\", \"primary_term\") unknown (1, 8, 444090824)");
    static const struct request_record long_reply = {
        .request_id = "r",
        .reply_kept = true,
        .reply = {(const uint8_t *)"0123456789012345678901234567890123456789"
                                   "0123456789012345678901234567890123456789",
                  80}};
    struct key slot = key_request_slot(&ks, "t", "i", 0);
    request_record_encode(&long_reply, key_bytes(&slot), &b->value);
    assert_text(b, &ks, key_bytes(&slot),
                "state/t/i/r/0 request_id=\"r\" sequence=0 generation=0 status=0 reply_kept=true"
                " reply_bytes=80 reply=\""
                "0123456789012345678901234567890123456789012345678901234567890123...\"");
}

/* A status is 0 or one of the errors: whatever else stands there, under a good sum too, is no status. */
static void a_status_is_one(void **state)
{
    static const struct {
        int32_t status;
        bool is_one;
    } table[] = {{0, true},
                 {-1, true},
                 {-KELPIE_ERROR_MAX, true},
                 {1, false},
                 {-KELPIE_ERROR_MAX - 1, false},
                 {200, false},
                 {INT32_MAX, false},
                 {INT32_MIN, false}};
    struct bufs *b = *state;
    struct key slot = sample_key(KEY_REQUEST_SLOT), kept = sample_key(KEY_REMEMBERED);
    struct key later = sample_key(KEY_LATER);
    for (size_t i = 0; i < ARRAY_LEN(table); i++) {
        int want = table[i].is_one ? 0 : KELPIE_E_STORE_CORRUPT;
        struct request_record request = {.request_id = "r", .status = table[i].status}, r;
        struct remembered_record remembered = {.request_id = "r", .status = table[i].status}, m;
        struct message_record message = {.sender_type = "t",
                                         .sender_id = "i",
                                         .method = "m",
                                         .error = table[i].status},
                              l;
        request_record_encode(&request, key_bytes(&slot), &b->value);
        assert_int_equal(
            request_record_decode(key_bytes(&slot), buf_bytes(&b->value), &b->scratch, &r), want);
        remembered_record_encode(&remembered, key_bytes(&kept), &b->value);
        assert_int_equal(
            remembered_record_decode(key_bytes(&kept), buf_bytes(&b->value), &b->scratch, &m),
            want);
        message_record_encode(&message, key_bytes(&later), &b->value);
        assert_int_equal(
            message_record_decode(key_bytes(&later), buf_bytes(&b->value), &b->scratch, &l), want);
        if (table[i].is_one)
            assert_true(r.status == table[i].status && m.status == table[i].status &&
                        l.error == table[i].status);
    }
}

static bool lies_in(struct bytes part, const struct buf *b)
{
    uintptr_t begin = (uintptr_t)b->data;
    uintptr_t at = (uintptr_t)part.data;
    return at >= begin && at + part.len <= begin + b->len;
}

/* Borrowed bytes outlive the value, whether anything in them had to be unescaped or not. */
static void bytes_are_borrowed_from_scratch(void **state)
{
    struct bufs *b = *state;
    static const char *const values[] = {"plain", "with\0nul", ""};
    static const size_t lens[] = {5, 8, 0};
    struct key key = sample_key(KEY_STATE);
    for (size_t i = 0; i < ARRAY_LEN(values); i++) {
        struct state_record in = {.value = bytes_of(values[i], lens[i])};
        struct state_record out;
        state_record_encode(&in, key_bytes(&key), &b->value);
        buf_clear(&b->scratch);
        assert_int_equal(
            state_record_decode(key_bytes(&key), buf_bytes(&b->value), &b->scratch, &out), 0);
        assert_non_null(out.value.data);
        assert_true(lies_in(out.value, &b->scratch));
        memset(b->value.data, 0xee, b->value.len);
        assert_true(bytes_equal(in.value, out.value));
    }
}

static void decoded_fields(void **state)
{
    struct bufs *b = *state;
    struct key key = sample_key(KEY_NODE);
    struct record_sample samples[RECORD_SAMPLES_MAX];
    (void)record_samples(samples);
    const struct node_record *in = samples[KEY_NODE - KEY_FORMAT].record;
    struct node_record out;
    node_record_encode(in, key_bytes(&key), &b->value);
    assert_int_equal(node_record_decode(key_bytes(&key), buf_bytes(&b->value), &b->scratch, &out),
                     0);
    assert_int_equal(out.state, NODE_ACTIVE);
    assert_int_equal(out.incarnation, 3);
    assert_true(uuid_equal(out.boot, in->boot));
    assert_int_equal(out.gone_view, 0);
    assert_int_equal(out.touched, 2);
    assert_string_equal(out.addr, "10.0.0.1:7000");
    assert_string_equal(out.http_addr, "10.0.0.1:8080");
    assert_int_equal(out.lease_ms, 10000);
    assert_int_equal(out.format_max, 1);
    assert_int_equal(out.class_count, 2);
    assert_string_equal(out.classes[0], "room");
    assert_string_equal(out.classes[1], "session");
    assert_string_equal(out.classes[2], "");
}

static void state_names(void **state)
{
    (void)state;
    assert_string_equal(node_state_name(NODE_LEFT), "Left");
    assert_string_equal(node_state_name(NODE_JOINING), "Joining");
    assert_string_equal(node_state_name(NODE_ACTIVE), "Active");
    assert_string_equal(node_state_name(NODE_LEAVING), "Leaving");
    assert_string_equal(node_state_name(NODE_FAILED), "Failed");
}

int main(void)
{
#define TEST(f) cmocka_unit_test_setup_teardown(f, setup, teardown)
    const struct CMUnitTest tests[] = {
        TEST(there_and_back),  TEST(golden_values),
        TEST(golden_texts),    TEST(text_of_what_cannot_be_decoded),
        TEST(a_status_is_one), TEST(bytes_are_borrowed_from_scratch),
        TEST(decoded_fields),  TEST(state_names),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

/* Chains of callers, and the ids of calls that follow from a turn's. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "actor/actor_message.h"
#include "actor/chain.h"
#include "support/test_mem.h"

static void test_valid(void **state)
{
    static const char bad_utf8[] = "a\0\xff";
    static char long_type[ACTOR_TYPE_MAX + 5], long_id[ACTOR_ID_MAX + 5];
    const struct {
        struct bytes chain;
        bool valid;
    } cases[] = {
        {bytes_of("", 0), true},
        {bytes_of("a\0001", 4), true},
        {bytes_of("a\0001\0b\0002", 8), true},
        {bytes_of("a\0001", 3), false},
        {bytes_of("a\0", 2), false},
        {bytes_of("\0001", 3), false},
        {bytes_of("a\0\0", 3), false},
        {bytes_of(bad_utf8, sizeof bad_utf8), false},
        {bytes_of(long_type, sizeof long_type), false},
        {bytes_of(long_id, sizeof long_id), false},
    };

    (void)state;
    memset(long_type, 't', ACTOR_TYPE_MAX + 1);
    long_type[ACTOR_TYPE_MAX + 2] = '1';
    long_id[0] = 't';
    memset(long_id + 2, 'i', ACTOR_ID_MAX + 1);
    for (size_t i = 0; i < ARRAY_LEN(cases); i++)
        assert_int_equal(chain_valid(cases[i].chain), cases[i].valid);
}

static void test_a_chain_grows(void **state)
{
    struct test_mem mem = {0};
    struct buf chain, text;

    (void)state;
    buf_init(&chain, test_mem(&mem));
    buf_init(&text, test_mem(&mem));
    assert_int_equal(chain_caller(buf_bytes(&chain)).len, 0);
    for (unsigned i = 0; i < KELPIE_CALL_DEPTH_MAX; i++) {
        char id[] = {(char)('1' + i), '\0'};
        assert_false(chain_has(buf_bytes(&chain), "a", id));
        chain_append(&chain, "a", id);
        assert_true(chain_has(buf_bytes(&chain), "a", id));
        assert_true(chain_valid(buf_bytes(&chain)));
        assert_int_equal(chain_depth(buf_bytes(&chain)), i + 1);
        assert_true(bytes_equal(chain_caller(buf_bytes(&chain)),
                                bytes_of((char[]){'a', '\0', id[0], '\0'}, 4)));
    }
    assert_false(chain_has(buf_bytes(&chain), "1", "a"));
    chain_append(&chain, "b", "1");
    assert_false(chain_valid(buf_bytes(&chain)));
    chain_to_text(bytes_of(chain.data, 8), &text);
    assert_true(bytes_equal(buf_bytes(&text), bytes_of_str("a/1 -> a/2 -> ")));
    buf_deinit(&chain);
    buf_deinit(&text);
    assert_int_equal(mem.held, 0);
}

/* Any of these is another call; the same is the same. */
static void test_ids(void **state)
{
    const struct nested calls[] = {
        {"r1", "a", "1", "b", "2", "add", {(const uint8_t *)"5", 1}},
        {"r2", "a", "1", "b", "2", "add", {(const uint8_t *)"5", 1}},
        {"r1", "c", "1", "b", "2", "add", {(const uint8_t *)"5", 1}},
        {"r1", "a", "3", "b", "2", "add", {(const uint8_t *)"5", 1}},
        {"r1", "a", "1", "c", "2", "add", {(const uint8_t *)"5", 1}},
        {"r1", "a", "1", "b", "3", "add", {(const uint8_t *)"5", 1}},
        {"r1", "a", "1", "b", "2", "get", {(const uint8_t *)"5", 1}},
        {"r1", "a", "1", "b", "2", "add", {(const uint8_t *)"6", 1}},
        {"r1", "a", "1", "b", "2", "add", {NULL, 0}},
    };
    char ids[ARRAY_LEN(calls) + 1][REQUEST_ID_MAX + 1], again[REQUEST_ID_MAX + 1];

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(calls); i++)
        nested_request_id(nested_hash(&calls[i]), 0, ids[i]);
    nested_request_id(nested_hash(&calls[0]), 1, ids[ARRAY_LEN(calls)]);
    for (size_t i = 0; i < ARRAY_LEN(ids); i++)
        for (size_t k = 0; k < i; k++)
            assert_string_not_equal(ids[i], ids[k]);
    nested_request_id(nested_hash(&calls[0]), 0, again);
    assert_string_equal(ids[0], again);
    nested_request_id(nested_hash(&calls[0]), UINT64_MAX, again);
    assert_true(strlen(again) <= REQUEST_ID_MAX);
    message_origin((struct uuid){{1}}, UINT64_MAX, again);
    assert_true(strlen(again) <= REQUEST_ID_MAX);
    message_origin((struct uuid){{1}}, 1, ids[0]);
    message_origin((struct uuid){{1}}, 2, ids[1]);
    assert_string_not_equal(ids[0], ids[1]);
}

/* A call of an actor comes back as it was; of a flag that is not known nothing is done. */
static void test_on_the_wire(void **state)
{
    struct test_mem mem = {0};
    struct actor_request r = {.op = ACTOR_OP_CALL,
                              .type = "b",
                              .id = "2",
                              .method = "add",
                              .request_id = "call-1",
                              .remaining_ms = 1000,
                              .chain = bytes_of("a\0001", 4)},
                         back;
    struct buf out;
    size_t plain;

    (void)state;
    buf_init(&out, test_mem(&mem));
    actor_request_encode(&out, &r);
    assert_int_equal(actor_request_decode(buf_bytes(&out), &back), 0);
    assert_true(bytes_equal(back.chain, r.chain));
    plain = out.len - 8;
    /* op, type, id, generation, remaining; then the flags */
    out.data[1 + 5 + 5 + 8 + 4] |= 8;
    assert_int_equal(actor_request_decode(buf_bytes(&out), &back), KELPIE_E_PROTOCOL);
    out.data[1 + 5 + 5 + 8 + 4] = 2;
    out.data[out.len - 1] = 'x';
    assert_int_equal(actor_request_decode(buf_bytes(&out), &back), KELPIE_E_PROTOCOL);
    /* A call of nobody has another form than before in nothing. */
    r.chain = bytes_of(NULL, 0);
    buf_clear(&out);
    actor_request_encode(&out, &r);
    assert_int_equal(out.len, plain);
    assert_int_equal(actor_request_decode(buf_bytes(&out), &back), 0);
    assert_false(back.send);
    /* What is sent says when it is due. */
    r.send = true;
    r.after_ms = KELPIE_SEND_DELAY_MS_MAX;
    buf_clear(&out);
    actor_request_encode(&out, &r);
    assert_int_equal(actor_request_decode(buf_bytes(&out), &back), 0);
    assert_true(back.send && back.after_ms == r.after_ms);
    r.after_ms++;
    buf_clear(&out);
    actor_request_encode(&out, &r);
    assert_int_equal(actor_request_decode(buf_bytes(&out), &back), KELPIE_E_PROTOCOL);
    buf_deinit(&out);
    assert_int_equal(mem.held, 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_valid),
        cmocka_unit_test(test_a_chain_grows),
        cmocka_unit_test(test_ids),
        cmocka_unit_test(test_on_the_wire),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}

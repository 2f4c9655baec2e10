/* What a worker says, from bytes that nobody vouches for: what decodes is within its bounds, what does not
 * has a sentence. */
#include "http/base64.h"
#include "http/worker_json.h"
#include "kelpie/error.h"
#include "support/test_mem.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check_result(struct bytes input, struct mem mem)
{
    static struct worker_result r;
    char why[WORKER_WHY_SIZE] = "";

    if (worker_result_decode(input, mem, &r, why, sizeof why)) {
        CHECK(why[0]);
    } else {
        CHECK(r.put_count <= KELPIE_STATE_CHANGES_MAX &&
              r.delete_count <= KELPIE_STATE_CHANGES_MAX);
        CHECK(r.send_count <= KELPIE_SENDS_MAX && r.unsend_count <= KELPIE_SENDS_MAX);
        CHECK(r.call_count <= KELPIE_CALLS_OPEN_MAX && r.reply.len <= KELPIE_REPLY_MAX);
        CHECK(r.status <= 0 && (r.call_count == 0 || (!r.has_reply && r.status == 0)));
        for (size_t i = 0; i < r.put_count; i++)
            CHECK(r.puts[i].key.len >= 1 && r.puts[i].key.len <= KELPIE_STATE_KEY_MAX &&
                  r.puts[i].value.len <= KELPIE_STATE_VALUE_MAX);
        for (size_t i = 0; i < r.send_count; i++)
            CHECK(r.sends[i].type[0] && r.sends[i].id[0] && r.sends[i].method[0]);
    }
    worker_result_free(&r, mem);
}

/* What is said to a worker is one line, whatever an actor's bytes are. */
static void check_turn(struct bytes input, struct mem mem)
{
    size_t half = input.len / 2;
    const struct worker_entry state = {bytes_of(input.data, half),
                                       bytes_of(input.data + half, input.len - half)};
    const struct worker_turn t = {.type = "a",
                                  .id = "b",
                                  .method = "c",
                                  .request_id = "d",
                                  .body = input,
                                  .state = &state,
                                  .state_count = 1};
    struct buf out;

    buf_init(&out, mem);
    worker_turn_encode(&t, &out);
    CHECK(out.len > 0 && !memchr(out.data, '\n', out.len));
    buf_clear(&out);
    base64_append(&out, input);
    uint8_t *back = mem_alloc(mem, BASE64_DECODED_MAX(out.len) + 1);
    CHECK(base64_decode((const char *)out.data, out.len, back) == (long)input.len);
    CHECK(bytes_equal(bytes_of(back, input.len), input));
    mem_free(mem, back);
    buf_deinit(&out);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static struct worker_hello h;
    struct test_mem held = {0};
    struct mem mem = test_mem(&held);
    char why[WORKER_WHY_SIZE] = "";

    if (worker_hello_decode(bytes_of(data, size), &h, why, sizeof why))
        CHECK(why[0]);
    else
        CHECK(h.type_count >= 1 && h.type_count <= WORKER_TYPES_MAX);
    worker_hello_free(&h);
    check_result(bytes_of(data, size), mem);
    check_turn(bytes_of(data, size), mem);
    return 0;
}

/* What a worker says, from bytes that nobody vouches for: what decodes is within its bounds, what does not
 * has a sentence. */
#include "http/base64.h"
#include "http/worker_json.h"
#include "http/worker_peer.h"
#include "kelpie/error.h"
#include "support/test_mem.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* What a worker of ours says is what it means. */
static void check_said_again(const struct worker_result *r, struct mem mem)
{
    static struct worker_result back;
    char why[WORKER_WHY_SIZE];
    struct buf out;

    buf_init(&out, mem);
    worker_result_encode(r, &out);
    CHECK(worker_result_decode(buf_bytes(&out), mem, &back, why, sizeof why) == 0);
    CHECK(back.ticket == r->ticket && back.status == r->status);
    if (r->status == 0) {
        CHECK(back.has_reply == r->has_reply && bytes_equal(back.reply, r->reply));
        CHECK(back.send_count == r->send_count && back.call_count == r->call_count);
        CHECK(back.unsend_count == r->unsend_count && back.erase == r->erase);
        CHECK(back.delete_count == r->delete_count && back.put_count <= r->put_count);
        for (size_t i = 0; i < r->send_count; i++)
            CHECK(bytes_equal(back.sends[i].body, r->sends[i].body) &&
                  back.sends[i].after_ms == r->sends[i].after_ms);
    }
    worker_result_free(&back, mem);
    buf_deinit(&out);
}

/* What is told arrives. */
static void check_told(struct bytes line, const struct worker_turn *t, struct mem mem)
{
    static struct worker_told told;

    CHECK(worker_told_decode(line, mem, &told) == 0 && told.kind == WORKER_TOLD_TURN);
    CHECK(bytes_equal(told.turn.body, t->body) && told.turn.state_count == t->state_count);
    CHECK(bytes_equal(told.turn.state[0].key, t->state[0].key) &&
          bytes_equal(told.turn.state[0].value, t->state[0].value));
    CHECK(bytes_equal(told.turn.chain, t->chain) && strcmp(told.turn.method, t->method) == 0);
    worker_told_free(&told);
}

/* A domain error, whatever bytes its sentence is of. */
static void check_domain_answer(struct bytes sentence, struct buf *out, struct mem mem)
{
    static struct worker_told told;
    struct worker_answer a = {.status = KELPIE_E_DOMAIN};
    struct buf reply;

    buf_init(&reply, mem);
    buf_append(&reply, "code\0", 5);
    buf_append_bytes(&reply, sentence);
    a.reply = buf_bytes(&reply);
    buf_clear(out);
    worker_answers_encode(7, &a, 1, out);
    CHECK(worker_told_decode(buf_bytes(out), mem, &told) == 0 && told.answer_count == 1);
    CHECK(told.answers[0].status == KELPIE_E_DOMAIN);
    CHECK(bytes_equal(told.answers[0].reply, a.reply));
    worker_told_free(&told);
    buf_deinit(&reply);
}

static void check_answers(struct bytes input, struct mem mem)
{
    static struct worker_told told;
    const struct worker_answer a = {.reply = input};
    struct buf out;

    buf_init(&out, mem);
    worker_answers_encode(7, &a, 1, &out);
    CHECK(worker_told_decode(buf_bytes(&out), mem, &told) == 0 && told.turn.ticket == 7);
    CHECK(told.kind == WORKER_TOLD_ANSWERS && told.answer_count == 1);
    CHECK(bytes_equal(told.answers[0].reply, input));
    worker_told_free(&told);
    check_domain_answer(input, &out, mem);
    buf_deinit(&out);
    (void)!worker_told_decode(input, mem, &told);
    worker_told_free(&told);
}

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
        check_said_again(&r, mem);
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
                                  .chain = bytes_of((const uint8_t *)"e\0f/g", 6),
                                  .body = input,
                                  .state = &state,
                                  .state_count = 1};
    struct buf out;

    buf_init(&out, mem);
    worker_turn_encode(&t, &out);
    CHECK(out.len > 0 && !memchr(out.data, '\n', out.len));
    check_told(buf_bytes(&out), &t, mem);
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
    check_answers(bytes_of(data, size), mem);
    CHECK(held.held == 0);
    return 0;
}

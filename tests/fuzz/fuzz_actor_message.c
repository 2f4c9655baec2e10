/* Actor messages from bytes that nobody vouches for: what decodes is within its bounds, and comes
 * back the same when encoded. */
#include <stdlib.h>

#include "actor/actor_message.h"
#include "support/test_mem.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check_request(struct bytes input, struct buf *out)
{
    struct actor_request r;

    if (actor_request_decode(input, &r))
        return;
    CHECK(r.type[0] && r.id[0] && strlen(r.type) <= ACTOR_TYPE_MAX);
    CHECK(strlen(r.id) <= ACTOR_ID_MAX && r.body.len <= KELPIE_BODY_MAX);
    if (r.op == ACTOR_OP_CALL)
        CHECK(r.method[0] && r.request_id[0]);
    CHECK(chain_valid(r.chain) && chain_depth(r.chain) <= KELPIE_CALL_DEPTH_MAX);
    buf_clear(out);
    actor_request_encode(out, &r);
    CHECK(bytes_equal(buf_bytes(out), input));
}

static void check_answer(struct bytes input, struct buf *out)
{
    struct actor_answer a;

    if (actor_answer_decode(input, &a))
        return;
    CHECK(a.body.len <= KELPIE_REPLY_MAX);
    CHECK(strlen(a.hint.record.node_id) <= NODE_ID_MAX && a.hint.addr[0] == '\0');
    buf_clear(out);
    actor_answer_encode(out, &a);
    CHECK(bytes_equal(buf_bytes(out), input));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct test_mem mem = {0};
    struct buf out;

    buf_init(&out, test_mem(&mem));
    check_request(bytes_of(data, size), &out);
    check_answer(bytes_of(data, size), &out);
    buf_deinit(&out);
    CHECK(mem.held == 0);
    return 0;
}

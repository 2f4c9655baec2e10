/* Messages from anywhere: decoding never reads past the input, and what it accepts it can encode. */
#include <stdlib.h>

#include "base/mem.h"
#include "rpc/rpc_message.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void *fuzz_alloc(void *ctx, size_t size)
{
    (void)ctx;
    return malloc(size);
}

static void *fuzz_resize(void *ctx, void *ptr, size_t size)
{
    (void)ctx;
    return realloc(ptr, size);
}

static void fuzz_release(void *ctx, void *ptr)
{
    (void)ctx;
    free(ptr);
}

static const struct mem_ops mem_ops = {fuzz_alloc, fuzz_resize, fuzz_release};

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct bytes input = bytes_of(data, size);
    struct rpc_message m, head;
    struct buf again;

    if (rpc_message_decode(input, &m))
        return 0;
    CHECK(rpc_message_head(input, &head) == 0 && head.id == m.id && m.id != 0);
    CHECK(uuid_equal(head.target_boot, m.target_boot) && !uuid_is_zero(m.from.boot));
    CHECK(m.status <= 0 && (m.is_answer || m.kind < RPC_KIND_COUNT));
    buf_init(&again, (struct mem){&mem_ops, NULL});
    rpc_message_encode(&again, &m);
    CHECK(bytes_equal(buf_bytes(&again), input));
    buf_deinit(&again);
    return 0;
}

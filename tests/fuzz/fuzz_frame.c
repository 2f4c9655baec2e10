/* Frames from anywhere: the scan never reads past the input, and what it accepts it can make. */
#include <stdlib.h>

#include "base/mem.h"
#include "env/net.h"
#include "kelpie/error.h"

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

/* An accepted frame, made again from its payload, is the same bytes. */
static void check_round_trip(struct bytes frame)
{
    struct buf again;

    buf_init(&again, (struct mem){&mem_ops, NULL});
    net_frame_make(&again, net_frame_payload(frame));
    CHECK(bytes_equal(buf_bytes(&again), frame));
    buf_deinit(&again);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct bytes rest = bytes_of(data, size);

    for (;;) {
        long len = net_frame_scan(rest);

        if (len <= 0) {
            CHECK(len == 0 || len == KELPIE_E_PROTOCOL || len == KELPIE_E_VERSION);
            return 0;
        }
        CHECK((size_t)len <= rest.len && len >= NET_HEADER_SIZE);
        check_round_trip(bytes_of(rest.data, (size_t)len));
        rest = bytes_of(rest.data + len, rest.len - (size_t)len);
    }
}

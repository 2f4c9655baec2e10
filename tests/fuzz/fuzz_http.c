/* Heads and bodies from anywhere: parsing never reads past the input, and however a body is cut
 * into reads, it is the same body. The first byte says what follows and how it is cut. */
#include <stdlib.h>

#include "base/buf.h"
#include "loop/http_parse.h"

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

enum end { END_NEEDS_MORE, END_DONE, END_WRONG };

/* Reads a body of which `step` bytes more are there each time nothing can be done. */
static enum end read_in_steps(const struct http_head *head, struct bytes in, size_t step,
                              struct buf *out)
{
    struct http_body body = http_body_of(head);
    size_t taken = 0;
    size_t there = step < in.len ? step : in.len;

    while (!body.done) {
        struct bytes piece;
        long n = http_body_read(&body, bytes_of(in.data + taken, there - taken), &piece);

        if (n < 0)
            return END_WRONG;
        CHECK((size_t)n <= there - taken && piece.len <= (size_t)n);
        buf_append_bytes(out, piece);
        taken += (size_t)n;
        if (n > 0 || body.done)
            continue;
        if (there == in.len)
            return END_NEEDS_MORE;
        there = there + step < in.len ? there + step : in.len;
    }
    return END_DONE;
}

static void check_body(const struct http_head *head, struct bytes rest, size_t step)
{
    struct buf whole, cut;
    enum end end;

    buf_init(&whole, (struct mem){&mem_ops, NULL});
    buf_init(&cut, (struct mem){&mem_ops, NULL});
    end = read_in_steps(head, rest, rest.len, &whole);
    CHECK(read_in_steps(head, rest, step, &cut) == end);
    CHECK(bytes_equal(buf_bytes(&whole), buf_bytes(&cut)));
    buf_deinit(&whole);
    buf_deinit(&cut);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct http_head head;
    const char *why = NULL;
    long len;
    char *text;
    int status;

    if (size == 0)
        return 0;
    len = http_head_scan(bytes_of(data + 1, size - 1));
    if (len <= 0)
        return 0;
    CHECK((size_t)len <= size - 1);
    text = malloc((size_t)len);
    CHECK(text);
    memcpy(text, data + 1, (size_t)len);
    status = data[0] & 1 ? http_request_parse(text, (size_t)len, &head, &why)
                         : http_response_parse(text, (size_t)len, &head, &why);
    if (status)
        CHECK(status >= 400 && why);
    else
        check_body(&head, bytes_of(data + 1 + len, size - 1 - (size_t)len), 1 + (data[0] >> 4));
    free(text);
    return 0;
}

/* Bytes of strangers as requests: the same ones come out, whole or byte by byte; what comes out is cut
 * well, and holds nothing that was to be refused. */
#include <stdlib.h>

#include "base/buf.h"
#include "loop/http_parse.h"
#include "loop/loop.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* A connection without a socket. What it makes of its bytes is in `said`. */
struct talk {
    struct buf in;
    struct http_scan scan;
    struct http_head head;
    struct http_body body;
    bool in_body, ended;
    struct buf content; /* of the body under way */
    struct buf said;
};

static void check_text(const char *text, size_t len)
{
    CHECK(strlen(text) == len);
    for (size_t i = 0; i < len; i++)
        CHECK(((unsigned char)text[i] >= ' ' || text[i] == '\t') && text[i] != 0x7f);
}

static void say_head(struct talk *t, const char *text, size_t len)
{
    const struct http_head *h = &t->head;

    CHECK(h->method && h->major == 1 && h->field_count <= HTTP_FIELDS_MAX);
    CHECK(h->target_len > 0 && text[h->target] == '/' && (size_t)h->target + h->target_len < len);
    check_text(text + h->target, h->target_len);
    CHECK(h->chunked ? h->minor > 0 : h->length <= HTTP_BODY_MAX);
    buf_appendf(&t->said, "%s %s %d %d\n", h->method, text + h->target, h->keeps, h->closes);
    for (size_t i = 0; i < h->field_count; i++) {
        const struct http_field *f = &h->fields[i];

        CHECK(f->name > 0 && f->value > f->name && (size_t)f->value + f->value_len < len);
        check_text(text + f->name, strlen(text + f->name));
        check_text(text + f->value, f->value_len);
        buf_appendf(&t->said, "%s:%s\n", text + f->name, text + f->value);
    }
}

static void refuse(struct talk *t, const struct http_fault *fault)
{
    CHECK(fault->status >= 400 && fault->status < 600 && fault->error < 0 && fault->why[0]);
    buf_appendf(&t->said, "refused %d\n", fault->status);
    t->ended = true;
}

static size_t take_head(struct talk *t)
{
    long n = http_head_scan(&t->scan, buf_bytes(&t->in));
    struct http_fault fault = {400, -1, "?"};

    CHECK(n >= HTTP_SCAN_BAD && n <= (long)t->in.len);
    if (n == 0)
        return 0;
    t->scan = (struct http_scan){0};
    if (n == 2)
        return 2;
    if (n < 0 || n > (long)HTTP_HEADERS_MAX ||
        !http_head_parse((char *)t->in.data, (size_t)n, HTTP_BODY_MAX, &t->head, &fault)) {
        refuse(t, &fault);
        return 0;
    }
    say_head(t, (const char *)t->in.data, (size_t)n);
    http_body_begin(&t->body, &t->head);
    t->in_body = t->head.chunked || t->head.length > 0;
    return (size_t)n;
}

static size_t take_body(struct talk *t)
{
    struct http_fault fault = {400, -1, "?"};
    size_t used = 0;
    struct bytes data = {0};
    enum http_body_outcome outcome = http_body_feed(&t->body, buf_bytes(&t->in), &used, &data);

    if (outcome == HTTP_BODY_BAD) {
        refuse(t, &fault);
        return 0;
    }
    CHECK(used <= t->in.len && data.len <= used);
    CHECK(used > 0);
    buf_append_bytes(&t->content, data);
    if (outcome == HTTP_BODY_DONE) {
        buf_append_bytes(&t->said, buf_bytes(&t->content));
        buf_clear(&t->content);
        t->in_body = false;
    }
    return used;
}

static void take(struct talk *t)
{
    size_t n = 1;

    while (n > 0 && t->in.len > 0 && !t->ended) {
        n = t->in_body ? take_body(t) : take_head(t);
        if (!t->ended)
            buf_consume(&t->in, n);
    }
}

static void talk(struct talk *t, struct bytes text, size_t step)
{
    memset(t, 0, sizeof *t);
    buf_init(&t->in, loop_mem());
    buf_init(&t->content, loop_mem());
    buf_init(&t->said, loop_mem());
    for (size_t at = 0; at < text.len && !t->ended; at += step) {
        buf_append(&t->in, text.data + at, text.len - at < step ? text.len - at : step);
        take(t);
    }
    buf_deinit(&t->content);
    buf_deinit(&t->in);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static const size_t steps[] = {1, 7};
    static struct talk whole, split;
    struct bytes text = bytes_of(data, size);

    talk(&whole, text, size ? size : 1);
    for (size_t i = 0; i < ARRAY_LEN(steps); i++) {
        talk(&split, text, steps[i]);
        CHECK(bytes_equal(buf_bytes(&whole.said), buf_bytes(&split.said)));
        buf_deinit(&split.said);
    }
    buf_deinit(&whole.said);
    return 0;
}

#include "loop/http_parse.h"

#include "kelpie/error.h"

/* ---- where the head ends ---- */

long http_head_scan(struct http_scan *scan, struct bytes in)
{
    while (scan->at < in.len) {
        const uint8_t *lf = memchr(in.data + scan->at, '\n', in.len - scan->at);
        size_t i;

        if (!lf) {
            scan->at = in.len;
            return 0;
        }
        i = (size_t)(lf - in.data);
        if (i == scan->line || in.data[i - 1] != '\r')
            return HTTP_SCAN_BAD;
        if (i - 1 == scan->line)
            return (long)(i + 1);
        if (scan->line > 0 && (in.data[scan->line] == ' ' || in.data[scan->line] == '\t'))
            return HTTP_SCAN_BAD;
        scan->at = scan->line = i + 1;
    }
    return 0;
}

/* ---- what is in it ---- */

/* While the parser runs over a head. */
struct cutting {
    struct http_head *head;
    char *text;
    size_t len;
    bool in_value; /* the field under way has its value */
    bool broken;   /* something came twice */
};

static int on_url(struct http_parser *p, const char *at, size_t len)
{
    struct cutting *c = p->data;

    c->broken = c->broken || c->head->target_len;
    c->head->target = (uint16_t)(at - c->text);
    c->head->target_len = (uint16_t)len;
    return 0;
}

static int on_field(struct http_parser *p, const char *at, size_t len)
{
    struct cutting *c = p->data;
    struct http_head *h = c->head;

    (void)len;
    if (h->field_count == HTTP_FIELDS_MAX) {
        h->too_many = true;
        return 0;
    }
    h->fields[h->field_count++] = (struct http_field){.name = (uint16_t)(at - c->text)};
    c->in_value = false;
    return 0;
}

static int on_value(struct http_parser *p, const char *at, size_t len)
{
    struct cutting *c = p->data;
    struct http_head *h = c->head;
    struct http_field *f;

    if (h->too_many)
        return 0;
    if (h->field_count == 0 || c->in_value) {
        c->broken = true;
        return 0;
    }
    while (len > 0 && (at[len - 1] == ' ' || at[len - 1] == '\t'))
        len--;
    f = &h->fields[h->field_count - 1];
    f->value = (uint16_t)(at - c->text);
    f->value_len = (uint16_t)len;
    c->in_value = true;
    return 0;
}

/* An upgrade is not taken up: what follows is the next request. */
static int on_head(struct http_parser *p)
{
    p->upgrade = 0;
    return 0;
}

static const struct http_parser_settings head_settings = {
    .on_url = on_url,
    .on_header_field = on_field,
    .on_header_value = on_value,
    .on_headers_complete = on_head,
};

static bool is_method_char(char c)
{
    return (c >= 'A' && c <= 'Z') || c == '-';
}

/* "BREW / HTTP/1.1": well made, whatever it means. */
static bool has_good_first_line(const char *text, size_t len)
{
    const char *end = memchr(text, '\r', len);
    size_t line = end ? (size_t)(end - text) : 0;
    size_t method = 0;

    while (method < line && is_method_char(text[method]))
        method++;
    return method > 0 && line > method + 2 + 8 && text[method] == ' ' &&
           memcmp(text + line - 9, " HTTP/", 6) == 0 && text[line - 2] == '.';
}

static struct http_fault fault_of(const struct http_parser *p, const char *text, size_t len)
{
    static const char malformed[] = "the request is malformed";
    bool is_good_line = has_good_first_line(text, len);

    switch (HTTP_PARSER_ERRNO(p)) {
    case HPE_INVALID_METHOD:
        if (len >= 18 && memcmp(text, "PRI * HTTP/2.0\r\n\r\n", 18) == 0)
            return (struct http_fault){505, KELPIE_E_INVALID, "HTTP/2 is not spoken here"};
        if (is_good_line)
            return (struct http_fault){405, KELPIE_E_METHOD_NOT_ALLOWED,
                                       "only GET, POST, PUT, DELETE and HEAD are understood here"};
        return (struct http_fault){400, KELPIE_E_INVALID, malformed};
    case HPE_INVALID_VERSION:
        if (is_good_line)
            return (struct http_fault){505, KELPIE_E_INVALID,
                                       "only HTTP/1.0 and HTTP/1.1 are spoken here"};
        return (struct http_fault){400, KELPIE_E_INVALID, malformed};
    case HPE_INVALID_URL:
        return (struct http_fault){400, KELPIE_E_INVALID, "the target is not a well-formed path"};
    case HPE_INVALID_HEADER_TOKEN:
        return (struct http_fault){400, KELPIE_E_INVALID, "a header is malformed"};
    case HPE_INVALID_CONTENT_LENGTH:
        return (struct http_fault){400, KELPIE_E_INVALID, "Content-Length is not a number"};
    case HPE_UNEXPECTED_CONTENT_LENGTH:
        return (struct http_fault){400, KELPIE_E_INVALID,
                                   "the length of the body is given more than once"};
    case HPE_INVALID_TRANSFER_ENCODING:
        return (struct http_fault){501, KELPIE_E_INVALID,
                                   "of transfer encodings only chunked is understood here"};
    default:
        return (struct http_fault){400, KELPIE_E_INVALID, malformed};
    }
}

static const char *method_of(const struct http_parser *p)
{
    switch ((enum http_method)p->method) {
    case HTTP_GET:
        return "GET";
    case HTTP_POST:
        return "POST";
    case HTTP_PUT:
        return "PUT";
    case HTTP_DELETE:
        return "DELETE";
    case HTTP_HEAD:
        return "HEAD";
    default:
        return NULL;
    }
}

/* Behind names stands a colon (or what is no part of a name), behind values a blank or CR, behind
 * the target a blank. */
static void cut(struct cutting *c)
{
    struct http_head *h = c->head;

    c->text[h->target + h->target_len] = '\0';
    for (size_t i = 0; i < h->field_count; i++) {
        struct http_field *f = &h->fields[i];
        char *colon = memchr(c->text + f->name, ':', c->len - f->name);

        CHECK(colon);
        *colon = '\0';
        /* For an empty value the parser points at what follows it. */
        if (f->value && f->value_len == 0)
            f->value = (uint16_t)(colon - c->text);
        c->text[f->value + f->value_len] = '\0';
    }
}

/* Method, blank, target, blank, version: nothing else is in the first line. */
static bool is_one_blank_apart(const struct cutting *c)
{
    const struct http_head *h = c->head;
    size_t end = (size_t)h->target + h->target_len;

    return h->target >= 2 && memchr(c->text, ' ', c->len) == c->text + h->target - 1 &&
           c->len >= end + 11 && memcmp(c->text + end, " HTTP/", 6) == 0 &&
           c->text[end + 9] == '\r';
}

bool http_head_parse(char *text, size_t len, size_t body_max, struct http_head *out,
                     struct http_fault *fault)
{
    struct cutting c = {.head = out, .text = text, .len = len};
    struct http_parser *p = &out->parser;

    CHECK(len <= HTTP_HEADERS_MAX);
    out->target = out->target_len = 0;
    out->field_count = 0;
    out->too_many = out->keeps = out->closes = out->expects = out->chunked = false;
    out->length = 0;
    http_parser_init(p, HTTP_REQUEST);
    p->data = &c;
    *fault = (struct http_fault){0};
    if (http_parser_execute(p, &head_settings, text, len) != len ||
        HTTP_PARSER_ERRNO(p) != HPE_OK) {
        *fault = fault_of(p, text, len);
        return false;
    }
    p->data = NULL;
    out->method = method_of(p);
    out->major = p->http_major;
    out->minor = p->http_minor;
    if (c.broken || !is_one_blank_apart(&c)) {
        *fault = (struct http_fault){400, KELPIE_E_INVALID, "the request is malformed"};
        return false;
    }
    cut(&c);
    http_head_check(out, text, body_max, fault);
    return fault->status == 0;
}

/* ---- the body ---- */

void http_body_begin(struct http_body *b, const struct http_head *head)
{
    *b = (struct http_body){.chunked = head->chunked, .left = head->length};
    if (head->chunked)
        b->parser = head->parser;
}

/* What the parser said in one call. */
struct step {
    const char *body;
    size_t body_len;
    bool done;
};

static int on_body(struct http_parser *p, const char *at, size_t len)
{
    struct step *step = p->data;

    step->body = at;
    step->body_len = len;
    return 0;
}

/* The parser stops at the end of each length and each chunk, so that we see where that was. */
static int on_mark(struct http_parser *p)
{
    http_parser_pause(p, 1);
    return 0;
}

static int on_chunk_complete(struct http_parser *p)
{
    if (!(p->flags & F_TRAILING))
        http_parser_pause(p, 1);
    return 0;
}

static int on_complete(struct http_parser *p)
{
    ((struct step *)p->data)->done = true;
    http_parser_pause(p, 1);
    return 0;
}

static const struct http_parser_settings body_settings = {
    .on_body = on_body,
    .on_chunk_header = on_mark,
    .on_chunk_complete = on_chunk_complete,
    .on_message_complete = on_complete,
};

/* Bytes that are not body: CR and LF come in pairs only, and nothing else is a control character. */
static bool framing_is_good(struct http_body *b, const char *at, size_t len)
{
    for (size_t i = 0; i < len; i++) {
        unsigned char c = (unsigned char)at[i];

        if (b->was_cr != (c == '\n') || c == 0x7f ||
            (c < ' ' && c != '\r' && c != '\n' && c != '\t'))
            return false;
        b->was_cr = c == '\r';
    }
    b->framing += len;
    return b->framing <= HTTP_FRAMING_MAX + HTTP_FRAMING_PER_BYTE * b->received;
}

static enum http_body_outcome feed_chunked(struct http_body *b, struct bytes in, size_t *used,
                                           struct bytes *data)
{
    const char *text = (const char *)in.data;
    struct step step = {.body = text};
    enum http_errno error;
    size_t n, before;

    b->parser.data = &step;
    n = http_parser_execute(&b->parser, &body_settings, text, in.len);
    b->parser.data = NULL;
    error = HTTP_PARSER_ERRNO(&b->parser);
    if (error != HPE_OK && error != HPE_PAUSED)
        return HTTP_BODY_BAD;
    if (error == HPE_PAUSED) {
        http_parser_pause(&b->parser, 0);
        if (n == 0 || text[n - 1] != '\n')
            return HTTP_BODY_BAD;
    }
    before = (size_t)(step.body - text);
    CHECK(before + step.body_len <= n);
    b->received += step.body_len;
    if (!framing_is_good(b, text, before) ||
        !framing_is_good(b, step.body + step.body_len, n - before - step.body_len))
        return HTTP_BODY_BAD;
    *used = n;
    *data = bytes_of(step.body, step.body_len);
    return step.done ? HTTP_BODY_DONE : HTTP_BODY_MORE;
}

enum http_body_outcome http_body_feed(struct http_body *b, struct bytes in, size_t *used,
                                      struct bytes *data)
{
    size_t n = b->left < in.len ? (size_t)b->left : in.len;

    *used = 0;
    *data = bytes_of(in.data, 0);
    if (b->chunked)
        return in.len ? feed_chunked(b, in, used, data) : HTTP_BODY_MORE;
    *used = n;
    *data = bytes_of(in.data, n);
    b->left -= n;
    b->received += n;
    return b->left ? HTTP_BODY_MORE : HTTP_BODY_DONE;
}

const char *http_reason(int status)
{
    return status == 413 ? "Content Too Large" : http_status_str((enum http_status)status);
}

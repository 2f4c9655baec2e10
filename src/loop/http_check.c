/* What the parser lets pass, and two readers could understand in two ways or a handler would have to
 * look at each time, is refused here. */
#include <strings.h>

#include "kelpie/error.h"
#include "loop/http_parse.h"

static int hex(char c)
{
    if (c >= '0' && c <= '9')
        return c - '0';
    if (c >= 'a' && c <= 'f')
        return c - 'a' + 10;
    if (c >= 'A' && c <= 'F')
        return c - 'A' + 10;
    return -1;
}

/* A path and a query, printable, each escape in the query whole and none of them NUL. Those of the
 * path are for who decodes it. */
static bool target_is_good(const char *target)
{
    bool in_query = false;

    if (target[0] != '/')
        return false;
    for (; *target; target++) {
        if ((unsigned char)*target <= ' ' || *target == 0x7f)
            return false;
        in_query = in_query || *target == '?';
        if (!in_query || *target != '%')
            continue;
        if (hex(target[1]) < 0 || hex(target[2]) < 0 || (target[1] == '0' && target[2] == '0'))
            return false;
        target += 2;
    }
    return true;
}

/* RFC 9110, 5.6.2. */
static bool name_is_good(const char *name)
{
    static const char others[] = "!#$%&'*+-.^_`|~";

    if (!*name)
        return false;
    for (; *name; name++) {
        bool is_letter = (*name >= 'a' && *name <= 'z') || (*name >= 'A' && *name <= 'Z');

        if (!is_letter && !(*name >= '0' && *name <= '9') && !strchr(others, *name))
            return false;
    }
    return true;
}

static bool value_is_good(const char *value, size_t len)
{
    for (size_t i = 0; i < len; i++) {
        if (((unsigned char)value[i] < ' ' && value[i] != '\t') || value[i] == 0x7f)
            return false;
    }
    return true;
}

/* A number, or one beyond every limit. */
static bool length_of(const char *value, uint64_t *out)
{
    uint64_t n = 0;

    if (!*value)
        return false;
    for (; *value; value++) {
        if (*value < '0' || *value > '9')
            return false;
        if (n < UINT32_MAX)
            n = 10 * n + (uint64_t)(*value - '0');
    }
    *out = n;
    return true;
}

/* Is `word` in a list with commas? */
static bool lists(const char *value, const char *word)
{
    size_t len = strlen(word);

    while (*value) {
        size_t n;

        value += strspn(value, ", \t");
        n = strcspn(value, ", \t");
        if (n == len && strncasecmp(value, word, n) == 0)
            return true;
        value += n;
    }
    return false;
}

struct header_counts {
    size_t host;
    size_t framing; /* Content-Length, Transfer-Encoding */
};

static struct http_fault bad(int status, const char *why)
{
    return (struct http_fault){status, KELPIE_E_INVALID, why};
}

static struct http_fault check_header(struct http_head *h, const char *name, const char *value,
                                      struct header_counts *counts)
{
    if (strcasecmp(name, "Host") == 0) {
        counts->host++;
    } else if (strcasecmp(name, "Content-Length") == 0) {
        counts->framing++;
        if (!length_of(value, &h->length))
            return bad(400, "Content-Length is not a number");
    } else if (strcasecmp(name, "Transfer-Encoding") == 0) {
        counts->framing++;
        h->chunked = true;
        if (strcasecmp(value, "chunked") != 0)
            return bad(501, "of transfer encodings only chunked is understood here");
    } else if (strcasecmp(name, "Expect") == 0) {
        h->expects = true;
        if (strcasecmp(value, "100-continue") != 0)
            return bad(417, "of expectations only 100-continue is understood here");
    } else if (strcasecmp(name, "Connection") == 0) {
        h->keeps = h->keeps || lists(value, "keep-alive");
        h->closes = h->closes || lists(value, "close");
    }
    return (struct http_fault){0};
}

static struct http_fault check_headers(struct http_head *h, const char *text)
{
    struct header_counts counts = {0};
    bool is_10 = h->minor == 0;

    for (size_t i = 0; i < h->field_count; i++) {
        const struct http_field *f = &h->fields[i];
        struct http_fault fault;

        if (!f->value || !name_is_good(text + f->name) ||
            !value_is_good(text + f->value, f->value_len))
            return bad(400, "a header is malformed");
        fault = check_header(h, text + f->name, text + f->value, &counts);
        if (fault.status)
            return fault;
    }
    if (counts.framing > 1)
        return bad(400, "the length of the body is given more than once");
    if (h->chunked && is_10)
        return bad(400, "HTTP/1.0 has no chunks");
    if (counts.host > 1 || (counts.host == 0 && !is_10))
        return bad(400, "there must be one Host header");
    return (struct http_fault){0};
}

struct http_fault http_body_too_long(size_t body_max)
{
    return (struct http_fault){413, KELPIE_E_TOO_LARGE,
                               body_max == HTTP_BODY_MAX
                                   ? "the body is over the limit of 1048576 bytes"
                                   : "the body is over the limit of 8388608 bytes"};
}

void http_head_check(struct http_head *h, const char *text, size_t body_max,
                     struct http_fault *fault)
{
    if (h->major != 1)
        *fault = bad(505, "only HTTP/1.0 and HTTP/1.1 are spoken here");
    else if (!h->method)
        *fault = (struct http_fault){405, KELPIE_E_METHOD_NOT_ALLOWED,
                                     "only GET, POST, PUT, DELETE and HEAD are understood here"};
    else if (h->too_many)
        *fault = (struct http_fault){431, KELPIE_E_TOO_LARGE, "there are too many headers"};
    else if (!target_is_good(text + h->target))
        *fault = bad(400, "the target is not a well-formed path");
    else
        *fault = check_headers(h, text);
    if (!fault->status && !h->chunked && h->length > body_max)
        *fault = http_body_too_long(body_max);
}

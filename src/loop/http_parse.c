#include "loop/http_parse.h"

#include <strings.h>

#define METHOD_MAX 16
#define CHUNK_LINE_MAX 256
#define TRAILER_MAX 8192

/* ---- heads ---- */

long http_head_scan(struct bytes received)
{
    size_t len = received.len < HTTP_HEADERS_MAX ? received.len : HTTP_HEADERS_MAX;
    const uint8_t *end = len ? memmem(received.data, len, "\r\n\r\n", 4) : NULL;

    if (end)
        return end - received.data + 4;
    return received.len >= HTTP_HEADERS_MAX ? -1 : 0;
}

/* RFC 9110, 5.6.2. */
static bool is_token_char(char c)
{
    return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') ||
           (c != '\0' && strchr("!#$%&'*+-.^_`|~", c));
}

static size_t token_len(const char *s)
{
    size_t n = 0;

    while (is_token_char(s[n]))
        n++;
    return n;
}

/* Cuts the next line off, NUL-terminated; NULL when it contains what no line may. */
static char *next_line(char **rest, char *end)
{
    char *line = *rest;
    char *cr = memmem(line, (size_t)(end - line), "\r\n", 2);

    CHECK(cr);
    for (char *p = line; p < cr; p++) {
        if (((unsigned char)*p < ' ' && *p != '\t') || *p == 0x7f)
            return NULL;
    }
    *cr = '\0';
    *rest = cr + 2;
    return line;
}

static char *trim(char *s)
{
    size_t len;

    s += strspn(s, " \t");
    len = strlen(s);
    while (len && (s[len - 1] == ' ' || s[len - 1] == '\t'))
        s[--len] = '\0';
    return s;
}

static int refuse(int status, const char *sentence, const char **why)
{
    *why = sentence;
    return status;
}

static int parse_fields(char *rest, char *end, struct http_head *head, const char **why)
{
    for (;;) {
        char *line = next_line(&rest, end);
        size_t name_len;

        if (!line)
            return refuse(400, "a header contains a control character", why);
        if (!*line)
            return 0;
        name_len = token_len(line);
        if (name_len == 0 || line[name_len] != ':')
            return refuse(400, "a header line is malformed", why);
        if (head->field_count == HTTP_FIELDS_MAX)
            return refuse(431, "the request has more than 100 headers", why);
        line[name_len] = '\0';
        head->fields[head->field_count++] =
            (struct http_field){.name = line, .value = trim(line + name_len + 1)};
    }
}

const char *http_head_field(const struct http_head *head, const char *name)
{
    for (size_t i = 0; i < head->field_count; i++) {
        if (strcasecmp(head->fields[i].name, name) == 0)
            return head->fields[i].value;
    }
    return NULL;
}

static size_t count_fields(const struct http_head *head, const char *name)
{
    size_t count = 0;

    for (size_t i = 0; i < head->field_count; i++)
        count += strcasecmp(head->fields[i].name, name) == 0;
    return count;
}

/* Whether `token` is in the comma-separated list of some field of that name. */
static bool field_lists(const struct http_head *head, const char *name, const char *token)
{
    for (size_t i = 0; i < head->field_count; i++) {
        const char *p = head->fields[i].value;

        if (strcasecmp(head->fields[i].name, name) != 0)
            continue;
        while (*p) {
            size_t len;

            p += strspn(p, ", \t");
            len = strcspn(p, ", \t");
            if (len == strlen(token) && strncasecmp(p, token, len) == 0)
                return true;
            p += len;
        }
    }
    return false;
}

static bool parse_length(const char *s, uint64_t *out)
{
    *out = 0;
    if (!*s || strlen(s) > 18)
        return false;
    for (; *s; s++) {
        if (*s < '0' || *s > '9')
            return false;
        *out = 10 * *out + (uint64_t)(*s - '0');
    }
    return true;
}

static int parse_framing(struct http_head *head, const char **why)
{
    size_t lengths = count_fields(head, "Content-Length");
    size_t encodings = count_fields(head, "Transfer-Encoding");

    if (lengths + encodings > 1)
        return refuse(400, "the length of the body is given more than once", why);
    if (lengths) {
        if (!parse_length(http_head_field(head, "Content-Length"), &head->length))
            return refuse(400, "Content-Length is not a number", why);
        head->framing = head->length ? HTTP_LENGTH : HTTP_NO_BODY;
    }
    if (encodings) {
        if (head->is_http10)
            return refuse(400, "HTTP/1.0 has no Transfer-Encoding", why);
        if (strcasecmp(http_head_field(head, "Transfer-Encoding"), "chunked") != 0)
            return refuse(501, "only the transfer encoding 'chunked' is understood", why);
        head->framing = HTTP_CHUNKED;
    }
    head->keep_alive = head->is_http10 ? field_lists(head, "Connection", "keep-alive")
                                       : !field_lists(head, "Connection", "close");
    return 0;
}

/* "HTTP/1.x" at `s`; sets is_http10. Returns 0, 400 or 505. */
static int parse_version(const char *s, struct http_head *head, const char **why)
{
    if (strncmp(s, "HTTP/", 5) != 0 || strlen(s) != 8 || s[6] != '.')
        return refuse(400, "the first line is not HTTP", why);
    if (s[5] != '1' || s[7] < '0' || s[7] > '9')
        return refuse(505, "only HTTP/1.0 and HTTP/1.1 are spoken here", why);
    head->is_http10 = s[7] == '0';
    return 0;
}

/* The path may be any visible ASCII; the escapes in the query are checked here once for all. */
static bool is_target(const char *s)
{
    const char *query = strchr(s, '?');
    char decoded[HTTP_HEADERS_MAX];

    if (*s != '/')
        return false;
    for (const char *p = s; *p; p++) {
        if ((unsigned char)*p <= ' ' || (unsigned char)*p >= 0x7f || *p == '#')
            return false;
    }
    return !query || http_decode(bytes_of_str(query), true, decoded);
}

static int parse_request_line(char *line, struct http_head *head, const char **why)
{
    char *target, *version;
    size_t method_len = token_len(line);
    int status;

    target = line + method_len + 1;
    if (method_len == 0 || method_len > METHOD_MAX || line[method_len] != ' ')
        return refuse(400, "the first line is not HTTP", why);
    version = strchr(target, ' ');
    if (!version)
        return refuse(400, "the first line is not HTTP", why);
    line[method_len] = '\0';
    *version++ = '\0';
    status = parse_version(version, head, why);
    if (status)
        return status;
    if (!is_target(target))
        return refuse(400, "the path is malformed", why);
    head->method = line;
    head->target = target;
    return 0;
}

int http_request_parse(char *text, size_t len, struct http_head *head, const char **why)
{
    char *rest = text;
    char *line = next_line(&rest, text + len);
    const char *expect;
    int status;

    *head = (struct http_head){0};
    if (!line)
        return refuse(400, "the first line is not HTTP", why);
    status = parse_request_line(line, head, why);
    if (!status)
        status = parse_fields(rest, text + len, head, why);
    if (!status)
        status = parse_framing(head, why);
    if (status)
        return status;
    if (count_fields(head, "Host") > 1 || (!head->is_http10 && !http_head_field(head, "Host")))
        return refuse(400, "there must be one Host header", why);
    expect = http_head_field(head, "Expect");
    if (expect && strcasecmp(expect, "100-continue") != 0)
        return refuse(417, "nothing but '100-continue' may be expected", why);
    head->expects_continue = expect && !head->is_http10;
    return 0;
}

int http_response_parse(char *text, size_t len, struct http_head *head, const char **why)
{
    char *rest = text;
    char *line = next_line(&rest, text + len);
    int status;

    *head = (struct http_head){0};
    if (!line || strlen(line) < 12 || line[8] != ' ' || (line[12] != '\0' && line[12] != ' '))
        return refuse(400, "the first line is not HTTP", why);
    line[8] = '\0';
    status = parse_version(line, head, why);
    if (status)
        return status;
    for (size_t i = 9; i < 12; i++) {
        if (line[i] < '0' || line[i] > '9')
            return refuse(400, "the first line is not HTTP", why);
        head->status = 10 * head->status + (line[i] - '0');
    }
    head->framing = HTTP_UNTIL_CLOSE;
    status = parse_fields(rest, text + len, head, why);
    if (!status)
        status = parse_framing(head, why);
    if (head->status < 200 || head->status == 204 || head->status == 304)
        head->framing = HTTP_NO_BODY;
    return status;
}

/* ---- bodies ---- */

enum { CHUNK_LINE, CHUNK_DATA, CHUNK_END, TRAILER };

struct http_body http_body_of(const struct http_head *head)
{
    return (struct http_body){
        .framing = head->framing,
        .left = head->framing == HTTP_LENGTH ? head->length : 0,
        .done = head->framing == HTTP_NO_BODY,
    };
}

static int hex_value(uint8_t c)
{
    if (c >= '0' && c <= '9')
        return c - '0';
    if (c >= 'a' && c <= 'f')
        return c - 'a' + 10;
    return c >= 'A' && c <= 'F' ? c - 'A' + 10 : -1;
}

/* What is left of the body or chunk, as far as it is there. */
static long read_data(struct http_body *b, struct bytes in, struct bytes *piece)
{
    size_t n = in.len < b->left ? in.len : (size_t)b->left;

    *piece = bytes_of(in.data, n);
    b->left -= n;
    return (long)n;
}

/* The length with CRLF of the line at the front; 0: not there yet; -1: too long or malformed. */
static long line_scan(struct bytes in, size_t max)
{
    const uint8_t *lf = in.len ? memchr(in.data, '\n', in.len) : NULL;
    size_t len = lf ? (size_t)(lf - in.data) + 1 : in.len;

    if (len > max)
        return -1;
    if (!lf)
        return 0;
    return len >= 2 && lf[-1] == '\r' ? (long)len : -1;
}

/* Hexadecimal digits, then perhaps an extension, which nobody needs. */
static long read_chunk_line(struct http_body *b, struct bytes in)
{
    long len = line_scan(in, CHUNK_LINE_MAX);
    size_t digits = 0;

    if (len <= 0)
        return len;
    b->left = 0;
    while (hex_value(in.data[digits]) >= 0) {
        b->left = 16 * b->left + (uint64_t)hex_value(in.data[digits]);
        digits++;
    }
    if (digits == 0 || digits > 15 || in.data[digits] == '\0' || !strchr("\r; \t", in.data[digits]))
        return -1;
    b->state = b->left ? CHUNK_DATA : TRAILER;
    return len;
}

static long read_trailer(struct http_body *b, struct bytes in)
{
    long len = line_scan(in, TRAILER_MAX - b->line_len);

    if (len <= 0)
        return len;
    b->line_len += (size_t)len;
    b->done = len == 2;
    return len;
}

static long read_chunked(struct http_body *b, struct bytes in, struct bytes *piece)
{
    long n;

    if (in.len == 0)
        return 0;
    switch (b->state) {
    case CHUNK_LINE:
        return read_chunk_line(b, in);
    case CHUNK_DATA:
        n = read_data(b, in, piece);
        if (b->left == 0)
            b->state = CHUNK_END;
        return n;
    case CHUNK_END:
        if (memcmp(in.data, "\r\n", in.len < 2 ? in.len : 2) != 0)
            return -1;
        if (in.len < 2)
            return 0;
        b->state = CHUNK_LINE;
        return 2;
    default:
        return read_trailer(b, in);
    }
}

long http_body_read(struct http_body *b, struct bytes in, struct bytes *piece)
{
    long n;

    *piece = bytes_of(in.data, 0);
    if (b->done)
        return 0;
    switch (b->framing) {
    case HTTP_LENGTH:
        n = read_data(b, in, piece);
        b->done = b->left == 0;
        return n;
    case HTTP_CHUNKED:
        return read_chunked(b, in, piece);
    case HTTP_UNTIL_CLOSE:
        *piece = in;
        return (long)in.len;
    default:
        return 0;
    }
}

bool http_decode(struct bytes in, bool plus, char *out)
{
    for (size_t i = 0; i < in.len; i++) {
        int c = in.data[i];

        if (c == '%') {
            int hi = i + 2 < in.len ? hex_value(in.data[i + 1]) : -1;
            int lo = i + 2 < in.len ? hex_value(in.data[i + 2]) : -1;

            if (hi < 0 || lo < 0 || hi + lo == 0)
                return false;
            c = 16 * hi + lo;
            i += 2;
        } else if (c == '+' && plus) {
            c = ' ';
        }
        *out++ = (char)c;
    }
    *out = '\0';
    return true;
}

/*
 * HTTP/1.1 on the wire (RFC 9112): heads and the framing of bodies, without any I/O.
 *
 * Strict where two readers could see two different messages: lines end in CRLF, no folded lines, no
 * blank before a colon, one Content-Length at most and never beside a Transfer-Encoding.
 */
#ifndef KELPIE_LOOP_HTTP_PARSE_H
#define KELPIE_LOOP_HTTP_PARSE_H

#include "base/bytes.h"
#include "base/check.h"

#define HTTP_HEADERS_MAX (32u * 1024)
#define HTTP_FIELDS_MAX 100

struct http_field {
    const char *name;
    const char *value;
};

enum http_framing {
    HTTP_NO_BODY,
    HTTP_LENGTH,      /* Content-Length */
    HTTP_CHUNKED,     /* Transfer-Encoding: chunked */
    HTTP_UNTIL_CLOSE, /* answers only */
};

struct http_head {
    const char *method; /* requests */
    const char *target; /* requests: begins with '/' */
    int status;         /* answers */
    bool is_http10;
    bool keep_alive;
    bool expects_continue;
    enum http_framing framing;
    uint64_t length;
    struct http_field fields[HTTP_FIELDS_MAX];
    size_t field_count;
};

/* Looks for the end of a head: its length with the empty line, 0 when more bytes are needed, -1
 * when it is longer than HTTP_HEADERS_MAX. */
long http_head_scan(struct bytes received) MUST_USE;
/* Parse the head at `text`, of the length that the scan said, in place: `head` points into it.
 * Return 0, or the HTTP status to refuse it with and a sentence in `why` (static). */
int http_request_parse(char *text, size_t len, struct http_head *head, const char **why) MUST_USE;
int http_response_parse(char *text, size_t len, struct http_head *head, const char **why) MUST_USE;
/* The first field of that name (in any case), or NULL. */
const char *http_head_field(const struct http_head *head, const char *name);

/* A body as it arrives. */
struct http_body {
    enum http_framing framing;
    int state;       /* of chunks */
    uint64_t left;   /* of the body, or of the chunk */
    size_t line_len; /* of the chunk's line or of the trailer so far */
    bool done;
};

struct http_body http_body_of(const struct http_head *head);
/* One step: returns how many bytes of `in` it took (0: it needs more, or is done), or -1 when they
 * are malformed. `piece` is the data among them, perhaps empty, borrowed from `in`. */
long http_body_read(struct http_body *b, struct bytes in, struct bytes *piece) MUST_USE;

/* Decodes %XX (and '+' when `plus`) of `in` into `out` (in.len + 1 bytes, NUL-
 * terminated). False when an escape is malformed or stands for NUL. */
bool http_decode(struct bytes in, bool plus, char *out) MUST_USE;

#endif

/*
 * Requests as bytes: where a head ends, what stands in it, what of the bytes behind it is body.
 * Knows no connections. The parsing is libhttp-parser's; what it lets pass and two readers could
 * understand in two ways is refused here: bare CR and LF, folded lines, blanks in names, chunks that
 * do not end where they say.
 */
#ifndef KELPIE_LOOP_HTTP_PARSE_H
#define KELPIE_LOOP_HTTP_PARSE_H

#include <http_parser.h>

#include "base/bytes.h"
#include "base/check.h"

#define HTTP_HEADERS_MAX (32u * 1024)
#define HTTP_FIELDS_MAX 100
#define HTTP_BODY_MAX (1024u * 1024) /* of clients */
#define HTTP_BODY_MAX_LOCAL                                                                        \
    (8u * 1024 * 1024) /* on a socket that only this machine's workers reach */
/* Of a chunked body: what is not body in it (lengths, extensions, trailers) may be this long, and
 * HTTP_FRAMING_PER_BYTE for each byte of body. */
#define HTTP_FRAMING_MAX (32u * 1024)
#define HTTP_FRAMING_PER_BYTE 8

/* ---- the head ---- */

/* How far the search for the end of a head has come; all zero at its start. */
struct http_scan {
    size_t at;
    size_t line; /* where the line under way begins */
};

#define HTTP_SCAN_BAD (-1)

/* `in` begins where the head does, and may have grown since the last call. Returns the length of the
 * head with its empty line; 0 when that has not come; HTTP_SCAN_BAD for a line that ends without CR
 * or begins with a blank. A length of 2 is an empty line where a request should begin. */
long http_head_scan(struct http_scan *scan, struct bytes in) MUST_USE;

/* Offsets into the text of the head. */
struct http_field {
    uint16_t name;
    uint16_t value;
    uint16_t value_len;
};

struct http_head {
    const char *method; /* NULL: none that is understood here */
    int major, minor;
    uint16_t target, target_len;
    size_t field_count;
    struct http_field fields[HTTP_FIELDS_MAX];
    bool too_many; /* fields */
    bool keeps;    /* the client wants the connection kept */
    bool closes;   /* or closed; neither: as its version has it */
    bool expects;  /* 100-continue */
    bool chunked;
    uint64_t length;           /* of the body, when it is not chunked */
    struct http_parser parser; /* as the head left it */
};

/* What is wrong with a request. */
struct http_fault {
    int status;      /* HTTP */
    int error;       /* KELPIE_E_* */
    const char *why; /* a sentence, needs no escaping; static */
};

/* Reads a head of http_head_scan's (of at most HTTP_HEADERS_MAX bytes) and cuts it: names, values and
 * the target end with NUL afterwards. Returns true, or false with what is wrong. */
bool http_head_parse(char *text, size_t len, size_t body_max, struct http_head *out,
                     struct http_fault *fault) MUST_USE;

/* The rest of the rules (http_check.c); `status` stays 0 when all is well. */
void http_head_check(struct http_head *head, const char *text, size_t body_max,
                     struct http_fault *fault);
/* A body is longer than `body_max`, which is one of the two above. */
struct http_fault http_body_too_long(size_t body_max);

/* ---- the body ---- */

struct http_body {
    struct http_parser parser;
    bool chunked;
    bool was_cr;       /* the last byte that was not body */
    uint64_t left;     /* not chunked: to come */
    uint64_t received; /* of the body */
    uint64_t framing;  /* bytes that were not body */
};

enum http_body_outcome { HTTP_BODY_MORE, HTTP_BODY_DONE, HTTP_BODY_BAD };

void http_body_begin(struct http_body *b, const struct http_head *head);
/* Takes the first *used bytes of `in`, of which `data` (perhaps empty) is body. MORE: call again with
 * what is left or has come; a call may take nothing, but never twice in a row. */
enum http_body_outcome http_body_feed(struct http_body *b, struct bytes in, size_t *used,
                                      struct bytes *data) MUST_USE;

/* What stands behind a status in an answer's first line. */
const char *http_reason(int status);

#endif

/* evhttp reads requests leniently. What two readers could understand in two ways, or what a handler
 * would have to look at each time, is refused here. */
#include <event2/buffer.h>
#include <event2/http.h>
#include <event2/http_struct.h>
#include <event2/keyvalq_struct.h>
#include <stdio.h>
#include <strings.h>

#include "kelpie/error.h"
#include "loop/http_conn.h"

const char *http_request_method(const struct evhttp_request *req)
{
    switch (evhttp_request_get_command(req)) {
    case EVHTTP_REQ_GET:
        return "GET";
    case EVHTTP_REQ_POST:
        return "POST";
    case EVHTTP_REQ_PUT:
        return "PUT";
    case EVHTTP_REQ_DELETE:
        return "DELETE";
    case EVHTTP_REQ_HEAD:
        return "HEAD";
    default:
        return NULL;
    }
}

/* evhttp has no function that tells the version. */
bool http_request_is_http10(const struct evhttp_request *req)
{
    return req->major == 1 && req->minor == 0;
}

bool http_request_left_body(struct evhttp_request *req)
{
    struct evkeyvalq *headers = evhttp_request_get_input_headers(req);
    const char *length = evhttp_find_header(headers, "Content-Length");

    return evbuffer_get_length(evhttp_request_get_input_buffer(req)) == 0 &&
           (evhttp_find_header(headers, "Transfer-Encoding") ||
            (length && strcmp(length, "0") != 0)) &&
           (evhttp_request_get_command(req) == EVHTTP_REQ_HEAD || !http_request_method(req));
}

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

static bool value_is_good(const char *value)
{
    for (; *value; value++) {
        if (((unsigned char)*value < ' ' && *value != '\t') || *value == 0x7f)
            return false;
    }
    return true;
}

struct header_counts {
    size_t all;
    size_t host;
    size_t framing; /* Content-Length, Transfer-Encoding */
};

static int check_header(const char *name, const char *value, struct header_counts *counts,
                        const char **why)
{
    counts->all++;
    if (!name_is_good(name) || !value_is_good(value)) {
        *why = "a header is malformed";
        return 400;
    }
    counts->host += strcasecmp(name, "Host") == 0;
    if (strcasecmp(name, "Content-Length") == 0) {
        counts->framing++;
        *why = "Content-Length is not a number";
        return *value && strspn(value, "0123456789") == strlen(value) ? 0 : 400;
    }
    if (strcasecmp(name, "Transfer-Encoding") == 0) {
        counts->framing++;
        *why = "of transfer encodings only chunked is understood here";
        return strcasecmp(value, "chunked") == 0 ? 0 : 501;
    }
    if (strcasecmp(name, "Expect") == 0) {
        *why = "of expectations only 100-continue is understood here";
        return strcasecmp(value, "100-continue") == 0 ? 0 : 417;
    }
    return 0;
}

static int check_headers(struct evhttp_request *req, const char **why)
{
    struct evkeyvalq *headers = evhttp_request_get_input_headers(req);
    struct header_counts counts = {0};

    for (struct evkeyval *h = headers->tqh_first; h; h = h->next.tqe_next) {
        int status = check_header(h->key, h->value, &counts, why);

        if (status)
            return status;
    }
    if (counts.all >= HTTP_FIELDS_MAX) {
        *why = "there are too many headers";
        return 431;
    }
    if (counts.framing > 1) {
        *why = "the length of the body is given more than once";
        return 400;
    }
    *why = "there must be one Host header";
    return counts.host > 1 || (counts.host == 0 && !http_request_is_http10(req)) ? 400 : 0;
}

static int check(struct evhttp_request *req, const char **why)
{
    if (req->major != 1 || req->minor < 0) {
        *why = "only HTTP/1.0 and HTTP/1.1 are spoken here";
        return 505;
    }
    if (!http_request_method(req)) {
        *why = "only GET, POST, PUT, DELETE and HEAD are understood here";
        return 405;
    }
    if (!target_is_good(evhttp_request_get_uri(req))) {
        *why = "the target is not a well-formed path";
        return 400;
    }
    return check_headers(req, why);
}

int http_request_check(struct evhttp_request *req, char why[HTTP_WHY_SIZE], int *error)
{
    const char *said = "";
    int status = check(req, &said);

    (void)snprintf(why, HTTP_WHY_SIZE, "%s", said);
    if (!status && evbuffer_get_length(evhttp_request_get_input_buffer(req)) > HTTP_BODY_MAX) {
        status = 413;
        (void)snprintf(why, HTTP_WHY_SIZE, "the body is over the limit of %u bytes", HTTP_BODY_MAX);
    }
    *error = status == 405                    ? KELPIE_E_METHOD_NOT_ALLOWED
             : status == 413 || status == 431 ? KELPIE_E_TOO_LARGE
                                              : KELPIE_E_INVALID;
    return status;
}

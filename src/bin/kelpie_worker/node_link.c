#include "bin/kelpie_worker/node_link.h"

#include <errno.h>
#include <jansson.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/socket.h>
#include <unistd.h>

#include "http/worker_json.h"
#include "kelpie/error.h"
#include "loop/loop.h"
#include "loop/unix_socket.h"

#define READ_SIZE 65536
#define HEAD_MAX (32u * 1024)

void node_link_init(struct node_link *l)
{
    *l = (struct node_link){.fd = -1};
    buf_init(&l->in, loop_mem());
}

void node_link_close(struct node_link *l)
{
    if (l->fd >= 0)
        (void)close(l->fd);
    l->fd = -1;
    buf_clear(&l->in);
    l->body_at = l->body_len = 0;
}

int node_link_open(struct node_link *l, const char *path, char *why, size_t why_size)
{
    l->fd = unix_connect(path);
    if (l->fd >= 0)
        return 0;
    (void)snprintf(why, why_size, "%s: %s", path, strerror(errno));
    return KELPIE_E_IO;
}

static bool send_all(int fd, struct bytes b)
{
    while (b.len > 0) {
        ssize_t n = send(fd, b.data, b.len, MSG_NOSIGNAL);
        if (n < 0 && errno == EINTR)
            continue;
        if (n <= 0)
            return false;
        b = bytes_of(b.data + n, b.len - (size_t)n);
    }
    return true;
}

int node_link_say(struct node_link *l, struct uuid worker, struct bytes body)
{
    char id[UUID_TEXT_SIZE];
    struct buf out;
    bool said;

    uuid_to_text(worker, id);
    buf_init(&out, loop_mem());
    buf_appendf(&out,
                "POST /v1/worker/next HTTP/1.1\r\nHost: localhost\r\nKelpie-Worker: %s\r\n"
                "Content-Type: application/json\r\nContent-Length: %zu\r\n\r\n",
                id, body.len);
    buf_append_bytes(&out, body);
    said = send_all(l->fd, buf_bytes(&out));
    buf_deinit(&out);
    if (!said)
        node_link_close(l);
    return said ? 0 : KELPIE_E_IO;
}

bool node_link_waits(const struct node_link *l, int ms)
{
    struct pollfd p = {.fd = l->fd, .events = POLLIN};

    return poll(&p, 1, ms) > 0;
}

static bool read_more(struct node_link *l)
{
    ssize_t n;

    do
        n = recv(l->fd, buf_reserve(&l->in, READ_SIZE), READ_SIZE, 0);
    while (n < 0 && errno == EINTR);
    if (n > 0)
        l->in.len += (size_t)n;
    return n > 0;
}

/* ---- the head */

struct head {
    unsigned status;
    size_t length;
    char error[64]; /* Kelpie-Error; "": none */
};

static bool take_line(const char *line, size_t len, struct head *h)
{
    static const char length[] = "Content-Length:", error[] = "Kelpie-Error:";

    if (len >= sizeof length - 1 && strncasecmp(line, length, sizeof length - 1) == 0) {
        h->length = strtoul(line + sizeof length - 1, NULL, 10);
        return h->length <= WORKER_TEXT_MAX;
    }
    if (len >= sizeof error - 1 && strncasecmp(line, error, sizeof error - 1) == 0) {
        const char *at = line + sizeof error - 1;
        while (*at == ' ')
            at++;
        (void)snprintf(h->error, sizeof h->error, "%.*s", (int)(line + len - at), at);
    }
    return true;
}

/* `end`: behind the head. */
static bool take_head(const char *text, const char *end, struct head *h)
{
    char first[sizeof "HTTP/1.1 200"]; /* what was received ends without a NUL */
    size_t len = (size_t)(end - text);

    (void)snprintf(first, sizeof first, "%.*s", (int)(len < sizeof first ? len : sizeof first),
                   text);
    bool ok = sscanf(first, "HTTP/1.%*1u %3u", &h->status) == 1;

    for (const char *line = text; ok && line < end;) {
        const char *next = memchr(line, '\r', (size_t)(end - line));
        if (!next)
            return false;
        ok = take_line(line, (size_t)(next - line), h);
        line = next + 2;
    }
    return ok;
}

static bool read_answer(struct node_link *l, struct head *h)
{
    const char *end = NULL;

    buf_consume(&l->in, l->body_at + l->body_len);
    l->body_at = l->body_len = 0;
    for (;;) {
        if (l->in.len)
            end = memmem(l->in.data, l->in.len, "\r\n\r\n", 4);
        if (end)
            break;
        if (l->in.len > HEAD_MAX || !read_more(l))
            return false;
    }
    l->body_at = (size_t)(end - (const char *)l->in.data) + 4;
    if (!take_head((const char *)l->in.data, end + 2, h))
        return false;
    while (l->in.len < l->body_at + h->length)
        if (!read_more(l))
            return false;
    l->body_len = h->length;
    return true;
}

/* Its sentence, and whether it may be over later. */
static void take_error(struct bytes body, const struct head *h, bool *again, char *why,
                       size_t why_size)
{
    json_t *o = json_loadb((const char *)body.data, body.len, 0, NULL);
    const char *message = json_string_value(json_object_get(o, "message"));

    *again = json_is_true(json_object_get(o, "retry"));
    (void)snprintf(why, why_size, "%s%s%s", h->error, message ? ": " : "", message ? message : "");
    json_decref(o);
}

int node_link_hear(struct node_link *l, struct bytes *body, bool *refused, bool *again, char *why,
                   size_t why_size)
{
    struct head h = {0};

    if (!read_answer(l, &h)) {
        (void)snprintf(why, why_size, "the node closed the connection");
        node_link_close(l);
        return KELPIE_E_IO;
    }
    *body = bytes_of(l->in.data + l->body_at, l->body_len);
    *refused = h.status != 200;
    if (*refused)
        take_error(*body, &h, again, why, why_size);
    return 0;
}

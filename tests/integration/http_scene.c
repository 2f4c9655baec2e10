#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#include <sys/socket.h>

#include "integration/http_scene.h"
#include "loop/tcp_socket.h"

static void on_gone(void *arg)
{
    ((struct scene *)arg)->closed++;
}

static void on_held_gone(void *arg)
{
    struct scene *s = arg;

    s->closed++;
    http_exchange_reply(s->held[0], 200, "text/plain", bytes_of_str("too late"));
    s->held_count = 0;
    loop_stop(s->loop);
}

/* Streams three chunks, one a millisecond. */
static void on_tick(void *arg)
{
    struct scene *s = arg;
    char line[32];

    (void)snprintf(line, sizeof line, "data: %zu\n\n", s->ticks);
    assert_true(http_exchange_chunk(s->held[0], bytes_of_str(line)));
    if (++s->ticks < 3)
        timer_start(&s->tick, NS_PER_MS);
    else {
        http_exchange_end(s->held[0]);
        s->held_count = 0;
    }
}

/* Streams as fast as it can, to a client that does not read. */
static void flood(struct scene *s, struct http_exchange *ex)
{
    static const char piece[64 * 1024];
    size_t i = 0;

    http_exchange_on_close(ex, on_gone, s);
    http_exchange_stream(ex, 200, "application/octet-stream");
    while (i < 100 && http_exchange_chunk(ex, bytes_of(piece, sizeof piece)))
        i++;
    assert_true(i > 1 && i < 5);
    s->refused_chunks++;
    assert_false(http_exchange_chunk(ex, bytes_of(piece, 1)));
    s->held[s->held_count++] = ex;
}

static void note(struct scene *s, struct http_exchange *ex)
{
    const char *query = http_exchange_query(ex, "q");
    const char *id = http_exchange_header(ex, "kelpie-request-id");

    s->handled++;
    s->held_ns = http_exchange_held_ns(ex);
    (void)snprintf(s->path, sizeof s->path, "%s", http_exchange_path(ex));
    (void)snprintf(s->query, sizeof s->query, "%s", query ? query : "(none)");
    (void)snprintf(s->request_id, sizeof s->request_id, "%s", id ? id : "(none)");
    s->body_len = http_exchange_body(ex).len;
}

void scene_handle(void *arg, struct http_exchange *ex)
{
    struct scene *s = arg;
    const char *path = http_exchange_path(ex);

    note(s, ex);
    if (strcmp(path, "/hold") == 0) {
        s->handled_at_hold = s->handled;
        s->held[s->held_count++] = ex;
    } else if (strcmp(path, "/later") == 0) {
        http_exchange_set_header(ex, "Retry-After", "1");
        http_exchange_reply(ex, 503, "text/plain", bytes_of_str("later"));
    } else if (strcmp(path, "/vital") == 0) {
        http_exchange_reply(ex, 200, "text/plain", bytes_of_str("vital"));
    } else if (strcmp(path, "/hold-closing") == 0) {
        s->held[s->held_count++] = ex;
        http_exchange_on_close(ex, on_held_gone, s);
    } else if (s->refuses_events && strcmp(path, "/v1/events") == 0) {
        http_exchange_reply(ex, 503, "application/json", bytes_of_str(s->refuses_events));
    } else if (strcmp(path, "/events") == 0) {
        s->held[s->held_count++] = ex;
        http_exchange_stream(ex, 200, "text/event-stream");
        timer_start(&s->tick, NS_PER_MS);
    } else if (strcmp(path, "/flood") == 0) {
        flood(s, ex);
    } else if (strcmp(path, "/big") == 0) {
        char *big = calloc(1, 3 * 1024 * 1024);

        assert_non_null(big);
        http_exchange_reply(ex, 200, "text/plain", bytes_of(big, 3 * 1024 * 1024));
        free(big);
    } else {
        http_exchange_set_header(ex, "X-Echo", "a\r\nb");
        http_exchange_reply(ex, 200, "text/plain", http_exchange_body(ex));
    }
}

static void on_deadline(void *arg)
{
    struct scene *s = arg;

    s->timed_out = true;
    loop_stop(s->loop);
}

static void on_read(void *arg)
{
    struct scene *s = arg;

    if (s->stood_still)
        http_server_drop_unread(s->server);
    s->stood_still = false;
}

void scene_open_server(struct scene *s, const char *addr)
{
    char why[256] = "";

    struct http_server_options o = s->options;

    o.addr = addr;
    o.fn = scene_handle;
    o.on_read = on_read;
    o.arg = s;
    s->server = http_server_new(s->loop, loop_mem(), &o, why, sizeof why);
    if (!s->server)
        fail_msg("%s", why);
}

int scene_setup(void **state)
{
    struct scene *s = calloc(1, sizeof *s);

    if (!s)
        return -1;
    s->loop = loop_new();
    buf_init(&s->streamed, loop_mem());
    timer_init(&s->deadline, loop_timers(s->loop), "deadline", on_deadline, s);
    timer_init(&s->tick, loop_timers(s->loop), "tick", on_tick, s);
    scene_open_server(s, "127.0.0.1:0");
    s->client = http_client_new(s->loop, loop_mem(), http_server_addr(s->server));
    *state = s;
    return 0;
}

int scene_teardown(void **state)
{
    struct scene *s = *state;

    timer_stop(&s->deadline);
    timer_stop(&s->tick);
    http_client_free(s->client);
    http_server_free(s->server);
    buf_deinit(&s->streamed);
    loop_free(s->loop);
    free(s);
    return 0;
}

void scene_run(struct scene *s, uint64_t ns)
{
    timer_start(&s->deadline, ns);
    loop_run(s->loop);
}

void scene_on_answer(void *arg, const struct http_response *r)
{
    struct scene *s = arg;

    s->answers++;
    s->error = r->error;
    s->status = r->status;
    s->answer_len = r->body.len;
    (void)snprintf(s->body, sizeof s->body, "%.*s", (int)(r->body.len < 4000 ? r->body.len : 0),
                   (const char *)r->body.data);
    if (s->waiting && --s->waiting == 0)
        loop_stop(s->loop);
}

void scene_await(struct scene *s, size_t answers)
{
    s->waiting = answers;
    s->timed_out = false;
    timer_start(&s->deadline, 10 * NS_PER_S);
    loop_run(s->loop);
    timer_stop(&s->deadline);
    assert_false(s->timed_out);
}

void scene_send(struct scene *s, const char *method, const char *path, const char *id,
                struct bytes body)
{
    size_t before = s->answers;

    http_client_send(s->client, method, path, id, body, 5000, scene_on_answer, s);
    assert_int_equal(s->answers, before);
}

void scene_request(struct scene *s, const char *method, const char *path, struct bytes body)
{
    scene_send(s, method, path, NULL, body);
    scene_await(s, 1);
}

/* ---- without the client ---- */

int raw_open(struct scene *s)
{
    int fd = tcp_connect(http_server_addr(s->server));

    assert_true(fd >= 0);
    scene_run(s, 5 * NS_PER_MS);
    return fd;
}

void raw_send(struct scene *s, int fd, struct bytes text, size_t step)
{
    for (size_t at = 0; at < text.len; at += step) {
        size_t n = text.len - at < step ? text.len - at : step;

        if (tcp_write(fd, text.data + at, n) < 0)
            return; /* it was refused before its end */
        scene_run(s, NS_PER_MS / 4);
    }
}

void raw_talk(struct scene *s, int fd, struct bytes text, const char *until, char *out, size_t size)
{
    size_t len = 0;
    bool closed = false;

    raw_send(s, fd, text, text.len);
    for (int i = 0; i < RAW_PATIENCE_MS; i++) {
        long n = tcp_read(fd, out + len, size - 1 - len);

        if (n > 0)
            len += (size_t)n;
        closed = n == TCP_CLOSED;
        out[len] = '\0';
        if (closed || (until && strstr(out, until)))
            break;
        scene_run(s, NS_PER_MS);
    }
    assert_true(until ? strstr(out, until) != NULL : closed);
}

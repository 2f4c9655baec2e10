#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#include <time.h>
#include <unistd.h>

#include "integration/net_scene.h"
#include "kelpie/error.h"
#include "loop/tcp_socket.h"

static void burn(uint64_t ns)
{
    struct timespec now, end;

    assert_int_equal(clock_gettime(CLOCK_MONOTONIC, &end), 0);
    do {
        assert_int_equal(clock_gettime(CLOCK_MONOTONIC, &now), 0);
    } while ((uint64_t)(now.tv_sec - end.tv_sec) * NS_PER_S + (uint64_t)now.tv_nsec <
             (uint64_t)end.tv_nsec + ns);
}

static void check_until(struct scene *s)
{
    if (s->until && s->until(s))
        loop_stop(s->loop);
}

static enum net_standing on_frame(void *arg, const struct net_from *from, struct bytes payload)
{
    struct end *e = arg;
    bool dialled = from->dialled[0] != '\0';

    assert_string_equal(from->identity, "");
    assert_int_equal(from->conn.id == 0, dialled);
    if (dialled)
        (void)snprintf(e->answered_from, sizeof e->answered_from, "%s", from->dialled);
    else
        e->conn = from->conn;
    e->frames++;
    e->bytes += payload.len;
    (void)snprintf(e->last, sizeof e->last, "%.*s", (int)(payload.len < 60 ? payload.len : 0),
                   (const char *)payload.data);
    if (e->burn_ns)
        burn(e->burn_ns);
    if (e->answers && !dialled)
        assert_int_equal(net_answer(e->net, from->conn, payload, &e->scene->scratch), 0);
    check_until(e->scene);
    return strcmp(e->last, "member") == 0    ? NET_MEMBER
           : strcmp(e->last, "rubbish") == 0 ? NET_REFUSED
                                             : e->standing;
}

static void on_down(void *arg, const char *addr)
{
    struct end *e = arg;

    e->downs++;
    (void)snprintf(e->down_addr, sizeof e->down_addr, "%s", addr);
    check_until(e->scene);
}

static void on_bad(void *arg, const char *from, int error)
{
    struct end *e = arg;

    assert_int_equal(strncmp(from, "127.0.0.1:", 10), 0);
    e->bads++;
    e->bad_error = error;
    check_until(e->scene);
}

static const struct net_events events = {on_frame, on_down, on_bad};

static void log_nothing(void *ctx, enum log_level level, const char *event, const char *fields)
{
    (void)ctx;
    (void)level;
    (void)event;
    (void)fields;
}

static const struct log_ops log_ops = {log_nothing};

static void on_deadline(void *arg)
{
    struct scene *s = arg;

    s->timed_out = true;
    loop_stop(s->loop);
}

static void check_each_turn(void *arg)
{
    struct scene *s = arg;

    check_until(s);
    timer_start(&s->poll, NS_PER_MS);
}

void open_end(struct scene *s, struct end *e, const char *addr)
{
    char why[256] = "";

    e->scene = s;
    e->standing = NET_STRANGER;
    e->tcp = net_tcp_new(s->loop, loop_mem(), &s->log, addr, why, sizeof why);
    if (!e->tcp)
        fail_msg("%s", why);
    e->net = net_tcp_net(e->tcp);
    (void)snprintf(e->addr, sizeof e->addr, "%s", net_tcp_addr(e->tcp));
    e->net.ops->receive(e->net.ctx, &events, e);
}

int net_scene_setup(void **state)
{
    struct scene *s = calloc(1, sizeof *s);

    if (!s)
        return -1;
    s->loop = loop_new();
    s->log = (struct log){.ops = &log_ops};
    buf_init(&s->scratch, loop_mem());
    timer_init(&s->deadline, loop_timers(s->loop), "deadline", on_deadline, s);
    timer_init(&s->poll, loop_timers(s->loop), "poll", check_each_turn, s);
    open_end(s, &s->ends[0], "127.0.0.1:0");
    open_end(s, &s->ends[1], "127.0.0.1:0");
    *state = s;
    return 0;
}

int net_scene_teardown(void **state)
{
    struct scene *s = *state;

    timer_stop(&s->deadline);
    net_tcp_free(s->ends[0].tcp);
    net_tcp_free(s->ends[1].tcp);
    buf_deinit(&s->scratch);
    loop_free(s->loop);
    free(s);
    return 0;
}

void run_until(struct scene *s, bool (*until)(struct scene *s))
{
    s->until = until;
    s->timed_out = false;
    timer_start(&s->deadline, 10 * NS_PER_S);
    loop_run(s->loop);
    timer_stop(&s->deadline);
    assert_false(s->timed_out);
}

void run_for(struct scene *s, uint64_t ns)
{
    s->until = NULL;
    timer_start(&s->deadline, ns);
    loop_run(s->loop);
}

int send_text(struct scene *s, size_t from, const char *addr, const char *text)
{
    return net_send(s->ends[from].net, addr, bytes_of_str(text), &s->scratch);
}

void run_until_seen(struct scene *s, bool (*until)(struct scene *s))
{
    timer_start(&s->poll, NS_PER_MS);
    run_until(s, until);
    timer_stop(&s->poll);
}
/* A stranger that is connected. */
int stranger(struct scene *s)
{
    int fd = tcp_connect(s->ends[1].addr);

    assert_true(fd >= 0);
    run_for(s, 2 * NS_PER_MS);
    assert_int_equal(tcp_connect_result(fd), 0);
    return fd;
}

void say(struct scene *s, int fd, const char *text)
{
    buf_clear(&s->scratch);
    net_frame_make(&s->scratch, bytes_of_str(text));
    assert_int_equal(tcp_write(fd, s->scratch.data, s->scratch.len), s->scratch.len);
}

bool is_closed(int fd)
{
    char byte;

    return tcp_read(fd, &byte, 1) == TCP_CLOSED;
}

bool one_got_one(struct scene *s)
{
    return s->ends[1].frames == 1;
}

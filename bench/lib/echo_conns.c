#include "echo_conns.h"

#include "../tcp_echo.h"
#include "base/check.h"

#define MESSAGE_MAX 4096

struct side {
    struct echo_conns *all;
    struct bufferevent *bev;
    uint64_t sent_ns;
};

struct echo_conns {
    struct bench_loop *b;
    size_t count;
    size_t message_len;
    struct samples *out;
    struct side *near;
    struct bufferevent **far;
    struct event_base *far_base;
    bool is_running;
};

static void send_message(struct side *s)
{
    uint8_t message[MESSAGE_MAX] = {0};

    s->sent_ns = bench_now_ns(s->all->b);
    (void)bufferevent_write(s->bev, message, s->all->message_len);
}

static void on_echo(struct bufferevent *bev, void *arg)
{
    struct side *s = arg;
    struct evbuffer *input = bufferevent_get_input(bev);

    if (evbuffer_get_length(input) < s->all->message_len)
        return;
    (void)evbuffer_drain(input, s->all->message_len);
    samples_add(s->all->out, (double)(bench_now_ns(s->all->b) - s->sent_ns) / 1e3);
    if (s->all->is_running)
        send_message(s);
}

static void *serve(void *arg)
{
    struct echo_conns *e = arg;

    (void)event_base_loop(e->far_base, EVLOOP_NO_EXIT_ON_EMPTY);
    return NULL;
}

static bool open_one(struct echo_conns *e, size_t i)
{
    int fds[2];

    if (!tcp_echo_pair(fds))
        return false;
    e->near[i].all = e;
    e->near[i].bev = bufferevent_socket_new(loop_base(e->b->loop), fds[0], BEV_OPT_CLOSE_ON_FREE);
    e->far[i] = bufferevent_socket_new(e->far_base, fds[1], BEV_OPT_CLOSE_ON_FREE);
    CHECK(e->near[i].bev && e->far[i]);
    bufferevent_setcb(e->near[i].bev, on_echo, NULL, NULL, &e->near[i]);
    bufferevent_setcb(e->far[i], tcp_echo_back, NULL, tcp_echo_server_end, NULL);
    return bufferevent_enable(e->near[i].bev, EV_READ | EV_WRITE) == 0 &&
           bufferevent_enable(e->far[i], EV_READ | EV_WRITE) == 0;
}

static void close_all(struct echo_conns *e)
{
    for (size_t i = 0; i < e->count; i++) {
        if (e->near[i].bev)
            bufferevent_free(e->near[i].bev);
        if (e->far[i])
            bufferevent_free(e->far[i]);
    }
    event_base_free(e->far_base);
    mem_free(e->b->mem, e->near);
    mem_free(e->b->mem, e->far);
}

bool echo_conns_run(struct bench_loop *b, size_t connections, size_t message_len, uint64_t ms,
                    struct samples *out)
{
    struct echo_conns e = {.b = b, .count = connections, .message_len = message_len, .out = out};
    pthread_t thread;
    bool ok = true;

    CHECK(message_len <= MESSAGE_MAX);
    e.near = MEM_NEW_ARRAY(b->mem, struct side, connections);
    e.far = MEM_NEW_ARRAY(b->mem, struct bufferevent *, connections);
    e.far_base = event_base_new();
    CHECK(e.far_base);
    for (size_t i = 0; ok && i < connections; i++)
        ok = open_one(&e, i);
    ok = ok && pthread_create(&thread, NULL, serve, &e) == 0;
    if (ok) {
        e.is_running = true;
        for (size_t i = 0; i < connections; i++)
            send_message(&e.near[i]);
        ok = bench_sleep(b, ms);
        e.is_running = false;
        /* The end of a connection ends the thread. */
        (void)shutdown(bufferevent_getfd(e.near[0].bev), SHUT_RDWR);
        (void)pthread_join(thread, NULL);
    }
    close_all(&e);
    return ok && out->count > 0;
}

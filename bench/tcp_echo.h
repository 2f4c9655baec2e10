/*
 * The baseline for calls between nodes: a bare TCP echo on libevent, one connection over loopback,
 * a thread for each side, a fixed number of messages in flight. Nothing is framed, checked or
 * matched; this is what the machine and the event loop give.
 *
 *     struct tcp_echo_result r;
 *     if (tcp_echo_run(&(struct tcp_echo_options){.in_flight = 100, .message_len = 128,
 *                                                 .duration_ns = 2 * NS_PER_S}, &r))
 *         ...
 */
#ifndef KELPIE_BENCH_TCP_ECHO_H
#define KELPIE_BENCH_TCP_ECHO_H

#include <arpa/inet.h>
#include <event2/buffer.h>
#include <event2/bufferevent.h>
#include <event2/event.h>
#include <event2/util.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <pthread.h>
#include <signal.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

/* Latencies that are kept; of more than these, an even sample. */
#define TCP_ECHO_SAMPLES_MAX (1u << 20)
#define TCP_ECHO_MESSAGE_MAX 65536u

struct tcp_echo_options {
    size_t in_flight;   /* >= 1 */
    size_t message_len; /* 8 .. TCP_ECHO_MESSAGE_MAX */
    uint64_t duration_ns;
};

struct tcp_echo_result {
    uint64_t calls;
    double calls_per_s;
    uint64_t p50_ns;
    uint64_t p95_ns;
    uint64_t p99_ns;
    uint64_t max_ns;
};

struct tcp_echo_client {
    struct event_base *base;
    struct bufferevent *bev;
    const struct tcp_echo_options *options;
    uint64_t end_ns;
    uint64_t calls;
    uint64_t *samples;
    size_t sample_count;
    uint64_t sample_every;
    bool failed;
    uint8_t message[TCP_ECHO_MESSAGE_MAX];
};

static inline uint64_t tcp_echo_now_ns(void)
{
    struct timespec ts;

    (void)clock_gettime(CLOCK_MONOTONIC, &ts);
    return (uint64_t)ts.tv_sec * 1000000000u + (uint64_t)ts.tv_nsec;
}

/* ---- the side that echoes ---- */

static inline void tcp_echo_back(struct bufferevent *bev, void *arg)
{
    (void)arg;
    (void)bufferevent_write_buffer(bev, bufferevent_get_input(bev));
}

static inline void tcp_echo_server_end(struct bufferevent *bev, short what, void *arg)
{
    (void)what;
    (void)arg;
    (void)event_base_loopbreak(bufferevent_get_base(bev));
}

/* `arg` points to the connected descriptor, which it takes over. */
static inline void *tcp_echo_serve(void *arg)
{
    int fd = *(int *)arg;
    struct event_base *base = event_base_new();
    struct bufferevent *bev = base ? bufferevent_socket_new(base, fd, BEV_OPT_CLOSE_ON_FREE) : NULL;

    if (!bev) {
        (void)close(fd);
    } else {
        bufferevent_setcb(bev, tcp_echo_back, NULL, tcp_echo_server_end, NULL);
        (void)bufferevent_enable(bev, EV_READ | EV_WRITE);
        (void)event_base_dispatch(base);
        bufferevent_free(bev);
    }
    if (base)
        event_base_free(base);
    return NULL;
}

/* ---- the side that calls ---- */

static inline void tcp_echo_send(struct tcp_echo_client *c)
{
    uint64_t now = tcp_echo_now_ns();

    memcpy(c->message, &now, sizeof now);
    if (bufferevent_write(c->bev, c->message, c->options->message_len))
        c->failed = true;
}

/* Keeps every n-th latency; when the room is used up, every second of those, and so on. */
static inline void tcp_echo_sample(struct tcp_echo_client *c, uint64_t ns)
{
    if (c->calls % c->sample_every)
        return;
    if (c->sample_count == TCP_ECHO_SAMPLES_MAX) {
        for (size_t i = 0; i < TCP_ECHO_SAMPLES_MAX / 2; i++)
            c->samples[i] = c->samples[2 * i];
        c->sample_count = TCP_ECHO_SAMPLES_MAX / 2;
        c->sample_every *= 2;
    }
    c->samples[c->sample_count++] = ns;
}

static inline void tcp_echo_came(struct bufferevent *bev, void *arg)
{
    struct tcp_echo_client *c = arg;
    struct evbuffer *input = bufferevent_get_input(bev);
    uint8_t answer[TCP_ECHO_MESSAGE_MAX];

    while (evbuffer_get_length(input) >= c->options->message_len) {
        uint64_t sent;

        if (evbuffer_remove(input, answer, c->options->message_len) < 0)
            c->failed = true;
        memcpy(&sent, answer, sizeof sent);
        tcp_echo_sample(c, tcp_echo_now_ns() - sent);
        c->calls++;
        tcp_echo_send(c);
    }
    if (c->failed || tcp_echo_now_ns() >= c->end_ns)
        (void)event_base_loopbreak(c->base);
}

static inline void tcp_echo_client_end(struct bufferevent *bev, short what, void *arg)
{
    struct tcp_echo_client *c = arg;

    (void)bev;
    (void)what;
    c->failed = true;
    (void)event_base_loopbreak(c->base);
}

/* ---- the whole ---- */

/* Two ends of one TCP connection over loopback, non-blocking, without Nagle. */
static inline bool tcp_echo_pair(int fds[2])
{
    struct sockaddr_in sa = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t len = sizeof sa;
    int listener = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    int on = 1;
    bool ok;

    fds[0] = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    fds[1] = -1;
    ok = listener >= 0 && fds[0] >= 0 && bind(listener, (struct sockaddr *)&sa, len) == 0 &&
         listen(listener, 1) == 0 && getsockname(listener, (struct sockaddr *)&sa, &len) == 0 &&
         connect(fds[0], (struct sockaddr *)&sa, len) == 0;
    if (ok)
        fds[1] = accept4(listener, NULL, NULL, SOCK_CLOEXEC);
    if (listener >= 0)
        (void)close(listener);
    if (fds[1] < 0) {
        if (fds[0] >= 0)
            (void)close(fds[0]);
        return false;
    }
    for (int i = 0; i < 2; i++) {
        (void)setsockopt(fds[i], IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
        (void)evutil_make_socket_nonblocking(fds[i]);
    }
    return true;
}

static inline int tcp_echo_compare(const void *a, const void *b)
{
    uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;

    return x < y ? -1 : x > y;
}

static inline uint64_t tcp_echo_percentile(const struct tcp_echo_client *c, size_t percent)
{
    return c->sample_count ? c->samples[(c->sample_count - 1) * percent / 100] : 0;
}

static inline bool tcp_echo_call(struct tcp_echo_client *c, struct tcp_echo_result *out)
{
    uint64_t start = tcp_echo_now_ns();
    double seconds;

    c->end_ns = start + c->options->duration_ns;
    bufferevent_setcb(c->bev, tcp_echo_came, NULL, tcp_echo_client_end, c);
    (void)bufferevent_enable(c->bev, EV_READ | EV_WRITE);
    for (size_t i = 0; i < c->options->in_flight; i++)
        tcp_echo_send(c);
    (void)event_base_dispatch(c->base);
    seconds = (double)(tcp_echo_now_ns() - start) / 1e9;
    qsort(c->samples, c->sample_count, sizeof c->samples[0], tcp_echo_compare);
    *out = (struct tcp_echo_result){
        .calls = c->calls,
        .calls_per_s = (double)c->calls / seconds,
        .p50_ns = tcp_echo_percentile(c, 50),
        .p95_ns = tcp_echo_percentile(c, 95),
        .p99_ns = tcp_echo_percentile(c, 99),
        .max_ns = tcp_echo_percentile(c, 100),
    };
    return !c->failed && c->calls > 0;
}

/* Runs it; false when the system refuses something. */
static inline bool tcp_echo_run(const struct tcp_echo_options *options, struct tcp_echo_result *out)
{
    struct tcp_echo_client *c = calloc(1, sizeof *c);
    pthread_t server;
    int fds[2];
    bool ok = false;

    memset(out, 0, sizeof *out);
    (void)signal(SIGPIPE, SIG_IGN); /* the side that echoes may write after the end */
    if (!c || options->in_flight == 0 || options->message_len < sizeof(uint64_t) ||
        options->message_len > TCP_ECHO_MESSAGE_MAX || !tcp_echo_pair(fds)) {
        free(c);
        return false;
    }
    c->options = options;
    c->sample_every = 1;
    c->samples = calloc(TCP_ECHO_SAMPLES_MAX, sizeof c->samples[0]);
    c->base = event_base_new();
    c->bev = c->base ? bufferevent_socket_new(c->base, fds[0], BEV_OPT_CLOSE_ON_FREE) : NULL;
    if (pthread_create(&server, NULL, tcp_echo_serve, &fds[1])) {
        (void)close(fds[1]);
    } else {
        ok = c->samples && c->bev && tcp_echo_call(c, out);
        (void)shutdown(fds[0], SHUT_RDWR); /* ends the other side */
        (void)pthread_join(server, NULL);
    }
    if (c->bev)
        bufferevent_free(c->bev);
    else
        (void)close(fds[0]);
    if (c->base)
        event_base_free(c->base);
    free(c->samples);
    free(c);
    return ok;
}

#endif

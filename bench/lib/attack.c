#include "attack.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/epoll.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "base/check.h"
#include "env/clock.h"

#define TICK_MS 10
#define REOPEN_MS 50
#define SLOW_MS 100
#define SLOW_BYTES 13
#define HEAD_MAX 8192
#define OPENED_A_TICK 200
#define EVENTS 256

struct conn {
    int fd;         /* -1: closed */
    uint64_t at_ms; /* opened again, or read again, not before */
    uint64_t number;
    char out[ATTACK_REQUEST_MAX];
    size_t out_len, out_at;
    size_t body_left; /* of HALF, still to send */
    char head[HEAD_MAX];
    size_t head_len;
    bool in_body;
    size_t answer_left;
    bool asked;
};

struct run {
    const struct attack *a;
    volatile struct attack_counts *counts;
    struct conn *conns;
    int epoll;
    uint64_t end_ms;
    uint64_t flooded, begun_ms;
    uint64_t renewed;
    unsigned renew_at;
};

static uint64_t now_ms(void)
{
    struct timespec ts;

    (void)clock_gettime(CLOCK_MONOTONIC, &ts);
    return (uint64_t)ts.tv_sec * 1000 + (uint64_t)ts.tv_nsec / 1000000;
}

static void conn_close(struct run *r, struct conn *c)
{
    if (c->fd < 0)
        return;
    (void)close(c->fd);
    c->fd = -1;
    c->at_ms = now_ms() + REOPEN_MS;
    r->counts->closed++;
}

static bool addr_of(const char *text, struct sockaddr_in *sa)
{
    char host[64];
    const char *colon = strrchr(text, ':');

    *sa = (struct sockaddr_in){.sin_family = AF_INET};
    (void)snprintf(host, sizeof host, "%.*s", (int)(colon - text), text);
    sa->sin_port = htons((uint16_t)strtoul(colon + 1, NULL, 10));
    /* Nothing but this machine. */
    return inet_pton(AF_INET, host, &sa->sin_addr) == 1 &&
           (ntohl(sa->sin_addr.s_addr) >> 24) == 127;
}

static void next_request(const struct run *r, struct conn *c, unsigned i)
{
    c->out_at = 0;
    c->out_len = r->a->request ? r->a->request(c->out, i, c->number++) : 0;
    c->body_left = r->a->kind == ATTACK_HALF ? r->a->body_len : 0;
    c->head_len = 0;
    c->in_body = false;
    c->answer_left = 0;
}

static void conn_open(struct run *r, unsigned i)
{
    struct conn *c = &r->conns[i];
    struct epoll_event ev = {.events = EPOLLIN | EPOLLOUT, .data.u32 = i};
    struct sockaddr_in sa;
    unsigned addrs = 0;

    while (addrs < ATTACK_ADDRS_MAX && r->a->addrs[addrs])
        addrs++;
    if (!addr_of(r->a->addrs[i % addrs], &sa))
        _exit(2);
    c->fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (c->fd < 0) {
        c->at_ms = now_ms() + 10 * REOPEN_MS;
        return;
    }
    if (connect(c->fd, (struct sockaddr *)&sa, sizeof sa) && errno != EINPROGRESS) {
        conn_close(r, c);
        return;
    }
    r->counts->connected++;
    next_request(r, c, i);
    if (r->a->kind == ATTACK_DEAF || r->a->kind == ATTACK_SLOW) {
        int size = 4096;
        (void)setsockopt(c->fd, SOL_SOCKET, SO_RCVBUF, &size, sizeof size);
        ev.events = EPOLLOUT;
    }
    if (r->a->kind == ATTACK_SILENT || r->a->kind == ATTACK_FLOOD)
        ev.events = EPOLLIN;
    CHECK(epoll_ctl(r->epoll, EPOLL_CTL_ADD, c->fd, &ev) == 0);
}

static void watch(struct run *r, unsigned i, uint32_t events)
{
    struct epoll_event ev = {.events = events, .data.u32 = i};

    (void)epoll_ctl(r->epoll, EPOLL_CTL_MOD, r->conns[i].fd, &ev);
}

static void on_writable(struct run *r, unsigned i)
{
    static const char filler[65536];
    struct conn *c = &r->conns[i];

    while (c->out_at < c->out_len || c->body_left > 0) {
        bool body = c->out_at == c->out_len;
        size_t want = body ? c->body_left : c->out_len - c->out_at;
        ssize_t n = send(c->fd, body ? filler : c->out + c->out_at,
                         body && want > sizeof filler ? sizeof filler : want, MSG_NOSIGNAL);
        if (n < 0 && errno == EAGAIN)
            return;
        if (n <= 0) {
            conn_close(r, c);
            return;
        }
        if (body)
            c->body_left -= (size_t)n;
        else
            c->out_at += (size_t)n;
    }
    r->counts->sent++;
    watch(r, i, r->a->kind == ATTACK_DEAF || r->a->kind == ATTACK_SLOW ? 0 : EPOLLIN);
}

static void count_answer(struct run *r, const struct conn *c)
{
    long status = strtol(c->head_len > 12 ? c->head + 9 : "0", NULL, 10);

    r->counts->answered++;
    if (status >= 200 && status < 300)
        r->counts->ok++;
    else if (status == 429 || status == 503)
        r->counts->limited++;
    else
        r->counts->other++;
}

/* The head is whole: how long the body is. */
static void take_head(struct conn *c, char *end)
{
    const char *length;
    size_t have = c->head_len - (size_t)(end + 4 - c->head);

    *end = '\0';
    length = strcasestr(c->head, "\ncontent-length:");
    c->answer_left = length ? strtoul(length + 16, NULL, 10) : 0;
    c->answer_left -= have < c->answer_left ? have : c->answer_left;
    c->in_body = true;
}

static void on_readable(struct run *r, unsigned i)
{
    static char sink[65536];
    struct conn *c = &r->conns[i];

    for (;;) {
        bool body = c->in_body;
        size_t room = body ? (c->answer_left < sizeof sink ? c->answer_left : sizeof sink)
                           : HEAD_MAX - 1 - c->head_len;
        ssize_t n = recv(c->fd, body ? sink : c->head + c->head_len, room, 0);
        char *end;
        if (n < 0 && errno == EAGAIN)
            return;
        if (n <= 0) {
            conn_close(r, c);
            return;
        }
        if (body) {
            c->answer_left -= (size_t)n;
        } else {
            c->head_len += (size_t)n;
            c->head[c->head_len] = '\0';
            end = strstr(c->head, "\r\n\r\n");
            if (end)
                take_head(c, end);
        }
        if (c->in_body && c->answer_left == 0) {
            count_answer(r, c);
            next_request(r, c, i);
            watch(r, i, EPOLLIN | EPOLLOUT);
            return;
        }
    }
}

static void flood(struct run *r)
{
    uint64_t due = (now_ms() - r->begun_ms) * r->a->rate / 1000;

    for (unsigned i = 0; r->flooded < due; i = (i + 1) % r->a->connections) {
        struct conn *c = &r->conns[i];
        uint8_t many[65536];
        size_t count = 0;
        while (count < 64 && (count + 1) * r->a->flood_len <= sizeof many)
            memcpy(many + count++ * r->a->flood_len, r->a->flood, r->a->flood_len);
        r->flooded += count; /* what is not taken is not sent later */
        if (c->fd < 0)
            continue;
        ssize_t n = send(c->fd, many, count * r->a->flood_len, MSG_NOSIGNAL);
        if (n > 0)
            r->counts->sent += count;
        if ((n >= 0 && (size_t)n < count * r->a->flood_len) || (n < 0 && errno != EAGAIN))
            conn_close(r, c); /* a frame cut short is another attack */
    }
}

static void renew(struct run *r)
{
    uint64_t due = (now_ms() - r->begun_ms) * r->a->again_per_s / 1000;

    for (unsigned tried = 0; r->renewed < due && tried < r->a->connections; tried++) {
        struct conn *c = &r->conns[r->renew_at++ % r->a->connections];
        if (c->fd < 0 || c->out_at < c->out_len || c->body_left > 0)
            continue;
        conn_close(r, c);
        c->at_ms = 0;
        r->renewed++;
    }
}

static void tick(struct run *r)
{
    char bytes[SLOW_BYTES];
    unsigned opened = 0;
    uint64_t now = now_ms();

    renew(r);

    for (unsigned i = 0; i < r->a->connections; i++) {
        struct conn *c = &r->conns[i];
        if (c->fd < 0 && now >= c->at_ms && opened++ < OPENED_A_TICK) {
            conn_open(r, i);
        } else if (c->fd >= 0 && r->a->kind == ATTACK_SLOW && now >= c->at_ms) {
            c->at_ms = now + SLOW_MS;
            if (recv(c->fd, bytes, sizeof bytes, MSG_DONTWAIT) == 0)
                conn_close(r, c);
        }
    }
    if (r->a->kind == ATTACK_FLOOD)
        flood(r);
}

_Noreturn static void run(struct run *r)
{
    struct epoll_event events[EVENTS];
    uint64_t next = 0;

    while (now_ms() < r->end_ms) {
        int n = epoll_wait(r->epoll, events, EVENTS, TICK_MS);
        for (int k = 0; k < n; k++) {
            struct conn *c = &r->conns[events[k].data.u32];
            if (c->fd >= 0 && (events[k].events & EPOLLOUT))
                on_writable(r, events[k].data.u32);
            if (c->fd >= 0 && (events[k].events & (EPOLLIN | EPOLLHUP | EPOLLERR)))
                on_readable(r, events[k].data.u32);
        }
        if (now_ms() >= next) {
            tick(r);
            next = now_ms() + TICK_MS;
        }
    }
    _exit(0);
}

pid_t attack_start(const struct attack *a, unsigned seconds, volatile struct attack_counts *counts)
{
    struct rlimit files;
    struct run r = {.a = a, .counts = counts};
    pid_t parent = getpid(), pid;

    CHECK(a->connections > 0 && a->connections <= ATTACK_CONNECTIONS_MAX);
    pid = fork();
    if (pid)
        return pid;
    (void)prctl(PR_SET_PDEATHSIG, SIGKILL);
    if (getppid() != parent)
        _exit(1);
    if (getrlimit(RLIMIT_NOFILE, &files) == 0) {
        files.rlim_cur = files.rlim_max;
        (void)setrlimit(RLIMIT_NOFILE, &files);
    }
    r.conns = calloc(a->connections, sizeof *r.conns);
    r.epoll = epoll_create1(EPOLL_CLOEXEC);
    r.begun_ms = now_ms();
    r.end_ms = r.begun_ms + seconds * 1000ull;
    if (!r.conns || r.epoll < 0)
        _exit(1);
    for (unsigned i = 0; i < a->connections; i++)
        r.conns[i].fd = -1;
    run(&r);
}

void attack_stop(pid_t pid)
{
    if (pid <= 0)
        return;
    (void)kill(pid, SIGKILL);
    (void)waitpid(pid, NULL, 0);
}

unsigned attack_again_per_s(const struct attack *a, uint64_t sent, uint64_t connected, uint64_t ns)
{
    bool waits = a->kind == ATTACK_HALF || a->kind == ATTACK_SILENT;
    uint64_t count = a->kind == ATTACK_HALF ? sent : connected;

    return waits && count > a->connections && ns > 0
               ? (unsigned)((count - a->connections) * NS_PER_S / ns)
               : 0;
}

volatile struct attack_counts *attack_counts_new(void)
{
    void *p = mmap(NULL, sizeof(struct attack_counts), PROT_READ | PROT_WRITE,
                   MAP_SHARED | MAP_ANONYMOUS, -1, 0);

    return p == MAP_FAILED ? NULL : p;
}

#include "loop/tcp_socket.h"

#include <arpa/inet.h>
#include <errno.h>
#include <event2/event.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <sys/socket.h>
#include <unistd.h>

#include "kelpie/error.h"

/* The kernel's queue of connections that were not accepted yet. */
#define BACKLOG 1024
/* Connections accepted in one turn of the loop. */
#define ACCEPTS_PER_TURN 64
/* How long accepting rests when descriptors have run out. */
#define ACCEPT_PAUSE_NS (100 * NS_PER_MS)
/* Data that stays unacknowledged for so long ends an outgoing connection: the machine is gone, or
 * the process reads nothing any more. */
#define UNACKNOWLEDGED_MS 10000u

struct tcp_listener {
    struct mem mem;
    int fd;
    struct event *event;
    struct timer pause;
    bool rests;
    tcp_accept_fn *fn;
    bool (*on_no_files)(void *arg); /* or NULL */
    bool (*takes)(int fd);          /* NULL: everybody */
    void *arg;
    char addr[NET_ADDR_SIZE];
};

/* The port in decimal, 0 to 65535; -1 for anything else. */
static int port_parse(const char *text)
{
    int port = 0;

    if (!*text || strlen(text) > 5)
        return -1;
    for (; *text; text++) {
        if (*text < '0' || *text > '9')
            return -1;
        port = 10 * port + (*text - '0');
    }
    return port <= 65535 ? port : -1;
}

/* Returns 0 or KELPIE_E_INVALID. A port is required, and brackets around an IPv6 address. */
static int addr_parse(const char *text, struct sockaddr_storage *out, socklen_t *out_len)
{
    struct sockaddr_in *in = (struct sockaddr_in *)out;
    struct sockaddr_in6 *in6 = (struct sockaddr_in6 *)out;
    const char *colon = strrchr(text, ':');
    int port = colon ? port_parse(colon + 1) : -1;
    size_t host_len = colon ? (size_t)(colon - text) : 0;
    char host[NET_ADDR_SIZE];

    if (port < 0 || host_len >= sizeof host)
        return KELPIE_E_INVALID;
    memcpy(host, text, host_len);
    host[host_len] = '\0';
    memset(out, 0, sizeof *out);
    if (host[0] == '[' && host[host_len - 1] == ']') {
        host[host_len - 1] = '\0';
        in6->sin6_family = AF_INET6;
        in6->sin6_port = htons((uint16_t)port);
        *out_len = sizeof *in6;
        return inet_pton(AF_INET6, host + 1, &in6->sin6_addr) == 1 ? 0 : KELPIE_E_INVALID;
    }
    in->sin_family = AF_INET;
    in->sin_port = htons((uint16_t)port);
    *out_len = sizeof *in;
    return inet_pton(AF_INET, strcmp(host, "localhost") ? host : "127.0.0.1", &in->sin_addr) == 1
               ? 0
               : KELPIE_E_INVALID;
}

static void addr_format(const struct sockaddr_storage *sa, char out[NET_ADDR_SIZE])
{
    char host[INET6_ADDRSTRLEN] = "?";

    if (sa->ss_family == AF_INET6) {
        const struct sockaddr_in6 *in6 = (const struct sockaddr_in6 *)sa;

        (void)inet_ntop(AF_INET6, &in6->sin6_addr, host, sizeof host);
        (void)snprintf(out, NET_ADDR_SIZE, "[%s]:%u", host, ntohs(in6->sin6_port));
    } else {
        const struct sockaddr_in *in = (const struct sockaddr_in *)sa;

        (void)inet_ntop(AF_INET, &in->sin_addr, host, sizeof host);
        (void)snprintf(out, NET_ADDR_SIZE, "%s:%u", host, ntohs(in->sin_port));
    }
}

/* Both options only make it better: a socket without them still works. */
static void set_no_delay(int fd)
{
    int on = 1;

    (void)setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
}

static void set_unacknowledged(int fd)
{
    unsigned int ms = UNACKNOWLEDGED_MS;

    (void)setsockopt(fd, IPPROTO_TCP, TCP_USER_TIMEOUT, &ms, sizeof ms);
}

void tcp_listener_rest(struct tcp_listener *l, uint64_t ns)
{
    l->rests = true;
    (void)event_del(l->event);
    timer_start(&l->pause, ns);
}

static void on_accept(evutil_socket_t listen_fd, short what, void *arg)
{
    struct tcp_listener *l = arg;

    (void)what;
    for (int i = 0; i < ACCEPTS_PER_TURN && !l->rests; i++) {
        struct sockaddr_storage sa = {0};
        socklen_t len = sizeof sa;
        char from[NET_ADDR_SIZE];
        int fd = accept4(listen_fd, (struct sockaddr *)&sa, &len, SOCK_CLOEXEC | SOCK_NONBLOCK);

        if (fd >= 0 && l->takes && !l->takes(fd)) {
            (void)close(fd);
        } else if (fd >= 0) {
            set_no_delay(fd);
            addr_format(&sa, from);
            l->fn(l->arg, fd, from);
        } else if (errno == EMFILE || errno == ENFILE || errno == ENOBUFS || errno == ENOMEM) {
            if (l->on_no_files && l->on_no_files(l->arg))
                continue;
            /* The connection stays in the queue; asking again at once would only burn the core. */
            tcp_listener_rest(l, ACCEPT_PAUSE_NS);
        } else if (errno != ECONNABORTED && errno != EINTR) {
            return;
        }
    }
}

static void on_pause_over(void *arg)
{
    struct tcp_listener *l = arg;

    l->rests = false;
    (void)event_add(l->event, NULL);
}

static int open_listening(const struct sockaddr_storage *sa, socklen_t len)
{
    int on = 1;
    int error;
    int fd = socket(sa->ss_family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);

    if (fd < 0)
        return -1;
    if (setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on) == 0 &&
        bind(fd, (const struct sockaddr *)sa, len) == 0 && listen(fd, BACKLOG) == 0)
        return fd;
    error = errno;
    (void)close(fd);
    errno = error;
    return -1;
}

static const char *listen_cause(int error)
{
    switch (error) {
    case EADDRINUSE:
        return "the port is in use by another process";
    case EADDRNOTAVAIL:
        return "this machine has no such address";
    case EACCES:
        return "permission denied (ports under 1024 need it)";
    case EMFILE:
    case ENFILE:
        return "too many open files";
    default:
        return strerror(error);
    }
}

int tcp_listen_open(const char *addr, char bound[NET_ADDR_SIZE], char *why, size_t why_size)
{
    struct sockaddr_storage sa;
    socklen_t len = 0;
    int fd;

    if (addr_parse(addr, &sa, &len)) {
        (void)snprintf(why, why_size,
                       "cannot listen on '%s': not an address of the form 127.0.0.1:7101", addr);
        return -1;
    }
    fd = open_listening(&sa, len);
    if (fd < 0) {
        (void)snprintf(why, why_size, "cannot listen on %s: %s", addr, listen_cause(errno));
        return -1;
    }
    len = sizeof sa;
    CHECK(getsockname(fd, (struct sockaddr *)&sa, &len) == 0);
    addr_format(&sa, bound);
    return fd;
}

struct tcp_listener *tcp_listen(struct loop *loop, struct mem mem, const char *addr,
                                tcp_accept_fn *fn, void *arg, char *why, size_t why_size)
{
    char bound[NET_ADDR_SIZE];
    int fd = tcp_listen_open(addr, bound, why, why_size);

    return fd < 0 ? NULL : tcp_listen_on(loop, mem, fd, bound, NULL, fn, arg, why, why_size);
}

struct tcp_listener *tcp_listen_on(struct loop *loop, struct mem mem, int fd, const char *addr,
                                   bool (*takes)(int fd), tcp_accept_fn *fn, void *arg, char *why,
                                   size_t why_size)
{
    struct tcp_listener *l = MEM_NEW(mem, struct tcp_listener);

    l->mem = mem;
    l->fd = fd;
    l->takes = takes;
    l->fn = fn;
    l->arg = arg;
    (void)snprintf(l->addr, sizeof l->addr, "%s", addr);
    timer_init(&l->pause, loop_timers(loop), "accept_pause", on_pause_over, l);
    l->event = event_new(loop_base(loop), fd, EV_READ | EV_PERSIST, on_accept, l);
    if (!l->event || event_add(l->event, NULL)) {
        (void)snprintf(why, why_size, "cannot listen on %s: the event loop refuses", addr);
        tcp_listener_free(l);
        return NULL;
    }
    return l;
}

void tcp_listener_on_no_files(struct tcp_listener *l, bool (*fn)(void *arg))
{
    l->on_no_files = fn;
}

void tcp_listener_drop_waiting(struct tcp_listener *l)
{
    /* One more than the queue holds: whoever comes meanwhile is young. */
    for (int i = 0; i <= BACKLOG; i++) {
        int fd = accept4(l->fd, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);

        if (fd >= 0)
            (void)close(fd);
        else if (errno != ECONNABORTED && errno != EINTR)
            return;
    }
}

void tcp_listener_free(struct tcp_listener *l)
{
    if (!l)
        return;
    timer_stop(&l->pause);
    if (l->event)
        event_free(l->event);
    (void)close(l->fd);
    mem_free(l->mem, l);
}

const char *tcp_listener_addr(const struct tcp_listener *l)
{
    return l->addr;
}

int tcp_addr_split(const char *addr, char host[NET_ADDR_SIZE], uint16_t *port)
{
    struct sockaddr_storage sa;
    socklen_t len = 0;
    char *colon;

    if (addr_parse(addr, &sa, &len))
        return KELPIE_E_INVALID;
    addr_format(&sa, host);
    colon = strrchr(host, ':');
    CHECK(colon);
    *colon = '\0';
    *port = (uint16_t)port_parse(colon + 1);
    if (host[0] == '[') {
        memmove(host, host + 1, strlen(host));
        host[strlen(host) - 1] = '\0';
    }
    return 0;
}

void tcp_set_outgoing(int fd)
{
    set_no_delay(fd);
    set_unacknowledged(fd);
}

int tcp_connect(const char *addr)
{
    struct sockaddr_storage sa;
    socklen_t len = 0;
    int fd;

    if (addr_parse(addr, &sa, &len))
        return KELPIE_E_INVALID;
    fd = socket(sa.ss_family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (fd < 0)
        return KELPIE_E_UNREACHABLE;
    tcp_set_outgoing(fd);
    if (connect(fd, (struct sockaddr *)&sa, len) == 0 || errno == EINPROGRESS)
        return fd;
    (void)close(fd);
    return KELPIE_E_UNREACHABLE;
}

int tcp_connect_result(int fd)
{
    int error = 0;
    socklen_t len = sizeof error;

    if (getsockopt(fd, SOL_SOCKET, SO_ERROR, &error, &len) || error)
        return KELPIE_E_UNREACHABLE;
    return 0;
}

static long outcome(ssize_t n)
{
    if (n >= 0)
        return (long)n;
    return errno == EAGAIN || errno == EWOULDBLOCK || errno == EINTR ? TCP_AGAIN : TCP_CLOSED;
}

long tcp_read(int fd, void *to, size_t size)
{
    ssize_t n = recv(fd, to, size, 0);

    return n == 0 ? TCP_CLOSED : outcome(n);
}

long tcp_write(int fd, const void *from, size_t len)
{
    return outcome(send(fd, from, len, MSG_NOSIGNAL));
}

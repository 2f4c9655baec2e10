/* What libevent alone gives: the baseline of bench/siege. */
#include <event2/buffer.h>
#include <event2/bufferevent.h>
#include <event2/event.h>
#include <event2/http.h>
#include <event2/listener.h>
#include <fcntl.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <unistd.h>

#include "attack.h"
#include "loop/tcp_socket.h"

#define WAITING_MAX 4096

struct bare {
    int fd; /* of the file on the disk */
    struct event *sync;
    struct evhttp_request *waiting[WAITING_MAX];
    size_t count;
};

static void answer(struct evhttp_request *req)
{
    struct evbuffer *out = evbuffer_new();

    (void)evbuffer_add(out, "1", 1);
    evhttp_send_reply(req, 200, "OK", out);
    evbuffer_free(out);
}

/* Behind the events of this turn. */
static void on_sync(evutil_socket_t fd, short what, void *arg)
{
    static const char page[4096];
    struct bare *b = arg;
    size_t count = b->count;

    (void)fd;
    (void)what;
    if (pwrite(b->fd, page, sizeof page, 0) != (ssize_t)sizeof page || fdatasync(b->fd))
        _exit(1);
    b->count = 0;
    for (size_t i = 0; i < count; i++)
        answer(b->waiting[i]);
}

static void on_request(struct evhttp_request *req, void *arg)
{
    struct bare *b = arg;

    if (!strstr(evhttp_request_get_uri(req), "/counter/") || b->count == WAITING_MAX) {
        answer(req);
        return;
    }
    if (b->count == 0)
        event_active(b->sync, EV_TIMEOUT, 0);
    b->waiting[b->count++] = req;
}

static void on_raw(struct bufferevent *bev, void *arg)
{
    struct evbuffer *in = bufferevent_get_input(bev);

    (void)arg;
    (void)evbuffer_drain(in, evbuffer_get_length(in));
}

static void on_raw_end(struct bufferevent *bev, short what, void *arg)
{
    (void)what;
    (void)arg;
    bufferevent_free(bev);
}

static void on_accept(struct evconnlistener *l, evutil_socket_t fd, struct sockaddr *sa, int len,
                      void *arg)
{
    struct bufferevent *bev =
        bufferevent_socket_new(evconnlistener_get_base(l), fd, BEV_OPT_CLOSE_ON_FREE);

    (void)sa;
    (void)len;
    (void)arg;
    if (!bev)
        return;
    bufferevent_setcb(bev, on_raw, NULL, on_raw_end, NULL);
    (void)bufferevent_enable(bev, EV_READ);
}

_Noreturn static void serve(int http_fd, int raw_fd, const char *dir)
{
    static struct bare bare;
    struct event_base *base = event_base_new();
    struct evhttp *http = base ? evhttp_new(base) : NULL;

    if (!http || evhttp_accept_socket(http, http_fd) ||
        !evconnlistener_new(base, on_accept, NULL, LEV_OPT_CLOSE_ON_FREE, 0, raw_fd))
        _exit(1);
    bare.fd = open(dir ? dir : "/tmp", O_TMPFILE | O_RDWR | O_CLOEXEC, 0600);
    bare.sync = event_new(base, -1, EV_TIMEOUT, on_sync, &bare);
    if (bare.fd < 0 || !bare.sync)
        _exit(1);
    evhttp_set_gencb(http, on_request, &bare);
    (void)event_base_dispatch(base);
    _exit(0);
}

pid_t bare_server_start(char http[NET_ADDR_SIZE], char raw[NET_ADDR_SIZE], const char *dir)
{
    char why[256];
    int http_fd = tcp_listen_open("127.0.0.1:0", http, why, sizeof why);
    int raw_fd = tcp_listen_open("127.0.0.1:0", raw, why, sizeof why);
    pid_t parent = getpid(), pid = http_fd < 0 || raw_fd < 0 ? -1 : fork();

    if (pid) {
        (void)close(http_fd);
        (void)close(raw_fd);
        return pid;
    }
    (void)signal(SIGPIPE, SIG_IGN);
    (void)prctl(PR_SET_PDEATHSIG, SIGKILL);
    if (getppid() != parent)
        _exit(1);
    serve(http_fd, raw_fd, dir ? dir : getenv("TMPDIR"));
}

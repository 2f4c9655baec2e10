/* What libevent alone gives: the baseline of bench/siege. */
#include <event2/buffer.h>
#include <event2/bufferevent.h>
#include <event2/event.h>
#include <event2/http.h>
#include <event2/listener.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <unistd.h>

#include "attack.h"
#include "loop/tcp_socket.h"

static void on_request(struct evhttp_request *req, void *arg)
{
    struct evbuffer *out = evbuffer_new();

    (void)arg;
    (void)evbuffer_add(out, "1", 1);
    evhttp_send_reply(req, 200, "OK", out);
    evbuffer_free(out);
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

_Noreturn static void serve(const char *http_addr, const char *raw_addr)
{
    struct event_base *base = event_base_new();
    struct evhttp *http = base ? evhttp_new(base) : NULL;
    char bound[NET_ADDR_SIZE], why[256];
    int http_fd = tcp_listen_open(http_addr, bound, why, sizeof why);
    int raw_fd = tcp_listen_open(raw_addr, bound, why, sizeof why);

    if (!http || http_fd < 0 || raw_fd < 0 || evhttp_accept_socket(http, http_fd) ||
        !evconnlistener_new(base, on_accept, NULL, LEV_OPT_CLOSE_ON_FREE, 0, raw_fd))
        _exit(1);
    evhttp_set_gencb(http, on_request, NULL);
    (void)event_base_dispatch(base);
    _exit(0);
}

pid_t bare_server_start(const char *http, const char *raw)
{
    pid_t parent = getpid(), pid = fork();

    if (pid)
        return pid;
    (void)signal(SIGPIPE, SIG_IGN);
    (void)prctl(PR_SET_PDEATHSIG, SIGKILL);
    if (getppid() != parent)
        _exit(1);
    serve(http, raw);
}

#include "store/store_socket.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

#include "kelpie/error.h"
#include "store/store_protocol.h"
#include "store/store_session.h"
#include "store/store_start.h"

enum socket_state {
    SOCKET_DOWN,  /* no connection; the tick timer tries again */
    SOCKET_HELLO, /* connected, waiting for WELCOME */
    SOCKET_UP,
};

struct store_socket {
    struct store_socket_env env;
    struct uuid client;
    char *dir;
    bool knows_copies;
    char *executable;
    uint64_t lease_ns;
    unsigned idle_ms;
    unsigned long long map_max;
    const char *node_id;
    bool log_json;

    enum socket_state state;
    int epoll_fd;
    int fd;
    uint32_t interest;
    struct buf in;
    struct session session;
    struct store_starter starter;
    struct store_socket_stats stats;
    char problem[STORE_ERROR_MAX];
    int problem_error;

    struct timer flush;  /* writes what was asked for in this turn of the loop */
    struct timer tick;   /* retries, pings, silence */
    struct timer expire; /* reads that wait for a connection */
    bool flushes;        /* what is asked for now is written soon, without the timer */
    uint64_t tick_due_ns;
    uint64_t ticked_ns;
    uint64_t retry_ns;
    uint64_t up_ns;          /* when it came up last */
    uint64_t heard_ns;       /* when the process was heard last */
    uint64_t start_after_ns; /* a start that failed is not repeated before */
    pid_t busy_holder;       /* who holds the lock without serving, */
    uint64_t busy_since_ns;  /* and since when it was seen doing that */
};

static uint64_t socket_now(const struct store_socket *s)
{
    return clock_now_ns(s->env.clock);
}

static void socket_set_tick(struct store_socket *s, uint64_t delay_ns)
{
    s->tick_due_ns = socket_now(s) + delay_ns;
    timer_start(&s->tick, delay_ns);
}

static void socket_problem(struct store_socket *s, int error, const char *sentence)
{
    if (strcmp(s->problem, sentence) != 0) {
        char quoted[STORE_ERROR_MAX];
        log_warn(&s->env.log, "store_problem", "error=%s reason=%s", kelpie_error_name(error),
                 log_quote(sentence, quoted, sizeof(quoted)));
        store_sentence(s->problem, sizeof(s->problem), "%s", sentence);
    }
    s->problem_error = error;
}

static void socket_problem_errno(struct store_socket *s, const char *what)
{
    char sentence[STORE_ERROR_MAX];
    store_sentence(sentence, sizeof(sentence), "%s in store directory '%s': %s", what, s->dir,
                   strerror(errno));
    socket_problem(s, KELPIE_E_IO, sentence);
}

/* ---- the connection */

/* The connection is over: completions run. */
static void socket_drop(struct store_socket *s, const char *why)
{
    if (s->state == SOCKET_DOWN)
        return;
    uint64_t now = socket_now(s);
    log_warn(&s->env.log, "store_disconnected", "reason=\"%s\"", why);
    /* The first retry comes at once, unless the last connection was short-lived too. */
    if (s->state == SOCKET_UP && now - s->up_ns > NS_PER_S)
        s->retry_ns = 0;
    s->state = SOCKET_DOWN;
    s->busy_holder = 0;
    close(s->fd);
    s->fd = -1;
    buf_clear(&s->in);
    socket_set_tick(s, s->retry_ns);
    session_down(&s->session);
}

static void socket_interest(struct store_socket *s)
{
    bool pending = s->session.out.len > s->session.out_at;
    uint32_t want = EPOLLIN | (pending ? EPOLLOUT : 0u);
    if (want == s->interest)
        return;
    struct epoll_event ev = {.events = want, .data.fd = s->fd};
    if (epoll_ctl(s->epoll_fd, EPOLL_CTL_MOD, s->fd, &ev) == 0)
        s->interest = want;
}

static void socket_write(struct store_socket *s)
{
    struct session *se = &s->session;
    if (s->state == SOCKET_DOWN)
        return;
    while (se->out.len > se->out_at) {
        ssize_t n = send(s->fd, se->out.data + se->out_at, se->out.len - se->out_at, MSG_NOSIGNAL);
        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0)
            break; /* full, or broken: then reading says so too, after what is left to read */
        se->out_at += (size_t)n;
    }
    if (se->out_at == se->out.len) {
        buf_clear(&se->out);
        se->out_at = 0;
    } else if (se->out_at > SOCKET_READ_CHUNK) {
        buf_consume(&se->out, se->out_at);
        se->out_at = 0;
    }
    socket_interest(s);
}

static void socket_wake(struct store_socket *s)
{
    if (!s->flush.armed && !s->flushes)
        timer_start(&s->flush, 0);
}

static void socket_flush(void *arg)
{
    struct store_socket *s = arg;
    s->flushes = true;
    session_run_deferred(&s->session);
    s->flushes = false;
    socket_write(s);
    if (session_has_deferred(&s->session))
        socket_wake(s);
}

static int socket_greeting(struct store_socket *s, const struct store_frame *f)
{
    uint16_t version;
    struct bytes sentence;
    char text[STORE_ERROR_MAX];
    int err = store_decode_welcome(f->type, f->body, &version, &sentence);
    if (err == KELPIE_E_VERSION) {
        store_sentence(text, sizeof(text),
                       "the store process of '%s' speaks protocol version %d, this program %d: "
                       "stop all programs that use this store, then start them again",
                       s->dir, version, STORE_PROTOCOL_VERSION);
        socket_problem(s, err, text);
    } else if (err == KELPIE_E_REFUSED) {
        store_sentence(text, sizeof(text), "the store process of '%s' refuses this program: %.*s",
                       s->dir, (int)sentence.len, (const char *)sentence.data);
        socket_problem(s, err, text);
    }
    if (err)
        return err;
    s->state = SOCKET_UP;
    s->up_ns = socket_now(s);
    s->busy_holder = 0;
    s->problem[0] = '\0';
    s->problem_error = 0;
    s->stats.connects++;
    log_info(&s->env.log, "store_connected", "connects=%llu",
             (unsigned long long)s->stats.connects);
    session_up(&s->session);
    return 0;
}

static int socket_frame(struct store_socket *s, const struct store_frame *f)
{
    uint64_t number;
    if (s->state == SOCKET_HELLO)
        return socket_greeting(s, f);
    if (f->type == STORE_MSG_PONG)
        return store_decode_number(f->body, &number);
    return session_answer(&s->session, f);
}

/* Returns false when the connection was dropped. */
static bool socket_parse(struct store_socket *s)
{
    size_t at = 0;
    struct store_frame f;
    for (;;) {
        struct bytes rest = bytes_of(s->in.data + at, s->in.len - at);
        int got = rest.len ? store_frame_next(rest, STORE_ANSWER_MAX, &f) : 0;
        if (got == 0)
            break;
        int err = got < 0 ? got : socket_frame(s, &f);
        if (err) {
            socket_drop(s, kelpie_error_text(err));
            return false;
        }
        at += f.size;
    }
    buf_consume(&s->in, at);
    if (s->in.len == 0 && s->in.cap > 4 * SOCKET_READ_CHUNK)
        buf_deinit(&s->in);
    return true;
}

static void socket_read(struct store_socket *s)
{
    while (s->state != SOCKET_DOWN) {
        uint8_t *room = buf_reserve(&s->in, SOCKET_READ_CHUNK);
        ssize_t n = recv(s->fd, room, SOCKET_READ_CHUNK, 0);
        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0 && (errno == EAGAIN || errno == EWOULDBLOCK))
            return;
        if (n <= 0) {
            socket_drop(s, n ? strerror(errno) : "the store process closed the connection");
            return;
        }
        s->heard_ns = socket_now(s);
        s->in.len += (size_t)n;
        if (!socket_parse(s) || (size_t)n < SOCKET_READ_CHUNK)
            return;
    }
}

/* ---- connecting and starting */

static void socket_start_process(struct store_socket *s, uint64_t now)
{
    if (s->starter.state != STORE_START_NONE || now < s->start_after_ns)
        return;
    const struct store_start_options o = {
        .executable = s->executable,
        .dir = s->dir,
        .idle_ms = s->idle_ms,
        .map_max = s->map_max,
        .node_id = s->node_id,
        .log_json = s->log_json,
    };
    s->stats.starts++;
    if (store_starter_start(&s->starter, &o)) {
        s->start_after_ns = now + SOCKET_RETRY_MS_MAX * NS_PER_MS;
        socket_problem(s, s->starter.error, s->starter.sentence);
        return;
    }
    struct epoll_event ev = {.events = EPOLLIN, .data.fd = s->starter.fd};
    if (epoll_ctl(s->epoll_fd, EPOLL_CTL_ADD, s->starter.fd, &ev))
        socket_problem_errno(s, "the start of a store process cannot be followed");
}

/* True when connected to a process of the same user. */
static bool socket_peer_ok(struct store_socket *s)
{
    struct ucred cred;
    socklen_t len = sizeof(cred);
    if (getsockopt(s->fd, SOL_SOCKET, SO_PEERCRED, &cred, &len) == 0 && cred.uid == geteuid())
        return true;
    errno = EPERM;
    socket_problem_errno(s, "the socket is served by another user");
    return false;
}

/* Tries to connect; without a process that listens, starts one. */
static void socket_connect(struct store_socket *s)
{
    uint64_t now = socket_now(s);
    char why[STORE_ERROR_MAX];
    int dir_fd;
    int refused = store_dir_open(s->dir, &dir_fd, why, sizeof(why));
    if (refused) {
        socket_problem(s, refused, why);
        return;
    }
    s->fd = store_socket_connect(dir_fd);
    int err = s->fd < 0 ? errno : 0;
    close(dir_fd);
    if (err == ENOENT || err == ECONNREFUSED)
        socket_start_process(s, now);
    else if (err && err != EAGAIN) {
        errno = err;
        socket_problem_errno(s, "the socket cannot be connected");
    }
    if (err)
        return;
    struct epoll_event ev = {.events = EPOLLIN, .data.fd = s->fd};
    if (!socket_peer_ok(s) || epoll_ctl(s->epoll_fd, EPOLL_CTL_ADD, s->fd, &ev)) {
        close(s->fd);
        s->fd = -1;
        return;
    }
    s->interest = EPOLLIN;
    s->state = SOCKET_HELLO;
    s->heard_ns = now;
    buf_clear(&s->in);
    store_encode_hello(&s->session.out, s->client, s->knows_copies);
    socket_set_tick(s, s->lease_ns / SOCKET_PINGS_PER_LEASE);
    socket_write(s);
}

/* Another process has the lock. If it does not serve for a whole lease, it is stuck. */
static void socket_busy(struct store_socket *s, uint64_t now)
{
    pid_t holder = s->starter.holder;
    if (holder != s->busy_holder) {
        s->busy_holder = holder;
        s->busy_since_ns = now;
    }
    if (now - s->busy_since_ns < s->lease_ns)
        return;
    int dir_fd = open(s->dir, O_PATH | O_DIRECTORY | O_CLOEXEC);
    if (dir_fd >= 0 && store_kill_holder(dir_fd, holder) == 0) {
        s->stats.kills++;
        log_warn(&s->env.log, "store_process_killed", "pid=%d reason=\"does not serve\"",
                 (int)holder);
    }
    if (dir_fd >= 0)
        close(dir_fd);
    s->busy_holder = 0;
}

static void socket_starter_event(struct store_socket *s)
{
    uint64_t now = socket_now(s);
    switch (store_starter_poll(&s->starter)) {
    case STORE_START_PENDING:
        return;
    case STORE_START_OK:
        log_info(&s->env.log, "store_process_started", "starts=%llu",
                 (unsigned long long)s->stats.starts);
        break;
    case STORE_START_BUSY:
        if (s->state == SOCKET_DOWN)
            socket_busy(s, now);
        break;
    case STORE_START_FAILED:
        s->start_after_ns = now + SOCKET_RETRY_MS_MAX * NS_PER_MS;
        socket_problem(s, s->starter.error, s->starter.sentence);
        return;
    }
    if (s->state == SOCKET_DOWN)
        socket_set_tick(s, 0);
}

/* ---- time */

static void socket_silent(struct store_socket *s)
{
    if (store_kill_peer(s->fd) == 0) {
        s->stats.kills++;
        log_warn(&s->env.log, "store_process_killed", "silent_ms=%llu",
                 (unsigned long long)((socket_now(s) - s->heard_ns) / NS_PER_MS));
    } else if (errno != ESRCH) { /* ESRCH: another client was faster */
        socket_problem_errno(s, "the store process is silent and cannot be killed");
    }
    socket_drop(s, "the store process is silent");
}

static void socket_retry(struct store_socket *s)
{
    socket_connect(s);
    if (s->state != SOCKET_DOWN)
        return;
    s->retry_ns = s->retry_ns ? s->retry_ns * 2 : SOCKET_RETRY_MS_MIN * NS_PER_MS;
    if (s->retry_ns > SOCKET_RETRY_MS_MAX * NS_PER_MS)
        s->retry_ns = SOCKET_RETRY_MS_MAX * NS_PER_MS;
    /* What was started says when it is ready; another one that is just starting does not. */
    uint64_t soon = 10 * SOCKET_RETRY_MS_MIN * NS_PER_MS;
    uint64_t delay =
        s->starter.state == STORE_START_RUNNING && s->retry_ns > soon ? soon : s->retry_ns;
    socket_set_tick(s, delay);
}

static void socket_tick(void *arg)
{
    struct store_socket *s = arg;
    uint64_t now = socket_now(s), every = s->lease_ns / SOCKET_PINGS_PER_LEASE;
    if (s->state == SOCKET_DOWN) {
        socket_retry(s);
        s->ticked_ns = now;
        return;
    }
    /* If this process was the one that stood still, nobody had a chance to be heard. */
    if (now - s->ticked_ns > 2 * every)
        s->heard_ns = now;
    s->ticked_ns = now;
    socket_set_tick(s, every);
    socket_read(s);
    if (s->state == SOCKET_DOWN)
        return;
    if (now > s->heard_ns && now - s->heard_ns >= s->lease_ns) {
        socket_silent(s);
        return;
    }
    if (s->state == SOCKET_UP)
        store_encode_ping(&s->session.out, now);
    socket_write(s);
}

static void socket_expire(void *arg)
{
    struct store_socket *s = arg;
    uint64_t wait = SOCKET_WAIT_MS * NS_PER_MS, now = socket_now(s), next;
    if (session_expire(&s->session, now > wait ? now - wait : 0, &next))
        timer_start(&s->expire, next + wait > now ? next + wait - now : 0);
}

/* ---- the loop */

void store_socket_ready(void *arg)
{
    struct store_socket *s = arg;
    s->flushes = true;
    if (s->starter.state == STORE_START_RUNNING)
        socket_starter_event(s);
    socket_read(s);
    s->flushes = false;
    socket_write(s);
    if (session_has_deferred(&s->session))
        socket_wake(s);
}

int store_socket_fd(const struct store_socket *s)
{
    return s->epoll_fd;
}

int store_socket_wait(struct store_socket *s, unsigned timeout_ms, char *error, size_t error_size)
{
    uint64_t begin = socket_now(s), limit = timeout_ms * NS_PER_MS;
    while (s->state != SOCKET_UP) {
        uint64_t now = socket_now(s);
        if (s->problem[0]) {
            store_sentence(error, error_size, "%s", s->problem);
            return s->problem_error;
        }
        if (now - begin >= limit) {
            store_sentence(error, error_size,
                           "the store process of '%s' did not answer within %u ms; see %s there",
                           s->dir, timeout_ms, STORE_LOG_FILE);
            return KELPIE_E_STORE_UNAVAILABLE;
        }
        uint64_t left = s->tick_due_ns > now ? s->tick_due_ns - now : 0;
        if (left > limit - (now - begin))
            left = limit - (now - begin);
        struct pollfd p = {.fd = s->epoll_fd, .events = POLLIN};
        if (poll(&p, 1, (int)((left + NS_PER_MS - 1) / NS_PER_MS)) > 0)
            store_socket_ready(s);
        if (s->state != SOCKET_UP && socket_now(s) >= s->tick_due_ns)
            socket_tick(s);
    }
    return 0;
}

bool store_socket_connected(const struct store_socket *s)
{
    return s->state == SOCKET_UP;
}

const char *store_socket_problem(const struct store_socket *s)
{
    return s->problem;
}

struct store_socket_stats store_socket_stats(const struct store_socket *s)
{
    return s->stats;
}

/* ---- the operations */

static void op_read(void *ctx, struct store_req *req)
{
    struct store_socket *s = ctx;
    bool waits = s->state != SOCKET_UP;
    session_read(&s->session, req, waits ? socket_now(s) : 0);
    if (waits && !s->expire.armed)
        timer_start(&s->expire, SOCKET_WAIT_MS * NS_PER_MS);
    socket_wake(s);
}

static void op_commit(void *ctx, struct store_req *req)
{
    struct store_socket *s = ctx;
    session_commit(&s->session, req);
    socket_wake(s);
}

static void op_cancel(void *ctx, struct store_req *req)
{
    struct store_socket *s = ctx;
    session_cancel(&s->session, req);
}

static void op_release(void *ctx, struct store_req *req)
{
    struct store_socket *s = ctx;
    mem_free(s->env.mem, req->results);
    req->results = NULL;
}

static void op_watch(void *ctx, struct store_watch *w)
{
    struct store_socket *s = ctx;
    session_watch(&s->session, w);
    socket_wake(s);
}

static void op_unwatch(void *ctx, struct store_watch *w)
{
    struct store_socket *s = ctx;
    session_unwatch(&s->session, w);
    socket_wake(s);
}

struct store store_socket_store(struct store_socket *s)
{
    static const struct store_ops ops = {
        .read = op_read,
        .commit = op_commit,
        .cancel = op_cancel,
        .release = op_release,
        .watch = op_watch,
        .unwatch = op_unwatch,
    };
    return (struct store){.ops = &ops, .ctx = s};
}

/* ---- life */

int store_socket_new(const struct store_socket_env *env, const struct store_socket_options *o,
                     struct store_socket **out)
{
    int epoll_fd = epoll_create1(EPOLL_CLOEXEC);
    if (epoll_fd < 0)
        return KELPIE_E_IO;
    struct store_socket *s = MEM_NEW(env->mem, struct store_socket);
    s->env = *env;
    s->client = random_uuid(env->random);
    s->dir = mem_strndup(env->mem, o->dir, strlen(o->dir));
    if (o->executable)
        s->executable = mem_strndup(env->mem, o->executable, strlen(o->executable));
    s->lease_ns = (o->lease_ms ? o->lease_ms : SOCKET_LEASE_MS) * NS_PER_MS;
    s->knows_copies = o->knows_copies;
    s->idle_ms = o->idle_ms;
    s->map_max = o->map_max;
    s->node_id = o->node_id;
    s->log_json = o->log_json;
    s->epoll_fd = epoll_fd;
    s->fd = -1;
    buf_init(&s->in, env->mem);
    session_init(&s->session, env->mem, SOCKET_REQUESTS_MAX, SOCKET_OUT_MAX);
    store_starter_init(&s->starter);
    timer_init(&s->flush, env->timers, "store_flush", socket_flush, s);
    timer_init(&s->tick, env->timers, "store_tick", socket_tick, s);
    timer_init(&s->expire, env->timers, "store_expire", socket_expire, s);
    s->ticked_ns = socket_now(s);
    socket_set_tick(s, 0);
    *out = s;
    return 0;
}

void store_socket_free(struct store_socket *s)
{
    if (!s)
        return;
    session_close(&s->session);
    if (s->fd >= 0)
        close(s->fd);
    store_starter_deinit(&s->starter);
    close(s->epoll_fd);
    timer_stop(&s->flush);
    timer_stop(&s->tick);
    timer_stop(&s->expire);
    session_deinit(&s->session);
    buf_deinit(&s->in);
    mem_free(s->env.mem, s->dir);
    mem_free(s->env.mem, s->executable);
    mem_free(s->env.mem, s);
}

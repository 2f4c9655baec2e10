#include "store/store_server.h"

#include <errno.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include "kelpie/error.h"
#include "store/copy_mark.h"
#include "store/store_protocol.h"

#define SERVER_EVENTS 64
#define ARENA_CHUNK (128u * 1024) /* holds the largest commit */

struct server_client {
    struct list link;    /* in server->clients or server->dead */
    struct list dirty;   /* in server->dirty: has answers to write */
    struct list fed;     /* in server->fed: has parsed input to drop */
    struct list stalled; /* in server->stalled: has requests that wait for answers to be written */
    struct store_server *server;
    int fd;
    pid_t pid;
    bool welcome; /* it said hello */
    bool dead;
    uint32_t interest; /* epoll events asked for */
    struct uuid id;
    uint64_t since_ms;
    struct buf in;
    size_t in_at; /* parsed so far; requests of this turn point before it */
    struct buf out;
    size_t out_at;      /* written so far */
    struct map watches; /* struct server_watch by id */
};

struct server_watch {
    struct map_node node;
    struct core_watch core;
    struct server_client *client;
    uint64_t id;
    uint8_t id_key[8];
    uint8_t key[];
};

struct server_commit {
    struct core_commit core;
    struct server_client *client;
    uint64_t id;
    struct list link; /* in server->commits */
};

struct arena_chunk {
    struct list link;
    size_t used;
    uint8_t data[];
};

struct store_server {
    struct mem mem;
    const struct log *log;
    struct core *core;
    int epoll_fd;
    int listen_fd;
    struct list clients;
    struct list dead;
    struct list dirty;
    struct list fed;
    struct list stalled;
    struct list commits; /* of this turn */
    struct list arena;   /* struct arena_chunk; memory of this turn's commits */
    size_t client_count;
    size_t welcome_count;
    uint64_t swept_ms;
};

static uint64_t server_now_ms(void)
{
    struct timespec ts;
    clock_gettime(CLOCK_MONOTONIC, &ts);
    return (uint64_t)ts.tv_sec * 1000 + (uint64_t)ts.tv_nsec / 1000000;
}

/* ---- memory of a turn */

static void *arena_take(struct store_server *s, size_t size)
{
    size = (size + 15) & ~(size_t)15;
    CHECK(size <= ARENA_CHUNK);
    struct arena_chunk *c =
        list_empty(&s->arena) ? NULL : LIST_ENTRY(s->arena.prev, struct arena_chunk, link);
    if (!c || ARENA_CHUNK - c->used < size) {
        c = mem_alloc(s->mem, sizeof(*c) + ARENA_CHUNK);
        c->used = 0;
        list_append(&s->arena, &c->link);
    }
    void *p = c->data + c->used;
    c->used += size;
    return p;
}

/* Keeps the first chunk. */
static void arena_reset(struct store_server *s)
{
    while (!list_empty(&s->arena) && s->arena.next != s->arena.prev) {
        struct list *last = s->arena.prev;
        list_remove(last);
        mem_free(s->mem, LIST_ENTRY(last, struct arena_chunk, link));
    }
    if (!list_empty(&s->arena))
        LIST_ENTRY(s->arena.next, struct arena_chunk, link)->used = 0;
}

/* ---- clients */

static void watch_free(struct server_watch *w)
{
    map_remove(&w->client->watches, &w->node);
    core_unwatch(w->client->server->core, &w->core);
    mem_free(w->client->server->mem, w);
}

/* Ends a session. What it committed in this turn still happens, unanswered; its memory stays until
 * the end of the turn, because those commits point into its input. */
static void client_drop(struct server_client *c)
{
    if (c->dead)
        return;
    struct store_server *s = c->server;
    c->dead = true;
    close(c->fd);
    s->client_count--;
    s->welcome_count -= c->welcome;
    struct map_node *node;
    while ((node = c->watches.root))
        watch_free(MAP_ENTRY(node, struct server_watch, node));
    list_remove(&c->dirty);
    list_remove(&c->stalled);
    list_remove(&c->link);
    list_append(&s->dead, &c->link);
}

static void client_free(struct server_client *c)
{
    list_remove(&c->link);
    list_remove(&c->fed);
    buf_deinit(&c->in);
    buf_deinit(&c->out);
    mem_free(c->server->mem, c);
}

static size_t client_waiting(const struct server_client *c)
{
    return c->out.len - c->out_at;
}

static void client_interest(struct server_client *c)
{
    uint32_t want = client_waiting(c) > 0 ? EPOLLOUT : 0;
    if (client_waiting(c) <= SERVER_OUT_HIGH)
        want |= EPOLLIN;
    if (want == c->interest)
        return;
    c->interest = want;
    struct epoll_event ev = {.events = want, .data.ptr = c};
    if (epoll_ctl(c->server->epoll_fd, EPOLL_CTL_MOD, c->fd, &ev))
        client_drop(c);
}

/* Something was appended to c->out. */
static void client_dirty(struct server_client *c)
{
    if (list_empty(&c->dirty))
        list_append(&c->server->dirty, &c->dirty);
}

static void client_write(struct server_client *c)
{
    while (client_waiting(c) > 0) {
        ssize_t n = send(c->fd, c->out.data + c->out_at, client_waiting(c), MSG_NOSIGNAL);
        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0 && (errno == EAGAIN || errno == EWOULDBLOCK))
            break;
        if (n < 0) {
            client_drop(c);
            return;
        }
        c->out_at += (size_t)n;
    }
    if (client_waiting(c) == 0) {
        c->out_at = 0;
        if (c->out.cap > SERVER_OUT_HIGH)
            buf_deinit(&c->out);
        else
            buf_clear(&c->out);
    }
    if (c->out_at > SERVER_OUT_HIGH) {
        buf_consume(&c->out, c->out_at);
        c->out_at = 0;
    }
    if (client_waiting(c) > SERVER_OUT_MAX) {
        log_warn(c->server->log, "store_client_dropped", "pid=%d reason=\"does not read\"",
                 (int)c->pid);
        client_drop(c);
        return;
    }
    client_interest(c);
}

/* ---- requests */

/* The former session of the same client ends, with what it queued in this very turn: none of it may
 * land after the new session's hello was answered. */
static void client_supersede(struct server_client *c)
{
    struct store_server *s = c->server;
    LIST_FOREACH_SAFE(it, next, &s->clients)
    {
        struct server_client *old = LIST_ENTRY(it, struct server_client, link);
        if (old == c || !old->welcome || !uuid_equal(old->id, c->id))
            continue;
        LIST_FOREACH_SAFE(ct, after, &s->commits)
        {
            struct server_commit *commit = LIST_ENTRY(ct, struct server_commit, link);
            if (commit->client != old)
                continue;
            core_cancel(s->core, &commit->core);
            list_remove(&commit->link);
        }
        log_info(s->log, "store_session_superseded", "pid=%d", (int)old->pid);
        client_drop(old);
    }
}

/* A copy that is put in its original's place is older than what its nodes remember: nodes do not get in
 * before an operator has made it an epoch of its own. */
static int refuse_copy(struct server_client *c)
{
    char why[COPY_WHY_SIZE];
    int err = copy_mark_find(c->server->core, why);
    if (err || !why[0])
        return err;
    store_encode_refused(&c->out, why);
    return KELPIE_E_REFUSED;
}

static int request_hello(struct server_client *c, struct bytes body)
{
    bool knows_copies;
    int err = c->welcome ? KELPIE_E_PROTOCOL : store_decode_hello(body, &c->id, &knows_copies);
    if (err == KELPIE_E_VERSION) {
        store_encode_refused(&c->out, "it speaks another protocol version");
        client_dirty(c);
        client_write(c);
    }
    if (!err && !knows_copies) {
        err = refuse_copy(c);
        if (err == KELPIE_E_REFUSED) {
            client_dirty(c);
            client_write(c);
        }
    }
    if (err)
        return err;
    client_supersede(c);
    c->welcome = true;
    c->server->welcome_count++;
    store_encode_welcome(&c->out);
    client_dirty(c);
    return 0;
}

static void rows_row(void *arg, size_t index, struct bytes key, struct bytes value)
{
    (void)index;
    store_rows_row(arg, key, value);
}

static void rows_end(void *arg, size_t index, bool more)
{
    (void)index;
    store_rows_result(arg, more);
}

static int request_read(struct server_client *c, struct bytes body)
{
    struct store_read reads[STORE_READS_MAX];
    uint64_t id, version = 0;
    size_t count;
    int err = store_decode_read(body, &id, reads, &count);
    if (err)
        return err;
    struct store_rows_writer w;
    store_rows_begin(&w, &c->out, id);
    const struct core_sink sink = {.row = rows_row, .end = rows_end, .arg = &w};
    err = core_read(c->server->core, reads, count, &sink, &version);
    if (err == KELPIE_E_STORE_CORRUPT)
        log_error(c->server->log, "store_read_failed", "error=%s", kelpie_error_name(err));
    store_rows_end(&w, err, version);
    client_dirty(c);
    return 0;
}

static void on_committed(struct core_commit *core, int status)
{
    struct server_commit *commit = CONTAINER_OF(core, struct server_commit, core);
    struct server_client *c = commit->client;
    list_remove(&commit->link);
    if (c->dead)
        return;
    store_encode_committed(&c->out, commit->id, status, core->version);
    client_dirty(c);
}

static int request_commit(struct server_client *c, struct bytes body)
{
    struct store_server *s = c->server;
    struct store_commit_msg head;
    int err = store_decode_commit_head(body, &head);
    if (err)
        return err;
    struct server_commit *commit = arena_take(s, sizeof(*commit));
    struct key_range *ranges = arena_take(s, head.range_count * sizeof(*ranges));
    struct store_write *writes = arena_take(s, head.write_count * sizeof(*writes));
    err = store_decode_commit(body, &head, ranges, writes);
    if (err)
        return err;
    *commit = (struct server_commit){
        .core = {.conflicts = ranges,
                 .conflict_count = head.range_count,
                 .writes = writes,
                 .write_count = head.write_count,
                 .read_version = head.read_version,
                 .fn = on_committed,
                 .arg = s},
        .client = c,
        .id = head.id,
    };
    list_append(&s->commits, &commit->link);
    core_enqueue(s->core, &commit->core);
    return 0;
}

static void client_fired(struct server_client *c, uint64_t id)
{
    store_encode_number(&c->out, STORE_MSG_FIRED, id);
    client_dirty(c);
}

static void on_fired(struct core_watch *core)
{
    struct server_watch *w = CONTAINER_OF(core, struct server_watch, core);
    client_fired(w->client, w->id);
    watch_free(w);
}

static void id_key(uint64_t id, uint8_t key[8])
{
    for (int i = 0; i < 8; i++)
        key[i] = (uint8_t)(id >> (8 * (7 - i)));
}

static int request_watch(struct server_client *c, struct bytes body)
{
    uint64_t id, since;
    struct bytes key;
    int err = store_decode_watch(body, &id, &since, &key);
    if (err)
        return err;
    if (c->watches.count >= SERVER_CLIENT_WATCHES_MAX) {
        client_fired(c, id);
        return 0;
    }
    struct server_watch *w = mem_alloc(c->server->mem, sizeof(*w) + key.len);
    *w = (struct server_watch){.client = c, .id = id};
    id_key(id, w->id_key);
    if (key.len)
        memcpy(w->key, key.data, key.len);
    if (map_insert(&c->watches, &w->node, bytes_of(w->id_key, sizeof(w->id_key)))) {
        mem_free(c->server->mem, w);
        return KELPIE_E_PROTOCOL; /* an id in use */
    }
    w->core = (struct core_watch){
        .key = bytes_of(w->key, key.len), .since_version = since, .fn = on_fired};
    core_watch(c->server->core, &w->core);
    return 0;
}

static int request_unwatch(struct server_client *c, struct bytes body)
{
    uint64_t id;
    uint8_t key[8];
    int err = store_decode_number(body, &id);
    if (err)
        return err;
    id_key(id, key);
    struct map_node *node = map_find(&c->watches, bytes_of(key, sizeof(key)));
    if (node)
        watch_free(MAP_ENTRY(node, struct server_watch, node));
    return 0; /* it may have fired meanwhile */
}

static int request_ping(struct server_client *c, struct bytes body)
{
    uint64_t number;
    int err = store_decode_number(body, &number);
    if (err)
        return err;
    store_encode_number(&c->out, STORE_MSG_PONG, number);
    client_dirty(c);
    return 0;
}

static int client_request(struct server_client *c, const struct store_frame *f)
{
    if (!c->welcome && f->type != STORE_MSG_HELLO)
        return KELPIE_E_PROTOCOL;
    switch (f->type) {
    case STORE_MSG_HELLO:
        return request_hello(c, f->body);
    case STORE_MSG_READ:
        return request_read(c, f->body);
    case STORE_MSG_COMMIT:
        return request_commit(c, f->body);
    case STORE_MSG_WATCH:
        return request_watch(c, f->body);
    case STORE_MSG_UNWATCH:
        return request_unwatch(c, f->body);
    case STORE_MSG_PING:
        return request_ping(c, f->body);
    default:
        return KELPIE_E_PROTOCOL;
    }
}

/* Handles the whole frames that are there, until too much waits to be written. */
static void client_parse(struct server_client *c)
{
    struct store_frame f;
    list_remove(&c->stalled);
    while (!c->dead) {
        struct bytes rest = bytes_of(c->in.data + c->in_at, c->in.len - c->in_at);
        int got = rest.len ? store_frame_next(rest, STORE_REQUEST_MAX, &f) : 0;
        if (got == 0)
            return;
        if (client_waiting(c) > SERVER_OUT_HIGH) {
            list_append(&c->server->stalled, &c->stalled);
            return;
        }
        if (list_empty(&c->fed))
            list_append(&c->server->fed, &c->fed);
        int err = got < 0 ? got : client_request(c, &f);
        if (err) {
            log_warn(c->server->log, "store_client_dropped", "pid=%d reason=\"%s\"", (int)c->pid,
                     kelpie_error_text(err));
            client_drop(c);
            return;
        }
        c->in_at += f.size;
    }
}

static void client_read(struct server_client *c)
{
    uint8_t *room = buf_reserve(&c->in, SERVER_READ_CHUNK);
    ssize_t n = recv(c->fd, room, SERVER_READ_CHUNK, 0);
    if (n < 0 && (errno == EAGAIN || errno == EWOULDBLOCK || errno == EINTR))
        return;
    if (n <= 0) {
        client_drop(c);
        return;
    }
    c->in.len += (size_t)n;
    client_parse(c);
}

static void client_event(struct server_client *c, uint32_t events)
{
    if (!c->dead && (events & EPOLLOUT))
        client_write(c);
    if (c->dead || !(events & (EPOLLIN | EPOLLHUP | EPOLLERR)))
        return;
    /* Not when requests of this turn point into the buffer that would grow. */
    if (list_empty(&c->fed) && list_empty(&c->stalled))
        client_read(c);
    else if (events & (EPOLLHUP | EPOLLERR))
        client_drop(c);
}

/* ---- accepting */

void store_server_adopt(struct store_server *s, int fd)
{
    struct ucred cred = {.pid = 0};
    socklen_t len = sizeof(cred);
    if (getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &cred, &len) || cred.uid != geteuid()) {
        log_warn(s->log, "store_client_refused", "pid=%d uid=%d reason=\"another user\"",
                 (int)cred.pid, (int)cred.uid);
        close(fd);
        return;
    }
    if (s->client_count >= SERVER_CLIENTS_MAX) {
        log_warn(s->log, "store_client_refused", "pid=%d reason=\"too many clients\" max=%d",
                 (int)cred.pid, SERVER_CLIENTS_MAX);
        close(fd);
        return;
    }
    struct server_client *c = MEM_NEW(s->mem, struct server_client);
    c->server = s;
    c->fd = fd;
    c->pid = cred.pid;
    c->interest = EPOLLIN;
    c->since_ms = server_now_ms();
    buf_init(&c->in, s->mem);
    buf_init(&c->out, s->mem);
    map_init(&c->watches);
    list_init(&c->dirty);
    list_init(&c->fed);
    list_init(&c->stalled);
    list_append(&s->clients, &c->link);
    s->client_count++;
    struct epoll_event ev = {.events = EPOLLIN, .data.ptr = c};
    if (epoll_ctl(s->epoll_fd, EPOLL_CTL_ADD, fd, &ev))
        client_drop(c);
}

static void server_accept(struct store_server *s)
{
    for (;;) {
        int fd = accept4(s->listen_fd, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);
        if (fd < 0 && (errno == EINTR || errno == ECONNABORTED))
            continue;
        if (fd < 0)
            return; /* none is waiting, or too many files are open: the next turn tries again */
        store_server_adopt(s, fd);
    }
}

/* ---- turns */

/* Drops those who connect and say nothing. */
static void server_sweep(struct store_server *s)
{
    uint64_t now = server_now_ms();
    if (now - s->swept_ms < 1000)
        return;
    s->swept_ms = now;
    LIST_FOREACH_SAFE(it, next, &s->clients)
    {
        struct server_client *c = LIST_ENTRY(it, struct server_client, link);
        if (!c->welcome && now - c->since_ms > SERVER_HELLO_MS_MAX)
            client_drop(c);
    }
}

static void server_end_turn(struct store_server *s)
{
    core_flush(s->core);
    CHECK(list_empty(&s->commits));
    arena_reset(s);
    struct list *item;
    while ((item = list_pop(&s->dirty)))
        client_write(LIST_ENTRY(item, struct server_client, dirty));
    while ((item = list_pop(&s->fed))) {
        struct server_client *c = LIST_ENTRY(item, struct server_client, fed);
        buf_consume(&c->in, c->in_at);
        c->in_at = 0;
        if (c->in.len == 0 && c->in.cap > 2 * SERVER_READ_CHUNK)
            buf_deinit(&c->in);
    }
    while (!list_empty(&s->dead))
        client_free(LIST_ENTRY(s->dead.next, struct server_client, link));
}

/* Takes up requests that had to wait. */
static void server_resume(struct store_server *s)
{
    LIST_FOREACH_SAFE(it, next, &s->stalled)
    {
        struct server_client *c = LIST_ENTRY(it, struct server_client, stalled);
        if (client_waiting(c) <= SERVER_OUT_HIGH)
            client_parse(c);
    }
}

static bool server_busy(const struct store_server *s)
{
    LIST_FOREACH(it, &s->stalled)
    {
        if (client_waiting(LIST_ENTRY(it, struct server_client, stalled)) <= SERVER_OUT_HIGH)
            return true;
    }
    return core_pending(s->core);
}

int store_server_turn(struct store_server *s, int timeout_ms)
{
    struct epoll_event events[SERVER_EVENTS];
    int n = epoll_wait(s->epoll_fd, events, SERVER_EVENTS, server_busy(s) ? 0 : timeout_ms);
    if (n < 0 && errno != EINTR)
        return KELPIE_E_IO;
    for (int i = 0; i < n; i++) {
        if (events[i].data.ptr)
            client_event(events[i].data.ptr, events[i].events);
        else
            server_accept(s);
    }
    server_resume(s);
    server_sweep(s);
    server_end_turn(s);
    return 0;
}

size_t store_server_clients(const struct store_server *s)
{
    return s->welcome_count;
}

struct store_server *store_server_new(struct mem mem, const struct log *log, struct core *core,
                                      int listen_fd)
{
    int epoll_fd = epoll_create1(EPOLL_CLOEXEC);
    if (epoll_fd < 0)
        return NULL;
    struct epoll_event ev = {.events = EPOLLIN, .data.ptr = NULL};
    if (listen_fd >= 0 && epoll_ctl(epoll_fd, EPOLL_CTL_ADD, listen_fd, &ev)) {
        close(epoll_fd);
        return NULL;
    }
    struct store_server *s = MEM_NEW(mem, struct store_server);
    s->mem = mem;
    s->log = log;
    s->core = core;
    s->epoll_fd = epoll_fd;
    s->listen_fd = listen_fd;
    list_init(&s->clients);
    list_init(&s->dead);
    list_init(&s->dirty);
    list_init(&s->fed);
    list_init(&s->stalled);
    list_init(&s->commits);
    list_init(&s->arena);
    s->swept_ms = server_now_ms();
    return s;
}

void store_server_free(struct store_server *s)
{
    if (!s)
        return;
    while (!list_empty(&s->clients))
        client_drop(LIST_ENTRY(s->clients.next, struct server_client, link));
    while (!list_empty(&s->dead))
        client_free(LIST_ENTRY(s->dead.next, struct server_client, link));
    arena_reset(s);
    if (!list_empty(&s->arena))
        mem_free(s->mem, LIST_ENTRY(s->arena.next, struct arena_chunk, link));
    close(s->epoll_fd);
    mem_free(s->mem, s);
}

/* The server of the store process and what comes over its socket, in one process: sessions that
 * replace each other, frames that lie, clients that do not read. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#include <errno.h>
#include <fcntl.h>
#include <sys/socket.h>
#include <unistd.h>

#include "kelpie/error.h"
#include "store/heap_mem.h"
#include "store/omap_memory.h"
#include "store/store_protocol.h"
#include "store/store_server.h"

struct served {
    struct omap_memory *map;
    struct core *core;
    struct store_server *server;
    struct log log;
    unsigned warnings;
};

struct peer {
    int fd;
    struct buf out;
    struct buf in;
};

static void on_log(void *ctx, enum log_level level, const char *event, const char *fields)
{
    (void)event;
    (void)fields;
    struct served *s = ctx;
    s->warnings += level >= LOG_WARN;
}

static void serve(struct served *s)
{
    static const struct log_ops ops = {on_log};
    memset(s, 0, sizeof(*s));
    s->log = (struct log){.ops = &ops, .ctx = s, .min = LOG_DEBUG};
    s->map = omap_memory_new(test_mem(), 0);
    assert_int_equal(core_new(test_mem(), omap_memory_map(s->map), NULL, &s->core), 0);
    s->server = store_server_new(test_mem(), &s->log, s->core, -1);
    assert_non_null(s->server);
}

static void serve_end(struct served *s)
{
    store_server_free(s->server);
    core_free(s->core);
    omap_memory_free(s->map);
    assert_int_equal(test_mem_used(), 0);
}

static void turn(struct served *s)
{
    assert_int_equal(store_server_turn(s->server, 0), 0);
}

static void peer_open(struct served *s, struct peer *p)
{
    int fds[2];
    assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0, fds), 0);
    p->fd = fds[0];
    buf_init(&p->out, test_mem());
    buf_init(&p->in, test_mem());
    store_server_adopt(s->server, fds[1]);
}

static void peer_close(struct peer *p)
{
    close(p->fd);
    buf_deinit(&p->out);
    buf_deinit(&p->in);
}

static void peer_send(struct peer *p)
{
    ssize_t n = send(p->fd, p->out.data, p->out.len, MSG_NOSIGNAL);
    assert_int_equal(n, p->out.len);
    buf_clear(&p->out);
}

/* Takes what has come; false when the connection was closed. */
static bool peer_receive(struct peer *p)
{
    for (;;) {
        ssize_t n = recv(p->fd, buf_reserve(&p->in, 65536), 65536, 0);
        if (n < 0 && errno == EAGAIN)
            return true;
        if (n <= 0)
            return false;
        p->in.len += (size_t)n;
    }
}

/* The next frame, of this type; its body stays until the next one is taken. */
static struct bytes peer_expect(struct peer *p, enum store_msg type)
{
    static uint8_t copy[1024];
    struct store_frame f;
    (void)peer_receive(p);
    int got = store_frame_next(buf_bytes(&p->in), STORE_ANSWER_MAX, &f);
    assert_int_equal(got, 1);
    assert_int_equal(f.type, type);
    size_t len = f.body.len < sizeof(copy) ? f.body.len : sizeof(copy);
    memcpy(copy, f.body.data, len);
    buf_consume(&p->in, f.size);
    return bytes_of(copy, len);
}

static struct uuid client_id(uint8_t n)
{
    return (struct uuid){.b = {n}};
}

static void peer_hello(struct served *s, struct peer *p, uint8_t n)
{
    store_encode_hello(&p->out, client_id(n), false);
    peer_send(p);
    turn(s);
    (void)peer_expect(p, STORE_MSG_WELCOME);
}

static void encode_put(struct buf *out, uint64_t id, const char *key, struct bytes value)
{
    const struct store_write w = {.kind = STORE_PUT, .key = bytes_of_str(key), .value = value};
    store_encode_commit(out, id, 0, NULL, 0, &w, 1);
}

static int expect_committed(struct peer *p, uint64_t id)
{
    uint64_t got, version;
    int status;
    struct bytes body = peer_expect(p, STORE_MSG_COMMITTED);
    assert_int_equal(store_decode_committed(body, &got, &status, &version), 0);
    assert_int_equal(got, id);
    return status;
}

static void test_requests(void **state)
{
    (void)state;
    struct served s;
    struct peer p;
    serve(&s);
    peer_open(&s, &p);
    peer_hello(&s, &p, 1);
    assert_int_equal(store_server_clients(s.server), 1);
    /* All that comes together is answered together; a watch fires after the commit. */
    encode_put(&p.out, 1, "k", bytes_of_str("1"));
    store_encode_watch(&p.out, 2, core_version(s.core), bytes_of_str("k"));
    store_encode_ping(&p.out, 3);
    peer_send(&p);
    turn(&s);
    (void)peer_expect(&p, STORE_MSG_PONG);
    assert_int_equal(expect_committed(&p, 1), 0);
    uint64_t id;
    assert_int_equal(store_decode_number(peer_expect(&p, STORE_MSG_FIRED), &id), 0);
    assert_int_equal(id, 2);
    const struct store_read r = {.key = bytes_of_str("k")};
    store_encode_read(&p.out, 4, &r, 1);
    peer_send(&p);
    turn(&s);
    struct store_rows_msg rows;
    assert_int_equal(store_decode_rows(peer_expect(&p, STORE_MSG_ROWS), test_mem(), &rows), 0);
    assert_int_equal(rows.id, 4);
    assert_int_equal(rows.result_count, 1);
    assert_true(bytes_equal(rows.results[0].rows[0].value, bytes_of_str("1")));
    mem_free(test_mem(), rows.results);
    peer_close(&p);
    turn(&s);
    assert_int_equal(store_server_clients(s.server), 0);
    serve_end(&s);
}

/* What an old session sent is not committed once the new one is welcome. */
static void test_superseded(void **state)
{
    (void)state;
    struct served s;
    struct peer old, other, new;
    serve(&s);
    peer_open(&s, &old);
    peer_hello(&s, &old, 1);
    peer_open(&s, &other);
    peer_hello(&s, &other, 2);
    peer_open(&s, &new);
    /* All of this is there before the server looks: whether it takes the old session's commit up
     * first or not, it does not land. */
    encode_put(&old.out, 1, "old", bytes_of_str("1"));
    peer_send(&old);
    encode_put(&other.out, 1, "other", bytes_of_str("1"));
    peer_send(&other);
    store_encode_hello(&new.out, client_id(1), false);
    peer_send(&new);
    turn(&s);
    (void)peer_expect(&new, STORE_MSG_WELCOME);
    assert_false(peer_receive(&old));
    assert_int_equal(expect_committed(&other, 1), 0);
    turn(&s);
    const struct store_read r[] = {{.key = bytes_of_str("old")}, {.key = bytes_of_str("other")}};
    store_encode_read(&new.out, 1, r, 2);
    peer_send(&new);
    turn(&s);
    struct store_rows_msg rows;
    assert_int_equal(store_decode_rows(peer_expect(&new, STORE_MSG_ROWS), test_mem(), &rows), 0);
    assert_int_equal(rows.results[0].count, 0);
    assert_int_equal(rows.results[1].count, 1);
    mem_free(test_mem(), rows.results);
    peer_close(&old);
    peer_close(&other);
    peer_close(&new);
    serve_end(&s);
}

static void test_version(void **state)
{
    (void)state;
    struct served s;
    struct peer p;
    serve(&s);
    peer_open(&s, &p);
    store_encode_hello(&p.out, client_id(1), false);
    p.out.data[STORE_FRAME_HEAD + 5]++; /* the version's low byte */
    peer_send(&p);
    turn(&s);
    uint16_t version;
    struct bytes sentence;
    assert_false(peer_receive(&p));
    struct bytes body = peer_expect(&p, STORE_MSG_REFUSED);
    assert_int_equal(store_decode_welcome(STORE_MSG_REFUSED, body, &version, &sentence),
                     KELPIE_E_REFUSED);
    assert_int_equal(version, STORE_PROTOCOL_VERSION);
    assert_true(sentence.len > 0);
    assert_int_equal(s.warnings, 1);
    peer_close(&p);
    serve_end(&s);
}

/* Each of these ends the connection with one line in the log. */
static void test_lies(void **state)
{
    (void)state;
    static const struct {
        const char *name;
        bool hello;
        const char *bytes;
        size_t len;
    } lies[] = {
        {"no hello first", false, "\0\0\0\x09\x06\0\0\0\0\0\0\0\1", 13},
        {"a second hello", true,
         "\0\0\0\x17\x01KLPS\0\x01"
         "0123456789abcdef",
         27},
        {"not the magic", false,
         "\0\0\0\x17\x01KLPX\0\x01"
         "0123456789abcdef",
         27},
        {"no length", true, "\0\0\0\0\x06", 5},
        {"a length beyond all bounds", true, "\x7f\xff\xff\xff\x03", 5},
        {"an unknown type", true, "\0\0\0\x01\x63", 5},
        {"an answer as a request", true, "\0\0\0\x09\x46\0\0\0\0\0\0\0\1", 13},
        {"a body that is too short", true, "\0\0\0\x05\x06\0\0\0\0", 9},
        {"a body that is too long", true, "\0\0\0\x0a\x06\0\0\0\0\0\0\0\1\1", 14},
        {"too many reads", true, "\0\0\0\x0b\x02\0\0\0\0\0\0\0\1\xff\xff", 15},
        {"fewer reads than it says", true, "\0\0\0\x0b\x02\0\0\0\0\0\0\0\1\0\x02", 15},
        {"a key longer than the frame", true, "\0\0\0\x0f\x02\0\0\0\0\0\0\0\1\0\x01\0\x01\x00k",
         19},
        {"too many writes", true, "\0\0\0\x15\x03\0\0\0\0\0\0\0\1\0\0\0\0\0\0\0\0\0\0\xff\xff", 25},
    };
    for (size_t i = 0; i < ARRAY_LEN(lies); i++) {
        struct served s;
        struct peer p;
        serve(&s);
        peer_open(&s, &p);
        if (lies[i].hello)
            peer_hello(&s, &p, 1);
        buf_append(&p.out, lies[i].bytes, lies[i].len);
        peer_send(&p);
        turn(&s);
        if (peer_receive(&p))
            fail_msg("%s: still connected", lies[i].name);
        assert_int_equal(s.warnings, 1);
        assert_int_equal(store_server_clients(s.server), 0);
        peer_close(&p);
        serve_end(&s);
    }
}

/* Frames that come byte by byte. */
static void test_trickle(void **state)
{
    (void)state;
    struct served s;
    struct peer p;
    serve(&s);
    peer_open(&s, &p);
    store_encode_hello(&p.out, client_id(1), false);
    encode_put(&p.out, 7, "k", bytes_of_str("1"));
    for (size_t i = 0; i < p.out.len; i++) {
        assert_int_equal(send(p.fd, p.out.data + i, 1, 0), 1);
        turn(&s);
    }
    (void)peer_expect(&p, STORE_MSG_WELCOME);
    assert_int_equal(expect_committed(&p, 7), 0);
    peer_close(&p);
    serve_end(&s);
}

/* A client that asks for much and reads nothing: what waits for it is bounded, others are served,
 * and when it reads again it gets every answer. */
static void test_does_not_read(void **state)
{
    (void)state;
    struct served s;
    struct peer greedy, other;
    static uint8_t value[90000];
    serve(&s);
    peer_open(&s, &greedy);
    peer_hello(&s, &greedy, 1);
    peer_open(&s, &other);
    peer_hello(&s, &other, 2);
    encode_put(&other.out, 1, "big", bytes_of(value, sizeof(value)));
    peer_send(&other);
    turn(&s);
    assert_int_equal(expect_committed(&other, 1), 0);
    long before = test_mem_used();
    const struct store_read r = {.key = bytes_of_str("big")};
    for (uint64_t i = 0; i < 1000; i++)
        store_encode_read(&greedy.out, i, &r, 1);
    encode_put(&greedy.out, 1000, "end", bytes_of_str("1"));
    peer_send(&greedy);
    for (uint64_t i = 0; i < 50; i++) {
        encode_put(&other.out, i, "small", bytes_of_str("1"));
        peer_send(&other);
        turn(&s);
        assert_int_equal(expect_committed(&other, i), 0);
    }
    assert_true(test_mem_used() < before + 50);
    size_t answers = 0;
    struct store_frame f = {.size = 0};
    while (answers < 1001) {
        turn(&s);
        assert_true(peer_receive(&greedy));
        size_t at = 0;
        while (store_frame_next(bytes_of(greedy.in.data + at, greedy.in.len - at), STORE_ANSWER_MAX,
                                &f) == 1) {
            assert_int_equal(f.type, answers < 1000 ? STORE_MSG_ROWS : STORE_MSG_COMMITTED);
            at += f.size;
            answers++;
        }
        buf_consume(&greedy.in, at);
    }
    assert_int_equal(s.warnings, 0);
    peer_close(&greedy);
    peer_close(&other);
    serve_end(&s);
}

/* A client that goes while its commit is queued: it happens, nobody is told, nothing leaks. */
static void test_leaves(void **state)
{
    (void)state;
    struct served s;
    struct peer p, q;
    serve(&s);
    peer_open(&s, &p);
    peer_hello(&s, &p, 1);
    store_encode_watch(&p.out, 1, core_version(s.core), bytes_of_str("k"));
    encode_put(&p.out, 2, "k", bytes_of_str("1"));
    peer_send(&p);
    peer_close(&p);
    turn(&s);
    turn(&s);
    assert_int_equal(store_server_clients(s.server), 0);
    assert_int_equal(omap_memory_rows(s.map), 1);
    peer_open(&s, &q);
    peer_hello(&s, &q, 1);
    peer_close(&q);
    serve_end(&s);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_requests), cmocka_unit_test(test_superseded),
        cmocka_unit_test(test_version),  cmocka_unit_test(test_lies),
        cmocka_unit_test(test_trickle),  cmocka_unit_test(test_does_not_read),
        cmocka_unit_test(test_leaves),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

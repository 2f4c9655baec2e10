/* The HTTP server's bounds: places, bytes, time, descriptors and turns, and what is said of them. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#include <fcntl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>

#include "integration/http_scene.h"
#include "loop/http_conn.h"

#define GET_(path) "GET " path " HTTP/1.1\r\nHost: h\r\n\r\n"
#define LIMIT "\"error\":\"limit\""

static uint64_t cap_count(const struct scene *s, enum http_cap cap)
{
    return http_server_counts(s->server).caps[cap];
}

static bool is_vital(const char *method, const char *path)
{
    return strcmp(method, "GET") == 0 && strcmp(path, "/vital") == 0;
}

/* ---- a log that counts, and a clock that is put forward ---- */

static void count_line(void *ctx, enum log_level level, const char *event, const char *fields)
{
    (void)fields;
    if (level == LOG_WARN && strcmp(event, "limit_reached") == 0)
        ++*(size_t *)ctx;
}

static const struct log_ops count_ops = {.write = count_line};

static uint64_t forward_ns;

static uint64_t later_now_ns(void *ctx)
{
    return clock_now_ns(loop_clock(ctx)) + forward_ns;
}

static uint64_t later_wall_ms(void *ctx)
{
    return clock_wall_ms(loop_clock(ctx));
}

static const struct clock_ops later_ops = {.now_ns = later_now_ns, .wall_ms = later_wall_ms};

static void reopen(struct scene *s)
{
    http_server_free(s->server);
    scene_open_server(s, "127.0.0.1:0");
    s->server->clock = (struct clock){.ops = &later_ops, .ctx = s->loop};
    forward_ns = 0;
}

/* So much later, after the next look at the deadlines. */
static void pass(struct scene *s, uint64_t seconds)
{
    forward_ns += seconds * NS_PER_S;
    scene_run(s, 600 * NS_PER_MS);
}

/* ---- places ---- */

#define PLACES 24 /* for all, */
#define ALL 32    /* and with the spare ones */
#define SILENT 300

/* Connections that say nothing keep nobody out, and cost no request that is under way. */
static void silent_connections_give_way(void **state)
{
    struct scene *s = *state;
    int busy[8], silent[SILENT], fd;
    size_t lines = 0;
    struct log log = {.ops = &count_ops, .ctx = &lines};
    char answer[1024];

    s->options.connections_max = ALL;
    s->options.log = &log;
    reopen(s);
    for (size_t i = 0; i < ARRAY_LEN(busy); i++) {
        busy[i] = raw_open(s);
        raw_send(s, busy[i], bytes_of_str(GET_("/hold")), 4096);
    }
    for (size_t i = 0; i < SILENT; i++) {
        silent[i] = raw_open(s);
        assert_true(http_server_counts(s->server).connections <= PLACES);
    }
    fd = raw_open(s);
    raw_talk(s, fd, bytes_of_str(GET_("/")), "X-Echo", answer, sizeof answer);
    assert_int_equal(s->held_count, ARRAY_LEN(busy));
    for (size_t i = 0; i < ARRAY_LEN(busy); i++) {
        http_exchange_reply(s->held[i], 200, "text/plain", bytes_of_str("held"));
        raw_talk(s, busy[i], bytes_of(NULL, 0), "held", answer, sizeof answer);
        (void)close(busy[i]);
    }
    assert_int_equal(cap_count(s, HTTP_CAP_CONNECTIONS), ARRAY_LEN(busy) + SILENT + 1 - PLACES);
    assert_int_equal(lines, 1);
    pass(s, HTTP_CAP_LOG_S);
    assert_int_equal(lines, 2);
    pass(s, HTTP_CAP_LOG_S);
    assert_int_equal(lines, 2);
    for (size_t i = 0; i < SILENT; i++)
        (void)close(silent[i]);
    (void)close(fd);
}

/* The one that goes is the one that is longest without a request. */
static void who_asked_last_goes_last(void **state)
{
    struct scene *s = *state;
    int fds[PLACES], fd;
    char answer[1024], byte;

    s->options.connections_max = ALL;
    reopen(s);
    for (size_t i = 0; i < PLACES; i++)
        fds[i] = raw_open(s);
    raw_talk(s, fds[0], bytes_of_str(GET_("/")), "X-Echo", answer, sizeof answer);
    fd = raw_open(s);
    assert_int_equal(tcp_read(fds[1], &byte, 1), TCP_CLOSED);
    raw_talk(s, fds[0], bytes_of_str(GET_("/")), "X-Echo", answer, sizeof answer);
    raw_talk(s, fd, bytes_of_str(GET_("/")), "X-Echo", answer, sizeof answer);
    for (size_t i = 0; i < PLACES; i++)
        (void)close(fds[i]);
    (void)close(fd);
}

/* Those who never asked for anything take each other's places, not those of who did, however long ago. */
static void who_asked_for_something_stays(void **state)
{
    struct scene *s = *state;
    int asked[4], silent[SILENT];
    char answer[1024], byte;

    s->options.connections_max = ALL;
    reopen(s);
    for (size_t i = 0; i < ARRAY_LEN(asked); i++) {
        asked[i] = raw_open(s);
        raw_talk(s, asked[i], bytes_of_str(GET_("/")), "X-Echo", answer, sizeof answer);
    }
    for (size_t i = 0; i < SILENT; i++)
        silent[i] = raw_open(s);
    for (size_t i = 0; i < ARRAY_LEN(asked); i++) {
        assert_int_equal(tcp_read(asked[i], &byte, 1), TCP_AGAIN);
        (void)close(asked[i]);
    }
    for (size_t i = 0; i < SILENT; i++)
        (void)close(silent[i]);
}

/* But they may not have more than half of the places when others want to ask for something first. */
static void who_asked_once_leaves_half(void **state)
{
    struct scene *s = *state;
    int asked[PLACES], fresh[PLACES];
    char answer[1024], byte;
    size_t left = 0;

    s->options.connections_max = ALL;
    reopen(s);
    for (size_t i = 0; i < PLACES; i++) {
        asked[i] = raw_open(s);
        raw_talk(s, asked[i], bytes_of_str(GET_("/")), "X-Echo", answer, sizeof answer);
    }
    for (size_t i = 0; i < PLACES; i++)
        fresh[i] = raw_open(s);
    for (size_t i = 0; i < PLACES; i++)
        left += tcp_read(asked[i], &byte, 1) == TCP_AGAIN;
    assert_in_range(left, PLACES / 2 - 1, PLACES / 2);
    for (size_t i = 0; i < PLACES; i++) {
        (void)close(asked[i]);
        (void)close(fresh[i]);
    }
}

/* A connection that was told to come back later is not read for a moment, and then is. */
static void who_was_put_off_is_not_read(void **state)
{
    struct scene *s = *state;
    const struct http_conn *c;
    char answer[1024];
    int fd;

    reopen(s);
    fd = raw_open(s);
    raw_talk(s, fd, bytes_of_str(GET_("/later")), "later", answer, sizeof answer);
    c = LIST_ENTRY(s->server->conns.next, struct http_conn, link);
    assert_false(c->reading);
    raw_talk(s, fd, bytes_of_str(GET_("/")), "X-Echo", answer, sizeof answer);
    assert_true(c->reading);
    assert_int_equal(s->handled, 2);
    /* One that says all it has and closes its side is answered all the same. */
    raw_talk(s, fd, bytes_of_str(GET_("/later") GET_("/vital")), "later", answer, sizeof answer);
    assert_int_equal(shutdown(fd, SHUT_WR), 0);
    raw_talk(s, fd, bytes_of(NULL, 0), "vital", answer, sizeof answer);
    (void)close(fd);
}

/* What still comes after a refusal is not read as fast as it comes. */
static void what_follows_a_refusal_is_read_slowly(void **state)
{
    static const char head[] = "POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 9999999\r\n\r\n";
    struct scene *s = *state;
    const struct http_conn *c;
    char answer[1024];
    int fd;

    reopen(s);
    fd = raw_open(s);
    raw_talk(s, fd, bytes_of_str(head), "HTTP/1.1 413", answer, sizeof answer);
    c = LIST_ENTRY(s->server->conns.next, struct http_conn, link);
    assert_int_equal(c->state, HTTP_LINGERS);
    assert_false(c->reading);
    assert_int_equal(tcp_write(fd, answer, sizeof answer), sizeof answer);
    for (int i = 0; i < 1000 && c->moved == 0; i++)
        scene_run(s, NS_PER_MS);
    assert_int_equal(c->moved, sizeof answer);
    (void)close(fd);
}

/* Where every place has a request under way, what is vital is answered still. */
static void what_is_vital_finds_a_place(void **state)
{
    struct scene *s = *state;
    int busy[PLACES], spare[2 * (ALL - PLACES)], fd;
    char answer[1024];

    s->options.connections_max = ALL;
    s->options.is_vital = is_vital;
    reopen(s);
    for (size_t i = 0; i < PLACES; i++) {
        busy[i] = raw_open(s);
        raw_send(s, busy[i], bytes_of_str(GET_("/hold")), 4096);
    }
    for (size_t i = 0; i < ARRAY_LEN(spare); i++)
        spare[i] = raw_open(s);
    fd = raw_open(s);
    raw_talk(s, fd, bytes_of_str(GET_("/vital?x")), "vital", answer, sizeof answer);
    raw_talk(s, fd, bytes_of_str(GET_("/")), NULL, answer, sizeof answer);
    assert_int_equal(strncmp(answer, "HTTP/1.1 503", 12), 0);
    assert_non_null(strstr(answer, LIMIT));
    assert_non_null(strstr(answer, "\r\nRetry-After: 1\r\n"));
    assert_true(cap_count(s, HTTP_CAP_PLACES) > 0);
    assert_true(http_server_counts(s->server).connections <= ALL);
    for (size_t i = 0; i < PLACES; i++) {
        http_exchange_reply(s->held[i], 200, "text/plain", bytes_of_str("held"));
        (void)close(busy[i]);
    }
    for (size_t i = 0; i < ARRAY_LEN(spare); i++)
        (void)close(spare[i]);
    (void)close(fd);
}

/* ---- bytes ---- */

/* Bodies that are announced are counted at once; one that does not fit is refused before it comes. */
static void bodies_have_one_budget(void **state)
{
    static const char text[] = "POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 500000\r\n\r\nx";
    struct scene *s = *state;
    int fds[10], fd;
    size_t refused = 0;
    char answer[1024];

    s->options.bytes_max = 2 * 1024 * 1024;
    reopen(s);
    for (size_t i = 0; i < ARRAY_LEN(fds); i++) {
        fds[i] = raw_open(s);
        raw_send(s, fds[i], bytes_of_str(text), 4096);
        assert_true(http_server_counts(s->server).bytes <= s->options.bytes_max);
    }
    for (size_t i = 0; i < ARRAY_LEN(fds); i++) {
        long n = tcp_read(fds[i], answer, sizeof answer - 1);

        if (n <= 0)
            continue;
        refused++;
        answer[n] = '\0';
        assert_int_equal(strncmp(answer, "HTTP/1.1 503", 12), 0);
        assert_non_null(strstr(answer, LIMIT));
        assert_non_null(strstr(answer, "\r\nRetry-After: 1\r\n"));
    }
    assert_true(refused >= 6 && refused < ARRAY_LEN(fds));
    assert_int_equal(cap_count(s, HTTP_CAP_BYTES), refused);
    /* A small one fits always. */
    fd = raw_open(s);
    raw_talk(s, fd, bytes_of_str(GET_("/")), "X-Echo", answer, sizeof answer);
    for (size_t i = 0; i < ARRAY_LEN(fds); i++)
        (void)close(fds[i]);
    (void)close(fd);
    scene_run(s, 5 * NS_PER_MS);
    assert_int_equal(http_server_counts(s->server).bytes, 0);
}

/* What is read ahead, and heads that come in pieces, are counted too. */
static void heads_have_the_same_budget(void **state)
{
    struct scene *s = *state;
    int fds[40], refused = 0;
    struct buf text;
    char answer[1024];

    s->options.bytes_max = 512 * 1024;
    reopen(s);
    buf_init(&text, loop_mem());
    buf_appendf(&text, "GET / HTTP/1.1\r\nHost: h\r\nX: ");
    while (text.len < HTTP_HEADERS_MAX - 100)
        buf_append_u8(&text, 'x');
    for (size_t i = 0; i < ARRAY_LEN(fds); i++) {
        long n;

        fds[i] = raw_open(s);
        raw_send(s, fds[i], buf_bytes(&text), HTTP_SMALL_MAX);
        scene_run(s, 2 * NS_PER_MS);
        assert_true(http_server_counts(s->server).bytes <=
                    s->options.bytes_max + (i + 1) * 2 * HTTP_SMALL_MAX);
        n = tcp_read(fds[i], answer, sizeof answer - 1);
        refused += n > 12 && memcmp(answer, "HTTP/1.1 503", 12) == 0;
    }
    assert_true(refused > 10);
    for (size_t i = 0; i < ARRAY_LEN(fds); i++)
        (void)close(fds[i]);

    /* A client that sends on and on while its request is handled is not read. */
    fds[0] = raw_open(s);
    raw_send(s, fds[0], bytes_of_str(GET_("/hold")), 4096);
    raw_send(s, fds[0], buf_bytes(&text), 4096);
    scene_run(s, 20 * NS_PER_MS);
    assert_true(http_server_counts(s->server).bytes <= 3 * HTTP_SMALL_MAX);
    http_exchange_reply(s->held[0], 200, "text/plain", bytes_of_str("held"));
    (void)close(fds[0]);
    buf_deinit(&text);
}

/* Answers that nobody takes give way to others. */
static void readers_that_do_not_read_give_way(void **state)
{
    struct scene *s = *state;
    int fds[8];
    char answer[1024];

    s->options.bytes_max = 8 * 1024 * 1024;
    reopen(s);
    for (size_t i = 0; i < ARRAY_LEN(fds); i++) {
        fds[i] = raw_open(s);
        raw_send(s, fds[i], bytes_of_str(GET_("/big")), 4096);
        assert_true(http_server_counts(s->server).bytes <= s->options.bytes_max);
    }
    assert_true(cap_count(s, HTTP_CAP_BYTES) > 0);
    raw_talk(s, fds[7], bytes_of(NULL, 0), "Content-Length: 3145728", answer, sizeof answer);
    for (size_t i = 0; i < ARRAY_LEN(fds); i++)
        (void)close(fds[i]);
}

/* ---- time ---- */

struct slow_case {
    const char *sent;
    uint64_t patience_s;
    const char *said; /* NULL: it is closed without a word */
};

static void what_does_not_come_in_time_is_given_up(void **state)
{
    static const struct slow_case cases[] = {
        {"", HTTP_FIRST_S, NULL},
        {GET_("/"), HTTP_IDLE_S, NULL},
        {"GET / HTTP/1.1\r\nHost:", HTTP_HEAD_S, "HTTP/1.1 408"},
        {"POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 9\r\n\r\nx", HTTP_TRANSFER_S,
         "HTTP/1.1 408"},
        {"POST / HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n5\r\n", HTTP_TRANSFER_S,
         "HTTP/1.1 408"},
    };
    struct scene *s = *state;
    char answer[2048];

    reopen(s);
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        const struct slow_case *c = &cases[i];
        int fd = raw_open(s);

        raw_send(s, fd, bytes_of_str(c->sent), 4096);
        while (tcp_read(fd, answer, sizeof answer) > 0)
            ;
        pass(s, c->patience_s - 2);
        assert_int_equal(tcp_read(fd, answer, 1), TCP_AGAIN);
        pass(s, 3);
        raw_talk(s, fd, bytes_of(NULL, 0), NULL, answer, sizeof answer);
        assert_int_equal(strncmp(answer, c->said ? c->said : "", 12), 0);
        assert_true(!c->said || strstr(answer, "\"error\":\"timeout\""));
        (void)close(fd);
    }
    assert_int_equal(cap_count(s, HTTP_CAP_TIME), 3);
}

/* A reader takes 2 KB after each second: more than it may lag behind, from the eleventh on. */
static void an_answer_goes_at_a_rate(void **state)
{
    struct scene *s = *state;
    int fd, seconds = 0, small = 4096;
    char piece[2048];

    reopen(s);
    fd = tcp_connect(http_server_addr(s->server));
    assert_int_equal(setsockopt(fd, SOL_SOCKET, SO_RCVBUF, &small, sizeof small), 0);
    scene_run(s, 5 * NS_PER_MS);
    raw_send(s, fd, bytes_of_str(GET_("/big")), 4096);
    while (http_server_counts(s->server).connections && seconds < 60) {
        forward_ns += NS_PER_S;
        seconds++;
        assert_int_not_equal(tcp_read(fd, piece, sizeof piece), TCP_CLOSED);
        scene_run(s, 550 * NS_PER_MS);
    }
    assert_in_range(seconds, 5, 20);
    assert_int_equal(http_server_counts(s->server).bytes, 0);
    (void)close(fd);
}

static void a_rate_is_asked_for_after_a_while(void **state)
{
    (void)state;
    assert_int_equal(http_transfer_deadline(5, 0), 5 + HTTP_TRANSFER_S * NS_PER_S);
    assert_int_equal(http_transfer_deadline(5, HTTP_TRANSFER_RATE),
                     5 + (HTTP_TRANSFER_S + 1) * NS_PER_S);
}

/* ---- descriptors ---- */

/* The limit that leaves room for so many more. */
static rlim_t limit_for(int more)
{
    int fd = 0;

    for (; more > 0; fd++)
        more -= fcntl(fd, F_GETFD) < 0;
    return (rlim_t)fd;
}

static void descriptors_may_run_out(void **state)
{
    struct scene *s = *state;
    struct rlimit files, few;
    int fds[6];
    char answer[1024];

    reopen(s);
    assert_int_equal(getrlimit(RLIMIT_NOFILE, &files), 0);
    few = files;
    few.rlim_cur = limit_for(2 * (int)ARRAY_LEN(fds) - 1);
    assert_int_equal(setrlimit(RLIMIT_NOFILE, &few), 0);
    for (size_t i = 0; i < ARRAY_LEN(fds); i++)
        fds[i] = raw_open(s);
    raw_talk(s, fds[5], bytes_of_str(GET_("/")), "X-Echo", answer, sizeof answer);
    assert_true(cap_count(s, HTTP_CAP_FILES) > 0);
    assert_int_equal(setrlimit(RLIMIT_NOFILE, &files), 0);
    for (size_t i = 0; i < ARRAY_LEN(fds); i++)
        (void)close(fds[i]);
}

/* ---- turns ---- */

#define AHEAD 1000

/* One that sends very many requests ahead keeps nobody waiting for all of them. */
static void everyone_has_a_turn(void **state)
{
    struct scene *s = *state;
    int greedy = raw_open(s), modest = raw_open(s);
    struct buf text;
    char answer[1024];

    buf_init(&text, loop_mem());
    for (size_t i = 0; i < AHEAD; i++)
        buf_appendf(&text, GET_("/"));
    assert_int_equal(tcp_write(greedy, text.data, text.len), text.len);
    assert_true(tcp_write(modest, GET_("/hold"), sizeof GET_("/hold") - 1) > 0);
    while (!s->held_count)
        scene_run(s, NS_PER_MS);
    assert_true(s->handled_at_hold < AHEAD / 2);
    http_exchange_reply(s->held[0], 200, "text/plain", bytes_of_str("held"));
    raw_talk(s, modest, bytes_of(NULL, 0), "held", answer, sizeof answer);
    for (int i = 0; i < 2000 && s->handled < AHEAD + 1; i++) {
        while (tcp_read(greedy, answer, sizeof answer) > 0)
            ;
        scene_run(s, NS_PER_MS);
    }
    assert_int_equal(s->handled, AHEAD + 1);
    buf_deinit(&text);
    (void)close(greedy);
    (void)close(modest);
}

int main(void)
{
#define T(f) cmocka_unit_test_setup_teardown(f, scene_setup, scene_teardown)
    const struct CMUnitTest tests[] = {
        T(silent_connections_give_way),
        T(who_asked_last_goes_last),
        T(who_asked_for_something_stays),
        T(who_asked_once_leaves_half),
        T(who_was_put_off_is_not_read),
        T(what_follows_a_refusal_is_read_slowly),
        T(what_is_vital_finds_a_place),
        T(bodies_have_one_budget),
        T(heads_have_the_same_budget),
        T(readers_that_do_not_read_give_way),
        T(what_does_not_come_in_time_is_given_up),
        T(an_answer_goes_at_a_rate),
        cmocka_unit_test(a_rate_is_asked_for_after_a_while),
        T(descriptors_may_run_out),
        T(everyone_has_a_turn),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}

/* Calls between two nodes on a fake network and fake timers: what completes, when, with what. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#include "kelpie/error.h"
#include "rpc/rpc.h"
#include "rpc/rpc_message.h"

#define FRAMES_MAX 64
#define TIMERS_MAX 64
#define NODES 2

/* One world per test: a clock, its timers, frames under way, two nodes. */
struct frame {
    char addr[NET_ADDR_SIZE];
    uint8_t *data;
    size_t len;
};

struct node {
    struct env env;
    struct rpc rpc;
    struct world *world;
    const struct net_events *events;
    void *events_arg;
    size_t bad_count;
    int bad_error;
    char bad_why[512];
    size_t handled;
    struct rpc_request last_request;
    char last_payload[64];
    bool answer_later;
    size_t answer_len;
};

struct world {
    uint64_t now_ns;
    uint64_t seq;
    uint64_t random;
    struct timer *timers[TIMERS_MAX];
    size_t timer_count;
    struct frame frames[FRAMES_MAX];
    size_t frame_count;
    bool duplicate;
    int send_error;
    struct node nodes[NODES];
};

static void *fake_alloc(void *ctx, size_t size)
{
    (void)ctx;
    return malloc(size);
}

static void *fake_resize(void *ctx, void *ptr, size_t size)
{
    (void)ctx;
    return realloc(ptr, size);
}

static void fake_release(void *ctx, void *ptr)
{
    (void)ctx;
    free(ptr);
}

static uint64_t fake_now(void *ctx)
{
    return ((struct world *)ctx)->now_ns;
}

static void fake_timer_stop(void *ctx, struct timer *t)
{
    struct world *w = ctx;

    for (size_t i = 0; i < w->timer_count; i++) {
        if (w->timers[i] == t) {
            w->timers[i] = w->timers[--w->timer_count];
            return;
        }
    }
}

static void fake_timer_start(void *ctx, struct timer *t, uint64_t delay_ns)
{
    struct world *w = ctx;

    fake_timer_stop(ctx, t);
    assert_true(w->timer_count < TIMERS_MAX);
    t->due_ns = w->now_ns + delay_ns;
    t->seq = w->seq++;
    w->timers[w->timer_count++] = t;
}

static uint64_t fake_random(void *ctx)
{
    return ((struct world *)ctx)->random += 0x9e3779b97f4a7c15u;
}

static int fake_send(void *ctx, const char *addr, struct bytes frame)
{
    struct world *w = ((struct node *)ctx)->world;

    if (w->send_error)
        return w->send_error;
    for (int copies = w->duplicate ? 2 : 1; copies > 0; copies--) {
        struct frame *f = &w->frames[w->frame_count++];

        assert_true(w->frame_count < FRAMES_MAX);
        (void)snprintf(f->addr, sizeof f->addr, "%s", addr);
        f->data = malloc(frame.len);
        assert_non_null(f->data);
        memcpy(f->data, frame.data, frame.len);
        f->len = frame.len;
    }
    return 0;
}

static void fake_receive(void *ctx, const struct net_events *events, void *arg)
{
    struct node *n = ctx;

    n->events = events;
    n->events_arg = arg;
}

static const struct mem_ops mem_ops = {fake_alloc, fake_resize, fake_release};
static const struct clock_ops clock_ops = {fake_now, fake_now};
static const struct timer_ops timer_ops = {fake_timer_start, fake_timer_stop};
static const struct random_ops random_ops = {fake_random};
static const struct net_ops net_ops = {fake_send, fake_receive};

static void on_bad(void *arg, const char *from, int error, const char *why)
{
    struct node *n = arg;

    (void)from;
    n->bad_count++;
    n->bad_error = error;
    (void)snprintf(n->bad_why, sizeof n->bad_why, "%s", why);
}

/* Echoes, now or later; "fail" is answered with an error. */
static void on_call(void *arg, const struct rpc_request *request)
{
    struct node *n = arg;

    n->handled++;
    n->last_request = *request;
    (void)snprintf(n->last_payload, sizeof n->last_payload, "%.*s", (int)request->payload.len,
                   (const char *)request->payload.data);
    if (n->answer_later)
        return;
    if (strcmp(n->last_payload, "fail") == 0)
        rpc_reply(&n->rpc, request, KELPIE_E_MAILBOX_FULL, bytes_of(NULL, 0));
    else if (n->answer_len) {
        uint8_t *big = calloc(1, n->answer_len);

        assert_non_null(big);
        rpc_reply(&n->rpc, request, 0, bytes_of(big, n->answer_len));
        free(big);
    } else
        rpc_reply(&n->rpc, request, 0, request->payload);
}

static struct uuid uuid_filled(uint8_t v)
{
    struct uuid u;

    memset(u.b, v, sizeof u.b);
    return u;
}

static const char *const addrs[NODES] = {"10.0.0.1:1", "10.0.0.2:2"};

static int setup(void **state)
{
    struct world *w = calloc(1, sizeof *w);

    if (!w)
        return -1;
    w->now_ns = 1000;
    for (size_t i = 0; i < NODES; i++) {
        struct node *n = &w->nodes[i];
        struct rpc_identity self = {.cluster_id = uuid_filled(7),
                                    .boot = uuid_filled((uint8_t)(i + 1)),
                                    .incarnation = i + 1};

        n->world = w;
        n->env.mem = (struct mem){&mem_ops, NULL};
        n->env.clock = (struct clock){&clock_ops, w};
        n->env.timers = (struct timers){&timer_ops, w};
        n->env.random = (struct random){&random_ops, w};
        n->env.net = (struct net){&net_ops, n};
        (void)snprintf(self.node_id, sizeof self.node_id, "n%zu", i + 1);
        (void)snprintf(self.addr, sizeof self.addr, "%s", addrs[i]);
        rpc_init(&n->rpc, &n->env);
        rpc_set_identity(&n->rpc, &self);
        n->rpc.on_bad = on_bad;
        n->rpc.on_bad_arg = n;
        rpc_serve(&n->rpc, RPC_ACTOR_CALL, on_call, n);
    }
    *state = w;
    return 0;
}

static int teardown(void **state)
{
    struct world *w = *state;

    for (size_t i = 0; i < NODES; i++)
        rpc_deinit(&w->nodes[i].rpc);
    for (size_t i = 0; i < w->frame_count; i++)
        free(w->frames[i].data);
    assert_int_equal(w->timer_count, 0);
    free(w);
    return 0;
}

/* Delivers what is under way, and what follows from it. */
static void deliver(struct world *w)
{
    while (w->frame_count) {
        struct frame f = w->frames[0];

        memmove(&w->frames[0], &w->frames[1], --w->frame_count * sizeof f);
        assert_int_equal(net_frame_scan(bytes_of(f.data, f.len)), f.len);
        for (size_t i = 0; i < NODES; i++) {
            if (strcmp(addrs[i], f.addr) == 0)
                w->nodes[i].events->frame(w->nodes[i].events_arg,
                                          net_frame_payload(bytes_of(f.data, f.len)));
        }
        free(f.data);
    }
}

static void lose_frames(struct world *w)
{
    while (w->frame_count)
        free(w->frames[--w->frame_count].data);
}

/* Time passes; timers run in order. */
static void pass(struct world *w, uint64_t ns)
{
    uint64_t end = w->now_ns + ns;

    for (;;) {
        struct timer *first = NULL;

        for (size_t i = 0; i < w->timer_count; i++) {
            struct timer *t = w->timers[i];

            if (t->due_ns <= end && (!first || t->due_ns < first->due_ns ||
                                     (t->due_ns == first->due_ns && t->seq < first->seq)))
                first = t;
        }
        if (!first)
            break;
        w->now_ns = first->due_ns;
        fake_timer_stop(w, first);
        first->armed = false;
        first->fn(first->arg);
    }
    w->now_ns = end;
}

struct outcome {
    struct rpc_call call;
    size_t count;
    int status;
    char payload[64];
    size_t payload_len;
};

static void on_done(struct rpc_call *call, int status, struct bytes payload)
{
    struct outcome *o = call->arg;

    o->count++;
    o->status = status;
    o->payload_len = payload.len;
    (void)snprintf(o->payload, sizeof o->payload, "%.*s", (int)(payload.len < 60 ? payload.len : 0),
                   (const char *)payload.data);
}

static void call_boot(struct world *w, struct outcome *o, struct uuid boot, const char *text)
{
    memset(o, 0, sizeof *o);
    rpc_start(&w->nodes[0].rpc, &o->call, addrs[1], boot, RPC_ACTOR_CALL, bytes_of_str(text),
              100 * NS_PER_MS, on_done, o);
    assert_int_equal(o->count, 0);
}

static void call_text(struct world *w, struct outcome *o, const char *text)
{
    call_boot(w, o, uuid_filled(2), text);
}

#define ASSERT_DONE(o, code)                                                                       \
    do {                                                                                           \
        assert_int_equal((o)->count, 1);                                                           \
        assert_int_equal((o)->status, (code));                                                     \
    } while (0)

static void an_answer_finds_its_call(void **state)
{
    struct world *w = *state;
    struct outcome a, b;

    call_text(w, &a, "first");
    call_text(w, &b, "second");
    assert_int_equal(rpc_outstanding(&w->nodes[0].rpc), 2);
    deliver(w);
    ASSERT_DONE(&a, 0);
    ASSERT_DONE(&b, 0);
    assert_string_equal(a.payload, "first");
    assert_string_equal(b.payload, "second");
    assert_string_equal(a.call.from.node_id, "n2");
    assert_string_equal(a.call.from.addr, addrs[1]);
    assert_int_equal(a.call.from.incarnation, 2);
    assert_true(uuid_equal(a.call.from.boot, uuid_filled(2)));
    assert_string_equal(w->nodes[1].last_request.from.node_id, "n1");
    assert_int_equal(w->nodes[1].last_request.deadline_ns, w->now_ns + 100 * NS_PER_MS);
    assert_int_equal(rpc_outstanding(&w->nodes[0].rpc), 0);
}

static void an_error_is_an_answer(void **state)
{
    struct world *w = *state;
    struct outcome o;

    call_text(w, &o, "fail");
    deliver(w);
    ASSERT_DONE(&o, KELPIE_E_MAILBOX_FULL);
}

static void duplicate_answers_are_ignored(void **state)
{
    struct world *w = *state;
    struct outcome o;

    w->duplicate = true;
    call_text(w, &o, "twice");
    deliver(w);
    ASSERT_DONE(&o, 0);
    assert_int_equal(w->nodes[1].handled, 2);
    assert_int_equal(w->nodes[0].rpc.dropped, 3);
    assert_int_equal(w->nodes[0].bad_count, 0);
}

static void a_call_ends_at_its_deadline_and_a_late_answer_is_dropped(void **state)
{
    struct world *w = *state;
    struct outcome o;

    w->nodes[1].answer_later = true;
    call_text(w, &o, "slow");
    deliver(w);
    pass(w, 99 * NS_PER_MS);
    assert_int_equal(o.count, 0);
    /* Sent in time, arrives late. */
    rpc_reply(&w->nodes[1].rpc, &w->nodes[1].last_request, 0, bytes_of_str("late"));
    pass(w, NS_PER_MS);
    ASSERT_DONE(&o, KELPIE_E_TIMEOUT);
    deliver(w);
    ASSERT_DONE(&o, KELPIE_E_TIMEOUT);
    /* After the deadline nothing is sent at all. */
    rpc_reply(&w->nodes[1].rpc, &w->nodes[1].last_request, 0, bytes_of_str("too late"));
    assert_int_equal(w->frame_count, 0);
}

static void a_cancelled_call_completes_soon_and_once(void **state)
{
    struct world *w = *state;
    struct outcome o;

    call_text(w, &o, "never mind");
    rpc_cancel(&o.call);
    rpc_cancel(&o.call);
    assert_int_equal(o.count, 0);
    deliver(w);
    assert_int_equal(o.count, 0);
    pass(w, 1);
    ASSERT_DONE(&o, KELPIE_E_CANCELLED);
    rpc_cancel(&o.call);
    pass(w, NS_PER_S);
    ASSERT_DONE(&o, KELPIE_E_CANCELLED);
}

static void a_boot_that_is_gone_fails_its_calls_alone(void **state)
{
    struct world *w = *state;
    struct outcome a, b, c;

    call_boot(w, &a, uuid_filled(2), "a");
    call_boot(w, &b, uuid_filled(9), "b");
    call_boot(w, &c, uuid_filled(0), "c");
    lose_frames(w);
    rpc_fail_boot(&w->nodes[0].rpc, uuid_filled(0));
    rpc_fail_boot(&w->nodes[0].rpc, uuid_filled(9));
    pass(w, 1);
    assert_int_equal(a.count, 0);
    ASSERT_DONE(&b, KELPIE_E_UNREACHABLE);
    assert_int_equal(c.count, 0);
    rpc_cancel_all(&w->nodes[0].rpc);
    pass(w, 1);
    ASSERT_DONE(&a, KELPIE_E_CANCELLED);
    ASSERT_DONE(&c, KELPIE_E_CANCELLED);
}

static void a_broken_connection_fails_the_calls_on_it(void **state)
{
    struct world *w = *state;
    struct outcome o, other;
    struct node *n = &w->nodes[0];

    call_text(w, &o, "x");
    memset(&other, 0, sizeof other);
    rpc_start(&n->rpc, &other.call, "10.0.0.3:3", uuid_filled(0), RPC_PING, bytes_of(NULL, 0),
              NS_PER_S, on_done, &other);
    lose_frames(w);
    n->events->down(n->events_arg, addrs[1]);
    assert_int_equal(o.count, 0);
    pass(w, 1);
    ASSERT_DONE(&o, KELPIE_E_UNREACHABLE);
    assert_int_equal(other.count, 0);
    pass(w, NS_PER_S);
    ASSERT_DONE(&other, KELPIE_E_TIMEOUT);
}

static void a_request_for_another_life_is_not_handled(void **state)
{
    struct world *w = *state;
    struct outcome o;

    call_boot(w, &o, uuid_filled(9), "old");
    deliver(w);
    ASSERT_DONE(&o, KELPIE_E_NOT_HERE);
    assert_int_equal(w->nodes[1].handled, 0);
    assert_true(uuid_equal(o.call.from.boot, uuid_filled(2)));
    call_boot(w, &o, uuid_filled(0), "whoever");
    deliver(w);
    ASSERT_DONE(&o, 0);
}

static void set_cluster(struct node *n, struct uuid id)
{
    struct rpc_identity self = n->rpc.self;

    self.cluster_id = id;
    rpc_set_identity(&n->rpc, &self);
}

static void another_cluster_is_refused_and_named(void **state)
{
    struct world *w = *state;
    struct outcome o;

    set_cluster(&w->nodes[0], uuid_filled(0xab));
    call_text(w, &o, "stranger");
    deliver(w);
    ASSERT_DONE(&o, KELPIE_E_STORE_FOREIGN);
    assert_int_equal(w->nodes[1].handled, 0);
    assert_int_equal(w->nodes[1].bad_error, KELPIE_E_STORE_FOREIGN);
    assert_non_null(strstr(w->nodes[1].bad_why, "abababab-abab-abab-abab-abababababab"));
    assert_non_null(strstr(w->nodes[1].bad_why, "07070707-0707-0707-0707-070707070707"));
    assert_non_null(strstr(w->nodes[1].bad_why, "n1"));

    /* Who does not know its cluster yet may ask. */
    set_cluster(&w->nodes[0], uuid_filled(0));
    call_text(w, &o, "newcomer");
    deliver(w);
    ASSERT_DONE(&o, 0);
}

static void what_cannot_be_sent_fails_soon(void **state)
{
    struct world *w = *state;
    struct outcome o;
    struct rpc *rpc = &w->nodes[0].rpc;
    char long_addr[NET_ADDR_SIZE + 10];

    w->send_error = KELPIE_E_LIMIT;
    call_text(w, &o, "queue full");
    pass(w, 1);
    ASSERT_DONE(&o, KELPIE_E_LIMIT);
    w->send_error = 0;

    memset(long_addr, 'x', sizeof long_addr - 1);
    long_addr[sizeof long_addr - 1] = '\0';
    memset(&o, 0, sizeof o);
    rpc_start(rpc, &o.call, long_addr, uuid_filled(0), RPC_PING, bytes_of(NULL, 0), NS_PER_S,
              on_done, &o);
    pass(w, 1);
    ASSERT_DONE(&o, KELPIE_E_UNREACHABLE);
    assert_int_equal(w->frame_count, 0);
}

static void payloads_have_a_bound_both_ways(void **state)
{
    struct world *w = *state;
    struct outcome o;
    uint8_t *big = calloc(1, RPC_PAYLOAD_MAX + 1);

    assert_non_null(big);
    memset(&o, 0, sizeof o);
    rpc_start(&w->nodes[0].rpc, &o.call, addrs[1], uuid_filled(2), RPC_ACTOR_CALL,
              bytes_of(big, RPC_PAYLOAD_MAX + 1), NS_PER_S, on_done, &o);
    pass(w, 1);
    ASSERT_DONE(&o, KELPIE_E_TOO_LARGE);

    memset(&o, 0, sizeof o);
    rpc_start(&w->nodes[0].rpc, &o.call, addrs[1], uuid_filled(2), RPC_ACTOR_CALL,
              bytes_of(big, RPC_PAYLOAD_MAX), NS_PER_S, on_done, &o);
    deliver(w);
    ASSERT_DONE(&o, 0);
    assert_int_equal(o.payload_len, RPC_PAYLOAD_MAX);

    w->nodes[1].answer_len = RPC_PAYLOAD_MAX + 1;
    call_text(w, &o, "give me too much");
    deliver(w);
    ASSERT_DONE(&o, KELPIE_E_TOO_LARGE);
    free(big);
}

static void a_kind_that_nobody_serves_is_unavailable(void **state)
{
    struct world *w = *state;
    struct outcome o;

    memset(&o, 0, sizeof o);
    rpc_start(&w->nodes[0].rpc, &o.call, addrs[1], uuid_filled(2), RPC_ADMIN, bytes_of(NULL, 0),
              NS_PER_S, on_done, &o);
    deliver(w);
    ASSERT_DONE(&o, KELPIE_E_UNAVAILABLE);
}

static void an_answer_from_another_node_is_not_taken(void **state)
{
    struct world *w = *state;
    struct outcome o;
    struct rpc_identity self = w->nodes[1].rpc.self;

    w->nodes[1].answer_later = true;
    call_text(w, &o, "x");
    deliver(w);
    self.boot = uuid_filled(5);
    rpc_set_identity(&w->nodes[1].rpc, &self);
    rpc_reply(&w->nodes[1].rpc, &w->nodes[1].last_request, 0, bytes_of_str("not mine"));
    deliver(w);
    assert_int_equal(o.count, 0);
    assert_int_equal(w->nodes[0].bad_error, KELPIE_E_PROTOCOL);
    pass(w, NS_PER_S);
    ASSERT_DONE(&o, KELPIE_E_TIMEOUT);
}

/* Every message that is cut short, or has a byte too many, is dropped and reported. */
static void malformed_messages_are_dropped(void **state)
{
    struct world *w = *state;
    struct node *n = &w->nodes[1];
    struct rpc_message m = {
        .kind = RPC_ACTOR_CALL, .remaining_ms = 5, .payload = bytes_of_str("p")};
    struct buf good;

    memcpy(m.from.addr, "10.0.0.1:1", 11);
    memcpy(m.from.node_id, "n1", 3);
    buf_init(&good, n->env.mem);
    rpc_message_encode(&good, &m);
    for (size_t len = 0; len < good.len; len++)
        n->events->frame(n->events_arg, bytes_of(good.data, len));
    assert_int_equal(n->bad_count, good.len);
    assert_int_equal(n->bad_error, KELPIE_E_PROTOCOL);
    assert_int_equal(n->handled, 0);

    buf_append_u8(&good, 0);
    n->events->frame(n->events_arg, buf_bytes(&good));
    good.len--;
    good.data[1] = RPC_KIND_COUNT;
    n->events->frame(n->events_arg, buf_bytes(&good));
    good.data[1] = RPC_ACTOR_CALL;
    good.data[0] = 0x80;
    n->events->frame(n->events_arg, buf_bytes(&good));
    assert_int_equal(n->handled, 0);
    good.data[0] = 0;
    n->events->frame(n->events_arg, buf_bytes(&good));
    assert_int_equal(n->handled, 1);
    assert_int_equal(n->bad_count, good.len + 3);
    lose_frames(w);
    buf_deinit(&good);
}

static void bad_frames_are_passed_on(void **state)
{
    struct world *w = *state;
    struct node *n = &w->nodes[0];

    n->events->bad(n->events_arg, "10.9.9.9:9", KELPIE_E_VERSION);
    assert_int_equal(n->bad_count, 1);
    assert_int_equal(n->bad_error, KELPIE_E_VERSION);
}

int main(void)
{
#define T(f) cmocka_unit_test_setup_teardown(f, setup, teardown)
    const struct CMUnitTest tests[] = {
        T(an_answer_finds_its_call),
        T(an_error_is_an_answer),
        T(duplicate_answers_are_ignored),
        T(a_call_ends_at_its_deadline_and_a_late_answer_is_dropped),
        T(a_cancelled_call_completes_soon_and_once),
        T(a_boot_that_is_gone_fails_its_calls_alone),
        T(a_broken_connection_fails_the_calls_on_it),
        T(a_request_for_another_life_is_not_handled),
        T(another_cluster_is_refused_and_named),
        T(what_cannot_be_sent_fails_soon),
        T(payloads_have_a_bound_both_ways),
        T(a_kind_that_nobody_serves_is_unavailable),
        T(an_answer_from_another_node_is_not_taken),
        T(malformed_messages_are_dropped),
        T(bad_frames_are_passed_on),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}

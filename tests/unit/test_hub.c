/* The hub of workers, on a whole node in a small world; the workers are played. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#include "kelpie/error.h"
#include "lib/hub_rig.h"

static const struct kelpie_class *const classes[] = {&kelpie_class_counter, NULL};

struct rig {
    struct small_world *w;
    struct small_node *n;
    struct played_slot a, b, c;
    struct small_answer got, got2;
};

static void begin(struct rig *r)
{
    *r = (struct rig){.w = small_world_of(1, classes)};
    r->n = &r->w->nodes[0];
}

/* Two slots of worker 1 are there, and the type is hosted. */
static void begin_two(struct rig *r)
{
    struct worker_hello h = played_hello(1);

    begin(r);
    played_join(r->n, &r->a, 1, &h);
    played_join(r->n, &r->b, 1, &h);
    small_run_ms(r->w, 2000);
}

static void end(struct rig *r)
{
    struct played_slot *slots[] = {&r->a, &r->b, &r->c};

    for (size_t i = 0; i < 3; i++)
        if (slots[i]->slot)
            played_leave(slots[i]);
    small_world_free(r->w);
}

static void call_as(struct rig *r, struct small_answer *got, const char *id, const char *method,
                    const char *request_id, uint32_t deadline_ms)
{
    *got = (struct small_answer){0};
    actors_call(node_actors(r->n->node), "purse", id, method, request_id, 0, bytes_of_str("x"),
                deadline_ms, small_on_answer, got);
}

static void call(struct rig *r, struct small_answer *got, const char *id, const char *method)
{
    call_as(r, got, id, method, "", 8000);
}

static void answered(struct rig *r, const struct small_answer *got, int status, const char *text)
{
    assert_true(small_run_until(r->w, &got->done, 20000));
    if (got->status != status)
        print_message("%s\n", got->text);
    assert_int_equal(got->status, status);
    if (!strstr(got->text, text))
        fail_msg("'%s' does not say '%s'", got->text, text);
}

static void test_turns(void **state)
{
    struct rig r;

    (void)state;
    begin_two(&r);
    call(&r, &r.got, "p", "add");
    played_wait(r.w, &r.a, TOLD_TURN);
    assert_string_equal(r.a.method, "add");
    assert_string_equal(r.a.body, "x");
    assert_string_equal(r.a.state, "");
    assert_int_equal(r.a.attempt, 1);
    played_put(r.n, &r.a, "5");
    answered(&r, &r.got, 0, "5");
    /* It asks: the next turn goes to the one that has waited for longest. */
    call(&r, &r.got, "p", "add");
    played_wait(r.w, &r.b, TOLD_TURN);
    assert_string_equal(r.b.state, "n=5 ");
    assert_int_equal(r.b.run, r.a.run);
    played_put(r.n, &r.b, "6");
    answered(&r, &r.got, 0, "6");
    end(&r);
}

/* An actor has one turn at a time; another one's goes to another slot. */
static void test_one_at_a_time(void **state)
{
    struct rig r;

    (void)state;
    begin_two(&r);
    call(&r, &r.got, "p", "add");
    played_wait(r.w, &r.a, TOLD_TURN);
    call(&r, &r.got2, "p", "add");
    small_run_ms(r.w, 500);
    assert_int_equal(r.b.told, TOLD_NO);
    played_put(r.n, &r.a, "1");
    played_wait(r.w, &r.b, TOLD_TURN);
    assert_string_equal(r.b.state, "n=1 ");
    played_put(r.n, &r.b, "2");
    answered(&r, &r.got, 0, "1");
    answered(&r, &r.got2, 0, "2");
    end(&r);
}

/* A read goes on beside a long turn, and is shown what is committed. */
static void test_reads(void **state)
{
    struct rig r;

    (void)state;
    begin_two(&r);
    call(&r, &r.got2, "never", "balance");
    played_wait(r.w, &r.a, TOLD_TURN);
    assert_true(r.a.read);
    played_put(r.n, &r.a, "9");
    answered(&r, &r.got2, KELPIE_E_REFUSED, "");
    call(&r, &r.got2, "never", "balance");
    played_wait(r.w, &r.b, TOLD_TURN);
    assert_string_equal(r.b.state, "");
    struct worker_result *none = played_result(r.n, &r.b);
    none->has_reply = true;
    none->reply = bytes_of_str("none");
    played_answer(&r.b, none);
    answered(&r, &r.got2, 0, "none");

    call(&r, &r.got, "p", "add");
    played_wait(r.w, &r.a, TOLD_TURN);
    call(&r, &r.got2, "p", "balance");
    played_wait(r.w, &r.b, TOLD_TURN);
    assert_true(r.b.read);
    struct worker_result *read = played_result(r.n, &r.b);
    read->has_reply = true;
    read->reply = bytes_of_str("seen");
    played_answer(&r.b, read);
    answered(&r, &r.got2, 0, "seen");
    assert_false(r.got.done);
    played_put(r.n, &r.a, "1");
    answered(&r, &r.got, 0, "1");
    end(&r);
}

static void test_errors(void **state)
{
    struct rig r;
    struct worker_result *x;

    (void)state;
    begin_two(&r);
    call(&r, &r.got, "p", "take");
    played_wait(r.w, &r.a, TOLD_TURN);
    x = played_result(r.n, &r.a);
    x->status = KELPIE_E_DOMAIN;
    x->code = "too_little";
    x->sentence = "there is not so much";
    played_answer(&r.a, x);
    answered(&r, &r.got, KELPIE_E_DOMAIN, "too_little");

    call(&r, &r.got, "p", "nope");
    played_wait(r.w, &r.b, TOLD_TURN);
    x = played_result(r.n, &r.b);
    x->status = KELPIE_E_UNKNOWN_METHOD;
    x->sentence = "a purse has add";
    played_answer(&r.b, x);
    answered(&r, &r.got, KELPIE_E_UNKNOWN_METHOD, "a purse has add");

    /* What is no answer is the handler's failure, and its slot is told why. */
    call(&r, &r.got, "p", "add");
    played_wait(r.w, &r.a, TOLD_TURN);
    r.a.told = TOLD_NO;
    hub_bad_answer(r.a.slot, "says no JSON");
    assert_int_equal(r.a.told, TOLD_REFUSED);
    assert_int_equal(r.a.error, KELPIE_E_INVALID);
    answered(&r, &r.got, KELPIE_E_HANDLER_FAILED, "the worker says no JSON");

    /* A write over a bound is the turn's error, and nothing of it stays. */
    call(&r, &r.got, "p", "add");
    played_wait(r.w, &r.b, TOLD_TURN);
    x = played_result(r.n, &r.b);
    static uint8_t big[KELPIE_STATE_VALUE_MAX + 1];
    x->puts[x->put_count++] = (struct worker_entry){bytes_of_str("a"), bytes_of_str("1")};
    x->puts[x->put_count++] = (struct worker_entry){bytes_of_str("b"), bytes_of(big, sizeof big)};
    played_answer(&r.b, x);
    answered(&r, &r.got, KELPIE_E_STATE_FULL, "32768");
    played_ask(&r.a);
    call(&r, &r.got, "p", "add");
    played_wait(r.w, &r.b, TOLD_TURN);
    assert_string_equal(r.b.state, "");
    end(&r);
}

static void test_calls(void **state)
{
    struct rig r;
    struct worker_result *x;

    (void)state;
    begin_two(&r);
    call(&r, &r.got, "p", "pass");
    played_wait(r.w, &r.a, TOLD_TURN);
    x = played_result(r.n, &r.a);
    x->puts[x->put_count++] = (struct worker_entry){bytes_of_str("n"), bytes_of_str("7")};
    for (x->call_count = 0; x->call_count < 2; x->call_count++)
        x->calls[x->call_count] =
            (struct worker_call){.type = "counter", .id = "k", .method = "add"};
    x->calls[1].method = "nope";
    played_answer(&r.a, x);
    played_wait(r.w, &r.a, TOLD_ANSWERS);
    assert_non_null(strstr(r.a.answers, "0:1 "));
    assert_non_null(strstr(r.a.answers, "a counter has the methods"));
    x = played_result(r.n, &r.a);
    x->has_reply = true;
    x->reply = bytes_of_str("done");
    played_answer(&r.a, x);
    answered(&r, &r.got, 0, "done");
    call(&r, &r.got, "p", "add");
    played_wait(r.w, &r.b, TOLD_TURN);
    assert_string_equal(r.b.state, "n=7 ");
    played_put(r.n, &r.b, "8");
    answered(&r, &r.got, 0, "8");
    end(&r);
}

/* A worker that ends while its turn calls: it runs again from its beginning, with the same calls. */
static void test_dies_in_calls(void **state)
{
    struct rig r;
    struct worker_hello h = played_hello(1);
    struct worker_result *x;

    (void)state;
    begin_two(&r);
    played_join(r.n, &r.c, 2, &h);
    for (unsigned i = 0; i < 2; i++) {
        struct played_slot *s = i == 0 ? &r.a : &r.c;
        if (i == 0)
            call_as(&r, &r.got, "p", "pass", "req-1", 8000);
        played_wait(r.w, s, TOLD_TURN);
        assert_int_equal(s->attempt, 1 + i);
        assert_string_equal(s->request_id, "req-1");
        assert_string_equal(s->state, "");
        x = played_result(r.n, s);
        x->puts[x->put_count++] = (struct worker_entry){bytes_of_str("n"), bytes_of_str("7")};
        x->calls[x->call_count++] =
            (struct worker_call){.type = "counter", .id = "k", .method = "add"};
        r.w->store_cut = i == 0; /* it is not answered */
        played_answer(s, x);
        if (i > 0)
            break;
        small_run_ms(r.w, 50);
        assert_int_equal(r.a.told, TOLD_NO);
        played_leave(&r.a);
        r.w->store_cut = false;
    }
    played_wait(r.w, &r.c, TOLD_ANSWERS);
    assert_string_equal(r.c.answers, "0:1 ");
    x = played_result(r.n, &r.c);
    x->has_reply = true;
    x->reply = bytes_of_str("done");
    played_answer(&r.c, x);
    answered(&r, &r.got, 0, "done");
    end(&r);
}

/* A worker that ends in the middle of a turn: another slot is given it, with the same request id. */
static void test_dies(void **state)
{
    struct rig r;
    struct worker_hello h = played_hello(1);
    uint64_t before;

    (void)state;
    begin_two(&r);
    played_join(r.n, &r.c, 2, &h);
    call_as(&r, &r.got, "p", "add", "req-9", 8000);
    played_wait(r.w, &r.a, TOLD_TURN);
    before = r.w->now_ns;
    played_leave(&r.a);
    played_leave(&r.b); /* of the same process */
    played_wait(r.w, &r.c, TOLD_TURN);
    assert_true(r.w->now_ns - before < NS_PER_S);
    assert_string_equal(r.c.request_id, "req-9");
    assert_int_equal(r.c.attempt, 2);
    assert_true(r.c.ticket > r.a.ticket);
    played_put(r.n, &r.c, "1");
    answered(&r, &r.got, 0, "1");
    end(&r);
}

/* Through a connection of a process that is ending nothing is given. */
static void test_rests(void **state)
{
    struct rig r;

    (void)state;
    begin_two(&r);
    call(&r, &r.got, "p", "add");
    played_wait(r.w, &r.a, TOLD_TURN);
    played_leave(&r.a);
    small_run_ms(r.w, HUB_REST_MS / 2);
    assert_int_equal(r.b.told, TOLD_NO);
    played_wait(r.w, &r.b, TOLD_TURN);
    played_put(r.n, &r.b, "1");
    answered(&r, &r.got, 0, "1");
    end(&r);
}

/* All are gone, and one comes later than all that could be about to end. */
static void test_starts_anew(void **state)
{
    struct rig r;
    struct worker_hello h = played_hello(1);

    (void)state;
    begin_two(&r);
    call(&r, &r.got, "p", "add");
    played_wait(r.w, &r.a, TOLD_TURN);
    played_leave(&r.a);
    played_leave(&r.b);
    small_run_ms(r.w, 1000);
    played_join(r.n, &r.c, 2, &h);
    assert_int_equal(r.c.told, TOLD_TURN);
    assert_int_equal(r.c.attempt, 2);
    played_put(r.n, &r.c, "1");
    answered(&r, &r.got, 0, "1");
    end(&r);
}

/* It waits for a worker again after one has ended: nothing of it is done, and its caller is told so. */
static void test_surely_not(void **state)
{
    struct rig r;

    (void)state;
    begin_two(&r);
    call_as(&r, &r.got, "p", "add", "", 1500);
    played_wait(r.w, &r.a, TOLD_TURN);
    played_leave(&r.a);
    played_leave(&r.b);
    answered(&r, &r.got, KELPIE_E_TIMEOUT, "");
    end(&r);
}

/* Two workers end alone with it: that is its failure. The one beside it was innocent. */
static void test_deadly(void **state)
{
    struct rig r;
    struct worker_hello h = played_hello(1);

    (void)state;
    begin_two(&r);
    call(&r, &r.got, "deadly", "add");
    played_wait(r.w, &r.a, TOLD_TURN);
    call(&r, &r.got2, "innocent", "add");
    played_wait(r.w, &r.b, TOLD_TURN);
    played_leave(&r.a);
    played_leave(&r.b);
    for (unsigned i = 0; i < 2; i++) {
        played_join(r.n, &r.a, 2 + i, &h);
        played_wait(r.w, &r.a, TOLD_TURN);
        if (strcmp(r.a.id, "innocent") == 0) { /* it is its turn first, or in between: alone too */
            played_put(r.n, &r.a, "1");
            played_wait(r.w, &r.a, TOLD_TURN);
        }
        assert_string_equal(r.a.id, "deadly");
        played_join(r.n, &r.b, 2 + i, &h); /* and its other slots are given nothing meanwhile */
        small_run_ms(r.w, 50);
        assert_int_equal(r.b.told, TOLD_NO);
        played_leave(&r.a);
        played_leave(&r.b);
    }
    answered(&r, &r.got, KELPIE_E_HANDLER_FAILED, "2 workers ended");
    if (!r.got2.done) {
        played_join(r.n, &r.a, 9, &h);
        played_wait(r.w, &r.a, TOLD_TURN);
        assert_string_equal(r.a.id, "innocent");
        played_put(r.n, &r.a, "1");
    }
    answered(&r, &r.got2, 0, "1");
    end(&r);
}

/* A turn over its time: its connection is ended, whatever its caller waits for. */
static void test_too_long(void **state)
{
    struct rig r;

    (void)state;
    begin_two(&r);
    call_as(&r, &r.got, "p", "add", "long", 500);
    played_wait(r.w, &r.a, TOLD_TURN);
    answered(&r, &r.got, KELPIE_E_UNKNOWN_RESULT, "");
    /* Nobody waits, and it is at it: a repeat waits for the same run. */
    call_as(&r, &r.got2, "p", "add", "long", 8000);
    small_run_ms(r.w, 100);
    assert_int_equal(r.b.told, TOLD_NO);
    assert_false(r.a.ended);
    small_run_ms(r.w, 600);
    assert_true(r.a.ended);
    played_leave(&r.a);
    /* Its process is to be ended by whoever watches it: nothing is given to its other slots before. */
    small_run_ms(r.w, HUB_ENDING_MS - 100);
    assert_int_equal(r.b.told, TOLD_NO);
    played_wait(r.w, &r.b, TOLD_TURN);
    played_put(r.n, &r.b, "1");
    answered(&r, &r.got2, 0, "1");
    end(&r);
}

/* It comes to its end after its caller's deadline: the repeat is told what it came to. */
static void test_late_but_done(void **state)
{
    struct rig r;

    (void)state;
    begin_two(&r);
    call_as(&r, &r.got, "p", "add", "late", 300);
    played_wait(r.w, &r.a, TOLD_TURN);
    answered(&r, &r.got, KELPIE_E_UNKNOWN_RESULT, "");
    played_put(r.n, &r.a, "1");
    small_run_ms(r.w, 100);
    actors_call(node_actors(r.n->node), "purse", "p", "add", "late", 1000, bytes_of_str("x"), 2000,
                small_on_answer, &r.got2);
    answered(&r, &r.got2, 0, "1");
    assert_int_equal(r.b.told, TOLD_NO);
    end(&r);
}

/* A turn whose deadline passed is not handed out, and surely was not applied. */
static void test_expires(void **state)
{
    struct rig r;

    (void)state;
    begin_two(&r);
    call(&r, &r.got, "p", "add");
    played_wait(r.w, &r.a, TOLD_TURN);
    call(&r, &r.got2, "q", "add");
    played_wait(r.w, &r.b, TOLD_TURN);
    struct small_answer late = {0};
    call_as(&r, &late, "r", "add", "", 300);
    answered(&r, &late, KELPIE_E_TIMEOUT, "");
    played_put(r.n, &r.a, "1");
    small_run_ms(r.w, 200);
    assert_int_equal(r.a.told, TOLD_NO);
    end(&r);
}

static void test_tickets(void **state)
{
    struct rig r;

    (void)state;
    begin_two(&r);
    call(&r, &r.got, "p", "add");
    played_wait(r.w, &r.a, TOLD_TURN);
    /* It owes an answer. */
    played_ask(&r.a);
    assert_int_equal(r.a.told, TOLD_REFUSED);
    assert_non_null(strstr(r.a.why, "owes the answer to ticket 1"));
    /* Another one's ticket, one that never was. */
    struct worker_result *x = played_result(r.n, &r.a);
    x->ticket = 99;
    played_answer(&r.a, x);
    assert_int_equal(r.a.told, TOLD_REFUSED);
    assert_non_null(strstr(r.a.why, "none that was handed out"));
    played_put(r.n, &r.a, "1");
    answered(&r, &r.got, 0, "1");
    /* Twice. */
    played_wait(r.w, &r.a, TOLD_NOTHING); /* after 20 s */
    r.a.ticket = 1;
    played_put(r.n, &r.a, "2");
    assert_int_equal(r.a.told, TOLD_REFUSED);
    assert_non_null(strstr(r.a.why, "the ticket 1 was answered already"));
    /* Of an activation that is gone. */
    played_ask(&r.a);
    played_ask(&r.b);
    r.b.told = TOLD_NO;
    call_as(&r, &r.got, "p", "add", "", 5000);
    played_wait(r.w, r.b.told == TOLD_TURN ? &r.b : &r.a, TOLD_TURN);
    struct played_slot *s = r.a.told == TOLD_TURN ? &r.a : &r.b;
    small_run_ms(r.w, 50);
    actors_suspend(node_actors(r.n->node));
    played_put(r.n, s, "3");
    assert_int_equal(s->told, TOLD_REFUSED);
    assert_int_equal(s->error, KELPIE_E_REFUSED);
    assert_non_null(strstr(s->why, "is of an earlier run"));
    actors_resume(node_actors(r.n->node));
    end(&r);
}

/* A commit that did not land: the next turn has another run, and the state of before. */
static void test_run_ends(void **state)
{
    struct rig r;
    uint64_t run;

    (void)state;
    begin_two(&r);
    call(&r, &r.got, "p", "add");
    played_wait(r.w, &r.a, TOLD_TURN);
    run = r.a.run;
    played_put(r.n, &r.a, "1");
    answered(&r, &r.got, 0, "1");
    r.w->store_full = true;
    call(&r, &r.got, "p", "add");
    played_wait(r.w, &r.b, TOLD_TURN);
    assert_int_equal(r.b.run, run);
    played_put(r.n, &r.b, "2");
    answered(&r, &r.got, KELPIE_E_STORE_FULL, "");
    r.w->store_full = false;
    call(&r, &r.got, "p", "add");
    played_wait(r.w, &r.a, TOLD_TURN);
    assert_int_not_equal(r.a.run, run);
    assert_string_equal(r.a.state, "n=1 ");
    played_put(r.n, &r.a, "2");
    answered(&r, &r.got, 0, "2");
    end(&r);
}

/* Nobody is there: calls wait for 2 s, so that a worker may start anew. */
static void test_absent(void **state)
{
    struct rig r;
    struct worker_hello h = played_hello(1);

    (void)state;
    begin_two(&r);
    played_leave(&r.a);
    played_leave(&r.b);
    call(&r, &r.got, "p", "add");
    small_run_ms(r.w, 1000);
    assert_false(r.got.done);
    played_join(r.n, &r.a, 2, &h);
    played_wait(r.w, &r.a, TOLD_TURN);
    played_put(r.n, &r.a, "1");
    answered(&r, &r.got, 0, "1");
    played_leave(&r.a);
    call_as(&r, &r.got, "p", "add", "", 3000);
    answered(&r, &r.got, KELPIE_E_UNAVAILABLE, "no worker of type purse is connected");
    /* After some seconds the node does not host it any more. */
    small_run_ms(r.w, 10000);
    call(&r, &r.got, "p", "add");
    answered(&r, &r.got, KELPIE_E_UNKNOWN_TYPE, "purse");
    played_join(r.n, &r.a, 3, &h);
    small_run_ms(r.w, 2000);
    call(&r, &r.got, "p", "add");
    played_wait(r.w, &r.a, TOLD_TURN);
    assert_string_equal(r.a.state, "n=1 ");
    played_put(r.n, &r.a, "2");
    answered(&r, &r.got, 0, "2");
    end(&r);
}

static void refused(struct rig *r, unsigned worker, const struct worker_hello *h, int error,
                    const char *why)
{
    played_join(r->n, &r->c, worker, h);
    assert_int_equal(r->c.told, TOLD_REFUSED);
    if (r->c.error != error || !strstr(r->c.why, why))
        fail_msg("error %d: '%s'", r->c.error, r->c.why);
}

static void test_hellos(void **state)
{
    struct rig r;
    struct worker_hello h = played_hello(2);

    (void)state;
    begin_two(&r);
    refused(&r, 2, &h, KELPIE_E_REFUSED,
            "the worker has version 2 of type purse, and others of this node version 1");
    refused(&r, 1, &h, KELPIE_E_REFUSED, "other connections of this worker");
    h = played_hello(1);
    h.types[0].read_count = 0;
    refused(&r, 2, &h, KELPIE_E_REFUSED, "another 'idle_ms'");
    h.types[0].type = "counter";
    refused(&r, 2, &h, KELPIE_E_REFUSED, "counter");
    /* Of what is refused, nothing stays. */
    h = played_hello(1);
    h.types[1] = h.types[0];
    h.types[1].type = "counter";
    h.types[0].type = "other";
    h.type_count = 2;
    refused(&r, 2, &h, KELPIE_E_REFUSED, "counter");
    assert_int_equal(hub_stats(node_hub(r.n->node)).workers, 1);
    assert_int_equal(hub_stats(node_hub(r.n->node)).slots, 2);
    /* The last one goes: for some seconds the old version is there yet. */
    played_leave(&r.a);
    played_leave(&r.b);
    h = played_hello(2);
    refused(&r, 2, &h, KELPIE_E_UNAVAILABLE, "again in some seconds");
    small_run_ms(r.w, 10000);
    played_join(r.n, &r.a, 2, &h);
    assert_int_equal(r.a.told, TOLD_NO);
    end(&r);
}

/* A message is not counted as tried when no worker was there. */
static void test_sends(void **state)
{
    struct rig r;
    struct worker_result *x;

    (void)state;
    begin_two(&r);
    call(&r, &r.got, "p", "give");
    played_wait(r.w, &r.a, TOLD_TURN);
    x = played_result(r.n, &r.a);
    x->sends[x->send_count++] = (struct worker_send){
        .type = "purse", .id = "q", .method = "add", .body = bytes_of_str("3")};
    played_answer(&r.a, x);
    answered(&r, &r.got, 0, "");
    played_wait(r.w, &r.b, TOLD_TURN);
    assert_string_equal(r.b.id, "q");
    assert_string_equal(r.b.body, "3");
    played_put(r.n, &r.b, "3");
    small_run_ms(r.w, 500);
    call(&r, &r.got, "q", "balance");
    played_wait(r.w, &r.a, TOLD_TURN);
    assert_string_equal(r.a.state, "n=3 ");
    end(&r);
}

static void count_one(void *arg, const struct hub_count *c)
{
    uint64_t *seen = arg;

    assert_string_equal(c->type, "purse");
    if (strcmp(c->method, "add") == 0)
        *seen = c->turns * 100 + c->results * 10 + c->deaths;
}

static void test_counts(void **state)
{
    struct rig r;
    uint64_t seen = 0;

    (void)state;
    begin_two(&r);
    call(&r, &r.got, "p", "add");
    played_wait(r.w, &r.a, TOLD_TURN);
    assert_int_equal(hub_stats(node_hub(r.n->node)).turns_out, 1);
    played_leave(&r.a);
    played_wait(r.w, &r.b, TOLD_TURN);
    played_put(r.n, &r.b, "1");
    answered(&r, &r.got, 0, "1");
    hub_counts_each(node_hub(r.n->node), count_one, &seen);
    assert_int_equal(seen, 211);
    assert_int_equal(hub_stats(node_hub(r.n->node)).turns_out, 0);
    assert_int_equal(hub_stats(node_hub(r.n->node)).turns_waiting, 0);
    end(&r);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_turns),         cmocka_unit_test(test_one_at_a_time),
        cmocka_unit_test(test_reads),         cmocka_unit_test(test_errors),
        cmocka_unit_test(test_calls),         cmocka_unit_test(test_dies_in_calls),
        cmocka_unit_test(test_dies),          cmocka_unit_test(test_rests),
        cmocka_unit_test(test_starts_anew),   cmocka_unit_test(test_surely_not),
        cmocka_unit_test(test_deadly),        cmocka_unit_test(test_too_long),
        cmocka_unit_test(test_late_but_done), cmocka_unit_test(test_expires),
        cmocka_unit_test(test_tickets),       cmocka_unit_test(test_run_ends),
        cmocka_unit_test(test_absent),        cmocka_unit_test(test_hellos),
        cmocka_unit_test(test_sends),         cmocka_unit_test(test_counts),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}

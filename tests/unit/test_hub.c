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

static void test_turns(void **state)
{
    struct rig r;

    (void)state;
    rig_begin_two(&r);
    rig_call(&r, &r.got, "p", "add");
    played_wait(r.w, &r.a, TOLD_TURN);
    assert_string_equal(r.a.method, "add");
    assert_string_equal(r.a.body, "x");
    assert_string_equal(r.a.state, "");
    assert_int_equal(r.a.attempt, 1);
    played_put(r.n, &r.a, "5");
    rig_answered(&r, &r.got, 0, "5");
    /* It asks: the next turn goes to the one that has waited for longest. */
    rig_call(&r, &r.got, "p", "add");
    played_wait(r.w, &r.b, TOLD_TURN);
    assert_string_equal(r.b.state, "n=5 ");
    assert_int_equal(r.b.run, r.a.run);
    played_put(r.n, &r.b, "6");
    rig_answered(&r, &r.got, 0, "6");
    rig_end(&r);
}

/* An actor has one turn at a time; another one's goes to another slot. */
static void test_one_at_a_time(void **state)
{
    struct rig r;

    (void)state;
    rig_begin_two(&r);
    rig_call(&r, &r.got, "p", "add");
    played_wait(r.w, &r.a, TOLD_TURN);
    rig_call(&r, &r.got2, "p", "add");
    small_run_ms(r.w, 500);
    assert_int_equal(r.b.told, TOLD_NO);
    played_put(r.n, &r.a, "1");
    played_wait(r.w, &r.b, TOLD_TURN);
    assert_string_equal(r.b.state, "n=1 ");
    played_put(r.n, &r.b, "2");
    rig_answered(&r, &r.got, 0, "1");
    rig_answered(&r, &r.got2, 0, "2");
    rig_end(&r);
}

/* A read goes on beside a long turn, and is shown what is committed. */
static void test_reads(void **state)
{
    struct rig r;

    (void)state;
    rig_begin_two(&r);
    rig_call(&r, &r.got2, "never", "balance");
    played_wait(r.w, &r.a, TOLD_TURN);
    assert_true(r.a.read);
    played_put(r.n, &r.a, "9");
    rig_answered(&r, &r.got2, KELPIE_E_REFUSED, "");
    rig_call(&r, &r.got2, "never", "balance");
    played_wait(r.w, &r.b, TOLD_TURN);
    assert_string_equal(r.b.state, "");
    struct worker_result *none = played_result(r.n, &r.b);
    none->has_reply = true;
    none->reply = bytes_of_str("none");
    played_answer(&r.b, none);
    rig_answered(&r, &r.got2, 0, "none");

    rig_call(&r, &r.got, "p", "add");
    played_wait(r.w, &r.a, TOLD_TURN);
    rig_call(&r, &r.got2, "p", "balance");
    played_wait(r.w, &r.b, TOLD_TURN);
    assert_true(r.b.read);
    struct worker_result *read = played_result(r.n, &r.b);
    read->has_reply = true;
    read->reply = bytes_of_str("seen");
    played_answer(&r.b, read);
    rig_answered(&r, &r.got2, 0, "seen");
    assert_false(r.got.done);
    played_put(r.n, &r.a, "1");
    rig_answered(&r, &r.got, 0, "1");
    rig_end(&r);
}

static void test_errors(void **state)
{
    struct rig r;
    struct worker_result *x;

    (void)state;
    rig_begin_two(&r);
    rig_call(&r, &r.got, "p", "take");
    played_wait(r.w, &r.a, TOLD_TURN);
    x = played_result(r.n, &r.a);
    x->status = KELPIE_E_DOMAIN;
    x->code = "too_little";
    x->sentence = "there is not so much";
    played_answer(&r.a, x);
    rig_answered(&r, &r.got, KELPIE_E_DOMAIN, "too_little");

    rig_call(&r, &r.got, "p", "nope");
    played_wait(r.w, &r.b, TOLD_TURN);
    x = played_result(r.n, &r.b);
    x->status = KELPIE_E_UNKNOWN_METHOD;
    x->sentence = "a purse has add";
    played_answer(&r.b, x);
    rig_answered(&r, &r.got, KELPIE_E_UNKNOWN_METHOD, "a purse has add");

    /* What is no answer is the handler's failure, and its slot is told why. */
    rig_call(&r, &r.got, "p", "add");
    played_wait(r.w, &r.a, TOLD_TURN);
    r.a.told = TOLD_NO;
    hub_bad_answer(r.a.slot, "says no JSON");
    assert_int_equal(r.a.told, TOLD_REFUSED);
    assert_int_equal(r.a.error, KELPIE_E_INVALID);
    rig_answered(&r, &r.got, KELPIE_E_HANDLER_FAILED, "the worker says no JSON");

    /* A write over a bound is the turn's error, and nothing of it stays. */
    rig_call(&r, &r.got, "p", "add");
    played_wait(r.w, &r.b, TOLD_TURN);
    x = played_result(r.n, &r.b);
    static uint8_t big[KELPIE_STATE_VALUE_MAX + 1];
    x->puts[x->put_count++] = (struct worker_entry){bytes_of_str("a"), bytes_of_str("1")};
    x->puts[x->put_count++] = (struct worker_entry){bytes_of_str("b"), bytes_of(big, sizeof big)};
    played_answer(&r.b, x);
    rig_answered(&r, &r.got, KELPIE_E_STATE_FULL, "32768");
    played_ask(&r.a);
    rig_call(&r, &r.got, "p", "add");
    played_wait(r.w, &r.b, TOLD_TURN);
    assert_string_equal(r.b.state, "");
    rig_end(&r);
}

static void test_calls(void **state)
{
    struct rig r;
    struct worker_result *x;

    (void)state;
    rig_begin_two(&r);
    rig_call(&r, &r.got, "p", "pass");
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
    rig_answered(&r, &r.got, 0, "done");
    rig_call(&r, &r.got, "p", "add");
    played_wait(r.w, &r.b, TOLD_TURN);
    assert_string_equal(r.b.state, "n=7 ");
    played_put(r.n, &r.b, "8");
    rig_answered(&r, &r.got, 0, "8");
    rig_end(&r);
}

/* It comes to its end after its caller's deadline: the repeat is told what it came to. */
static void test_late_but_done(void **state)
{
    struct rig r;

    (void)state;
    rig_begin_two(&r);
    rig_call_as(&r, &r.got, "p", "add", "late", 300);
    played_wait(r.w, &r.a, TOLD_TURN);
    rig_answered(&r, &r.got, KELPIE_E_UNKNOWN_RESULT, "");
    played_put(r.n, &r.a, "1");
    small_run_ms(r.w, 100);
    actors_call(node_actors(r.n->node), "purse", "p", "add", "late", 1000, bytes_of_str("x"), 2000,
                small_on_answer, &r.got2);
    rig_answered(&r, &r.got2, 0, "1");
    assert_int_equal(r.b.told, TOLD_NO);
    rig_end(&r);
}

/* A turn whose deadline passed is not handed out, and surely was not applied. */
static void test_expires(void **state)
{
    struct rig r;

    (void)state;
    rig_begin_two(&r);
    rig_call(&r, &r.got, "p", "add");
    played_wait(r.w, &r.a, TOLD_TURN);
    rig_call(&r, &r.got2, "q", "add");
    played_wait(r.w, &r.b, TOLD_TURN);
    struct small_answer late = {0};
    rig_call_as(&r, &late, "r", "add", "", 300);
    rig_answered(&r, &late, KELPIE_E_TIMEOUT, "");
    played_put(r.n, &r.a, "1");
    small_run_ms(r.w, 200);
    assert_int_equal(r.a.told, TOLD_NO);
    rig_end(&r);
}

static void test_tickets(void **state)
{
    struct rig r;

    (void)state;
    rig_begin_two(&r);
    rig_call(&r, &r.got, "p", "add");
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
    rig_answered(&r, &r.got, 0, "1");
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
    rig_call_as(&r, &r.got, "p", "add", "", 5000);
    played_wait(r.w, r.b.told == TOLD_TURN ? &r.b : &r.a, TOLD_TURN);
    struct played_slot *s = r.a.told == TOLD_TURN ? &r.a : &r.b;
    small_run_ms(r.w, 50);
    actors_suspend(node_actors(r.n->node));
    played_put(r.n, s, "3");
    assert_int_equal(s->told, TOLD_REFUSED);
    assert_int_equal(s->error, KELPIE_E_REFUSED);
    assert_non_null(strstr(s->why, "is of an earlier run"));
    actors_resume(node_actors(r.n->node));
    rig_end(&r);
}

/* A commit that did not land: the next turn has another run, and the state of before. */
static void test_run_ends(void **state)
{
    struct rig r;
    uint64_t run;

    (void)state;
    rig_begin_two(&r);
    rig_call(&r, &r.got, "p", "add");
    played_wait(r.w, &r.a, TOLD_TURN);
    run = r.a.run;
    played_put(r.n, &r.a, "1");
    rig_answered(&r, &r.got, 0, "1");
    r.w->store_full = true;
    rig_call(&r, &r.got, "p", "add");
    played_wait(r.w, &r.b, TOLD_TURN);
    assert_int_equal(r.b.run, run);
    played_put(r.n, &r.b, "2");
    rig_answered(&r, &r.got, KELPIE_E_STORE_FULL, "");
    r.w->store_full = false;
    rig_call(&r, &r.got, "p", "add");
    played_wait(r.w, &r.a, TOLD_TURN);
    assert_int_not_equal(r.a.run, run);
    assert_string_equal(r.a.state, "n=1 ");
    played_put(r.n, &r.a, "2");
    rig_answered(&r, &r.got, 0, "2");
    rig_end(&r);
}

/* Nobody is there: calls wait for 2 s, so that a worker may start anew. */
static void test_absent(void **state)
{
    struct rig r;
    struct worker_hello h = played_hello(1);

    (void)state;
    rig_begin_two(&r);
    played_leave(&r.a);
    played_leave(&r.b);
    rig_call(&r, &r.got, "p", "add");
    small_run_ms(r.w, 1000);
    assert_false(r.got.done);
    played_join(r.n, &r.a, 2, &h);
    played_wait(r.w, &r.a, TOLD_TURN);
    played_put(r.n, &r.a, "1");
    rig_answered(&r, &r.got, 0, "1");
    played_leave(&r.a);
    rig_call_as(&r, &r.got, "p", "add", "", 3000);
    rig_answered(&r, &r.got, KELPIE_E_UNAVAILABLE, "no worker of type purse is connected");
    /* After some seconds the node does not host it any more. */
    small_run_ms(r.w, 10000);
    rig_call(&r, &r.got, "p", "add");
    rig_answered(&r, &r.got, KELPIE_E_UNKNOWN_TYPE, "purse");
    played_join(r.n, &r.a, 3, &h);
    small_run_ms(r.w, 2000);
    rig_call(&r, &r.got, "p", "add");
    played_wait(r.w, &r.a, TOLD_TURN);
    assert_string_equal(r.a.state, "n=1 ");
    played_put(r.n, &r.a, "2");
    rig_answered(&r, &r.got, 0, "2");
    rig_end(&r);
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
    rig_begin_two(&r);
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
    rig_end(&r);
}

/* A message is not counted as tried when no worker was there. */
static void test_sends(void **state)
{
    struct rig r;
    struct worker_result *x;

    (void)state;
    rig_begin_two(&r);
    rig_call(&r, &r.got, "p", "give");
    played_wait(r.w, &r.a, TOLD_TURN);
    x = played_result(r.n, &r.a);
    x->sends[x->send_count++] = (struct worker_send){
        .type = "purse", .id = "q", .method = "add", .body = bytes_of_str("3")};
    played_answer(&r.a, x);
    rig_answered(&r, &r.got, 0, "");
    played_wait(r.w, &r.b, TOLD_TURN);
    assert_string_equal(r.b.id, "q");
    assert_string_equal(r.b.body, "3");
    played_put(r.n, &r.b, "3");
    small_run_ms(r.w, 500);
    rig_call(&r, &r.got, "q", "balance");
    played_wait(r.w, &r.a, TOLD_TURN);
    assert_string_equal(r.a.state, "n=3 ");
    rig_end(&r);
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
    rig_begin_two(&r);
    rig_call(&r, &r.got, "p", "add");
    played_wait(r.w, &r.a, TOLD_TURN);
    assert_int_equal(hub_stats(node_hub(r.n->node)).turns_out, 1);
    played_leave(&r.a);
    played_wait(r.w, &r.b, TOLD_TURN);
    played_put(r.n, &r.b, "1");
    rig_answered(&r, &r.got, 0, "1");
    hub_counts_each(node_hub(r.n->node), count_one, &seen);
    assert_int_equal(seen, 211);
    assert_int_equal(hub_stats(node_hub(r.n->node)).turns_out, 0);
    assert_int_equal(hub_stats(node_hub(r.n->node)).turns_waiting, 0);
    rig_end(&r);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_turns),    cmocka_unit_test(test_one_at_a_time),
        cmocka_unit_test(test_reads),    cmocka_unit_test(test_errors),
        cmocka_unit_test(test_calls),    cmocka_unit_test(test_late_but_done),
        cmocka_unit_test(test_expires),  cmocka_unit_test(test_tickets),
        cmocka_unit_test(test_run_ends), cmocka_unit_test(test_absent),
        cmocka_unit_test(test_hellos),   cmocka_unit_test(test_sends),
        cmocka_unit_test(test_counts),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}

/* Workers that end with turns out, and what is made of those turns. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#include "kelpie/error.h"
#include "lib/hub_rig.h"

/* An actor is erased while a read of it is outside: the read is run again, on what is there then. */
static void test_erased_beside_a_read(void **state)
{
    struct rig r;
    struct small_answer got3 = {0};
    struct worker_result *x;

    (void)state;
    rig_begin_two(&r);
    rig_call(&r, &r.got, "p", "add");
    played_wait(r.w, &r.a, TOLD_TURN);
    played_put(r.n, &r.a, "1");
    rig_answered(&r, &r.got, 0, "1");
    rig_call(&r, &r.got2, "p", "balance");
    played_wait(r.w, &r.b, TOLD_TURN);
    assert_string_equal(r.b.state, "n=1 ");
    r.a.told = TOLD_NO;
    rig_call(&r, &r.got, "p", "wipe");
    played_wait(r.w, &r.a, TOLD_TURN);
    rig_call(&r, &got3, "p", "add");
    x = played_result(r.n, &r.a);
    x->erase = true;
    played_answer(&r.a, x);
    rig_answered(&r, &r.got, 0, "");
    played_put(r.n, &r.b, "1"); /* of what is erased: it is not taken */
    for (unsigned i = 0; i < 2 && !(got3.done && r.got2.done); i++) {
        struct played_slot *s = &r.a;
        small_run_ms(r.w, 200);
        if (s->told != TOLD_TURN)
            s = &r.b;
        played_wait(r.w, s, TOLD_TURN);
        if (!s->read) {
            played_put(r.n, s, "2");
            continue;
        }
        assert_false(strstr(s->state, "n=1") != NULL);
        x = played_result(r.n, s);
        x->has_reply = true;
        x->reply = bytes_of_str("seen");
        played_answer(s, x);
    }
    rig_answered(&r, &got3, 0, "2");
    rig_answered(&r, &r.got2, 0, "seen");
    rig_end(&r);
}

/* A worker that ends while its turn calls: it runs again from its beginning, with the same calls. */
static void test_dies_in_calls(void **state)
{
    struct rig r;
    struct worker_hello h = played_hello(1);
    struct worker_result *x;

    (void)state;
    rig_begin_two(&r);
    played_join(r.n, &r.c, 2, &h);
    for (unsigned i = 0; i < 2; i++) {
        struct played_slot *s = i == 0 ? &r.a : &r.c;
        if (i == 0)
            rig_call_as(&r, &r.got, "p", "pass", "req-1", 8000);
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
    rig_answered(&r, &r.got, 0, "done");
    rig_end(&r);
}

/* A turn that is to be alone calls an actor of the same worker: that is run meanwhile. */
static void test_alone_and_calls(void **state)
{
    struct rig r;
    struct worker_hello h = played_hello(1);
    struct worker_result *x;

    (void)state;
    rig_begin_two(&r);
    rig_call(&r, &r.got, "p", "pass");
    played_wait(r.w, &r.a, TOLD_TURN);
    played_leave(&r.a);
    played_join(r.n, &r.c, 1, &h);
    played_wait(r.w, &r.b, TOLD_TURN);
    assert_int_equal(r.b.attempt, 2);
    x = played_result(r.n, &r.b);
    x->calls[x->call_count++] = (struct worker_call){.type = "purse", .id = "q", .method = "add"};
    played_answer(&r.b, x);
    rig_call(&r, &r.got2, "other", "add"); /* but nothing else */
    played_wait(r.w, &r.c, TOLD_TURN);
    assert_string_equal(r.c.id, "q");
    played_put(r.n, &r.c, "3");
    played_wait(r.w, &r.b, TOLD_ANSWERS);
    assert_string_equal(r.b.answers, "0:3 ");
    small_run_ms(r.w, 200);
    assert_int_equal(r.c.told, TOLD_NO);
    played_put(r.n, &r.b, "1");
    played_wait(r.w, &r.b, TOLD_TURN);
    assert_string_equal(r.b.id, "other");
    played_put(r.n, &r.b, "1");
    rig_answered(&r, &r.got, 0, "1");
    rig_answered(&r, &r.got2, 0, "1");
    rig_end(&r);
}

/* A worker that ends in the middle of a turn: another slot is given it, with the same request id. */
static void test_dies(void **state)
{
    struct rig r;
    struct worker_hello h = played_hello(1);
    uint64_t before;

    (void)state;
    rig_begin_two(&r);
    played_join(r.n, &r.c, 2, &h);
    rig_call_as(&r, &r.got, "p", "add", "req-9", 8000);
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
    rig_answered(&r, &r.got, 0, "1");
    rig_end(&r);
}

/* Through a connection of a process that is ending nothing is given. */
static void test_rests(void **state)
{
    struct rig r;

    (void)state;
    rig_begin_two(&r);
    rig_call(&r, &r.got, "p", "add");
    played_wait(r.w, &r.a, TOLD_TURN);
    played_leave(&r.a);
    small_run_ms(r.w, HUB_REST_MS / 2);
    assert_int_equal(r.b.told, TOLD_NO);
    played_wait(r.w, &r.b, TOLD_TURN);
    played_put(r.n, &r.b, "1");
    rig_answered(&r, &r.got, 0, "1");
    rig_end(&r);
}

/* All are gone, and one comes later than all that could be about to end. */
static void test_starts_anew(void **state)
{
    struct rig r;
    struct worker_hello h = played_hello(1);

    (void)state;
    rig_begin_two(&r);
    rig_call(&r, &r.got, "p", "add");
    played_wait(r.w, &r.a, TOLD_TURN);
    played_leave(&r.a);
    played_leave(&r.b);
    small_run_ms(r.w, 1000);
    played_join(r.n, &r.c, 2, &h);
    assert_int_equal(r.c.told, TOLD_TURN);
    assert_int_equal(r.c.attempt, 2);
    played_put(r.n, &r.c, "1");
    rig_answered(&r, &r.got, 0, "1");
    rig_end(&r);
}

/* It waits for a worker again after one has ended: nothing of it is done, and its caller is told so. */
static void test_surely_not(void **state)
{
    struct rig r;

    (void)state;
    rig_begin_two(&r);
    rig_call_as(&r, &r.got, "p", "add", "", 1500);
    played_wait(r.w, &r.a, TOLD_TURN);
    played_leave(&r.a);
    played_leave(&r.b);
    rig_answered(&r, &r.got, KELPIE_E_TIMEOUT, "");
    rig_end(&r);
}

/* Two workers end alone with it: that is its failure. The one beside it was innocent. */
static void test_deadly(void **state)
{
    struct rig r;
    struct worker_hello h = played_hello(1);

    (void)state;
    rig_begin_two(&r);
    rig_call(&r, &r.got, "deadly", "add");
    played_wait(r.w, &r.a, TOLD_TURN);
    rig_call(&r, &r.got2, "innocent", "add");
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
    rig_answered(&r, &r.got, KELPIE_E_HANDLER_FAILED, "2 workers ended");
    if (!r.got2.done) {
        played_join(r.n, &r.a, 9, &h);
        played_wait(r.w, &r.a, TOLD_TURN);
        assert_string_equal(r.a.id, "innocent");
        played_put(r.n, &r.a, "1");
    }
    rig_answered(&r, &r.got2, 0, "1");
    rig_end(&r);
}

/* A turn over its time: its connection is ended, whatever its caller waits for. */
static void test_too_long(void **state)
{
    struct rig r;

    (void)state;
    rig_begin_two(&r);
    rig_call_as(&r, &r.got, "p", "add", "long", 500);
    played_wait(r.w, &r.a, TOLD_TURN);
    rig_answered(&r, &r.got, KELPIE_E_UNKNOWN_RESULT, "");
    /* Nobody waits, and it is at it: a repeat waits for the same run. */
    rig_call_as(&r, &r.got2, "p", "add", "long", 8000);
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
    rig_answered(&r, &r.got2, 0, "1");
    rig_end(&r);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_erased_beside_a_read),
        cmocka_unit_test(test_dies_in_calls),
        cmocka_unit_test(test_alone_and_calls),
        cmocka_unit_test(test_dies),
        cmocka_unit_test(test_rests),
        cmocka_unit_test(test_starts_anew),
        cmocka_unit_test(test_surely_not),
        cmocka_unit_test(test_deadly),
        cmocka_unit_test(test_too_long),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}

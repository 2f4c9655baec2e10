/* What the checkers say of flags, and of those that come back after one. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#include "sim/sim_rows.h"

#define LATER_NS (5000 * NS_PER_MS) /* longer than a lease, and a moment */

static void row_is(struct fixture *f, const char *id, enum node_state state, uint64_t incarnation,
                   bool flagged, const char *check)
{
    struct batch b = batch_of(&f->r, f->p);
    bool joins = state == NODE_ACTIVE;

    if (joins)
        add_member(&f->v, id, incarnation);
    PUT(&b, node_record, key_node(KS, id), .state = state, .incarnation = incarnation,
        .flagged = flagged);
    if (joins)
        PUT(&b, view_record, key_view(KS), .number = f->v.number, .count = f->v.count,
            .hash_hi = f->v.hash_hi, .hash_lo = f->v.hash_lo);
    commits(&b, check);
}

/* The same row with a flag: nobody is added to the view. */
static void is_flagged(struct fixture *f, const char *id, const char *check)
{
    struct batch b = batch_of(&f->r, f->p);

    PUT(&b, node_record, key_node(KS, id), .state = NODE_ACTIVE, .incarnation = 1, .flagged = true);
    commits(&b, check);
}

static void beats(struct fixture *f, const char *id, uint64_t counter, const char *check)
{
    struct batch b = batch_of(&f->r, f->p);

    PUT(&b, heartbeat_record, key_heartbeat(KS, id), .incarnation = 1, .counter = counter);
    commits(&b, check);
}

static void say(struct process *from, const struct process *to)
{
    const char *addr = sim_net_addr(from->world->net, to->node, to->slot);

    assert_int_equal(from->env.net.ops->send(from->env.net.ctx, addr, bytes_of("x", 1)), 0);
    world_run(from->world, from->world->now_ns + NS_PER_MS);
}

/* Something goes there, something comes back. */
static void talk(struct process *a, struct process *b)
{
    say(a, b);
    say(b, a);
}

/* n1, n2 and n3 are Active, and have not heard of each other for long. */
static void begin_three(struct fixture *f, struct process *p[3])
{
    begin(f);
    p[0] = f->p;
    p[1] = rig_process(&f->r, 1);
    p[2] = rig_process(&f->r, 2);
    row_is(f, "n2", NODE_JOINING, 1, false, NULL);
    row_is(f, "n2", NODE_ACTIVE, 1, false, NULL);
    row_is(f, "n3", NODE_JOINING, 1, false, NULL);
    row_is(f, "n3", NODE_ACTIVE, 1, false, NULL);
    world_run(&f->r.w, f->r.w.now_ns + LATER_NS);
}

static void whoever_is_flagged_was_apart(void **state)
{
    struct fixture f;
    struct process *p[3];
    (void)state;
    begin_three(&f, p);
    is_flagged(&f, "n3", NULL); /* nobody heard anything */
    rig_end(&f.r);

    begin_three(&f, p);
    talk(p[0], p[2]);
    talk(p[1], p[2]);
    is_flagged(&f, "n3", NULL); /* they were apart until a moment ago */
    rig_end(&f.r);

    begin_three(&f, p);
    talk(p[0], p[2]);
    world_run(&f.r.w, f.r.w.now_ns + LATER_NS);
    talk(p[0], p[2]);
    say(p[1], p[2]);
    is_flagged(&f, "n3", NULL); /* n2's words have no echo */
    rig_end(&f.r);

    begin_three(&f, p);
    for (unsigned i = 0; i < 8; i++) {
        talk(p[0], p[2]);
        world_run(&f.r.w, f.r.w.now_ns + LATER_NS / 5);
    }
    is_flagged(&f, "n3", "GreyIsUnreachable"); /* one of two reaches it */
    rig_end(&f.r);
}

static void one_is_flagged_at_a_time(void **state)
{
    struct fixture f;
    struct process *p[3];
    (void)state;
    begin_three(&f, p);
    is_flagged(&f, "n3", NULL);
    is_flagged(&f, "n2", "OneGreyAtATime");
    rig_end(&f.r);
}

static void flags_leave_a_majority(void **state)
{
    struct fixture f;
    (void)state;
    begin(&f);
    row_is(&f, "n2", NODE_JOINING, 1, false, NULL);
    row_is(&f, "n2", NODE_ACTIVE, 1, false, NULL);
    world_run(&f.r.w, f.r.w.now_ns + LATER_NS);
    is_flagged(&f, "n2", "GreyLeavesMajority");
    rig_end(&f.r);
}

static void the_flagged_are_silent(void **state)
{
    struct fixture f;
    struct process *p[3];
    (void)state;
    begin_three(&f, p);
    beats(&f, "n3", 7, NULL);
    is_flagged(&f, "n3", NULL);
    beats(&f, "n3", 7, NULL); /* the same again */
    beats(&f, "n2", 8, NULL);
    beats(&f, "n3", 8, "FlaggedIsSilent");
    rig_end(&f.r);
}

static void leave_and_join_again(struct fixture *f, bool is_struck)
{
    struct batch b = batch_of(&f->r, f->p);
    struct view_record v = {.number =
                                f->v.number - 1}; /* without it: made anew of those that stay */

    add_member(&v, "n1", 1);
    add_member(&v, "n2", 1);
    f->v = v;
    PUT(&b, node_record, key_node(KS, "n3"), .state = NODE_FAILED, .incarnation = 1,
        .flagged = true);
    PUT(&b, view_record, key_view(KS), .number = v.number, .count = v.count, .hash_hi = v.hash_hi,
        .hash_lo = v.hash_lo);
    commits(&b, NULL);
    row_is(f, "n3", NODE_LEFT, 1, true, NULL);
    if (is_struck) {
        PUT(&b, incarnation_floor_record, key_incarnation_floor(KS), .incarnation = 1);
        (void)row(&b, key_node(KS, "n3"));
        commits(&b, NULL);
    }
    row_is(f, "n3", NODE_JOINING, 2, false, NULL); /* the checker remembers */
}

static void who_returns_is_reached(void **state)
{
    struct fixture f;
    struct process *p[3];
    (void)state;
    for (unsigned k = 0; k < 6; k++) {
        unsigned answers = k % 3;
        bool is_struck = k >= 3; /* and its flag with it */
        begin_three(&f, p);
        is_flagged(&f, "n3", NULL);
        leave_and_join_again(&f, is_struck);
        world_run(&f.r.w, f.r.w.now_ns + LATER_NS);
        beats(&f, "n1", 1, NULL);
        beats(&f, "n2", 1, NULL);
        for (unsigned i = 0; i < answers; i++)
            talk(p[2], p[i]);
        row_is(&f, "n3", NODE_ACTIVE, 2, false,
               answers < 2 && !is_struck ? "GreyReturnsReached" : NULL);
        rig_end(&f.r);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(whoever_is_flagged_was_apart), cmocka_unit_test(one_is_flagged_at_a_time),
        cmocka_unit_test(flags_leave_a_majority),       cmocka_unit_test(the_flagged_are_silent),
        cmocka_unit_test(who_returns_is_reached),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

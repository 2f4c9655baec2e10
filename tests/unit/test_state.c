/* The five states of a node: which move may follow which, and what each state counts as. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#include "cluster/state.h"
#include "support/test_dies.h"

/* Rows: from; columns: to; in the order Left, Joining, Active, Leaving, Failed. F: the founder only. */
static const char moves[5][6] = {
    ".xF..", /* Left */
    "..x.x", /* Joining */
    "...xx", /* Active */
    "x...x", /* Leaving */
    "x....", /* Failed */
};

struct move {
    enum node_state from, to;
    bool founds;
};

static void make_move(void *arg)
{
    const struct move *m = arg;
    enum node_state state = m->from;
    state_move(&state, m->to, m->founds);
}

static void check_move(struct move m)
{
    char cell = moves[m.from][m.to];
    bool may = cell == 'x' || (cell == 'F' && m.founds);
    enum node_state state = m.from;
    if (state_may_move(m.from, m.to, m.founds) != may)
        fail_msg("%s to %s", node_state_name(m.from), node_state_name(m.to));
    if (!may) {
        assert_true(test_dies(make_move, &m));
        return;
    }
    state_move(&state, m.to, m.founds);
    assert_int_equal(state, m.to);
}

static void every_move(void **state)
{
    (void)state;
    for (int from = NODE_LEFT; from <= NODE_FAILED; from++)
        for (int to = NODE_LEFT; to <= NODE_FAILED; to++)
            for (int founds = 0; founds <= 1; founds++)
                check_move((struct move){(enum node_state)from, (enum node_state)to, founds != 0});
}

static void what_a_state_counts_as(void **state)
{
    static const struct {
        enum node_state state;
        bool member, voter, hosts, living;
    } rows[] = {
        {NODE_LEFT, false, false, false, false}, {NODE_JOINING, true, false, false, true},
        {NODE_ACTIVE, true, true, true, true},   {NODE_LEAVING, true, true, true, true},
        {NODE_FAILED, true, true, false, false},
    };
    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        assert_int_equal(state_is_member(rows[i].state), rows[i].member);
        assert_int_equal(state_is_voter(rows[i].state), rows[i].voter);
        assert_int_equal(state_hosts(rows[i].state), rows[i].hosts);
        assert_int_equal(state_is_living(rows[i].state), rows[i].living);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_move),
        cmocka_unit_test(what_a_state_counts_as),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

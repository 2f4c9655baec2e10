#include "cluster/state.h"

#include "base/check.h"

#define BIT(s) (1u << (s))

static const unsigned successors[] = {
    [NODE_LEFT] = BIT(NODE_JOINING),
    [NODE_JOINING] = BIT(NODE_ACTIVE) | BIT(NODE_FAILED),
    [NODE_ACTIVE] = BIT(NODE_LEAVING) | BIT(NODE_FAILED),
    [NODE_LEAVING] = BIT(NODE_LEFT) | BIT(NODE_FAILED),
    [NODE_FAILED] = BIT(NODE_LEFT),
};

bool state_may_move(enum node_state from, enum node_state to, bool founds)
{
    if (founds && from == NODE_LEFT && to == NODE_ACTIVE)
        return true;
    return (successors[from] & BIT(to)) != 0;
}

void state_move(enum node_state *state, enum node_state to, bool founds)
{
    CHECK(state_may_move(*state, to, founds));
    *state = to;
}

bool state_is_member(enum node_state s)
{
    return s != NODE_LEFT;
}

bool state_is_voter(enum node_state s)
{
    return s == NODE_ACTIVE || s == NODE_LEAVING || s == NODE_FAILED;
}

bool state_hosts(enum node_state s)
{
    return s == NODE_ACTIVE || s == NODE_LEAVING;
}

bool state_is_living(enum node_state s)
{
    return s == NODE_JOINING || s == NODE_ACTIVE || s == NODE_LEAVING;
}

/*
 * An actor erases itself (docs/adr/0021-erase-and-expiry.md). The turn's commit takes its state, what it
 * remembers stays; nothing runs until that has landed, and then the activation ends: whoever comes next meets
 * an actor as new.
 */
#include "actor/activation.h"
#include "base/mark.h"
#include "base/mutant.h"

int kelpie_erase(struct kelpie_actor *actor)
{
    struct invocation *inv = actor->in_receive ? actor->current : NULL;

    if (!inv || actor->read_only)
        return KELPIE_E_REFUSED;
    inv->erases = true;
    actor_state_erase(&actor->values);
    return 0;
}

bool erase_has_work(const struct kelpie_actor *act, const struct invocation *inv)
{
    return act->memory.head.number > 0 || !list_empty(&inv->sends) ||
           actor_state_touched(&act->values) || act->values.unsaved_count > 0 ||
           act->state == ACT_COMMITTING || act->pending_wrote;
}

bool erase_is_over(const struct kelpie_actor *act)
{
    return act->erasing && act->state == ACT_IDLE;
}

void erase_finish(struct kelpie_actor *act)
{
    SOMETIMES("actor-erased");
    act->erasing = false;
    if (!act_deactivate(act))
        return;
    act->actors->stats.deactivated++;
    act->actors->stats.erased++;
    reads_take_back(act); /* what they were shown is gone */
    act_free_memory(act);
    if (act->mailbox_count > 0 && !act_leaves(act)) {
        SOMETIMES("erased-actor-comes-back");
        act_set_state(act, ACT_LOADING);
        act_load(act);
        return;
    }
    act_set_state(act, ACT_STOPPING);
    act_stop_placement(act, STOP_RELEASE);
}

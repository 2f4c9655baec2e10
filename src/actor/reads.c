/*
 * Messages of methods that are declared as reads (docs/adr/0020-class-interface.md). They are shown what
 * is committed, write nothing and are not remembered, so they pass neither the gate nor each other's
 * turns: one runs as soon as the commit that was in flight when it came has ended, and is answered at
 * once. A read of an actor that never was runs on nothing, and leaves no row.
 */
#include "actor/activation.h"
#include "base/mark.h"
#include "base/mutant.h"

static struct invocation *first_read(const struct kelpie_actor *act)
{
    return list_empty(&act->reads) ? NULL : LIST_ENTRY(act->reads.next, struct invocation, link);
}

/* The same request, which a node repeats. */
static struct invocation *waiting(const struct kelpie_actor *act, const struct invocation *inv)
{
    LIST_FOREACH(l, &act->reads)
    {
        struct invocation *other = LIST_ENTRY(l, struct invocation, link);
        if (uuid_equal(other->hash, inv->hash) && uuid_equal(other->fingerprint, inv->fingerprint))
            return other;
    }
    return NULL;
}

bool read_enqueue(struct kelpie_actor *act, struct invocation *inv)
{
    struct actors *a = act->actors;
    struct invocation *first = waiting(act, inv);

    if (first) {
        invocation_follow(a, first, inv);
        return true;
    }
    if (act->mailbox_count - act->mail_count >= a->mailbox_max) {
        SOMETIMES("read-refused-by-a-full-mailbox");
        cap_reached(&a->caps[ACTORS_CAP_MAILBOX], a->env);
        invocation_answer_text(a, inv, KELPIE_E_MAILBOX_FULL, "");
        return false;
    }
    inv->for_flight = act->op || act->loaded;
    act->mailbox_count++;
    list_append(&act->reads, &inv->link);
    return true;
}

bool read_ready(const struct kelpie_actor *act)
{
    const struct invocation *first = first_read(act);

    return first && !first->for_flight;
}

void reads_flight_over(struct kelpie_actor *act)
{
    LIST_FOREACH(l, &act->reads)
    {
        LIST_ENTRY(l, struct invocation, link)->for_flight = false;
    }
}

static void read_one(struct kelpie_actor *act, struct invocation *inv)
{
    bool alive;

    if (quarantine_refuses(act, inv))
        return;
    if (act->state == ACT_COMMITTING)
        SOMETIMES("read-beside-a-commit");
    act->read_only = act->reading = true;
    alive = act_call_class(act, inv);
    act->read_only = act->reading = false;
    if (!alive)
        return;
    act->current = NULL;
    act_take_status(act, inv);
    act_answer(act, inv, inv->status, buf_bytes(&inv->reply));
}

bool read_run(struct kelpie_actor *act)
{
    struct actors *a = act->actors;
    struct invocation *inv = first_read(act);

    if (!MUTANT("nolease") && !act_may_go_on(act))
        return false;
    list_remove(&inv->link);
    act->mailbox_count--;
    inv = invocation_expire(a, inv);
    if (inv)
        read_one(act, inv);
    return true;
}

/* ---- of an actor that never was */

bool reads_of_nothing(const struct kelpie_actor *act, const struct load_args *args)
{
    return args->never_was && !list_empty(&act->reads) && list_empty(&act->mailbox);
}

void act_read_nothing(struct kelpie_actor *act)
{
    unsigned reads = 0;

    CHECK(act->state == ACT_LOADING && act->nothing);
    SOMETIMES("read-of-an-actor-that-never-was");
    while (read_ready(act) && reads++ < RUN_BATCH)
        if (!read_run(act))
            return;
    if (!act_deactivate(act))
        return;
    act->nothing = false;
    if (act->mailbox_count == 0) {
        act_drop(act, KELPIE_E_NOT_HERE, NULL, "");
        return;
    }
    /* Who came meanwhile may be told something else. */
    act->loaded = false;
    act_free_memory(act);
    act_load(act);
}

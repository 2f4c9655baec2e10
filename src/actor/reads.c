/*
 * Messages of methods that are declared as reads (docs/adr/0020-class-interface.md). They are shown what
 * is committed, write nothing and are not remembered, so they pass neither the gate nor each other's
 * turns: one runs as soon as the commit that was in flight when it came has ended, and is answered at
 * once. A read of an actor that never was runs on nothing, and leaves no row.
 */
#include "actor/activation.h"
#include "actor/outside_link.h"
#include "base/mark.h"
#include "base/mutant.h"

static struct invocation *first_read(const struct kelpie_actor *act)
{
    return list_empty(&act->reads) ? NULL : LIST_ENTRY(act->reads.next, struct invocation, link);
}

/* The same request, which a node repeats. */
static bool is_same(const struct invocation *a, const struct invocation *b)
{
    return uuid_equal(a->hash, b->hash) && uuid_equal(a->fingerprint, b->fingerprint);
}

static struct invocation *waiting(const struct kelpie_actor *act, const struct invocation *inv)
{
    LIST_FOREACH(l, &act->outside)
    {
        struct invocation *other = LIST_ENTRY(l, const struct outside, link)->inv;
        if (is_same(other, inv))
            return other;
    }
    LIST_FOREACH(l, &act->reads)
    {
        struct invocation *other = LIST_ENTRY(l, struct invocation, link);
        if (is_same(other, inv))
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

    return outside_read_ready(act) ||
           (first && !first->for_flight && act->outside_count < OUTSIDE_READS_MAX);
}

void reads_flight_over(struct kelpie_actor *act)
{
    LIST_FOREACH(l, &act->reads)
    {
        LIST_ENTRY(l, struct invocation, link)->for_flight = false;
    }
}

/* Its callback has run. */
static void read_ends(struct kelpie_actor *act, struct invocation *inv)
{
    act->current = NULL;
    act_take_status(act, inv);
    act_answer(act, inv, inv->status, buf_bytes(&inv->reply));
}

/* One that somebody outside has answered. What leaves is committed, and the lease is looked at as after any. */
static void read_answered(struct kelpie_actor *act, struct outside *o)
{
    struct invocation *inv = o->inv;
    int status;

    act_callback_begins(act, "answered", inv);
    act->current = inv;
    act->in_receive = act->read_only = act->reading = true;
    status = outside_call(o, act);
    act->in_receive = act->read_only = act->reading = false;
    act_callback_ends(act);
    if (!act_may_go_on(act))
        return;
    if (status == KELPIE_PENDING && outside_read_stays(act, inv)) {
        act->current = NULL;
        return;
    }
    inv->status = status <= 0 ? status : KELPIE_E_HANDLER_FAILED;
    read_ends(act, inv);
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
    if (inv->status == KELPIE_PENDING && outside_read_stays(act, inv)) {
        SOMETIMES("read-outside");
        act->current = NULL;
        return;
    }
    read_ends(act, inv);
}

bool read_run(struct kelpie_actor *act)
{
    struct actors *a = act->actors;
    struct outside *answered;
    struct invocation *inv;

    if (!MUTANT("nolease") && !act_may_go_on(act))
        return false;
    answered = outside_read_answered(act);
    if (answered) {
        read_answered(act, answered);
        return true;
    }
    inv = first_read(act);
    list_remove(&inv->link);
    act->mailbox_count--;
    inv = invocation_expire(a, inv);
    if (inv)
        read_one(act, inv);
    return true;
}

void reads_take_back(struct kelpie_actor *act)
{
    struct list back, *l;

    list_init(&back);
    outside_reads_take(act, &back);
    while ((l = list_pop(&back))) {
        list_append(&act->reads, l);
        act->mailbox_count++;
    }
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
    if (!list_empty(&act->outside))
        return;
    if (!act_deactivate(act))
        return;
    act->nothing = act->nothing_begun = false;
    if (act->mailbox_count == 0) {
        act_drop(act, KELPIE_E_NOT_HERE, NULL, "");
        return;
    }
    /* Who came meanwhile may be told something else. */
    act->loaded = false;
    act_free_memory(act);
    act_load(act);
}

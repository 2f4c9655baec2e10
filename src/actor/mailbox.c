/* Messages come in, wait their turn, and are taken one at a time. */
#include "actor/activation.h"
#include "actor/class_methods.h"
#include "actor/outside_link.h"
#include "base/mark.h"
#include "base/mutant.h"

void mailbox_take_all(struct kelpie_actor *act, struct list *out)
{
    struct invocation *open;
    struct list *l;

    while ((l = list_pop(&act->flying)))
        list_append(out, l);
    while ((l = list_pop(&act->pending)))
        list_append(out, l);
    act->flying_count = act->pending_count = 0;
    act->pending_reply_bytes = act->pending_waiting_bytes = 0;
    act->pending_cost = (struct batch_cost){0};
    act->pending_wrote = false;
    open = act->open ? open_turn_drop(act) : NULL;
    if (open)
        list_append(out, &open->link);
    if (act->current && act->current != open)
        list_append(out, &act->current->link);
    act->current = NULL;
    while ((l = list_pop(&act->mailbox)))
        if (!MUTANT("dropmail"))
            list_append(out, l);
    while ((l = list_pop(&act->reads)))
        list_append(out, l);
    outside_reads_take(act, out);
    act->mailbox_count = act->mail_count = 0;
}

static struct invocation *find_in(const struct list *list, struct uuid hash)
{
    LIST_FOREACH(l, list)
    {
        struct invocation *inv = LIST_ENTRY(l, struct invocation, link);
        if (uuid_equal(inv->hash, hash))
            return inv;
    }
    return NULL;
}

struct invocation *mailbox_running(const struct kelpie_actor *act, struct uuid hash)
{
    struct invocation *inv;

    if (act->current && uuid_equal(act->current->hash, hash))
        return act->current;
    inv = open_turn_of(act);
    if (inv && uuid_equal(inv->hash, hash))
        return inv;
    inv = find_in(&act->flying, hash);
    return inv ? inv : find_in(&act->pending, hash);
}

static struct invocation *find_request(const struct kelpie_actor *act, struct uuid hash)
{
    struct invocation *inv = mailbox_running(act, hash);

    return inv ? inv : find_in(&act->mailbox, hash);
}

/* Queues it; a repeat of one that waits or is being committed gets that one's answer, and is never
 * refused for want of room. False when it was answered: the mailbox is full, or it is no repeat but
 * has another one's id. */
static bool enqueue(struct kelpie_actor *act, struct invocation *inv)
{
    struct actors *a = act->actors;
    struct invocation *first;
    /* The one whose turn is next waits for the run queue, not for another message. */
    bool next = gate_open(act) && !act->current;
    bool full = act->mailbox_count - act->mail_count >= a->mailbox_max + (next ? 1 : 0);

    inv->flags = inv->is_send ? 0 : class_method_flags(act->class, inv->method);
    if (inv->flags & KELPIE_METHOD_READ)
        return read_enqueue(act, inv);
    first = find_request(act, inv->hash);
    if (first && !uuid_equal(first->fingerprint, inv->fingerprint) && !MUTANT("nofingerprint")) {
        SOMETIMES("request-id-reused-in-the-mailbox");
        invocation_answer_text(a, inv, KELPIE_E_REQUEST_ID_REUSED,
                               kelpie_error_text(KELPIE_E_REQUEST_ID_REUSED));
        return false;
    }
    if (full && (!first || MUTANT("fullrepeat"))) {
        SOMETIMES("mailbox-full");
        cap_reached(&a->caps[ACTORS_CAP_MAILBOX], a->env);
        invocation_answer_text(a, inv, KELPIE_E_MAILBOX_FULL, "");
        return false;
    }
    if (first) {
        SOMETIMES("repeat-follows-the-first");
        if (full)
            SOMETIMES("repeat-follows-in-a-full-mailbox");
        invocation_follow(a, first, inv);
        return true;
    }
    act->mailbox_count++;
    list_append(&act->mailbox, &inv->link);
    act_saw(a, (struct act_sight){SEEN_ARRIVED, .act = act, .inv = inv});
    if (act->open)
        open_turn_waited_for(act);
    return true;
}

static struct invocation *dequeue(struct kelpie_actor *act)
{
    struct invocation *inv = LIST_ENTRY(list_pop(&act->mailbox), struct invocation, link);

    act->mailbox_count--;
    act->mail_count -= inv->kind == INVOKE_MESSAGE;
    return inv;
}

/* No room: the placement that brought the caller here is released, so that the actor can be placed
 * where there is room. */
static void evict(struct actors *a, const struct kelpie_class *class, struct invocation *inv)
{
    struct kelpie_actor *act;

    SOMETIMES("node-full");
    if (inv->generation == 0 || a->activations.count >= a->activations_max + EVICTIONS_MAX) {
        invocation_answer_text(a, inv, KELPIE_E_NODE_FULL, "");
        return;
    }
    act = act_new(a, class, inv->id, ACT_STOPPING);
    act->generation = inv->generation;
    act->stop_answer = KELPIE_E_NODE_FULL;
    list_append(&act->mailbox, &inv->link);
    act->mailbox_count = 1;
    act_stop_placement(act, STOP_RELEASE);
}

/* The one that is idle for longest goes, unless it was in use just now; until it has, there is one more than there should be. */
static bool make_room(struct actors *a)
{
    struct kelpie_actor *act = idle_longest(a);

    cap_reached(&a->caps[ACTORS_CAP_ACTIVATIONS], a->env);
    if (!act || a->activations.count >= a->activations_max + EVICTIONS_MAX ||
        env_now_ns(a->env) - act->idle_since_ns < EVICT_IDLE_NS)
        return false;
    SOMETIMES("longest-idle-makes-room");
    act_stop_later(act);
    return true;
}

/* On a full node one loads for each that goes, and these have a pace: ever new actors take what the store
 * can do no more than in part. */
static uint64_t evict_delay(struct actors *a)
{
    uint64_t now = env_now_ns(a->env);
    uint64_t at = a->evict_next_ns > now ? a->evict_next_ns : now;

    if (a->activations.count <= a->activations_max)
        return 0;
    a->evict_next_ns = at + EVICT_PACE_NS;
    return at - now;
}

static void deliver_to_new(struct actors *a, struct invocation *inv)
{
    const struct kelpie_class *class = actors_class(a, inv->type);
    struct kelpie_actor *act;

    if (!class) {
        /* Whoever was told that it is here was told so before the type went: it looks again. */
        invocation_answer_text(a, inv,
                               inv->generation > 0 ? KELPIE_E_NOT_HERE : KELPIE_E_UNKNOWN_TYPE,
                               "the node does not host actors of this type");
        return;
    }
    if (a->activations.count >= a->activations_max && !make_room(a)) {
        evict(a, class, inv);
        return;
    }
    act = act_new(a, class, inv->id, ACT_LOADING);
    if (inv->kind == INVOKE_NUDGE)
        inbox_note(act, inv->until_ms);
    (void)enqueue(act, inv);
    act_load_in(act, evict_delay(a));
}

void host_deliver(struct actors *a, struct invocation *inv)
{
    struct kelpie_actor *act;

    if (a->closed || (!MUTANT("nolease") && !cluster_may_act(a->cluster))) {
        invocation_answer_text(a, inv, KELPIE_E_UNAVAILABLE,
                               a->closed ? "the node is closing" : cluster_reason(a->cluster));
        return;
    }
    if (chain_has(inv->chain, inv->type, inv->id)) {
        invocation_answer_text(a, inv, KELPIE_E_CALL_CYCLE, kelpie_error_text(KELPIE_E_CALL_CYCLE));
        return;
    }
    act = act_find(a, inv->type, inv->id);
    if (!act) {
        deliver_to_new(a, inv);
        return;
    }
    if (inv->kind == INVOKE_NUDGE)
        inbox_note(act, inv->until_ms);
    if (!enqueue(act, inv))
        return;
    if ((act->state == ACT_IDLE || act->state == ACT_COMMITTING) && !act->current &&
        list_empty(&act->run_link)) {
        act_run_later(act);
    } else if (act->state == ACT_UNSETTLED && !act_leaves(act)) {
        SOMETIMES("hand-over-taken-back");
        act_take_back(act);
    }
}

void host_activate(struct actors *a, const char *type, const char *id)
{
    const struct kelpie_class *class = actors_class(a, type);

    if (a->closed || !class || a->drain.on || class_leaves(a, class) ||
        a->activations.count >= a->activations_max || !cluster_may_act(a->cluster) ||
        act_find(a, type, id))
        return;
    act_load(act_new(a, class, id, ACT_LOADING));
}

/* One message that waits: true when the next may follow at once. */
static bool run_one(struct kelpie_actor *act)
{
    struct actors *a = act->actors;
    struct invocation *inv;
    bool over;

    if (!MUTANT("nolease") && !act_may_go_on(act))
        return false;
    inv = dequeue(act);
    over = inv->deadline_ns <= env_now_ns(a->env);
    inv = invocation_expire(a, inv);
    if (!inv)
        return !MUTANT("restsinmail");
    if (over) /* the one that goes on is a repeat of it */
        act_saw(a, (struct act_sight){SEEN_ARRIVED, .act = act, .inv = inv});
    if (act_must_look(act, inv)) {
        list_prepend(&act->mailbox, &inv->link);
        act->mailbox_count++;
        act_look(act);
        return false;
    }
    act_invoke(act, inv);
    return true;
}

void act_run(struct kelpie_actor *act)
{
    struct actors *a = act->actors;
    unsigned messages = 0;

    if (act->current || (act->state != ACT_IDLE && act->state != ACT_COMMITTING))
        return;
    act_hold(act);
    list_remove(&act->idle_link);
    list_remove(&act->run_link);
    if (erase_is_over(act)) {
        erase_finish(act);
        act_release(act);
        return;
    }
    if (act->open)
        open_turn_run(act);
    while ((act->state == ACT_IDLE || act->state == ACT_COMMITTING) &&
           !(act_leaves(act) && !act->taken_back)) {
        bool turn = gate_open(act) && !list_empty(&act->mailbox), read = read_ready(act);
        if (!turn && !read) {
            if (act->mailbox_count == 0 && act->state == ACT_IDLE && !act->open)
                idle_begin(act);
            break;
        }
        if (messages == RUN_BATCH || (messages > 0 && slice_over(&a->slice))) {
            SOMETIMES("actor-takes-turns");
            act_run_later(act);
            break;
        }
        messages++;
        /* One of each, while there are both: neither kind keeps the other waiting. */
        if (!(read && (!turn || messages % 2) ? read_run(act) : run_one(act)))
            break;
    }
    if (act->state == ACT_IDLE && act_leaves(act) && !act->open && !act->taken_back &&
        list_empty(&act->run_link))
        act_stop(act, STOP_HAND_OVER);
    act_release(act);
}

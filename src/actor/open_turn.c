/*
 * A turn that calls other actors (docs/adr/0019-calls-between-actors.md). It begins with its first call, stays
 * open while it waits for answers, and ends with its last callback. What it wrote lies aside while it waits,
 * so that turns of before it can be committed without it. Its calls leave when nothing that it has seen is on
 * its way to the store any more.
 */
#include <stdio.h>

#include "actor/actor_call.h"
#include "actor/chain.h"
#include "actor/open_turn.h"
#include "base/mark.h"
#include "base/mutant.h"

/* Of what is left of the turn's time, so much is kept for its own end. */
#define TURN_SHARE 16

/* ---- nobody waits */

static bool waits(const struct invocation *inv, uint64_t now)
{
    return (inv->from_peer || inv->call || inv->mail) && inv->deadline_ns > now;
}

/* Until when somebody waits for it; 0: nobody does. */
static uint64_t turn_deadline(const struct open_turn *t)
{
    uint64_t now = env_now_ns(t->act->actors->env);
    uint64_t last = waits(t->inv, now) ? t->inv->deadline_ns : 0;

    if (t->outside && t->outside->held)
        return now + OUTSIDE_LOOK_NS;
    LIST_FOREACH(l, &t->inv->followers)
    {
        const struct invocation *inv = LIST_ENTRY(l, const struct invocation, link);
        if (waits(inv, now) && inv->deadline_ns > last)
            last = inv->deadline_ns;
    }
    return last;
}

/* When a call of another actor that waits behind the turn is told so: a little before it is given up. */
static uint64_t tell_ns(const struct invocation *inv)
{
    if (inv->chain.len == 0 || inv->deadline_ns < inv->arrived_ns)
        return UINT64_MAX;
    return inv->deadline_ns - (inv->deadline_ns - inv->arrived_ns) / TURN_SHARE;
}

void open_turn_arm(struct open_turn *t)
{
    uint64_t now = env_now_ns(t->act->actors->env), due = turn_deadline(t);

    LIST_FOREACH(l, &t->act->mailbox)
    {
        uint64_t at = tell_ns(LIST_ENTRY(l, const struct invocation, link));
        if (at < due)
            due = at;
    }
    timer_start(&t->timer, due > now ? due - now : 0);
}

/* ---- beginning and end */

static void nested_free(struct nested_call *c)
{
    struct mem mem = open_turn_mem(c->turn);

    list_remove(&c->link);
    buf_deinit(&c->reply);
    mem_free(mem, c);
}

static void list_free(struct list *calls)
{
    while (!list_empty(calls)) {
        struct nested_call *c = LIST_ENTRY(calls->next, struct nested_call, link);
        if (c->call) {
            SOMETIMES("call-of-a-turn-given-up");
            call_abandon(c->call);
        }
        nested_free(c);
    }
}

/* What it called is given up, and who waits for it outside is told. */
static void empty(struct open_turn *t)
{
    struct mem mem = open_turn_mem(t);

    list_free(&t->waiting);
    list_free(&t->flying);
    list_free(&t->answered);
    while (t->blocks) {
        struct turn_block *b = t->blocks;
        t->blocks = b->next;
        mem_free(mem, b);
    }
    mem_free(mem, t->hashes);
    t->hashes = NULL;
    t->made = t->unanswered = t->bytes = 0;
    outside_drop(t->outside);
    t->outside = NULL;
}

static void turn_free(struct open_turn *t)
{
    struct mem mem = open_turn_mem(t);

    timer_stop(&t->timer);
    empty(t);
    t->act->open = NULL;
    mem_free(mem, t);
}

static void on_turn_timer(void *arg);

struct open_turn *open_turn_new(struct kelpie_actor *act)
{
    struct open_turn *t = MEM_NEW(act->actors->env->mem, struct open_turn);

    t->act = act;
    t->inv = act->current;
    list_init(&t->waiting);
    list_init(&t->flying);
    list_init(&t->answered);
    timer_init(&t->timer, act->actors->env->timers, "open_turn", on_turn_timer, t);
    act->open = t;
    return t;
}

struct invocation *open_turn_of(const struct kelpie_actor *act)
{
    return act->open ? act->open->inv : NULL;
}

void open_turn_end(struct kelpie_actor *act)
{
    if (act->open)
        turn_free(act->open);
}

struct invocation *open_turn_drop(struct kelpie_actor *act)
{
    struct invocation *inv = act->open->inv;

    SOMETIMES("activation-ends-with-an-open-turn");
    turn_free(act->open);
    return inv;
}

static void lay_aside(struct kelpie_actor *act)
{
    if (!MUTANT("openearly"))
        actor_state_lay_aside(&act->values);
}

static void take_up(struct kelpie_actor *act)
{
    if (!MUTANT("openearly"))
        actor_state_take_up(&act->values);
}

bool open_turn_stays(struct kelpie_actor *act)
{
    struct open_turn *t = act->open;

    if (!t || (list_empty(&t->waiting) && !t->outside)) {
        act->current->status = KELPIE_E_HANDLER_FAILED;
        act->actors->why_error = KELPIE_E_HANDLER_FAILED;
        (void)snprintf(act->actors->why, sizeof act->actors->why,
                       "the handler left its turn open without a call to wait for");
        return false;
    }
    SOMETIMES("turn-stays-open");
    act->current = NULL;
    lay_aside(act);
    open_turn_arm(t);
    open_turn_go_on(act);
    return true;
}

/* As if it had not begun: its callback runs outside once more. */
void open_turn_begin_again(struct kelpie_actor *act)
{
    struct open_turn *t = act->open;

    take_up(act);
    actor_state_rollback(&act->values);
    sends_drop(act->actors, t->inv);
    buf_clear(&t->inv->reply);
    t->inv->failed = t->inv->erases = false;
    empty(t);
    lay_aside(act);
}

/* Without effect: nobody waits for it. What it called is given up. */
static void give_up(struct kelpie_actor *act)
{
    struct open_turn *t = act->open;
    struct invocation *inv = t->inv;

    SOMETIMES("nobody-waits-for-an-open-turn");
    take_up(act);
    if (MUTANT("keepgiven"))
        actor_state_keep(&act->values);
    actor_state_rollback(&act->values);
    inv->unreached = t->outside && !t->outside->was_held;
    turn_free(t);
    if (inv->mail) {
        SOMETIMES("message-whose-calls-took-too-long");
        sends_drop(act->actors, inv);
        inv->status = KELPIE_E_TIMEOUT;
        message_ends(act, inv);
        gate_go_on(act);
        return;
    }
    act_answer(act, inv, invocation_refusal(inv, KELPIE_E_TIMEOUT),
               bytes_of_str("the deadline passed while the actor waited for answers of others"));
    gate_go_on(act);
}

/* ---- messages that wait behind it */

static const struct nested_call *of_chain(const struct list *calls, struct bytes chain)
{
    LIST_FOREACH(l, calls)
    {
        const struct nested_call *c = LIST_ENTRY(l, const struct nested_call, link);
        if (chain_has(chain, c->type, c->id))
            return c;
    }
    return NULL;
}

/* Whom the turn waits for, or did until just now; of those in `chain` if there is one: then both wait for
 * each other. */
static const struct nested_call *waited_for(const struct open_turn *t, struct bytes chain,
                                            bool *crossed)
{
    const struct nested_call *c = of_chain(&t->flying, chain);

    if (!c)
        c = of_chain(&t->answered, chain);
    *crossed = c != NULL;
    if (!c && !list_empty(&t->flying))
        c = LIST_ENTRY(t->flying.next, const struct nested_call, link);
    return c;
}

static void answer_waiting(struct open_turn *t, struct invocation *inv)
{
    struct kelpie_actor *act = t->act;
    bool crossed;
    const struct nested_call *c = waited_for(t, inv->chain, &crossed);
    struct buf text;

    if (crossed)
        SOMETIMES("chains-cross");
    buf_init(&text, act->actors->env->mem);
    buf_appendf(&text, "%s: ", crossed ? "two chains of calls cross" : "an actor waits for others");
    chain_to_text(inv->chain, &text);
    buf_appendf(&text, "%s/%s waited for ", act_type(act), act_id(act));
    chain_to_text(t->inv->chain, &text);
    buf_appendf(&text, "%s/%s", act_type(act), act_id(act));
    if (c)
        buf_appendf(&text, " -> %s/%s", c->type, c->id);
    invocation_answer(act->actors, inv, KELPIE_E_TIMEOUT, buf_bytes(&text), NULL);
    buf_deinit(&text);
}

void open_turn_waited_for(struct kelpie_actor *act)
{
    open_turn_arm(act->open);
}

static void on_turn_timer(void *arg)
{
    struct open_turn *t = arg;
    struct kelpie_actor *act = t->act;
    uint64_t now = env_now_ns(act->actors->env);
    struct list due, *l;

    if (!act_may_go_on(act))
        return;
    if (turn_deadline(t) == 0) {
        act_hold(act);
        give_up(act);
        act_release(act);
        return;
    }
    list_init(&due);
    LIST_FOREACH_SAFE(it, tmp, &act->mailbox)
    {
        if (tell_ns(LIST_ENTRY(it, struct invocation, link)) > now)
            continue;
        list_remove(it);
        act->mailbox_count--;
        list_append(&due, it);
    }
    open_turn_arm(t);
    while ((l = list_pop(&due)))
        answer_waiting(t, LIST_ENTRY(l, struct invocation, link));
}

void open_turn_left(struct actors *a, const struct invocation *inv)
{
    struct kelpie_actor *act = act_find(a, inv->type, inv->id);

    if (act && act->open && act->open->inv == inv)
        open_turn_arm(act->open);
}

/* ---- calls leave, and answers come */

static void on_answered(void *arg, int status, struct bytes reply)
{
    struct nested_call *c = arg;
    struct open_turn *t = c->turn;

    c->call = NULL;
    c->status = status;
    buf_append_bytes(&c->reply, reply);
    t->unanswered--;
    t->bytes -= c->body_len;
    if (kelpie_error_applied(status) == KELPIE_APPLIED_NO)
        t->inv->calls_out--;
    list_remove(&c->link);
    list_append(&t->answered, &c->link);
    act_run_later(t->act);
}

/* Both of the turn's own deadline and of the call's: what is left, in whole milliseconds. */
static uint32_t deadline_ms(const struct open_turn *t, const struct nested_call *c)
{
    uint64_t now = env_now_ns(t->act->actors->env), end = turn_deadline(t);
    uint64_t left = end > now ? (end - now) - (end - now) / TURN_SHARE : 0;

    if (c->deadline_ns < now + left)
        left = c->deadline_ns > now ? c->deadline_ns - now : 0;
    left /= NS_PER_MS;
    return left == 0 ? 1 : left > CALL_DEADLINE_MS_MAX ? CALL_DEADLINE_MS_MAX : (uint32_t)left;
}

/* Never younger than the request of its turn. Of a message nobody says how old its first attempt is: it counts
 * as one window of whoever is called. */
static uint64_t age_ms(const struct open_turn *t)
{
    if (MUTANT("nestedage"))
        return 0;
    return t->inv->mail ? REQUEST_AGE_UNKNOWN : invocation_age_ms(t->act, t->inv);
}

static void leave(struct open_turn *t, struct nested_call *c)
{
    struct kelpie_actor *act = t->act;
    struct actors *a = act->actors;
    struct call_ask ask = {
        .type = c->type,
        .id = c->id,
        .method = c->method,
        .request_id = c->request_id,
        .age_ms = age_ms(t),
        .body = bytes_of(c->body, c->body_len),
        .deadline_ms = deadline_ms(t, c),
    };
    struct buf chain;

    buf_init(&chain, a->env->mem);
    buf_append_bytes(&chain, t->inv->chain);
    chain_append(&chain, act_type(act), act_id(act));
    ask.chain = buf_bytes(&chain);
    t->inv->calls_out++;
    list_append(&t->flying, &c->link);
    c->call = call_start(a, &ask, on_answered, c);
    buf_deinit(&chain);
}

static bool may_leave(const struct open_turn *t)
{
    return t->act->state == ACT_IDLE || MUTANT("callearly");
}

static bool has_answer(const struct open_turn *t)
{
    return !list_empty(&t->answered) || (t->outside && t->outside->ready);
}

void open_turn_go_on(struct kelpie_actor *act)
{
    const struct open_turn *t = act->open;

    if (has_answer(t) || (!list_empty(&t->waiting) && may_leave(t)))
        act_run_later(act);
    else if (!list_empty(&t->waiting))
        SOMETIMES("call-waits-at-the-gate");
}

/* What the turn ends with, when it does so with what the call was answered. */
static void note_why(struct actors *a, const struct nested_call *c)
{
    size_t len = c->reply.len < sizeof a->why ? c->reply.len : sizeof a->why - 1;

    if (!c->status)
        return;
    a->why_error = c->status;
    if (len)
        memcpy(a->why, c->reply.data, len);
    a->why[len] = '\0';
}

/* It ends with the domain error that a call was answered with. */
static void pass_on(struct open_turn *t, const struct nested_call *c)
{
    if (!t->finished || t->status != KELPIE_E_DOMAIN || c->status != KELPIE_E_DOMAIN ||
        t->inv->failed || t->inv->reply.len > 0)
        return;
    t->inv->failed = true;
    buf_append_bytes(&t->inv->reply, buf_bytes(&c->reply));
}

static void callback_begins(struct kelpie_actor *act)
{
    struct open_turn *t = act->open;

    take_up(act);
    act_callback_begins(act, "answered", t->inv);
    act->current = t->inv;
    act->in_receive = t->in_callback = true;
}

static void callback_ends(struct kelpie_actor *act)
{
    act->in_receive = act->open->in_callback = false;
    act_callback_ends(act);
    quarantine_returned(act, "answered", act->open->inv->method);
}

/* The callback has run: the turn ends, or waits on. */
static void after_callback(struct kelpie_actor *act)
{
    struct actors *a = act->actors;
    struct open_turn *t = act->open;
    struct invocation *inv = t->inv;

    if (!t->finished && t->unanswered == 0 && list_empty(&t->answered) && !t->outside) {
        SOMETIMES("open-turn-forgotten");
        t->finished = true;
        t->status = a->why_error = KELPIE_E_HANDLER_FAILED;
        (void)snprintf(a->why, sizeof a->why,
                       "the handler neither finished its turn nor made another call to wait for");
    }
    if (t->finished) {
        inv->status = t->status;
        act_turn_ends(act, inv);
        return;
    }
    act->current = NULL;
    lay_aside(act);
    open_turn_arm(t);
}

/* A call was answered. */
static void run_answer(struct kelpie_actor *act, struct nested_call *c)
{
    callback_begins(act);
    note_why(act->actors, c);
    c->answered(act, c->arg, c->status, c->reply.data, c->reply.len);
    callback_ends(act);
    pass_on(act->open, c);
    nested_free(c);
    if (MUTANT("slowlapse") || act_may_go_on(act))
        after_callback(act);
}

/* Somebody outside has answered. */
static void run_outside(struct kelpie_actor *act)
{
    struct open_turn *t = act->open;
    struct outside *o = t->outside;
    int status;

    t->outside = NULL;
    callback_begins(act);
    status = outside_call(o, act);
    callback_ends(act);
    if (status != KELPIE_PENDING) {
        t->finished = true;
        t->status = status <= 0 ? status : KELPIE_E_HANDLER_FAILED;
    }
    if (act_may_go_on(act))
        after_callback(act);
}

void open_turn_run(struct kelpie_actor *act)
{
    struct actors *a = act->actors;
    struct open_turn *t;
    struct list *l;
    unsigned run = 0;

    while ((t = act->open) && has_answer(t)) {
        if (run++ > 0 && slice_over(&a->slice)) {
            act_run_later(act);
            return;
        }
        if (!act_may_go_on(act))
            return;
        l = list_pop(&t->answered);
        if (l)
            run_answer(act, LIST_ENTRY(l, struct nested_call, link));
        else
            run_outside(act);
    }
    if (!t || list_empty(&t->waiting) || !may_leave(t) || !act_may_go_on(act))
        return;
    while ((l = list_pop(&t->waiting)))
        leave(t, LIST_ENTRY(l, struct nested_call, link));
}

/*
 * What of an actor is blamed for the ends of processes (docs/adr/0023-quarantine.md). An activation reads that with its
 * state: a deadly turn always ends the activation in which it ran, so nothing has to be read before a turn. It is
 * read again when it keeps something from running, for an operator may have lifted it meanwhile.
 */
#include "actor/activation.h"
#include "base/mark.h"
#include "base/mutant.h"

#include <stdio.h>

#define LOOK_AGAIN_NS NS_PER_S /* not more often */
#define HELD_BACK_MS_MAX 2000  /* then what is held back looks again */

struct poison {
    char method[ACTOR_METHOD_MAX + 1];
    struct poison_record record;
};

/* Its rows being read again, and one of them deleted. */
struct poison_look {
    struct list link; /* of the node's */
    struct actors *actors;
    struct kelpie_actor *act; /* NULL: nobody waits */
    char type[ACTOR_TYPE_MAX + 1];
    char id[ACTOR_ID_MAX + 1];
    char method[ACTOR_METHOD_MAX + 1];
    struct forgive_op op;
};

struct poisons {
    uint64_t read_ns;
    struct poison_look *look;
    size_t count;
    struct poison rows[POISON_ROWS_MAX + 1];
};

static uint32_t unit_ms(const struct actors *a)
{
    return cluster_config_of(a->cluster)->timing.quarantine_ms;
}

static bool holds(const struct kelpie_actor *act, const struct poison *p)
{
    const struct actors *a = act->actors;

    return p && poison_holds(&p->record, actors_wall_ms(a), unit_ms(a));
}

static struct poison *find(const struct kelpie_actor *act, const char *method)
{
    struct poisons *ps = act->poisons;

    for (size_t i = 0; ps && i < ps->count; i++)
        if (strcmp(ps->rows[i].method, method) == 0)
            return &ps->rows[i];
    return NULL;
}

/* ---- reading */

static void take_row(struct kelpie_actor *act, const struct store_row *row, const char *but,
                     struct buf *scratch)
{
    struct poisons *ps = act->poisons;
    struct poison *p = &ps->rows[ps->count];
    struct key_parts parts;

    buf_clear(scratch);
    if (key_parse(act->actors->ks, row->key, &parts) ||
        poison_record_decode(row->key, row->value, scratch, &p->record)) {
        SOMETIMES("poison-cannot-be-read");
        (*act->actors->env->corrupt)++;
        return;
    }
    if (but && strcmp(but, parts.method) == 0)
        return;
    memcpy(p->method, parts.method, sizeof p->method);
    ps->count++;
}

/* All rows that there are, but that method's. */
static void take(struct kelpie_actor *act, struct store_result rows, const char *but)
{
    struct mem mem = act->actors->env->mem;
    struct buf scratch;

    if (rows.count == 0 && !act->poisons)
        return;
    if (!act->poisons)
        act->poisons = MEM_NEW(mem, struct poisons);
    act->poisons->count = 0;
    act->poisons->read_ns = env_now_ns(act->actors->env);
    buf_init(&scratch, mem);
    for (size_t i = 0; i < rows.count && i < ARRAY_LEN(act->poisons->rows); i++)
        take_row(act, &rows.rows[i], but, &scratch);
    buf_deinit(&scratch);
}

void quarantine_take(struct kelpie_actor *act, struct store_result rows)
{
    if (!MUTANT("poisonunread"))
        take(act, rows, NULL);
}

static void look_free(struct poison_look *look)
{
    list_remove(&look->link);
    mem_free(look->actors->env->mem, look);
}

static void on_looked(struct txn *txn, int status)
{
    struct poison_look *look = txn->arg;
    struct actors *a = look->actors;
    struct kelpie_actor *act = look->act;
    bool forgiven = status == 0 && look->op.forgiven;
    char type[4 * ACTOR_TYPE_MAX + 3], id[4 * ACTOR_ID_MAX + 3], method[4 * ACTOR_METHOD_MAX + 3];

    if (forgiven) {
        SOMETIMES("turn-forgiven");
        log_info(&a->env->log, "turn_forgiven", "type=%s id=%s method=%s",
                 log_quote(look->type, type, sizeof type), log_quote(look->id, id, sizeof id),
                 log_quote(look->method, method, sizeof method));
    }
    if (act)
        act->poisons->look = NULL;
    if (act && status == 0) {
        take(act, rule_rows(txn, 0), forgiven ? look->method : NULL);
        inbox_poke(act);
    }
    look_free(look);
}

/* `forgive`: its row goes. */
static void look_again(struct kelpie_actor *act, const struct poison *forgive)
{
    struct actors *a = act->actors;
    struct poisons *ps = act->poisons;
    struct poison_look *look;

    if (ps->look || a->closed)
        return;
    look = MEM_NEW(a->env->mem, struct poison_look);
    look->actors = a;
    look->act = act;
    memcpy(look->type, act_type(act), strlen(act_type(act)));
    memcpy(look->id, act_id(act), strlen(act_id(act)));
    look->op = (struct forgive_op){.ks = a->ks, .type = look->type, .id = look->id};
    if (forgive) {
        memcpy(look->method, forgive->method, sizeof look->method);
        look->op.method = look->method;
        look->op.boot = forgive->record.boot;
    }
    list_append(&a->poison_looks, &look->link);
    ps->look = look;
    ps->read_ns = env_now_ns(a->env);
    forgive_prepare(&look->op, a->env, on_looked, look);
    look->op.txn.give_up_ns = timing_lease_ns(&cluster_config_of(a->cluster)->timing);
    txn_start(&look->op.txn);
}

/* Somebody is kept from running. */
static void look_if_old(struct kelpie_actor *act)
{
    if (env_now_ns(act->actors->env) - act->poisons->read_ns >= LOOK_AGAIN_NS)
        look_again(act, NULL);
}

void quarantine_free(struct kelpie_actor *act)
{
    struct poisons *ps = act->poisons;

    if (!ps)
        return;
    act->poisons = NULL;
    if (ps->look) {
        ps->look->act = NULL;
        if (!ps->look->op.method)
            txn_cancel(&ps->look->op.txn);
    }
    mem_free(act->actors->env->mem, ps);
}

void quarantine_cancel(struct actors *a)
{
    LIST_FOREACH(l, &a->poison_looks)
    {
        txn_cancel(&LIST_ENTRY(l, struct poison_look, link)->op.txn);
    }
    timer_stop(&a->poison_sweep.timer);
    txn_cancel(&a->poison_sweep.op.txn);
}

/* ---- what may not run */

static const struct poison *held(const struct kelpie_actor *act, const char *method)
{
    const struct poison *whole = find(act, ""), *one = find(act, method);

    return holds(act, whole) ? whole : holds(act, one) ? one : NULL;
}

/* Until it is run again; 0: since it was found to hold, its time has come. */
static uint64_t left_ms_of(const struct kelpie_actor *act, const struct poison *p)
{
    uint64_t now_ms = actors_wall_ms(act->actors);

    return p->record.until_ms > now_ms ? p->record.until_ms - now_ms : 0;
}

static void tell(const struct kelpie_actor *act, const struct poison *p, char *out, size_t size)
{
    uint64_t left_ms = left_ms_of(act, p);

    (void)snprintf(out, size,
                   "%s%s ended %u processes of nodes, one after the other, and is not run for %llu "
                   "s more",
                   p->method[0] ? "this method of the actor" : "the actor's ",
                   p->method[0] ? "" : p->record.callback, p->record.deaths,
                   (unsigned long long)((left_ms + 999) / 1000));
    act->actors->stats.poisoned++;
}

bool quarantine_refuses(struct kelpie_actor *act, struct invocation *inv)
{
    const struct poison *p = act->poisons && !inv->is_send ? held(act, inv->method) : NULL;
    char text[WHY_SIZE];

    if (!p)
        return false;
    SOMETIMES("turn-poisoned");
    tell(act, p, text, sizeof text);
    act_answer(act, inv, invocation_refusal(inv, KELPIE_E_POISONED), bytes_of_str(text));
    look_if_old(act);
    return true;
}

bool quarantine_of_all(struct kelpie_actor *act, char *why, size_t size)
{
    const struct poison *p = find(act, "");

    if (!holds(act, p))
        return false;
    SOMETIMES("actor-poisoned");
    tell(act, p, why, size);
    return true;
}

uint64_t quarantine_wait_ms(struct kelpie_actor *act, const char *method)
{
    const struct poison *p = act->poisons ? held(act, method) : NULL;
    uint64_t left_ms;

    if (!p)
        return 0;
    SOMETIMES("message-waits-for-a-quarantine");
    left_ms = left_ms_of(act, p);
    look_if_old(act);
    return left_ms < HELD_BACK_MS_MAX ? left_ms : HELD_BACK_MS_MAX;
}

void quarantine_returned(struct kelpie_actor *act, const char *callback, const char *method)
{
    const struct poison *p = act->poisons ? find(act, method) : NULL;
    struct actors *a = act->actors;

    if (p && poison_is_forgiven(&p->record, callback, actors_wall_ms(a), unit_ms(a)))
        look_again(act, p);
}

/* ---- the primary's sweep */

static void sweep_begin(struct poison_sweep *s, const struct keyspace *ks)
{
    struct key_range all = keys_poison_all(ks);

    s->op.cursor = all.begin;
    s->op.end = all.end;
    s->held = 0;
}

static void on_swept(struct txn *txn, int status)
{
    struct actors *a = txn->arg;
    struct poison_sweep *s = &a->poison_sweep;
    uint64_t pause = POISON_PAGE_PAUSE_NS;

    if (a->closed || s->term == 0)
        return;
    s->held += status ? 0 : s->op.held;
    if (status || s->op.at_end) {
        a->stats.poison_held = status ? a->stats.poison_held : s->held;
        pause = unit_ms(a) * NS_PER_MS;
        sweep_begin(s, a->ks);
    } else {
        s->op.cursor = s->op.next;
    }
    timer_start(&s->timer, pause);
}

static void on_sweep(void *arg)
{
    struct actors *a = arg;
    struct poison_sweep *s = &a->poison_sweep;

    if (a->closed || s->term == 0 || txn_active(&s->op.txn))
        return;
    if (!cluster_may_act(a->cluster)) {
        if (!a->closed && s->term)
            timer_start(&s->timer, unit_ms(a) * NS_PER_MS);
        return;
    }
    s->op.ks = a->ks;
    s->op.now_ms = actors_wall_ms(a);
    s->op.unit_ms = unit_ms(a);
    sweep_poison_prepare(&s->op, a->env, on_swept, a);
    s->op.txn.give_up_ns = timing_lease_ns(&cluster_config_of(a->cluster)->timing);
    txn_start(&s->op.txn);
}

void quarantine_init(struct actors *a)
{
    list_init(&a->poison_looks);
    timer_init(&a->poison_sweep.timer, a->env->timers, "poison_sweep", on_sweep, a);
}

void quarantine_sweep(struct actors *a, uint64_t term)
{
    struct poison_sweep *s = &a->poison_sweep;

    if (s->term == term)
        return;
    s->term = term;
    timer_stop(&s->timer);
    txn_cancel(&s->op.txn);
    a->stats.poison_held = 0;
    if (term == 0)
        return;
    sweep_begin(s, a->ks);
    timer_start(&s->timer, unit_ms(a) * NS_PER_MS);
}

bool quarantine_idle(const struct actors *a)
{
    return list_empty(&a->poison_looks) && !txn_active(&a->poison_sweep.op.txn);
}

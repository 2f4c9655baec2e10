/*
 * Finding or making placements for calls: one transaction at a time per actor, however many calls
 * wait for it.
 */
#include <stdio.h>

#include "actor/actor_call.h"
#include "actor/type_hosts.h"

#include "base/mark.h"

struct finder {
    struct map_node node;
    struct actors *actors;
    struct list waiters;
    struct actor_name name;
    struct excluded excluded; /* targets that cannot host it */
    bool some_gone;           /* of them, some were not Active */
    int excluded_why;         /* others had no room, or an older class: 0, or which of both */
    bool looks;               /* it is only looked for: all that wait only read */
    bool some_without_class;
    bool knows_hosts; /* it was looked up who hosts the type */
    struct type_hosts hosts;
    struct place_op op;
};

static void find(struct finder *f);

static bool choose_target(struct finder *f)
{
    struct actors *a = f->actors;
    const struct kelpie_class *class = actors_class(a, f->op.type);
    struct policy_input in = {
        .view = cluster_view(a->cluster),
        .self = cluster_config_of(a->cluster)->node_id,
        .placement = class ? class->placement : KELPIE_PLACE_LEAST_LOADED,
        .excluded = &f->excluded,
        .only = f->hosts.nodes.count > 0 ? &f->hosts.nodes : NULL,
        .load = actors_member_load,
        .load_arg = a,
        .silent = actors_member_silent,
        .silent_arg = a,
        .random = a->env->random,
        .turn = &a->turn,
    };
    const struct member *m = NULL;

    if (f->excluded.count < EXCLUDED_MAX)
        m = policy_choose(&in);
    in.silent = NULL; /* better one that may be dead than none */
    if (!m && f->excluded.count < EXCLUDED_MAX)
        m = policy_choose(&in);
    if (m)
        memcpy(f->op.target, m->node_id, sizeof f->op.target);
    return m != NULL;
}

/* Ends the search: out of the table first, so that a call that looks again starts a new one. */
static void finish(struct finder *f, int status, const char *why)
{
    struct actors *a = f->actors;
    struct placement placement = f->op.result;
    struct list *l;

    map_remove(&a->finders, &f->node);
    while ((l = list_pop(&f->waiters))) {
        struct actor_call *call = LIST_ENTRY(l, struct actor_call, wait_link);
        call->finder = NULL;
        if (status)
            call_not_found(call, status, why);
        else
            call_found(call, &placement);
    }
    mem_free(a->env->mem, f);
}

static bool only_reads(const struct finder *f)
{
    LIST_FOREACH(l, &f->waiters)
    {
        if (!LIST_ENTRY(l, const struct actor_call, wait_link)->reads)
            return false;
    }
    return f->excluded.count == 0;
}

/* It was only looked for, and is placed nowhere. Who reads what never was is told so, and no row is
 * made for it. */
static void looked(struct finder *f)
{
    struct actors *a = f->actors;
    struct list *l;

    f->looks = false;
    if (f->op.result.record.generation > 0 || !only_reads(f)) {
        find(f);
        return;
    }
    map_remove(&a->finders, &f->node);
    while ((l = list_pop(&f->waiters))) {
        struct actor_call *call = LIST_ENTRY(l, struct actor_call, wait_link);
        call->finder = NULL;
        call_found_nothing(call);
    }
    mem_free(a->env->mem, f);
}

/* Nobody could be chosen, and the actor is placed nowhere. */
static void finish_nowhere(struct finder *f)
{
    char why[CALL_REASON_SIZE];

    SOMETIMES("found-nobody-to-place-on");
    if (f->excluded_why) {
        finish(f, f->excluded_why, kelpie_error_text(f->excluded_why));
    } else if (f->some_without_class && !f->some_gone) {
        (void)snprintf(why, sizeof why, "no active node hosts actors of type %s", f->op.type);
        finish(f, KELPIE_E_UNKNOWN_TYPE, why);
    } else {
        finish(f, KELPIE_E_UNAVAILABLE, "no active node is known that could host the actor");
    }
}

static void on_hosts(struct type_hosts *h, int status)
{
    struct finder *f = CONTAINER_OF(h, struct finder, hosts);

    (void)status; /* without it, one node after the other is asked */
    if (f->actors->closed)
        finish(f, KELPIE_E_UNAVAILABLE, "the node is closing");
    else
        find(f);
}

/* That node does not host the type: who does? */
static void look_for_hosts(struct finder *f)
{
    f->knows_hosts = true;
    f->hosts = (struct type_hosts){.actors = f->actors, .type = f->op.type, .done = on_hosts};
    type_hosts_start(&f->hosts, FIND_GIVE_UP_NS);
}

static void on_placed(struct place_op *op, int status)
{
    struct finder *f = op->arg;
    struct actors *a = f->actors;
    char why[TXN_REASON_SIZE];

    (void)snprintf(why, sizeof why, "%s", op->txn.reason);
    if (a->closed) {
        finish(f, KELPIE_E_UNAVAILABLE, "the node is closing");
        return;
    }
    switch (status) {
    case 0:
        a->stats.placements += op->made;
        directory_learn(&a->directory, op->type, op->id, &op->result);
        finish(f, 0, "");
        return;
    case KELPIE_E_NOT_FOUND:
        if (f->looks)
            looked(f);
        else
            finish_nowhere(f);
        return;
    case KELPIE_E_REFUSED:
        excluded_add(&f->excluded, op->target);
        f->some_without_class |= op->outcome == PLACE_NO_CLASS;
        f->some_gone |= op->outcome != PLACE_NO_CLASS;
        if (op->outcome == PLACE_NO_CLASS && !f->knows_hosts)
            look_for_hosts(f);
        else
            find(f);
        return;
    case KELPIE_E_STORE_CORRUPT:
    case KELPIE_E_STORE_NEWER:
    case KELPIE_E_STORE_FULL:
        finish(f, status, why[0] ? why : kelpie_error_text(status));
        return;
    default:
        finish(f, KELPIE_E_UNAVAILABLE, "the store does not answer");
        return;
    }
}

/* One try: on the chosen target; with none left, a look at where it is. */
static void find(struct finder *f)
{
    memset(f->op.target, 0, sizeof f->op.target);
    if (!f->looks)
        (void)choose_target(f);
    f->op.done = on_placed;
    f->op.arg = f;
    f->op.give_up_ns = FIND_GIVE_UP_NS;
    place_start(&f->op, f->actors->env, f->actors->ks);
}

void finder_want(struct actors *a, struct actor_call *call)
{
    struct actor_name name = actor_name_of(call->type, call->id);
    struct finder *f =
        MAP_ENTRY(map_find(&a->finders, actor_name_bytes(&name)), struct finder, node);
    bool fresh = !f;

    if (fresh) {
        f = MEM_NEW(a->env->mem, struct finder);
        f->actors = a;
        f->name = name;
        list_init(&f->waiters);
        memcpy(f->op.type, call->type, sizeof f->op.type);
        memcpy(f->op.id, call->id, sizeof f->op.id);
        if (call->excluded) {
            f->excluded = *call->excluded;
            f->excluded_why = call->excluded_why;
        }
        CHECK(!map_insert(&a->finders, &f->node, actor_name_bytes(&f->name)));
    }
    if (!fresh)
        SOMETIMES("calls-share-a-search");
    call->finder = f;
    list_append(&f->waiters, &call->wait_link);
    if (fresh) {
        f->looks = only_reads(f);
        find(f);
    }
}

void finder_leave(struct actor_call *call)
{
    list_remove(&call->wait_link);
    call->finder = NULL;
}

void finders_close(struct actors *a)
{
    for (struct map_node *n = map_first(&a->finders); n; n = map_next(n)) {
        struct finder *f = MAP_ENTRY(n, struct finder, node);
        txn_cancel(&f->op.txn);
        txn_cancel(&f->hosts.txn);
    }
}

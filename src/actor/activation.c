/* Activations: their table, their states, and how they end. */
#include <stdio.h>

#include "actor/activation.h"
#include "base/mutant.h"

struct actor_block {
    struct actor_block *next;
    max_align_t data[];
};

static const char *const state_names[ACT_STATE_COUNT] = {
    "loading", "idle", "committing", "stopping", "settling", "unsettled", "gone",
};

#define TO(s) (1u << (s))
static const unsigned state_successors[ACT_STATE_COUNT] = {
    [ACT_LOADING] =
        TO(ACT_IDLE) | TO(ACT_STOPPING) | TO(ACT_SETTLING) | TO(ACT_UNSETTLED) | TO(ACT_GONE),
    [ACT_IDLE] = TO(ACT_COMMITTING) | TO(ACT_STOPPING) | TO(ACT_LOADING) | TO(ACT_GONE),
    [ACT_COMMITTING] =
        TO(ACT_IDLE) | TO(ACT_LOADING) | TO(ACT_SETTLING) | TO(ACT_UNSETTLED) | TO(ACT_GONE),
    [ACT_STOPPING] = TO(ACT_LOADING) | TO(ACT_SETTLING) | TO(ACT_UNSETTLED) | TO(ACT_GONE),
    [ACT_SETTLING] = TO(ACT_LOADING) | TO(ACT_UNSETTLED) | TO(ACT_GONE),
    [ACT_UNSETTLED] = TO(ACT_LOADING) | TO(ACT_STOPPING) | TO(ACT_GONE),
    [ACT_GONE] = 0,
};

const char *act_state_name(enum act_state s)
{
    CHECK(s < ACT_STATE_COUNT);
    return state_names[s];
}

static bool state_counts(enum act_state s)
{
    return s == ACT_LOADING || s == ACT_IDLE || s == ACT_COMMITTING;
}

static void count(struct kelpie_actor *act, bool counted)
{
    if (act->counted == counted)
        return;
    act->counted = counted;
    if (counted)
        act->actors->stats.activations++;
    else
        act->actors->stats.activations--;
}

static bool runs(enum act_state s)
{
    return s == ACT_IDLE || s == ACT_COMMITTING;
}

void act_set_state(struct kelpie_actor *act, enum act_state to)
{
    struct actors *a = act->actors;
    enum act_state from = act->state;

    CHECK(state_successors[from] & TO(to));
    if (from == ACT_STOPPING)
        a->stopping--;
    if (to == ACT_STOPPING)
        a->stopping++;
    if (to == ACT_IDLE)
        reads_flight_over(act);
    list_remove(&act->idle_link);
    if (to != ACT_IDLE && to != ACT_COMMITTING)
        list_remove(&act->run_link);
    if (act->stop_due)
        a->stops_due--;
    act->stop_due = false;
    act->loaded = false;
    act->state = to;
    count(act, state_counts(to));
    if (runs(from) && !runs(to))
        act_saw(a, (struct act_sight){SEEN_ENDED, .act = act, .status = (int)from});
}

const char *act_type(const struct kelpie_actor *act)
{
    return act->name;
}

const char *act_id(const struct kelpie_actor *act)
{
    return act->name + act->type_len + 1;
}

const char *act_fields(const struct kelpie_actor *act, char out[ACT_FIELDS_SIZE])
{
    char type[4 * ACTOR_TYPE_MAX + 3], id[4 * ACTOR_ID_MAX + 3];
    (void)snprintf(out, ACT_FIELDS_SIZE, "type=%s id=%s",
                   log_quote(act_type(act), type, sizeof(type)),
                   log_quote(act_id(act), id, sizeof(id)));
    return out;
}

struct actor_ref act_ref(const struct kelpie_actor *act)
{
    return (struct actor_ref){.ks = act->actors->ks, .type = act_type(act), .id = act_id(act)};
}

struct host actors_self(const struct actors *a)
{
    const struct cluster_config *config = cluster_config_of(a->cluster);
    struct host self = {.incarnation = cluster_incarnation(a->cluster), .boot = config->boot};

    memcpy(self.node_id, config->node_id, sizeof self.node_id);
    return self;
}

size_t class_index_of(const struct actors *a, const struct kelpie_class *class)
{
    return (size_t)(class - a->class_rooms);
}

const struct kelpie_class *actors_class(const struct actors *a, const char *type)
{
    for (size_t i = 0; i < a->class_count; i++) {
        if (a->classes[i] && strcmp(a->classes[i]->type, type) == 0)
            return a->classes[i];
    }
    return NULL;
}

struct kelpie_actor *act_find(const struct actors *a, const char *type, const char *id)
{
    struct actor_name name = actor_name_of(type, id);

    return MAP_ENTRY(map_find(&a->activations, actor_name_bytes(&name)), struct kelpie_actor, node);
}

struct kelpie_actor *act_new(struct actors *a, const struct kelpie_class *class, const char *id,
                             enum act_state state)
{
    struct actor_name name = actor_name_of(class->type, id);
    struct kelpie_actor *act = mem_zalloc(a->env->mem, 1, sizeof *act + name.len + 1);

    CHECK(state == ACT_LOADING || state == ACT_STOPPING);
    act->actors = a;
    act->class = class;
    act->state = state;
    act->turn_ns = a->class_turn_ns[class_index_of(a, class)];
    act->incarnation = cluster_incarnation(a->cluster);
    act->stop_answer = KELPIE_E_NOT_HERE;
    list_init(&act->idle_link);
    list_init(&act->run_link);
    list_init(&act->mailbox);
    list_init(&act->reads);
    list_init(&act->outside);
    actor_state_init(&act->values, a->env->mem);
    list_init(&act->flying);
    list_init(&act->pending);
    remember_init(&act->memory, a->env->mem);
    act->type_len = strlen(class->type);
    act->name_len = name.len;
    memcpy(act->name, name.data, name.len);
    CHECK(!map_insert(&a->activations, &act->node, bytes_of(act->name, act->name_len)));
    if (state == ACT_STOPPING)
        a->stopping++;
    count(act, state_counts(state));
    act_count_memory(act);
    return act;
}

void act_count_memory(struct kelpie_actor *act)
{
    struct actors *a = act->actors;
    size_t now = sizeof *act + act->name_len + act->block_bytes;

    now += act->values.bytes + act->values.entries.count * 144 + act->memory.bytes;
    a->stats.memory_bytes += now - act->memory_bytes;
    act->memory_bytes = now;
}

void *kelpie_actor_alloc(struct kelpie_actor *act, size_t size)
{
    struct actor_block *b;

    CHECK(size <= KELPIE_ALLOC_MAX);
    b = mem_zalloc(act->actors->env->mem, 1, sizeof *b + size);
    b->next = act->blocks;
    act->blocks = b;
    act->block_bytes += sizeof *b + size;
    return b->data;
}

void act_free_memory(struct kelpie_actor *act)
{
    struct mem mem = act->actors->env->mem;

    inbox_free(act);
    quarantine_free(act);
    actor_state_deinit(&act->values);
    remember_deinit(&act->memory);
    while (act->blocks) {
        struct actor_block *b = act->blocks;
        act->blocks = b->next;
        mem_free(mem, b);
    }
    act->block_bytes = 0;
    act->erasing = false;
    act->data = NULL;
    act_count_memory(act);
}

static void free_now(struct kelpie_actor *act)
{
    struct actors *a = act->actors;

    act_free_memory(act);
    a->stats.memory_bytes -= act->memory_bytes;
    mem_free(a->env->mem, act);
}

void act_hold(struct kelpie_actor *act)
{
    act->holds++;
}

void act_release(struct kelpie_actor *act)
{
    CHECK(act->holds > 0);
    if (--act->holds == 0 && act->state == ACT_GONE)
        free_now(act);
}

/* Out of the table. Its memory may end here. */
static void remove_entry(struct kelpie_actor *act)
{
    CHECK(!act->op && !act->current && !act->open && act->mailbox_count == 0);
    CHECK(list_empty(&act->mailbox) && list_empty(&act->reads) && list_empty(&act->outside));
    CHECK(list_empty(&act->flying) && list_empty(&act->pending));
    act_set_state(act, ACT_GONE);
    map_remove(&act->actors->activations, &act->node);
    if (act->holds == 0)
        free_now(act);
}

void act_drop(struct kelpie_actor *act, int status, const struct placement *hint, const char *text)
{
    struct actors *a = act->actors;
    struct list waiting;

    list_init(&waiting);
    mailbox_take_all(act, &waiting);
    remove_entry(act);
    invocations_answer_all(a, &waiting, status, text, hint);
    drain_soon(a);
}

bool act_may_go_on(struct kelpie_actor *act)
{
    enum act_state before = act->state;
    bool may;

    act_hold(act);
    may = cluster_may_act(act->actors->cluster) && act->state == before;
    act_release(act);
    return may;
}

bool act_leaves(const struct kelpie_actor *act)
{
    return act->actors->drain.on || class_leaves(act->actors, act->class);
}

void act_suspend(struct kelpie_actor *act, struct list *orphans)
{
    struct actors *a = act->actors;

    /* What was on its way to the store may have been applied: its callers ask again. */
    LIST_FOREACH_SAFE(l, tmp, &act->flying)
    {
        struct invocation *inv = LIST_ENTRY(l, struct invocation, link);
        if (!inv->wrote)
            continue;
        list_remove(&inv->link);
        if (MUTANT("early"))
            invocation_answer(a, inv, inv->status, buf_bytes(&inv->reply), NULL);
        else
            invocation_answer_text(a, inv, KELPIE_E_UNKNOWN_RESULT,
                                   "the node's lease ran out during the commit");
    }
    mailbox_take_all(act, orphans);
    if (state_counts(act->state))
        a->stats.suspended++;
    if (act->op) {
        if (act->state != ACT_SETTLING)
            act_set_state(act, ACT_SETTLING);
        txn_cancel(&act->op->txn);
        act_free_memory(act);
    } else if (act->state != ACT_UNSETTLED) {
        remove_entry(act);
    }
}

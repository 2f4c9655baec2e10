#include <stdio.h>
#include <stdlib.h>

#include "kelpie/error.h"
#include "node/node.h"
#include "sim/steps/sim_turns_link.h"
#include "sim/world/sim_host.h"

static const char *const names[TURN_ACTION_COUNT] = {
#define TURN_ROW(NAME) #NAME,
    TURN_ACTIONS(TURN_ROW)
#undef TURN_ROW
};

const char *turn_name(enum turn_action a)
{
    return names[a];
}

bool turns_can_follow(const char *actor)
{
    size_t type = strcspn(actor, "/"), id = actor[type] ? strlen(actor + type + 1) : 0;

    return type > 0 && type <= ACTOR_TYPE_MAX && id > 0 && id <= ACTOR_ID_MAX;
}

struct turns *turns_new(const char *actor)
{
    struct turns *t = calloc(1, sizeof *t);

    CHECK(t);
    sim_mem_init(&t->mem);
    buf_init(&t->scratch, sim_mem_of(&t->mem));
    map_init(&t->by_request_id);
    t->ids_end = &t->ids;
    t->window_ms = UINT64_MAX;
    if (actor) {
        CHECK(turns_can_follow(actor));
        (void)snprintf(t->type, sizeof t->type, "%.*s", (int)strcspn(actor, "/"), actor);
        (void)snprintf(t->id, sizeof t->id, "%s", strchr(actor, '/') + 1);
    }
    return t;
}

void turns_free(struct turns *t)
{
    if (!t)
        return;
    while (t->ids) {
        struct turn_id *id = t->ids;
        t->ids = id->next;
        free(id);
    }
    sim_mem_free_all(&t->mem);
    free(t->messages);
    free(t->pairs);
    free(t->lines);
    free(t);
}

void turns_start(struct world *w)
{
    struct turns *t = w->turns;
    bool trial = sim_trials(&w->config) > 0;

    t->w = w;
    if (!t->type[0]) {
        (void)snprintf(t->type, sizeof t->type, "%s", trial ? "trial" : "counter");
        (void)snprintf(t->id, sizeof t->id, "a%u", trial ? w->config.actors : 0);
    }
    t->actor = shadow_actor(w->shadow, t->type, t->id);
}

/* ---- lines */

static struct turn_line *append(struct turns *t, enum turn_action a, uint32_t generation)
{
    struct turn_line *l;

    if (t->count == TURN_LINES_MAX) {
        t->full = true;
        t->count--;
    }
    if (t->count == t->cap) {
        t->cap = t->cap ? t->cap * 2 : 256;
        t->lines = realloc(t->lines, t->cap * sizeof *t->lines);
        CHECK(t->lines);
    }
    l = &t->lines[t->count++];
    *l = (struct turn_line){.action = a,
                            .generation = generation,
                            .at_ms = t->w->now_ns / NS_PER_MS,
                            .outcome = "",
                            .pairs = t->pair_count};
    return l;
}

struct turn_line *turn_add(struct turns *t, enum turn_action a, uint32_t generation)
{
    if (t->w->now_ns / NS_PER_MS > t->now_ms)
        (void)append(t, TURN_Tick, 0);
    t->now_ms = t->w->now_ns / NS_PER_MS;
    return append(t, a, generation);
}

void turn_pair_add(struct turns *t, struct turn_line *l, uint32_t number, uint64_t value)
{
    if (t->pair_count == t->pair_cap) {
        t->pair_cap = t->pair_cap ? t->pair_cap * 2 : 256;
        t->pairs = realloc(t->pairs, t->pair_cap * sizeof *t->pairs);
        CHECK(t->pairs);
    }
    t->pairs[t->pair_count++] = (struct turn_pair){number, value};
    l->pair_count++;
}

struct turn_id *turn_id_of(struct turns *t, const char *request_id)
{
    struct map_node *n = map_find(&t->by_request_id, bytes_of_str(request_id));
    struct turn_id *id = MAP_ENTRY(n, struct turn_id, node);

    if (id)
        return id;
    id = calloc(1, sizeof *id);
    CHECK(id);
    id->number = ++t->id_count;
    (void)snprintf(id->request_id, sizeof id->request_id, "%s", request_id);
    CHECK(!map_insert(&t->by_request_id, &id->node, bytes_of_str(id->request_id)));
    *t->ids_end = id;
    t->ids_end = &id->next;
    return id;
}

static bool follows(const struct turns *t, const char *type, const char *id)
{
    return strcmp(type, t->type) == 0 && strcmp(id, t->id) == 0;
}

void turns_on_read(struct world *w, const char *type, const char *id, const char *request_id,
                   uint64_t sent_ns)
{
    uint64_t ms = (w->now_ns - sent_ns + NS_PER_MS - 1) / NS_PER_MS;
    struct turn_id *r;

    if (!follows(w->turns, type, id))
        return;
    r = turn_id_of(w->turns, request_id);
    if (ms > r->socket_ms)
        r->socket_ms = ms;
}

void turns_on_send(struct world *w, const char *type, const char *id, const char *request_id)
{
    struct turns *t = w->turns;

    if (follows(t, type, id))
        turn_add(t, TURN_Send, 0)->number = turn_id_of(t, request_id)->number;
}

/* ---- requests on the node that hosts the actor */

static struct turn_message *message_of(const struct turns *t, const struct invocation *inv)
{
    for (size_t i = 0; i < t->message_count; i++)
        if (t->messages[i].inv == inv)
            return &t->messages[i];
    return NULL;
}

static void message_drop(struct turns *t, const struct turn_message *m)
{
    t->messages[m - t->messages] = t->messages[--t->message_count];
}

static struct turn_message *message_add(struct turns *t)
{
    if (t->message_count == t->message_cap) {
        t->message_cap = t->message_cap ? t->message_cap * 2 : 64;
        t->messages = realloc(t->messages, t->message_cap * sizeof *t->messages);
        CHECK(t->messages);
    }
    return &t->messages[t->message_count++];
}

static uint32_t generation_of(const struct turns *t, const struct kelpie_actor *act)
{
    return shadow_generation(t->actor, act->generation);
}

static uint64_t own_now(const struct kelpie_actor *act)
{
    return remember_own_ms(&act->memory, env_now_ns(act->actors->env));
}

static struct turn_line *about(struct turns *t, enum turn_action a, const struct turn_message *m)
{
    struct turn_line *l = turn_add(t, a, m->generation);

    l->number = m->id->number;
    return l;
}

static void on_arrived(struct turns *t, const struct process *p, const struct kelpie_actor *act,
                       const struct invocation *inv)
{
    struct turn_message *m = message_of(t, inv);

    if (inv->kind != INVOKE_REQUEST || (act->state != ACT_IDLE && act->state != ACT_COMMITTING))
        return;
    if (!m)
        m = message_add(t);
    *m = (struct turn_message){.p = p,
                               .inv = inv,
                               .id = turn_id_of(t, inv->request_id),
                               .generation = generation_of(t, act)};
    struct turn_line *l = about(t, TURN_Arrive, m);
    l->socket_ms = m->id->socket_ms;
    l->age_ms = invocation_age_ms(act, inv);
    l->own_ms = own_now(act);
}

static void found(struct turns *t, struct turn_message *m, bool yes)
{
    if (!m->looked)
        about(t, TURN_Find, m)->yes = yes;
    m->looked = true;
    m->phase = yes ? TURN_FOUND : TURN_WAITS;
}

/* It counts as new: by its age now, which its turn may outlast. */
static void on_new(struct turns *t, const struct kelpie_actor *act, const struct invocation *inv)
{
    struct turn_message *m = message_of(t, inv);

    if (!m)
        return;
    found(t, m, false);
    m->at_ms = t->w->now_ns / NS_PER_MS;
    m->age_ms = invocation_age_ms(act, inv);
    m->own_ms = own_now(act);
}

static const char *outcome_of(const struct invocation *inv)
{
    if (inv->status == KELPIE_E_DOMAIN)
        return "error";
    return inv->wrote ? "write" : "nothing";
}

static void on_ran(struct turns *t, const struct kelpie_actor *act, const struct invocation *inv)
{
    struct turn_message *m = message_of(t, inv);

    if (!m)
        return;
    if (act->erasing)
        about(t, TURN_Erase, m)->own_ms = m->own_ms;
    struct turn_line *l = about(t, TURN_Turn, m);
    l->outcome = outcome_of(inv);
    l->at_ms = m->at_ms;
    l->age_ms = m->age_ms;
    l->own_ms = m->own_ms;
    m->phase = TURN_RAN;
}

/* What its turn has come to; else it was told that the activation ends, or nothing. */
static bool is_reply(int status)
{
    return status == 0 || status == KELPIE_E_DOMAIN || status == KELPIE_E_HANDLER_FAILED ||
           status == KELPIE_E_INVALID || status == KELPIE_E_UNKNOWN_METHOD;
}

static bool is_remembered(int status)
{
    return status == 0 || status == KELPIE_E_DOMAIN || status == KELPIE_E_APPLIED_NO_REPLY ||
           status == KELPIE_E_REQUEST_ID_REUSED;
}

static void on_answered(struct turns *t, const struct invocation *inv, int status)
{
    struct turn_message *m = message_of(t, inv);

    if (!m)
        return;
    if (m->phase == TURN_RAN && is_reply(status)) {
        (void)about(t, TURN_Reply, m);
    } else if (m->phase == TURN_WAITS && status == KELPIE_E_TOO_LATE) {
        const struct kelpie_actor *act =
            act_find(node_actors(process_node((struct process *)m->p)), t->type, t->id);
        found(t, m, false);
        struct turn_line *l = about(t, TURN_TooLate, m);
        l->age_ms = invocation_age_ms(act, inv);
        l->own_ms = own_now(act);
    } else if (m->phase == TURN_WAITS && is_remembered(status)) {
        m->looked = false;
        found(t, m, true);
    } else if (m->phase == TURN_WAITS) {
        (void)about(t, TURN_Drop, m);
    }
    message_drop(t, m);
}

/* ---- activations */

static struct turns_at *runs_at(struct turns *t, const struct process *p)
{
    return &t->runs[p->node * 2 + p->slot];
}

static void on_began(struct turns *t, const struct process *p, const struct kelpie_actor *act)
{
    const struct remember *r = &act->memory;
    struct turn_line *l = turn_add(t, TURN_Begin, generation_of(t, act));

    l->commit = r->head.number;
    l->own_ms = own_now(act);
    l->horizon_ms = r->head.horizon_ms;
    if (r->window_ms < t->window_ms)
        t->window_ms = r->window_ms;
    *runs_at(t, p) = (struct turns_at){p, l->generation};
    LIST_FOREACH(it, &act->mailbox)
    on_arrived(t, p, act, LIST_ENTRY(it, const struct invocation, link));
}

/* What waits is told elsewhere; what has run must not be answered any more. */
static void on_ended(struct turns *t, const struct process *p, bool orderly)
{
    struct turns_at *r = runs_at(t, p);

    if (r->p != p)
        return;
    (void)turn_add(t, orderly ? TURN_Stop : TURN_End, r->generation);
    r->p = NULL;
    for (size_t i = t->message_count; i-- > 0;)
        if (t->messages[i].p == p && t->messages[i].phase != TURN_RAN)
            message_drop(t, &t->messages[i]);
}

void turns_on_end(const struct process *p)
{
    struct turns *t = p->world->turns;

    on_ended(t, p, false);
    for (size_t i = t->message_count; i-- > 0;)
        if (t->messages[i].p == p)
            message_drop(t, &t->messages[i]);
}

/* ---- commits */

static void on_commit(struct turns *t, const struct kelpie_actor *act, const struct act_op *op)
{
    struct turn_line *l = turn_add(t, TURN_Commit, generation_of(t, act));

    l->commit = op->plan.head.number;
    l->own_ms = op->plan.head.own_ms;
    l->horizon_ms = op->plan.head.horizon_ms;
    LIST_FOREACH(it, &act->mailbox)
    {
        const struct invocation *inv = LIST_ENTRY(it, const struct invocation, link);
        if (inv->kind == INVOKE_REQUEST)
            turn_pair_add(t, l, turn_id_of(t, inv->request_id)->number,
                          invocation_age_ms(act, inv));
    }
}

static struct turn_line *on_known(struct turns *t, enum turn_action a, const struct act_sight *s)
{
    struct turn_line *l = turn_add(t, a, generation_of(t, s->act));

    l->commit = s->op->plan.head.number;
    return l;
}

static bool is_followed(const struct turns *t, const struct act_sight *s)
{
    return s->act ? follows(t, act_type(s->act), act_id(s->act))
                  : follows(t, s->inv->type, s->inv->id);
}

static void on_sight(void *ctx, const struct act_sight *s)
{
    const struct process *p = ctx;
    struct turns *t = p->world->turns;
    struct turn_message *m;

    if (!is_followed(t, s))
        return;
    switch (s->what) {
    case SEEN_BEGAN:
        on_began(t, p, s->act);
        break;
    case SEEN_ENDED:
        on_ended(t, p, s->act->state == ACT_STOPPING);
        break;
    case SEEN_ARRIVED:
        on_arrived(t, p, s->act, s->inv);
        break;
    case SEEN_LOOKED:
        m = message_of(t, s->inv);
        if (m)
            found(t, m, s->inv->found);
        break;
    case SEEN_NEW:
        on_new(t, s->act, s->inv);
        break;
    case SEEN_RAN:
        on_ran(t, s->act, s->inv);
        break;
    case SEEN_COMMIT:
        on_commit(t, s->act, s->op);
        break;
    case SEEN_LANDED:
        (void)on_known(t, TURN_Learn, s);
        break;
    case SEEN_REFUSED:
        on_known(t, TURN_Refuse, s)->yes = s->status == KELPIE_E_REFUSED;
        break;
    case SEEN_ANSWERED:
        on_answered(t, s->inv, s->status);
        break;
    }
}

void turns_on_life(struct process *p)
{
    node_actors(process_node(p))->watch = (struct act_watch){on_sight, p};
}

size_t turns_lines(const struct turns *t)
{
    return t->count;
}

bool turns_cut_short(const struct turns *t)
{
    return t->full;
}

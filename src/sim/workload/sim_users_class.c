/* Users' classes in one life of a node: each turn of theirs is an event of the history, so that one that depends
 * on what no seed says is the first event that differs. */
#include <stdio.h>
#include <stdlib.h>

#include "actor/activation.h"
#include "sim/checkers/checks.h"
#include "sim/workload/sim_users.h"
#include "sim/world/sim_host.h"

#define SLOW_IN 16

struct users_life {
    const struct sim_users_source *source;
    void *code;
    const struct kelpie_class *const *theirs;
    struct kelpie_class ours[SIM_USER_TYPES_MAX];
};

static const struct kelpie_class *theirs_of(const struct process *p, const char *type)
{
    const struct users_life *l = process_users(p);

    for (size_t i = 0; i < users_life_count(l); i++)
        if (strcmp(l->ours[i].type, type) == 0)
            return l->theirs[i];
    CHECK(false);
}

/* What the turn says, what it sends, and what the state is about to be. */
static uint64_t digest_of(const struct kelpie_actor *actor, const struct kelpie_message *m,
                          int status)
{
    const struct invocation *inv = actor->current;
    struct hash128 h = hash128_start();

    hash128_bytes(&h, bytes_of_str(kelpie_actor_type(actor)));
    hash128_bytes(&h, bytes_of_str(kelpie_actor_id(actor)));
    hash128_bytes(&h, bytes_of_str(m->method));
    hash128_u64(&h, (uint64_t)(int64_t)status);
    hash128_bytes(&h, buf_bytes(&inv->reply));
    hash128_u64(&h, actor->values.sum);
    LIST_FOREACH(it, &inv->sends)
    {
        const struct send *s = LIST_ENTRY(it, const struct send, link);
        hash128_bytes(&h, s->sent.record.body);
        hash128_u64(&h, s->after_ms);
    }
    return hash128_value(&h).lo;
}

void users_turn_event(const struct kelpie_actor *actor, int status)
{
    struct process *p = actor->actors->env->clock.ctx;
    const struct kelpie_message *m = kelpie_turn_message(actor);
    char about[ACTOR_TYPE_MAX + ACTOR_ID_MAX + KELPIE_METHOD_MAX + 8];

    (void)snprintf(about, sizeof about, "%s/%s %s", kelpie_actor_type(actor),
                   kelpie_actor_id(actor), m->method);
    p->world->about = about;
    world_fold(p->world, process_event(p, PROCESS_TURN), digest_of(actor, m, status));
    p->world->about = NULL;
}

static int receive(struct kelpie_actor *actor, const struct kelpie_message *m)
{
    struct process *p = actor->actors->env->clock.ctx;
    struct world *w = p->world;
    const struct kelpie_class *theirs = theirs_of(p, kelpie_actor_type(actor));

    /* It runs for a while; the world goes on meanwhile. */
    if (world_fault(w, FAULT_ACTOR_SLOW, STREAM_USERS, 1, SLOW_IN))
        process_pause(p, (1 + world_below(w, STREAM_USERS, w->config.slow_handler_ms)) * NS_PER_MS);
    int status = theirs->receive(actor, m);
    users_turn_event(actor, status);
    return status;
}

struct users_life *users_life_begin(struct world *w)
{
    const struct sim_users_source *source = w->config.users_source;

    if (!source)
        return NULL;
    struct users_life *l = calloc(1, sizeof *l);
    CHECK(l);
    l->source = source;
    l->theirs = source->begin(source->ctx, &l->code);
    for (size_t i = 0; i < source->type_count; i++) {
        const struct kelpie_class *c = l->theirs[i];
        memcpy(&l->ours[i], c, c->size < sizeof *c ? c->size : sizeof *c);
        l->ours[i].size = sizeof *c;
        l->ours[i].receive = receive;
    }
    return l;
}

void users_life_end(struct users_life *l)
{
    if (!l)
        return;
    l->source->end(l->source->ctx, l->code);
    free(l);
}

size_t users_life_count(const struct users_life *l)
{
    return l ? l->source->type_count : 0;
}

const struct kelpie_class *users_life_class(const struct users_life *l, size_t i)
{
    return &l->ours[i];
}

/* Types that workers have, and the classes that are made of them. */
#include <stdio.h>
#include <string.h>

#include "kelpie/error.h"
#include "worker/hub_internal.h"

static bool same_reads(const struct worker_type *a, const struct worker_type *b)
{
    if (a->read_count != b->read_count)
        return false;
    for (size_t i = 0; i < a->read_count; i++)
        if (strcmp(a->reads[i], b->reads[i]) != 0)
            return false;
    return true;
}

bool hub_type_is(const struct hub_type *t, const struct worker_type *said)
{
    const struct worker_type *is = &t->is;

    return strcmp(is->type, said->type) == 0 && is->version == said->version &&
           is->idle_ms == said->idle_ms && is->remember_ms == said->remember_ms &&
           is->turn_ms == said->turn_ms && is->placement == said->placement &&
           is->expire_after_ms == said->expire_after_ms && same_reads(is, said);
}

uint64_t hub_type_turn_ns(const struct hub_type *t)
{
    return (t->is.turn_ms ? t->is.turn_ms : HUB_TURN_MS_DEFAULT) * NS_PER_MS;
}

static struct hub_type *find(const struct hub *h, const char *type)
{
    LIST_FOREACH(l, &h->types)
    {
        struct hub_type *t = LIST_ENTRY(l, struct hub_type, link);
        if (strcmp(t->is.type, type) == 0)
            return t;
    }
    return NULL;
}

/* ---- nobody is there */

static void fail_absent(struct hub_type *t, struct list *turns)
{
    LIST_FOREACH_SAFE(l, tmp, turns)
    {
        struct hub_turn *turn = LIST_ENTRY(l, struct hub_turn, link);
        if (turn->type == t)
            hub_turn_fail(turn, KELPIE_E_UNAVAILABLE, true, HUB_ABSENT_TEXT, t->is.type);
    }
}

static void on_absent(void *arg)
{
    struct hub_type *t = arg;

    t->is_absent = true;
    fail_absent(t, &t->waiting);
    fail_absent(t, &t->hub->suspects);
}

void hub_type_joined(struct hub_type *t)
{
    t->workers++;
    t->is_absent = false;
    timer_stop(&t->absent);
}

void hub_type_left(struct hub_type *t)
{
    CHECK(t->workers > 0);
    if (--t->workers > 0 || t->hub->closed)
        return;
    actors_unhost(t->hub->actors, t->is.type);
    timer_start(&t->absent, HUB_ABSENT_MS * NS_PER_MS);
}

/* ---- the class */

static void type_free(struct hub_type *t)
{
    struct mem mem = t->hub->env->mem;

    CHECK(list_empty(&t->waiting));
    timer_stop(&t->absent);
    list_remove(&t->link);
    buf_deinit(&t->texts);
    mem_free(mem, t);
}

/* The node has nothing of it any more. */
static void on_gone(void *arg, const char *type)
{
    struct hub_type *t = arg;

    (void)type;
    CHECK(t->workers == 0);
    type_free(t);
}

static int activate(struct kelpie_actor *actor)
{
    struct hub_type *t = kelpie_class_arg(actor);
    uint64_t *run = kelpie_actor_alloc(actor, sizeof *run);

    *run = ++t->hub->last_run;
    kelpie_actor_set_data(actor, run);
    return 0;
}

/* All texts stand behind each other, so that none moves once they are there. */
static void keep_texts(struct hub_type *t, const struct worker_type *said)
{
    const char *at;

    buf_append(&t->texts, said->type, strlen(said->type) + 1);
    for (size_t i = 0; i < said->read_count; i++)
        buf_append(&t->texts, said->reads[i], strlen(said->reads[i]) + 1);
    at = (const char *)t->texts.data;
    t->is.type = at;
    for (size_t i = 0; i < said->read_count; i++) {
        at += strlen(at) + 1;
        t->is.reads[i] = at;
        t->methods[i] = (struct kelpie_method){.name = at, .flags = KELPIE_METHOD_READ};
    }
}

static struct hub_type *type_new(struct hub *h, const struct worker_type *said)
{
    struct hub_type *t = MEM_NEW(h->env->mem, struct hub_type);

    t->hub = h;
    t->is = *said;
    buf_init(&t->texts, h->env->mem);
    keep_texts(t, said);
    t->class = (struct kelpie_class){
        .abi = KELPIE_ABI_VERSION,
        .size = sizeof(struct kelpie_class),
        .type = t->is.type,
        .placement = said->placement,
        .idle_ms = said->idle_ms,
        .remember_ms = said->remember_ms,
        .version = said->version,
        .expire_after_ms = said->expire_after_ms,
        .methods = t->methods,
        .arg = t,
        .activate = activate,
        .receive = hub_receive,
    };
    list_init(&t->waiting);
    timer_init(&t->absent, h->env->timers, "hub_absent", on_absent, t);
    list_append(&h->types, &t->link);
    return t;
}

static int differs(const struct hub_type *t, const struct worker_type *said, char *why,
                   size_t why_size)
{
    if (t->workers == 0) {
        (void)snprintf(why, why_size,
                       "the type %s was another one here until just now; again in some seconds",
                       said->type);
        return KELPIE_E_UNAVAILABLE;
    }
    if (t->is.version != said->version)
        (void)snprintf(why, why_size,
                       "the worker has version %u of type %s, and others of this node version %u",
                       said->version, said->type, t->is.version);
    else
        (void)snprintf(why, why_size,
                       "the worker says of type %s another 'idle_ms', 'remember_ms', 'turn_ms', "
                       "'placement', 'expire_after_ms' or 'reads' than others of this node",
                       said->type);
    return KELPIE_E_REFUSED;
}

struct hub_type *hub_type_of(struct hub *h, const struct worker_type *said, int *error, char *why,
                             size_t why_size)
{
    struct hub_type *t = find(h, said->type);
    bool fresh = !t;

    if (t && !hub_type_is(t, said)) {
        *error = differs(t, said, why, why_size);
        return NULL;
    }
    if (!t)
        t = type_new(h, said);
    *error = t->workers ? 0 : actors_host(h->actors, &t->class, on_gone, t, why, why_size);
    if (!*error)
        return t;
    if (fresh)
        type_free(t);
    return NULL;
}

void hub_types_close(struct hub *h)
{
    LIST_FOREACH(l, &h->types)
    {
        timer_stop(&LIST_ENTRY(l, struct hub_type, link)->absent);
    }
}

void hub_types_free(struct hub *h)
{
    LIST_FOREACH_SAFE(l, tmp, &h->types)
    {
        type_free(LIST_ENTRY(l, struct hub_type, link));
    }
}

/*
 * Types that come and go while the node runs (spec: HostTypes). What is wanted is written to the node's types row, in
 * one change a heartbeat at most: whatever is asked for meanwhile is in the next. A type is out of the row before the
 * first of its actors is handed over, so none comes back; then it goes as a node does that leaves (drain.c).
 */
#include <stdio.h>

#include "actor/activation.h"
#include "base/mark.h"
#include "base/mutant.h"

static void on_timer(void *arg);

static const char *const hosting_names[] = {"unknown", "comes", "hosted", "lingers", "goes"};

const char *type_hosting_name(enum type_hosting h)
{
    CHECK((size_t)h < ARRAY_LEN(hosting_names));
    return hosting_names[h];
}

static struct type_slot *slot_of(struct actors *a, const struct kelpie_class *class)
{
    return &a->types.slots[class_index_of(a, class)];
}

static bool is_wanted(const struct type_slot *s)
{
    return s->state == SLOT_HOSTED || s->state == SLOT_LINGERS;
}

bool class_leaves(const struct actors *a, const struct kelpie_class *class)
{
    const struct type_slot *s = &a->types.slots[class_index_of(a, class)];

    return s->state == SLOT_GOES && (!s->maybe || MUTANT("typesearly"));
}

static void class_take(struct actors *a, size_t i, const struct kelpie_class *given,
                       enum slot_state state)
{
    struct kelpie_class *class = &a->class_rooms[i];

    memset(class, 0, sizeof *class);
    /* What this program does not know is left out, what the class does not know is 0. */
    memcpy(class, given, given->size < sizeof *class ? given->size : sizeof *class);
    class->size = sizeof *class;
    a->class_turn_ns[i] = 0;
    a->classes[i] = class;
    if (a->class_count <= i)
        a->class_count = i + 1;
    a->types.slots[i] = (struct type_slot){.state = state, .given = given};
}

static int class_check(const struct kelpie_class *given, char *why, size_t why_size)
{
    CHECK(given->abi == KELPIE_ABI_VERSION && given->size >= KELPIE_CLASS_SIZE_MIN);
    if (!given->type) {
        (void)snprintf(why, why_size, "a class has no type");
        return KELPIE_E_INVALID;
    }
    if (!given->receive) {
        (void)snprintf(why, why_size, "the class of type %.*s has no receive", ACTOR_TYPE_MAX,
                       given->type);
        return KELPIE_E_INVALID;
    }
    if (given->size > offsetof(struct kelpie_class, remember_ms) &&
        given->remember_ms > REMEMBER_MS_MAX) {
        (void)snprintf(why, why_size, "type %.*s remembers requests for %u ms; give at most %d",
                       ACTOR_TYPE_MAX, given->type, given->remember_ms, REMEMBER_MS_MAX);
        return KELPIE_E_INVALID;
    }
    return id_check("actor type", bytes_of_str(given->type), ACTOR_TYPE_MAX, why, why_size);
}

void types_init(struct actors *a, const struct actors_config *config)
{
    const struct kelpie_class *const *classes = config->classes;
    char why[WHY_SIZE];

    for (size_t i = 0; i < CLASS_COUNT_MAX; i++)
        list_init(&a->idle[i]);
    for (; classes && *classes; classes++) {
        CHECK(a->class_count < CLASS_COUNT_MAX);
        CHECK(class_check(*classes, why, sizeof why) == 0);
        CHECK(!actors_class(a, (*classes)->type));
        class_take(a, a->class_count, *classes, SLOT_FIXED);
    }
    a->types.linger_ms = config->types_linger_ms ? config->types_linger_ms : TYPES_LINGER_MS;
    timer_init(&a->types.timer, a->env->timers, "actors_types", on_timer, a);
}

/* ---- what is wanted ---- */

/* The type has a place already. */
static int host_again(struct actors *a, struct type_slot *s, const struct kelpie_class *class,
                      char *why, size_t why_size)
{
    uint32_t version = a->class_rooms[s - a->types.slots].version;
    uint32_t asked = class->size > offsetof(struct kelpie_class, version) ? class->version : 0;

    if (s->state == SLOT_FIXED) {
        (void)snprintf(
            why, why_size,
            "type %s is built in, or of a class that is loaded into the node; choose another name",
            class->type);
        return KELPIE_E_REFUSED;
    }
    if (version == asked) {
        CHECK(s->given == class);
        if (s->state == SLOT_GOES)
            SOMETIMES("type-comes-back-while-it-goes");
        s->state = SLOT_HOSTED;
        return 0;
    }
    if (s->state == SLOT_HOSTED) {
        (void)snprintf(
            why, why_size,
            "this node hosts version %u of type %s; version %u is refused until that has ended",
            version, class->type, asked);
        return KELPIE_E_REFUSED;
    }
    SOMETIMES("type-of-another-version-waits");
    s->until_ns = env_now_ns(a->env);
    (void)snprintf(
        why, why_size,
        "version %u of type %s is on its way out of this node; version %u is to try again soon",
        version, class->type, asked);
    return KELPIE_E_UNAVAILABLE;
}

static int host_new(struct actors *a, const struct kelpie_class *class, actors_gone_fn *gone,
                    void *arg, char *why, size_t why_size)
{
    for (size_t i = 0; i < CLASS_COUNT_MAX; i++) {
        struct type_slot *s = &a->types.slots[i];
        if (s->state != SLOT_FREE)
            continue;
        CHECK(list_empty(&a->idle[i]));
        class_take(a, i, class, SLOT_HOSTED);
        s->gone = gone;
        s->arg = arg;
        return 0;
    }
    (void)snprintf(why, why_size, "this node hosts %d types, and there is no room for %s",
                   CLASS_COUNT_MAX, class->type);
    return KELPIE_E_LIMIT;
}

int actors_host(struct actors *a, const struct kelpie_class *class, actors_gone_fn *gone, void *arg,
                char *why, size_t why_size)
{
    const struct kelpie_class *there;
    int error = class_check(class, why, why_size);

    if (error)
        return error;
    if (a->closed) {
        (void)snprintf(why, why_size, "the node is closing");
        return KELPIE_E_UNAVAILABLE;
    }
    there = actors_class(a, class->type);
    error = there ? host_again(a, slot_of(a, there), class, why, why_size)
                  : host_new(a, class, gone, arg, why, why_size);
    timer_start(&a->types.timer, 0);
    return error;
}

void actors_unhost(struct actors *a, const char *type)
{
    const struct kelpie_class *class = actors_class(a, type);
    struct type_slot *s = class ? slot_of(a, class) : NULL;

    if (!s || s->state != SLOT_HOSTED || a->closed)
        return;
    s->state = SLOT_LINGERS;
    s->until_ns = env_now_ns(a->env) + a->types.linger_ms * NS_PER_MS;
    timer_start(&a->types.timer, 0);
}

static enum type_hosting hosting(const struct type_slot *s)
{
    switch (s->state) {
    case SLOT_FIXED:
        return TYPE_HOSTED;
    case SLOT_HOSTED:
        return s->listed ? TYPE_HOSTED : TYPE_COMES;
    case SLOT_LINGERS:
        return TYPE_LINGERS;
    case SLOT_GOES:
        return TYPE_GOES;
    case SLOT_FREE:
    case SLOT_STATE_COUNT:
        break;
    }
    return TYPE_UNKNOWN;
}

enum type_hosting actors_type(const struct actors *a, const char *type, uint32_t *version)
{
    const struct kelpie_class *class = actors_class(a, type);

    if (version)
        *version = class ? class->version : 0;
    return class ? hosting(&a->types.slots[class_index_of(a, class)]) : TYPE_UNKNOWN;
}

void actors_types_each(const struct actors *a,
                       void (*fn)(void *arg, const char *type, uint32_t version,
                                  enum type_hosting hosting),
                       void *arg)
{
    for (size_t i = 0; i < a->class_count; i++) {
        if (a->classes[i])
            fn(arg, a->classes[i]->type, a->classes[i]->version, hosting(&a->types.slots[i]));
    }
}

/* ---- the row ---- */

static bool row_differs(const struct types *t)
{
    for (size_t i = 0; i < CLASS_COUNT_MAX; i++) {
        const struct type_slot *s = &t->slots[i];
        if (is_wanted(s) ? !s->listed : s->maybe)
            return true;
    }
    return false;
}

static bool args_have(const struct host_types_args *args, const char *type)
{
    for (uint32_t i = 0; i < args->count; i++) {
        if (strcmp(args->types[i].type, type) == 0)
            return true;
    }
    return false;
}

static void tell(struct actors *a, const struct kelpie_class *class, const char *event)
{
    char type[4 * ACTOR_TYPE_MAX + 3];

    cluster_tell(a->cluster, LOG_INFO, event, "type=%s version=%u",
                 log_quote(class->type, type, sizeof type), class->version);
}

/* The row is as it was tried. */
static void take_row(struct actors *a)
{
    struct types *t = &a->types;

    for (size_t i = 0; i < CLASS_COUNT_MAX; i++) {
        struct type_slot *s = &t->slots[i];
        bool listed;
        if (s->state == SLOT_FREE || s->state == SLOT_FIXED)
            continue;
        listed = args_have(&t->args, a->classes[i]->type);
        if (listed != s->listed)
            tell(a, a->classes[i], listed ? "type_hosted" : "type_unhosted");
        s->listed = s->maybe = listed;
    }
}

static void on_changed(struct txn *txn, int status)
{
    struct actors *a = txn->arg;
    struct types *t = &a->types;

    if (a->closed)
        return;
    /* What was tried in a life that is over says nothing of this one. */
    if (status == 0 && t->args.self.incarnation == cluster_incarnation(a->cluster) &&
        t->incarnation == t->args.self.incarnation)
        take_row(a);
    else if (status)
        SOMETIMES("types-not-changed");
    timer_start(&t->timer, 0);
}

static void change_start(struct actors *a)
{
    struct types *t = &a->types;
    struct host_types_args *args = &t->args;

    *args = (struct host_types_args){
        .ks = a->ks,
        .self = actors_self(a),
        .number = t->number + (MUTANT("typesnumber") && t->number > 0 ? 0 : 1),
    };
    t->number = args->number;
    for (size_t i = 0; i < CLASS_COUNT_MAX; i++) {
        struct type_slot *s = &t->slots[i];
        struct hosted_type *h;
        if (!is_wanted(s))
            continue;
        h = &args->types[args->count++];
        (void)snprintf(h->type, sizeof h->type, "%s", a->classes[i]->type);
        h->version = a->classes[i]->version;
        s->maybe = true;
    }
    if (args->count > 1)
        SOMETIMES("types-in-one-change");
    t->next_ns =
        env_now_ns(a->env) + cluster_config_of(a->cluster)->timing.heartbeat_ms * NS_PER_MS;
    host_types_txn(&t->txn, a->env, args, on_changed, a);
    txn_start(&t->txn);
}

/* ---- what follows ---- */

/* When the first of those that linger has done so for long enough; those that have, go. */
static uint64_t linger(struct actors *a, uint64_t now)
{
    uint64_t soonest = UINT64_MAX;

    for (size_t i = 0; i < CLASS_COUNT_MAX; i++) {
        struct type_slot *s = &a->types.slots[i];
        if (s->state != SLOT_LINGERS)
            continue;
        if (s->until_ns <= now)
            s->state = SLOT_GOES;
        else if (s->until_ns < soonest)
            soonest = s->until_ns;
    }
    return soonest;
}

/* One type at a time is handed over; the one whose turn it is may have come back. */
static void hand_over(struct actors *a)
{
    struct drain *d = &a->types_drain;

    if (d->on && !class_leaves(a, d->class))
        drain_type_stop(a);
    for (size_t i = 0; i < a->class_count && !d->on; i++) {
        if (a->classes[i] && class_leaves(a, a->classes[i]) && !MUTANT("typesstay"))
            drain_type(a, a->classes[i]);
    }
}

static void types_step(struct actors *a)
{
    struct types *t = &a->types;
    uint64_t now = env_now_ns(a->env), next;

    if (a->closed)
        return;
    next = linger(a, now);
    if (cluster_may_host(a->cluster) && !txn_active(&t->txn) && row_differs(t)) {
        if (now >= t->next_ns || MUTANT("typesrush"))
            change_start(a);
        else if (t->next_ns < next)
            next = t->next_ns;
    }
    if (!a->suspended)
        hand_over(a);
    if (next < UINT64_MAX)
        timer_start(&t->timer, next > now ? next - now : 0);
}

static void on_timer(void *arg)
{
    types_step(arg);
}

void types_over(struct actors *a, const struct kelpie_class *class)
{
    size_t i = class_index_of(a, class);
    struct type_slot s = a->types.slots[i];

    CHECK(s.state == SLOT_GOES && !s.maybe && list_empty(&a->idle[i]));
    SOMETIMES("type-over");
    tell(a, class, "type_over");
    a->classes[i] = NULL;
    a->types.slots[i] = (struct type_slot){.state = SLOT_FREE};
    timer_start(&a->types.timer, 0);
    if (s.gone)
        s.gone(s.arg, s.given->type);
}

void types_resume(struct actors *a)
{
    struct types *t = &a->types;

    if (t->incarnation != cluster_incarnation(a->cluster)) {
        t->incarnation = cluster_incarnation(a->cluster);
        for (size_t i = 0; i < CLASS_COUNT_MAX; i++)
            t->slots[i].listed = t->slots[i].maybe = false;
    }
    timer_start(&t->timer, 0);
}

void types_suspend(struct actors *a)
{
    timer_stop(&a->types.timer);
    txn_cancel(&a->types.txn);
}

void types_close(struct actors *a)
{
    types_suspend(a);
}

bool types_idle(const struct actors *a)
{
    return !txn_active(&a->types.txn);
}

#include "sim/workload/sim_sessions.h"

#include <stdio.h>
#include <stdlib.h>

#include "actor/activation.h"
#include "kelpie/error.h"
#include "sim/checkers/checks.h"
#include "sim/steps/sim_turns.h"
#include "sim/workload/sim_edges.h"
#include "sim/world/sim_host.h"

#define SHORT_MS 1500
#define LONG_MS_MIN 38000 /* longer than an actor remembers, and than a visit lasts */
#define LONG_MS_MAX 70000
#define LONG_IN 3
#define RETRY_MS_MAX 300
#define PATIENCE_MS 1500 /* beyond the deadline */
#define ID_SIZE 32

enum step { STEP_ADD, STEP_READ, STEP_ERASE, STEP_REPEAT, STEP_KINDS };
static const char *const methods[STEP_KINDS] = {"add", "get", "erase", "add"};

struct session {
    struct world *w;
    struct sim_event event; /* what it does next, or loses its patience */
    struct session_attempt *attempt;
    unsigned number;
    unsigned asked; /* requests */
    enum step step;
    bool under_way;  /* the step's request has been sent, and not been answered for good */
    bool known;      /* what the counter is */
    bool may_be_new; /* it was left alone for so long that it may have expired */
    uint64_t value;
    uint64_t first_ns; /* of the step's request */
    uint64_t used_ns;  /* when it was last asked for anything */
    char id[ID_SIZE];
    /* The last request that was acknowledged as adding, and when it was first sent. */
    char added[ID_SIZE];
    uint64_t added_ns, added_value;
};

struct session_attempt {
    struct list link;
    struct session *s; /* NULL: nobody waits */
    struct process *p;
};

struct sessions {
    struct world *w;
    struct session *all;
    unsigned count;
    struct list attempts;
    bool stopped;
};

/* ---- the classes */

static uint64_t counter(struct kelpie_actor *actor)
{
    const uint8_t *text;
    size_t len;
    uint64_t v = 0;

    if (kelpie_state_get(actor, "n", 1, &text, &len))
        for (size_t i = 0; i < len; i++)
            v = v * 10 + (uint64_t)(text[i] - '0');
    return v;
}

/* In the actor's own memory, too: who is erased begins with another. */
static int activate(struct kelpie_actor *actor)
{
    uint64_t *mine = kelpie_actor_alloc(actor, sizeof *mine);

    *mine = counter(actor);
    kelpie_actor_set_data(actor, mine);
    edges_outside(actor);
    return 0;
}

/* They differ in the memory of an actor that was erased: no turn runs in it. */
static bool memory_is_state(struct kelpie_actor *actor, uint64_t mine, uint64_t state)
{
    const struct process *p = actor->actors->env->clock.ctx;

    return COMPARE(p->world, CHECK_STATE_IS_WHOLE, mine == state,
                   "%s/%s runs a turn with %llu in its memory, and %llu in its state",
                   kelpie_actor_type(actor), kelpie_actor_id(actor), (unsigned long long)mine,
                   (unsigned long long)state);
}

static int receive(struct kelpie_actor *actor, const struct kelpie_message *m)
{
    uint64_t *mine = kelpie_actor_data(actor), v = counter(actor);
    char text[24];
    int error = 0;

    if (strcmp(m->method, "get") == 0)
        edges_in_read(actor);
    else if (!memory_is_state(actor, *mine, v))
        return KELPIE_E_HANDLER_FAILED;
    else
        edges_in_turn(actor, m);
    if (strcmp(m->method, "erase") == 0) {
        error = kelpie_erase(actor);
        if (!error && kelpie_state_put(actor, "n", 1, "9", 1) == 0)
            return KELPIE_E_HANDLER_FAILED;
        return error ? error : kelpie_reply_text(actor, "0");
    }
    if (strcmp(m->method, "add") == 0) {
        if (*mine > v)
            v = *mine; /* of an actor that was erased this would come back */
        v++;
        (void)snprintf(text, sizeof text, "%llu", (unsigned long long)v);
        error = kelpie_state_put(actor, "n", 1, text, strlen(text));
        *mine = v;
    }
    (void)snprintf(text, sizeof text, "%llu", (unsigned long long)v);
    return error ? error : kelpie_reply_text(actor, text);
}

static const struct kelpie_method declared[] = {{.name = "get", .flags = KELPIE_METHOD_READ},
                                                {.name = NULL}};

#define CLASS(type_, expires_)                                                                     \
    {                                                                                              \
        .abi = KELPIE_ABI_VERSION, .size = sizeof(struct kelpie_class), .type = (type_),           \
        .placement = KELPIE_PLACE_LEAST_LOADED, .idle_ms = 500, .activate = activate,              \
        .receive = receive, .remember_ms = SESSION_REMEMBER_MS, .methods = declared,               \
        .expire_after_ms = (expires_)                                                              \
    }
const struct kelpie_class sim_class_session = CLASS("session", 0);
const struct kelpie_class sim_class_visit = CLASS("visit", VISIT_EXPIRES_MS);

/* ---- clients */

static uint64_t below(struct world *w, uint64_t bound)
{
    return world_below(w, STREAM_SESSION, bound);
}

static void next_in(struct session *s, uint64_t least_ms, uint64_t most_ms)
{
    uint64_t ms = least_ms + below(s->w, most_ms - least_ms + 1);

    world_after(s->w, &s->event, ms * NS_PER_MS + 1000);
}

static bool expires(const struct session *s)
{
    return s->number % 2;
}

static const char *type_of(const struct session *s)
{
    return expires(s) ? "visit" : "session";
}

/* What comes after a step that has its answer. */
static void go_on(struct session *s)
{
    s->under_way = false;
    if (below(s->w, LONG_IN) == 0)
        next_in(s, LONG_MS_MIN, LONG_MS_MAX);
    else
        next_in(s, 1, SHORT_MS);
}

static void choose(struct session *s)
{
    static const enum step steps[] = {STEP_ADD, STEP_ADD, STEP_READ, STEP_ERASE, STEP_REPEAT};

    s->step = steps[below(s->w, ARRAY_LEN(steps))];
    if (s->step == STEP_REPEAT && !s->added[0])
        s->step = STEP_ADD;
    s->asked++;
    s->first_ns = s->w->now_ns;
    s->under_way = true;
    (void)snprintf(s->id, sizeof s->id, "s%u.%u", s->number, s->asked);
    if (s->step == STEP_REPEAT) {
        memcpy(s->id, s->added, sizeof s->id);
        s->first_ns = s->added_ns;
    }
    s->may_be_new |=
        expires(s) && s->w->now_ns - s->used_ns > VISIT_EXPIRES_MS * 9 / 10 * NS_PER_MS;
}

static bool parse(struct bytes reply, uint64_t *v)
{
    *v = 0;
    for (size_t i = 0; i < reply.len; i++) {
        if (reply.data[i] < '0' || reply.data[i] > '9' || reply.len > 18)
            return false;
        *v = *v * 10 + (uint64_t)(reply.data[i] - '0');
    }
    return reply.len > 0;
}

/* True when the value is right. */
static bool judge(struct session *s, uint64_t v)
{
    uint64_t more = s->step == STEP_ADD;
    bool right = !s->known || v == s->value + more || (s->may_be_new && v == more);

    if (s->step == STEP_REPEAT)
        right = v == s->added_value;
    if (s->step == STEP_ERASE)
        right = v == 0;
    return COMPARE(s->w, CHECK_REPLIES, right,
                   "session %u: %s under %s was answered %llu; the counter was %llu (%s)",
                   s->number, methods[s->step], s->id, (unsigned long long)v,
                   (unsigned long long)s->value, s->may_be_new ? "or it has expired" : "for sure");
}

static void take(struct session *s, uint64_t v)
{
    if (s->step == STEP_REPEAT)
        return;
    s->known = true;
    s->may_be_new = false;
    s->value = v;
    if (s->step != STEP_ADD)
        return;
    memcpy(s->added, s->id, sizeof s->added);
    s->added_ns = s->first_ns;
    s->added_value = v;
}

static void on_done(void *arg, int status, struct bytes reply)
{
    struct session_attempt *a = arg;
    struct session *s = a->s;
    struct world *w = a->p->world;
    uint64_t v;

    w->checks->compared[CHECK_COMPLETION]++;
    list_remove(&a->link);
    free(a);
    if (!s)
        return;
    s->attempt = NULL;
    s->used_ns = w->now_ns;
    if (status == 0 &&
        !(COMPARE(w, CHECK_REPLIES, parse(reply, &v), "session %u was told no number", s->number) &&
          judge(s, v)))
        return;
    if (status == 0) {
        take(s, v);
        go_on(s);
    } else if (kelpie_error_retry(status)) {
        next_in(s, 1, RETRY_MS_MAX);
    } else {
        /* Too late, or damaged: nobody knows. What was asked for again did nothing. */
        s->known &= s->step == STEP_REPEAT || s->step == STEP_READ;
        go_on(s);
    }
}

static struct session_attempt *attempt_new(struct world *w, struct process *p)
{
    struct session_attempt *a = calloc(1, sizeof *a);

    CHECK(a);
    a->p = p;
    list_append(&w->sessions->attempts, &a->link);
    return a;
}

static void call(const struct session *s, const char *method, const char *request_id,
                 struct session_attempt *a)
{
    struct world *w = s->w;
    char id[16];

    (void)snprintf(id, sizeof id, "v%u", s->number);
    if (w->turns && s->first_ns == w->now_ns)
        turns_on_send(w, type_of(s), id, request_id);
    actors_call(node_actors(process_node(a->p)), type_of(s), id, method, request_id,
                (w->now_ns - s->first_ns + NS_PER_MS - 1) / NS_PER_MS, bytes_of_str(""),
                w->config.call_deadline_ms, on_done, a);
}

static void ask(struct session *s, struct process *p)
{
    struct world *w = s->w;
    struct session_attempt *a = attempt_new(w, p), *behind = NULL;
    char id[ID_SIZE + 2];

    a->s = s;
    s->attempt = a;
    s->used_ns = w->now_ns;
    world_after(w, &s->event, (w->config.call_deadline_ms + PATIENCE_MS) * NS_PER_MS);
    if (s->step == STEP_ERASE)
        behind = attempt_new(w, p);
    process_enter(p, PROCESS_CALL, s->number);
    call(s, methods[s->step], s->id, a);
    if (behind) {
        /* A turn that changes nothing, right behind the one that erases. */
        (void)snprintf(id, sizeof id, "%s.l", s->id);
        call(s, "look", id, behind);
    }
    process_leave(p);
}

static void on_due(struct world *w, struct sim_event *e)
{
    struct session *s = CONTAINER_OF(e, struct session, event);
    struct process *p = hosts_pick(w, STREAM_SESSION, false);

    if (s->attempt) {
        s->attempt->s = NULL;
        s->attempt = NULL;
    }
    if (w->sessions->stopped)
        return;
    if (!s->under_way)
        choose(s);
    if (!p || p->frozen || process_closing(p))
        next_in(s, 1, RETRY_MS_MAX);
    else
        ask(s, p);
}

/* ---- the world's side */

struct sessions *sessions_new(struct world *w)
{
    struct sessions *ss = calloc(1, sizeof *ss);

    CHECK(ss);
    ss->w = w;
    list_init(&ss->attempts);
    ss->count = w->config.sessions;
    ss->all = calloc(ss->count + 1, sizeof *ss->all);
    CHECK(ss->all);
    for (unsigned i = 0; i < ss->count; i++) {
        ss->all[i].w = w;
        ss->all[i].number = i;
        ss->all[i].known = true;
        event_init(&ss->all[i].event, on_due);
    }
    return ss;
}

void sessions_free(struct sessions *ss)
{
    if (!ss)
        return;
    CHECK(list_empty(&ss->attempts));
    free(ss->all);
    free(ss);
}

void sessions_start(struct world *w)
{
    for (unsigned i = 0; i < w->sessions->count; i++)
        next_in(&w->sessions->all[i], 1, 3000);
}

void sessions_stop(struct world *w)
{
    w->sessions->stopped = true;
}

void sessions_process_gone(struct world *w, const struct process *p)
{
    LIST_FOREACH_SAFE(it, tmp, &w->sessions->attempts)
    {
        struct session_attempt *a = LIST_ENTRY(it, struct session_attempt, link);
        struct session *s = a->s;
        if (a->p != p)
            continue;
        list_remove(&a->link);
        free(a);
        if (!s)
            continue;
        s->attempt = NULL;
        next_in(s, 1, RETRY_MS_MAX);
    }
}

size_t sessions_calls_of(const struct world *w, const struct process *p)
{
    size_t n = 0;

    LIST_FOREACH(it, &w->sessions->attempts)
    {
        n += LIST_ENTRY(it, struct session_attempt, link)->p == p;
    }
    return n;
}

/* What was asked before goes on in the nodes, and may be applied in the new epoch, until its deadline. */
void sessions_set_back(struct world *w)
{
    uint64_t over_ms = w->config.call_deadline_ms + PATIENCE_MS;

    for (unsigned i = 0; i < w->sessions->count; i++) {
        struct session *s = &w->sessions->all[i];
        if (s->attempt)
            s->attempt->s = NULL;
        s->attempt = NULL;
        s->known = s->under_way = false;
        s->added[0] = '\0';
        s->asked += 1000; /* ids of before may be applied yet */
        if (!w->sessions->stopped)
            next_in(s, over_ms, over_ms + SHORT_MS);
    }
}

#include "bin/kelpie_worker/worker_slots.h"

#include <errno.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "actor/class_methods.h"
#include "bin/kelpie_worker/node_link.h"
#include "bin/kelpie_worker/worker_run.h"
#include "env/env.h"
#include "kelpie/error.h"
#include "loop/loop.h"
#include "worker/worker_turn.h"

#define PAUSE_MS_MIN 20
#define PAUSE_MS_MAX 2000
#define REFUSED_AFTER_MS                                                                           \
    300 /* a node that has not refused what the worker is by then, has taken it */

struct slot {
    struct slots *all;
    size_t number;
    struct node_link link;
    struct buf line;
    bool has_lock;  /* callbacks run one at a time */
    bool beside;    /* the turn that runs does not need it */
    bool counted;   /* it does not ask for work now */
    bool has_other; /* `other` was told instead of answers */
    struct buf other;
    unsigned random;
};

struct slots {
    const struct worker_options *o;
    struct buf hello;
    pthread_mutex_t callbacks; /* held by the one that runs */
    pthread_mutex_t counts;
    size_t count, busy; /* slots; of them, those that block or wait for others */
    bool registered, told;
    char last_told[LINK_WHY_SIZE];
    pid_t pid;
    struct slot slots[WORKER_SLOTS_MAX];
};

static struct slots all;

static void *run_slot(void *arg);

static void start_slot(struct slots *s)
{
    struct slot *slot = &s->slots[s->count];
    pthread_attr_t attr;
    pthread_t thread;

    *slot = (struct slot){.all = s, .number = s->count, .random = (unsigned)s->count + 1};
    node_link_init(&slot->link);
    buf_init(&slot->line, loop_mem());
    buf_init(&slot->other, loop_mem());
    CHECK(pthread_attr_init(&attr) == 0 &&
          pthread_attr_setstacksize(&attr, WORKER_STACK_BYTES) == 0 &&
          pthread_attr_setdetachstate(&attr, PTHREAD_CREATE_DETACHED) == 0);
    if (pthread_create(&thread, &attr, run_slot, slot) == 0)
        s->count++;
    (void)pthread_attr_destroy(&attr);
}

/* ---- who asks for work */

static void stays_away(struct slot *slot)
{
    struct slots *s = slot->all;

    if (slot->counted)
        return;
    slot->counted = true;
    CHECK(pthread_mutex_lock(&s->counts) == 0);
    s->busy++;
    if (s->count < WORKER_SLOTS_MAX && s->count - s->busy < WORKER_SLOTS_ASKING)
        start_slot(s);
    CHECK(pthread_mutex_unlock(&s->counts) == 0);
}

static void comes_back(struct slot *slot)
{
    struct slots *s = slot->all;

    if (!slot->counted)
        return;
    slot->counted = false;
    CHECK(pthread_mutex_lock(&s->counts) == 0);
    s->busy--;
    CHECK(pthread_mutex_unlock(&s->counts) == 0);
}

/* ---- who is told */

/* A state that all slots come to is said once. */
static void tell(struct slots *s, bool registered, const char *why)
{
    char quoted[2 * LINK_WHY_SIZE];
    char byte = registered ? WORKER_SAYS_REGISTERED : WORKER_SAYS_LOST;

    CHECK(pthread_mutex_lock(&s->counts) == 0);
    bool news = !s->told || s->registered != registered || strcmp(s->last_told, why) != 0;
    s->told = true;
    s->registered = registered;
    (void)snprintf(s->last_told, sizeof s->last_told, "%s", why);
    CHECK(pthread_mutex_unlock(&s->counts) == 0);
    if (!news)
        return;
    if (registered)
        log_info(s->o->log, "worker_registered", "socket=%s", s->o->socket);
    else
        log_info(s->o->log, "worker_waits", "why=%s", log_quote(why, quoted, sizeof quoted));
    if (write(s->o->tell_fd, &byte, 1) < 0 && errno != EAGAIN)
        _exit(1); /* who watches is gone, or a class has closed what is not its own */
}

/* ---- what the turn needs */

static struct worker_page *page_of(const struct slot *slot)
{
    return &slot->all->o->pages[slot->number];
}

static uint64_t now_ns(void)
{
    struct timespec t;

    (void)clock_gettime(CLOCK_MONOTONIC, &t);
    return (uint64_t)t.tv_sec * NS_PER_S + (uint64_t)t.tv_nsec;
}

static void callback_begins(void *ctx, const struct kelpie_class *class,
                            const struct worker_turn *turn, const char *callback)
{
    struct slot *slot = ctx;
    struct running what = {.since_ns = 0};
    struct running_told page = running_page_told(&page_of(slot)->running);

    if (!slot->beside) {
        CHECK(pthread_mutex_lock(&slot->all->callbacks) == 0);
        slot->has_lock = true;
    }
    (void)snprintf(what.callback, sizeof what.callback, "%s", callback);
    (void)snprintf(what.type, sizeof what.type, "%s", turn->type);
    (void)snprintf(what.id, sizeof what.id, "%s", turn->id);
    (void)snprintf(what.method, sizeof what.method, "%s", turn->method);
    (void)snprintf(what.request_id, sizeof what.request_id, "%s", turn->request_id);
    what.since_ns = now_ns();
    atomic_store(&page_of(slot)->limit_ms, class->turn_ms ? class->turn_ms : WORKER_CALLBACK_MS);
    page.begin(page.ctx, &what);
}

static void callback_ends(void *ctx)
{
    struct slot *slot = ctx;
    struct running_told page = running_page_told(&page_of(slot)->running);

    /* A handler that has forked has returned twice. */
    if (getpid() != slot->all->pid)
        _exit(0);
    page.end(page.ctx);
    if (slot->has_lock)
        CHECK(pthread_mutex_unlock(&slot->all->callbacks) == 0);
    slot->has_lock = false;
}

static void pause_ms(struct slot *slot, unsigned ms)
{
    unsigned full = (unsigned)rand_r(&slot->random) % (ms + 1);
    const struct timespec t = {.tv_sec = full / 1000, .tv_nsec = (long)(full % 1000) * 1000000};

    (void)nanosleep(&t, NULL);
}

/* Says `line`, and hears what is next. False: the connection has ended. A refusal of what it said leaves it free. */
static bool ask(struct slot *slot, struct bytes line, struct bytes *next)
{
    const struct worker_options *o = slot->all->o;
    bool refused = false, again;
    char why[LINK_WHY_SIZE], quoted[2 * LINK_WHY_SIZE];

    if (slot->link.fd < 0 || node_link_say(&slot->link, o->worker, line) ||
        node_link_hear(&slot->link, next, &refused, &again, why, sizeof why))
        return false;
    if (refused) {
        log_warn(o->log, "worker_refused", "why=%s", log_quote(why, quoted, sizeof quoted));
        *next = bytes_of_str("{}");
    }
    return true;
}

static bool exchange(void *ctx, struct buf *line, struct worker_told *told)
{
    struct slot *slot = ctx;
    struct bytes next;

    stays_away(slot);
    if (!ask(slot, buf_bytes(line), &next))
        return false;
    if (worker_told_decode(next, loop_mem(), told) == 0 && told->kind == WORKER_TOLD_ANSWERS)
        return true;
    buf_clear(&slot->other);
    buf_append_bytes(&slot->other, next);
    slot->has_other = true;
    return false;
}

static const struct kelpie_class *class_of(const struct worker_options *o, const char *type)
{
    for (size_t i = 0; i < o->class_count; i++)
        if (strcmp(o->classes[i]->type, type) == 0)
            return o->classes[i];
    return NULL;
}

static bool run(struct slot *slot, const struct worker_turn *turn)
{
    const struct worker_options *o = slot->all->o;
    const struct run_world w = {.log = o->log,
                                .exchange = exchange,
                                .begins = callback_begins,
                                .ends = callback_ends,
                                .ctx = slot};
    const struct kelpie_class *class = class_of(o, turn->type);

    if (!class) {
        struct worker_result *r = MEM_NEW(loop_mem(), struct worker_result);
        *r = (struct worker_result){.ticket = turn->ticket, .status = KELPIE_E_UNKNOWN_TYPE};
        buf_clear(&slot->line);
        worker_result_encode(r, &slot->line);
        mem_free(loop_mem(), r);
        return true;
    }
    slot->beside = (class_method_flags(class, turn->method) & KELPIE_METHOD_BLOCKS) != 0;
    if (slot->beside)
        stays_away(slot);
    bool ended = run_turn(&w, class, turn, &slot->line);
    comes_back(slot);
    return ended;
}

/* From what was told last to the next. False: the connection has ended. */
static bool go_on(struct slot *slot, struct bytes *next)
{
    struct worker_told *told = MEM_NEW(loop_mem(), struct worker_told);
    bool says = true;

    slot->has_other = false;
    buf_clear(&slot->line);
    if (worker_told_decode(*next, loop_mem(), told) == 0 && told->kind == WORKER_TOLD_TURN)
        says = run(slot, &told->turn);
    else
        buf_append(&slot->line, "{}", 2);
    worker_told_free(told);
    mem_free(loop_mem(), told);
    if (slot->has_other) {
        *next = buf_bytes(&slot->other);
        return slot->link.fd >= 0;
    }
    return says && ask(slot, buf_bytes(&slot->line), next);
}

/* What the worker is, on a new connection. False: not taken, with a sentence. */
static bool begin(struct slot *slot, struct bytes *next, char *why, size_t why_size)
{
    struct slots *s = slot->all;
    bool refused = false, again = false;

    if (node_link_open(&slot->link, s->o->socket, why, why_size))
        return false;
    (void)snprintf(why, why_size, "the node closed the connection");
    if (node_link_say(&slot->link, s->o->worker, buf_bytes(&s->hello)))
        return false;
    if (!node_link_waits(&slot->link, REFUSED_AFTER_MS))
        tell(s, true, "");
    if (node_link_hear(&slot->link, next, &refused, &again, why, why_size))
        return false;
    if (refused) {
        node_link_close(&slot->link);
        return false;
    }
    tell(s, true, "");
    return true;
}

static void *run_slot(void *arg)
{
    struct slot *slot = arg;
    struct bytes next = bytes_of(NULL, 0);
    char why[LINK_WHY_SIZE];
    unsigned ms = PAUSE_MS_MIN;

    for (;;) {
        if (begin(slot, &next, why, sizeof why)) {
            ms = PAUSE_MS_MIN;
            while (go_on(slot, &next))
                ;
            node_link_close(&slot->link);
            pause_ms(slot, ms);
        } else {
            tell(slot->all, false, why);
            pause_ms(slot, ms);
            ms = ms * 2 < PAUSE_MS_MAX ? ms * 2 : PAUSE_MS_MAX;
        }
    }
    return NULL;
}

/* ---- the whole */

static void fill_type(struct worker_type *t, const struct kelpie_class *class)
{
    *t = (struct worker_type){.type = class->type,
                              .version = class->version,
                              .idle_ms = class->idle_ms,
                              .remember_ms = class->remember_ms,
                              .turn_ms = class->turn_ms,
                              .placement = class->placement,
                              .expire_after_ms = class->expire_after_ms};
    for (const struct kelpie_method *m = class->methods; m && m->name; m++)
        if ((m->flags & KELPIE_METHOD_READ) && t->read_count < WORKER_READS_MAX)
            t->reads[t->read_count++] = m->name;
}

_Noreturn void worker_slots_run(const struct worker_options *o)
{
    struct worker_type *types = calloc(o->class_count, sizeof *types);

    CHECK(types);
    all = (struct slots){.o = o, .pid = getpid()};
    CHECK(pthread_mutex_init(&all.callbacks, NULL) == 0 &&
          pthread_mutex_init(&all.counts, NULL) == 0);
    buf_init(&all.hello, loop_mem());
    for (size_t i = 0; i < o->class_count; i++)
        fill_type(&types[i], o->classes[i]);
    worker_hello_encode(types, o->class_count, &all.hello);
    free(types);
    CHECK(pthread_mutex_lock(&all.counts) == 0);
    for (int i = 0; i < WORKER_SLOTS_ASKING; i++)
        start_slot(&all);
    CHECK(pthread_mutex_unlock(&all.counts) == 0);
    for (;;)
        (void)pause();
}

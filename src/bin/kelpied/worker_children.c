#include "bin/kelpied/worker_children.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include "bin/kelpied/supervisor.h"
#include "bin/kelpied/worker_start.h"
#include "bin/shared/object_file.h"
#include "bin/shared/trusted_file.h"
#include "kelpie/error.h"

#define HOW_SIZE 128

/* When what a slot runs has to be told next. */
struct slow {
    uint64_t since_ns, tell_ns;
};

struct worker_child {
    struct worker_children *all;
    const char *file;
    struct actors_process process; /* pid 0: none */
    bool spoke, registered, given_up;
    unsigned starts; /* since it registered last */
    uint32_t backoff_ms;
    uint64_t since_ns;
    struct timer restart;
    struct slow slow[WORKER_SLOTS_MAX];
};

struct worker_children {
    const struct config *config;
    const struct env *env;
    struct loop *loop;
    void (*settled)(void *arg);
    void *arg;
    char program[CONFIG_PATH_MAX];
    char socket[CONFIG_PATH_MAX];
    bool node_lives, is_settled;
    struct timer settle, look;
    size_t count;
    struct worker_child children[OPTION_LIST_MAX * ACTOR_WORKERS_MAX];
};

static const struct log *log_of(const struct worker_children *w)
{
    return &w->env->log;
}

/* ---- whether all are there */

static void look_whether_settled(struct worker_children *w)
{
    for (size_t i = 0; i < w->count; i++)
        if (!w->children[i].registered && !w->children[i].given_up)
            return;
    if (!w->node_lives || w->is_settled)
        return;
    w->is_settled = true;
    timer_stop(&w->settle);
    w->settled(w->arg);
}

static void give_up(struct worker_child *c, const char *how)
{
    char file[2 * CONFIG_WHY_SIZE], quoted[2 * HOW_SIZE + CONFIG_WHY_SIZE];

    if (c->given_up)
        return;
    c->given_up = true;
    log_error(log_of(c->all), "actors_not_hosted", "file=%s starts=%u how=%s",
              log_quote(c->file, file, sizeof file), c->starts,
              log_quote(how, quoted, sizeof quoted));
}

static void on_settle(void *arg)
{
    struct worker_children *w = arg;

    for (size_t i = 0; i < w->count; i++)
        if (!w->children[i].registered)
            give_up(&w->children[i], "it has not registered in time");
    look_whether_settled(w);
}

/* ---- what one says */

static void on_said(void *arg)
{
    struct worker_child *c = arg;
    char bytes[64];
    ssize_t n = read(c->process.told_fd, bytes, sizeof bytes);

    if (n < 0 && (errno == EAGAIN || errno == EINTR))
        return;
    if (n <= 0) { /* it has ended, or closed what is not its own */
        actors_process_forget(&c->process, c->all->loop);
        actors_process_kill(&c->process);
        return;
    }
    c->spoke = true;
    c->registered = bytes[n - 1] == WORKER_SAYS_REGISTERED;
    if (!c->registered)
        return;
    c->starts = 0;
    c->given_up = false;
    look_whether_settled(c->all);
}

/* ---- what they run */

#define RUNNING_FIELDS "pid=%ld file=%s callback=%s type=%s id=%s method=%s request=%s for_ms=%llu"
#define RUNNING_VALUES(c, r, now_ns)                                                               \
    (long)(c)->process.pid, (c)->file, (r)->callback, (r)->type, (r)->id, (r)->method,             \
        (r)->request_id, (unsigned long long)(((now_ns) - (r)->since_ns) / NS_PER_MS)

static bool runs(const struct worker_child *c, size_t slot, uint64_t now_ns, struct running *r)
{
    return c->process.pages && running_page_read(&c->process.pages[slot].running, r) &&
           r->since_ns <= now_ns;
}

static uint64_t look_ns(const struct worker_children *w)
{
    return w->config->timing.lease_ms * NS_PER_MS / LOOKS_A_LEASE;
}

static void look_at(struct worker_child *c, size_t slot, uint64_t now_ns)
{
    struct slow *slow = &c->slow[slot];
    struct running r;

    if (!runs(c, slot, now_ns, &r))
        return;
    uint64_t ran_ns = now_ns - r.since_ns;
    uint64_t limit_ns = atomic_load(&c->process.pages[slot].limit_ms) * NS_PER_MS;
    if (r.since_ns != slow->since_ns)
        *slow = (struct slow){.since_ns = r.since_ns, .tell_ns = look_ns(c->all)};
    if (ran_ns >= limit_ns) {
        log_warn(log_of(c->all), "worker_killed", RUNNING_FIELDS " limit_ms=%llu",
                 RUNNING_VALUES(c, &r, now_ns), (unsigned long long)(limit_ns / NS_PER_MS));
        actors_process_kill(&c->process);
    } else if (ran_ns >= slow->tell_ns) {
        slow->tell_ns = ran_ns * LOOK_AGAIN_TIMES;
        log_warn(log_of(c->all), "callback_slow", RUNNING_FIELDS, RUNNING_VALUES(c, &r, now_ns));
    }
}

static void on_look(void *arg)
{
    struct worker_children *w = arg;
    uint64_t now_ns = env_now_ns(w->env);

    timer_start(&w->look, look_ns(w));
    for (size_t i = 0; i < w->count; i++) {
        struct worker_child *c = &w->children[i];
        if (c->process.pid > 0 && !c->spoke && now_ns - c->since_ns >= WORKER_START_MS * NS_PER_MS)
            actors_process_kill(&c->process);
        for (size_t k = 0; k < WORKER_SLOTS_MAX && c->process.pid > 0; k++)
            look_at(c, k, now_ns);
    }
}

/* ---- starts and ends */

static void start(struct worker_child *c);

static void on_restart(void *arg)
{
    start(arg);
}

static void start_later(struct worker_child *c)
{
    uint64_t lived_ns = env_now_ns(c->all->env) - c->since_ns;
    uint32_t most_ms = c->registered ? WORKER_RESTART_MS_MAX : WORKER_HOPELESS_MS_MAX;

    if (lived_ns >= WORKER_HEALTHY_MS * NS_PER_MS)
        c->backoff_ms = 0;
    timer_start(&c->restart, c->backoff_ms * NS_PER_MS);
    c->backoff_ms = c->backoff_ms ? c->backoff_ms * 2 : WORKER_RESTART_MS_MIN;
    if (c->backoff_ms > most_ms)
        c->backoff_ms = most_ms;
}

static void start(struct worker_child *c)
{
    struct worker_children *w = c->all;
    char why[CONFIG_WHY_SIZE] = "what it says cannot be read";

    c->spoke = c->registered = false;
    c->starts++;
    c->since_ns = env_now_ns(w->env);
    memset(c->slow, 0, sizeof c->slow);
    int err = actors_process_start(&c->process, w->config, w->program, c->file, w->socket, why,
                                   sizeof why);
    if (!err)
        err = loop_on_readable(w->loop, c->process.told_fd, on_said, c);
    if (err) {
        log_error(log_of(w), "worker_does_not_start", "file=%s reason=\"%s\"", c->file, why);
        actors_process_kill(&c->process);
        if (c->process.pid == 0)
            start_later(c);
        return;
    }
    log_info(log_of(w), "worker_started", "pid=%ld file=%s", (long)c->process.pid, c->file);
}

/* Each callback that it has ended in, by all its names. */
static void tell_died(const struct worker_child *c, const char *how, uint64_t now_ns)
{
    struct running r;
    bool told = false;

    for (size_t k = 0; k < WORKER_SLOTS_MAX; k++) {
        if (!runs(c, k, now_ns, &r))
            continue;
        told = true;
        log_warn(log_of(c->all), "worker_died", "how=\"%s\" " RUNNING_FIELDS, how,
                 RUNNING_VALUES(c, &r, now_ns));
    }
    if (!told)
        log_warn(log_of(c->all), "worker_died", "how=\"%s\" pid=%ld file=%s", how,
                 (long)c->process.pid, c->file);
}

static void ended(struct worker_child *c, const char *how)
{
    struct worker_children *w = c->all;

    tell_died(c, how, env_now_ns(w->env));
    actors_process_forget(&c->process, w->loop);
    actors_process_close(&c->process);
    if (!c->registered && c->starts >= WORKER_STARTS_MAX)
        give_up(c, how);
    if (w->node_lives)
        start_later(c);
    c->registered = false;
    look_whether_settled(w);
}

void worker_children_reap(struct worker_children *w)
{
    char how[HOW_SIZE];

    for (size_t i = 0; w && i < w->count; i++)
        if (actors_process_reap(&w->children[i].process, how, sizeof how))
            ended(&w->children[i], how);
}

/* ---- the node's lives */

void worker_children_node(struct worker_children *w, const char *socket)
{
    bool moved = strcmp(w->socket, socket) != 0;

    (void)snprintf(w->socket, sizeof w->socket, "%s", socket);
    w->node_lives = true;
    w->is_settled = false;
    timer_start(&w->settle, WORKERS_SETTLE_MS * NS_PER_MS);
    timer_start(&w->look, look_ns(w));
    for (size_t i = 0; i < w->count; i++) {
        struct worker_child *c = &w->children[i];
        if (c->process.pid == 0 && !c->restart.armed)
            start(c);
        else if (moved)
            actors_process_kill(&c->process);
    }
    look_whether_settled(w);
}

/* They look for it until it is back. */
void worker_children_node_gone(struct worker_children *w)
{
    w->node_lives = false;
    timer_stop(&w->settle);
    for (size_t i = 0; i < w->count; i++)
        w->children[i].registered = false;
}

/* ---- the whole */

/* What needs no loading to be seen is said at once. */
static int check_file(const char *file, char *why, size_t why_size)
{
    struct bytes object;
    int err = file_trusted(file, -1, why, why_size);

    if (err)
        return err;
    err = object_read(file, &object, why, why_size);
    if (!err)
        free((void *)(uintptr_t)object.data);
    return err;
}

struct worker_children *worker_children_new(const struct config *config, const struct env *env,
                                            struct loop *loop, void (*settled)(void *arg),
                                            void *arg, char *why, size_t why_size)
{
    struct worker_children *w = calloc(1, sizeof *w);

    CHECK(w != NULL);
    w->config = config;
    w->env = env;
    w->loop = loop;
    w->settled = settled;
    w->arg = arg;
    int err = worker_program(w->program, sizeof w->program, why, why_size);
    for (size_t i = 0; !err && i < config->actor_count; i++) {
        err = check_file(config->actors[i], why, why_size);
        for (uint32_t k = 0; !err && k < config->actor_workers; k++)
            w->children[w->count++] = (struct worker_child){
                .all = w, .file = config->actors[i], .process = {.told_fd = -1}};
    }
    if (err) {
        free(w);
        return NULL;
    }
    timer_init(&w->settle, env->timers, "workers_settle", on_settle, w);
    timer_init(&w->look, env->timers, "workers_look", on_look, w);
    for (size_t i = 0; i < w->count; i++)
        timer_init(&w->children[i].restart, env->timers, "worker_restart", on_restart,
                   &w->children[i]);
    return w;
}

void worker_children_free(struct worker_children *w)
{
    if (!w)
        return;
    timer_stop(&w->settle);
    timer_stop(&w->look);
    for (size_t i = 0; i < w->count; i++) {
        struct worker_child *c = &w->children[i];
        timer_stop(&c->restart);
        actors_process_forget(&c->process, w->loop);
        actors_process_kill(&c->process);
        if (c->process.pid > 0)
            (void)waitpid(c->process.pid, NULL, 0);
        actors_process_close(&c->process);
    }
    free(w);
}

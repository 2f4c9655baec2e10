#include "bin/kelpied/supervisor.h"

#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "bin/kelpied/child_process.h"
#include "bin/kelpied/daemon_say.h"
#include "bin/kelpied/home_file.h"
#include "bin/kelpied/node_main.h"
#include "bin/kelpied/worker_children.h"
#include "bin/shared/process_begin.h"
#include "bin/shared/world_bind.h"
#include "cluster/cluster.h"
#include "kelpie/error.h"

#define HOW_SIZE 96
#define DURING_SIZE                                                                                \
    (RUNNING_CALLBACK_SIZE + RUNNING_TYPE_SIZE + RUNNING_ID_SIZE + RUNNING_METHOD_SIZE + 16)

struct supervisor {
    const struct config *config;
    struct world_bind world;
    struct child_process child;
    struct worker_children *workers; /* NULL: no actors have any */
    struct uuid boot;                /* of the child */
    struct uuid home;                /* the cluster that its node is of; zero: not known */
    bool has_sign;                   /* this child gave one: it may have joined */
    bool was_up;                     /* some child did */
    bool ending;                     /* told to end */
    bool finishing;                  /* no further child */
    uint64_t told_ns;                /* to end, the first time */
    uint64_t child_since_ns;
    uint32_t backoff_ms; /* before the next start; 0: at once */
    uint64_t died_ns;
    char how[HOW_SIZE + DURING_SIZE];     /* it ended */
    uint64_t slow_since_ns, slow_tell_ns; /* of what runs for long: since when, when to tell next */
    uint64_t
        held_since_ns; /* likewise, and the child was seen stopped: it is not what took so long */
    bool forced;       /* this child was killed because somebody asked for it */
    struct running ended_in; /* callback "": nothing */
    struct declare_dead *declare;
    struct blame blame; /* that goes with it */
    bool declaring;
    struct timer watchdog, look, restart, give_up;
    enum exit_status status;
};

static void start_child(struct supervisor *s);

static const struct log *log_of(struct supervisor *s)
{
    return &s->world.env.log;
}

static void end(struct supervisor *s, enum exit_status status)
{
    s->status = status;
    loop_stop(s->world.loop);
}

/* ---- watchdog ---- */

static void arm_watchdog(struct supervisor *s)
{
    uint64_t ms =
        s->has_sign ? (uint64_t)LEASES_WITHOUT_SIGN * s->config->timing.lease_ms : FIRST_SIGN_MS;
    timer_start(&s->watchdog, ms * NS_PER_MS);
}

static void forget_pipe(struct supervisor *s)
{
    if (s->child.life_fd >= 0 && loop_on_readable(s->world.loop, s->child.life_fd, NULL, NULL))
        log_warn(log_of(s), "descriptor_kept", "reason=\"the loop does not let go of it\"");
}

static void start_workers(struct supervisor *s)
{
    char socket[NODE_SOCKET_SIZE];
    memcpy(socket, s->child.page->socket, sizeof(socket));
    socket[sizeof(socket) - 1] = '\0';
    if (s->workers)
        worker_children_node(s->workers, socket);
}

static bool take_signs(struct supervisor *s)
{
    bool any = child_process_signs(&s->child);
    if (any && !s->has_sign) {
        s->has_sign = s->was_up = true;
        start_workers(s);
    }
    return any;
}

static void on_workers(void *arg)
{
    child_process_tell(&((struct supervisor *)arg)->child, NODE_TOLD_WORKERS);
}

static void on_life(void *arg)
{
    struct supervisor *s = arg;
    if (take_signs(s))
        arm_watchdog(s);
    else if (s->child.verdict < 0)
        /* The other end is closed: the child is about to be found dead. */
        forget_pipe(s);
}

/* ---- what it runs ---- */

/* The callback that blocks the child, or in which it has ended, is told by all its names. */
#define RUNNING_FIELDS "callback=%s type=%s id=%s method=%s request=%s for_ms=%llu"
#define RUNNING_VALUES(r, now_ns)                                                                  \
    (r)->callback, (r)->type, (r)->id, (r)->method, (r)->request_id,                               \
        (unsigned long long)(((now_ns) - (r)->since_ns) / NS_PER_MS)

static bool runs(const struct supervisor *s, uint64_t now_ns, struct running *r)
{
    return s->child.page && running_page_read(&s->child.page->running, r) && r->since_ns <= now_ns;
}

static uint64_t look_ns(const struct supervisor *s)
{
    return s->config->timing.lease_ms * NS_PER_MS / LOOKS_A_LEASE;
}

static void on_look(void *arg)
{
    struct supervisor *s = arg;
    uint64_t now_ns = env_now_ns(&s->world.env);
    struct running r;
    timer_start(&s->look, look_ns(s));
    if (!runs(s, now_ns, &r))
        return;
    if (r.since_ns != s->slow_since_ns) {
        s->slow_since_ns = r.since_ns;
        s->slow_tell_ns = look_ns(s);
    }
    if (now_ns - r.since_ns < look_ns(s))
        return;
    if (child_process_is_stopped(&s->child))
        s->held_since_ns = r.since_ns;
    if (now_ns - r.since_ns < s->slow_tell_ns)
        return;
    s->slow_tell_ns = (now_ns - r.since_ns) * LOOK_AGAIN_TIMES;
    log_warn(log_of(s), "callback_slow", RUNNING_FIELDS, RUNNING_VALUES(&r, now_ns));
}

/* Ends s->how with it. */
static void tell_died(struct supervisor *s, pid_t pid, bool left)
{
    struct running r;
    size_t len = strlen(s->how);
    s->ended_in = (struct running){.callback = ""};
    if (left) {
        log_info(log_of(s), "node_ended", "pid=%ld how=\"%s\"", (long)pid, s->how);
    } else if (!runs(s, s->died_ns, &r)) {
        log_warn(log_of(s), "node_died", "pid=%ld how=\"%s\"", (long)pid, s->how);
    } else {
        log_warn(log_of(s), "node_died", "pid=%ld how=\"%s\" " RUNNING_FIELDS, (long)pid, s->how,
                 RUNNING_VALUES(&r, s->died_ns));
        s->ended_in = r;
        (void)snprintf(s->how + len, sizeof(s->how) - len, " in %s%s%s of %s/%s", r.callback,
                       r.method[0] ? " " : "", r.method, r.type, r.id);
    }
}

static void on_watchdog(void *arg)
{
    struct supervisor *s = arg;
    /* The supervisor itself may have been stopped: what was said meanwhile counts. */
    if (take_signs(s)) {
        arm_watchdog(s);
        return;
    }
    if (child_process_is_stopped(&s->child))
        s->forced = true;
    child_process_kill(&s->child);
    log_error(log_of(s), "node_hangs", "pid=%ld reason=\"no sign of life for %d leases\"",
              (long)s->child.pid, LEASES_WITHOUT_SIGN);
}

/* ---- restarts ---- */

static void on_restart(void *arg)
{
    start_child(arg);
}

static void schedule_restart(struct supervisor *s)
{
    uint64_t lived_ns = s->died_ns - s->child_since_ns;
    if (lived_ns >= HEALTHY_MS * NS_PER_MS)
        s->backoff_ms = 0;
    log_info(log_of(s), "node_restarts", "in_ms=%u", s->backoff_ms);
    timer_start(&s->restart, s->backoff_ms * NS_PER_MS);
    s->backoff_ms = s->backoff_ms == 0 ? RESTART_MS_MIN : s->backoff_ms * 2;
    if (s->backoff_ms > RESTART_MS_MAX)
        s->backoff_ms = RESTART_MS_MAX;
}

static void after_death(struct supervisor *s)
{
    if (s->finishing)
        end(s, s->status);
    else
        schedule_restart(s);
}

/* The same event as that of a node that fails another. */
static void tell_failed(struct supervisor *s)
{
    char who[4 * NODE_ID_MAX + 3], reason[2 * sizeof(s->how)];
    log_warn(log_of(s), "node_failed", "who=%s incarnation=%llu by=supervisor reason=%s",
             log_quote(s->config->node_id, who, sizeof(who)),
             (unsigned long long)declare_dead_failed(s->declare),
             log_quote(s->how, reason, sizeof(reason)));
}

/* What the process ended in may be what ended it. */
static void tell_blamed(struct supervisor *s, const struct blame *b)
{
    const struct blamed *d = declare_dead_blamed(s->declare);
    char type[4 * ACTOR_TYPE_MAX + 3], id[4 * ACTOR_ID_MAX + 3], method[4 * ACTOR_METHOD_MAX + 3],
        request[4 * REQUEST_ID_MAX + 3];
    uint64_t for_ms = d->until_ms > b->now_ms ? d->until_ms - b->now_ms : 0;
    if (d->deaths)
        log_warn(log_of(s), for_ms ? "turn_poisoned" : "turn_blamed",
                 "type=%s id=%s method=%s callback=%s request=%s deaths=%u for_ms=%llu",
                 log_quote(b->type, type, sizeof(type)), log_quote(b->id, id, sizeof(id)),
                 log_quote(d->whole ? "" : b->method, method, sizeof(method)), b->callback,
                 log_quote(b->request_id, request, sizeof(request)), d->deaths,
                 (unsigned long long)for_ms);
}

/* What came of it ends the supervisor only if the node has left, or if it was told to end. */
static void on_declared(void *arg, int status, const char *why)
{
    struct supervisor *s = arg;
    uint64_t took_us = (env_now_ns(&s->world.env) - s->died_ns) / 1000;
    char boot[UUID_TEXT_SIZE];
    uuid_to_text(s->boot, boot);
    timer_stop(&s->give_up);
    s->declaring = false;
    if (!status && declare_dead_found_left(s->declare)) {
        log_info(log_of(s), "node_left", "boot=%s took_us=%llu", boot, (unsigned long long)took_us);
        end(s, EXIT_STATUS_OK);
        return;
    }
    if (status)
        log_error(log_of(s), "declare_dead_failed", "boot=%s error=%s why=\"%s\"", boot,
                  kelpie_error_name(status), why);
    else
        log_info(log_of(s), "declared_dead", "boot=%s took_us=%llu result=\"%s\"", boot,
                 (unsigned long long)took_us, why);
    if (!status && declare_dead_failed(s->declare))
        tell_failed(s);
    if (!status)
        tell_blamed(s, &s->blame);
    if (s->child.verdict == EXIT_STATUS_OK && !s->ending)
        s->finishing = false; /* it said that it has left; the store says otherwise */
    after_death(s);
}

static void on_give_up(void *arg)
{
    struct supervisor *s = arg;
    log_error(log_of(s), "declare_dead_failed",
              "reason=\"the store does not answer; the others find out within a lease\"");
    logsink_flush(&s->world.sink);
    /* The transaction may be under way: nothing is torn down around it. */
    _exit((int)s->status);
}

/* A memory store ended with the child: there is nobody to tell. */
static bool is_shared(const struct supervisor *s)
{
    return s->world.store != NULL;
}

/* What a child of it has noted. A file that says nothing is the next child's to complain of. */
static void learn_home(struct supervisor *s)
{
    char why[CONFIG_WHY_SIZE];
    if (uuid_is_zero(s->home) && home_file_read(s->config->data_dir, &s->home, why, sizeof(why)))
        s->home = (struct uuid){0};
}

/* Whether what runs is to be blamed for such an end. A signal that the kernel sends for what a process does itself, or an
 * exit that is not the node's, is its doing; a kill may come from anybody, and counts against it only if it had run for
 * long, in a process that was not stopped. */
static bool is_own_doing(const struct supervisor *s, int wait_status)
{
    const struct running *r = &s->ended_in;
    if (WIFEXITED(wait_status))
        return s->child.verdict < 0;
    int signum = WTERMSIG(wait_status);
    if (process_is_fault(signum) || signum == SIGABRT || signum == SIGSYS)
        return true;
    return !s->forced && s->held_since_ns != r->since_ns && s->died_ns - r->since_ns >= look_ns(s);
}

static bool blame(struct supervisor *s, int wait_status)
{
    if (!s->ended_in.callback[0] || !is_own_doing(s, wait_status) ||
        !blame_of(&s->ended_in, &s->blame))
        return false;
    s->blame.boot = s->boot;
    s->blame.now_ms = clock_wall_ms(s->world.env.clock);
    s->blame.unit_ms = s->config->timing.quarantine_ms;
    return true;
}

static void declare(struct supervisor *s, int wait_status)
{
    if (!is_shared(s)) {
        after_death(s);
        return;
    }
    declare_dead_free(s->declare);
    s->declaring = true;
    learn_home(s);
    s->declare =
        declare_dead_start(&s->world.env, &s->config->keyspace, s->config->node_id, s->boot,
                           s->home, blame(s, wait_status) ? &s->blame : NULL, on_declared, s);
    if (s->finishing)
        timer_start(&s->give_up, DECLARE_AT_END_MS * NS_PER_MS);
}

/* Whether it is the end, and with which status. */
static bool is_final(const struct supervisor *s, int wait_status, enum exit_status *status)
{
    int code = WIFEXITED(wait_status) ? s->child.verdict : -1;
    bool was_starting = s->ending && !s->has_sign;
    *status = EXIT_STATUS_FAILED;
    if (code == EXIT_STATUS_OK || was_starting)
        *status = EXIT_STATUS_OK;
    else if (code == EXIT_STATUS_USAGE)
        *status = EXIT_STATUS_USAGE;
    return s->ending || code == EXIT_STATUS_OK || code == EXIT_STATUS_FAILED ||
           code == EXIT_STATUS_USAGE || code == EXIT_STATUS_FORCED ||
           (code == EXIT_STATUS_REFUSED && !s->was_up);
}

static void on_child_signal(void *arg)
{
    struct supervisor *s = arg;
    int wait_status;
    pid_t pid = s->child.pid;
    worker_children_reap(s->workers);
    bool ended = child_process_reap(&s->child, &wait_status);
    if (getpid() == 1)
        process_reap(s->child.pid);
    if (!ended)
        return;
    s->died_ns = env_now_ns(&s->world.env);
    timer_stop(&s->watchdog);
    timer_stop(&s->look);
    (void)take_signs(s);
    forget_pipe(s);
    s->finishing = is_final(s, wait_status, &s->status);
    child_process_how(&s->child, wait_status, s->how, HOW_SIZE);
    tell_died(s, pid, WIFEXITED(wait_status) && s->child.verdict == EXIT_STATUS_OK);
    child_process_close(&s->child);
    if (s->workers)
        worker_children_node_gone(s->workers);
    /* A process that ended by itself without a sign of life has never begun to join. One that says it
     * has left is declared dead all the same: only the store knows. */
    if (WIFEXITED(wait_status) && !s->has_sign)
        after_death(s);
    else
        declare(s, wait_status);
}

static void start_child(struct supervisor *s)
{
    char why[CONFIG_WHY_SIZE];
    char boot[UUID_TEXT_SIZE];
    s->boot = random_uuid(s->world.env.random);
    s->has_sign = s->forced = false;
    s->child_since_ns = s->died_ns = env_now_ns(&s->world.env);
    int err = child_process_start(&s->child, s->config, s->boot, why, sizeof(why));
    if (!err)
        err = loop_on_readable(s->world.loop, s->child.life_fd, on_life, s);
    if (err) {
        log_error(log_of(s), "node_does_not_start", "reason=\"%s\"", why);
        child_process_kill(&s->child);
        if (!s->child.pid)
            schedule_restart(s);
        return;
    }
    uuid_to_text(s->boot, boot);
    log_info(log_of(s), "node_started", "pid=%ld boot=%s", (long)s->child.pid, boot);
    arm_watchdog(s);
    timer_start(&s->look, look_ns(s));
}

/* ---- signals ---- */

static void kill_child(struct supervisor *s, const char *why)
{
    s->forced = true;
    child_process_kill(&s->child);
    log_warn(log_of(s), "node_killed", "reason=\"%s\"", why);
}

/* What is being declared still may be, for a while. */
static void end_between_lives(struct supervisor *s, bool again)
{
    timer_stop(&s->restart);
    s->status = EXIT_STATUS_OK;
    if (!s->declaring)
        end(s, s->status);
    else if (again)
        on_give_up(s);
    else
        timer_start(&s->give_up, DECLARE_AT_END_MS * NS_PER_MS);
}

static void on_terminate(void *arg)
{
    struct supervisor *s = arg;
    uint64_t now_ns = env_now_ns(&s->world.env);
    bool again = s->ending;
    /* Whoever signals a whole group, or all of a name, may well reach one process twice. */
    if (again && now_ns - s->told_ns < FORCE_AFTER_MS * NS_PER_MS)
        return;
    if (!again)
        s->told_ns = now_ns;
    s->ending = s->finishing = true;
    if (!s->child.pid)
        end_between_lives(s, again);
    else if (again)
        kill_child(s, "a second signal to end");
    else if (s->has_sign || take_signs(s))
        child_process_tell(&s->child, NODE_TOLD_TO_END);
    else
        kill_child(s, "told to end before it had begun");
}

static int start(struct supervisor *s, char *why, size_t why_size)
{
    const struct config *c = s->config;
    struct world_options o = {
        .program = "supervisor",
        .node_id = c->node_id,
        .log_json = c->log_json,
        .log_level = c->log_level,
        .store_url = strcmp(c->store_url, "memory:") == 0 ? NULL : c->store_url,
        .lease_ms = c->timing.lease_ms,
        .fdb_library = c->fdb_library,
        .wait_for_store = c->wait_for_store,
        .wait_option = "--wait-for-store",
    };
    int err = world_bind_init(&s->world, &o, why, why_size);
    if (err)
        return err;
    timer_init(&s->watchdog, s->world.env.timers, "watchdog", on_watchdog, s);
    timer_init(&s->look, s->world.env.timers, "look", on_look, s);
    timer_init(&s->restart, s->world.env.timers, "restart", on_restart, s);
    timer_init(&s->give_up, s->world.env.timers, "give_up", on_give_up, s);
    if (loop_on_signal(s->world.loop, SIGCHLD, on_child_signal, s) ||
        loop_on_signal(s->world.loop, SIGTERM, on_terminate, s) ||
        loop_on_signal(s->world.loop, SIGINT, on_terminate, s)) {
        (void)snprintf(why, why_size, "the system refuses to tell of signals");
        return KELPIE_E_IO;
    }
    if (c->actor_count == 0)
        return 0;
    s->workers = worker_children_new(c, &s->world.env, s->world.loop, on_workers, s, why, why_size);
    return s->workers ? 0 : KELPIE_E_INVALID;
}

enum exit_status supervisor_main(const struct config *config)
{
    char why[CONFIG_WHY_SIZE] = "";
    struct supervisor *s = calloc(1, sizeof(*s));
    CHECK(s != NULL);
    s->config = config;
    s->child.life_fd = -1;
    s->status = EXIT_STATUS_FAILED;
    if (start(s, why, sizeof(why))) {
        daemon_say(config, "%s", why);
    } else {
        start_child(s);
        loop_run(s->world.loop);
    }
    enum exit_status status = s->status;
    worker_children_free(s->workers);
    if (s->watchdog.fn) {
        timer_stop(&s->watchdog);
        timer_stop(&s->look);
        timer_stop(&s->restart);
        timer_stop(&s->give_up);
        declare_dead_free(s->declare);
    }
    world_bind_deinit(&s->world);
    free(s);
    return status;
}

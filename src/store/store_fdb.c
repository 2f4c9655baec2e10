#include "store/store_fdb.h"

#include <stdio.h>

#include "store/store_fdb_internal.h"

struct bytes fdb_key(struct store_fdb *s, int which, struct bytes key)
{
    struct buf *b = &s->keys[which];
    buf_clear(b);
    buf_append(b, s->prefix, s->prefix_len);
    buf_append_bytes(b, key);
    (void)buf_reserve(b, 1); /* the library takes no NULL */
    return buf_bytes(b);
}

/* Neither says anything about the cluster's health: another's commit, a slow caller, a bound. */
static bool is_health(const struct store_fdb *s, int error)
{
    return error != FDB_NOT_COMMITTED && error != FDB_TOO_OLD &&
           (error == FDB_TRANSACTION_TIMED_OUT || error == FDB_TIMED_OUT ||
            s->api->error_predicate(FDB_RETRYABLE_NOT_COMMITTED, error));
}

static void note_answer(struct store_fdb *s)
{
    if (s->connected)
        return;
    s->connected = true;
    s->problem[0] = '\0';
    if (s->told)
        log_info(&s->log, "store_connected", "store=fdb");
    s->told = false;
}

/* A database that answers now and then would be a line for each time: a problem is told at most once
 * in FDB_TELL_NS, and its end where it was told. */
static void note_problem(struct store_fdb *s, int error)
{
    char quoted[2 * FDB_PROBLEM_SIZE];
    uint64_t now = clock_now_ns(s->clock);
    if (s->connected)
        (void)snprintf(s->problem, sizeof(s->problem), "FoundationDB: %s (error %d)",
                       s->api->get_error(error), error);
    s->connected = false;
    if (s->told || now < s->quiet_until_ns)
        return;
    s->told = true;
    s->quiet_until_ns = now + FDB_TELL_NS;
    log_warn(&s->log, "store_problem", "error=%d reason=%s", error,
             log_quote(s->problem, quoted, sizeof(quoted)));
}

void fdb_note(struct store_fdb *s, int error)
{
    if (!error)
        note_answer(s);
    else if (is_health(s, error))
        note_problem(s, error);
}

void fdb_timer_set(struct store_fdb *s, uint64_t delay_ns)
{
    uint64_t due = clock_now_ns(s->clock) + delay_ns;
    if (s->timer.armed && s->timer_due_ns <= due)
        return;
    s->timer_due_ns = due;
    timer_start(&s->timer, delay_ns);
}

static void on_timer(void *arg)
{
    struct store_fdb *s = arg;
    fdb_attempts_due(s);
    fdb_watches_due(s);
}

static int set_option(struct store_fdb *s, int option, uint64_t value)
{
    uint8_t number[8];
    for (int i = 0; i < 8; i++)
        number[i] = (uint8_t)(value >> 8 * i);
    return s->api->database_set_option(s->db, option, number, sizeof(number));
}

static int set_options(struct store_fdb *s, unsigned timeout_ms)
{
    const struct {
        int option;
        uint64_t value;
    } all[] = {
        {FDB_OPTION_TIMEOUT_MS, timeout_ms},
        {FDB_OPTION_RETRY_LIMIT, FDB_RETRIES},
        {FDB_OPTION_MAX_RETRY_DELAY_MS, FDB_RETRY_DELAY_MS},
        {FDB_OPTION_SIZE_LIMIT, FDB_SIZE_MAX},
        {FDB_OPTION_MAX_WATCHES, FDB_LIBRARY_WATCHES},
    };
    int error = 0;
    for (size_t i = 0; i < ARRAY_LEN(all) && !error; i++)
        error = set_option(s, all[i].option, all[i].value);
    return error;
}

int store_fdb_new(const struct store_fdb_env *env, const struct fdb_api *api,
                  struct fdb_database *db, const struct store_fdb_options *options,
                  struct store_fdb **out)
{
    static const struct store_fdb_options none;
    if (!options)
        options = &none;
    CHECK(options->prefix.len <= FDB_PREFIX_MAX);
    struct store_fdb *s = MEM_NEW(env->mem, struct store_fdb);
    s->mem = env->mem;
    s->clock = env->clock;
    s->log = env->log;
    s->api = api;
    s->db = db;
    s->connected = true;
    s->order = options->order;
    s->prefix_len = options->prefix.len;
    if (s->prefix_len)
        memcpy(s->prefix, options->prefix.data, s->prefix_len);
    fdb_mail_init(&s->mail, env->mem, api, env->wake);
    results_builder_init(&s->builder, env->mem);
    buf_init(&s->keys[0], env->mem);
    buf_init(&s->keys[1], env->mem);
    list_init(&s->attempts);
    list_init(&s->kept);
    list_init(&s->watches);
    list_init(&s->overdue);
    timer_init(&s->timer, env->timers, "store_fdb", on_timer, s);
    unsigned timeout_ms = options->timeout_ms ? options->timeout_ms : FDB_TIMEOUT_MS;
    s->timeout_ns = timeout_ms * NS_PER_MS;
    int error = set_options(s, timeout_ms);
    if (error) {
        store_fdb_free(s);
        return error;
    }
    *out = s;
    return 0;
}

void store_fdb_close(struct store_fdb *s)
{
    s->closing = true;
    fdb_attempts_close(s);
    fdb_watches_close(s);
    timer_stop(&s->timer);
}

bool store_fdb_idle(const struct store_fdb *s)
{
    return fdb_mail_idle(&s->mail);
}

void store_fdb_free(struct store_fdb *s)
{
    if (!s)
        return;
    CHECK(store_fdb_idle(s));
    fdb_attempts_free(s);
    results_builder_deinit(&s->builder);
    buf_deinit(&s->keys[0]);
    buf_deinit(&s->keys[1]);
    mem_free(s->mem, s);
}

struct store store_fdb_store(struct store_fdb *s)
{
    static const struct store_ops ops = {
        .read = fdb_attempt_read,
        .commit = fdb_attempt_commit,
        .cancel = fdb_attempt_cancel,
        .release = fdb_attempt_release,
        .watch = fdb_watch_set,
        .unwatch = fdb_watch_unset,
    };
    return (struct store){.ops = &ops, .ctx = s};
}

void store_fdb_ready(struct store_fdb *s)
{
    fdb_mail_take(&s->mail);
}

static size_t length(const struct list *l)
{
    size_t n = 0;
    LIST_FOREACH(it, l)
    n++;
    return n;
}

size_t store_fdb_holds(const struct store_fdb *s)
{
    return length(&s->attempts) + length(&s->kept) + s->watch_count;
}

bool store_fdb_connected(const struct store_fdb *s)
{
    return s->connected;
}

const char *store_fdb_problem(const struct store_fdb *s)
{
    return s->problem;
}

/*
 * A library with the names of FoundationDB's client, for tests of what loads one: a database in the
 * memory of this process, or in a file that processes share, served by the network thread. Built by
 * the tests that use it (tests/lib/fake_fdb.bash).
 *
 * FAKE_FDB=old        says that it has API version 630
 * FAKE_FDB=string     makes nothing of the cluster file
 * FAKE_FDB=gate       answers nothing until the file FAKE_FDB_GATE exists
 * FAKE_FDB_FILE=FILE  the database is the commits in that file, one after the other
 */
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <time.h>
#include <unistd.h>

typedef struct future FDBFuture;
typedef struct transaction FDBTransaction;
typedef struct database FDBDatabase;
typedef void callback(FDBFuture *f, void *arg);

#pragma pack(push, 4)
struct key_value {
    const uint8_t *key;
    int key_length;
    const uint8_t *value;
    int value_length;
};
#pragma pack(pop)

struct text {
    uint8_t *data;
    int len;
};

enum op { GET_VERSION, GET, GET_RANGE, COMMIT, STAMP, ON_ERROR, WATCH };

struct future {
    struct future *next;
    enum op op;
    FDBTransaction *tr;
    struct text key, end, value;
    int limit, snapshot, error, present, count, more;
    int64_t number;
    struct key_value *rows;
    bool ready, destroyed, armed;
    callback *fn;
    void *arg;
};

struct range {
    struct range *next;
    struct text begin, end; /* begin .. end, both closed */
    int64_t version;
};

struct mutation {
    struct mutation *next;
    int kind; /* 0 set, 1 clear, 2 clear range */
    struct text key, value;
};

struct transaction {
    int64_t version, committed;
    struct range *reads;
    struct mutation *first, **last;
};

struct row {
    struct text key, value;
};

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t more_work = PTHREAD_COND_INITIALIZER;
static struct future *queue, **queue_end = &queue, *watches;
static struct range *log_of_writes;
static struct row *rows;
static int row_count, stopping, statics_gone;
static int64_t version_now = 1000;

static struct text text_of(const uint8_t *data, int len)
{
    struct text t = {malloc((size_t)len + 1), len};
    if (len)
        memcpy(t.data, data, (size_t)len);
    return t;
}

/* What is never freed, because a fake lives for a test, stays reachable: it is no leak. Futures and what
 * they hold are freed, so that whoever looks at one too late is found out. */
struct held {
    struct held *next;
    int64_t data[];
};
static struct held *all_held;

static void *hold(size_t size)
{
    struct held *h = calloc(1, sizeof(*h) + size);
    h->next = __atomic_load_n(&all_held, __ATOMIC_RELAXED);
    while (!__atomic_compare_exchange_n(&all_held, &h->next, h, false, __ATOMIC_RELEASE,
                                        __ATOMIC_RELAXED))
        ;
    return h->data;
}

static struct text held_text(const uint8_t *data, int len)
{
    struct text t = {hold((size_t)len + 1), len};
    if (len)
        memcpy(t.data, data, (size_t)len);
    return t;
}

static int compare(struct text a, struct text b)
{
    int n = a.len < b.len ? a.len : b.len, c = n ? memcmp(a.data, b.data, (size_t)n) : 0;
    return c ? c : a.len - b.len;
}

static int find(struct text key) /* the first row that is not before it */
{
    int i = 0;
    while (i < row_count && compare(rows[i].key, key) < 0)
        i++;
    return i;
}

/* ---- what the network thread does */

static void future_free(FDBFuture *f)
{
    free(f->key.data);
    free(f->end.data);
    free(f->value.data);
    free(f->rows);
    free(f);
}

/* With the lock held; runs the callback without it. */
static void finish(FDBFuture *f, int error)
{
    if (!f->destroyed)
        f->error = error;
    f->ready = true;
    callback *fn = f->fn;
    void *arg = f->arg;
    bool gone = f->destroyed;
    pthread_mutex_unlock(&lock);
    if (fn)
        fn(f, arg);
    pthread_mutex_lock(&lock);
    if (gone)
        future_free(f);
}

static void note_read(FDBTransaction *tr, struct text begin, struct text end)
{
    struct range *r = hold(sizeof(*r));
    r->begin = held_text(begin.data, begin.len);
    r->end = held_text(end.data, end.len);
    r->next = tr->reads;
    tr->reads = r;
}

static void serve_range(FDBFuture *f)
{
    int from = find(f->key), n = 0;
    f->rows = calloc((size_t)row_count + 1, sizeof(*f->rows));
    struct text last = f->end;
    for (int i = from; i < row_count && compare(rows[i].key, f->end) < 0; i++) {
        if (f->limit && n == f->limit) {
            f->more = 1;
            last = rows[i - 1].key;
            break;
        }
        struct text k = held_text(rows[i].key.data, rows[i].key.len);
        struct text v = held_text(rows[i].value.data, rows[i].value.len);
        f->rows[n++] = (struct key_value){k.data, k.len, v.data, v.len};
    }
    f->count = n;
    if (!f->snapshot)
        note_read(f->tr, f->key, last);
}

static void apply(const struct mutation *m)
{
    int i = find(m->key), end = i;
    struct text last = m->kind == 2 ? m->value : m->key;
    while (end < row_count &&
           (m->kind == 2 ? compare(rows[end].key, last) < 0 : compare(rows[end].key, last) == 0))
        end++;
    int fresh = m->kind == 0;
    rows = realloc(rows, (size_t)(row_count + 1) * sizeof(*rows));
    memmove(&rows[i + fresh], &rows[end], (size_t)(row_count - end) * sizeof(*rows));
    row_count += fresh - (end - i);
    if (fresh)
        rows[i] = (struct row){held_text(m->key.data, m->key.len),
                               held_text(m->value.data, m->value.len)};
    struct range *r = hold(sizeof(*r));
    *r = (struct range){log_of_writes, held_text(m->key.data, m->key.len),
                        held_text(last.data, last.len), version_now};
    log_of_writes = r;
}

/* ---- the file: what others have committed is applied here too, in the same order */

#define POLL_NS 5000000

static int file = -1;
static off_t file_at;

static void file_open(void)
{
    const char *path = getenv("FAKE_FDB_FILE");
    if (path && file < 0)
        file = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
}

static void take(uint8_t **at, void *out, size_t len)
{
    memcpy(out, *at, len);
    *at += len;
}

static void apply_record(uint8_t *at, const uint8_t *end)
{
    version_now++;
    while (at < end) {
        struct mutation m = {.kind = *at++};
        take(&at, &m.key.len, sizeof(int));
        take(&at, &m.value.len, sizeof(int));
        m.key.data = at;
        m.value.data = at + m.key.len;
        at = m.value.data + m.value.len;
        apply(&m);
    }
}

/* Locks it, and reads on; a record that was not written whole is none. */
static void file_begin(void)
{
    uint32_t len;
    if (file < 0)
        return;
    while (flock(file, LOCK_EX) && errno == EINTR)
        ;
    while (pread(file, &len, sizeof(len), file_at) == sizeof(len)) {
        uint8_t *data = malloc(len + 1);
        bool whole = pread(file, data, len, file_at + (off_t)sizeof(len)) == (ssize_t)len;
        if (whole)
            apply_record(data, data + len);
        free(data);
        if (!whole)
            return;
        file_at += (off_t)(sizeof(len) + len);
    }
}

static void file_end(void)
{
    if (file >= 0)
        (void)flock(file, LOCK_UN);
}

static void put(uint8_t **at, const void *data, size_t len)
{
    memcpy(*at, data, len);
    *at += len;
}

static int file_append(const FDBTransaction *tr)
{
    uint32_t len = 0;
    for (const struct mutation *m = tr->first; m; m = m->next)
        len += 1 + 2 * (uint32_t)sizeof(int) + (uint32_t)(m->key.len + m->value.len);
    uint8_t *data = malloc(sizeof(len) + len), *at = data;
    put(&at, &len, sizeof(len));
    for (const struct mutation *m = tr->first; m; m = m->next) {
        *at++ = (uint8_t)m->kind;
        put(&at, &m->key.len, sizeof(int));
        put(&at, &m->value.len, sizeof(int));
        put(&at, m->key.data, (size_t)m->key.len);
        put(&at, m->value.data, (size_t)m->value.len);
    }
    bool written = ftruncate(file, file_at) == 0 &&
                   pwrite(file, data, sizeof(len) + len, file_at) == (ssize_t)(sizeof(len) + len);
    file_at += written ? (off_t)(sizeof(len) + len) : 0;
    free(data);
    return written ? 0 : 1510; /* io_error */
}

static bool conflicts(const FDBTransaction *tr)
{
    for (const struct range *r = tr->reads; r; r = r->next)
        for (const struct range *w = log_of_writes; w && w->version > tr->version; w = w->next)
            if (compare(w->begin, r->end) <= 0 && compare(r->begin, w->end) <= 0)
                return true;
    return false;
}

static bool differs(const FDBFuture *f)
{
    int i = find(f->key);
    bool present = i < row_count && compare(rows[i].key, f->key) == 0;
    return present != f->present || (present && compare(rows[i].value, f->value) != 0);
}

static void fire_watches(void)
{
    for (struct future **at = &watches; *at;) {
        struct future *f = *at;
        if (!f->destroyed && !differs(f)) {
            at = &f->next;
            continue;
        }
        *at = f->next;
        finish(f, 0);
        at = &watches;
    }
}

static int serve_commit(FDBTransaction *tr)
{
    int error = tr->first && conflicts(tr) ? 1020 : 0;
    if (!error && tr->first && file >= 0)
        error = file_append(tr);
    if (!error && tr->first) {
        tr->committed = ++version_now;
        for (const struct mutation *m = tr->first; m; m = m->next)
            apply(m);
    }
    return error;
}

static void serve(FDBFuture *f)
{
    const char *mode = getenv("FAKE_FDB");
    int error = mode && strcmp(mode, "string") == 0 ? 2104 : 0;
    if (f->destroyed) {
        finish(f, 1101);
        fire_watches();
        return;
    }
    if (error) {
        finish(f, error);
        return;
    }
    file_begin();
    if (f->op != ON_ERROR && f->tr->version < 0)
        f->tr->version = version_now;
    if (f->op == GET_VERSION) {
        f->number = f->tr->version;
    } else if (f->op == GET || f->op == WATCH) {
        int i = find(f->key);
        f->present = i < row_count && compare(rows[i].key, f->key) == 0;
        if (f->present)
            f->value = text_of(rows[i].value.data, rows[i].value.len);
        if (!f->snapshot)
            note_read(f->tr, f->key, f->key);
        for (const struct range *w = log_of_writes;
             f->op == WATCH && w && w->version > f->tr->version; w = w->next)
            if (compare(w->begin, f->key) <= 0 && compare(f->key, w->end) <= 0)
                f->op = GET; /* it changed since: fires at once */
        if (f->op == WATCH) {
            f->next = watches;
            watches = f;
            file_end();
            return;
        }
    } else if (f->op == GET_RANGE) {
        serve_range(f);
    } else if (f->op == COMMIT) {
        error = serve_commit(f->tr);
    }
    file_end();
    finish(f, error);
    fire_watches();
}

static bool shut(void)
{
    const char *mode = getenv("FAKE_FDB"), *gate = getenv("FAKE_FDB_GATE");
    return mode && strcmp(mode, "gate") == 0 && (!gate || access(gate, F_OK) != 0);
}

/* The real library has objects that are made late, destroyed in exit(), and used by the network
 * thread to its end. */
static void destroy_statics(void)
{
    statics_gone = 1;
}

/* Nothing is asked: others may commit what watches wait for. */
static void idle(void)
{
    struct timespec until;
    if (file < 0) {
        pthread_cond_wait(&more_work, &lock);
        return;
    }
    (void)clock_gettime(CLOCK_REALTIME, &until);
    until.tv_nsec += POLL_NS;
    until.tv_sec += until.tv_nsec / 1000000000;
    until.tv_nsec %= 1000000000;
    (void)pthread_cond_timedwait(&more_work, &lock, &until);
    if (!queue && !shut()) {
        file_begin();
        file_end();
        fire_watches();
    }
}

int fdb_run_network(void)
{
    bool made = false;
    pthread_mutex_lock(&lock);
    while (!stopping) {
        if (!queue) {
            idle();
            continue;
        }
        if (shut() && !queue->destroyed) {
            pthread_mutex_unlock(&lock);
            usleep(10000);
            pthread_mutex_lock(&lock);
            continue;
        }
        struct future *f = queue;
        queue = f->next;
        if (!queue)
            queue_end = &queue;
        f->next = NULL;
        if (!made && atexit(destroy_statics))
            abort();
        made = true;
        serve(f);
    }
    if (statics_gone)
        abort();
    pthread_mutex_unlock(&lock);
    return 0;
}

int fdb_stop_network(void)
{
    pthread_mutex_lock(&lock);
    stopping = 1;
    pthread_cond_signal(&more_work);
    pthread_mutex_unlock(&lock);
    return 0;
}

/* ---- the calls */

int fdb_get_max_api_version(void)
{
    const char *mode = getenv("FAKE_FDB");
    return mode && strcmp(mode, "old") == 0 ? 630 : 730;
}

int fdb_select_api_version_impl(int runtime, int header)
{
    return runtime == header && runtime >= 710 ? 0 : 2203;
}

int fdb_setup_network(void)
{
    return 0;
}

const char *fdb_get_error(int error)
{
    return error == 1020 ? "Transaction conflicted" : "An error of the fake";
}

int fdb_error_predicate(int predicate, int error)
{
    return predicate != 50001 && error == 1020;
}

int fdb_create_database(const char *file, FDBDatabase **out)
{
    file_open();
    *out = (FDBDatabase *)(void *)text_of((const uint8_t *)file, (int)strlen(file)).data;
    return 0;
}

void fdb_database_destroy(FDBDatabase *db)
{
    free(db);
}

int fdb_database_set_option(FDBDatabase *db, int option, const uint8_t *value, int length)
{
    (void)db, (void)option, (void)value;
    return length == 8 ? 0 : 2006;
}

int fdb_database_create_transaction(FDBDatabase *db, FDBTransaction **out)
{
    (void)db;
    *out = hold(sizeof(**out));
    (*out)->version = -1;
    (*out)->committed = -1;
    (*out)->last = &(*out)->first;
    return 0;
}

/* Never freed: the thread may be at it. */
void fdb_transaction_destroy(FDBTransaction *tr)
{
    (void)tr;
}

void fdb_transaction_set_read_version(FDBTransaction *tr, int64_t version)
{
    tr->version = version;
}

static FDBFuture *start(FDBTransaction *tr, enum op op, const uint8_t *key, int len)
{
    FDBFuture *f = calloc(1, sizeof(*f));
    f->op = op;
    f->tr = tr;
    if (key)
        f->key = text_of(key, len);
    return f;
}

static FDBFuture *send(FDBFuture *f)
{
    pthread_mutex_lock(&lock);
    *queue_end = f;
    queue_end = &f->next;
    pthread_cond_signal(&more_work);
    pthread_mutex_unlock(&lock);
    return f;
}

FDBFuture *fdb_transaction_get_read_version(FDBTransaction *tr)
{
    return send(start(tr, GET_VERSION, NULL, 0));
}

FDBFuture *fdb_transaction_get(FDBTransaction *tr, const uint8_t *key, int len, int snapshot)
{
    FDBFuture *f = start(tr, GET, key, len);
    f->snapshot = snapshot;
    return send(f);
}

FDBFuture *fdb_transaction_get_range(FDBTransaction *tr, const uint8_t *begin, int begin_len,
                                     int begin_or_equal, int begin_offset, const uint8_t *end,
                                     int end_len, int end_or_equal, int end_offset, int limit,
                                     int target_bytes, int mode, int iteration, int snapshot,
                                     int reverse)
{
    FDBFuture *f = start(tr, GET_RANGE, begin, begin_len);
    (void)begin_offset, (void)end_or_equal, (void)end_offset, (void)target_bytes, (void)mode;
    (void)iteration, (void)reverse;
    if (begin_or_equal)
        f->key.data[f->key.len++] = 0;
    f->end = text_of(end, end_len);
    f->limit = limit && limit < 3 ? limit : 3; /* short batches */
    f->snapshot = snapshot;
    return send(f);
}

static void mutate(FDBTransaction *tr, int kind, struct text key, struct text value)
{
    struct mutation *m = hold(sizeof(*m));
    *m = (struct mutation){NULL, kind, key, value};
    *tr->last = m;
    tr->last = &m->next;
}

void fdb_transaction_set(FDBTransaction *tr, const uint8_t *key, int len, const uint8_t *value,
                         int value_len)
{
    mutate(tr, 0, held_text(key, len), held_text(value, value_len));
}

void fdb_transaction_clear(FDBTransaction *tr, const uint8_t *key, int len)
{
    mutate(tr, 1, held_text(key, len), held_text(NULL, 0));
}

void fdb_transaction_clear_range(FDBTransaction *tr, const uint8_t *begin, int len,
                                 const uint8_t *end, int end_len)
{
    mutate(tr, 2, held_text(begin, len), held_text(end, end_len));
}

FDBFuture *fdb_transaction_watch(FDBTransaction *tr, const uint8_t *key, int len)
{
    return send(start(tr, WATCH, key, len));
}

FDBFuture *fdb_transaction_commit(FDBTransaction *tr)
{
    return send(start(tr, COMMIT, NULL, 0));
}

int fdb_transaction_get_committed_version(FDBTransaction *tr, int64_t *out)
{
    *out = tr->committed;
    return 0;
}

FDBFuture *fdb_transaction_get_versionstamp(FDBTransaction *tr)
{
    return send(start(tr, STAMP, NULL, 0));
}

FDBFuture *fdb_transaction_on_error(FDBTransaction *tr, int error)
{
    (void)error;
    return send(start(tr, ON_ERROR, NULL, 0));
}

void fdb_future_destroy(FDBFuture *f)
{
    pthread_mutex_lock(&lock);
    bool ready = f->ready;
    f->destroyed = true;
    f->error = 1101;
    pthread_cond_signal(&more_work);
    pthread_mutex_unlock(&lock);
    if (ready) {
        future_free(f);
    } else {
        f = start(NULL, ON_ERROR, NULL, 0); /* has the watches looked at */
        f->destroyed = true;
        send(f);
    }
}

int fdb_future_is_ready(FDBFuture *f)
{
    pthread_mutex_lock(&lock);
    int ready = f->ready;
    pthread_mutex_unlock(&lock);
    return ready;
}

int fdb_future_set_callback(FDBFuture *f, callback *fn, void *arg)
{
    pthread_mutex_lock(&lock);
    bool ready = f->ready;
    if (!ready) {
        f->fn = fn;
        f->arg = arg;
    }
    pthread_mutex_unlock(&lock);
    if (ready)
        fn(f, arg);
    return 0;
}

int fdb_future_get_error(FDBFuture *f)
{
    return f->error;
}

int fdb_future_get_int64(FDBFuture *f, int64_t *out)
{
    *out = f->number;
    return f->error;
}

int fdb_future_get_key(FDBFuture *f, const uint8_t **key, int *length)
{
    static const uint8_t stamp[10];
    *key = stamp;
    *length = 10;
    return f->error;
}

int fdb_future_get_value(FDBFuture *f, int *present, const uint8_t **value, int *length)
{
    *present = f->present;
    *value = f->value.data;
    *length = f->value.len;
    return f->error;
}

int fdb_future_get_keyvalue_array(FDBFuture *f, const struct key_value **out, int *count, int *more)
{
    *out = f->rows;
    *count = f->count;
    *more = f->more;
    return f->error;
}

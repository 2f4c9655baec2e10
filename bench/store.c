/*
 * Transactions a second on the embedded store, through the socket to the store process, beside bare
 * LMDB with the same batches and the same syncing in the same run.
 *
 *   store [--seconds S] [--rows N] [--dir DIR] [--case NAME] [--in-flight N]
 *
 * One JSON line per case and number in flight (1, 10, 100):
 *   read    one row read
 *   write   one row written whose version is known from an earlier read: commit only
 *   rmw     the row is read, a rule looks at it, the new row is committed
 *
 * Bare LMDB: read = one read-only transaction per batch of in_flight reads; write = in_flight puts
 * in one durable write transaction; rmw = in_flight gets and puts in one durable write transaction.
 * Both write the same rows (random ones of N, 100 bytes) into environments with the same flags.
 * They take turns, ROUNDS times each within S seconds, so that what else the machine does meets both;
 * the rates are over all rounds, `ratio` (ours over bare) is the median of the rounds' ratios.
 */
#include <errno.h>
#include <lmdb.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "base/rng.h"
#include "bin/shared/process_begin.h"
#include "kelpie/error.h"
#include "loop/loop.h"
#include "store/store_open.h"
#include "store/store_process.h"

#define KEY_SIZE 24
#define VALUE_SIZE 100
#define IN_FLIGHT_MAX 100
#define ROUNDS 20
#define CHECK_S 0.1
#define CHECK_ROUNDS 2
#define CHECK_FLIGHT 10
#define CHECK_ROWS 200

enum bench_case { CASE_READ, CASE_WRITE, CASE_RMW, CASES };
static const char *const case_names[CASES] = {"read", "write", "rmw"};

struct bench;

/* One transaction under way, over and over. */
struct flight {
    struct bench *bench;
    struct store_req req;
    struct store_read read;
    struct store_write write;
    unsigned row;
    char key[KEY_SIZE];
    uint8_t value[VALUE_SIZE];
};

struct bench {
    struct loop *loop;
    struct env env;
    struct store_handle *handle;
    struct store store;
    struct rng rng;
    bool idle; /* some case did nothing */
    int rounds;
    unsigned rows;
    enum bench_case what;
    size_t in_flight;
    size_t under_way;
    bool stop;
    bool failed;
    uint64_t done;
    uint64_t conflicts;
    uint64_t end_ns;
    uint64_t *versions; /* of each row, as known from the last commit */
    struct flight flights[IN_FLIGHT_MAX];
};

static uint64_t now_ns(void)
{
    struct timespec ts;
    clock_gettime(CLOCK_MONOTONIC, &ts);
    return (uint64_t)ts.tv_sec * NS_PER_S + (uint64_t)ts.tv_nsec;
}

static void die(const char *what)
{
    fprintf(stderr, "bench: %s\n", what);
    exit(1);
}

static void key_of(unsigned row, char key[KEY_SIZE])
{
    snprintf(key, KEY_SIZE, "bench/rows/%012u", row);
}

/* ---- through the store */

static void flight_next(struct flight *f);

static void flight_done(struct flight *f, bool counted)
{
    struct bench *b = f->bench;
    b->store.ops->release(b->store.ctx, &f->req);
    if (counted)
        b->done++;
    /* The clock is read once in a while: the bench measures the store. */
    if (!b->stop && (b->done & 63) == 0 && now_ns() >= b->end_ns)
        b->stop = true;
    if (!b->stop) {
        flight_next(f);
        return;
    }
    if (--b->under_way == 0)
        loop_stop(b->loop);
}

static void flight_committed(struct store_req *req, int status)
{
    struct flight *f = req->arg;
    struct bench *b = f->bench;
    if (status == KELPIE_E_CONFLICT || status == KELPIE_E_TOO_OLD)
        b->conflicts++;
    else if (status)
        die(kelpie_error_text(status));
    else if (b->what == CASE_WRITE)
        b->versions[f->row] = req->commit_version;
    flight_done(f, status == 0);
}

static void flight_read(struct store_req *req, int status)
{
    struct flight *f = req->arg;
    struct bench *b = f->bench;
    if (status)
        die(kelpie_error_text(status));
    if (b->what == CASE_READ) {
        flight_done(f, true);
        return;
    }
    /* The rule: the new row follows from the old one. */
    const struct store_result *r = &req->results[0];
    if (r->count != 1 || r->rows[0].value.len != VALUE_SIZE)
        die("a row is missing");
    memcpy(f->value, r->rows[0].value.data, VALUE_SIZE);
    f->value[0]++;
    req->fn = flight_committed;
    b->store.ops->commit(b->store.ctx, req);
}

static void flight_next(struct flight *f)
{
    struct bench *b = f->bench;
    key_of((unsigned)rng_below(&b->rng, b->rows), f->key);
    f->read = (struct store_read){.key = bytes_of(f->key, KEY_SIZE)};
    f->write = (struct store_write){.kind = STORE_PUT,
                                    .key = bytes_of(f->key, KEY_SIZE),
                                    .value = bytes_of(f->value, VALUE_SIZE)};
    f->req = (struct store_req){.reads = &f->read,
                                .read_count = 1,
                                .writes = &f->write,
                                .write_count = 1,
                                .fn = flight_read,
                                .arg = f};
    if (b->what != CASE_WRITE) {
        b->store.ops->read(b->store.ctx, &f->req);
        return;
    }
    /* Each flight has rows of its own, so what it knows of them stays true. */
    unsigned own = (unsigned)(f - b->flights);
    unsigned row = (unsigned)rng_below(&b->rng, b->rows / IN_FLIGHT_MAX) * IN_FLIGHT_MAX + own;
    key_of(row, f->key);
    f->row = row;
    f->req.read_version = b->versions[row];
    f->req.fn = flight_committed;
    b->store.ops->commit(b->store.ctx, &f->req);
}

/* A version that all rows have been read at. */
static void version_read(struct store_req *req, int status)
{
    struct bench *b = req->arg;
    if (status)
        die(kelpie_error_text(status));
    for (unsigned i = 0; i < b->rows; i++)
        b->versions[i] = req->read_version;
    b->store.ops->release(b->store.ctx, req);
    loop_stop(b->loop);
}

static void bench_learn_versions(struct bench *b)
{
    struct store_read read = {.key = bytes_of("bench/rows/", 12)};
    struct store_req req = {.reads = &read, .read_count = 1, .fn = version_read, .arg = b};
    b->store.ops->read(b->store.ctx, &req);
    loop_run(b->loop);
}

/* Runs one case for a while; returns transactions a second. */
static double bench_ours(struct bench *b, enum bench_case what, size_t in_flight, double seconds)
{
    b->what = what;
    b->in_flight = in_flight;
    b->under_way = in_flight;
    b->stop = false;
    b->done = 0;
    bench_learn_versions(b);
    uint64_t begin = now_ns();
    b->end_ns = begin + (uint64_t)(seconds * 1e9);
    for (size_t i = 0; i < in_flight; i++)
        flight_next(&b->flights[i]);
    loop_run(b->loop);
    return (double)b->done * 1e9 / (double)(now_ns() - begin);
}

static void fill_done(struct store_req *req, int status)
{
    if (status)
        die(kelpie_error_text(status));
    loop_stop(((struct bench *)req->arg)->loop);
}

static void bench_fill(struct bench *b)
{
    static char keys[500][KEY_SIZE];
    static const uint8_t value[VALUE_SIZE];
    struct store_write writes[500];
    for (unsigned row = 0; row < b->rows;) {
        size_t n = 0;
        for (; n < 500 && row < b->rows; n++, row++) {
            key_of(row, keys[n]);
            writes[n] = (struct store_write){.kind = STORE_PUT,
                                             .key = bytes_of(keys[n], KEY_SIZE),
                                             .value = bytes_of(value, VALUE_SIZE)};
        }
        struct store_req req = {.writes = writes, .write_count = n, .fn = fill_done, .arg = b};
        b->store.ops->commit(b->store.ctx, &req);
        loop_run(b->loop);
    }
}

/* ---- bare LMDB */

struct bare {
    MDB_env *env;
    MDB_dbi rows;
    struct rng rng;
    unsigned row_count;
    uint64_t sum;
};

static void must(int rc, const char *what)
{
    if (rc) {
        fprintf(stderr, "bench: %s: %s\n", what, mdb_strerror(rc));
        exit(1);
    }
}

static void bare_put(struct bare *m, MDB_txn *txn, unsigned row, uint8_t *value)
{
    char key[KEY_SIZE];
    key_of(row, key);
    MDB_val k = {KEY_SIZE, key}, v = {VALUE_SIZE, value};
    must(mdb_put(txn, m->rows, &k, &v, 0), "put");
}

static void bare_get(struct bare *m, MDB_txn *txn, unsigned row, uint8_t *value)
{
    char key[KEY_SIZE];
    key_of(row, key);
    MDB_val k = {KEY_SIZE, key}, v;
    must(mdb_get(txn, m->rows, &k, &v), "get");
    memcpy(value, v.mv_data, VALUE_SIZE);
}

static void bare_open(struct bare *m, const char *dir, unsigned rows)
{
    MDB_txn *txn;
    uint8_t value[VALUE_SIZE] = {0};
    m->row_count = rows;
    rng_seed(&m->rng, 2, 0);
    must(mdb_env_create(&m->env), "create");
    must(mdb_env_set_mapsize(m->env, 1u << 30), "map size");
    must(mdb_env_open(m->env, dir, MDB_NOTLS | MDB_NORDAHEAD, 0600), "open");
    must(mdb_txn_begin(m->env, NULL, 0, &txn), "begin");
    must(mdb_dbi_open(txn, NULL, 0, &m->rows), "dbi");
    for (unsigned row = 0; row < rows; row++)
        bare_put(m, txn, row, value);
    must(mdb_txn_commit(txn), "commit");
}

static void bare_batch(struct bare *m, enum bench_case what, size_t batch)
{
    MDB_txn *txn;
    uint8_t value[VALUE_SIZE] = {0};
    must(mdb_txn_begin(m->env, NULL, what == CASE_READ ? MDB_RDONLY : 0, &txn), "begin");
    for (size_t i = 0; i < batch; i++) {
        unsigned row = (unsigned)rng_below(&m->rng, m->row_count);
        if (what != CASE_WRITE)
            bare_get(m, txn, row, value);
        m->sum += value[0];
        value[0]++;
        if (what != CASE_READ)
            bare_put(m, txn, row, value);
    }
    if (what == CASE_READ)
        mdb_txn_abort(txn);
    else
        must(mdb_txn_commit(txn), "commit");
}

static double bench_bare(struct bare *m, enum bench_case what, size_t batch, double seconds)
{
    uint64_t begin = now_ns(), end = begin + (uint64_t)(seconds * 1e9), done = 0;
    do {
        bare_batch(m, what, batch);
        done += batch;
    } while (now_ns() < end);
    return (double)done * 1e9 / (double)(now_ns() - begin);
}

/* ---- */

static int compare_doubles(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;
    return x < y ? -1 : x > y;
}

static void bench_case_run(struct bench *b, struct bare *m, enum bench_case what, size_t in_flight,
                           double seconds)
{
    double ratios[ROUNDS] = {0}, o = 0, l = 0, slice = seconds / ROUNDS;
    (void)bench_ours(b, what, in_flight, slice); /* warm */
    for (int i = 0; i < b->rounds; i++) {
        double bare = bench_bare(m, what, in_flight, slice);
        double ours = bench_ours(b, what, in_flight, slice);
        ratios[i] = ours / bare;
        o += ours / b->rounds;
        l += bare / b->rounds;
    }
    qsort(ratios, (size_t)b->rounds, sizeof(double), compare_doubles);
    printf("{\"bench\":\"store\",\"case\":\"%s\",\"in_flight\":%zu,\"store_per_s\":%.0f,"
           "\"lmdb_per_s\":%.0f,\"ratio\":%.3f,\"conflicts\":%llu}\n",
           case_names[what], in_flight, o, l, ratios[b->rounds / 2],
           (unsigned long long)b->conflicts);
    fflush(stdout);
    b->idle |= o <= 0 || l <= 0;
    b->conflicts = 0;
}

static void bench_open(struct bench *b, const char *dir)
{
    char url[4300], error[1024];
    b->loop = loop_new();
    if (!b->loop)
        die("no loop");
    loop_fill_env(b->loop, &b->env);
    env_init(&b->env);
    snprintf(url, sizeof(url), "lmdb:%s", dir);
    const struct store_open_options o = {.idle_ms = 200};
    if (store_open(url, &b->env, &o, &b->handle, error, sizeof(error)))
        die(error);
    b->store = store_handle_store(b->handle);
    if (loop_on_readable(b->loop, store_handle_fd(b->handle), store_handle_ready, b->handle))
        die("the loop takes no descriptor");
    rng_seed(&b->rng, 1, 0);
    b->versions = calloc(b->rows, sizeof(*b->versions));
    if (!b->versions)
        die("no memory");
    for (size_t i = 0; i < IN_FLIGHT_MAX; i++)
        b->flights[i].bench = b;
}

static void bench_close(struct bench *b)
{
    if (loop_on_readable(b->loop, store_handle_fd(b->handle), NULL, NULL))
        die("the loop keeps a descriptor");
    store_close(b->handle);
    loop_free(b->loop);
    free(b->versions);
}

int main(int argc, char **argv)
{
    if (argc > 1 && !strcmp(argv[1], STORE_PROCESS_ARGUMENT))
        return process_store_main(argc, argv);
    static struct bench b = {.rows = 10000, .rounds = ROUNDS};
    double seconds = 2;
    bool check =
        argc == 2 && !strcmp(argv[1], "--check"); /* each case for a moment: counts alone */
    if (check) {
        argc = 1;
        b.rounds = CHECK_ROUNDS;
        seconds = CHECK_S;
        b.rows = CHECK_ROWS;
    }
    const char *parent = "/tmp", *only_case = NULL;
    size_t only_flight = check ? CHECK_FLIGHT : 0;
    for (int i = 1; i + 1 < argc; i += 2) {
        if (!strcmp(argv[i], "--seconds"))
            seconds = atof(argv[i + 1]);
        else if (!strcmp(argv[i], "--rows"))
            b.rows = (unsigned)atoi(argv[i + 1]);
        else if (!strcmp(argv[i], "--dir"))
            parent = argv[i + 1];
        else if (!strcmp(argv[i], "--case"))
            only_case = argv[i + 1];
        else if (!strcmp(argv[i], "--in-flight"))
            only_flight = (size_t)atoi(argv[i + 1]);
        else
            die("usage: store --check | [--seconds S] [--rows N] [--dir DIR] [--case NAME] "
                "[--in-flight N]");
    }
    if (argc % 2 == 0 || b.rows < IN_FLIGHT_MAX || seconds <= 0)
        die("usage: store [--seconds S] [--rows N (at least 100)] [--dir DIR]");
    char root[4096], ours[4200], bare[4200], command[4300];
    snprintf(root, sizeof(root), "%s/kelpie-bench-XXXXXX", parent);
    if (!mkdtemp(root))
        die(strerror(errno));
    snprintf(ours, sizeof(ours), "%s/store", root);
    snprintf(bare, sizeof(bare), "%s/bare", root);
    if (mkdir(bare, 0700))
        die(strerror(errno));

    struct bare m = {.env = NULL};
    bare_open(&m, bare, b.rows);
    bench_open(&b, ours);
    bench_fill(&b);
    static const size_t in_flight[] = {1, 10, 100};
    for (int what = 0; what < CASES; what++)
        for (size_t i = 0; i < ARRAY_LEN(in_flight); i++)
            if ((!only_case || !strcmp(only_case, case_names[what])) &&
                (!only_flight || only_flight == in_flight[i]))
                bench_case_run(&b, &m, (enum bench_case)what, in_flight[i], seconds);
    bench_close(&b);
    mdb_env_close(m.env);
    snprintf(command, sizeof(command), "rm -rf '%s'", root);
    bool ok = system(command) == 0 && !b.idle;
    printf("{\"bench\":\"store\",\"check\":%s,\"ok\":%s}\n", check ? "true" : "false",
           ok ? "true" : "false");
    return ok ? 0 : 1;
}

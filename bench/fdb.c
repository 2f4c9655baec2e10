/*
 * Transactions a second through the driver for FoundationDB, beside bare calls of the client
 * library on the same cluster in the same run. Needs a cluster, which it fills with some rows of its
 * own and clears of them again.
 *
 *   fdb [--cluster-file FILE] [--library FILE] [--seconds S]
 *
 * One JSON line per case and number in flight (1, 10, 100, 1000):
 *   read    one row read
 *   write   one row written, not read
 *   rmw     the row is read, then written anew
 *
 * Bare: each transaction is begun in the callback that ended the one before, on the library's own
 * thread, with no loop between. Both use rows of 24 + 100 bytes, each transaction in flight its own.
 * They take turns, ROUNDS times within S seconds, so that what else the machine does meets both;
 * rates and processor time a transaction are over all rounds, `ratio` (driver over bare) is the
 * median of the rounds' ratios.
 */
#include <getopt.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <time.h>
#include <unistd.h>

#include "kelpie/error.h"
#include "loop/loop.h"
#include "store/fdb_library.h"
#include "store/store_fdb_open.h"

#define KEY_SIZE 24
#define VALUE_SIZE 100
#define IN_FLIGHT_MAX 1000
#define PREFIX_LEN 12 /* of the keys of one run */
#define TIMEOUT_MS 5000
#define ROUNDS 10
#define SECONDS_MAX 3600

enum bench_case { CASE_READ, CASE_WRITE, CASE_RMW, CASES };
static const char *const case_names[CASES] = {"read", "write", "rmw"};

struct bench;

/* One transaction under way, over and over; by the driver or bare. */
struct flight {
    struct bench *bench;
    char key[KEY_SIZE + 1];
    uint8_t value[VALUE_SIZE];
    bool has_read;
    /* the driver's */
    struct store_req req;
    struct store_read read;
    struct store_write write;
    /* bare */
    struct fdb_transaction *tr;
};

struct bench {
    struct loop *loop;
    struct env env;
    struct store_fdb_handle *handle;
    struct store store;
    const struct fdb_api *api;
    struct fdb_database *db;
    enum bench_case what;
    size_t in_flight;
    uint64_t end_ns;
    atomic_size_t under_way;
    atomic_ulong done, failed;
    pthread_mutex_t lock;
    pthread_cond_t over;
    struct flight flights[IN_FLIGHT_MAX];
};

struct rate {
    double per_s, cpu_us;
};

static _Noreturn void die(const char *what)
{
    (void)fprintf(stderr, "fdb: %s\n", what);
    exit(1);
}

static uint64_t now_ns(void)
{
    struct timespec t;

    clock_gettime(CLOCK_MONOTONIC, &t);
    return (uint64_t)t.tv_sec * NS_PER_S + (uint64_t)t.tv_nsec;
}

static double cpu_us(void)
{
    struct rusage r;

    getrusage(RUSAGE_SELF, &r);
    return (double)(r.ru_utime.tv_sec + r.ru_stime.tv_sec) * 1e6 +
           (double)(r.ru_utime.tv_usec + r.ru_stime.tv_usec);
}

/* ---- through the driver */

static void flight_next(struct flight *f);

static void flight_done(struct flight *f, int status)
{
    struct bench *b = f->bench;

    b->store.ops->release(b->store.ctx, &f->req);
    if (status)
        b->failed++;
    else
        b->done++;
    if (now_ns() < b->end_ns)
        flight_next(f);
    else if (--b->under_way == 0)
        loop_stop(b->loop);
}

static void on_store(struct store_req *req, int status)
{
    struct flight *f = req->arg;
    struct bench *b = f->bench;

    if (status || b->what != CASE_RMW || f->has_read) {
        flight_done(f, status);
        return;
    }
    f->has_read = true;
    f->value[0]++;
    b->store.ops->commit(b->store.ctx, req);
}

static void flight_next(struct flight *f)
{
    struct bench *b = f->bench;
    struct bytes key = bytes_of(f->key + PREFIX_LEN, KEY_SIZE - PREFIX_LEN);

    f->has_read = false;
    f->read = (struct store_read){.key = key};
    f->write = (struct store_write){
        .kind = STORE_PUT, .key = key, .value = bytes_of(f->value, VALUE_SIZE)};
    f->req = (struct store_req){.fn = on_store, .arg = f};
    if (b->what != CASE_WRITE) {
        f->req.reads = &f->read;
        f->req.read_count = 1;
    }
    if (b->what != CASE_READ) {
        f->req.writes = &f->write;
        f->req.write_count = 1;
    }
    if (b->what == CASE_WRITE)
        b->store.ops->commit(b->store.ctx, &f->req);
    else
        b->store.ops->read(b->store.ctx, &f->req);
}

static void start_flights(void *arg)
{
    struct bench *b = arg;

    for (size_t i = 0; i < b->in_flight; i++)
        flight_next(&b->flights[i]);
}

static void run_driver(struct bench *b)
{
    loop_post(b->loop, start_flights, b);
    loop_run(b->loop);
}

/* ---- bare */

static void bare_next(struct flight *f);

static struct fdb_future *bare_write(struct flight *f)
{
    const struct fdb_api *api = f->bench->api;

    api->transaction_set(f->tr, (const uint8_t *)f->key, KEY_SIZE, f->value, VALUE_SIZE);
    return api->transaction_commit(f->tr);
}

static void bare_over(struct bench *b)
{
    pthread_mutex_lock(&b->lock);
    if (--b->under_way == 0)
        pthread_cond_signal(&b->over);
    pthread_mutex_unlock(&b->lock);
}

/* On the library's thread. */
static void on_bare(struct fdb_future *future, void *arg)
{
    struct flight *f = arg;
    struct bench *b = f->bench;
    const struct fdb_api *api = b->api;
    int present, len, error = api->future_get_error(future);
    const uint8_t *value;

    if (!error && b->what != CASE_WRITE && !f->has_read)
        error = api->future_get_value(future, &present, &value, &len);
    api->future_destroy(future);
    if (!error && b->what == CASE_RMW && !f->has_read) {
        f->has_read = true;
        f->value[0]++;
        if (api->future_set_callback(bare_write(f), on_bare, f))
            die("the library takes no callback");
        return;
    }
    api->transaction_destroy(f->tr);
    if (error)
        b->failed++;
    else
        b->done++;
    if (now_ns() < b->end_ns)
        bare_next(f);
    else
        bare_over(b);
}

static void bare_next(struct flight *f)
{
    const struct fdb_api *api = f->bench->api;
    struct fdb_future *future;

    f->has_read = false;
    if (api->database_create_transaction(f->bench->db, &f->tr))
        die("the library makes no transaction");
    if (f->bench->what == CASE_WRITE)
        future = bare_write(f);
    else
        future = api->transaction_get(f->tr, (const uint8_t *)f->key, KEY_SIZE, 0);
    if (api->future_set_callback(future, on_bare, f))
        die("the library takes no callback");
}

static void run_bare(struct bench *b)
{
    for (size_t i = 0; i < b->in_flight; i++)
        bare_next(&b->flights[i]);
    pthread_mutex_lock(&b->lock);
    while (b->under_way)
        pthread_cond_wait(&b->over, &b->lock);
    pthread_mutex_unlock(&b->lock);
}

/* ---- cases */

static struct rate measure(struct bench *b, void (*run)(struct bench *b), double seconds)
{
    uint64_t begun = now_ns();
    double cpu = cpu_us();

    b->done = 0;
    b->under_way = b->in_flight;
    b->end_ns = begun + (uint64_t)(seconds * 1e9);
    run(b);
    double done = b->done ? (double)b->done : 1;
    return (struct rate){.per_s = (double)b->done * 1e9 / (double)(now_ns() - begun),
                         .cpu_us = (cpu_us() - cpu) / done};
}

static int compare_doubles(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;
    return x < y ? -1 : x > y;
}

static void run_case(struct bench *b, double seconds)
{
    double ratios[ROUNDS], slice = seconds / ROUNDS / 2;
    struct rate driver = {0}, bare = {0};

    b->failed = 0;
    (void)measure(b, run_driver, slice); /* warm; and the rows are there */
    for (int i = 0; i < ROUNDS; i++) {
        struct rate r = measure(b, run_bare, slice), d = measure(b, run_driver, slice);
        ratios[i] = r.per_s > 0 ? d.per_s / r.per_s : 0;
        driver.per_s += d.per_s / ROUNDS;
        driver.cpu_us += d.cpu_us / ROUNDS;
        bare.per_s += r.per_s / ROUNDS;
        bare.cpu_us += r.cpu_us / ROUNDS;
    }
    qsort(ratios, ROUNDS, sizeof ratios[0], compare_doubles);
    printf("{\"bench\":\"fdb\",\"case\":\"%s\",\"in_flight\":%zu,\"driver_per_s\":%.0f,"
           "\"bare_per_s\":%.0f,\"ratio\":%.3f,\"driver_cpu_us\":%.1f,\"bare_cpu_us\":%.1f,"
           "\"failed\":%lu}\n",
           case_names[b->what], b->in_flight, driver.per_s, bare.per_s, ratios[ROUNDS / 2],
           driver.cpu_us, bare.cpu_us, (unsigned long)b->failed);
    if (fflush(stdout))
        exit(1);
}

/* ---- the cluster */

static void on_readable(void *handle)
{
    store_fdb_fd_ready(handle);
}

static void bench_open(struct bench *b, const char *cluster_file, const char *library)
{
    char error[1024], prefix[PREFIX_LEN + 1];
    static const uint8_t timeout[8] = {TIMEOUT_MS & 0xff, TIMEOUT_MS >> 8};

    b->loop = loop_new();
    if (!b->loop)
        die("cannot make an event loop");
    loop_fill_env(b->loop, &b->env);
    env_init(&b->env);
    (void)snprintf(prefix, sizeof prefix, "b%011u", (unsigned)getpid());
    const struct store_fdb_options store = {.prefix = bytes_of(prefix, PREFIX_LEN)};
    const struct store_fdb_open_options options = {
        .cluster_file = cluster_file, .library = library, .store = &store};
    if (store_fdb_open(&b->env, &options, &b->handle, error, sizeof error))
        die(error);
    b->store = store_fdb_store(store_fdb_of(b->handle));
    if (loop_on_readable(b->loop, store_fdb_fd(b->handle), on_readable, b->handle))
        die("the loop takes no descriptor");
    if (fdb_library_open(library, &b->api, error, sizeof error))
        die(error);
    if (b->api->create_database(cluster_file ? cluster_file : getenv("FDB_CLUSTER_FILE"), &b->db) ||
        b->api->database_set_option(b->db, FDB_OPTION_TIMEOUT_MS, timeout, sizeof timeout))
        die("the library makes no database");
    pthread_mutex_init(&b->lock, NULL);
    pthread_cond_init(&b->over, NULL);
    for (unsigned i = 0; i < IN_FLIGHT_MAX; i++) {
        b->flights[i].bench = b;
        (void)snprintf(b->flights[i].key, sizeof b->flights[i].key, "%s%0*u", prefix,
                       KEY_SIZE - PREFIX_LEN, i);
    }
}

static void on_cleared(struct store_req *req, int status)
{
    struct bench *b = req->arg;

    if (status)
        (void)fprintf(stderr, "fdb: its rows may still be there: %s\n", kelpie_error_text(status));
    loop_stop(b->loop);
}

static void clear_rows(void *arg)
{
    struct bench *b = arg;
    static struct store_write all;
    static struct store_req req;

    all = (struct store_write){
        .kind = STORE_DELETE_RANGE, .key = bytes_of_str("0"), .value = bytes_of_str("1")};
    req = (struct store_req){.writes = &all, .write_count = 1, .fn = on_cleared, .arg = b};
    b->store.ops->commit(b->store.ctx, &req);
}

static void bench_close(struct bench *b)
{
    loop_post(b->loop, clear_rows, b);
    loop_run(b->loop);
    if (loop_on_readable(b->loop, store_fdb_fd(b->handle), NULL, NULL))
        die("the loop keeps a descriptor");
    store_fdb_shut(b->handle);
    b->api->database_destroy(b->db);
    fdb_library_stop();
    loop_free(b->loop);
}

static _Noreturn void usage(int status)
{
    (void)fputs("usage: fdb [--cluster-file FILE] [--library FILE] [--seconds S]\n"
                "\n"
                "  --cluster-file FILE  default: $FDB_CLUSTER_FILE, else " FDB_CLUSTER_FILE_DEFAULT
                "\n"
                "  --library FILE       the client library (default: libfdb_c.so)\n"
                "  --seconds S          for each case (default: 4)\n"
                "  --check              each case for a second, with one in flight\n",
                status ? stderr : stdout);
    exit(status);
}

int main(int argc, char **argv)
{
    static const struct option longs[] = {{"cluster-file", required_argument, NULL, 'c'},
                                          {"library", required_argument, NULL, 'l'},
                                          {"seconds", required_argument, NULL, 's'},
                                          {"check", no_argument, NULL, 'k'},
                                          {"help", no_argument, NULL, 'h'},
                                          {NULL, 0, NULL, 0}};
    static const size_t in_flight[] = {1, 10, 100, IN_FLIGHT_MAX};
    static struct bench b;
    const char *cluster_file = NULL, *library = NULL;
    unsigned seconds = 4;
    bool check = false;
    int option;

    while ((option = getopt_long(argc, argv, "h", longs, NULL)) != -1) {
        if (option == 'h')
            usage(0);
        if (option == 'k') {
            check = true;
            seconds = 1;
        } else if (option == 'c')
            cluster_file = optarg;
        else if (option == 'l')
            library = optarg;
        else if (option != 's')
            usage(2);
        else if (sscanf(optarg, "%u", &seconds) != 1 || seconds == 0 || seconds > SECONDS_MAX)
            usage(2);
    }
    if (optind < argc)
        usage(2);
    bench_open(&b, cluster_file, library);
    for (int what = 0; what < CASES; what++)
        for (size_t i = 0; i < (check ? 1 : ARRAY_LEN(in_flight)); i++) {
            b.what = (enum bench_case)what;
            b.in_flight = in_flight[i];
            run_case(&b, seconds);
        }
    bench_close(&b);
    printf("{\"bench\":\"fdb\",\"check\":%s,\"ok\":true}\n", check ? "true" : "false");
    return 0;
}

/*
 * Stores with something wrong in them: what kelpied and `kelpie store check` say. Rows are written
 * directly, past all rules: in the embedded store, and through the driver for FoundationDB in a small
 * database of our own (tests/fake/fdb_client.c).
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/crc32c.h"
#include "base/tuple.h"
#include "bin/shared/store_scan.h"
#include "kelpie/error.h"
#include "record/records.h"
#include "store/fdb_library.h"

#define TEXT_SIZE 8192

/* Every test has a folder and a prefix of its own; the fake's database is one for this process. */
static char fake_dir[64];

struct fixture {
    char dir[64];
    char url[128];
    char prefix[KEY_PREFIX_MAX + 1];
    char said[TEXT_SIZE]; /* by the last command */
    int status;
    struct keyspace ks;
    struct world_bind world;
    struct scan scan;
    struct buf value;
    struct key key; /* of the row to be written */
};

static const char *build_dir(void)
{
    const char *dir = getenv("KELPIE_BUILD");
    assert_non_null(dir);
    return dir;
}

static int open_fixture(void **state, bool fdb)
{
    static unsigned tests;
    struct fixture *f = calloc(1, sizeof(*f));
    char why[1024], program[512];
    (void)snprintf(f->dir, sizeof(f->dir), "/tmp/kelpie-rows.XXXXXX");
    assert_non_null(mkdtemp(f->dir));
    (void)snprintf(f->prefix, sizeof(f->prefix), "test%u", ++tests);
    if (fdb)
        (void)snprintf(f->url, sizeof(f->url), "fdb:%s/fdb.cluster", fake_dir);
    else
        (void)snprintf(f->url, sizeof(f->url), "lmdb:%s/store", f->dir);
    (void)snprintf(program, sizeof(program), "%s/kelpied", build_dir());
    assert_int_equal(keyspace_init(&f->ks, f->prefix), 0);
    f->world.loop = loop_new();
    assert_non_null(f->world.loop);
    loop_fill_env(f->world.loop, &f->world.env);
    struct store_open_options o = {
        .executable = program, .idle_ms = 200, .fdb_library = getenv("KELPIE_FDB_LIBRARY")};
    if (store_open(f->url, &f->world.env, &o, &f->world.store, why, sizeof(why)))
        fail_msg("%s", why);
    f->world.env.store = store_handle_store(f->world.store);
    env_init(&f->world.env);
    assert_int_equal(loop_on_readable(f->world.loop, store_handle_fd(f->world.store),
                                      store_handle_ready, f->world.store),
                     0);
    scan_init(&f->scan, &f->world, &f->ks);
    buf_init(&f->value, f->world.env.mem);
    *state = f;
    return 0;
}

static int set_up(void **state)
{
    return open_fixture(state, false);
}

static int set_up_fdb(void **state)
{
    return open_fixture(state, true);
}

static void shell(const char *fmt, ...) PRINTF_LIKE(1, 2);
static void shell(const char *fmt, ...)
{
    char command[1024];
    va_list ap;
    va_start(ap, fmt);
    int len = vsnprintf(command, sizeof(command), fmt, ap);
    va_end(ap);
    assert_in_range(len, 1, sizeof(command) - 1);
    assert_int_equal(system(command), 0);
}

/* Builds the library, with a sanitizer that the programs were built with. */
static int build_fake(void **state)
{
    char path[128];
    (void)state;
    (void)snprintf(fake_dir, sizeof(fake_dir), "/tmp/kelpie-fake.XXXXXX");
    assert_non_null(mkdtemp(fake_dir));
    shell("${CC:-cc} -shared -fPIC -g -O1 -pthread -D_GNU_SOURCE ${FAKE_CFLAGS-} -o %s/libfake.so "
          "\"$KELPIE_SOURCE/tests/fake/fdb_client.c\"",
          fake_dir);
    shell("echo test:abc1@127.0.0.1:4500 >%s/fdb.cluster", fake_dir);
    (void)snprintf(path, sizeof(path), "%s/libfake.so", fake_dir);
    assert_int_equal(setenv("KELPIE_FDB_LIBRARY", path, 1), 0);
    (void)snprintf(path, sizeof(path), "%s/fake.db", fake_dir);
    assert_int_equal(setenv("FAKE_FDB_FILE", path, 1), 0);
    return 0;
}

static int remove_fake(void **state)
{
    (void)state;
    fdb_library_stop();
    shell("rm -rf %s", fake_dir);
    return 0;
}

static int tear_down(void **state)
{
    struct fixture *f = *state;
    buf_deinit(&f->value);
    /* Not world_bind_deinit: that ends the library for this process. */
    assert_int_equal(loop_on_readable(f->world.loop, store_handle_fd(f->world.store), NULL, NULL),
                     0);
    store_close(f->world.store);
    loop_free(f->world.loop);
    shell("rm -rf %s", f->dir);
    free(f);
    return 0;
}

/* ---- rows ---- */

static enum verdict put_rule(struct rule_ctx *ctx, void *arg)
{
    struct fixture *f = arg;
    rule_put(ctx, key_bytes(&f->key), buf_bytes(&f->value));
    return RULE_COMMIT;
}

static void nothing(struct scan *s, void *arg)
{
    (void)s;
    (void)arg;
}

static void put(struct fixture *f)
{
    scan_begin(&f->scan, put_rule, f);
    (void)txn_read(&f->scan.txn, key_bytes(&f->key), false);
    assert_int_equal(scan_run(&f->scan, nothing, NULL), 0);
}

static void put_placement(struct fixture *f, const char *id, const char *node, uint64_t generation)
{
    struct placement_record p = {
        .placed = true, .incarnation = 3, .boot = {.b = {7}}, .generation = generation};
    (void)snprintf(p.node_id, sizeof(p.node_id), "%s", node);
    f->key = key_actor(&f->ks, "room", id);
    placement_record_encode(&p, key_bytes(&f->key), &f->value);
    put(f);
}

static void put_by_node(struct fixture *f, const char *id, const char *node, uint64_t generation)
{
    struct by_node_record b = {.generation = generation};
    f->key = key_by_node(&f->ks, node, 3, "room", id);
    by_node_record_encode(&b, key_bytes(&f->key), &f->value);
    put(f);
}

static void put_node(struct fixture *f, const char *id, enum node_state state)
{
    struct node_record r = {.state = state, .incarnation = 3, .boot = {.b = {7}}, .lease_ms = 2000};
    f->key = key_node(&f->ks, id);
    node_record_encode(&r, key_bytes(&f->key), &f->value);
    put(f);
}

/* What the founder writes with its row, but for its view. */
static void put_cluster(struct fixture *f, uint64_t format)
{
    struct format_record r = {.version = format, .cluster_id = {.b = {1}}};
    struct primary_record primary = {.vacant = true};
    struct term_record term = {.term = 1};
    f->key = key_format(&f->ks);
    format_record_encode(&r, key_bytes(&f->key), &f->value);
    put(f);
    f->key = key_primary(&f->ks);
    primary_record_encode(&primary, key_bytes(&f->key), &f->value);
    put(f);
    f->key = key_term(&f->ks);
    term_record_encode(&term, key_bytes(&f->key), &f->value);
    put(f);
}

static void put_view(struct fixture *f, uint64_t number, uint64_t count)
{
    struct view_record v = {.number = number, .count = count};
    f->key = key_view(&f->ks);
    view_record_encode(&v, key_bytes(&f->key), &f->value);
    put(f);
}

static void put_newer(struct fixture *f, struct key key)
{
    f->key = key;
    buf_clear(&f->value);
    tuple_pack_uint(&f->value, RECORD_VERSION + 1);
    tuple_pack_uint(&f->value, 5);
    tuple_pack_uint(&f->value, crc32c_extend(crc32c(key_bytes(&key)), buf_bytes(&f->value)));
    put(f);
}

static void put_flipped(struct fixture *f, struct key key)
{
    struct format_record r = {.version = RECORD_VERSION};
    f->key = key;
    format_record_encode(&r, key_bytes(&key), &f->value);
    f->value.data[f->value.len / 2] ^= 1;
    put(f);
}

/* ---- commands ---- */

static void run(struct fixture *f, const char *program, const char *arguments)
{
    char command[1024];
    (void)snprintf(command, sizeof(command), "%s/%s %s 2>&1", build_dir(), program, arguments);
    FILE *out = popen(command, "r");
    assert_non_null(out);
    size_t n = fread(f->said, 1, sizeof(f->said) - 1, out);
    f->said[n] = '\0';
    int status = pclose(out);
    assert_true(WIFEXITED(status));
    f->status = WEXITSTATUS(status);
}

static void check(struct fixture *f, int status, const char *says)
{
    char arguments[256];
    (void)snprintf(arguments, sizeof(arguments), "store check --store %s --prefix %s", f->url,
                   f->prefix);
    run(f, "kelpie", arguments);
    if (f->status != status || !strstr(f->said, says))
        fail_msg("status %d, said: %s(wanted %d: %s)", f->status, f->said, status, says);
}

static void dump(struct fixture *f)
{
    char arguments[256];
    (void)snprintf(arguments, sizeof(arguments), "store dump --store %s --prefix %s", f->url,
                   f->prefix);
    run(f, "kelpie", arguments);
    assert_int_equal(f->status, 0);
}

/* A node that is refused has written nothing. */
static void start(struct fixture *f, int status, const char *says)
{
    char arguments[512], before[TEXT_SIZE];
    dump(f);
    memcpy(before, f->said, sizeof(before));
    (void)snprintf(arguments, sizeof(arguments),
                   "--node-id n1 --store %s --data-dir %s --listen 127.0.0.1:0 --rpc-listen "
                   "127.0.0.1:0 --log-level error --prefix %s",
                   f->url, f->dir, f->prefix);
    run(f, "kelpied", arguments);
    if (f->status != status || !strstr(f->said, says))
        fail_msg("status %d, said: %s(wanted %d: %s)", f->status, f->said, status, says);
    dump(f);
    assert_string_equal(f->said, before);
}

/* ---- tests ---- */

static void test_sound(void **state)
{
    struct fixture *f = *state;
    char id[16];
    check(f, 1, "there is no cluster under the prefix '");
    put_node(f, "n1", NODE_LEFT);
    put_cluster(f, RECORD_VERSION);
    put_view(f, 2, 0);
    for (int i = 0; i < 100; i++) { /* more than a page */
        (void)snprintf(id, sizeof(id), "r%d", i);
        put_placement(f, id, "n1", 2);
        put_by_node(f, id, "n1", 2);
    }
    check(f, 0, ": 205 records, 1 nodes, 100 actors, 0 problems\n");
}

static void test_by_node(void **state)
{
    struct fixture *f = *state;
    put_placement(f, "lonely", "n1", 1);
    check(f, 1, "registry/actors/room/lonely: node n1 has no by-node row for it\n");
    put_by_node(f, "lonely", "n1", 1);
    check(f, 0, " 0 problems\n");
    put_by_node(f, "lonely", "n2", 1);
    check(f, 1,
          "registry/by_node/n2/3/room/lonely: the actor is placed elsewhere (node 'n1', "
          "incarnation 3)\n");
    put_by_node(f, "unplaced", "n1", 1);
    check(f, 1, "registry/by_node/n1/3/room/unplaced: the actor has no placement\n");
    put_placement(f, "older", "n1", 4);
    put_by_node(f, "older", "n1", 3);
    check(f, 1, "registry/by_node/n1/3/room/older: its generation is 3, that of the placement 4\n");
    check(f, 1, " 2 actors, 3 problems\n");
}

static void test_view(void **state)
{
    struct fixture *f = *state;
    put_node(f, "n1", NODE_ACTIVE);
    check(f, 1, "cluster/format: there is no format, but 1 nodes have joined\n");
    check(f, 1, "cluster/membership_view: there is no view, but 1 nodes have joined\n");
    check(f, 1, "cluster/primary: there is no row of a primary, but 1 nodes have joined\n");
    check(f, 1, "cluster/primary_term: there is no term, but 1 nodes have joined\n");
    check(f, 1, ": 1 records, 1 nodes, 0 actors, 4 problems\n");
    put_cluster(f, RECORD_VERSION);
    check(f, 1, ": 4 records, 1 nodes, 0 actors, 1 problems\n");
    put_view(f, 4, 2);
    check(f, 1, "cluster/membership_view: it counts 2 members, but 1 nodes are Active\n");
    put_view(f, 4, 1);
    check(f, 1, "cluster/membership_view: its hash is not that of the Active nodes\n");
}

static void test_records(void **state)
{
    struct fixture *f = *state;
    struct key unknown = key_format(&f->ks);
    unknown.data[unknown.len - 2] = 'x';
    put_flipped(f, key_format(&f->ks));
    check(f, 1, "cluster/format: the checksum is wrong\n");
    start(f, 1, "the record cluster/format is corrupt; kelpie store check says what else is\n");
    put_newer(f, key_format(&f->ks));
    check(f, 1, "cluster/format: the record was written by a newer version\n");
    start(f, 1, "the record cluster/format was written by a newer version of kelpied");
    put_cluster(f, RECORD_VERSION + 1);
    check(f, 1, "cluster/format: the store has format 3, this program reads up to 2\n");
    start(f, 1, "has format 3, but this kelpied reads up to 2; use a newer one\n");
    put_cluster(f, RECORD_VERSION);
    put_newer(f, key_node(&f->ks, "other"));
    start(f, 1, "the record cluster/nodes/other was written by a newer version of kelpied");
    put_node(f, "other", NODE_LEFT);
    put_view(f, 1, 0);
    put_newer(f, unknown);
    check(f, 1, "no record has such a key\n");
    check(f, 1, ": 6 records, 1 nodes, 0 actors, 1 problems\n");
    put_flipped(f, key_state(&f->ks, "room", "r", bytes_of_str("k")));
    check(f, 1, "state/room/r/k/k: the checksum is wrong\n");
}

/* ---- actors ---- */

static void put_state(struct fixture *f, const char *id, const char *key, const char *value)
{
    struct state_record s = {.value = bytes_of_str(value)};
    f->key = key_state(&f->ks, "counter", id, bytes_of_str(key));
    state_record_encode(&s, key_bytes(&f->key), &f->value);
    put(f);
}

static void put_head(struct fixture *f, const char *id, uint64_t rows, uint64_t sum)
{
    struct head_record h = {.number = 1, .generation = 1, .rows = rows, .sum = sum};
    f->key = key_head(&f->ks, "counter", id);
    head_record_encode(&h, key_bytes(&f->key), &f->value);
    put(f);
}

static void test_heads(void **state)
{
    struct fixture *f = *state;
    uint64_t sum = row_sum(bytes_of_str("a"), bytes_of_str("1")) +
                   row_sum(bytes_of_str("b"), bytes_of_str("2"));
    put_cluster(f, RECORD_VERSION);
    put_view(f, 1, 0);
    put_state(f, "x", "a", "1");
    put_state(f, "x", "b", "2");
    check(f, 1, "state/counter/x/h: there is none, but 2 state rows\n");
    put_head(f, "x", 2, sum);
    check(f, 0, " 0 problems\n");
    put_head(f, "x", 3, sum);
    check(f, 1, "state/counter/x/h: it counts 3 state rows, but there are 2\n");
    put_head(f, "x", 2, sum + 1);
    check(f, 1, "state/counter/x/h: its sum is not that of the 2 state rows\n");
    put_head(f, "x", 2, sum);
    put_head(f, "y", 0, 0);
    put_head(f, "z", 1, 0);
    check(f, 1, "state/counter/z/h: it counts 1 state rows, but there are 0\n");
    check(f, 1, " 1 problems\n");
}

/* A message of room/s for room/r with a time and a name, its pointer, its name: those of `what`. */
static void put_timer(struct fixture *f, const char *what, uint64_t named_number)
{
    struct message_at at = {
        .due_ms = 5000, .sender = actor_hash("room", "s"), .generation = 1, .number = 7};
    struct message_record m = {.sender_type = "room",
                               .sender_id = "s",
                               .method = "m",
                               .due_ms = 5000,
                               .name_len = 1,
                               .name = "t"};
    struct due_record due = {.sent_ms = 1};
    struct named_record named = {.type = "room", .id = "r", .at = at};
    named.at.number = named_number;
    if (strchr(what, 'm')) {
        f->key = key_later(&f->ks, "room", "r", &at);
        message_record_encode(&m, key_bytes(&f->key), &f->value);
        put(f);
    }
    if (strchr(what, 'd')) {
        f->key = key_due(&f->ks, actor_shard("room", "r", SHARDS_DEFAULT), "room", "r", &at);
        due_record_encode(&due, key_bytes(&f->key), &f->value);
        put(f);
    }
    if (strchr(what, 'n')) {
        f->key = key_named(&f->ks, "room", "s", bytes_of_str("t"));
        named_record_encode(&named, key_bytes(&f->key), &f->value);
        put(f);
    }
}

static void test_messages(void **state)
{
    struct fixture *f = *state;
    put_cluster(f, RECORD_VERSION);
    put_view(f, 1, 0);
    put_timer(f, "m", 7);
    check(f, 1, ": there is no pointer to it under due\n");
    check(f, 1, ": its sender knows no message of its name\n");
    put_timer(f, "d", 7);
    put_timer(f, "n", 8);
    check(f, 1, ": its sender has another message of its name\n");
    check(f, 1, " 1 problems\n");
    put_timer(f, "n", 7);
    check(f, 0, " 0 problems\n");
}

/* A request that counter/x remembers in that bucket. */
static void put_remembered(struct fixture *f, uint64_t bucket, const char *id)
{
    struct remembered_record r = {.number = 1, .generation = 1};
    (void)snprintf(r.request_id, sizeof(r.request_id), "%s", id);
    f->key = key_remembered(&f->ks, "counter", "x", bucket, request_hash(id));
    remembered_record_encode(&r, key_bytes(&f->key), &f->value);
    put(f);
}

static void put_buckets(struct fixture *f, uint64_t number, uint64_t ids)
{
    struct head_record h = {.number = number,
                            .generation = 1,
                            .own_ms = 9000,
                            .bucket_count = 2,
                            .buckets = {{.begin = 10, .ids = ids}, {.begin = 5000, .ids = 1}}};
    f->key = key_head(&f->ks, "counter", "x");
    head_record_encode(&h, key_bytes(&f->key), &f->value);
    put(f);
}

/* What a head row counts of the requests that are remembered. */
static void test_remembered(void **state)
{
    struct fixture *f = *state;
    put_cluster(f, RECORD_VERSION);
    put_view(f, 1, 0);
    put_remembered(f, 10, "r1");
    check(f, 1, "state/counter/x/h: there is none, but 1 remembered requests\n");
    put_buckets(f, 1, 2);
    check(f, 1,
          "state/counter/x/h: it counts 2 remembered requests from 10 ms on, but there are 1\n");
    put_remembered(f, 10, "r2");
    check(f, 1,
          "state/counter/x/h: it counts 1 remembered requests from 5000 ms on, but there are 0\n");
    put_remembered(f, 5000, "r3");
    check(f, 0, " 0 problems\n");
    put_remembered(f, 4000, "r4");
    check(f, 1, "state/counter/x/h: it names no bucket of 1 remembered requests\n");
    check(f, 1, " 1 problems\n");
}

/* A message of room/s for room/r in that place. */
static void put_message(struct fixture *f, struct key key)
{
    struct message_record m = {.sender_type = "room", .sender_id = "s", .method = "m"};
    f->key = key;
    message_record_encode(&m, key_bytes(&f->key), &f->value);
    put(f);
}

static void put_sender(struct fixture *f, uint64_t generation, uint64_t sent)
{
    struct head_record h = {.number = 1, .generation = generation, .sent = sent};
    f->key = key_head(&f->ks, "room", "s");
    head_record_encode(&h, key_bytes(&f->key), &f->value);
    put(f);
}

/* What a sender's head row counts, and the shards of what it sent. */
static void test_senders(void **state)
{
    struct fixture *f = *state;
    const struct message_at at = {.sender = actor_hash("room", "s"), .generation = 4, .number = 7};
    uint32_t shard = actor_shard("room", "r", SHARDS_DEFAULT), other = (shard + 1) % SHARDS_DEFAULT;
    put_cluster(f, RECORD_VERSION);
    put_view(f, 1, 0);
    put_message(f, key_inbox(&f->ks, shard, "room", "r", &at));
    put_message(f, key_dead(&f->ks, "room", "r", &at));
    check(f, 0, " 0 problems\n"); /* its sender was swept since */
    put_sender(f, 4, 7);
    check(f, 0, " 0 problems\n");
    put_sender(f, 5, 1);
    check(f, 0, " 0 problems\n"); /* another life of it counts anew */
    put_sender(f, 4, 6);
    check(f, 1, ": its number is 7, but its sender has sent 6\n");
    check(f, 1, " 2 problems\n");
    put_sender(f, 3, 9);
    check(f, 1, ": it was sent in generation 4, but its sender has come to 3\n");
    put_sender(f, 4, 7);
    put_message(f, key_inbox(&f->ks, other, "room", "r", &at));
    check(f, 1, ": its shard is ");
    check(f, 1, " 1 problems\n");
    put_placement(f, "s", "n1", 3);
    put_by_node(f, "s", "n1", 3);
    check(f, 1, "registry/actors/room/s: its generation is 3, but the actor has committed in 4\n");
    put_placement(f, "s", "n1", 4);
    put_by_node(f, "s", "n1", 4);
    check(f, 1, " 1 problems\n");
}

/* What a program of format 1 left of a counter: its value, and a slot with each change. */
static void put_counter_1(struct fixture *f, const char *id)
{
    struct placement_record p = {.generation = 3};
    struct request_record r = {
        .sequence = 7, .generation = 3, .reply_kept = true, .reply = bytes_of_str("41")};
    (void)snprintf(r.request_id, sizeof(r.request_id), "old-7");
    f->key = key_actor(&f->ks, "counter", id);
    placement_record_encode(&p, key_bytes(&f->key), &f->value);
    put(f);
    put_state(f, id, "value", "41");
    f->key = key_request_slot(&f->ks, "counter", id, 7);
    request_record_encode(&r, key_bytes(&f->key), &f->value);
    put(f);
}

static void add(struct fixture *f, const char *request_id, const char *wanted)
{
    char arguments[512], addr[64];
    (void)snprintf(arguments, sizeof(arguments), "%s/addr", f->dir);
    FILE *in = fopen(arguments, "r");
    assert_non_null(in);
    assert_non_null(fgets(addr, sizeof(addr), in));
    (void)fclose(in);
    addr[strcspn(addr, "\n")] = '\0';
    (void)snprintf(arguments, sizeof(arguments), "--node %s call counter/c add 1 --request-id %s",
                   addr, request_id);
    run(f, "kelpie", arguments);
    if (f->status != 0 || strcmp(f->said, wanted) != 0)
        fail_msg("status %d, said: %s(wanted %s)", f->status, f->said, wanted);
}

static void test_raised(void **state)
{
    struct fixture *f = *state;
    char arguments[256];
    put_cluster(f, 1);
    put_view(f, 1, 0);
    put_counter_1(f, "c");
    put_counter_1(f, "d");
    check(f, 0, " 0 problems\n");
    start(f, 1, "kelpie store format --raise");
    (void)snprintf(arguments, sizeof(arguments), "store format --raise --store %s --prefix %s",
                   f->url, f->prefix);
    run(f, "kelpie", arguments);
    assert_int_equal(f->status, 0);
    shell("%s/kelpied --node-id n1 --store %s --data-dir %s --prefix %s --listen 127.0.0.1:0 "
          "--rpc-listen 127.0.0.1:0 --log-level error >%s/out 2>&1 & echo $! >%s/pid; "
          "for i in $(seq 300); do sed -n 's/.* ready http=\\([^ ]*\\).*/\\1/p' %s/out >%s/addr; "
          "[ -s %s/addr ] && break; sleep 0.05; done",
          build_dir(), f->url, f->dir, f->prefix, f->dir, f->dir, f->dir, f->dir, f->dir);
    add(f, "old-7", "41");
    add(f, "new-1", "42");
    add(f, "new-1", "42");
    add(f, "old-7", "41");
    shell("kill $(cat %s/pid); for i in $(seq 200); do kill -0 $(cat %s/pid) 2>/dev/null || break; "
          "sleep 0.05; done",
          f->dir, f->dir);
    check(f, 0, " 0 problems\n");
    dump(f);
    assert_non_null(strstr(f->said, "state/counter/c/h"));
    assert_null(strstr(f->said, "state/counter/d/h"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_sound, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_by_node, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_view, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_records, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_heads, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_messages, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_senders, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_remembered, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_raised, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_sound, set_up_fdb, tear_down),
        cmocka_unit_test_setup_teardown(test_by_node, set_up_fdb, tear_down),
        cmocka_unit_test_setup_teardown(test_view, set_up_fdb, tear_down),
        cmocka_unit_test_setup_teardown(test_records, set_up_fdb, tear_down),
    };
    return cmocka_run_group_tests_name("kelpied_store", tests, build_fake, remove_fake);
}

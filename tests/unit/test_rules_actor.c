/*
 * The rules of activations, as tables: what is in the store, what a rule answers, what is in the store
 * then. Each case runs plain, with a commit that happened unseen, and with one that did not happen.
 */
#include "lib/actor_rows.h"

/* ---- activation ---- */

static struct run load(struct small_world *w, uint64_t *generation)
{
    struct load_args args = {.ref = {&w->ks, TYPE, ID}, .self = host_of("n2", 2, 5)};
    struct txn *t = malloc(sizeof *t);
    struct run r = {.done = false};

    load_txn(t, &w->env, &args, on_done, &r);
    run_txn(w, t, &r, SMALL_COMMIT_PLAIN);
    *generation = args.placement.generation;
    free(t);
    return r;
}

static void test_load_actor(void **state)
{
    static const struct {
        const char *node;
        uint64_t incarnation;
        unsigned boot;
        int status;
    } cases[] = {
        {"n2", 2, 5, 0},
        {"n2", 2, 6, KELPIE_E_REFUSED},
        {"n2", 1, 5, KELPIE_E_REFUSED},
        {"n1", 2, 5, KELPIE_E_REFUSED},
        {"", 0, 0, KELPIE_E_REFUSED},
    };

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        struct small_world *w = small_world_new();
        uint64_t generation;
        put_placement(w, cases[i].node, cases[i].incarnation, cases[i].boot, 9);
        assert_int_equal(load(w, &generation).status, cases[i].status);
        assert_int_equal(generation, 9);
        assert_int_equal(w->commits, 0);
        small_world_free(w);
    }
}

/* No trace of the actor says that it never was, where the store has this life as a member: else it may be
 * an empty one in the place of its own. */
static void test_no_trace_in_which_store(void **state)
{
    static const struct {
        bool row;
        uint64_t incarnation;
        unsigned boot;
        bool never_was;
    } cases[] = {
        {false, 0, 0, false}, {true, 2, 5, true}, {true, 2, 6, false}, {true, 1, 5, false}};

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        struct small_world *w = small_world_new();
        struct load_args args = {.ref = {&w->ks, TYPE, ID}, .self = host_of("n2", 2, 5)};
        struct node_record own = {.state = NODE_ACTIVE, .incarnation = cases[i].incarnation};
        struct key key = key_node(&w->ks, "n2");
        struct txn *t = malloc(sizeof *t);
        struct run r = {.done = false};
        struct buf row;

        own.boot = boot_of(cases[i].boot);
        buf_init(&row, w->env.mem);
        node_record_encode(&own, key_bytes(&key), &row);
        if (cases[i].row)
            small_put(w, key, &row);
        buf_deinit(&row);
        load_txn(t, &w->env, &args, on_done, &r);
        run_txn(w, t, &r, SMALL_COMMIT_PLAIN);
        assert_int_equal(r.status, KELPIE_E_REFUSED);
        assert_int_equal(args.never_was, cases[i].never_was);
        free(t);
        small_world_free(w);
    }
}

static bool state_is(struct small_world *w, const char *key_text, const char *expected)
{
    struct key key = key_state(&w->ks, TYPE, ID, bytes_of_str(key_text));
    struct buf value, scratch;
    struct state_record r;
    bool there, equal;

    buf_init(&value, w->env.mem);
    buf_init(&scratch, w->env.mem);
    there = small_get(w, key, &value);
    equal = !there == !expected;
    if (there && expected) {
        assert_int_equal(state_record_decode(key_bytes(&key), buf_bytes(&value), &scratch, &r), 0);
        equal = bytes_equal(r.value, bytes_of_str(expected));
    }
    buf_deinit(&value);
    buf_deinit(&scratch);
    return equal;
}

/* Commit `number`, after which the actor remembers this request in bucket 9. */
static struct run commit(struct small_world *w, uint64_t generation, uint64_t number,
                         const char *request_id, const char *value, enum small_commit plan)
{
    struct state_write writes[] = {
        {.key = {(const uint8_t *)"k", 1}, .present = value != NULL},
    };
    struct commit_request request = {
        .hash = request_hash(request_id),
        .record = {.number = number, .generation = generation, .reply_kept = true},
    };
    struct commit_args args = {
        .ref = {&w->ks, TYPE, ID},
        .self = host_of("n2", 2, 5),
        .head = {.number = number,
                 .generation = generation,
                 .own_ms = 10 + number,
                 .bucket_count = 1,
                 .buckets = {{9, number, 0}}},
        .writes = writes,
        .write_count = 1,
        .requests = &request,
        .request_count = 1,
    };
    struct txn *t = malloc(sizeof *t);
    struct run r = {.done = false};

    if (value)
        writes[0].value = bytes_of_str(value);
    request.record.reply = bytes_of_str("reply");
    (void)snprintf(request.record.request_id, sizeof request.record.request_id, "%s", request_id);
    commit_txn(t, &w->env, &args, on_done, &r);
    run_txn(w, t, &r, plan);
    free(t);
    return r;
}

/* Looks for the request in buckets 1 and 9. */
static bool remembers(struct small_world *w, const char *request_id)
{
    struct find_args args = {
        .ref = {&w->ks, TYPE, ID},
        .hash = request_hash(request_id),
        .buckets = {1, 9},
        .bucket_count = 2,
    };
    struct txn *t = malloc(sizeof *t);
    struct run r = {.done = false};

    find_txn(t, &w->env, &args, on_done, &r);
    run_txn(w, t, &r, SMALL_COMMIT_PLAIN);
    free(t);
    assert_int_equal(r.status, 0);
    assert_true(!args.found || (args.bucket == 9 && !strcmp(args.record.request_id, request_id)));
    return args.found;
}

static void test_commit_write(void **state)
{
    (void)state;
    for (size_t p = 0; p < ARRAY_LEN(plans); p++) {
        struct small_world *w = small_world_new();

        put_placement(w, "n2", 2, 5, 4);
        assert_int_equal(commit(w, 4, 1, "r1", "one", plans[p]).status, 0);
        assert_true(state_is(w, "k", "one"));
        assert_true(remembers(w, "r1") && !remembers(w, "r2"));
        /* Its own earlier commit. */
        assert_false(commit(w, 4, 1, "r1", "other", SMALL_COMMIT_PLAIN).committed);
        assert_true(state_is(w, "k", "one"));
        /* Not the next one: whoever made that knew more. */
        assert_int_equal(commit(w, 4, 3, "r3", "other", plans[p]).status, KELPIE_E_REFUSED);
        assert_int_equal(commit(w, 4, 2, "r2", NULL, plans[p]).status, 0);
        assert_true(state_is(w, "k", NULL));
        assert_int_equal(commit(w, 4, 1, "r1", "other", plans[p]).status, KELPIE_E_REFUSED);
        small_world_free(w);
    }
}

/* A batch: the state as a whole, buckets that are forgotten, requests of format 1 too. */
static void test_commit_write_of_a_batch(void **state)
{
    struct small_world *w = small_world_new();
    struct state_write writes[] = {
        {.key = {(const uint8_t *)"new", 3}, .value = {(const uint8_t *)"v", 1}, .present = true},
    };
    struct commit_request requests[2] = {
        {.hash = request_hash("r2"), .record = {.request_id = "r2", .number = 2}},
        {.hash = request_hash("r3"), .record = {.request_id = "r3", .number = 2}},
    };
    static const uint64_t forgotten[] = {9};
    struct commit_args args = {
        .ref = {&w->ks, TYPE, ID},
        .self = host_of("n2", 2, 5),
        .head = {.number = 2, .generation = 4, .bucket_count = 1, .buckets = {{40, 2, 0}}},
        .writes = writes,
        .write_count = 1,
        .whole = true,
        .requests = requests,
        .request_count = 2,
        .forgotten = forgotten,
        .forgotten_count = 1,
        .forget_slots = true,
    };
    struct find_args find = {.ref = {&w->ks, TYPE, ID}, .buckets = {40}, .bucket_count = 1};
    struct key slot = key_request_slot(&w->ks, TYPE, ID, 7);
    struct request_record old = {.request_id = "old", .sequence = 7};
    struct txn *t = malloc(sizeof *t);
    struct run r = {.done = false};
    struct buf value;

    (void)state;
    buf_init(&value, w->env.mem);
    request_record_encode(&old, key_bytes(&slot), &value);
    small_put(w, slot, &value);
    put_placement(w, "n2", 2, 5, 4);
    assert_int_equal(commit(w, 4, 1, "r1", "one", SMALL_COMMIT_PLAIN).status, 0);
    commit_txn(t, &w->env, &args, on_done, &r);
    run_txn(w, t, &r, SMALL_COMMIT_PLAIN);
    assert_int_equal(r.status, 0);
    assert_true(state_is(w, "k", NULL) && state_is(w, "new", "v"));
    assert_false(remembers(w, "r1"));
    assert_false(small_get(w, slot, &value));
    for (size_t i = 0; i < 2; i++) {
        r = (struct run){.done = false};
        find.hash = requests[i].hash;
        find_txn(t, &w->env, &find, on_done, &r);
        run_txn(w, t, &r, SMALL_COMMIT_PLAIN);
        assert_true(find.found && find.bucket == 40 && find.record.number == 2);
    }
    buf_deinit(&value);
    free(t);
    small_world_free(w);
}

/* ---- what an activation finds ---- */

enum { HEAD = 1, STATE = 2, REMEMBERED = 4, SLOT = 8, LATER = 16, SLOTS_KEPT = 32 };

static void put_actor_rows(struct small_world *w, unsigned rows)
{
    struct key key = key_head(&w->ks, TYPE, ID);
    struct head_record head = {.number = 5, .generation = rows & LATER ? 10 : 9};
    struct state_record one = {.value = bytes_of_str("1")};
    struct remembered_record q = {.request_id = "r"};
    struct request_record slot = {.request_id = "r"};
    struct buf value;

    head.slots_until_ms = rows & SLOTS_KEPT ? 7 : 0;
    buf_init(&value, w->env.mem);
    head_record_encode(&head, key_bytes(&key), &value);
    if (rows & HEAD)
        small_put(w, key, &value);
    key = key_state(&w->ks, TYPE, ID, bytes_of_str("k"));
    state_record_encode(&one, key_bytes(&key), &value);
    if (rows & STATE)
        small_put(w, key, &value);
    key = key_remembered(&w->ks, TYPE, ID, 3, request_hash("r"));
    remembered_record_encode(&q, key_bytes(&key), &value);
    if (rows & REMEMBERED)
        small_put(w, key, &value);
    key = key_request_slot(&w->ks, TYPE, ID, 3);
    request_record_encode(&slot, key_bytes(&key), &value);
    if (rows & SLOT)
        small_put(w, key, &value);
    buf_deinit(&value);
}

static void test_what_an_activation_finds(void **state)
{
    static const struct {
        unsigned rows;
        int status;
        bool slots;
    } cases[] = {
        {0, 0, false}, /* never written */
        {HEAD, 0, false},
        {HEAD | STATE | REMEMBERED, 0, false},
        {STATE | SLOT, 0, true}, /* of format 1 */
        {HEAD | STATE | SLOT | SLOTS_KEPT, 0, true},
        {HEAD | STATE | REMEMBERED | SLOT | SLOTS_KEPT, 0, true},
        {STATE, KELPIE_E_STORE_CORRUPT, false}, /* the head row was lost */
        {REMEMBERED, KELPIE_E_STORE_CORRUPT, false},
        {STATE | REMEMBERED | SLOT, KELPIE_E_STORE_CORRUPT, false},
        {HEAD | STATE | LATER, KELPIE_E_STORE_CORRUPT, false}, /* the placement was lost */
    };

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        struct small_world *w = small_world_new();
        struct load_args args = {.ref = {&w->ks, TYPE, ID}, .self = host_of("n2", 2, 5)};
        struct txn *t = malloc(sizeof *t);
        struct run r = {.done = false};

        put_placement(w, "n2", 2, 5, 9);
        put_actor_rows(w, cases[i].rows);
        load_txn(t, &w->env, &args, on_done, &r);
        run_txn(w, t, &r, SMALL_COMMIT_PLAIN);
        assert_int_equal(r.status, cases[i].status);
        if (!r.status) {
            assert_int_equal(args.has_slots, cases[i].slots);
            assert_int_equal(args.has_head, (cases[i].rows & HEAD) != 0);
        }
        free(t);
        small_world_free(w);
    }
}

static void test_commit_write_is_fenced(void **state)
{
    static const struct {
        const char *node;
        uint64_t incarnation;
        unsigned boot;
        uint64_t generation;
    } fences[] = {
        {"n2", 2, 5, 5}, {"n1", 3, 31, 5}, {"", 0, 0, 4}, {"n2", 3, 5, 4}, {"n2", 2, 6, 4},
    };

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(fences); i++) {
        struct small_world *w = small_world_new();

        put_placement(w, "n2", 2, 5, 4);
        assert_int_equal(commit(w, 4, 1, "r1", "one", SMALL_COMMIT_PLAIN).status, 0);
        put_placement(w, fences[i].node, fences[i].incarnation, fences[i].boot,
                      fences[i].generation);
        assert_int_equal(commit(w, 4, 2, "r2", "two", SMALL_COMMIT_PLAIN).status, KELPIE_E_REFUSED);
        assert_true(state_is(w, "k", "one"));
        small_world_free(w);
    }
}

static void move_it(struct small_world *w, const struct store_req *req)
{
    (void)req;
    w->before_commit = NULL;
    put_placement(w, "n1", 3, 31, 5);
}

static void test_a_move_between_read_and_commit_fences(void **state)
{
    struct small_world *w = small_world_new();

    (void)state;
    put_placement(w, "n2", 2, 5, 4);
    w->before_commit = move_it;
    assert_int_equal(commit(w, 4, 1, "r1", "one", SMALL_COMMIT_PLAIN).status, KELPIE_E_REFUSED);
    assert_true(state_is(w, "k", NULL));
    small_world_free(w);
}

static void test_corrupt_placement_is_not_acted_on(void **state)
{
    struct small_world *w = small_world_new();
    struct key key = key_actor(&w->ks, TYPE, ID);
    struct buf value;
    struct run r;

    (void)state;
    put_placement(w, "n2", 2, 5, 4);
    buf_init(&value, w->env.mem);
    assert_true(small_get(w, key, &value));
    value.data[value.len / 2] ^= 1;
    small_put(w, key, &value);
    r = commit(w, 4, 1, "r1", "one", SMALL_COMMIT_PLAIN);
    assert_int_equal(r.status, KELPIE_E_STORE_CORRUPT);
    assert_non_null(strstr(r.reason, "counter"));
    buf_deinit(&value);
    small_world_free(w);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_load_actor),
        cmocka_unit_test(test_no_trace_in_which_store),
        cmocka_unit_test(test_what_an_activation_finds),
        cmocka_unit_test(test_commit_write),
        cmocka_unit_test(test_commit_write_of_a_batch),
        cmocka_unit_test(test_commit_write_is_fenced),
        cmocka_unit_test(test_a_move_between_read_and_commit_fences),
        cmocka_unit_test(test_corrupt_placement_is_not_acted_on),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}

/*
 * The rules of placements, as tables: what is in the store, what a rule answers, what is in the store
 * then. Each case runs plain, with a commit that happened unseen, and with one that did not happen: the
 * outcome is the same, and nothing is done twice.
 */
#include "lib/actor_rows.h"

/* "node/incarnation/boot/generation", "-/generation" when placed nowhere, "" without a row. */
static void placement_text(struct small_world *w, char *out, size_t size)
{
    struct key key = key_actor(&w->ks, TYPE, ID);
    struct placement_record p;
    struct buf value, scratch;

    buf_init(&value, w->env.mem);
    buf_init(&scratch, w->env.mem);
    out[0] = '\0';
    if (small_get(w, key, &value)) {
        assert_int_equal(placement_record_decode(key_bytes(&key), buf_bytes(&value), &scratch, &p),
                         0);
        if (p.placed)
            (void)snprintf(out, size, "%s/%llu/%u/%llu", p.node_id,
                           (unsigned long long)p.incarnation, p.boot.b[0],
                           (unsigned long long)p.generation);
        else
            (void)snprintf(out, size, "-/%llu", (unsigned long long)p.generation);
    }
    buf_deinit(&value);
    buf_deinit(&scratch);
}

/* The by-node rows of all nodes are those of the placement, with its generation. */
static void check_by_node(struct small_world *w)
{
    static const char *const nodes[] = {"n1", "n2", "n3"};
    char text[256], mine[64];
    struct buf value, scratch;

    buf_init(&value, w->env.mem);
    buf_init(&scratch, w->env.mem);
    placement_text(w, text, sizeof text);
    for (size_t i = 0; i < ARRAY_LEN(nodes); i++) {
        for (uint64_t incarnation = 1; incarnation <= 5; incarnation++) {
            struct key key = key_by_node(&w->ks, nodes[i], incarnation, TYPE, ID);
            struct by_node_record row;
            bool there = small_get(w, key, &value);
            (void)snprintf(mine, sizeof mine, "%s/%llu/", nodes[i],
                           (unsigned long long)incarnation);
            assert_int_equal(there, strncmp(text, mine, strlen(mine)) == 0);
            if (there) {
                buf_clear(&scratch);
                assert_int_equal(
                    by_node_record_decode(key_bytes(&key), buf_bytes(&value), &scratch, &row), 0);
                assert_int_equal(row.generation, strtoull(strrchr(text, '/') + 1, NULL, 10));
            }
        }
    }
    buf_deinit(&value);
    buf_deinit(&scratch);
}

/* A case. The nodes: n1 is Active in incarnation 3 with boot 31; n2 and the placement vary. */
struct placement_case {
    const char *name;
    int n2_state;
    uint64_t n2_incarnation;
    unsigned n2_boot;
    const char *node; /* NULL: no row; "": placed nowhere */
    uint64_t incarnation;
    unsigned boot;
    uint64_t generation;
    const char *target;
    int status;
    enum place_outcome outcome;
    const char *after;
    bool commits;
};

static struct small_world *set_up(const struct placement_case *c)
{
    struct small_world *w = small_world_new();

    put_node(w, "n1", NODE_ACTIVE, 3, 31, TYPE);
    put_node(w, "n2", c->n2_state, c->n2_incarnation, c->n2_boot, TYPE);
    put_node(w, "n3", NODE_ACTIVE, 1, 1, "other");
    if (c->node)
        put_placement(w, c->node, c->incarnation, c->boot, c->generation);
    return w;
}

static void check_outcome(struct small_world *w, const struct placement_case *c,
                          const struct run *r, enum place_outcome outcome, bool first)
{
    char after[256];

    assert_true(r->done);
    if (r->status != c->status)
        print_error("%s: %s (%s)\n", c->name, kelpie_error_name(r->status), r->reason);
    assert_int_equal(r->status, c->status);
    placement_text(w, after, sizeof after);
    if (strcmp(after, c->after) != 0)
        print_error("%s\n", c->name);
    assert_string_equal(after, c->after);
    if (first)
        assert_int_equal(outcome, c->outcome);
    else
        assert_true(outcome != PLACE_UNDECIDED);
    if (c->status == KELPIE_E_REFUSED)
        assert_true(r->reason[0]);
    /* The sentence says which node, and why not. */
    if (c->outcome == PLACE_NO_CLASS) {
        char said[128];
        (void)snprintf(said, sizeof said, "node %s does not host actors of type %s", c->target,
                       TYPE);
        assert_string_equal(r->reason, said);
    }
    check_by_node(w);
}

static void test_place_actor(void **state)
{
    static const struct placement_case cases[] = {
        {"first", NODE_ACTIVE, 1, 1, NULL, 0, 0, 0, "n1", 0, PLACE_MADE, "n1/3/31/1", true},
        {"released", NODE_ACTIVE, 1, 1, "", 0, 0, 7, "n1", 0, PLACE_MADE, "n1/3/31/8", true},
        {"stands", NODE_ACTIVE, 2, 5, "n2", 2, 5, 4, "n1", 0, PLACE_FOUND, "n2/2/5/4", false},
        {"stands on the target", NODE_ACTIVE, 2, 5, "n1", 3, 31, 4, "n1", 0, PLACE_FOUND,
         "n1/3/31/4", false},
        {"leaving still hosts", NODE_LEAVING, 2, 5, "n2", 2, 5, 4, "n1", 0, PLACE_FOUND, "n2/2/5/4",
         false},
        {"failed", NODE_FAILED, 2, 5, "n2", 2, 5, 4, "n1", 0, PLACE_MADE, "n1/3/31/5", true},
        {"left", NODE_LEFT, 2, 5, "n2", 2, 5, 4, "n1", 0, PLACE_MADE, "n1/3/31/5", true},
        {"joining again", NODE_JOINING, 3, 6, "n2", 2, 5, 4, "n1", 0, PLACE_MADE, "n1/3/31/5",
         true},
        {"another incarnation", NODE_ACTIVE, 3, 6, "n2", 2, 5, 4, "n1", 0, PLACE_MADE, "n1/3/31/5",
         true},
        {"another boot, from a backup", NODE_ACTIVE, 2, 6, "n2", 2, 5, 4, "n1", 0, PLACE_MADE,
         "n1/3/31/5", true},
        {"own past life", NODE_ACTIVE, 1, 1, "n1", 2, 30, 4, "n1", 0, PLACE_MADE, "n1/3/31/5",
         true},
        {"node row is gone", NO_STATE, 0, 0, "n2", 2, 5, 4, "n1", 0, PLACE_MADE, "n1/3/31/5", true},
        {"target leaves", NODE_LEAVING, 2, 5, NULL, 0, 0, 0, "n2", KELPIE_E_REFUSED,
         PLACE_TARGET_GONE, "", false},
        {"target failed", NODE_FAILED, 2, 5, "", 0, 0, 3, "n2", KELPIE_E_REFUSED, PLACE_TARGET_GONE,
         "-/3", false},
        {"target not there", NO_STATE, 0, 0, NULL, 0, 0, 0, "n2", KELPIE_E_REFUSED,
         PLACE_TARGET_GONE, "", false},
        {"no such class", NODE_ACTIVE, 1, 1, NULL, 0, 0, 0, "n3", KELPIE_E_REFUSED, PLACE_NO_CLASS,
         "", false},
        {"look up, none", NODE_ACTIVE, 1, 1, NULL, 0, 0, 0, "", 0, PLACE_NONE, "", false},
        {"look up, void", NODE_FAILED, 2, 5, "n2", 2, 5, 4, "", 0, PLACE_NONE, "n2/2/5/4", false},
        {"look up, there", NODE_ACTIVE, 2, 5, "n2", 2, 5, 4, "", 0, PLACE_FOUND, "n2/2/5/4", false},
    };

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        for (size_t p = 0; p < ARRAY_LEN(plans); p++) {
            const struct placement_case *c = &cases[i];
            struct small_world *w = set_up(c);
            struct place_args args = {.ref = {&w->ks, TYPE, ID}};
            struct txn *t = malloc(sizeof *t);
            struct run r = {.done = false};

            (void)snprintf(args.target, sizeof args.target, "%s", c->target);
            place_txn(t, &w->env, &args, on_done, &r);
            run_txn(w, t, &r, plans[p]);
            check_outcome(w, c, &r, args.outcome, p == 0);
            assert_int_equal(w->commits > 0, c->commits);
            if (c->status == 0 && args.outcome != PLACE_NONE)
                assert_true(strncmp(args.result.addr, "addr-of-", 8) == 0);
            free(t);
            small_world_free(w);
        }
    }
}

/* Release, migrate and abort as n2 in incarnation 2, boot 5, generation 4. */
static void run_own(const struct placement_case *cases, size_t count,
                    void (*init)(struct txn *, const struct env *, struct own_args *, txn_fn *,
                                 void *))
{
    for (size_t i = 0; i < count; i++) {
        for (size_t p = 0; p < ARRAY_LEN(plans); p++) {
            const struct placement_case *c = &cases[i];
            struct small_world *w = set_up(c);
            struct own_args args = {
                .ref = {&w->ks, TYPE, ID},
                .self = host_of("n2", 2, 5),
                .generation = 4,
            };
            struct txn *t = malloc(sizeof *t);
            struct run r = {.done = false};

            (void)snprintf(args.target, sizeof args.target, "%s", c->target);
            init(t, &w->env, &args, on_done, &r);
            run_txn(w, t, &r, plans[p]);
            check_outcome(w, c, &r, args.outcome, true);
            assert_int_equal(w->commits > 0, c->commits);
            free(t);
            small_world_free(w);
        }
    }
}

static void test_release_actor(void **state)
{
    static const struct placement_case cases[] = {
        {"mine", NODE_ACTIVE, 2, 5, "n2", 2, 5, 4, "", 0, PLACE_NONE, "-/4", true},
        {"released before", NODE_ACTIVE, 2, 5, "", 0, 0, 4, "", 0, PLACE_NONE, "-/4", false},
        {"another generation", NODE_ACTIVE, 2, 5, "n2", 2, 5, 5, "", KELPIE_E_REFUSED,
         PLACE_NOT_MINE, "n2/2/5/5", false},
        {"elsewhere", NODE_ACTIVE, 2, 5, "n1", 3, 31, 5, "", KELPIE_E_REFUSED, PLACE_NOT_MINE,
         "n1/3/31/5", false},
        {"released later", NODE_ACTIVE, 2, 5, "", 0, 0, 6, "", KELPIE_E_REFUSED, PLACE_NOT_MINE,
         "-/6", false},
        {"another boot", NODE_ACTIVE, 2, 6, "n2", 2, 6, 4, "", KELPIE_E_REFUSED, PLACE_NOT_MINE,
         "n2/2/6/4", false},
        {"another incarnation", NODE_ACTIVE, 3, 5, "n2", 3, 5, 4, "", KELPIE_E_REFUSED,
         PLACE_NOT_MINE, "n2/3/5/4", false},
    };

    (void)state;
    run_own(cases, ARRAY_LEN(cases), release_txn);
}

static void test_migrate_actor(void **state)
{
    static const struct placement_case cases[] = {
        {"mine", NODE_LEAVING, 2, 5, "n2", 2, 5, 4, "n1", 0, PLACE_MADE, "n1/3/31/5", true},
        {"handed over before", NODE_LEAVING, 2, 5, "n1", 3, 31, 5, "n1", 0, PLACE_MADE, "n1/3/31/5",
         false},
        {"and has moved on", NODE_LEAVING, 2, 5, "n1", 3, 31, 6, "n1", KELPIE_E_REFUSED,
         PLACE_NOT_MINE, "n1/3/31/6", false},
        {"aborted", NODE_LEAVING, 2, 5, "n2", 2, 5, 5, "n1", KELPIE_E_REFUSED, PLACE_NOT_MINE,
         "n2/2/5/5", false},
        {"no such class", NODE_LEAVING, 2, 5, "n2", 2, 5, 4, "n3", KELPIE_E_REFUSED, PLACE_NO_CLASS,
         "n2/2/5/4", false},
        {"target is gone", NODE_LEAVING, 2, 5, "n2", 2, 5, 4, "n9", KELPIE_E_REFUSED,
         PLACE_TARGET_GONE, "n2/2/5/4", false},
        {"to oneself, leaving", NODE_LEAVING, 2, 5, "n2", 2, 5, 4, "n2", KELPIE_E_REFUSED,
         PLACE_TARGET_GONE, "n2/2/5/4", false},
    };

    (void)state;
    run_own(cases, ARRAY_LEN(cases), migrate_txn);
}

static void test_abort_migration(void **state)
{
    static const struct placement_case cases[] = {
        {"mine", NODE_ACTIVE, 2, 5, "n2", 2, 5, 4, "", 0, PLACE_MADE, "n2/2/5/5", true},
        {"aborted before", NODE_ACTIVE, 2, 5, "n2", 2, 5, 5, "", 0, PLACE_MADE, "n2/2/5/5", false},
        {"it landed", NODE_ACTIVE, 2, 5, "n1", 3, 31, 5, "", KELPIE_E_REFUSED, PLACE_NOT_MINE,
         "n1/3/31/5", false},
        {"the release landed", NODE_ACTIVE, 2, 5, "", 0, 0, 4, "", KELPIE_E_REFUSED, PLACE_NOT_MINE,
         "-/4", false},
    };

    (void)state;
    run_own(cases, ARRAY_LEN(cases), abort_txn);
}

/* ---- sweep ---- */

static void put_primary(struct small_world *w, const char *node, uint64_t term)
{
    struct key key = key_primary(&w->ks);
    struct primary_record p = {.incarnation = 3, .boot = boot_of(31), .term = term};
    struct buf value;

    (void)snprintf(p.node_id, sizeof p.node_id, "%s", node);
    buf_init(&value, w->env.mem);
    primary_record_encode(&p, key_bytes(&key), &value);
    small_put(w, key, &value);
    buf_deinit(&value);
}

/* Runs batches over these rows until their end; returns how many placements were voided. */
static unsigned sweep_rows(struct small_world *w, struct key_range rows, int *status)
{
    struct sweep_args *args = calloc(1, sizeof *args);
    struct txn *t = malloc(sizeof *t);
    unsigned voided = 0;

    args->ks = &w->ks;
    args->self = host_of("n1", 3, 31);
    args->term = 2;
    args->cursor = rows.begin;
    args->end = rows.end;
    for (unsigned i = 0; i < 50; i++) {
        struct run r = {.done = false};
        sweep_txn(t, &w->env, args, on_done, &r);
        run_txn(w, t, &r, SMALL_COMMIT_PLAIN);
        *status = r.status;
        if (r.status || args->at_end)
            break;
        voided += r.committed ? args->voided : 0;
        args->cursor = args->next;
    }
    free(args);
    free(t);
    return voided;
}

static unsigned sweep(struct small_world *w, int *status)
{
    return sweep_rows(w, keys_by_node_all(&w->ks), status);
}

static void test_sweep(void **state)
{
    static const struct {
        int n2_state;
        uint64_t n2_incarnation;
        unsigned voided;
        const char *after;
    } cases[] = {
        {NODE_ACTIVE, 2, 0, "n2/2/5/4"}, {NODE_LEAVING, 2, 0, "n2/2/5/4"},
        {NODE_FAILED, 2, 1, "-/4"},      {NODE_LEFT, 2, 1, "-/4"},
        {NODE_ACTIVE, 3, 1, "-/4"},      {NO_STATE, 0, 1, "-/4"},
    };
    int status;

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        struct small_world *w = small_world_new();
        char after[256];

        put_node(w, "n1", NODE_ACTIVE, 3, 31, TYPE);
        put_node(w, "n2", cases[i].n2_state, cases[i].n2_incarnation, 5, TYPE);
        put_placement(w, "n2", 2, 5, 4);
        put_primary(w, "n1", 2);
        assert_int_equal(sweep(w, &status), cases[i].voided);
        assert_int_equal(status, 0);
        placement_text(w, after, sizeof after);
        assert_string_equal(after, cases[i].after);
        check_by_node(w);
        put_primary(w, "n1", 3);
        (void)sweep(w, &status);
        assert_int_equal(status, KELPIE_E_REFUSED);
        small_world_free(w);
    }
}

/* Many rows of several incarnations: only those of dead ones go, batch by batch. */
static void test_sweep_of_many(void **state)
{
    struct small_world *w = small_world_new();
    struct buf value;
    int status;

    (void)state;
    buf_init(&value, w->env.mem);
    put_node(w, "n1", NODE_ACTIVE, 3, 31, TYPE);
    put_node(w, "n2", NODE_FAILED, 2, 5, TYPE);
    put_primary(w, "n1", 2);
    for (unsigned i = 0; i < 120; i++) {
        char id[16];
        uint64_t incarnation = i % 3 == 0 ? 3 : 2;
        const char *node = i % 3 == 2 ? "n2" : "n1";
        struct placement_record p = {.placed = true, .incarnation = incarnation, .generation = 1};
        struct by_node_record by = {.generation = 1};
        struct key key;

        (void)snprintf(id, sizeof id, "c%u", i);
        (void)snprintf(p.node_id, sizeof p.node_id, "%s", node);
        key = key_actor(&w->ks, TYPE, id);
        placement_record_encode(&p, key_bytes(&key), &value);
        small_put(w, key, &value);
        key = key_by_node(&w->ks, node, incarnation, TYPE, id);
        by_node_record_encode(&by, key_bytes(&key), &value);
        small_put(w, key, &value);
    }
    assert_int_equal(sweep_rows(w, keys_by_node(&w->ks, "n2"), &status), 40);
    assert_int_equal(status, 0);
    assert_int_equal(sweep(w, &status), 40);
    assert_int_equal(status, 0);
    assert_int_equal(sweep(w, &status), 0);
    buf_deinit(&value);
    small_world_free(w);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_place_actor),   cmocka_unit_test(test_release_actor),
        cmocka_unit_test(test_migrate_actor), cmocka_unit_test(test_abort_migration),
        cmocka_unit_test(test_sweep),         cmocka_unit_test(test_sweep_of_many),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}

/*
 * Blame as tables: deaths one after the other, and what the row says after each; who is blamed by what a process left;
 * what is forgiven, lifted and swept. Each death is told plain, with a commit that happened unseen, and with one that did not.
 */
#include "cluster/poison.h"
#include "lib/actor_rows.h"

#define UNIT 60000u
#define HOUR (60 * UNIT)
#define FIRST_MS 1000000000u
#define METHOD "knock"

static struct blame blame_at(uint64_t now_ms, unsigned boot, const char *method)
{
    struct blame b = {.type = TYPE,
                      .id = ID,
                      .callback = "receive",
                      .request_id = "r-1",
                      .boot = boot_of(boot),
                      .now_ms = now_ms,
                      .unit_ms = UNIT};

    (void)snprintf(b.method, sizeof b.method, "%s", method);
    return b;
}

static struct blamed tell(struct small_world *w, const struct blame *b, enum small_commit plan)
{
    struct blame_op *op = calloc(1, sizeof *op);
    struct run r = {.done = false};
    struct blamed out;

    assert_non_null(op);
    op->ks = &w->ks;
    op->blame = *b;
    blame_prepare(op, &w->env, on_done, &r);
    run_txn(w, &op->txn, &r, plan);
    assert_int_equal(r.status, 0);
    out = op->blamed;
    free(op);
    return out;
}

static bool row(struct small_world *w, const char *method, struct poison_record *r)
{
    struct key key = key_poison(&w->ks, TYPE, ID, method);
    struct buf value, scratch;
    bool found;

    buf_init(&value, w->env.mem);
    buf_init(&scratch, w->env.mem);
    found = small_get(w, key, &value);
    if (found)
        assert_int_equal(poison_record_decode(key_bytes(&key), buf_bytes(&value), &scratch, r), 0);
    buf_deinit(&scratch);
    buf_deinit(&value);
    return found;
}

/* Death after death, each so long after the one before. */
static const struct {
    uint64_t after_ms;
    unsigned boot;
    uint32_t deaths;
    uint64_t for_ms;
} deaths[] = {
    {0, 1, 1, 0},
    {0, 1, 1, 0}, /* the same one again */
    {1000, 2, 2, UNIT},
    {UNIT, 3, 3, 2 * UNIT},
    {2 * UNIT, 4, 4, 4 * UNIT},
    {4 * UNIT, 5, 5, 8 * UNIT},
    {8 * UNIT, 6, 6, 16 * UNIT},
    {16 * UNIT, 7, 7, 32 * UNIT},
    {32 * UNIT, 8, 8, HOUR},
    {2 * HOUR, 9, 9, HOUR},
    {2 * HOUR + 1, 10, 1, 0}, /* that is long ago */
    {HOUR, 11, 2, UNIT},
    {UNIT + HOUR + 1, 12, 1, 0},
};

static void test_deaths(void **state)
{
    (void)state;
    for (size_t k = 0; k < ARRAY_LEN(plans); k++) {
        struct small_world *w = small_world_new();
        uint64_t now = FIRST_MS;
        for (size_t i = 0; i < ARRAY_LEN(deaths); i++) {
            struct poison_record r;
            now += deaths[i].after_ms;
            struct blame b = blame_at(now, deaths[i].boot, METHOD);
            struct blamed said = tell(w, &b, plans[k]);
            assert_int_equal(said.deaths, deaths[i].deaths);
            assert_int_equal(said.until_ms, deaths[i].for_ms ? now + deaths[i].for_ms : 0);
            assert_false(said.whole);
            assert_true(row(w, METHOD, &r));
            assert_int_equal(r.deaths, said.deaths);
            assert_int_equal(r.until_ms, said.until_ms);
            assert_int_equal(r.died_ms, now);
            assert_true(uuid_equal(r.boot, b.boot));
            assert_string_equal(r.callback, "receive");
            assert_string_equal(r.request_id, "r-1");
            assert_false(row(w, "other", &r));
        }
        small_world_free(w);
    }
}

/* One more method than there may be rows, and it is the whole actor. */
static void test_whole_actor(void **state)
{
    struct small_world *w = small_world_new();
    struct poison_record r;
    char method[8];

    (void)state;
    for (unsigned i = 0; i < POISON_ROWS_MAX; i++) {
        (void)snprintf(method, sizeof method, "m%02u", i);
        struct blame b = blame_at(FIRST_MS, i + 1, method);
        assert_false(tell(w, &b, SMALL_COMMIT_PLAIN).whole);
    }
    for (unsigned i = 0; i < 2; i++) {
        struct blame b = blame_at(FIRST_MS, 100 + i, "one-more");
        struct blamed said = tell(w, &b, SMALL_COMMIT_PLAIN);
        assert_true(said.whole);
        assert_int_equal(said.deaths, i + 1);
    }
    assert_true(row(w, "", &r));
    assert_false(row(w, "one-more", &r));
    struct blame known = blame_at(FIRST_MS, 200, "m03");
    assert_false(tell(w, &known, SMALL_COMMIT_PLAIN).whole);
    small_world_free(w);
}

static void test_damaged_row_is_none(void **state)
{
    struct small_world *w = small_world_new();
    struct key key = key_poison(&w->ks, TYPE, ID, METHOD);
    struct buf value;

    (void)state;
    buf_init(&value, w->env.mem);
    buf_append_bytes(&value, bytes_of_str("no record"));
    small_put(w, key, &value);
    buf_deinit(&value);
    struct blame b = blame_at(FIRST_MS, 1, METHOD);
    assert_int_equal(tell(w, &b, SMALL_COMMIT_PLAIN).deaths, 1);
    small_world_free(w);
}

static void test_blame_of(void **state)
{
    struct running r = {.callback = "receive", .type = "t", .id = "i", .method = "m"};
    struct running bad;
    struct blame b;

    (void)state;
    assert_true(blame_of(&r, &b));
    assert_string_equal(b.method, "m");
    assert_string_equal(b.request_id, "");
    bad = r;
    bad.method[0] = '\0';
    assert_true(blame_of(&bad, &b));
    assert_string_equal(b.method, "");
    bad = r;
    bad.type[0] = '\0';
    assert_false(blame_of(&bad, &b));
    bad = r;
    bad.id[0] = (char)0xff;
    assert_false(blame_of(&bad, &b));
    bad = r;
    bad.callback[0] = '\0';
    assert_false(blame_of(&bad, &b));
    bad = r;
    memcpy(bad.request_id, "\xc3(", 3);
    assert_false(blame_of(&bad, &b));
}

static const struct {
    uint64_t died_ms, until_ms, now_ms;
    bool holds, stale, forgiven;
} says[] = {
    {1000, 0, 1000, false, false, false},
    {1000, 0, 1000 + UNIT, false, false, true},
    {1000, 0, 1000 + HOUR, false, false, true},
    {1000, 0, 1001 + HOUR, false, true, true},
    {1000, 1000 + UNIT, 1000, true, false, false},
    {1000, 1000 + UNIT, 999 + UNIT, true, false, false},
    {1000, 1000 + UNIT, 1000 + UNIT, false, false, true},
    {1000, 1000 + UNIT, 1001 + UNIT + HOUR, false, true, true},
    /* Clocks: a row from the future, as far as can be, and farther. */
    {HOUR, 2 * HOUR, HOUR - UNIT, true, false, false},
    {HOUR, 2 * HOUR, HOUR - UNIT - 1, false, true, true},
    {3 * HOUR, 0, 1000, false, true, true},
};

static void test_what_a_row_says(void **state)
{
    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(says); i++) {
        const struct poison_record r = {
            .died_ms = says[i].died_ms, .until_ms = says[i].until_ms, .callback = "receive"};
        assert_int_equal(poison_holds(&r, says[i].now_ms, UNIT), says[i].holds);
        assert_int_equal(poison_is_stale(&r, says[i].now_ms, UNIT), says[i].stale);
        assert_int_equal(poison_is_forgiven(&r, "receive", says[i].now_ms, UNIT), says[i].forgiven);
        assert_false(poison_is_forgiven(&r, "activate", says[i].now_ms, UNIT));
    }
}

static void forgive(struct small_world *w, unsigned boot, bool goes)
{
    struct forgive_op *op = calloc(1, sizeof *op);
    struct run r = {.done = false};
    struct poison_record p;

    assert_non_null(op);
    *op = (struct forgive_op){
        .ks = &w->ks, .type = TYPE, .id = ID, .method = METHOD, .boot = boot_of(boot)};
    forgive_prepare(op, &w->env, on_done, &r);
    run_txn(w, &op->txn, &r, SMALL_COMMIT_PLAIN);
    assert_int_equal(r.status, 0);
    assert_int_equal(op->forgiven, goes);
    assert_int_equal(row(w, METHOD, &p), !goes);
    free(op);
}

/* Not when it has died once more meanwhile. */
static void test_forgive(void **state)
{
    struct small_world *w = small_world_new();
    struct blame first = blame_at(FIRST_MS, 1, METHOD), second = blame_at(FIRST_MS + 1, 2, METHOD);

    (void)state;
    (void)tell(w, &first, SMALL_COMMIT_PLAIN);
    (void)tell(w, &second, SMALL_COMMIT_PLAIN);
    forgive(w, 1, false);
    forgive(w, 2, true);
    small_world_free(w);
}

static void lift(struct small_world *w, const char *method, enum small_commit plan, int status,
                 size_t lifted)
{
    struct txn *t = calloc(1, sizeof *t);
    struct lift_op op = {.ks = &w->ks, .type = TYPE, .id = ID, .method = method};
    struct run r = {.done = false};

    assert_non_null(t);
    lift_prepare(&op, t, &w->env, on_done, &r);
    run_txn(w, t, &r, plan);
    assert_int_equal(r.status, status);
    assert_int_equal(op.lifted, lifted);
    free(t);
}

static void test_lift(void **state)
{
    (void)state;
    for (size_t k = 0; k < ARRAY_LEN(plans); k++) {
        struct small_world *w = small_world_new();
        static const char *const methods[] = {"", "a", "b"};
        struct poison_record p;
        for (unsigned i = 0; i < ARRAY_LEN(methods); i++) {
            struct blame b = blame_at(FIRST_MS, i + 1, methods[i]);
            (void)tell(w, &b, SMALL_COMMIT_PLAIN);
        }
        lift(w, "c", SMALL_COMMIT_PLAIN, KELPIE_E_REFUSED, 0);
        lift(w, "a", plans[k], 0, 1);
        assert_false(row(w, "a", &p));
        assert_true(row(w, "b", &p));
        lift(w, NULL, plans[k], 0, 2);
        lift(w, NULL, SMALL_COMMIT_PLAIN, KELPIE_E_REFUSED, 0);
        small_world_free(w);
    }
}

/* More than a page; what is stale goes. */
static void test_sweep(void **state)
{
    struct small_world *w = small_world_new();
    struct key_range all = keys_poison_all(&w->ks);
    struct sweep_poison_op *op = calloc(1, sizeof *op);
    size_t swept = 0, held = 0, pages = 0;

    (void)state;
    assert_non_null(op);
    for (unsigned i = 0; i < POISON_PAGE + 10; i++) {
        struct blame b = blame_at(i % 2 ? FIRST_MS : FIRST_MS - HOUR - 1, 1, METHOD);
        (void)snprintf(b.id, sizeof b.id, "a%03u", i);
        (void)tell(w, &b, SMALL_COMMIT_PLAIN);
        b.boot = boot_of(2);
        if (i == 1)
            (void)tell(w, &b, SMALL_COMMIT_PLAIN);
    }
    *op = (struct sweep_poison_op){
        .ks = &w->ks, .cursor = all.begin, .end = all.end, .now_ms = FIRST_MS, .unit_ms = UNIT};
    do {
        struct run r = {.done = false};
        sweep_poison_prepare(op, &w->env, on_done, &r);
        run_txn(w, &op->txn, &r, SMALL_COMMIT_PLAIN);
        assert_int_equal(r.status, 0);
        swept += op->swept;
        held += op->held;
        op->cursor = op->next;
        pages++;
    } while (!op->at_end);
    assert_int_equal(pages, 2);
    assert_int_equal(swept, (POISON_PAGE + 10) / 2);
    assert_int_equal(held, 1);
    free(op);
    small_world_free(w);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_deaths),
        cmocka_unit_test(test_whole_actor),
        cmocka_unit_test(test_damaged_row_is_none),
        cmocka_unit_test(test_blame_of),
        cmocka_unit_test(test_what_a_row_says),
        cmocka_unit_test(test_forgive),
        cmocka_unit_test(test_lift),
        cmocka_unit_test(test_sweep),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}

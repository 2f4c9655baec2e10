/* The driver of transactions: what is tried again, what ends it, and with which word. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#include "kelpie/error.h"
#include "lib/rule_rig.h"
#include "support/test_dies.h"

/* The rule: term + 1, unless the term is `stop` (done) or `refuse`. Its own commit is seen by the
 * term that it has written. */
struct bump {
    struct rig *r;
    struct txn txn;
    uint64_t from, stop, refuse;
    unsigned runs, more;
    bool fail_fast, fail_full;
    uint64_t give_up_ms;
};

static enum verdict bump_rule(struct rule_ctx *ctx, void *arg)
{
    struct bump *b = arg;
    struct term_record t;
    struct key key = key_term(&b->r->ks);
    b->runs++;
    if (load_term(ctx, 0, &t) < 0)
        return RULE_REFUSE;
    if (b->refuse && t.term == b->refuse)
        return rule_refuse(ctx, "the term is %llu", (unsigned long long)t.term);
    if (t.term == b->stop || t.term == b->from + 1)
        return RULE_DONE;
    while (rule_read_count(ctx) < 1 + b->more) {
        char id[16];
        (void)snprintf(id, sizeof(id), "n%zu", rule_read_count(ctx));
        struct key more = key_node(&b->r->ks, id);
        size_t index = rule_more(ctx, key_bytes(&more), false);
        assert_int_equal(index, rule_read_count(ctx));
        return RULE_MORE;
    }
    t.term++;
    store_term(ctx, &key, &t);
    return RULE_COMMIT;
}

static void bump_start(struct bump *b, struct rig *r)
{
    b->r = r;
    if (!b->from)
        b->from = 7;
    txn_init(&b->txn, &r->env, "Bump", bump_rule, b, rig_done, r);
    read_key(&b->txn, key_term(&r->ks));
    b->txn.fail_fast = b->fail_fast;
    b->txn.fail_full = b->fail_full;
    b->txn.give_up_ns = b->give_up_ms * NS_PER_MS;
    txn_start(&b->txn);
    assert_false(r->done);
    assert_true(txn_active(&b->txn));
}

static void setup(struct rig *r)
{
    rig_init(r);
    rig_scene(r, "term=7");
}

static void check_end(struct rig *r, const struct bump *b, const char *name, int status,
                      const char *rows)
{
    char all[RIG_TEXT_MAX];
    if (r->completions != 1 || r->status != status || strcmp(rig_all(r, all), rows) != 0)
        fail_msg("%s: %u completions, status %s, rows %s", name, r->completions,
                 kelpie_error_name(r->status), all);
    assert_false(txn_active(&b->txn));
    assert_null(r->reading);
    assert_null(r->committing);
    assert_true(list_empty(r->env.txns));
    rig_free(r);
}

/* ---- what a store may answer, for a patient and for an impatient transaction */

static const struct answer {
    const char *name;
    enum rig_fate reads[4], commits[4];
    bool fail_fast;
    uint64_t give_up_ms;
    int status;
    const char *rows;
    unsigned runs; /* of the rule */
} answers[] = {
    {"plain", {RIG_OK}, {RIG_OK}, false, 0, 0, "term=8", 1},
    {"conflicts", {RIG_OK}, {RIG_CONFLICT, RIG_CONFLICT}, false, 0, 0, "term=8", 3},
    {"too old", {RIG_OK}, {RIG_TOO_OLD}, false, 0, 0, "term=8", 2},
    {"read unavailable", {RIG_UNAVAILABLE, RIG_UNAVAILABLE}, {RIG_OK}, false, 0, 0, "term=8", 1},
    {"read not answered", {RIG_SILENT}, {RIG_OK}, false, 0, 0, "term=8", 1},
    {"commit unavailable", {RIG_OK}, {RIG_UNAVAILABLE}, false, 0, 0, "term=8", 2},
    {"disk full for a while", {RIG_OK}, {RIG_FULL, RIG_FULL}, false, 0, 0, "term=8", 3},
    {"unknown, done", {RIG_OK}, {RIG_UNKNOWN_DONE}, false, 0, 0, "term=8", 2},
    {"unknown, not done", {RIG_OK}, {RIG_UNKNOWN_NOT}, false, 0, 0, "term=8", 2},
    {"not answered, done", {RIG_OK}, {RIG_SILENT_DONE}, false, 0, 0, "term=8", 2},
    {"not answered, not done", {RIG_OK}, {RIG_SILENT}, false, 0, 0, "term=8", 2},
    {"read over a limit", {RIG_LIMIT}, {RIG_OK}, false, 0, KELPIE_E_LIMIT, "term=7", 0},
    {"read corrupt", {RIG_CORRUPT}, {RIG_OK}, false, 0, KELPIE_E_STORE_CORRUPT, "term=7", 0},
    {"commit over a limit", {RIG_OK}, {RIG_LIMIT}, false, 0, KELPIE_E_LIMIT, "term=7", 1},
    {"unknown, then over a limit",
     {RIG_OK},
     {RIG_UNKNOWN_NOT, RIG_LIMIT},
     false,
     0,
     KELPIE_E_UNKNOWN_RESULT,
     "term=7",
     2},
    {"not answered, then over a limit",
     {RIG_OK, RIG_LIMIT},
     {RIG_SILENT},
     false,
     0,
     0,
     "term=8",
     2},
    {"impatient: read unavailable",
     {RIG_UNAVAILABLE},
     {RIG_OK},
     true,
     0,
     KELPIE_E_STORE_UNAVAILABLE,
     "term=7",
     0},
    {"impatient: read not answered",
     {RIG_SILENT},
     {RIG_OK},
     true,
     0,
     KELPIE_E_STORE_UNAVAILABLE,
     "term=7",
     0},
    {"impatient: commit unavailable",
     {RIG_OK},
     {RIG_UNAVAILABLE},
     true,
     0,
     KELPIE_E_STORE_UNAVAILABLE,
     "term=7",
     1},
    {"impatient: disk full", {RIG_OK}, {RIG_FULL}, true, 0, KELPIE_E_STORE_FULL, "term=7", 1},
    {"impatient: conflicts", {RIG_OK}, {RIG_CONFLICT}, true, 0, 0, "term=8", 2},
    {"impatient: unknown is settled first",
     {RIG_OK},
     {RIG_UNKNOWN_NOT, RIG_FULL},
     true,
     0,
     0,
     "term=8",
     3},
    {"impatient: not answered, done", {RIG_OK}, {RIG_SILENT_DONE, RIG_OK}, true, 0, 0, "term=8", 2},
    {"gives up reading",
     {RIG_SILENT, RIG_SILENT, RIG_SILENT},
     {RIG_OK},
     false,
     1500,
     KELPIE_E_TIMEOUT,
     "term=7",
     0},
    {"gives up before anything", {RIG_SILENT}, {RIG_OK}, false, 300, KELPIE_E_TIMEOUT, "term=7", 0},
    {"gives up, commit not answered",
     {RIG_OK},
     {RIG_SILENT},
     false,
     300,
     KELPIE_E_UNKNOWN_RESULT,
     "term=7",
     1},
    {"gives up, commit done unseen",
     {RIG_OK},
     {RIG_SILENT_DONE},
     false,
     300,
     KELPIE_E_UNKNOWN_RESULT,
     "term=8",
     1},
    {"gives up after an unknown one",
     {RIG_OK},
     {RIG_UNKNOWN_NOT, RIG_SILENT},
     false,
     300,
     KELPIE_E_UNKNOWN_RESULT,
     "term=7",
     2},
    {"in time", {RIG_OK}, {RIG_CONFLICT}, false, 300, 0, "term=8", 2},
};

static void answers_of_the_store(void **state)
{
    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(answers); i++) {
        const struct answer *a = &answers[i];
        struct bump b = {.fail_fast = a->fail_fast, .give_up_ms = a->give_up_ms};
        struct rig r;
        setup(&r);
        r.read_fates = a->reads;
        r.commit_fates = a->commits;
        bump_start(&b, &r);
        rig_run(&r);
        if (b.runs != a->runs)
            fail_msg("%s: the rule ran %u times", a->name, b.runs);
        check_end(&r, &b, a->name, a->status, a->rows);
    }
}

/* Who does not wait for room is told so at once, and waits for an absent store all the same. */
static void a_full_disk_alone_ends_it(void **state)
{
    static const struct {
        enum rig_fate commits[4];
        int status;
        const char *rows;
        unsigned runs;
    } rows[] = {
        {{RIG_FULL}, KELPIE_E_STORE_FULL, "term=7", 1},
        {{RIG_UNAVAILABLE, RIG_FULL}, KELPIE_E_STORE_FULL, "term=7", 2},
        {{RIG_UNAVAILABLE, RIG_OK}, 0, "term=8", 2},
        {{RIG_UNKNOWN_NOT, RIG_FULL, RIG_OK}, 0, "term=8", 3},
    };
    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        static const enum rig_fate reads[] = {RIG_OK};
        struct bump b = {.fail_full = true};
        struct rig r;
        setup(&r);
        r.read_fates = reads;
        r.commit_fates = rows[i].commits;
        bump_start(&b, &r);
        rig_run(&r);
        assert_int_equal(b.runs, rows[i].runs);
        check_end(&r, &b, "full", rows[i].status, rows[i].rows);
    }
}

/* ---- time */

static const enum rig_fate down[] = {
    RIG_UNAVAILABLE, RIG_UNAVAILABLE, RIG_UNAVAILABLE, RIG_UNAVAILABLE, RIG_UNAVAILABLE,
    RIG_UNAVAILABLE, RIG_UNAVAILABLE, RIG_UNAVAILABLE, RIG_UNAVAILABLE, RIG_UNAVAILABLE,
    RIG_UNAVAILABLE, RIG_UNAVAILABLE, RIG_OK};

/* A store that refuses at once is asked ever more slowly. */
static void back_off_grows(void **state)
{
    struct bump b = {0};
    struct rig r;
    uint64_t last = 0, paused[12];
    (void)state;
    setup(&r);
    r.read_fates = down;
    bump_start(&b, &r);
    for (size_t i = 0; i < ARRAY_LEN(paused); i++) {
        uint64_t before = r.now_ns;
        assert_true(rig_step(&r)); /* refused */
        assert_true(rig_step(&r)); /* the pause */
        paused[i] = r.now_ns - before;
        assert_true(paused[i] >= TXN_BACKOFF_MIN_NS / 2 && paused[i] >= last);
        assert_true(paused[i] <= TXN_BACKOFF_MAX_NS);
        last = paused[i];
    }
    assert_true(last >= TXN_BACKOFF_MAX_NS / 2);
    rig_run(&r);
    check_end(&r, &b, "back-off", 0, "term=8");
}

static void back_off_has_the_bound_that_was_asked(void **state)
{
    struct bump b = {0};
    struct rig r;
    (void)state;
    setup(&r);
    r.read_fates = down;
    bump_start(&b, &r);
    b.txn.backoff_max_ns = 20 * NS_PER_MS;
    uint64_t before = r.now_ns;
    rig_run(&r);
    assert_true(r.now_ns - before <= 12 * 20 * NS_PER_MS);
    check_end(&r, &b, "bound", 0, "term=8");
}

/* Conflicts mean progress elsewhere: no pause at first, then one. */
static void conflicts_pause_after_a_while(void **state)
{
    static const enum rig_fate conflicts[] = {RIG_CONFLICT, RIG_CONFLICT, RIG_CONFLICT,
                                              RIG_CONFLICT, RIG_OK};
    struct bump b = {0};
    struct rig r;
    (void)state;
    setup(&r);
    uint64_t before = r.now_ns;
    r.commit_fates = conflicts;
    bump_start(&b, &r);
    for (int i = 0; i < 7; i++)
        assert_true(rig_step(&r));
    assert_int_equal(r.now_ns, before);
    rig_run(&r);
    assert_true(r.now_ns > before);
    check_end(&r, &b, "conflicts", 0, "term=8");
}

static void start_is_kept_over_attempts(void **state)
{
    static const enum rig_fate fates[] = {RIG_SILENT, RIG_OK};
    struct bump b = {0};
    struct rig r;
    (void)state;
    setup(&r);
    uint64_t start = r.now_ns;
    r.read_fates = fates;
    bump_start(&b, &r);
    rig_run(&r);
    assert_int_equal(b.txn.started_ns, start);
    assert_int_equal(b.txn.read_at_ns, r.now_ns);
    assert_true(r.now_ns >= start + TXN_ATTEMPT_TIMEOUT_NS);
    check_end(&r, &b, "start", 0, "term=8");
}

/* ---- rules */

static void verdicts(void **state)
{
    struct bump refused = {.refuse = 7}, done = {.stop = 7};
    struct rig r;
    (void)state;
    setup(&r);
    bump_start(&refused, &r);
    rig_run(&r);
    assert_string_equal(r.reason, "the term is 7");
    assert_false(r.committed);
    check_end(&r, &refused, "refused", KELPIE_E_REFUSED, "term=7");
    setup(&r);
    bump_start(&done, &r);
    rig_run(&r);
    assert_false(r.committed);
    check_end(&r, &done, "done", 0, "term=7");
}

/* What the rule asks for comes in further rounds; a new attempt starts from what was asked at first,
 * and holds no more memory than the one before. */
static void more_rounds(void **state)
{
    static const enum rig_fate fates[] = {RIG_CONFLICT, RIG_CONFLICT, RIG_CONFLICT, RIG_OK};
    struct bump b = {.more = 20};
    struct rig r;
    (void)state;
    setup(&r);
    rig_scene(&r, "n1=A1 n20=A1");
    r.commit_fates = fates;
    bump_start(&b, &r);
    size_t keys_len = 0;
    while (!r.done && rig_step(&r)) {
        assert_true(b.txn.read_count <= 21);
        if (r.commits == 1 && !keys_len)
            keys_len = b.txn.keys.len;
        if (r.commits == 4 && !r.done)
            assert_int_equal(b.txn.keys.len, keys_len);
    }
    assert_int_equal(b.runs, 4 * 21);
    check_end(&r, &b, "more", 0, "n1=A1 n20=A1 term=8");
}

static void touch_more(struct rig *r)
{
    rig_touch(r, "n2");
}

static void more_reads_conflict(void **state)
{
    struct bump b = {.more = 3};
    struct rig r;
    (void)state;
    setup(&r);
    rig_scene(&r, "n2=A1");
    r.before_commit = touch_more;
    bump_start(&b, &r);
    rig_run(&r);
    assert_int_equal(r.commits, 2);
    check_end(&r, &b, "more", 0, "n2=A1 term=8");
}

static enum verdict asks_and_commits(struct rule_ctx *ctx, void *arg)
{
    struct bump *b = arg;
    struct key key = key_term(&b->r->ks);
    struct term_record t = {1};
    (void)rule_more(ctx, key_bytes(&key), false);
    store_term(ctx, &key, &t);
    return RULE_COMMIT;
}

static void run_wrong_rule(void *arg)
{
    struct bump b = {.r = arg};
    txn_init(&b.txn, &b.r->env, "Wrong", asks_and_commits, &b, rig_done, b.r);
    read_key(&b.txn, key_term(&b.r->ks));
    txn_start(&b.txn);
    rig_run(b.r);
}

static void a_rule_may_not_commit_what_it_has_not_read(void **state)
{
    struct rig r;
    (void)state;
    setup(&r);
    assert_true(test_dies(run_wrong_rule, &r));
    rig_free(&r);
}

static void corrupt_row_is_named(void **state)
{
    struct bump b = {0};
    struct rig r;
    char all[RIG_TEXT_MAX];
    (void)state;
    setup(&r);
    rig_row(&r, "term")->value[0] ^= 1;
    bump_start(&b, &r);
    rig_run(&r);
    assert_string_equal(r.reason,
                        "the record at (\"kelpie\", \"cluster\", \"primary_term\") fails its "
                        "checksum or cannot be decoded");
    check_end(&r, &b, "corrupt", KELPIE_E_STORE_CORRUPT, rig_all(&r, all));
}

/* An attempt that may still land is not called failed because the row is corrupt now. */
static void corrupt_after_unknown(void **state)
{
    static const enum rig_fate fates[] = {RIG_UNKNOWN_NOT, RIG_OK};
    struct bump b = {0};
    struct rig r;
    char all[RIG_TEXT_MAX];
    (void)state;
    setup(&r);
    r.commit_fates = fates;
    bump_start(&b, &r);
    while (r.commits == 0 || r.committing)
        assert_true(rig_step(&r));
    rig_row(&r, "term")->value[0] ^= 1;
    rig_run(&r);
    assert_non_null(strstr(r.reason, "primary_term"));
    check_end(&r, &b, "corrupt", KELPIE_E_UNKNOWN_RESULT, rig_all(&r, all));
}

/* ---- cancel */

static void cancel_when(unsigned steps, const enum rig_fate *reads, const enum rig_fate *commits,
                        int status, const char *rows)
{
    struct bump b = {.give_up_ms = 5000};
    struct rig r;
    setup(&r);
    r.read_fates = reads;
    r.commit_fates = commits;
    bump_start(&b, &r);
    for (unsigned i = 0; i < steps; i++)
        assert_true(rig_step(&r));
    assert_false(r.done);
    txn_cancel(&b.txn);
    assert_false(r.done);
    txn_cancel(&b.txn); /* harmless */
    rig_run(&r);
    while (rig_step(&r))
        ;
    txn_cancel(&b.txn);
    check_end(&r, &b, "cancel", status, rows);
}

static void cancel_in_each_state(void **state)
{
    static const enum rig_fate ok[] = {RIG_OK}, unavailable[] = {RIG_UNAVAILABLE, RIG_OK},
                               unknown[] = {RIG_UNKNOWN_DONE, RIG_OK},
                               silent[] = {RIG_SILENT, RIG_OK};
    (void)state;
    cancel_when(0, ok, ok, KELPIE_E_CANCELLED, "term=7");           /* reading */
    cancel_when(1, silent, ok, KELPIE_E_CANCELLED, "term=7");       /* reading, not answered */
    cancel_when(1, unavailable, ok, KELPIE_E_CANCELLED, "term=7");  /* backing off */
    cancel_when(1, ok, ok, KELPIE_E_UNKNOWN_RESULT, "term=7");      /* committing */
    cancel_when(2, ok, silent, KELPIE_E_UNKNOWN_RESULT, "term=7");  /* commit not answered */
    cancel_when(2, ok, unavailable, KELPIE_E_CANCELLED, "term=7");  /* surely not committed */
    cancel_when(2, ok, unknown, KELPIE_E_UNKNOWN_RESULT, "term=8"); /* backing off */
    cancel_when(3, ok, unknown, KELPIE_E_UNKNOWN_RESULT, "term=8"); /* reading again */
}

/* ---- completion */

static struct bump chained;

static void start_next(struct rig *r, struct txn *t)
{
    struct term_record term;
    struct rule_ctx ctx = txn_look(t);
    assert_int_equal(load_term(&ctx, 0, &term), 1);
    assert_int_equal(term.term, 7);
    r->on_done = NULL;
    memset(&chained, 0, sizeof(chained));
    chained.from = 8;
    r->done = false;
    bump_start(&chained, r);
}

/* `done` sees the rows, and may use the transaction again. */
static void done_may_start_the_next(void **state)
{
    struct rig r;
    char all[RIG_TEXT_MAX];
    (void)state;
    setup(&r);
    memset(&chained, 0, sizeof(chained));
    r.on_done = start_next;
    bump_start(&chained, &r);
    rig_run(&r);
    assert_int_equal(r.completions, 2);
    assert_string_equal(rig_all(&r, all), "term=9");
    rig_free(&r);
}

static void free_it(struct rig *r, struct txn *t)
{
    mem_free(r->env.mem, CONTAINER_OF(t, struct bump, txn));
}

static void done_may_free_it(void **state)
{
    struct rig r;
    (void)state;
    setup(&r);
    struct bump *b = MEM_NEW(r.env.mem, struct bump);
    r.on_done = free_it;
    bump_start(b, &r);
    rig_run(&r);
    assert_int_equal(r.status, 0);
    rig_free(&r);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(answers_of_the_store),
        cmocka_unit_test(a_full_disk_alone_ends_it),
        cmocka_unit_test(back_off_grows),
        cmocka_unit_test(back_off_has_the_bound_that_was_asked),
        cmocka_unit_test(conflicts_pause_after_a_while),
        cmocka_unit_test(start_is_kept_over_attempts),
        cmocka_unit_test(verdicts),
        cmocka_unit_test(more_rounds),
        cmocka_unit_test(more_reads_conflict),
        cmocka_unit_test(a_rule_may_not_commit_what_it_has_not_read),
        cmocka_unit_test(corrupt_row_is_named),
        cmocka_unit_test(corrupt_after_unknown),
        cmocka_unit_test(cancel_in_each_state),
        cmocka_unit_test(done_may_start_the_next),
        cmocka_unit_test(done_may_free_it),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

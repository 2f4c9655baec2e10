/* What the driver for FoundationDB says of the database's health: soon, and not for every answer. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "store/store_fdb_internal.h"

struct scene {
    uint64_t now_ns;
    unsigned problems, connects;
    struct store_fdb s;
};

static uint64_t now_ns(void *ctx)
{
    return ((struct scene *)ctx)->now_ns;
}

static void write_line(void *ctx, enum log_level level, const char *event, const char *fields)
{
    struct scene *c = ctx;
    c->problems += strcmp(event, "store_problem") == 0;
    c->connects += strcmp(event, "store_connected") == 0;
    assert_int_equal(level, strcmp(event, "store_problem") == 0 ? LOG_WARN : LOG_INFO);
    assert_non_null(strstr(fields, c->s.connected ? "store=fdb" : "FoundationDB: trouble (error"));
}

static int predicate(int which, int error)
{
    return which == FDB_RETRYABLE_NOT_COMMITTED && error != FDB_COMMIT_UNKNOWN_RESULT;
}

static const char *text_of_error(int error)
{
    (void)error;
    return "trouble";
}

static const struct clock_ops clock_ops = {.now_ns = now_ns};
static const struct log_ops log_ops = {.write = write_line};
static const struct fdb_api api = {.error_predicate = predicate, .get_error = text_of_error};

static void begin(struct scene *c)
{
    memset(c, 0, sizeof(*c));
    c->now_ns = 5 * NS_PER_S;
    c->s.clock = (struct clock){&clock_ops, c};
    c->s.log = (struct log){.ops = &log_ops, .ctx = c};
    c->s.api = &api;
    c->s.connected = true;
}

static void an_outage_is_two_lines(void **state)
{
    struct scene c;
    (void)state;
    begin(&c);
    for (int i = 0; i < 1000; i++) {
        fdb_note(&c.s, FDB_TRANSACTION_TIMED_OUT);
        c.now_ns += NS_PER_S;
        assert_int_equal(c.problems, 1);
    }
    assert_false(store_fdb_connected(&c.s));
    assert_string_equal(store_fdb_problem(&c.s), "FoundationDB: trouble (error 1031)");
    fdb_note(&c.s, 0);
    fdb_note(&c.s, 0);
    assert_int_equal(c.connects, 1);
    assert_true(store_fdb_connected(&c.s));
    assert_string_equal(store_fdb_problem(&c.s), "");
}

/* Every other answer is an error, for ten minutes. */
static void flapping_is_no_storm(void **state)
{
    struct scene c;
    (void)state;
    begin(&c);
    for (int i = 0; i < 600 * 10; i++) {
        fdb_note(&c.s, i % 2 ? 0 : FDB_PROCESS_BEHIND);
        c.now_ns += NS_PER_S / 10;
    }
    assert_in_range(c.problems, 59, 61);
    assert_in_range(c.connects, 59, 61);
}

/* A problem that began too soon after another to be told is told when it lasts. */
static void what_lasts_is_told(void **state)
{
    struct scene c;
    (void)state;
    begin(&c);
    fdb_note(&c.s, FDB_DATABASE_LOCKED);
    fdb_note(&c.s, 0);
    fdb_note(&c.s, FDB_DATABASE_LOCKED);
    assert_int_equal(c.problems, 1);
    assert_false(store_fdb_connected(&c.s));
    c.now_ns += FDB_TELL_NS;
    fdb_note(&c.s, FDB_DATABASE_LOCKED);
    assert_int_equal(c.problems, 2);
    fdb_note(&c.s, 0);
    assert_int_equal(c.connects, 2);
}

static void others_say_nothing(void **state)
{
    static const int errors[] = {FDB_NOT_COMMITTED, FDB_TOO_OLD, FDB_COMMIT_UNKNOWN_RESULT};
    struct scene c;
    (void)state;
    begin(&c);
    for (size_t i = 0; i < ARRAY_LEN(errors); i++)
        fdb_note(&c.s, errors[i]);
    assert_true(store_fdb_connected(&c.s));
    assert_int_equal(c.problems, 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(an_outage_is_two_lines),
        cmocka_unit_test(flapping_is_no_storm),
        cmocka_unit_test(what_lasts_is_told),
        cmocka_unit_test(others_say_nothing),
    };
    return cmocka_run_group_tests_name("fdb_log", tests, NULL, NULL);
}

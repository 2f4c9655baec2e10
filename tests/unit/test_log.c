#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdio.h>
#include <string.h>

#include "base/log.h"
#include "base/log_limit.h"
#include "base/log_line.h"
#include "base/utf8.h"

struct seen {
    int count;
    enum log_level level;
    char event[64];
    char fields[LOG_LINE_MAX + 64];
};

static void remember(void *ctx, enum log_level level, const char *event, const char *fields)
{
    struct seen *s = ctx;
    s->count++;
    s->level = level;
    snprintf(s->event, sizeof(s->event), "%s", event);
    snprintf(s->fields, sizeof(s->fields), "%s", fields);
}

static const struct log_ops ops = {.write = remember};

static void test_levels(void **state)
{
    (void)state;
    struct seen s = {0};
    struct log log = {.ops = &ops, .ctx = &s, .min = LOG_INFO};
    log_debug(&log, "nothing", "a=%d", 1);
    assert_int_equal(s.count, 0);
    log_info(&log, "joined", "node=%d", 7);
    assert_int_equal(s.count, 1);
    assert_int_equal(s.level, LOG_INFO);
    assert_string_equal(s.event, "joined");
    assert_string_equal(s.fields, "node=7");
    log_warn(&log, "slow", "ms=%d what=%s", 12, "commit");
    assert_int_equal(s.level, LOG_WARN);
    assert_string_equal(s.fields, "ms=12 what=commit");
    log_error(&log, "failed", "code=%d", -3);
    assert_int_equal(s.level, LOG_ERROR);
    assert_int_equal(s.count, 3);
}

static void test_no_sink(void **state)
{
    (void)state;
    struct log log = {0};
    log_error(&log, "failed", "code=%d", 1);
}

static void test_one_line(void **state)
{
    (void)state;
    struct seen s = {0};
    struct log log = {.ops = &ops, .ctx = &s};
    log_info(&log, "odd", "a=%s", "x\ny\rz\x1b[0m\x7f");
    assert_string_equal(s.fields, "a=\"x\\x0ay\\x0dz\\x1b[0m\\x7f\"");
    log_info(&log, "odd", "%s", "x\ny\x1b");
    assert_string_equal(s.fields, "x?y?");
}

/* Whatever the arguments hold, the line has the fields of the format and no other. */
static void test_values_from_outside(void **state)
{
    (void)state;
    struct seen s = {0};
    struct log log = {.ops = &ops, .ctx = &s};
    char quoted[32];
    log_info(&log, "odd", "type=%s id=%s n=%d", "plain", "a b=c", 7);
    assert_string_equal(s.fields, "type=plain id=\"a b=c\" n=7");
    log_info(&log, "odd", "actor=%s/%s why=\"%s\"", "t", "x y", "say \"hi\"");
    assert_string_equal(s.fields, "actor=\"t/x y\" why=\"say \\\"hi\\\"\"");
    log_info(&log, "odd", "a=%s b=%s c=%s", "", "caf\xc3\xa9", "\xc2\x9b[0m");
    assert_string_equal(s.fields, "a=\"\" b=caf\xc3\xa9 c=\"\\xc2\\x9b[0m\"");
    log_info(&log, "odd", "why=%s", log_quote("quoted \\ before", quoted, sizeof(quoted)));
    assert_string_equal(s.fields, "why=\"quoted \\\\ before\"");
    log_info(&log, "odd", "why=%s", "\"open");
    assert_string_equal(s.fields, "why=\"\\\"open\"");
    log_info(&log, "odd", "why=%s", "\"a\" b=\"c\"");
    assert_string_equal(s.fields, "why=\"\\\"a\\\" b=\\\"c\\\"\"");
    log_info(&log, "odd", "a=%.3s b=%.*s c=%5.1f%% d=%c e=%zu f=%llx g=\"%u nodes\"", "abcdef", 2,
             "xyz", 1.25, 'q', (size_t)9, 255ull, 3u);
    assert_string_equal(s.fields, "a=abc b=xy c=\"  1.2%\" d=q e=9 f=ff g=\"3 nodes\"");
}

static void test_value_cut(void **state)
{
    (void)state;
    struct seen s = {0};
    struct log log = {.ops = &ops, .ctx = &s};
    char text[2 * LOG_LINE_MAX];
    struct log_field f;
    memset(text, ' ', sizeof(text) - 1);
    text[sizeof(text) - 1] = '\0';
    log_info(&log, "long", "a=1 b=%s c=2", text);
    const char *at = s.fields;
    assert_true(log_field_next(&at, &f) && log_field_next(&at, &f));
    assert_int_equal(f.value[0], '"');
    assert_int_equal(f.value[f.value_len - 1], '"');
    assert_int_equal(strlen(s.fields), LOG_LINE_MAX - 1);
}

static void test_key_twice(void **state)
{
    (void)state;
    assert_false(log_key_twice("a=1 b=\"a=1\" ab=2"));
    assert_true(log_key_twice("a=1 b=2 a=1"));
    assert_true(log_key_twice("a=\"x\\\" y\" b a=1"));
}

/* ---- lines ---- */

static void test_line(void **state)
{
    (void)state;
    static const struct {
        struct log_origin from;
        uint64_t wall_ms;
        const char *fields, *want;
    } table[] = {
        {{false, "n1", "kelpied"},
         1,
         "a=1 b=\"x y\"",
         "1970-01-01T00:00:00.001Z level=warn node=n1 program=kelpied event=e a=1 b=\"x y\"\n"},
        {{false, "n 1", NULL},
         951782400123,
         "",
         "2000-02-29T00:00:00.123Z level=warn node=\"n 1\" event=e\n"},
        {{false, "", "store"},
         4107542399999,
         "node=n2 x",
         "2100-02-28T23:59:59.999Z level=warn program=store event=e of_node=n2 x\n"},
        {{false, "n\x1b[31m\n", NULL}, 0, "", "level=warn node=\"n\\x1b[31m\\x0a\" event=e\n"},
        {{false, "a\\x", NULL}, 0, "", "level=warn node=\"a\\\\x\" event=e\n"},
        {{true, "\xc2\x9b\xe2\x80\xae", NULL},
         0,
         "",
         "{\"level\":\"warn\",\"node\":\"\\u009b\\u202e\",\"event\":\"e\"}\n"},
        {{true, "n1", "store"},
         0,
         "node=n2 level=3 a=007 b=1.5 c",
         "{\"level\":\"warn\",\"node\":\"n1\",\"program\":\"store\",\"event\":\"e\","
         "\"of_node\":\"n2\",\"of_level\":3,\"a\":\"007\",\"b\":1.5,\"c\":true}\n"},
    };
    for (size_t i = 0; i < ARRAY_LEN(table); i++) {
        char line[LOG_TEXT_MAX + 1];
        size_t n = log_line(&table[i].from, table[i].wall_ms, LOG_WARN, "e", table[i].fields, line);
        line[n] = '\0';
        assert_string_equal(line, table[i].want);
    }
}

/* ---- bounds ---- */

#define SECOND 1000000000ull

static unsigned passed(struct log_limit *l, uint64_t now_ns, unsigned tries, const char *event,
                       const char *from_fmt)
{
    unsigned n = 0;
    for (unsigned i = 0; i < tries; i++) {
        char fields[64];
        (void)snprintf(fields, sizeof(fields), "a=1 from=%s:%u", from_fmt, i % 60000);
        n += log_limit_pass(l, now_ns, LOG_WARN, event, fields);
    }
    return n;
}

static void test_limit(void **state)
{
    (void)state;
    static struct log_limit l;
    const char *event;
    uint64_t lines, now = 5 * SECOND;
    /* One stranger, whatever its port; then another; then the event as a whole is used up. */
    assert_int_equal(passed(&l, now, 100000, "bad", "10.0.0.1"), LOG_SOURCE_BURST);
    assert_int_equal(passed(&l, now, 100000, "bad", "10.0.0.2"), LOG_SOURCE_BURST);
    unsigned all = 2 * LOG_SOURCE_BURST;
    for (unsigned i = 3; i < 200; i++) {
        char from[32];
        (void)snprintf(from, sizeof(from), "10.0.0.%u", i);
        all += passed(&l, now, 100, "bad", from);
    }
    assert_int_equal(all, LOG_EVENT_BURST);
    /* Another event does not suffer. */
    assert_true(log_limit_pass(&l, now, LOG_WARN, "other", ""));
    assert_false(log_limit_take(&l, now, &event, &lines));
    now += LOG_SUPPRESSED_EVERY_MS * 1000000ull;
    assert_true(log_limit_take(&l, now, &event, &lines));
    assert_string_equal(event, "bad");
    assert_int_equal(lines, 200000 + 197 * 100 - LOG_EVENT_BURST);
    assert_false(log_limit_take(&l, now, &event, &lines));
    /* Time gives some back, to each. */
    now += 100 * SECOND;
    for (unsigned i = 0; i < 10; i++, now += SECOND)
        all = passed(&l, now, 1000, "bad", "10.0.0.1");
    assert_int_equal(all, LOG_SOURCE_PER_S);
}

static void test_limit_many_events(void **state)
{
    (void)state;
    static struct log_limit l;
    static char names[3 * LOG_EVENTS_MAX][16];
    for (unsigned i = 0; i < ARRAY_LEN(names); i++) {
        (void)snprintf(names[i], sizeof(names[i]), "event_%u", i);
        (void)log_limit_pass(&l, SECOND, LOG_INFO, names[i], "id=1");
    }
    assert_true(log_limit_pass(&l, SECOND, LOG_INFO, names[0], "id=2"));
}

static void test_cut(void **state)
{
    (void)state;
    struct seen s = {0};
    struct log log = {.ops = &ops, .ctx = &s};
    char text[3 * LOG_LINE_MAX];
    static const char *const units[] = {"x", "\xc3\xa9", "\xe2\x82\xac", "\xf0\x9f\x90\xb4"};
    for (size_t u = 0; u < ARRAY_LEN(units); u++) {
        size_t unit = strlen(units[u]);
        for (size_t before = 0; before < 4; before++) {
            size_t at = before;
            memset(text, 'a', at);
            for (; at + unit < sizeof(text); at += unit)
                memcpy(text + at, units[u], unit);
            text[at] = '\0';
            log_info(&log, "long", "%s", text);
            size_t len = strlen(s.fields);
            assert_true(len < LOG_LINE_MAX && len + unit >= LOG_LINE_MAX);
            assert_true(utf8_valid(bytes_of_str(s.fields)));
        }
    }
    /* What just fits is whole. */
    memset(text, 'b', LOG_LINE_MAX);
    text[LOG_LINE_MAX - 1] = '\0';
    log_info(&log, "long", "%s", text);
    assert_string_equal(s.fields, text);
}

static void test_quote(void **state)
{
    (void)state;
    static const struct {
        const char *in, *want;
    } table[] = {
        {"", "\"\""},
        {"plain", "\"plain\""},
        {"a b", "\"a b\""},
        {"say \"hi\"", "\"say \\\"hi\\\"\""},
        {"back\\slash", "\"back\\\\slash\""},
        {"a\nb\t\x01", "\"a\\x0ab\\x09\\x01\""},
        {"caf\xc3\xa9", "\"caf\xc3\xa9\""},
        {"bad\xc3", "\"bad\\xc3\""},
        {"\xff\x7f", "\"\\xff\\x7f\""},
        {"\xc2\x9b", "\"\\xc2\\x9b\""},
        {"\xe2\x80\xae", "\"\\xe2\\x80\\xae\""},
    };
    for (size_t i = 0; i < ARRAY_LEN(table); i++) {
        char out[64];
        assert_ptr_equal(log_quote(table[i].in, out, sizeof(out)), out);
        assert_string_equal(out, table[i].want);
    }
}

static void test_quote_cut(void **state)
{
    (void)state;
    /* Whole characters, whole escapes, and always the closing quote. */
    for (size_t size = 3; size < 20; size++) {
        char out[20];
        memset(out, '#', sizeof(out));
        log_quote("a\xc3\xa9\n\"b", out, size);
        size_t len = strlen(out);
        assert_true(len < size);
        assert_int_equal(out[0], '"');
        assert_int_equal(out[len - 1], '"');
        assert_true(utf8_valid(bytes_of_str(out)));
        for (size_t i = size; i < sizeof(out); i++)
            assert_int_equal(out[i], '#');
    }
    char out[16];
    assert_string_equal(log_quote("\n\n", out, 7), "\"\\x0a\"");
    assert_string_equal(log_quote("\n\n", out, 6), "\"\"");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_levels),
        cmocka_unit_test(test_no_sink),
        cmocka_unit_test(test_one_line),
        cmocka_unit_test(test_cut),
        cmocka_unit_test(test_quote),
        cmocka_unit_test(test_quote_cut),
        cmocka_unit_test(test_values_from_outside),
        cmocka_unit_test(test_value_cut),
        cmocka_unit_test(test_key_twice),
        cmocka_unit_test(test_line),
        cmocka_unit_test(test_limit),
        cmocka_unit_test(test_limit_many_events),
    };
    return cmocka_run_group_tests_name("log", tests, NULL, NULL);
}

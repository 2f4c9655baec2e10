#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdio.h>
#include <string.h>

#include "base/log.h"
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
    assert_string_equal(s.fields, "a=x?y?z?[0m?");
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
        cmocka_unit_test(test_levels),   cmocka_unit_test(test_no_sink),
        cmocka_unit_test(test_one_line), cmocka_unit_test(test_cut),
        cmocka_unit_test(test_quote),    cmocka_unit_test(test_quote_cut),
    };
    return cmocka_run_group_tests_name("log", tests, NULL, NULL);
}

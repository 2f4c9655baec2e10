#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <ctype.h>
#include <string.h>

#include "base/check.h"
#include "kelpie/error.h"

static const struct {
    int num;
    int code;
    const char *name;
    int http;
    int retry;
    enum kelpie_applied applied;
    const char *text;
} table[] = {
#define ROW(num, NAME, name, http, retry, applied, text)                                           \
    {num, KELPIE_E_##NAME, name, http, retry, KELPIE_APPLIED_##applied, text},
    KELPIE_ERRORS(ROW)
#undef ROW
};

static void test_functions_follow_the_table(void **state)
{
    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(table); i++) {
        int code = table[i].code;
        assert_true(code < 0);
        assert_int_equal(code, -table[i].num);
        assert_string_equal(kelpie_error_name(code), table[i].name);
        assert_string_equal(kelpie_error_text(code), table[i].text);
        assert_int_equal(kelpie_error_http(code), table[i].http);
        assert_int_equal(kelpie_error_retry(code), table[i].retry);
        assert_int_equal(kelpie_error_applied(code), table[i].applied);
        assert_int_equal(kelpie_error_from_name(table[i].name), code);
    }
}

static void test_rows_are_sound(void **state)
{
    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(table); i++) {
        /* Numbers without holes: a number is never given away twice, nor dropped. */
        assert_int_equal(table[i].num, (int)i + 1);
        for (const char *p = table[i].name; *p; p++)
            assert_true(islower((unsigned char)*p) || *p == '_');
        for (size_t j = 0; j < i; j++)
            assert_string_not_equal(table[i].name, table[j].name);
        assert_true(table[i].retry == 0 || table[i].retry == 1);
        assert_true(table[i].http == 200 || (table[i].http >= 400 && table[i].http < 600));
        /* One sentence, without the stop: it is put into others. */
        assert_true(strlen(table[i].text) > 10);
        assert_int_not_equal(table[i].text[strlen(table[i].text) - 1], '.');
        /* Whoever does not know whether it was done may ask again, unless it is too late for that. */
        if (table[i].applied == KELPIE_APPLIED_UNKNOWN && table[i].http != 500 &&
            table[i].code != KELPIE_E_TOO_LATE)
            assert_int_equal(table[i].retry, 1);
        /* 429 and 503 promise the client that trying again can help, but for what is not run for minutes. */
        if ((table[i].http == 429 || table[i].http == 503) && table[i].code != KELPIE_E_POISONED)
            assert_int_equal(table[i].retry, 1);
    }
}

static void test_not_in_the_table(void **state)
{
    (void)state;
    static const int others[] = {1, 30, -1000000, 1 << 30};
    assert_string_equal(kelpie_error_name(0), "ok");
    assert_int_equal(kelpie_error_http(0), 200);
    assert_int_equal(kelpie_error_retry(0), 0);
    assert_true(strlen(kelpie_error_text(0)) > 0);
    for (size_t i = 0; i < ARRAY_LEN(others); i++) {
        assert_string_equal(kelpie_error_name(others[i]), "unknown_error");
        assert_int_equal(kelpie_error_http(others[i]), 500);
        assert_int_equal(kelpie_error_retry(others[i]), 0);
        assert_int_equal(kelpie_error_applied(others[i]), KELPIE_APPLIED_UNKNOWN);
        assert_true(strlen(kelpie_error_text(others[i])) > 0);
    }
    assert_int_equal(kelpie_error_applied(0), KELPIE_APPLIED_YES);
    assert_string_equal(kelpie_applied_name(KELPIE_APPLIED_NO), "no");
    assert_string_equal(kelpie_applied_name(KELPIE_APPLIED_UNKNOWN), "unknown");
    assert_string_equal(kelpie_applied_name(KELPIE_APPLIED_YES), "yes");
    assert_int_equal(kelpie_error_from_name("ok"), 0);
    assert_int_equal(kelpie_error_from_name(""), 0);
    assert_int_equal(kelpie_error_from_name("unknown_error"), 0);
    assert_int_equal(kelpie_error_from_name("Invalid"), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_functions_follow_the_table),
        cmocka_unit_test(test_rows_are_sound),
        cmocka_unit_test(test_not_in_the_table),
    };
    return cmocka_run_group_tests_name("error", tests, NULL, NULL);
}

/* What a terminal is shown of text from outside. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/printable.h"

static const struct {
    const char *text, *shown;
} texts[] = {
    {"", ""},
    {"n1", "n1"},
    {"caf\xc3\xa9 \xe2\x82\xac \xf0\x9f\x90\xb6", "caf\xc3\xa9 \xe2\x82\xac \xf0\x9f\x90\xb6"},
    {"a\x1b[31mred", "a\\x1b[31mred"},
    {"two\nlines\r\t", "two\\x0alines\\x0d\\x09"},
    {"\x7f", "\\x7f"},
    {"\xc2\x9b"
     "31m",
     "\\xc2\\x9b31m"},
    {"\xff\xc3", "\\xff\\xc3"},
    {"\xe2\x80\xae"
     "abc\xe2\x81\xa9",
     "\\xe2\\x80\\xaeabc\\xe2\\x81\\xa9"},
    {"\xe2\x80\x93", "\xe2\x80\x93"}, /* a dash does nothing */
    {"back\\slash \"quote\"", "back\\slash \"quote\""},
};

static void shows(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++) {
        char out[128];
        assert_string_equal(printable(texts[i].text, out, sizeof(out)), texts[i].shown);
    }
}

static void cuts_at_whole_characters(void **state)
{
    (void)state;
    char out[6];
    assert_string_equal(printable("abcd\xc3\xa9", out, sizeof(out)), "abcd");
    assert_string_equal(printable("ab\x1b", out, sizeof(out)), "ab");
    assert_string_equal(printable("abcde", out, sizeof(out)), "abcde");
    assert_string_equal(printable("x", out, 1), "");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(shows),
        cmocka_unit_test(cuts_at_whole_characters),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

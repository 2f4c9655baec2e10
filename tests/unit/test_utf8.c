#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/check.h"
#include "base/utf8.h"

static size_t encode(uint32_t c, uint8_t out[4])
{
    if (c < 0x80) {
        out[0] = (uint8_t)c;
        return 1;
    }
    size_t len = c < 0x800 ? 2 : c < 0x10000 ? 3 : 4;
    for (size_t i = len; i-- > 1; c >>= 6)
        out[i] = (uint8_t)(0x80 | (c & 0x3f));
    out[0] = (uint8_t)((0xf00 >> len & 0xff) | c);
    return len;
}

/* Every code point, by its definition. */
static void test_all_characters(void **state)
{
    (void)state;
    for (uint32_t c = 0; c <= 0x1fffff; c++) {
        uint8_t s[4];
        size_t len = encode(c, s);
        bool good = c <= 0x10ffff && (c < 0xd800 || c > 0xdfff);
        if (utf8_char_len(bytes_of(s, len)) != (good ? len : 0))
            fail_msg("U+%04X", c);
        for (size_t cut = 0; cut < len; cut++)
            assert_int_equal(utf8_char_len(bytes_of(s, cut)), 0);
    }
}

/* Every sequence of three bytes: what is well formed is what encoding a character gives. */
static void test_all_short_sequences(void **state)
{
    (void)state;
    for (uint32_t v = 0; v < 1u << 24; v++) {
        uint8_t s[3] = {(uint8_t)(v >> 16), (uint8_t)(v >> 8), (uint8_t)v};
        size_t len = utf8_char_len(bytes_of(s, 3));
        if (len < 2)
            continue;
        uint32_t c = len == 2 ? s[0] & 0x1fu : s[0] & 0x0fu;
        for (size_t i = 1; i < len; i++)
            c = c << 6 | (s[i] & 0x3fu);
        uint8_t again[4];
        if (encode(c, again) != len || memcmp(again, s, len) != 0)
            fail_msg("%02x %02x %02x", s[0], s[1], s[2]);
    }
}

static void test_strings(void **state)
{
    (void)state;
    static const struct {
        struct bytes in;
        bool good;
    } table[] = {
#define CASE(text, ok) {{(const uint8_t *)(text), sizeof(text) - 1}, ok}
        CASE("", true),
        CASE("kelpie", true),
        CASE("\xc3\xa9t\xc3\xa9 \xe2\x82\xac \xf0\x9f\x90\xb4", true),
        CASE("a\0b", false),
        CASE("\xc0\x80", false),
        CASE("\xe0\x80\x80", false),
        CASE("\xf0\x80\x80\x80", false),
        CASE("\xed\xa0\x80", false),
        CASE("\xf4\x90\x80\x80", false),
        CASE("\xf5\x80\x80\x80", false),
        CASE("\x80", false),
        CASE("ok\xff", false),
        CASE("ok\xe2\x82", false),
        CASE("\xe2\x28\xa1", false),
#undef CASE
    };
    for (size_t i = 0; i < ARRAY_LEN(table); i++)
        assert_int_equal(utf8_valid(table[i].in), table[i].good);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_all_characters),
        cmocka_unit_test(test_all_short_sequences),
        cmocka_unit_test(test_strings),
    };
    return cmocka_run_group_tests_name("utf8", tests, NULL, NULL);
}

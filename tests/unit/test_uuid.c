#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/rng.h"
#include "base/uuid.h"
#include "kelpie/error.h"

static void test_text(void **state)
{
    (void)state;
    struct uuid u = {{0x00, 0x11, 0x22, 0x33, 0x44, 0x55, 0x66, 0x77, 0x88, 0x99, 0xaa, 0xbb, 0xcc,
                      0xdd, 0xee, 0xff}};
    char text[UUID_TEXT_SIZE];
    uuid_to_text(u, text);
    assert_string_equal(text, "00112233-4455-6677-8899-aabbccddeeff");
    struct uuid back;
    assert_int_equal(uuid_from_text(text, &back), 0);
    assert_true(uuid_equal(u, back));
}

static void test_zero(void **state)
{
    (void)state;
    struct uuid u = {{0}};
    char text[UUID_TEXT_SIZE];
    assert_true(uuid_is_zero(u));
    uuid_to_text(u, text);
    assert_string_equal(text, "00000000-0000-0000-0000-000000000000");
    for (size_t i = 0; i < 16; i++) {
        struct uuid v = {{0}};
        v.b[i] = 1;
        assert_false(uuid_is_zero(v));
        assert_false(uuid_equal(u, v));
    }
}

static void test_round_trip(void **state)
{
    (void)state;
    struct rng r;
    rng_seed(&r, 5, 0);
    for (int i = 0; i < 1000; i++) {
        struct uuid u, back;
        char text[UUID_TEXT_SIZE];
        for (size_t j = 0; j < 16; j++)
            u.b[j] = (uint8_t)rng_u64(&r);
        uuid_to_text(u, text);
        assert_int_equal(uuid_from_text(text, &back), 0);
        assert_true(uuid_equal(u, back));
    }
}

static void test_refused(void **state)
{
    (void)state;
    static const char good[] = "00112233-4455-6677-8899-aabbccddeeff";
    static const char *const bad[] = {
        "",
        "00112233445566778899aabbccddeeff",
        "{00112233-4455-6677-8899-aabbccddeeff}",
        "00112233-4455-6677-8899-AABBCCDDEEFF",
        "00112233-4455-6677-8899-aabbccddeeff ",
        " 00112233-4455-6677-8899-aabbccddeeff",
        "00112233-4455-6677-8899-aabbccddeefff",
        "0011223-34455-6677-8899-aabbccddeeff",
        "00112233_4455_6677_8899_aabbccddeeff",
        "+0112233-4455-6677-8899-aabbccddeeff",
    };
    struct uuid out = {{7}};
    for (size_t i = 0; i < ARRAY_LEN(bad); i++)
        assert_int_equal(uuid_from_text(bad[i], &out), KELPIE_E_INVALID);
    /* Every shorter text, and every place with a character that does not belong there. */
    for (size_t i = 0; i < sizeof(good) - 1; i++) {
        char text[UUID_TEXT_SIZE];
        memcpy(text, good, sizeof(good));
        text[i] = 'g';
        assert_int_equal(uuid_from_text(text, &out), KELPIE_E_INVALID);
        text[i] = '\0';
        assert_int_equal(uuid_from_text(text, &out), KELPIE_E_INVALID);
    }
    assert_int_equal(out.b[0], 7); /* untouched by a failure */
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_text),
        cmocka_unit_test(test_zero),
        cmocka_unit_test(test_round_trip),
        cmocka_unit_test(test_refused),
    };
    return cmocka_run_group_tests_name("uuid", tests, NULL, NULL);
}

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/check.h"
#include "base/crc32c.h"
#include "base/rng.h"

/* RFC 3720 appendix B.4, and the usual check value. */
static void test_vectors(void **state)
{
    (void)state;
    uint8_t zeros[32] = {0}, ones[32], up[32], down[32];
    static const uint8_t scsi_read[48] = {
        0x01, 0xc0, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00,
        0x00, 0x00, 0x00, 0x00, 0x14, 0x00, 0x00, 0x00, 0x00, 0x00, 0x04, 0x00,
        0x00, 0x00, 0x00, 0x14, 0x00, 0x00, 0x00, 0x18, 0x28, 0x00, 0x00, 0x00,
        0x00, 0x00, 0x00, 0x00, 0x02, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00,
    };
    for (size_t i = 0; i < 32; i++) {
        ones[i] = 0xff;
        up[i] = (uint8_t)i;
        down[i] = (uint8_t)(31 - i);
    }
    const struct {
        struct bytes in;
        uint32_t want;
    } table[] = {
        {bytes_of(NULL, 0), 0},
        {bytes_of_str("123456789"), 0xe3069283},
        {bytes_of(zeros, 32), 0x8a9136aa},
        {bytes_of(ones, 32), 0x62a8ab43},
        {bytes_of(up, 32), 0x46dd794e},
        {bytes_of(down, 32), 0x113fdb5c},
        {bytes_of(scsi_read, 48), 0xd9963a56},
    };
    for (size_t i = 0; i < ARRAY_LEN(table); i++) {
        assert_int_equal(crc32c(table[i].in), table[i].want);
        assert_int_equal(crc32c_extend_portable(0, table[i].in), table[i].want);
    }
}

/* The definition, bit by bit. */
static uint32_t slow(uint32_t crc, struct bytes s)
{
    uint32_t c = ~crc;
    for (size_t i = 0; i < s.len; i++) {
        c ^= s.data[i];
        for (int bit = 0; bit < 8; bit++)
            c = c >> 1 ^ (c & 1 ? 0x82f63b78 : 0);
    }
    return ~c;
}

static void test_against_definition(void **state)
{
    (void)state;
    struct rng r;
    uint8_t data[300];
    rng_seed(&r, 1, 0);
    for (int i = 0; i < 3000; i++) {
        size_t start = (size_t)rng_below(&r, 9);
        size_t len = (size_t)rng_below(&r, sizeof(data) - 9);
        uint32_t crc = (uint32_t)rng_u64(&r);
        for (size_t j = 0; j < sizeof(data); j++)
            data[j] = (uint8_t)rng_u64(&r);
        struct bytes s = bytes_of(data + start, len);
        assert_int_equal(crc32c_extend(crc, s), slow(crc, s));
        assert_int_equal(crc32c_extend_portable(crc, s), slow(crc, s));
    }
}

static void test_extend(void **state)
{
    (void)state;
    const char *text = "a checksum of two parts is the checksum of the whole";
    struct bytes all = bytes_of_str(text);
    for (size_t at = 0; at <= all.len; at++) {
        uint32_t first = crc32c(bytes_of(all.data, at));
        assert_int_equal(crc32c_extend(first, bytes_of(all.data + at, all.len - at)), crc32c(all));
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_vectors),
        cmocka_unit_test(test_against_definition),
        cmocka_unit_test(test_extend),
    };
    return cmocka_run_group_tests_name("crc32c", tests, NULL, NULL);
}

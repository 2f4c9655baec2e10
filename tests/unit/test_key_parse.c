/* Keys of the store taken apart: what is accepted, and what is refused. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/rng.h"
#include "kelpie/error.h"
#include "lib/record_samples.h"

#define B(s) bytes_of("" s, sizeof(s) - 1)

static void every_family_parses_back(void **unused)
{
    (void)unused;
    static struct key k[SAMPLE_KEYS_MAX];
    struct keyspace ks = sample_space("kelpie");
    size_t n = sample_keys(&ks, k);
    unsigned seen = 0;
    for (size_t i = 0; i < n; i++) {
        struct key_parts p;
        assert_int_equal(key_parse(&ks, key_bytes(&k[i]), &p), 0);
        struct key again = key_of_parts(&ks, &p);
        assert_true(bytes_equal(key_bytes(&again), key_bytes(&k[i])));
        seen |= 1u << p.family;
    }
    assert_int_equal(seen, (1u << KEY_FAMILY_COUNT) - 2);
}

static void parts_are_the_ones_given(void **unused)
{
    (void)unused;
    struct keyspace ks = sample_space("kelpie");
    struct key_parts p;
    struct key k = key_by_node(&ks, "n1", 77, "room", "lobby");
    assert_int_equal(key_parse(&ks, key_bytes(&k), &p), 0);
    assert_int_equal(p.family, KEY_BY_NODE);
    assert_string_equal(p.node_id, "n1");
    assert_int_equal(p.number, 77);
    assert_string_equal(p.type, "room");
    assert_string_equal(p.id, "lobby");
    k = key_state(&ks, "room", "lobby", B("a\0b"));
    assert_int_equal(key_parse(&ks, key_bytes(&k), &p), 0);
    assert_int_equal(p.family, KEY_STATE);
    assert_int_equal(p.state_key_len, 3);
    assert_memory_equal(p.state_key, "a\0b", 3);
}

/* --- refused -------------------------------------------------------------------------------- */

static void assert_refused(const struct keyspace *ks, struct bytes key)
{
    struct key_parts p;
    memset(&p, 0xaa, sizeof(p));
    assert_int_equal(key_parse(ks, key, &p), KELPIE_E_INVALID);
    assert_int_equal(p.family, KEY_UNKNOWN);
}

static bool is_key(const struct key *k, size_t n, struct bytes key)
{
    for (size_t i = 0; i < n; i++)
        if (bytes_equal(key_bytes(&k[i]), key))
            return true;
    return false;
}

static void cut_and_longer_keys_are_refused(void **unused)
{
    (void)unused;
    static struct key k[SAMPLE_KEYS_MAX];
    struct keyspace ks = sample_space("kelpie");
    size_t n = sample_keys(&ks, k);
    for (size_t i = 0; i < n; i++) {
        /* A state key cut behind an escape's NUL ends well: it is another state key. */
        for (size_t len = 0; len < k[i].len; len++)
            if (!is_key(k, n, bytes_of(k[i].data, len)))
                assert_refused(&ks, bytes_of(k[i].data, len));
        struct key longer = k[i];
        for (unsigned byte = 0; byte < 256; byte++) {
            longer.data[k[i].len] = (uint8_t)byte;
            assert_refused(&ks, bytes_of(longer.data, k[i].len + 1));
        }
    }
}

static void refused(void **unused)
{
    (void)unused;
    struct keyspace ks = sample_space("k");
    struct key foreign;
    struct keyspace beside = sample_space("kk");
    foreign = key_format(&beside);
    assert_refused(&ks, key_bytes(&foreign));
#define NODES                                                                                      \
    "\x02k\0\x02"                                                                                  \
    "cluster\0\x02"                                                                                \
    "nodes\0"
#define CHANGES                                                                                    \
    "\x02k\0\x02"                                                                                  \
    "cluster\0\x02"                                                                                \
    "view_changes\0"
#define SLOT                                                                                       \
    "\x02k\0\x02"                                                                                  \
    "state\0\x02t\0\x02i\0\x02r\0"
#define STATE_KEY                                                                                  \
    "\x02k\0\x02"                                                                                  \
    "state\0\x02t\0\x02i\0\x02k\0"
    assert_refused(&ks, B(NODES "\x02\0")); /* empty id */
    assert_refused(&ks, B(NODES "\x02"
                                "a\0\xff\0"));  /* NUL */
    assert_refused(&ks, B(NODES "\x02\xc3\0")); /* not UTF-8 */
    assert_refused(&ks, B(NODES "\x01"
                                "a\0"));          /* bytes, not a string */
    assert_refused(&ks, B(NODES "\x15\x01"));     /* a number */
    assert_refused(&ks, B(CHANGES "\x16\0\x01")); /* a needless leading byte */
    assert_refused(&ks, B(CHANGES "\x13\xfe"));   /* negative */
    assert_refused(&ks, B(CHANGES "\x1d\x01\x01\x01\x01\x01\x01\x01\x01\x01"));
    assert_refused(&ks, B(SLOT "\x19\x01\0\0\0\0")); /* above 32 bits */
    assert_refused(&ks, B(STATE_KEY "\x01\0"));      /* empty */
    assert_refused(&ks, B(STATE_KEY "\x02"
                                    "a\0")); /* a string, not bytes */
    assert_refused(&ks, B("\x02k\0\x02"
                          "state\0\x02t\0\x02i\0\x02x\0\x15\x01"));
    assert_refused(&ks, B("\x02k\0\x02"
                          "cluster\0\x02other\0"));
    assert_refused(&ks, B("\x02k\0\x02"
                          "registry\0\x02nodes\0\x02"
                          "a\0"));
    uint8_t long_key[sizeof(STATE_KEY) + STATE_KEY_MAX + 3] = STATE_KEY;
    size_t at = sizeof(STATE_KEY) - 1;
    long_key[at] = 1;
    memset(long_key + at + 1, 'x', STATE_KEY_MAX + 1);
    assert_refused(&ks, bytes_of(long_key, at + 1 + STATE_KEY_MAX + 2));
}

/* Whatever is accepted is what the builders make of the parts. */
static void accepts_nothing_else(void **unused)
{
    (void)unused;
    static struct key k[SAMPLE_KEYS_MAX];
    struct keyspace ks = sample_space("kelpie");
    struct rng rng;
    size_t n = sample_keys(&ks, k);
    size_t accepted = 0;
    rng_seed(&rng, 7, 1);
    for (unsigned i = 0; i < 200000; i++) {
        struct key m = k[rng_below(&rng, n)];
        m.data[rng_below(&rng, m.len)] = (uint8_t)rng_below(&rng, 256);
        struct key_parts p;
        if (key_parse(&ks, key_bytes(&m), &p) != 0)
            continue;
        struct key again = key_of_parts(&ks, &p);
        assert_true(bytes_equal(key_bytes(&again), key_bytes(&m)));
        accepted++;
    }
    assert_true(accepted > 1000);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_family_parses_back),
        cmocka_unit_test(parts_are_the_ones_given),
        cmocka_unit_test(cut_and_longer_keys_are_refused),
        cmocka_unit_test(refused),
        cmocka_unit_test(accepts_nothing_else),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

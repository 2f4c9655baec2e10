/* Keys of the store: bytes, lengths, order, ranges. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include <cmocka.h>

#include "base/tuple.h"
#include "kelpie/error.h"
#include "lib/record_samples.h"

#define B(s) bytes_of("" s, sizeof(s) - 1)

/* --- bytes ---------------------------------------------------------------------------------- */

static void assert_hex(struct key k, const char *hex)
{
    char text[2 * STORE_KEY_MAX + 1] = "";
    for (size_t i = 0; i < k.len; i++)
        (void)snprintf(text + 2 * i, 3, "%02x", k.data[i]);
    assert_string_equal(text, hex);
}

#define P "026b00"                     /* "k" */
#define CLUSTER P "02636c757374657200" /* "cluster" */
#define REGISTRY P "02726567697374727900"
#define STATE P "02737461746500"

static void golden_bytes(void **unused)
{
    (void)unused;
    struct keyspace ks = sample_space("k");
    assert_hex(key_format(&ks), CLUSTER "02666f726d617400");
    assert_hex(key_node(&ks, "n1"), CLUSTER "026e6f64657300"
                                            "026e3100");
    assert_hex(key_heartbeat(&ks, "n1"), CLUSTER "026865617274626561747300"
                                                 "026e3100");
    assert_hex(key_probe(&ks, "n1"), CLUSTER "0270726f62657300"
                                             "026e3100");
    assert_hex(key_view(&ks), CLUSTER "026d656d626572736869705f7669657700");
    assert_hex(key_primary(&ks), CLUSTER "027072696d61727900");
    assert_hex(key_term(&ks), CLUSTER "027072696d6172795f7465726d00");
    assert_hex(key_view_change(&ks, 258), CLUSTER "02766965775f6368616e67657300"
                                                  "160102");
    assert_hex(key_actor(&ks, "t", "\xc3\xa9"), REGISTRY "026163746f727300"
                                                         "027400"
                                                         "02c3a900");
    assert_hex(key_by_node(&ks, "n1", 0, "t", "a"), REGISTRY "0262795f6e6f646500"
                                                             "026e3100"
                                                             "14"
                                                             "027400"
                                                             "026100");
    assert_hex(key_migration(&ks, "t", "a"), REGISTRY "026d6967726174696f6e7300"
                                                      "027400"
                                                      "026100");
    assert_hex(key_state(&ks, "t", "a", B("x\0\xff")), STATE "027400"
                                                             "026100"
                                                             "026b00"
                                                             "017800ffff00");
    assert_hex(key_request_slot(&ks, "t", "a", 255), STATE "027400"
                                                           "026100"
                                                           "027200"
                                                           "15ff");
}

/* An element for the reference packer: a string, or a number, or bytes. */
struct element {
    const char *s;
    uint64_t u;
    struct bytes b;
};

/* What base/tuple.h makes of the elements; `kinds` says of what kind each is. */
static void assert_packed(struct key k, const char *kinds, const struct element *elements)
{
    struct buf b;
    buf_init(&b, sample_mem());
    for (size_t i = 0; kinds[i] != '\0'; i++) {
        if (kinds[i] == 's')
            tuple_pack_str(&b, elements[i].s);
        else if (kinds[i] == 'u')
            tuple_pack_uint(&b, elements[i].u);
        else
            tuple_pack_bytes(&b, elements[i].b);
    }
    assert_int_equal(k.len, b.len);
    assert_memory_equal(k.data, b.data, b.len);
    buf_deinit(&b);
}

static void same_as_the_tuple_layer(void **unused)
{
    (void)unused;
    struct keyspace ks = sample_space("kelpie");
    static const struct bytes keys[] = {
        {(const uint8_t *)"a", 1},
        {(const uint8_t *)"\0", 1},
        {(const uint8_t *)"\0\0", 2},
        {(const uint8_t *)"a\0\xff"
                          "b",
         4},
        {(const uint8_t *)"\xff\0", 2},
        {(const uint8_t *)"\0\xff\0", 3},
    };
#define S(text) {.s = (text)}
#define U(v)                                                                                       \
    {                                                                                              \
        .u = (v)                                                                                   \
    }
    assert_packed(key_format(&ks), "sss",
                  (struct element[]){S("kelpie"), S("cluster"), S("format")});
    assert_packed(key_node(&ks, "n\xc3\xbc"), "ssss",
                  (struct element[]){S("kelpie"), S("cluster"), S("nodes"), S("n\xc3\xbc")});
    for (size_t i = 0; i < SAMPLE_NUMBERS; i++) {
        assert_packed(
            key_view_change(&ks, sample_numbers[i]), "sssu",
            (struct element[]){S("kelpie"), S("cluster"), S("view_changes"), U(sample_numbers[i])});
        assert_packed(key_by_node(&ks, "n", sample_numbers[i], "t", "i"), "ssssuss",
                      (struct element[]){S("kelpie"), S("registry"), S("by_node"), S("n"),
                                         U(sample_numbers[i]), S("t"), S("i")});
    }
    for (size_t i = 0; i < ARRAY_LEN(keys); i++)
        assert_packed(
            key_state(&ks, "t", "i", keys[i]), "sssssb",
            (struct element[]){S("kelpie"), S("state"), S("t"), S("i"), S("k"), {.b = keys[i]}});
    assert_packed(
        key_request_slot(&ks, "t", "i", UINT32_MAX), "sssssu",
        (struct element[]){S("kelpie"), S("state"), S("t"), S("i"), S("r"), U(UINT32_MAX)});
}

/* --- lengths -------------------------------------------------------------------------------- */

static char *repeated(char *out, size_t n)
{
    memset(out, 'x', n);
    out[n] = '\0';
    return out;
}

static void the_longest_keys_fit(void **unused)
{
    (void)unused;
    char prefix[KEY_PREFIX_MAX + 1], node[NODE_ID_MAX + 1], type[ACTOR_TYPE_MAX + 1];
    char id[ACTOR_ID_MAX + 1];
    uint8_t nuls[STATE_KEY_MAX] = {0};
    struct keyspace ks = sample_space(repeated(prefix, KEY_PREFIX_MAX));
    struct key_parts parts;
    repeated(node, NODE_ID_MAX);
    repeated(type, ACTOR_TYPE_MAX);
    repeated(id, ACTOR_ID_MAX);

    struct key state = key_state(&ks, type, id, bytes_of(nuls, sizeof(nuls)));
    assert_int_equal(state.len, 482);
    assert_int_equal(key_parse(&ks, key_bytes(&state), &parts), 0);
    assert_int_equal(parts.state_key_len, STATE_KEY_MAX);
    struct key by_node = key_by_node(&ks, node, UINT64_MAX, type, id);
    assert_int_equal(by_node.len, 436);
    assert_int_equal(key_parse(&ks, key_bytes(&by_node), &parts), 0);
    assert_string_equal(parts.node_id, node);
    assert_string_equal(parts.type, type);
    assert_string_equal(parts.id, id);

    /* The ends of ranges are longer by one. */
    assert_true(keys_state(&ks, type, id).end.len <= STORE_KEY_MAX);
    assert_true(keys_by_incarnation(&ks, node, UINT64_MAX).end.len <= STORE_KEY_MAX);
    assert_true(key_migration(&ks, type, id).len <= STORE_KEY_MAX);
    assert_true(key_poison(&ks, type, id, type).len <= STORE_KEY_MAX);
    assert_true(key_request_slot(&ks, type, id, UINT32_MAX).len <= STORE_KEY_MAX);
    assert_true(key_heartbeat(&ks, node).len <= STORE_KEY_MAX);
}

/* --- order and ranges --------------------------------------------------------- */

static void keys_sort_as_their_elements(void **unused)
{
    (void)unused;
    static struct key k[SAMPLE_KEYS_MAX];
    struct keyspace ks = sample_space("kelpie");
    size_t n = sample_keys(&ks, k);
    assert_true(n <= SAMPLE_KEYS_MAX);
    for (size_t i = 1; i < n; i++)
        assert_true(bytes_compare(key_bytes(&k[i - 1]), key_bytes(&k[i])) < 0);
}

static bool in_range(const struct key_range *r, const struct key *k)
{
    return bytes_compare(key_bytes(k), key_bytes(&r->begin)) >= 0 &&
           bytes_compare(key_bytes(k), key_bytes(&r->end)) < 0;
}

/* Asserts that of all keys, of this keyspace and of ones beside it, exactly those lie in the range
 * that are of this family and of these parts (NULL: any; the number within lo..hi). */
static void assert_range(struct key_range r, enum key_family family, const char *node_id,
                         const char *type, uint64_t lo, uint64_t hi)
{
    static struct key k[SAMPLE_KEYS_MAX];
    static const char *const spaces[] = {"j", "kelpi", "kelpie", "kelpie\x01", "l"};
    size_t found = 0;
    assert_true(bytes_compare(key_bytes(&r.begin), key_bytes(&r.end)) < 0);
    for (size_t s = 0; s < ARRAY_LEN(spaces); s++) {
        struct keyspace ks = sample_space(spaces[s]);
        size_t n = sample_keys(&ks, k);
        for (size_t i = 0; i < n; i++) {
            struct key_parts p;
            assert_int_equal(key_parse(&ks, key_bytes(&k[i]), &p), 0);
            bool child = s == 2 && p.family == family &&
                         (!node_id || !strcmp(p.node_id, node_id)) &&
                         (!type || !strcmp(p.type, type)) && p.number >= lo && p.number <= hi;
            assert_int_equal(in_range(&r, &k[i]), child);
            found += child;
        }
    }
    assert_true(found > 0);
}

static void ranges_hold_exactly_their_children(void **unused)
{
    (void)unused;
    struct keyspace ks = sample_space("kelpie");
    assert_range(keys_nodes(&ks), KEY_NODE, NULL, NULL, 0, UINT64_MAX);
    assert_range(keys_heartbeats(&ks), KEY_HEARTBEAT, NULL, NULL, 0, UINT64_MAX);
    assert_range(keys_probes(&ks), KEY_PROBE, NULL, NULL, 0, UINT64_MAX);
    assert_range(keys_actors(&ks), KEY_ACTOR, NULL, NULL, 0, UINT64_MAX);
    assert_range(keys_actors_of_type(&ks, "t"), KEY_ACTOR, NULL, "t", 0, UINT64_MAX);
    assert_range(keys_actors_of_type(&ks, "tt"), KEY_ACTOR, NULL, "tt", 0, UINT64_MAX);
    assert_range(keys_poison_all(&ks), KEY_POISON, NULL, NULL, 0, UINT64_MAX);
    assert_range(keys_by_node_all(&ks), KEY_BY_NODE, NULL, NULL, 0, UINT64_MAX);
    assert_range(keys_by_node(&ks, "a"), KEY_BY_NODE, "a", NULL, 0, UINT64_MAX);
    assert_range(keys_by_node(&ks, "ab"), KEY_BY_NODE, "ab", NULL, 0, UINT64_MAX);
    assert_range(keys_by_incarnation(&ks, "a", 0), KEY_BY_NODE, "a", NULL, 0, 0);
    assert_range(keys_by_incarnation(&ks, "a", 1), KEY_BY_NODE, "a", NULL, 1, 1);
    assert_range(keys_by_incarnation(&ks, "a", UINT64_MAX), KEY_BY_NODE, "a", NULL, UINT64_MAX,
                 UINT64_MAX);
    for (size_t i = 0; i < SAMPLE_NUMBERS; i++) {
        uint64_t v = sample_numbers[i];
        assert_range(keys_view_changes_upto(&ks, v), KEY_VIEW_CHANGE, NULL, NULL, 0, v);
        if (v < UINT64_MAX)
            assert_range(keys_view_changes_after(&ks, v), KEY_VIEW_CHANGE, NULL, NULL, v + 1,
                         UINT64_MAX);
    }
    struct key_range none = keys_view_changes_after(&ks, UINT64_MAX);
    struct key last = key_view_change(&ks, UINT64_MAX);
    assert_false(in_range(&none, &last));
}

static void ranges_of_several_families(void **unused)
{
    (void)unused;
    static struct key k[SAMPLE_KEYS_MAX];
    struct keyspace ks = sample_space("kelpie");
    struct keyspace other = sample_space("kelpie2");
    struct key_range all = keys_all(&ks);
    struct key_range state = keys_state(&ks, "t", "a");
    struct key_range head_and_state = keys_head_and_state(&ks, "t", "a");
    struct key_range rows = keys_state_rows(&ks, "t", "a");
    struct key_range requests = keys_remembered(&ks, "t", "a");
    struct key_range slots = keys_request_slots(&ks, "t", "a");
    struct key_range bucket = keys_remembered_in(&ks, "t", "a", 0);
    size_t n = sample_keys(&ks, k);
    for (size_t i = 0; i < n; i++) {
        struct key_parts p;
        assert_true(in_range(&all, &k[i]));
        assert_int_equal(key_parse(&ks, key_bytes(&k[i]), &p), 0);
        bool own = p.family >= KEY_STATE && p.family <= KEY_REQUEST_SLOT && !strcmp(p.id, "a");
        bool head = own && p.family == KEY_HEAD, row = own && p.family == KEY_STATE;
        bool slot = own && p.family == KEY_REQUEST_SLOT;
        bool remembered = own && p.family == KEY_REMEMBERED;
        assert_int_equal(in_range(&state, &k[i]), own);
        assert_int_equal(in_range(&head_and_state, &k[i]), head || row);
        assert_int_equal(in_range(&rows, &k[i]), row);
        assert_int_equal(in_range(&requests, &k[i]), slot || remembered);
        assert_int_equal(in_range(&slots, &k[i]), slot);
        assert_int_equal(in_range(&bucket, &k[i]), remembered && p.number == 0);
    }
    n = sample_keys(&other, k);
    for (size_t i = 0; i < n; i++)
        assert_false(in_range(&all, &k[i]) || in_range(&state, &k[i]));
}

static void prefixes(void **unused)
{
    (void)unused;
    struct keyspace ks;
    assert_int_equal(keyspace_init(&ks, ""), KELPIE_E_INVALID);
    assert_int_equal(keyspace_init(&ks, "1234567890123456"), 0);
    assert_string_equal(ks.prefix, "1234567890123456");
    assert_int_equal(keyspace_init(&ks, "12345678901234567"), KELPIE_E_INVALID);
    assert_int_equal(keyspace_init(&ks, "\xff"), KELPIE_E_INVALID);
    assert_int_equal(keyspace_init(&ks, "k\xc3\xa9"), 0);
}

static void ids(void **unused)
{
    (void)unused;
    char why[200];
    assert_int_equal(id_check("node id", B("n1"), 128, why, sizeof(why)), 0);
    assert_string_equal(why, "");
    assert_int_equal(id_check("node id", B("n\xc3\xa9"), 3, why, sizeof(why)), 0);
    assert_int_equal(id_check("node id", B(""), 128, why, sizeof(why)), KELPIE_E_INVALID);
    assert_string_equal(why, "node id is empty; give 1 to 128 bytes");
    assert_int_equal(id_check("actor type", B("abcd"), 3, why, sizeof(why)), KELPIE_E_INVALID);
    assert_string_equal(why, "actor type \"abcd\" is 4 bytes long; give at most 3");
    assert_int_equal(id_check("actor id", B("a\0b"), 9, why, sizeof(why)), KELPIE_E_INVALID);
    assert_string_equal(why, "actor id \"a\\x00b\" contains a NUL byte; leave it out");
    assert_int_equal(id_check("actor id", B("\xed\xa0\x80"), 9, why, sizeof(why)),
                     KELPIE_E_INVALID);
    assert_string_equal(why, "actor id \"\\xed\\xa0\\x80\" is not UTF-8; encode it so");
    /* A long value is shown in part, a small buffer is respected. */
    char big[100];
    memset(big, '\n', sizeof(big));
    assert_int_equal(id_check("x", bytes_of(big, sizeof(big)), 9, why, sizeof(why)),
                     KELPIE_E_INVALID);
    assert_non_null(strstr(why, "\\x0a\"... is 100 bytes long; give at most 9"));
    assert_int_equal(id_check("node id", B(""), 9, why, 5), KELPIE_E_INVALID);
    assert_string_equal(why, "node");
    assert_int_equal(id_check("node id", B(""), 9, NULL, 0), KELPIE_E_INVALID);
    assert_int_equal(id_check("node id", B("a"), 9, NULL, 0), 0);
}

static void paths(void **unused)
{
    (void)unused;
    struct keyspace ks = sample_space("kelpie");
    struct {
        struct key key;
        const char *text;
    } table[] = {
        {key_format(&ks), "cluster/format"},
        {key_node(&ks, "n1"), "cluster/nodes/n1"},
        {key_heartbeat(&ks, "a/b"), "cluster/heartbeats/a%2Fb"},
        {key_probe(&ks, "\xc3\xa9\xc2\x9b"), "cluster/probes/\xc3\xa9%C2%9B"},
        {key_view(&ks), "cluster/membership_view"},
        {key_primary(&ks), "cluster/primary"},
        {key_term(&ks), "cluster/primary_term"},
        {key_view_change(&ks, 0), "cluster/view_changes/0"},
        {key_actor(&ks, "room", "50%"), "registry/actors/room/50%25"},
        {key_by_node(&ks, "n1", 3, "room", "a b"), "registry/by_node/n1/3/room/a%20b"},
        {key_migration(&ks, "room", "x"), "registry/migrations/room/x"},
        {key_state(&ks, "room", "x", B("\0\xff")), "state/room/x/k/%00%FF"},
        {key_request_slot(&ks, "room", "x", 0), "state/room/x/r/0"},
    };
    struct buf b;
    buf_init(&b, sample_mem());
    for (size_t i = 0; i < ARRAY_LEN(table); i++) {
        buf_clear(&b);
        key_to_text(&ks, key_bytes(&table[i].key), &b);
        buf_append_u8(&b, 0);
        assert_string_equal((const char *)b.data, table[i].text);
    }
    buf_clear(&b);
    key_to_text(&ks, B("\x02x\0\x15\x07"), &b);
    buf_append_u8(&b, 0);
    assert_string_equal((const char *)b.data, "(\"x\", 7)");
    buf_deinit(&b);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(golden_bytes),
        cmocka_unit_test(same_as_the_tuple_layer),
        cmocka_unit_test(the_longest_keys_fit),
        cmocka_unit_test(keys_sort_as_their_elements),
        cmocka_unit_test(ranges_hold_exactly_their_children),
        cmocka_unit_test(ranges_of_several_families),
        cmocka_unit_test(prefixes),
        cmocka_unit_test(ids),
        cmocka_unit_test(paths),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

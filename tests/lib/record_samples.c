#include "lib/record_samples.h"

#include "kelpie/error.h"
#include "support/test_mem.h"

#define B(s) bytes_of("" s, sizeof(s) - 1)

static struct test_mem counts;

struct mem sample_mem(void)
{
    return test_mem(&counts);
}

size_t sample_mem_held(void)
{
    return counts.held;
}

struct keyspace sample_space(const char *prefix)
{
    struct keyspace ks;
    CHECK(keyspace_init(&ks, prefix) == 0);
    return ks;
}

const uint64_t sample_numbers[SAMPLE_NUMBERS] = {
    0,
    1,
    127,
    128,
    255,
    256,
    65535,
    65536,
    0xffffff,
    0x1000000,
    UINT32_MAX,
    UINT64_C(1) << 32,
    0xffffffffff,
    UINT64_C(1) << 40,
    UINT64_C(1) << 48,
    UINT64_C(1) << 56,
    INT64_MAX,
    (uint64_t)INT64_MAX + 1,
    UINT64_MAX - 1,
    UINT64_MAX,
};

static const struct message_at places[] = {
    {.sender = {.b = {0}}, .generation = 1, .number = 1},
    {.sender = {.b = {0}}, .generation = 1, .number = 256},
    {.sender = {.b = {0}}, .generation = 2, .number = 2},
    {.sender = {.b = {[15] = 1}}, .generation = UINT64_MAX, .number = UINT64_MAX},
};

static const struct message_at *later(const struct message_at *at, size_t which)
{
    static const uint64_t dues[] = {1, 1700000000000u, UINT64_MAX};
    static struct message_at out;
    out = *at;
    out.due_ms = dues[which];
    return &out;
}

size_t sample_keys(const struct keyspace *ks, struct key k[SAMPLE_KEYS_MAX])
{
    size_t n = 0;
    k[n++] = key_format(ks);
    k[n++] = key_founded(ks);
    k[n++] = key_heartbeat(ks, "a");
    k[n++] = key_heartbeat(ks, "ab");
    k[n++] = key_heartbeat(ks, "b");
    k[n++] = key_incarnation_floor(ks);
    k[n++] = key_view(ks);
    k[n++] = key_node(ks, "\x01");
    k[n++] = key_node(ks, "a");
    k[n++] = key_node(ks, "a\x01");
    k[n++] = key_node(ks, "\xf4\x8f\xbf\xbf");
    k[n++] = key_primary(ks);
    k[n++] = key_term(ks);
    k[n++] = key_probe(ks, "a");
    for (size_t i = 0; i < SAMPLE_NUMBERS; i++)
        k[n++] = key_view_change(ks, sample_numbers[i]);
    for (size_t i = 0; i < ARRAY_LEN(places); i++)
        k[n++] = key_dead(ks, "t", "a", &places[i]);
    for (uint32_t shard = 0; shard < 2; shard++)
        for (size_t due = 0; due < 3; due++)
            for (size_t i = 0; i < ARRAY_LEN(places); i++)
                k[n++] = key_due(ks, shard, "t", "a", later(&places[i], due));
    for (size_t i = 0; i < ARRAY_LEN(places); i++)
        k[n++] = key_inbox(ks, 0, "t", "a", &places[i]);
    k[n++] = key_inbox(ks, 0, "t", "aa", &places[0]);
    k[n++] = key_inbox(ks, UINT32_MAX, "t", "a", &places[0]);
    for (size_t due = 0; due < 3; due++)
        for (size_t i = 0; i < ARRAY_LEN(places); i++)
            k[n++] = key_later(ks, "t", "a", later(&places[i], due));
    k[n++] = key_named(ks, "t", "a", B("\0"));
    k[n++] = key_named(ks, "t", "a", B("x"));
    k[n++] = key_named(ks, "t", "a", B("x\xff"));
    k[n++] = key_actor(ks, "t", "a");
    k[n++] = key_actor(ks, "t", "aa");
    k[n++] = key_actor(ks, "t", "b");
    k[n++] = key_actor(ks, "tt", "a");
    k[n++] = key_by_node(ks, "a", 0, "t", "x");
    k[n++] = key_by_node(ks, "a", 1, "t", "x");
    k[n++] = key_by_node(ks, "a", 1, "u", "a");
    k[n++] = key_by_node(ks, "a", 256, "t", "x");
    k[n++] = key_by_node(ks, "a", UINT64_MAX, "t", "x");
    k[n++] = key_by_node(ks, "ab", 1, "t", "x");
    k[n++] = key_generation_floor(ks);
    k[n++] = key_migration(ks, "t", "a");
    k[n++] = key_poison(ks, "t", "a", "");
    k[n++] = key_poison(ks, "t", "a", "m");
    k[n++] = key_poison(ks, "t", "ab", "");
    k[n++] = key_types(ks, "a");
    k[n++] = key_types(ks, "ab");
    k[n++] = key_head(ks, "t", "a");
    k[n++] = key_state(ks, "t", "a", B("\0"));
    k[n++] = key_state(ks, "t", "a", B("\0\0"));
    k[n++] = key_state(ks, "t", "a", B("\0\x01"));
    k[n++] = key_state(ks, "t", "a", B("\x01"));
    k[n++] = key_state(ks, "t", "a", B("\xff"));
    k[n++] = key_state(ks, "t", "a", B("\xff\xff"));
    k[n++] = key_remembered(ks, "t", "a", 0, (struct uuid){.b = {0}});
    k[n++] = key_remembered(ks, "t", "a", 0, (struct uuid){.b = {[15] = 1}});
    k[n++] = key_remembered(ks, "t", "a", 255, (struct uuid){.b = {255}});
    k[n++] = key_remembered(ks, "t", "a", UINT64_MAX, (struct uuid){.b = {0}});
    k[n++] = key_request_slot(ks, "t", "a", 0);
    k[n++] = key_request_slot(ks, "t", "a", 255);
    k[n++] = key_request_slot(ks, "t", "a", 256);
    k[n++] = key_state(ks, "t", "ab", B("x"));
    CHECK(n <= SAMPLE_KEYS_MAX);
    return n;
}

struct key key_of_parts(const struct keyspace *ks, const struct key_parts *p)
{
    const struct message_at at = {
        .due_ms = p->due_ms, .sender = p->hash, .generation = p->generation, .number = p->number};
    switch (p->family) {
    case KEY_INBOX:
        return key_inbox(ks, p->shard, p->type, p->id, &at);
    case KEY_LATER:
        return key_later(ks, p->type, p->id, &at);
    case KEY_DUE:
        return key_due(ks, p->shard, p->type, p->id, &at);
    case KEY_NAMED:
        return key_named(ks, p->type, p->id, bytes_of(p->state_key, p->state_key_len));
    case KEY_DEAD:
        return key_dead(ks, p->type, p->id, &at);
    case KEY_FORMAT:
        return key_format(ks);
    case KEY_NODE:
        return key_node(ks, p->node_id);
    case KEY_HEARTBEAT:
        return key_heartbeat(ks, p->node_id);
    case KEY_PROBE:
        return key_probe(ks, p->node_id);
    case KEY_VIEW:
        return key_view(ks);
    case KEY_PRIMARY:
        return key_primary(ks);
    case KEY_TERM:
        return key_term(ks);
    case KEY_INCARNATION_FLOOR:
        return key_incarnation_floor(ks);
    case KEY_FOUNDED:
        return key_founded(ks);
    case KEY_VIEW_CHANGE:
        return key_view_change(ks, p->number);
    case KEY_ACTOR:
        return key_actor(ks, p->type, p->id);
    case KEY_BY_NODE:
        return key_by_node(ks, p->node_id, p->number, p->type, p->id);
    case KEY_MIGRATION:
        return key_migration(ks, p->type, p->id);
    case KEY_TYPES:
        return key_types(ks, p->node_id);
    case KEY_POISON:
        return key_poison(ks, p->type, p->id, p->method);
    case KEY_GENERATION_FLOOR:
        return key_generation_floor(ks);
    case KEY_STATE:
        return key_state(ks, p->type, p->id, bytes_of(p->state_key, p->state_key_len));
    case KEY_HEAD:
        return key_head(ks, p->type, p->id);
    case KEY_REMEMBERED:
        return key_remembered(ks, p->type, p->id, p->number, p->hash);
    case KEY_REQUEST_SLOT:
        return key_request_slot(ks, p->type, p->id, (uint32_t)p->number);
    case KEY_FAMILY_COUNT:
    case KEY_UNKNOWN:
        break;
    }
    check_failed("a known family", __FILE__, __LINE__);
}

/* --- records -------------------------------------------------------------------------------- */

#define UUID_1                                                                                     \
    {                                                                                              \
        .b = {                                                                                     \
            0x00,                                                                                  \
            0x11,                                                                                  \
            0x22,                                                                                  \
            0x33,                                                                                  \
            0x44,                                                                                  \
            0x55,                                                                                  \
            0x66,                                                                                  \
            0x77,                                                                                  \
            0x88,                                                                                  \
            0x99,                                                                                  \
            0xaa,                                                                                  \
            0xbb,                                                                                  \
            0xcc,                                                                                  \
            0xdd,                                                                                  \
            0xee,                                                                                  \
            0xff                                                                                   \
        }                                                                                          \
    }
#define UUID_1_HEX "3000112233445566778899aabbccddeeff"
#define UUID_1_TEXT "00112233-4455-6677-8899-aabbccddeeff"
#define UUID_FF                                                                                    \
    {                                                                                              \
        .b = { 255, 255, 255, 255, 255, 255, 255, 255, 255, 255, 255, 255, 255, 255, 255, 255 }    \
    }
#define X8 "xxxxxxxx"
#define X32 X8 X8 X8 X8
#define X64 X32 X32
#define X128 X64 X64

static const struct format_record format_1 = {.version = 1, .cluster_id = UUID_1};
static const struct node_record node_1 = {.state = NODE_ACTIVE,
                                          .incarnation = 3,
                                          .boot = UUID_1,
                                          .touched = 2,
                                          .addr = "10.0.0.1:7000",
                                          .http_addr = "10.0.0.1:8080",
                                          .lease_ms = 10000,
                                          .format_max = 1,
                                          .class_count = 2,
                                          .classes = {"room", "session"}};
static const struct heartbeat_record heartbeat_1 = {.incarnation = 3,
                                                    .boot = UUID_1,
                                                    .counter = 1000,
                                                    .ack = 7,
                                                    .load = 12,
                                                    .unreachable_count = 1,
                                                    .unreachable = {{"n2", 4}}};
static const struct probe_record probe_1 = {.boot = UUID_1, .counter = 5};
static const struct view_record view_1 = {.number = 7,
                                          .count = 3,
                                          .hash_hi = UINT64_C(0x0123456789abcdef),
                                          .hash_lo = UINT64_C(0xfedcba9876543210)};
static const struct primary_record primary_1 = {
    .node_id = "n1", .incarnation = 3, .boot = UUID_1, .term = 9};
static const struct term_record term_1 = {.term = 9};
static const struct incarnation_floor_record incarnation_floor_1 = {.incarnation = 12};
static const struct founded_record founded_1 = {.cluster_id = UUID_1};
static const struct view_change_record view_change_1 = {
    .kind = VIEW_ADD, .node_id = "n1", .incarnation = 3, .boot = UUID_1, .addr = "10.0.0.1:7000"};
static const struct placement_record placement_1 = {
    .placed = true, .node_id = "n1", .incarnation = 3, .boot = UUID_1, .generation = 4};
static const struct by_node_record by_node_1 = {.generation = 4};
static const struct migration_record migration_1 = {
    .source = "n1", .target = "n2", .generation = 4};
static const struct state_record state_1 = {.value = {(const uint8_t *)"a\0b", 3}};
static const struct head_record head_1 = {.number = 7,
                                          .generation = 4,
                                          .own_ms = 95000,
                                          .horizon_ms = 4400,
                                          .rows = 1,
                                          .sum = UINT64_C(0x0123456789abcdef),
                                          .class_version = 2,
                                          .expire_ms = 3600000,
                                          .bucket_count = 2,
                                          .buckets = {{90601, 6, 12}, {95000, 1, 2}}};
static const struct types_record types_1 = {.incarnation = 3,
                                            .boot = UUID_1,
                                            .number = 9,
                                            .count = 2,
                                            .types = {{"room", 0}, {"session", 7}}};
static const struct generation_floor_record generation_floor_1 = {.generation = 12};
static const struct remembered_record remembered_1 = {.request_id = "req-1",
                                                      .number = 7,
                                                      .generation = 4,
                                                      .fingerprint = UUID_1,
                                                      .status = -8,
                                                      .reply_kept = true,
                                                      .reply = {(const uint8_t *)"ok", 2}};
static const struct request_record request_1 = {.request_id = "req-1",
                                                .sequence = 257,
                                                .generation = 4,
                                                .status = -8,
                                                .reply_kept = true,
                                                .reply = {(const uint8_t *)"ok", 2}};

static const struct message_record message_1 = {.sender_type = "room",
                                                .sender_id = "hall",
                                                .method = "knock",
                                                .sent_ms = 1700000000000u,
                                                .attempts = 1,
                                                .error = -8,
                                                .again_ms = 1700000000100u,
                                                .body = {(const uint8_t *)"a\0b", 3}};
static const struct message_record later_1 = {.sender_type = "room",
                                              .sender_id = "hall",
                                              .method = "tick",
                                              .sent_ms = 1700000000000u,
                                              .due_ms = 1700000001000u,
                                              .every_ms = 1000,
                                              .tried = 4,
                                              .name_len = 1,
                                              .name = "t"};
static const struct poison_record poison_1 = {.deaths = 2,
                                              .died_ms = 1700000000000u,
                                              .until_ms = 1700000060000u,
                                              .boot = UUID_1,
                                              .callback = "receive",
                                              .request_id = "req-1"};
static const struct due_record due_1 = {.sent_ms = 1700000000000u};
static const struct named_record named_1 = {
    .type = "room",
    .id = "lobby",
    .at = {.due_ms = 1700000001000u, .sender = UUID_1, .generation = 4, .number = 2}};

/* The hexadecimal values were packed by another implementation of tuples and CRC-32C. */
static const struct record_sample plain[] = {
    {"format", KEY_FORMAT, &format_1, "15011501" UUID_1_HEX "18686a4f92",
     " version=1 cluster_id=" UUID_1_TEXT},
    {"node", KEY_NODE, &node_1,
     "150115021503" UUID_1_HEX "1415022602"
     "31302e302e302e313a37303030000231302e302e302e313a38303830001627101501150202726f6f6d00"
     "0273657373696f6e0018e92fdc17",
     " state=Active incarnation=3 boot=" UUID_1_TEXT
     " gone_view=0 touched=2 flagged=false addr=\"10.0.0.1:7000\" http_addr=\"10.0.0.1:8080\" lease_ms=10000"
     " format_max=1"
     " class=\"room\" class=\"session\""},
    {"heartbeat", KEY_HEARTBEAT, &heartbeat_1,
     "15011503" UUID_1_HEX "1603e81507150c1501026e3200150418e432ea3d",
     " incarnation=3 boot=" UUID_1_TEXT " counter=1000 ack=7 load=12 unreachable=\"n2\""},
    {"probe", KEY_PROBE, &probe_1, "1501" UUID_1_HEX "150518fef87598",
     " boot=" UUID_1_TEXT " counter=5"},
    {"view", KEY_VIEW, &view_1, "1501150715031c0123456789abcdef1cfedcba9876543210185edf22ef",
     " number=7 count=3 hash=0123456789abcdeffedcba9876543210"},
    {"primary", KEY_PRIMARY, &primary_1, "150126026e31001503" UUID_1_HEX "150918a142b604",
     " vacant=false node=\"n1\" incarnation=3 boot=" UUID_1_TEXT " term=9"},
    {"term", KEY_TERM, &term_1, "15011509181a7849c8", " term=9"},
    {"incarnation_floor", KEY_INCARNATION_FLOOR, &incarnation_floor_1, "1501150c189b50b4cc",
     " incarnation=12"},
    {"founded", KEY_FOUNDED, &founded_1, "1501" UUID_1_HEX "18f68bad95",
     " cluster_id=" UUID_1_TEXT},
    {"view_change", KEY_VIEW_CHANGE, &view_change_1,
     "150114026e31001503" UUID_1_HEX "0231302e302e302e313a3730303000183be7058e",
     " kind=add node=\"n1\" incarnation=3 boot=" UUID_1_TEXT " addr=\"10.0.0.1:7000\""},
    {"placement", KEY_ACTOR, &placement_1, "150127026e31001503" UUID_1_HEX "150418f2ec7ecf",
     " placed=true node=\"n1\" incarnation=3 boot=" UUID_1_TEXT " generation=4"},
    {"by_node", KEY_BY_NODE, &by_node_1, "1501150418d2a19b22", " generation=4"},
    {"migration", KEY_MIGRATION, &migration_1, "1501026e3100026e32001504188b63d22c",
     " source=\"n1\" target=\"n2\" generation=4"},
    {"state", KEY_STATE, &state_1, "1501016100ff6200185295f1b2", " value_bytes=3 value=\"a%00b\""},
    {"head", KEY_HEAD, &head_1,
     "1502150715041701731816113015011c0123456789abcdef150214141736ee801502170161e91506150c170173"
     "181501150218b53427bb",
     " number=7 generation=4 own_ms=95000 horizon_ms=4400 rows=1 sum=0123456789abcdef"
     " class_version=2 slots_until_ms=0 sent=0 expire_ms=3600000 bucket=90601:6:12 bucket=95000:1:2"},
    {"types", KEY_TYPES, &types_1,
     "15011503" UUID_1_HEX "1509150202726f6f6d00140273657373696f6e0015071853bfc2d6",
     " incarnation=3 boot=" UUID_1_TEXT " number=9 type=\"room\" type_version=0"
     " type=\"session\" type_version=7"},
    {"generation_floor", KEY_GENERATION_FLOOR, &generation_floor_1, "1501150c1831923901",
     " generation=12"},
    {"remembered", KEY_REMEMBERED, &remembered_1,
     "1502027265712d310015071504" UUID_1_HEX "13f727016f6b0018d09343b5",
     " request_id=\"req-1\" number=7 generation=4 fingerprint=" UUID_1_TEXT
     " status=-8 reply_kept=true reply_bytes=2 reply=\"ok\""},
    {"request", KEY_REQUEST_SLOT, &request_1,
     "1501027265712d3100160101150413f727016f6b0018b53d89bc",
     " request_id=\"req-1\" sequence=257 generation=4 status=-8 reply_kept=true reply_bytes=2"
     " reply=\"ok\""},
    {"poison", KEY_POISON, &poison_1,
     "150215021a018bcfe568001a018bcfe65260" UUID_1_HEX "027265636569766500027265712d3100187486aa1d",
     " deaths=2 died_ms=1700000000000 until_ms=1700000060000 boot=" UUID_1_TEXT
     " callback=\"receive\" request_id=\"req-1\""},
    {"inbox", KEY_INBOX, &message_1,
     "150202726f6f6d000268616c6c00026b6e6f636b001a018bcfe5680014141a018bcfe56864150113f714010014016100ff620018c9c084da",
     " sender_type=\"room\" sender_id=\"hall\" method=\"knock\" sent_ms=1700000000000 due_ms=0"
     " every_ms=0 again_ms=1700000000100 attempts=1 error=-8 tried=0 name_bytes=0 name=\"\""
     " body_bytes=3 body=\"a%00b\""},
    {"later", KEY_LATER, &later_1,
     "150202726f6f6d000268616c6c00027469636b001a018bcfe568001a018bcfe56be81603e8141414150401740014010018c5479a6e",
     " sender_type=\"room\" sender_id=\"hall\" method=\"tick\" sent_ms=1700000000000"
     " due_ms=1700000001000 every_ms=1000 again_ms=0 attempts=0 error=0 tried=4 name_bytes=1"
     " name=\"t\" body_bytes=0 body=\"\""},
    {"due", KEY_DUE, &due_1, "15021a018bcfe5680018c8b2b127", " sent_ms=1700000000000"},
    {"named", KEY_NAMED, &named_1,
     "150202726f6f6d00026c6f626279001a018bcfe56be83000112233445566778899aabbccddeeff15041502187e7ce69e",
     " type=\"room\" id=\"lobby\" due_ms=1700000001000 sender=" UUID_1_TEXT
     " generation=4 number=2"},
    {"dead", KEY_DEAD, &message_1,
     "150202726f6f6d000268616c6c00026b6e6f636b001a018bcfe5680014141a018bcfe56864150113f714010014016100ff6200186923712e",
     NULL},
};

static const struct format_record format_max = {.version = UINT64_MAX, .cluster_id = UUID_FF};
static const struct node_record node_zero;
static struct node_record node_max = {.state = NODE_FAILED,
                                      .incarnation = UINT64_MAX,
                                      .boot = UUID_FF,
                                      .gone_view = UINT64_MAX,
                                      .touched = UINT64_MAX,
                                      .flagged = true,
                                      .addr = X32 X8 X8 X8 "xxxxxxx",
                                      .http_addr = X32 X8 X8 X8 "xxxxxxx",
                                      .lease_ms = UINT32_MAX,
                                      .format_max = UINT32_MAX,
                                      .class_count = CLASS_COUNT_MAX};
static const struct heartbeat_record heartbeat_zero;
static struct heartbeat_record heartbeat_max = {.incarnation = UINT64_MAX,
                                                .boot = UUID_FF,
                                                .counter = UINT64_MAX,
                                                .ack = (uint64_t)INT64_MAX + 1,
                                                .load = UINT64_MAX,
                                                .unreachable_count = UNREACHABLE_MAX};
static const struct probe_record probe_max = {.boot = UUID_FF, .counter = UINT64_MAX};
static const struct view_record view_zero;
static const struct primary_record primary_vacant = {.vacant = true, .term = UINT64_MAX};
static const struct primary_record primary_max = {
    .node_id = X128, .incarnation = UINT64_MAX, .boot = UUID_FF, .term = UINT64_MAX};
static const struct term_record term_zero;
static const struct incarnation_floor_record incarnation_floor_max = {.incarnation = UINT64_MAX};
static const struct view_change_record view_change_max = {.kind = VIEW_REMOVE,
                                                          .node_id = X128,
                                                          .incarnation = UINT64_MAX,
                                                          .boot = UUID_FF,
                                                          .addr = X32 X8 X8 X8 "xxxxxxx"};
static const struct placement_record placement_zero;
static const struct placement_record placement_max = {.placed = true,
                                                      .node_id = X128,
                                                      .incarnation = UINT64_MAX,
                                                      .boot = UUID_FF,
                                                      .generation = UINT64_MAX};
static const struct by_node_record by_node_zero;
static const struct types_record types_zero;
static struct types_record types_max = {
    .incarnation = UINT64_MAX, .boot = UUID_FF, .number = UINT64_MAX, .count = CLASS_COUNT_MAX};
static const struct migration_record migration_max = {
    .source = X128, .target = X128, .generation = UINT64_MAX};
static const struct state_record state_empty = {.value = {(const uint8_t *)"", 0}};
static const uint8_t many_nuls[32u * 1024];
static const struct state_record state_nuls = {.value = {many_nuls, 1000}};
static const struct state_record state_big = {.value = {many_nuls, sizeof(many_nuls)}};
static const struct head_record head_zero;
static struct head_record head_max = {.number = UINT64_MAX,
                                      .generation = UINT64_MAX,
                                      .own_ms = UINT64_MAX,
                                      .horizon_ms = UINT64_MAX,
                                      .rows = UINT64_MAX,
                                      .sum = UINT64_MAX,
                                      .class_version = UINT32_MAX,
                                      .slots_until_ms = UINT64_MAX,
                                      .sent = UINT64_MAX,
                                      .expire_ms = UINT64_MAX,
                                      .bucket_count = HEAD_BUCKETS_MAX};
static const struct remembered_record remembered_lost = {
    .request_id = X64, .number = UINT64_MAX, .generation = UINT64_MAX, .status = -KELPIE_ERROR_MAX};
static const struct remembered_record remembered_max = {.request_id = X64,
                                                        .fingerprint = UUID_FF,
                                                        .status = 0,
                                                        .reply_kept = true,
                                                        .reply = {many_nuls, REPLY_KEPT_MAX}};
static const struct request_record request_lost = {.request_id = X64,
                                                   .sequence = UINT64_MAX,
                                                   .generation = UINT64_MAX,
                                                   .status = -KELPIE_ERROR_MAX};
static const struct request_record request_max = {
    .request_id = X64, .status = 0, .reply_kept = true, .reply = {many_nuls, REPLY_KEPT_MAX}};

static const struct format_record format_sharded = {
    .version = 2, .cluster_id = UUID_1, .shards = SHARDS_MAX};
static const uint8_t all_nuls[MESSAGE_BODY_MAX];
static uint8_t most_nuls[MESSAGE_BODY_MAX];
static struct message_record message_max = {.sender_type = X64,
                                            .sender_id = X128 X64,
                                            .method = X64,
                                            .sent_ms = UINT64_MAX,
                                            .due_ms = UINT64_MAX,
                                            .every_ms = UINT64_MAX,
                                            .again_ms = UINT64_MAX,
                                            .attempts = UINT32_MAX,
                                            .error = -KELPIE_ERROR_MAX,
                                            .tried = UINT64_MAX,
                                            .name_len = MESSAGE_NAME_MAX,
                                            .body = {most_nuls, sizeof(most_nuls)}};
static const struct message_record message_nuls = {
    .sender_type = "t", .sender_id = "i", .method = "m", .body = {all_nuls, sizeof(all_nuls)}};
static const struct poison_record poison_max = {.deaths = UINT32_MAX,
                                                .died_ms = UINT64_MAX,
                                                .until_ms = UINT64_MAX,
                                                .boot = UUID_FF,
                                                .callback = "fifteen letters",
                                                .request_id = X64};
static const struct due_record due_max = {.sent_ms = UINT64_MAX};
static const struct named_record named_max = {
    .type = X64, .id = X128 X64, .at = {UINT64_MAX, UUID_FF, UINT64_MAX, UINT64_MAX}};

static const struct record_sample extreme[] = {
    {"format, shards", KEY_FORMAT, &format_sharded, NULL,
     " version=2 cluster_id=" UUID_1_TEXT " shards=64"},
    {"message, greatest", KEY_INBOX, &message_max, NULL, NULL},
    {"message, NULs", KEY_DEAD, &message_nuls, NULL, NULL},
    {"poison, greatest", KEY_POISON, &poison_max, NULL, NULL},
    {"due, greatest", KEY_DUE, &due_max, NULL, NULL},
    {"named, greatest", KEY_NAMED, &named_max, NULL, NULL},
    {"format, greatest", KEY_FORMAT, &format_max, NULL, NULL},
    {"node, zero", KEY_NODE, &node_zero, NULL, NULL},
    {"node, greatest", KEY_NODE, &node_max, NULL, NULL},
    {"heartbeat, zero", KEY_HEARTBEAT, &heartbeat_zero, NULL, NULL},
    {"heartbeat, greatest", KEY_HEARTBEAT, &heartbeat_max, NULL, NULL},
    {"probe, greatest", KEY_PROBE, &probe_max, NULL, NULL},
    {"view, zero", KEY_VIEW, &view_zero, NULL, NULL},
    {"primary, vacant", KEY_PRIMARY, &primary_vacant, NULL, NULL},
    {"primary, greatest", KEY_PRIMARY, &primary_max, NULL, NULL},
    {"term, zero", KEY_TERM, &term_zero, NULL, NULL},
    {"incarnation_floor, greatest", KEY_INCARNATION_FLOOR, &incarnation_floor_max, NULL, NULL},
    {"view_change, greatest", KEY_VIEW_CHANGE, &view_change_max, NULL, NULL},
    {"placement, released", KEY_ACTOR, &placement_zero, NULL, NULL},
    {"placement, greatest", KEY_ACTOR, &placement_max, NULL, NULL},
    {"by_node, zero", KEY_BY_NODE, &by_node_zero, NULL, NULL},
    {"types, zero", KEY_TYPES, &types_zero, NULL, NULL},
    {"types, greatest", KEY_TYPES, &types_max, NULL, NULL},
    {"migration, greatest", KEY_MIGRATION, &migration_max, NULL, NULL},
    {"state, empty", KEY_STATE, &state_empty, NULL, " value_bytes=0 value=\"\""},
    {"state, NULs", KEY_STATE, &state_nuls, NULL, NULL},
    {"state, greatest", KEY_STATE, &state_big, NULL, NULL},
    {"head, zero", KEY_HEAD, &head_zero, NULL, NULL},
    {"head, greatest", KEY_HEAD, &head_max, NULL, NULL},
    {"remembered, reply not kept", KEY_REMEMBERED, &remembered_lost, NULL, NULL},
    {"remembered, greatest", KEY_REMEMBERED, &remembered_max, NULL, NULL},
    {"request, reply not kept", KEY_REQUEST_SLOT, &request_lost, NULL, NULL},
    {"request, greatest", KEY_REQUEST_SLOT, &request_max, NULL, NULL},
};

size_t record_samples(struct record_sample out[RECORD_SAMPLES_MAX])
{
    CHECK(ARRAY_LEN(plain) + ARRAY_LEN(extreme) <= RECORD_SAMPLES_MAX);
    for (size_t i = 0; i < CLASS_COUNT_MAX; i++)
        memset(node_max.classes[i], 'c', ACTOR_TYPE_MAX);
    for (size_t i = 0; i < CLASS_COUNT_MAX; i++) {
        memset(types_max.types[i].type, 'c', ACTOR_TYPE_MAX);
        types_max.types[i].version = UINT32_MAX;
    }
    for (size_t i = 0; i < UNREACHABLE_MAX; i++) {
        memset(heartbeat_max.unreachable[i].node_id, 'n', NODE_ID_MAX);
        heartbeat_max.unreachable[i].incarnation = UINT64_MAX;
    }
    /* Each byte but the NULs as often as any other. */
    for (size_t i = 0; i < sizeof(most_nuls) / 4; i++)
        most_nuls[3 * i] = (uint8_t)(i % 256);
    for (size_t i = 0; i < HEAD_BUCKETS_MAX; i++)
        head_max.buckets[i] = (struct head_bucket){i, UINT64_MAX, UINT64_MAX};
    memcpy(out, plain, sizeof(plain));
    memcpy(out + ARRAY_LEN(plain), extreme, sizeof(extreme));
    return ARRAY_LEN(plain) + ARRAY_LEN(extreme);
}

struct key sample_key(enum key_family family)
{
    struct keyspace ks = sample_space("kelpie");
    struct key_parts parts = {.family = family,
                              .node_id = "n1",
                              .type = "room",
                              .id = "lobby",
                              .method = "enter",
                              .state_key_len = 2,
                              .state_key = "k1"};
    parts.number = family == KEY_VIEW_CHANGE ? 7 : family == KEY_BY_NODE ? 3 : 1;
    if (family == KEY_REMEMBERED || family >= KEY_INBOX)
        parts.hash = (struct uuid)UUID_1;
    parts.generation = 4;
    parts.shard = 3;
    parts.due_ms = family == KEY_LATER || family == KEY_DUE ? 1700000000000u : 0;
    return key_of_parts(&ks, &parts);
}

/* --- any record ----------------------------------------------------------------------------- */

#define RECORDS(X)                                                                                 \
    X(KEY_FORMAT, format_record)                                                                   \
    X(KEY_NODE, node_record)                                                                       \
    X(KEY_HEARTBEAT, heartbeat_record)                                                             \
    X(KEY_PROBE, probe_record)                                                                     \
    X(KEY_VIEW, view_record)                                                                       \
    X(KEY_PRIMARY, primary_record)                                                                 \
    X(KEY_TERM, term_record)                                                                       \
    X(KEY_INCARNATION_FLOOR, incarnation_floor_record)                                             \
    X(KEY_FOUNDED, founded_record)                                                                 \
    X(KEY_VIEW_CHANGE, view_change_record)                                                         \
    X(KEY_ACTOR, placement_record)                                                                 \
    X(KEY_BY_NODE, by_node_record)                                                                 \
    X(KEY_MIGRATION, migration_record)                                                             \
    X(KEY_TYPES, types_record)                                                                     \
    X(KEY_GENERATION_FLOOR, generation_floor_record)                                               \
    X(KEY_STATE, state_record)                                                                     \
    X(KEY_HEAD, head_record)                                                                       \
    X(KEY_REMEMBERED, remembered_record)                                                           \
    X(KEY_REQUEST_SLOT, request_record)                                                            \
    X(KEY_POISON, poison_record)                                                                   \
    X(KEY_INBOX, message_record)                                                                   \
    X(KEY_LATER, message_record)                                                                   \
    X(KEY_DUE, due_record)                                                                         \
    X(KEY_NAMED, named_record)                                                                     \
    X(KEY_DEAD, message_record)

/* What is decoded overwrites what was there before. */
#define DEFINE_GET(family, name)                                                                   \
    static int get_##family(struct bytes key, struct bytes value, struct buf *scratch,             \
                            struct buf *again)                                                     \
    {                                                                                              \
        struct name r;                                                                             \
        memset(&r, 0xa5, sizeof(r));                                                               \
        int rc = name##_decode(key, value, scratch, &r);                                           \
        if (rc == 0)                                                                               \
            name##_encode(&r, key, again);                                                         \
        return rc;                                                                                 \
    }
RECORDS(DEFINE_GET)

void record_put(enum key_family family, const void *record, struct bytes key, struct buf *out)
{
    switch (family) {
#define PUT(f, name)                                                                               \
    case f:                                                                                        \
        name##_encode(record, key, out);                                                           \
        return;
        RECORDS(PUT)
    case KEY_FAMILY_COUNT:
    case KEY_UNKNOWN:
        break;
    }
    check_failed("a known family", __FILE__, __LINE__);
}

int record_get(enum key_family family, struct bytes key, struct bytes value, struct buf *scratch,
               struct buf *again)
{
    switch (family) {
#define GET(f, name)                                                                               \
    case f:                                                                                        \
        return get_##f(key, value, scratch, again);
        RECORDS(GET)
    case KEY_FAMILY_COUNT:
    case KEY_UNKNOWN:
        break;
    }
    check_failed("a known family", __FILE__, __LINE__);
}

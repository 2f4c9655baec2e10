/*
 * Keys back into their parts. Accepts exactly what keys.c makes: every element in its one canonical
 * form, every id within its bounds.
 */
#include <stdio.h>

#include "base/tuple.h"
#include "kelpie/error.h"
#include "record/keys.h"

#define CODE_BYTES 0x01
#define CODE_STRING 0x02
#define CODE_INT_ZERO 0x14
#define CODE_UUID 0x30
#define CODE_ESCAPE 0xff

/* After the first wrong element `ok` is false, and every further read gives nothing. */
struct cursor {
    struct bytes rest;
    bool ok;
};

static void skip(struct cursor *c, size_t len)
{
    CHECK(len <= c->rest.len);
    c->rest = bytes_of(c->rest.data + len, c->rest.len - len);
}

static struct bytes bad(struct cursor *c)
{
    c->ok = false;
    return bytes_of(NULL, 0);
}

/* A string element without NUL, borrowed from the key. */
static struct bytes take_string(struct cursor *c)
{
    if (!c->ok || c->rest.len < 2 || c->rest.data[0] != CODE_STRING)
        return bad(c);
    const uint8_t *text = c->rest.data + 1;
    const uint8_t *end = memchr(text, 0, c->rest.len - 1);
    if (!end)
        return bad(c);
    size_t len = (size_t)(end - text);
    if (len + 2 < c->rest.len && end[1] == CODE_ESCAPE)
        return bad(c);
    skip(c, len + 2);
    return bytes_of(text, len);
}

static bool take_word(struct cursor *c, const char *word)
{
    return bytes_equal(take_string(c), bytes_of_str(word)) && c->ok;
}

static void take_text(struct cursor *c, char *out, size_t max)
{
    struct bytes s = take_string(c);
    if (!c->ok)
        return;
    if (s.len > max || !utf8_valid(s)) {
        c->ok = false;
        return;
    }
    memcpy(out, s.data, s.len);
    out[s.len] = '\0';
}

static void take_id(struct cursor *c, char *out, size_t max)
{
    take_text(c, out, max);
    c->ok = c->ok && out[0] != '\0';
}

static uint64_t take_uint(struct cursor *c)
{
    if (!c->ok || c->rest.len < 1 || c->rest.data[0] < CODE_INT_ZERO ||
        c->rest.data[0] > CODE_INT_ZERO + 8) {
        c->ok = false;
        return 0;
    }
    size_t count = (size_t)(c->rest.data[0] - CODE_INT_ZERO);
    if (c->rest.len < 1 + count || (count > 0 && c->rest.data[1] == 0)) {
        c->ok = false;
        return 0;
    }
    uint64_t v = 0;
    for (size_t i = 0; i < count; i++)
        v = v << 8 | c->rest.data[1 + i];
    skip(c, 1 + count);
    return v;
}

static struct uuid take_uuid(struct cursor *c)
{
    struct uuid v = {{0}};
    if (!c->ok || c->rest.len < 1 + sizeof(v.b) || c->rest.data[0] != CODE_UUID) {
        c->ok = false;
        return v;
    }
    memcpy(v.b, c->rest.data + 1, sizeof(v.b));
    skip(c, 1 + sizeof(v.b));
    return v;
}

static void take_state_key(struct cursor *c, struct key_parts *out)
{
    if (!c->ok || c->rest.len < 1 || c->rest.data[0] != CODE_BYTES) {
        c->ok = false;
        return;
    }
    for (size_t i = 1; i < c->rest.len; i++) {
        uint8_t byte = c->rest.data[i];
        bool escaped = i + 1 < c->rest.len && c->rest.data[i + 1] == CODE_ESCAPE;
        if (byte == 0 && !escaped) {
            skip(c, i + 1);
            c->ok = out->state_key_len > 0;
            return;
        }
        if (byte == 0)
            i++;
        if (out->state_key_len == STATE_KEY_MAX)
            break;
        out->state_key[out->state_key_len++] = byte;
    }
    c->ok = false;
}

/* What follows the two folder words, or the one: n node id, # number, t type, i id, s shard, d due,
 * h hash, g generation, k name. */
struct shape {
    const char *top;
    const char *sub;
    const char *parts;
    enum key_family family;
};

static const struct shape shapes[] = {
    {"cluster", "format", "", KEY_FORMAT},
    {"cluster", "nodes", "n", KEY_NODE},
    {"cluster", "heartbeats", "n", KEY_HEARTBEAT},
    {"cluster", "probes", "n", KEY_PROBE},
    {"cluster", "membership_view", "", KEY_VIEW},
    {"cluster", "primary", "", KEY_PRIMARY},
    {"cluster", "primary_term", "", KEY_TERM},
    {"cluster", "incarnation_floor", "", KEY_INCARNATION_FLOOR},
    {"cluster", "founded", "", KEY_FOUNDED},
    {"cluster", "view_changes", "#", KEY_VIEW_CHANGE},
    {"registry", "actors", "ti", KEY_ACTOR},
    {"registry", "by_node", "n#ti", KEY_BY_NODE},
    {"registry", "migrations", "ti", KEY_MIGRATION},
    {"registry", "poison", "tim", KEY_POISON},
    {"inbox", NULL, "stihg#", KEY_INBOX},
    {"later", NULL, "tidhg#", KEY_LATER},
    {"due", NULL, "sdtihg#", KEY_DUE},
    {"named", NULL, "tik", KEY_NAMED},
    {"dead", NULL, "tihg#", KEY_DEAD},
    {"registry", "types", "n", KEY_TYPES},
    {"registry", "generation_floor", "", KEY_GENERATION_FLOOR},
};

static uint32_t take_u32(struct cursor *c)
{
    uint64_t v = take_uint(c);
    c->ok = c->ok && v <= UINT32_MAX;
    return (uint32_t)v;
}

static void take_parts(struct cursor *c, const char *parts, struct key_parts *out)
{
    for (const char *p = parts; *p != '\0'; p++) {
        switch (*p) {
        case 'n':
            take_id(c, out->node_id, NODE_ID_MAX);
            break;
        case '#':
            out->number = take_uint(c);
            break;
        case 't':
            take_id(c, out->type, ACTOR_TYPE_MAX);
            break;
        case 's':
            out->shard = take_u32(c);
            break;
        case 'd':
            out->due_ms = take_uint(c);
            break;
        case 'h':
            out->hash = take_uuid(c);
            break;
        case 'g':
            out->generation = take_uint(c);
            break;
        case 'k':
            take_state_key(c, out);
            break;
        case 'm':
            take_text(c, out->method, ACTOR_METHOD_MAX);
            break;
        default:
            take_id(c, out->id, ACTOR_ID_MAX);
            break;
        }
    }
}

static void take_state(struct cursor *c, struct key_parts *out)
{
    take_parts(c, "ti", out);
    struct bytes mark = take_string(c);
    if (c->ok && bytes_equal(mark, bytes_of_str("k"))) {
        out->family = KEY_STATE;
        take_state_key(c, out);
    } else if (c->ok && bytes_equal(mark, bytes_of_str("h"))) {
        out->family = KEY_HEAD;
    } else if (c->ok && bytes_equal(mark, bytes_of_str("q"))) {
        out->family = KEY_REMEMBERED;
        out->number = take_uint(c);
        out->hash = take_uuid(c);
    } else if (c->ok && bytes_equal(mark, bytes_of_str("r"))) {
        out->family = KEY_REQUEST_SLOT;
        out->number = take_u32(c);
    } else {
        c->ok = false;
    }
}

static void take_folders(struct cursor *c, struct key_parts *out)
{
    struct bytes top = take_string(c);
    if (c->ok && bytes_equal(top, bytes_of_str("state"))) {
        take_state(c, out);
        return;
    }
    struct cursor behind = *c;
    struct bytes sub = take_string(&behind);
    for (size_t i = 0; c->ok && i < ARRAY_LEN(shapes); i++) {
        const struct shape *s = &shapes[i];
        if (!bytes_equal(top, bytes_of_str(s->top)) ||
            (s->sub && (!behind.ok || !bytes_equal(sub, bytes_of_str(s->sub)))))
            continue;
        if (s->sub)
            *c = behind;
        out->family = s->family;
        take_parts(c, s->parts, out);
        return;
    }
    c->ok = false;
}

int key_parse(const struct keyspace *ks, struct bytes key, struct key_parts *out)
{
    struct cursor c = {.rest = key, .ok = true};
    memset(out, 0, sizeof(*out));
    if (take_word(&c, ks->prefix))
        take_folders(&c, out);
    else
        c.ok = false;
    if (c.ok && c.rest.len == 0)
        return 0;
    memset(out, 0, sizeof(*out));
    return KELPIE_E_INVALID;
}

#define SHOWN_MAX 32

/* The start of a value in quotes, everything but printable ASCII as \xNN. */
static const char *shown(struct bytes value, char out[SHOWN_MAX * 4 + 6])
{
    static const char hex[] = "0123456789abcdef";
    size_t n = 0;
    out[n++] = '"';
    for (size_t i = 0; i < value.len && i < SHOWN_MAX; i++) {
        uint8_t byte = value.data[i];
        if (byte >= 0x20 && byte < 0x7f && byte != '"' && byte != '\\') {
            out[n++] = (char)byte;
            continue;
        }
        out[n++] = '\\';
        out[n++] = 'x';
        out[n++] = hex[byte >> 4];
        out[n++] = hex[byte & 15];
    }
    out[n++] = '"';
    memcpy(out + n, value.len > SHOWN_MAX ? "..." : "", value.len > SHOWN_MAX ? 4 : 1);
    return out;
}

int id_check(const char *what, struct bytes value, size_t max, char *why, size_t why_size)
{
    char text[SHOWN_MAX * 4 + 6];
    if (value.len == 0) {
        (void)snprintf(why, why_size, "%s is empty; give 1 to %zu bytes", what, max);
        return KELPIE_E_INVALID;
    }
    if (value.len > max) {
        (void)snprintf(why, why_size, "%s %s is %zu bytes long; give at most %zu", what,
                       shown(value, text), value.len, max);
        return KELPIE_E_INVALID;
    }
    if (memchr(value.data, 0, value.len)) {
        (void)snprintf(why, why_size, "%s %s contains a NUL byte; leave it out", what,
                       shown(value, text));
        return KELPIE_E_INVALID;
    }
    if (!utf8_valid(value)) {
        (void)snprintf(why, why_size, "%s %s is not UTF-8; encode it so", what, shown(value, text));
        return KELPIE_E_INVALID;
    }
    if (why_size > 0)
        why[0] = '\0';
    return 0;
}

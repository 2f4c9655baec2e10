/*
 * Packing and reading of tuples. Element and terminator bytes are those of design/tuple.md. All
 * that a reader gets is first measured by `measure`, which accepts exactly what packing makes;
 * the code that takes a measured element apart can therefore be simple.
 */
#include "base/tuple.h"

enum code {
    CODE_NULL = 0x00,
    CODE_BYTES = 0x01,
    CODE_STRING = 0x02,
    CODE_NESTED = 0x05,
    CODE_BIG_NEGATIVE = 0x0b, /* then the length, inverted, and the bytes, inverted */
    CODE_INT_MIN = 0x0c,      /* eight bytes, negative */
    CODE_INT_ZERO = 0x14,
    CODE_INT_MAX = 0x1c,      /* eight bytes, positive */
    CODE_BIG_POSITIVE = 0x1d, /* then the length, and the bytes */
    CODE_FLOAT = 0x20,
    CODE_DOUBLE = 0x21,
    CODE_FALSE = 0x26,
    CODE_TRUE = 0x27,
    CODE_UUID = 0x30,
    CODE_VERSIONSTAMP = 0x33,
    CODE_ESCAPE = 0xff,
};

#define FLOAT_SIZE 4
#define DOUBLE_SIZE 8
#define VERSIONSTAMP_SIZE 12

static struct bytes bytes_from(struct bytes s, size_t at)
{
    CHECK(at <= s.len);
    return at ? bytes_of(s.data + at, s.len - at) : s;
}

/* A NUL that is part of a string, or a null in a nested tuple: 00 ff. */
static bool escaped_at(struct bytes s, size_t at)
{
    return at + 1 < s.len && s.data[at] == 0 && s.data[at + 1] == CODE_ESCAPE;
}

static size_t width_of(uint64_t magnitude)
{
    size_t width = 0;
    for (; magnitude; magnitude >>= 8)
        width++;
    return width;
}

/* --- measuring ------------------------------------------------------------------------------ */

/* What `measure` found out about an element. */
struct extent {
    size_t len;     /* of the packed element; 0 when there is no valid one */
    size_t scratch; /* the most that reading it, and all that is in it, puts into scratch */
    bool escapes;   /* it has an escape of its own (not in a nested element) */
};

static struct extent measure_string(struct bytes s, bool utf8)
{
    struct extent e = {0};
    size_t at = 1;
    while (at < s.len) {
        if (s.data[at] == 0 && !escaped_at(s, at)) {
            e.len = at + 1;
            e.scratch = e.escapes ? e.len : 0;
            return e;
        }
        if (s.data[at] == 0) {
            e.escapes = true;
            at += 2;
            continue;
        }
        size_t n = utf8 ? utf8_char_len(bytes_from(s, at)) : 1;
        if (n == 0)
            break;
        at += n;
    }
    return (struct extent){0};
}

static struct extent measure_int(struct bytes s)
{
    bool negative = s.data[0] < CODE_INT_ZERO;
    size_t width = (size_t)(negative ? CODE_INT_ZERO - s.data[0] : s.data[0] - CODE_INT_ZERO);
    if (s.len < 1 + width)
        return (struct extent){0};
    /* A first byte that says nothing belongs to a shorter form. */
    if (width && s.data[1] == (negative ? 0xff : 0x00))
        return (struct extent){0};
    return (struct extent){.len = 1 + width};
}

static struct extent measure_big(struct bytes s)
{
    uint8_t flip = s.data[0] == CODE_BIG_NEGATIVE ? 0xff : 0x00;
    size_t width = s.len > 1 ? (size_t)(s.data[1] ^ flip) : 0;
    /* What needs fewer bytes has the shorter form. */
    if (width <= sizeof(uint64_t) || s.len < 2 + width || s.data[2] == flip)
        return (struct extent){0};
    return (struct extent){.len = 2 + width, .scratch = flip ? width : 0};
}

/* The length of what follows a code that has always the same; SIZE_MAX for any other. */
static size_t fixed_size(uint8_t code)
{
    switch (code) {
    case CODE_NULL:
    case CODE_FALSE:
    case CODE_TRUE:
        return 0;
    case CODE_FLOAT:
        return FLOAT_SIZE;
    case CODE_DOUBLE:
        return DOUBLE_SIZE;
    case CODE_UUID:
        return sizeof(struct uuid);
    case CODE_VERSIONSTAMP:
        return VERSIONSTAMP_SIZE;
    default:
        return SIZE_MAX;
    }
}

/* Measures an element that is not nested. */
static struct extent measure_flat(struct bytes s)
{
    CHECK(s.len > 0);
    uint8_t code = s.data[0];
    size_t size = fixed_size(code);
    if (size != SIZE_MAX)
        return (struct extent){.len = s.len > size ? 1 + size : 0};
    if (code == CODE_BYTES || code == CODE_STRING)
        return measure_string(s, code == CODE_STRING);
    if (code >= CODE_INT_MIN && code <= CODE_INT_MAX)
        return measure_int(s);
    if (code == CODE_BIG_NEGATIVE || code == CODE_BIG_POSITIVE)
        return measure_big(s);
    return (struct extent){0};
}

/* Measures the element at the start of `s`, which lies in `depth` nested tuples. Goes through
 * nested tuples without recursion: begin[d] is where the one at depth d begins. */
static struct extent measure(struct bytes s, size_t depth)
{
    size_t begin[TUPLE_DEPTH_MAX + 1];
    bool escapes[TUPLE_DEPTH_MAX + 1] = {false};
    size_t at = 0;
    size_t scratch = 0;
    size_t d = depth;
    CHECK(s.len > 0 && depth <= TUPLE_DEPTH_MAX);
    if (s.data[0] != CODE_NESTED)
        return measure_flat(s);
    for (;;) {
        if (at >= s.len)
            return (struct extent){0};
        if (s.data[at] == CODE_NESTED) {
            if (++d > TUPLE_DEPTH_MAX)
                return (struct extent){0};
            begin[d] = at++;
            escapes[d] = false;
        } else if (escaped_at(s, at)) {
            escapes[d] = true;
            at += 2;
        } else if (s.data[at] == CODE_NULL) {
            at++;
            scratch += escapes[d] ? at - begin[d] : 0;
            if (--d == depth)
                return (struct extent){.len = at, .scratch = scratch, .escapes = escapes[d + 1]};
        } else {
            struct extent e = measure_flat(bytes_from(s, at));
            if (e.len == 0)
                return e;
            at += e.len;
            scratch += e.scratch;
        }
    }
}

/* What reading all of `s` puts into scratch at most, up to the first element that is wrong. */
static size_t scratch_needed(struct bytes s)
{
    size_t needed = 0;
    while (s.len > 0) {
        struct extent e = measure(s, 0);
        if (e.len == 0)
            break;
        needed += e.scratch;
        s = bytes_from(s, e.len);
    }
    return needed;
}

/* --- packing -------------------------------------------------------------------------------- */

void tuple_pack_null(struct buf *b)
{
    buf_append_u8(b, CODE_NULL);
}

static void pack_escaped(struct buf *b, uint8_t code, struct bytes v)
{
    buf_append_u8(b, code);
    while (v.len > 0) {
        const uint8_t *nul = memchr(v.data, 0, v.len);
        size_t n = nul ? (size_t)(nul - v.data) + 1 : v.len;
        buf_append(b, v.data, n);
        if (nul)
            buf_append_u8(b, CODE_ESCAPE);
        v = bytes_from(v, n);
    }
    buf_append_u8(b, 0x00);
}

void tuple_pack_bytes(struct buf *b, struct bytes v)
{
    pack_escaped(b, CODE_BYTES, v);
}

void tuple_pack_string(struct buf *b, struct bytes utf8)
{
    size_t n;
    for (size_t at = 0; at < utf8.len; at += n) {
        n = utf8_char_len(bytes_from(utf8, at));
        CHECK(n > 0);
    }
    pack_escaped(b, CODE_STRING, utf8);
}

void tuple_pack_str(struct buf *b, const char *s)
{
    tuple_pack_string(b, bytes_of_str(s));
}

/* The type code and the `width` low bytes of `v`, big endian. */
static void pack_number(struct buf *b, uint8_t code, uint64_t v, size_t width)
{
    uint8_t *p = buf_reserve(b, 1 + width);
    *p++ = code;
    for (size_t i = width; i-- > 0;)
        *p++ = (uint8_t)(v >> (8 * i));
    b->len += 1 + width;
}

void tuple_pack_uint(struct buf *b, uint64_t v)
{
    size_t width = width_of(v);
    pack_number(b, (uint8_t)(CODE_INT_ZERO + width), v, width);
}

void tuple_pack_negative(struct buf *b, uint64_t magnitude)
{
    CHECK(magnitude > 0);
    size_t width = width_of(magnitude);
    pack_number(b, (uint8_t)(CODE_INT_ZERO - width), ~magnitude, width);
}

void tuple_pack_int(struct buf *b, int64_t v)
{
    if (v >= 0)
        tuple_pack_uint(b, (uint64_t)v);
    else
        tuple_pack_negative(b, 0 - (uint64_t)v);
}

void tuple_pack_big(struct buf *b, bool negative, struct bytes magnitude)
{
    CHECK(magnitude.len > sizeof(uint64_t) && magnitude.len <= TUPLE_BIG_MAX);
    CHECK(magnitude.data[0] != 0);
    uint8_t flip = negative ? 0xff : 0x00;
    buf_append_u8(b, negative ? CODE_BIG_NEGATIVE : CODE_BIG_POSITIVE);
    buf_append_u8(b, (uint8_t)magnitude.len ^ flip);
    for (size_t i = 0; i < magnitude.len; i++)
        buf_append_u8(b, magnitude.data[i] ^ flip);
}

/* IEEE bits in the order of their values: of a negative number all are inverted, else the sign. */
static uint64_t bits_to_order(uint64_t bits, uint64_t sign)
{
    return bits & sign ? ~bits : bits ^ sign;
}

static uint64_t bits_from_order(uint64_t order, uint64_t sign)
{
    return order & sign ? order ^ sign : ~order;
}

#define FLOAT_SIGN ((uint64_t)1 << 31)
#define DOUBLE_SIGN ((uint64_t)1 << 63)

void tuple_pack_float(struct buf *b, float v)
{
    uint32_t bits;
    memcpy(&bits, &v, sizeof(bits));
    pack_number(b, CODE_FLOAT, bits_to_order(bits, FLOAT_SIGN), FLOAT_SIZE);
}

void tuple_pack_double(struct buf *b, double v)
{
    uint64_t bits;
    memcpy(&bits, &v, sizeof(bits));
    pack_number(b, CODE_DOUBLE, bits_to_order(bits, DOUBLE_SIGN), DOUBLE_SIZE);
}

void tuple_pack_versionstamp(struct buf *b, struct versionstamp v)
{
    buf_append_u8(b, CODE_VERSIONSTAMP);
    buf_append(b, v.commit, sizeof(v.commit));
    buf_append_u8(b, (uint8_t)(v.user >> 8));
    buf_append_u8(b, (uint8_t)v.user);
}

struct versionstamp versionstamp_incomplete(uint16_t user)
{
    struct versionstamp v = {.user = user};
    memset(v.commit, 0xff, sizeof(v.commit));
    return v;
}

bool versionstamp_is_complete(struct versionstamp v)
{
    struct versionstamp incomplete = versionstamp_incomplete(v.user);
    return memcmp(v.commit, incomplete.commit, sizeof(v.commit)) != 0;
}

void tuple_pack_bool(struct buf *b, bool v)
{
    buf_append_u8(b, v ? CODE_TRUE : CODE_FALSE);
}

void tuple_pack_uuid(struct buf *b, struct uuid v)
{
    buf_append_u8(b, CODE_UUID);
    buf_append(b, v.b, sizeof(v.b));
}

void tuple_pack_nested(struct buf *b, struct bytes packed_inner)
{
    buf_append_u8(b, CODE_NESTED);
    while (packed_inner.len > 0) {
        struct extent e = measure(packed_inner, 1);
        CHECK(e.len > 0);
        buf_append(b, packed_inner.data, e.len);
        /* A null by itself would end the nested tuple. What lies deeper has its escapes already. */
        if (packed_inner.data[0] == CODE_NULL)
            buf_append_u8(b, CODE_ESCAPE);
        packed_inner = bytes_from(packed_inner, e.len);
    }
    buf_append_u8(b, 0x00);
}

/* --- reading -------------------------------------------------------------------------------- */

struct tuple_reader tuple_reader_of(struct bytes packed, struct buf *scratch)
{
    return (struct tuple_reader){.rest = packed, .scratch = scratch, .ok = true};
}

/* Copies a string without its escapes to scratch, which has the room. */
static struct bytes unescape_string(struct buf *scratch, struct bytes s)
{
    size_t start = scratch->len;
    for (size_t at = 0; at < s.len; at++) {
        buf_append_u8(scratch, s.data[at]);
        if (s.data[at] == 0)
            at++;
    }
    return bytes_of(scratch->data + start, scratch->len - start);
}

/* Copies a nested tuple to scratch, its own nulls without their escapes. */
static struct bytes unescape_nested(struct buf *scratch, struct bytes s)
{
    size_t start = scratch->len;
    while (s.len > 0) {
        struct extent e = measure(s, 1);
        bool null = s.data[0] == CODE_NULL;
        /* By steps of one, not with buf_append: `s` may lie in scratch itself, which does not move
         * here because the room was reserved. */
        for (size_t i = 0; i < e.len; i++)
            buf_append_u8(scratch, s.data[i]);
        s = bytes_from(s, e.len + (null ? 1 : 0));
    }
    return bytes_of(scratch->data + start, scratch->len - start);
}

/* Room in scratch for all that is left, all at once and only once, so that nothing moves that was
 * put there before. */
static void reserve(struct tuple_reader *r, struct extent e)
{
    if (e.scratch == 0 || r->reserved)
        return;
    buf_reserve(r->scratch, scratch_needed(r->rest));
    r->reserved = true;
}

/* The content of a measured string or nested element. */
static struct bytes content_of(struct tuple_reader *r, struct extent e)
{
    reserve(r, e);
    struct bytes raw = bytes_of(r->rest.data + 1, e.len - 2);
    if (!e.escapes)
        return raw;
    return r->rest.data[0] == CODE_NESTED ? unescape_nested(r->scratch, raw)
                                          : unescape_string(r->scratch, raw);
}

static void read_int(struct bytes s, struct tuple_item *out)
{
    bool negative = s.data[0] < CODE_INT_ZERO;
    uint64_t u = 0;
    for (size_t i = 1; i < s.len; i++)
        u = u << 8 | (negative ? (uint8_t)~s.data[i] : s.data[i]);
    out->type = !negative && u > INT64_MAX ? TUPLE_UINT : TUPLE_INT;
    out->negative = negative;
    out->u = u;
    if (!negative)
        out->i = u <= INT64_MAX ? (int64_t)u : 0;
    else
        out->i = u <= INT64_MAX ? -(int64_t)u : INT64_MIN;
}

/* The magnitude of a measured integer of more than eight bytes. */
static void read_big(struct tuple_reader *r, struct extent e, struct tuple_item *out)
{
    struct bytes raw = bytes_of(r->rest.data + 2, e.len - 2);
    out->type = TUPLE_BIG;
    out->negative = r->rest.data[0] == CODE_BIG_NEGATIVE;
    out->bytes = raw;
    if (!out->negative)
        return;
    reserve(r, e);
    size_t start = r->scratch->len;
    for (size_t i = 0; i < raw.len; i++)
        buf_append_u8(r->scratch, (uint8_t)~raw.data[i]);
    out->bytes = bytes_of(r->scratch->data + start, raw.len);
}

static uint64_t big_endian(const uint8_t *p, size_t width)
{
    uint64_t v = 0;
    for (size_t i = 0; i < width; i++)
        v = v << 8 | p[i];
    return v;
}

/* A measured element of a code whose length is always the same. */
static void read_fixed(const uint8_t *s, struct tuple_item *out)
{
    const uint8_t *p = s + 1;
    uint32_t single;
    uint64_t bits;
    switch (s[0]) {
    case CODE_FALSE:
    case CODE_TRUE:
        out->type = TUPLE_BOOL;
        out->b = s[0] == CODE_TRUE;
        break;
    case CODE_FLOAT:
        out->type = TUPLE_FLOAT;
        single = (uint32_t)bits_from_order(big_endian(p, FLOAT_SIZE), FLOAT_SIGN);
        memcpy(&out->f, &single, sizeof(out->f));
        break;
    case CODE_DOUBLE:
        out->type = TUPLE_DOUBLE;
        bits = bits_from_order(big_endian(p, DOUBLE_SIZE), DOUBLE_SIGN);
        memcpy(&out->d, &bits, sizeof(out->d));
        break;
    case CODE_UUID:
        out->type = TUPLE_UUID;
        memcpy(out->uuid.b, p, sizeof(out->uuid.b));
        break;
    case CODE_VERSIONSTAMP:
        out->type = TUPLE_VERSIONSTAMP;
        memcpy(out->stamp.commit, p, sizeof(out->stamp.commit));
        out->stamp.user = (uint16_t)big_endian(p + sizeof(out->stamp.commit), 2);
        break;
    default:
        CHECK(s[0] == CODE_NULL);
    }
}

bool tuple_next(struct tuple_reader *r, struct tuple_item *out)
{
    *out = (struct tuple_item){.type = TUPLE_NULL};
    if (!r->ok || r->rest.len == 0)
        return false;
    struct extent e = measure(r->rest, 0);
    if (e.len == 0) {
        r->ok = false;
        return false;
    }
    uint8_t code = r->rest.data[0];
    if (code == CODE_BYTES || code == CODE_STRING || code == CODE_NESTED) {
        out->type = code == CODE_BYTES    ? TUPLE_BYTES
                    : code == CODE_STRING ? TUPLE_STRING
                                          : TUPLE_NESTED;
        out->bytes = content_of(r, e);
    } else if (fixed_size(code) != SIZE_MAX) {
        read_fixed(r->rest.data, out);
    } else if (code == CODE_BIG_NEGATIVE || code == CODE_BIG_POSITIVE) {
        read_big(r, e, out);
    } else {
        read_int(bytes_of(r->rest.data, e.len), out);
    }
    r->rest = bytes_from(r->rest, e.len);
    return true;
}

/* Reads an element that must be of this type; an empty item otherwise. */
static struct tuple_item next_of(struct tuple_reader *r, enum tuple_type type)
{
    struct tuple_item item;
    if (tuple_next(r, &item) && item.type == type)
        return item;
    r->ok = false;
    return (struct tuple_item){.type = type};
}

uint64_t tuple_next_uint(struct tuple_reader *r)
{
    struct tuple_item item;
    if (tuple_next(r, &item) && (item.type == TUPLE_UINT || item.type == TUPLE_INT) &&
        !item.negative)
        return item.u;
    r->ok = false;
    return 0;
}

int64_t tuple_next_int(struct tuple_reader *r)
{
    struct tuple_item item = next_of(r, TUPLE_INT);
    if (item.negative && item.u > (uint64_t)INT64_MAX + 1) {
        r->ok = false;
        return 0;
    }
    return item.i;
}

float tuple_next_float(struct tuple_reader *r)
{
    return next_of(r, TUPLE_FLOAT).f;
}

double tuple_next_double(struct tuple_reader *r)
{
    return next_of(r, TUPLE_DOUBLE).d;
}

bool tuple_next_bool(struct tuple_reader *r)
{
    return next_of(r, TUPLE_BOOL).b;
}

struct uuid tuple_next_uuid(struct tuple_reader *r)
{
    return next_of(r, TUPLE_UUID).uuid;
}

struct versionstamp tuple_next_versionstamp(struct tuple_reader *r)
{
    return next_of(r, TUPLE_VERSIONSTAMP).stamp;
}

struct bytes tuple_next_bytes(struct tuple_reader *r)
{
    return next_of(r, TUPLE_BYTES).bytes;
}

struct bytes tuple_next_string(struct tuple_reader *r)
{
    return next_of(r, TUPLE_STRING).bytes;
}

struct bytes tuple_next_nested(struct tuple_reader *r)
{
    return next_of(r, TUPLE_NESTED).bytes;
}

bool tuple_at_end(const struct tuple_reader *r)
{
    return r->ok && r->rest.len == 0;
}

#include "record/record_value.h"

#include "base/crc32c.h"
#include "base/mutant.h"
#include "kelpie/error.h"
#include "record/records.h"

void value_begin_at(struct buf *out, unsigned version)
{
    CHECK(version >= 1 && version <= RECORD_VERSION);
    buf_clear(out);
    tuple_pack_uint(out, version);
}

void value_begin(struct buf *out)
{
    value_begin_at(out, 1);
}

void value_end(struct bytes key, struct buf *out)
{
    CHECK(key.len > 0 && out->len > 0);
    tuple_pack_uint(out, crc32c_extend(crc32c(key), buf_bytes(out)));
}

/* The length of a C string that is not looked at beyond `max` bytes; max + 1 when it is longer. */
static size_t length_upto(const char *s, size_t max)
{
    const char *end = memchr(s, 0, max + 1);
    return end ? (size_t)(end - s) : max + 1;
}

void value_pack_text(struct buf *out, const char *s, size_t min, size_t max)
{
    struct bytes text = bytes_of(s, length_upto(s, max));
    CHECK(text.len >= min && text.len <= max);
    CHECK(utf8_valid(text));
    tuple_pack_string(out, text);
}

/* The length of the string or bytes element at `at` with its end mark, 0 when it has none. */
static size_t string_extent(struct bytes v, size_t at)
{
    for (size_t i = at + 1; i < v.len; i++) {
        if (v.data[i] != 0)
            continue;
        if (i + 1 == v.len || v.data[i + 1] != 0xff)
            return i + 1 - at;
        i++;
    }
    return 0;
}

/* The length of the packed element at `at`, 0 for one that records are not made of. What is in it
 * is looked at by the tuple reader, after the checksum. */
static size_t element_extent(struct bytes v, size_t at)
{
    uint8_t code = v.data[at];
    if (code == 0x00 || code == 0x26 || code == 0x27) /* null, false, true */
        return 1;
    if (code == 0x01 || code == 0x02) /* bytes, string */
        return string_extent(v, at);
    if (code >= 0x0c && code <= 0x1c) /* integers of -8..8 bytes */
        return 1 + (code < 0x14 ? 0x14u - code : code - 0x14u);
    if (code == 0x30) /* uuid */
        return 1 + sizeof(struct uuid);
    return 0;
}

/* Where the last element of `v` begins; 0 when there are less than two, or what is no element. */
static size_t last_element(struct bytes v)
{
    size_t at = 0;
    for (;;) {
        size_t len = at < v.len ? element_extent(v, at) : 0;
        if (len == 0 || len > v.len - at)
            return 0;
        if (len == v.len - at)
            return at;
        at += len;
    }
}

/* The value without its checksum, which was right; false when it was wrong. */
static bool checked_body(struct bytes key, struct bytes value, struct bytes *body)
{
    size_t end = last_element(value);
    if (end == 0)
        return false;
    *body = bytes_of(value.data, end);
    /* An integer needs no scratch. */
    struct tuple_reader r = tuple_reader_of(bytes_of(value.data + end, value.len - end), NULL);
    if (value.data[end] < 0x14 || value.data[end] > 0x18)
        return false;
    uint64_t sum = tuple_next_uint(&r);
    return tuple_at_end(&r) && (sum == crc32c_extend(crc32c(key), *body) || MUTANT("nochecksum"));
}

int value_open_any(struct bytes key, struct bytes value, struct buf *scratch,
                   struct tuple_reader *fields, uint64_t *version)
{
    struct bytes body;
    if (!checked_body(key, value, &body))
        return KELPIE_E_STORE_CORRUPT;
    *fields = tuple_reader_of(body, scratch);
    if (body.data[0] < 0x14 || body.data[0] > 0x1c)
        return KELPIE_E_STORE_CORRUPT;
    *version = tuple_next_uint(fields);
    if (!fields->ok || *version == 0)
        return KELPIE_E_STORE_CORRUPT;
    return *version > RECORD_VERSION ? KELPIE_E_STORE_NEWER : 0;
}

int value_open_at(struct bytes key, struct bytes value, struct buf *scratch,
                  struct tuple_reader *fields, unsigned version)
{
    uint64_t found;
    int rc = value_open_any(key, value, scratch, fields, &found);
    return rc || found == version ? rc : KELPIE_E_STORE_CORRUPT;
}

int value_open(struct bytes key, struct bytes value, struct buf *scratch,
               struct tuple_reader *fields)
{
    return value_open_at(key, value, scratch, fields, 1);
}

void value_take_text(struct tuple_reader *fields, char *out, size_t min, size_t max)
{
    struct bytes s = tuple_next_string(fields);
    if (s.len < min || s.len > max || !utf8_valid(s))
        fields->ok = false;
    if (!fields->ok)
        s.len = 0;
    if (s.len > 0)
        memcpy(out, s.data, s.len);
    out[s.len] = '\0';
}

uint32_t value_take_u32(struct tuple_reader *fields)
{
    uint64_t v = tuple_next_uint(fields);
    if (v <= UINT32_MAX)
        return (uint32_t)v;
    fields->ok = false;
    return 0;
}

unsigned value_take_enum(struct tuple_reader *fields, unsigned last)
{
    uint64_t v = tuple_next_uint(fields);
    if (v <= last)
        return (unsigned)v;
    fields->ok = false;
    return 0;
}

struct bytes value_take_bytes(struct tuple_reader *fields, size_t max)
{
    size_t before = fields->scratch->len;
    struct bytes v = tuple_next_bytes(fields);
    if (v.len > max)
        fields->ok = false;
    if (!fields->ok)
        return bytes_of(NULL, 0);
    /* What had nothing to unescape lies in the value still. */
    if (fields->scratch->len == before)
        buf_append_bytes(fields->scratch, v);
    buf_reserve(fields->scratch, 0); /* data is not NULL, also when there is nothing to hold */
    return bytes_of(fields->scratch->data + before, v.len);
}

int value_close(const struct tuple_reader *fields)
{
    return tuple_at_end(fields) ? 0 : KELPIE_E_STORE_CORRUPT;
}

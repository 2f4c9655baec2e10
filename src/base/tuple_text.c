/* Tuples for people: error texts and dumps. */
#include "base/tuple.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* Decimal digits that tell any two values apart. */
#define FLOAT_DIGITS 9
#define DOUBLE_DIGITS 17

static void text_hex(struct buf *out, struct bytes s)
{
    for (size_t i = 0; i < s.len; i++)
        buf_appendf(out, "%02x", s.data[i]);
}

/* `keep` says which bytes stand for themselves: well-formed characters, or only ASCII. */
static void text_quoted(struct buf *out, struct bytes s, bool keep_utf8)
{
    buf_append_u8(out, '"');
    while (s.len > 0) {
        uint8_t c = s.data[0];
        size_t n = 1;
        if (c == '"' || c == '\\') {
            buf_appendf(out, "\\%c", c);
        } else if (c < ' ' || c == 0x7f || (c >= 0x80 && !keep_utf8)) {
            buf_appendf(out, "\\x%02x", c);
        } else {
            n = utf8_char_len(s);
            CHECK(n > 0);
            buf_append(out, s.data, n);
        }
        s = bytes_of(s.data + n, s.len - n);
    }
    buf_append_u8(out, '"');
}

static void text_big(struct buf *out, const struct tuple_item *item)
{
    buf_appendf(out, "%s0x", item->negative ? "-" : "");
    text_hex(out, item->bytes);
}

/* The shortest decimal that reads as this very number; `digits` are enough for any. A number that
 * looks like an integer gets ".0"; a NaN is shown by its bits, for they order it. */
static void text_floating(struct buf *out, double v, int digits, uint64_t bits)
{
    char text[40];
    if (v != v) { /* NaN */
        buf_appendf(out, "nan(0x%llx)", (unsigned long long)bits);
        return;
    }
    for (int n = 1; n <= digits; n++) {
        (void)snprintf(text, sizeof(text), "%.*g", n, v);
        double back = strtod(text, NULL);
        if (digits == FLOAT_DIGITS ? (float)back == (float)v : back == v)
            break;
    }
    /* "inf" has none of these, and no ".0" either. */
    buf_appendf(out, "%s%s", text, strpbrk(text, ".en") ? "" : ".0");
}

static void text_versionstamp(struct buf *out, struct versionstamp v)
{
    buf_appendf(out, "versionstamp(");
    if (versionstamp_is_complete(v))
        text_hex(out, bytes_of(v.commit, sizeof(v.commit)));
    else
        buf_appendf(out, "incomplete");
    buf_appendf(out, ", %u)", v.user);
}

/* What is no string and not nested. */
static void text_scalar(const struct tuple_item *item, struct buf *out)
{
    char uuid[UUID_TEXT_SIZE];
    uint32_t single;
    uint64_t bits;
    switch (item->type) {
    case TUPLE_INT:
    case TUPLE_UINT:
        buf_appendf(out, "%s%llu", item->negative ? "-" : "", (unsigned long long)item->u);
        break;
    case TUPLE_BIG:
        text_big(out, item);
        break;
    case TUPLE_FLOAT:
        memcpy(&single, &item->f, sizeof(single));
        text_floating(out, (double)item->f, FLOAT_DIGITS, single);
        buf_append_u8(out, 'f');
        break;
    case TUPLE_DOUBLE:
        memcpy(&bits, &item->d, sizeof(bits));
        text_floating(out, item->d, DOUBLE_DIGITS, bits);
        break;
    case TUPLE_BOOL:
        buf_appendf(out, item->b ? "true" : "false");
        break;
    case TUPLE_UUID:
        uuid_to_text(item->uuid, uuid);
        buf_appendf(out, "%s", uuid);
        break;
    case TUPLE_VERSIONSTAMP:
        text_versionstamp(out, item->stamp);
        break;
    default:
        CHECK(item->type == TUPLE_NULL);
        buf_appendf(out, "null");
    }
}

static void text_tuple(struct bytes packed, struct buf *scratch, struct buf *out);

static void text_item(const struct tuple_item *item, struct buf *scratch, struct buf *out)
{
    switch (item->type) {
    case TUPLE_BYTES:
        buf_append_u8(out, 'b');
        text_quoted(out, item->bytes, false);
        break;
    case TUPLE_STRING:
        text_quoted(out, item->bytes, true);
        break;
    case TUPLE_NESTED:
        text_tuple(item->bytes, scratch, out);
        break;
    default:
        text_scalar(item, out);
    }
}

/* Calls itself at most TUPLE_DEPTH_MAX deep: the reader lets nothing deeper through. */
static void text_tuple(struct bytes packed, struct buf *scratch, struct buf *out)
{
    struct tuple_reader r = tuple_reader_of(packed, scratch);
    struct tuple_item item;
    const char *before = "";
    buf_append_u8(out, '(');
    while (tuple_next(&r, &item)) {
        buf_appendf(out, "%s", before);
        text_item(&item, scratch, out);
        before = ", ";
    }
    if (!r.ok) {
        buf_appendf(out, "%s?\"", before);
        text_hex(out, r.rest);
        buf_append_u8(out, '"');
    }
    buf_append_u8(out, ')');
}

void tuple_to_text(struct bytes packed, struct buf *out)
{
    struct buf scratch;
    buf_init(&scratch, out->mem);
    text_tuple(packed, &scratch, out);
    buf_deinit(&scratch);
}

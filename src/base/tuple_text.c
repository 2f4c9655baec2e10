/* Tuples for people: error texts and dumps. */
#include "base/tuple.h"

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

static void text_int(struct buf *out, const struct tuple_item *item)
{
    buf_appendf(out, "%s%llu", item->negative ? "-" : "", (unsigned long long)item->u);
}

static void text_tuple(struct bytes packed, struct buf *scratch, struct buf *out);

static void text_item(const struct tuple_item *item, struct buf *scratch, struct buf *out)
{
    char uuid[UUID_TEXT_SIZE];
    switch (item->type) {
    case TUPLE_NULL:
        buf_appendf(out, "null");
        break;
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
    case TUPLE_INT:
    case TUPLE_UINT:
        text_int(out, item);
        break;
    case TUPLE_BOOL:
        buf_appendf(out, item->b ? "true" : "false");
        break;
    case TUPLE_UUID:
        uuid_to_text(item->uuid, uuid);
        buf_appendf(out, "%s", uuid);
        break;
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

/*
 * Arbitrary bytes as a packed tuple. There is one packed form of a tuple, so whatever the reader
 * takes must pack to the very bytes it was read from; and what it does not take, it leaves from
 * the first wrong element on.
 */
#include "base/tuple.h"
#include "support/test_mem.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void repack(struct tuple_reader *r, struct buf *out, size_t depth);

static void repack_nested(const struct tuple_item *item, struct buf *scratch, struct buf *out,
                          size_t depth)
{
    struct buf inner;
    CHECK(depth < TUPLE_DEPTH_MAX);
    buf_init(&inner, out->mem);
    struct tuple_reader r = tuple_reader_of(item->bytes, scratch);
    repack(&r, &inner, depth + 1);
    CHECK(tuple_at_end(&r));
    tuple_pack_nested(out, buf_bytes(&inner));
    buf_deinit(&inner);
}

static void repack_int(const struct tuple_item *item, struct buf *out)
{
    if (item->negative && item->u > (uint64_t)INT64_MAX + 1)
        tuple_pack_negative(out, item->u);
    else if (item->type == TUPLE_UINT)
        tuple_pack_uint(out, item->u);
    else
        tuple_pack_int(out, item->i);
}

static void repack_item(const struct tuple_item *item, struct buf *scratch, struct buf *out,
                        size_t depth)
{
    switch (item->type) {
    case TUPLE_NULL:
        tuple_pack_null(out);
        break;
    case TUPLE_BYTES:
        tuple_pack_bytes(out, item->bytes);
        break;
    case TUPLE_STRING:
        tuple_pack_string(out, item->bytes);
        break;
    case TUPLE_NESTED:
        repack_nested(item, scratch, out, depth);
        break;
    case TUPLE_INT:
    case TUPLE_UINT:
        repack_int(item, out);
        break;
    case TUPLE_BIG:
        tuple_pack_big(out, item->negative, item->bytes);
        break;
    case TUPLE_FLOAT:
        tuple_pack_float(out, item->f);
        break;
    case TUPLE_DOUBLE:
        tuple_pack_double(out, item->d);
        break;
    case TUPLE_BOOL:
        tuple_pack_bool(out, item->b);
        break;
    case TUPLE_UUID:
        tuple_pack_uuid(out, item->uuid);
        break;
    case TUPLE_VERSIONSTAMP:
        tuple_pack_versionstamp(out, item->stamp);
        break;
    }
}

#define ITEMS_HELD 8

/* Reads some items before it packs them, so that they must outlive each other's reading. */
static void repack(struct tuple_reader *r, struct buf *out, size_t depth)
{
    struct tuple_item items[ITEMS_HELD];
    size_t count;
    do {
        count = 0;
        while (count < ITEMS_HELD && tuple_next(r, &items[count]))
            count++;
        for (size_t i = 0; i < count; i++)
            repack_item(&items[i], r->scratch, out, depth);
    } while (count == ITEMS_HELD);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct test_mem t = {0};
    struct buf out, scratch;
    buf_init(&out, test_mem(&t));
    buf_init(&scratch, test_mem(&t));
    struct tuple_reader r = tuple_reader_of(bytes_of(data, size), &scratch);
    repack(&r, &out, 0);
    CHECK(out.len == size - r.rest.len);
    CHECK(out.len == 0 || memcmp(out.data, data, out.len) == 0);
    CHECK(r.ok == (r.rest.len == 0));
    buf_clear(&out);
    tuple_to_text(bytes_of(data, size), &out);
    CHECK(utf8_valid(buf_bytes(&out)));
    buf_deinit(&out);
    buf_deinit(&scratch);
    CHECK(t.held == 0);
    return 0;
}

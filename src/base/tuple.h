/*
 * FoundationDB's tuple layer (apple/foundationdb, design/tuple.md): null, bytes, unicode, nested,
 * integers up to 8 bytes of both signs, bool, uuid. Packed tuples sort as their elements do.
 */
#ifndef KELPIE_BASE_TUPLE_H
#define KELPIE_BASE_TUPLE_H

#include "base/buf.h"
#include "base/uuid.h"

enum tuple_type {
    TUPLE_NULL,
    TUPLE_BYTES,
    TUPLE_STRING,
    TUPLE_NESTED,
    TUPLE_INT,  /* fits int64_t */
    TUPLE_UINT, /* above INT64_MAX */
    TUPLE_BOOL,
    TUPLE_UUID,
};

/* Packing appends to `b`. */
void tuple_pack_null(struct buf *b);
void tuple_pack_bytes(struct buf *b, struct bytes v);
void tuple_pack_string(struct buf *b, struct bytes utf8);
void tuple_pack_str(struct buf *b, const char *s);
void tuple_pack_int(struct buf *b, int64_t v);
void tuple_pack_uint(struct buf *b, uint64_t v);
/* The integer whose magnitude is `magnitude` and whose sign is negative: reaches -(2^64 - 1). */
void tuple_pack_negative(struct buf *b, uint64_t magnitude);
void tuple_pack_bool(struct buf *b, bool v);
void tuple_pack_uuid(struct buf *b, struct uuid v);
/* Between begin and end everything packed belongs to the nested tuple. Nesting depth is bounded by
 * TUPLE_DEPTH_MAX; the inner tuple is packed into a buffer of its own first. */
void tuple_pack_nested(struct buf *b, struct bytes packed_inner);

#define TUPLE_DEPTH_MAX 8

/* One decoded element. */
struct tuple_item {
    enum tuple_type type;
    bool negative;      /* TUPLE_INT below INT64_MIN keeps its magnitude in `u` */
    int64_t i;          /* TUPLE_INT */
    uint64_t u;         /* TUPLE_UINT, or TUPLE_INT when >= 0 */
    bool b;             /* TUPLE_BOOL */
    struct uuid uuid;   /* TUPLE_UUID */
    struct bytes bytes; /* BYTES, STRING: unescaped; NESTED: the packed inner tuple */
};

/* Reads a packed tuple from bytes that nobody vouches for. Unescaped data lives in `scratch`,
 * which the caller owns and which must not be cleared while items are in use. */
struct tuple_reader {
    struct bytes rest;
    struct buf *scratch;
    bool ok;
};

struct tuple_reader tuple_reader_of(struct bytes packed, struct buf *scratch);
/* True with the next element in `out`; false at the end or (then ok is false) on bad input. */
bool tuple_next(struct tuple_reader *r, struct tuple_item *out) MUST_USE;
/* Typed reads: the value, or 0/empty with r->ok = false when the next element is not of that type. */
uint64_t tuple_next_uint(struct tuple_reader *r);
int64_t tuple_next_int(struct tuple_reader *r);
bool tuple_next_bool(struct tuple_reader *r);
struct uuid tuple_next_uuid(struct tuple_reader *r);
struct bytes tuple_next_bytes(struct tuple_reader *r);
struct bytes tuple_next_string(struct tuple_reader *r);
struct bytes tuple_next_nested(struct tuple_reader *r);
bool tuple_at_end(const struct tuple_reader *r);
/* A printable form such as ("kelpie", 7, b"\x00"), for errors and dumps; appends to `out`. */
void tuple_to_text(struct bytes packed, struct buf *out);
/* The smallest key that is greater than every key that begins with `prefix`: prefix + 0xff is the
 * end of a tuple's children, as tuple.range() gives it. */
#define TUPLE_RANGE_END 0xff

/* Well-formed UTF-8 without NUL. */
bool utf8_valid(struct bytes s);

#endif

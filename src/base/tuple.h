/*
 * FoundationDB's tuple layer (apple/foundationdb, design/tuple.md): everything that its own bindings
 * write. Null, bytes, unicode, nested, integers of both signs and up to 255 bytes, float, double,
 * bool, uuid, versionstamps of 96 bits. Packed tuples sort as their elements do.
 */
#ifndef KELPIE_BASE_TUPLE_H
#define KELPIE_BASE_TUPLE_H

#include "base/buf.h"
#include "base/utf8.h"
#include "base/uuid.h"

enum tuple_type {
    TUPLE_NULL,
    TUPLE_BYTES,
    TUPLE_STRING,
    TUPLE_NESTED,
    TUPLE_INT,  /* fits int64_t, or is of 8 bytes and negative */
    TUPLE_UINT, /* above INT64_MAX, of 8 bytes */
    TUPLE_BIG,  /* an integer of more than 8 bytes */
    TUPLE_FLOAT,
    TUPLE_DOUBLE,
    TUPLE_BOOL,
    TUPLE_UUID,
    TUPLE_VERSIONSTAMP,
};

/* An integer of more than 8 bytes has at most so many: its length takes one byte. */
#define TUPLE_BIG_MAX 255

/*
 * Where a commit stands among all of a database. An incomplete one is 10 bytes of 0xff: whoever
 * writes a row by SET_VERSIONSTAMPED_KEY or _VALUE tells the database where these are (one byte
 * behind the beginning of the packed element), and it puts the commit's own there.
 */
struct versionstamp {
    uint8_t commit[10]; /* of the transaction: version and order in its batch, big endian */
    uint16_t user;      /* order within the transaction */
};

struct versionstamp versionstamp_incomplete(uint16_t user);
bool versionstamp_is_complete(struct versionstamp v);

/* Packing appends to `b`; what is appended is not part of `b`. */
void tuple_pack_null(struct buf *b);
void tuple_pack_bytes(struct buf *b, struct bytes v);
/* Well-formed UTF-8, NUL allowed (asserted: what is packed can be read back). Text from outside is
 * tested first, with utf8_valid. */
void tuple_pack_string(struct buf *b, struct bytes utf8);
void tuple_pack_str(struct buf *b, const char *s);
void tuple_pack_int(struct buf *b, int64_t v);
void tuple_pack_uint(struct buf *b, uint64_t v);
/* The integer whose magnitude is `magnitude` and whose sign is negative: reaches -(2^64 - 1).
 * `magnitude` > 0. */
void tuple_pack_negative(struct buf *b, uint64_t magnitude);
/* An integer of 9 to TUPLE_BIG_MAX bytes, big endian, the first of them not 0 (asserted: a smaller
 * one has its shorter form). */
void tuple_pack_big(struct buf *b, bool negative, struct bytes magnitude);
/* By their bits, as IEEE's total order has them: -0.0 before 0.0, each NaN by its payload, negative
 * ones before everything, positive ones behind. A float is not the double of the same value. */
void tuple_pack_float(struct buf *b, float v);
void tuple_pack_double(struct buf *b, double v);
void tuple_pack_bool(struct buf *b, bool v);
void tuple_pack_uuid(struct buf *b, struct uuid v);
void tuple_pack_versionstamp(struct buf *b, struct versionstamp v);
/* The inner tuple is packed into a buffer of its own first. Asserts that it is a packed tuple, and
 * that the new element is not nested deeper than TUPLE_DEPTH_MAX. */
void tuple_pack_nested(struct buf *b, struct bytes packed_inner);

/* So many nested tuples may lie in each other; the outermost tuple does not count. */
#define TUPLE_DEPTH_MAX 8

/* One decoded element. */
struct tuple_item {
    enum tuple_type type;
    bool negative;    /* TUPLE_INT, TUPLE_BIG: below 0 */
    int64_t i;        /* TUPLE_INT; INT64_MIN for one below INT64_MIN, see `u` */
    uint64_t u;       /* TUPLE_UINT, TUPLE_INT: the magnitude, the value when not negative */
    float f;          /* TUPLE_FLOAT */
    double d;         /* TUPLE_DOUBLE */
    bool b;           /* TUPLE_BOOL */
    struct uuid uuid; /* TUPLE_UUID */
    struct versionstamp stamp; /* TUPLE_VERSIONSTAMP */
    /* BYTES, STRING: unescaped; NESTED: the packed inner tuple; BIG: the magnitude, big endian. */
    struct bytes bytes;
};

/*
 * Reads a packed tuple from bytes that nobody vouches for. There is one packed form of a tuple:
 * an integer with a needless leading byte, a string that is not UTF-8 and a type code that is not
 * listed above are refused, and so is deeper nesting than TUPLE_DEPTH_MAX.
 *
 * The bytes of an item lie in the packed tuple itself, or, when something had to be unescaped, in
 * `scratch`. The caller owns it and does not clear it while items are in use. One scratch may serve
 * a reader and the readers of its nested items (each read once): what they unescape does not move
 * as long as nothing else is put there. The reader of another tuple takes another scratch, or
 * begins when the earlier items are no longer needed.
 */
struct tuple_reader {
    struct bytes rest;
    struct buf *scratch;
    bool ok;
    bool reserved; /* scratch has room for all that is left */
};

struct tuple_reader tuple_reader_of(struct bytes packed, struct buf *scratch);
/* True with the next element in `out`; false at the end or (then ok is false) on bad input. */
bool tuple_next(struct tuple_reader *r, struct tuple_item *out) MUST_USE;
/* Typed reads: the value, or 0/empty with r->ok = false when the next element is not of that type
 * or does not fit. */
uint64_t tuple_next_uint(struct tuple_reader *r);
int64_t tuple_next_int(struct tuple_reader *r);
float tuple_next_float(struct tuple_reader *r);
double tuple_next_double(struct tuple_reader *r);
bool tuple_next_bool(struct tuple_reader *r);
struct uuid tuple_next_uuid(struct tuple_reader *r);
struct versionstamp tuple_next_versionstamp(struct tuple_reader *r);
struct bytes tuple_next_bytes(struct tuple_reader *r);
struct bytes tuple_next_string(struct tuple_reader *r);
struct bytes tuple_next_nested(struct tuple_reader *r);
/* True when everything was read, nothing is left and nothing was wrong. */
bool tuple_at_end(const struct tuple_reader *r);
/* A printable form such as ("kelpie", 7, b"\x00"), for errors and dumps; appends to `out`. What
 * cannot be decoded is shown as ?"..." with its bytes in hexadecimal. */
void tuple_to_text(struct bytes packed, struct buf *out);
/* The smallest key that is greater than every key that begins with `prefix`: prefix + 0xff is the
 * end of a tuple's children, as tuple.range() gives it. */
#define TUPLE_RANGE_END 0xff

#endif

/*
 * The frame that every record's value has: a tuple (version, fields..., checksum). The checksum is
 * the CRC-32C of the row's key followed by the value's bytes before the checksum.
 */
#ifndef KELPIE_RECORD_RECORD_VALUE_H
#define KELPIE_RECORD_RECORD_VALUE_H

#include "base/tuple.h"

/* Clears `out` and packs the version of the record; the fields follow. */
void value_begin_at(struct buf *out, unsigned version);
/* A record that is as it was in version 1. */
void value_begin(struct buf *out);
/* Packs the checksum. */
void value_end(struct bytes key, struct buf *out);
/* A string of min..max bytes of UTF-8 without NUL: asserted. */
void value_pack_text(struct buf *out, const char *s, size_t min, size_t max);

/* Verifies the checksum, then that the version is 1. Returns 0 and the fields in `fields`, or
 * KELPIE_E_STORE_CORRUPT or KELPIE_E_STORE_NEWER. `scratch` is used by the fields' reader only. */
int value_open(struct bytes key, struct bytes value, struct buf *scratch,
               struct tuple_reader *fields) MUST_USE;
/* The same of a record that has `version`; another one that this program knows is corrupt here. */
int value_open_at(struct bytes key, struct bytes value, struct buf *scratch,
                  struct tuple_reader *fields, unsigned version) MUST_USE;
/* Of whatever version that this program knows: *version says which. */
int value_open_any(struct bytes key, struct bytes value, struct buf *scratch,
                   struct tuple_reader *fields, uint64_t *version) MUST_USE;
/* Copies a string of min..max bytes to `out`, which has room for max + 1. */
void value_take_text(struct tuple_reader *fields, char *out, size_t min, size_t max);
uint32_t value_take_u32(struct tuple_reader *fields);
/* An enum's number, at most `last`. */
unsigned value_take_enum(struct tuple_reader *fields, unsigned last);
/* Bytes of at most `max`, always in the reader's scratch. The last field that is read. */
struct bytes value_take_bytes(struct tuple_reader *fields, size_t max);
/* 0 when every field was read and right and none is left over, else KELPIE_E_STORE_CORRUPT. */
int value_close(const struct tuple_reader *fields) MUST_USE;

#endif

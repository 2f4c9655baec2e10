/*
 * What client and store process say to each other over the Unix socket. A frame is a length (u32,
 * of what follows), a type (u8), a body; numbers are big endian. Client and process run on one
 * machine, so there is no checksum; every byte is still parsed with bounds, and a frame that lies
 * ends the connection.
 *
 * The first frame in each direction is HELLO and WELCOME (or REFUSED), with magic and version. A
 * HELLO ends the former session of the same client id before it is answered: nothing of that one
 * can be committed after the WELCOME.
 */
#ifndef KELPIE_STORE_STORE_PROTOCOL_H
#define KELPIE_STORE_STORE_PROTOCOL_H

#include "base/buf.h"
#include "base/uuid.h"
#include "env/store.h"
#include "store/recent.h"

#define STORE_PROTOCOL_MAGIC 0x4b4c5053u /* "KLPS" */
#define STORE_PROTOCOL_VERSION 1
#define STORE_FRAME_HEAD 5
/* The longest frames that keep to the bounds of env/store.h. */
#define STORE_REQUEST_MAX                                                                          \
    (STORE_FRAME_HEAD + 64u + STORE_READS_MAX * (2 * STORE_KEY_MAX + 16u) +                        \
     STORE_WRITES_MAX * 16u + STORE_WRITE_BYTES_MAX)
#define STORE_ANSWER_MAX                                                                           \
    (STORE_FRAME_HEAD + 64u + STORE_READS_MAX * 8u + STORE_ROWS_MAX * 8u + STORE_READ_BYTES_MAX)

enum store_msg {
    STORE_MSG_HELLO = 1,  /* client: magic u32, version u16, client id 16, and u8 1: knows copies */
    STORE_MSG_READ = 2,   /* id u64, count u16, reads */
    STORE_MSG_COMMIT = 3, /* id u64, read version u64, count u16, ranges, count u16, writes */
    STORE_MSG_WATCH = 4,  /* id u64, since version u64, key */
    STORE_MSG_UNWATCH = 5, /* id u64 */
    STORE_MSG_PING = 6,    /* number u64 */

    STORE_MSG_WELCOME = 65,   /* process: magic u32, version u16 */
    STORE_MSG_REFUSED = 66,   /* magic u32, version u16, sentence u16 + bytes */
    STORE_MSG_ROWS = 67,      /* id u64, status u8, version u64, rows u32, count u16, results */
    STORE_MSG_COMMITTED = 68, /* id u64, status u8, version u64 */
    STORE_MSG_FIRED = 69,     /* id u64 */
    STORE_MSG_PONG = 70,      /* number u64 */
};

/* A status is sent as its negation, 0 .. 255. */

/* ---- frames */

struct store_frame {
    enum store_msg type;
    struct bytes body;
    size_t size; /* of the whole frame */
};

/* Looks at the front of what was received. 1 and the frame (borrowed), 0 when more bytes are needed,
 * KELPIE_E_PROTOCOL when it says it is longer than `max`. */
int store_frame_next(struct bytes received, size_t max, struct store_frame *out) MUST_USE;

/* ---- client to process. Encoders append one frame. */

/* `knows_copies`: it reads a store that is a copy (a program for operators, no node). */
void store_encode_hello(struct buf *out, struct uuid client, bool knows_copies);
void store_encode_read(struct buf *out, uint64_t id, const struct store_read *reads, size_t count);
void store_encode_commit(struct buf *out, uint64_t id, uint64_t read_version,
                         const struct key_range *ranges, size_t range_count,
                         const struct store_write *writes, size_t write_count);
void store_encode_watch(struct buf *out, uint64_t id, uint64_t since, struct bytes key);
void store_encode_unwatch(struct buf *out, uint64_t id);
void store_encode_ping(struct buf *out, uint64_t number);

/* Decoders: 0, KELPIE_E_PROTOCOL, for a hello also KELPIE_E_VERSION. Bytes are borrowed from the
 * frame. Arrays have room for the bounds of env/store.h. */
int store_decode_hello(struct bytes body, struct uuid *client, bool *knows_copies) MUST_USE;
int store_decode_read(struct bytes body, uint64_t *id, struct store_read *reads,
                      size_t *count) MUST_USE;

struct store_commit_msg {
    uint64_t id;
    uint64_t read_version;
    size_t range_count;
    size_t write_count;
};

/* The counts of a COMMIT, so that the caller can make room, then the whole. */
int store_decode_commit_head(struct bytes body, struct store_commit_msg *out) MUST_USE;
int store_decode_commit(struct bytes body, const struct store_commit_msg *head,
                        struct key_range *ranges, struct store_write *writes) MUST_USE;
int store_decode_watch(struct bytes body, uint64_t *id, uint64_t *since,
                       struct bytes *key) MUST_USE;
/* UNWATCH, PING, FIRED, PONG. */
int store_decode_number(struct bytes body, uint64_t *number) MUST_USE;

/* ---- process to client */

void store_encode_welcome(struct buf *out);
void store_encode_refused(struct buf *out, const char *sentence);
void store_encode_committed(struct buf *out, uint64_t id, int status, uint64_t version);
void store_encode_number(struct buf *out, enum store_msg type, uint64_t number);

/* ROWS is written as the rows are found. Between begin and end nothing else is appended. */
struct store_rows_writer {
    struct buf *out;
    size_t frame_at;
    size_t result_at; /* where the head of the result under way is */
    uint32_t rows;
    uint32_t result_rows;
    uint16_t results;
};

void store_rows_begin(struct store_rows_writer *w, struct buf *out, uint64_t id);
void store_rows_row(struct store_rows_writer *w, struct bytes key, struct bytes value);
void store_rows_result(struct store_rows_writer *w, bool more);
/* With a status other than 0 the rows are left out. */
void store_rows_end(struct store_rows_writer *w, int status, uint64_t version);

/* WELCOME or REFUSED. 0, KELPIE_E_PROTOCOL, KELPIE_E_VERSION, or KELPIE_E_REFUSED with its
 * sentence (borrowed); *version is the other side's. */
int store_decode_welcome(enum store_msg type, struct bytes body, uint16_t *version,
                         struct bytes *sentence) MUST_USE;
int store_decode_committed(struct bytes body, uint64_t *id, int *status,
                           uint64_t *version) MUST_USE;

struct store_rows_msg {
    uint64_t id;
    int status;
    uint64_t version;
    size_t result_count;
    struct store_result *results; /* one block of memory with all that it points to, or NULL */
};

/* Returns 0, with results that the caller frees with mem_free, or KELPIE_E_PROTOCOL. */
int store_decode_rows(struct bytes body, struct mem mem, struct store_rows_msg *out) MUST_USE;

#endif

#include "store/store_protocol.h"

#include "kelpie/error.h"

enum { READ_RANGE = 1 };                        /* flags of a read */
enum { CONFLICT_KEY = 1, CONFLICT_CLOSED = 2 }; /* flags of a conflict range */

/* ---- frames */

int store_frame_next(struct bytes received, size_t max, struct store_frame *out)
{
    if (received.len < STORE_FRAME_HEAD)
        return 0;
    struct reader r = reader_of(received);
    size_t len = reader_u32(&r);
    if (len < 1 || len > max - 4)
        return KELPIE_E_PROTOCOL;
    out->type = (enum store_msg)reader_u8(&r);
    if (r.rest.len < len - 1)
        return 0;
    out->body = reader_raw(&r, len - 1);
    out->size = 4 + len;
    return 1;
}

static size_t frame_begin(struct buf *out, enum store_msg type)
{
    size_t at = out->len;
    buf_append_u32(out, 0);
    buf_append_u8(out, (uint8_t)type);
    return at;
}

static void put_u32(uint8_t *p, uint32_t v)
{
    p[0] = (uint8_t)(v >> 24);
    p[1] = (uint8_t)(v >> 16);
    p[2] = (uint8_t)(v >> 8);
    p[3] = (uint8_t)v;
}

static void frame_end(struct buf *out, size_t at)
{
    put_u32(out->data + at, (uint32_t)(out->len - at - 4));
}

static void append_key(struct buf *out, struct bytes key)
{
    CHECK(key.len <= STORE_KEY_MAX + 1);
    buf_append_u16(out, (uint16_t)key.len);
    buf_append_bytes(out, key);
}

static struct bytes reader_key(struct reader *r)
{
    size_t len = reader_u16(r);
    if (len > STORE_KEY_MAX + 1)
        r->ok = false;
    return r->ok ? reader_raw(r, len) : bytes_of(NULL, 0);
}

static int reader_result(const struct reader *r)
{
    return r->ok && reader_end(r) ? 0 : KELPIE_E_PROTOCOL;
}

/* ---- client to process */

void store_encode_hello(struct buf *out, struct uuid client, bool knows_copies)
{
    size_t at = frame_begin(out, STORE_MSG_HELLO);
    buf_append_u32(out, STORE_PROTOCOL_MAGIC);
    buf_append_u16(out, STORE_PROTOCOL_VERSION);
    buf_append(out, client.b, sizeof(client.b));
    if (knows_copies)
        buf_append_u8(out, 1);
    frame_end(out, at);
}

int store_decode_hello(struct bytes body, struct uuid *client, bool *knows_copies)
{
    struct reader r = reader_of(body);
    uint32_t magic = reader_u32(&r);
    uint16_t version = reader_u16(&r);
    if (!r.ok || magic != STORE_PROTOCOL_MAGIC)
        return KELPIE_E_PROTOCOL;
    if (version != STORE_PROTOCOL_VERSION)
        return KELPIE_E_VERSION; /* what follows is for that version to say */
    struct bytes id = reader_raw(&r, sizeof(client->b));
    *knows_copies = r.ok && !reader_end(&r) && reader_u8(&r) == 1;
    if (reader_result(&r))
        return KELPIE_E_PROTOCOL;
    memcpy(client->b, id.data, sizeof(client->b));
    return 0;
}

void store_encode_read(struct buf *out, uint64_t id, const struct store_read *reads, size_t count)
{
    CHECK(count <= STORE_READS_MAX);
    size_t at = frame_begin(out, STORE_MSG_READ);
    buf_append_u64(out, id);
    buf_append_u16(out, (uint16_t)count);
    for (size_t i = 0; i < count; i++) {
        bool range = reads[i].end.len > 0;
        buf_append_u8(out, range ? READ_RANGE : 0);
        append_key(out, reads[i].key);
        if (range) {
            append_key(out, reads[i].end);
            buf_append_u32(out, reads[i].limit);
        }
    }
    frame_end(out, at);
}

int store_decode_read(struct bytes body, uint64_t *id, struct store_read *reads, size_t *count)
{
    struct reader r = reader_of(body);
    *id = reader_u64(&r);
    *count = reader_u16(&r);
    if (!r.ok || *count > STORE_READS_MAX)
        return KELPIE_E_PROTOCOL;
    for (size_t i = 0; i < *count && r.ok; i++) {
        uint8_t flags = reader_u8(&r);
        reads[i] = (struct store_read){.key = reader_key(&r)};
        if (flags & READ_RANGE) {
            reads[i].end = reader_key(&r);
            reads[i].limit = reader_u32(&r);
            if (reads[i].end.len == 0)
                return KELPIE_E_PROTOCOL;
        }
    }
    return reader_result(&r);
}

static void append_range(struct buf *out, const struct key_range *range)
{
    bool key = range->closed && bytes_equal(range->begin, range->end);
    buf_append_u8(out, key ? CONFLICT_KEY : range->closed ? CONFLICT_CLOSED : 0);
    append_key(out, range->begin);
    if (!key)
        append_key(out, range->end);
}

static void append_write(struct buf *out, const struct store_write *w)
{
    buf_append_u8(out, (uint8_t)w->kind);
    append_key(out, w->key);
    if (w->kind == STORE_PUT)
        buf_append_blob(out, w->value);
    else if (w->kind == STORE_DELETE_RANGE)
        append_key(out, w->value);
}

void store_encode_commit(struct buf *out, uint64_t id, uint64_t read_version,
                         const struct key_range *ranges, size_t range_count,
                         const struct store_write *writes, size_t write_count)
{
    CHECK(range_count <= STORE_READS_MAX && write_count <= STORE_WRITES_MAX);
    size_t at = frame_begin(out, STORE_MSG_COMMIT);
    buf_append_u64(out, id);
    buf_append_u64(out, read_version);
    buf_append_u16(out, (uint16_t)range_count);
    buf_append_u16(out, (uint16_t)write_count);
    for (size_t i = 0; i < range_count; i++)
        append_range(out, &ranges[i]);
    for (size_t i = 0; i < write_count; i++)
        append_write(out, &writes[i]);
    frame_end(out, at);
}

#define COMMIT_HEAD_SIZE 20

int store_decode_commit_head(struct bytes body, struct store_commit_msg *out)
{
    struct reader r = reader_of(body);
    out->id = reader_u64(&r);
    out->read_version = reader_u64(&r);
    out->range_count = reader_u16(&r);
    out->write_count = reader_u16(&r);
    if (!r.ok || out->range_count > STORE_READS_MAX || out->write_count > STORE_WRITES_MAX)
        return KELPIE_E_PROTOCOL;
    return 0;
}

static void reader_range(struct reader *r, struct key_range *out)
{
    uint8_t flags = reader_u8(r);
    out->begin = reader_key(r);
    out->end = flags & CONFLICT_KEY ? out->begin : reader_key(r);
    out->closed = flags != 0;
}

static void reader_write(struct reader *r, struct store_write *out)
{
    uint8_t kind = reader_u8(r);
    if (kind > STORE_DELETE_RANGE)
        r->ok = false;
    *out = (struct store_write){.kind = r->ok ? (enum store_write_kind)kind : STORE_PUT};
    out->key = reader_key(r);
    if (kind == STORE_PUT)
        out->value = reader_blob(r, STORE_VALUE_MAX);
    else if (kind == STORE_DELETE_RANGE)
        out->value = reader_key(r);
}

int store_decode_commit(struct bytes body, const struct store_commit_msg *head,
                        struct key_range *ranges, struct store_write *writes)
{
    struct reader r = reader_of(body);
    (void)reader_raw(&r, COMMIT_HEAD_SIZE);
    for (size_t i = 0; i < head->range_count && r.ok; i++)
        reader_range(&r, &ranges[i]);
    for (size_t i = 0; i < head->write_count && r.ok; i++)
        reader_write(&r, &writes[i]);
    return reader_result(&r);
}

void store_encode_watch(struct buf *out, uint64_t id, uint64_t since, struct bytes key)
{
    size_t at = frame_begin(out, STORE_MSG_WATCH);
    buf_append_u64(out, id);
    buf_append_u64(out, since);
    append_key(out, key);
    frame_end(out, at);
}

int store_decode_watch(struct bytes body, uint64_t *id, uint64_t *since, struct bytes *key)
{
    struct reader r = reader_of(body);
    *id = reader_u64(&r);
    *since = reader_u64(&r);
    *key = reader_key(&r);
    return reader_result(&r);
}

void store_encode_number(struct buf *out, enum store_msg type, uint64_t number)
{
    size_t at = frame_begin(out, type);
    buf_append_u64(out, number);
    frame_end(out, at);
}

void store_encode_unwatch(struct buf *out, uint64_t id)
{
    store_encode_number(out, STORE_MSG_UNWATCH, id);
}

void store_encode_ping(struct buf *out, uint64_t number)
{
    store_encode_number(out, STORE_MSG_PING, number);
}

int store_decode_number(struct bytes body, uint64_t *number)
{
    struct reader r = reader_of(body);
    *number = reader_u64(&r);
    return reader_result(&r);
}

/* ---- process to client */

void store_encode_welcome(struct buf *out)
{
    size_t at = frame_begin(out, STORE_MSG_WELCOME);
    buf_append_u32(out, STORE_PROTOCOL_MAGIC);
    buf_append_u16(out, STORE_PROTOCOL_VERSION);
    frame_end(out, at);
}

void store_encode_refused(struct buf *out, const char *sentence)
{
    size_t at = frame_begin(out, STORE_MSG_REFUSED);
    buf_append_u32(out, STORE_PROTOCOL_MAGIC);
    buf_append_u16(out, STORE_PROTOCOL_VERSION);
    append_key(out, bytes_of_str(sentence));
    frame_end(out, at);
}

int store_decode_welcome(enum store_msg type, struct bytes body, uint16_t *version,
                         struct bytes *sentence)
{
    struct reader r = reader_of(body);
    uint32_t magic = reader_u32(&r);
    *version = reader_u16(&r);
    *sentence = bytes_of(NULL, 0);
    if (!r.ok || magic != STORE_PROTOCOL_MAGIC)
        return KELPIE_E_PROTOCOL;
    if (*version != STORE_PROTOCOL_VERSION)
        return KELPIE_E_VERSION;
    if (type == STORE_MSG_WELCOME)
        return reader_result(&r);
    if (type != STORE_MSG_REFUSED)
        return KELPIE_E_PROTOCOL;
    *sentence = reader_key(&r);
    return r.ok ? KELPIE_E_REFUSED : KELPIE_E_PROTOCOL;
}

static uint8_t status_byte(int status)
{
    CHECK(status <= 0 && status >= -255);
    return (uint8_t)-status;
}

void store_encode_committed(struct buf *out, uint64_t id, int status, uint64_t version)
{
    size_t at = frame_begin(out, STORE_MSG_COMMITTED);
    buf_append_u64(out, id);
    buf_append_u8(out, status_byte(status));
    buf_append_u64(out, version);
    frame_end(out, at);
}

int store_decode_committed(struct bytes body, uint64_t *id, int *status, uint64_t *version)
{
    struct reader r = reader_of(body);
    *id = reader_u64(&r);
    *status = -(int)reader_u8(&r);
    *version = reader_u64(&r);
    return reader_result(&r);
}

/* ROWS: after the frame's head id (8), status (1), version (8), rows (4), results (2). */
#define ROWS_STATUS_AT (STORE_FRAME_HEAD + 8)
#define ROWS_HEAD_SIZE (STORE_FRAME_HEAD + 23)

static void rows_begin_result(struct store_rows_writer *w)
{
    w->result_at = w->out->len;
    w->result_rows = 0;
    buf_append_u32(w->out, 0);
    buf_append_u8(w->out, 0);
}

void store_rows_begin(struct store_rows_writer *w, struct buf *out, uint64_t id)
{
    *w = (struct store_rows_writer){.out = out};
    w->frame_at = frame_begin(out, STORE_MSG_ROWS);
    buf_append_u64(out, id);
    (void)buf_reserve(out, 15);
    memset(out->data + out->len, 0, 15);
    out->len += 15;
    rows_begin_result(w);
}

void store_rows_row(struct store_rows_writer *w, struct bytes key, struct bytes value)
{
    append_key(w->out, key);
    buf_append_blob(w->out, value);
    w->rows++;
    w->result_rows++;
}

void store_rows_result(struct store_rows_writer *w, bool more)
{
    put_u32(w->out->data + w->result_at, w->result_rows);
    w->out->data[w->result_at + 4] = more;
    w->results++;
    rows_begin_result(w);
}

void store_rows_end(struct store_rows_writer *w, int status, uint64_t version)
{
    struct buf *out = w->out;
    /* The head of a further result is taken back; with an error all results are. */
    out->len = status ? w->frame_at + ROWS_HEAD_SIZE : w->result_at;
    uint8_t *p = out->data + w->frame_at + ROWS_STATUS_AT;
    uint32_t rows = status ? 0 : w->rows;
    uint16_t results = status ? 0 : w->results;
    p[0] = status_byte(status);
    put_u32(p + 1, (uint32_t)(version >> 32));
    put_u32(p + 5, (uint32_t)version);
    put_u32(p + 9, rows);
    p[13] = (uint8_t)(results >> 8);
    p[14] = (uint8_t)results;
    frame_end(out, w->frame_at);
}

#define ROW_SIZE_MIN 6 /* two lengths */

/* The rows behind the head, into a block that has room for them. */
static bool rows_fill(struct reader *r, struct store_result *results, size_t result_count,
                      struct store_row *rows, size_t row_count)
{
    for (size_t i = 0; i < result_count; i++) {
        size_t n = reader_u32(r);
        bool more = reader_u8(r) != 0;
        if (!r->ok || n > row_count || (more && n == 0))
            return false;
        results[i] = (struct store_result){.rows = rows, .count = n, .more = more};
        for (size_t j = 0; j < n; j++) {
            rows[j].key = reader_key(r);
            rows[j].value = reader_blob(r, STORE_VALUE_MAX);
        }
        rows += n;
        row_count -= n;
    }
    return r->ok && reader_end(r) && row_count == 0;
}

int store_decode_rows(struct bytes body, struct mem mem, struct store_rows_msg *out)
{
    struct reader r = reader_of(body);
    *out = (struct store_rows_msg){.id = reader_u64(&r)};
    out->status = -(int)reader_u8(&r);
    out->version = reader_u64(&r);
    size_t row_count = reader_u32(&r);
    out->result_count = reader_u16(&r);
    if (!r.ok || out->result_count > STORE_READS_MAX || row_count > STORE_ROWS_MAX ||
        row_count > r.rest.len / ROW_SIZE_MIN)
        return KELPIE_E_PROTOCOL;
    if (out->result_count == 0)
        return reader_result(&r);
    size_t head =
        out->result_count * sizeof(struct store_result) + row_count * sizeof(struct store_row);
    out->results = mem_alloc(mem, head + r.rest.len);
    struct store_row *rows = (struct store_row *)(void *)(out->results + out->result_count);
    uint8_t *data = (uint8_t *)out->results + head;
    memcpy(data, r.rest.data, r.rest.len);
    r.rest.data = data;
    if (rows_fill(&r, out->results, out->result_count, rows, row_count))
        return 0;
    mem_free(mem, out->results);
    out->results = NULL;
    return KELPIE_E_PROTOCOL;
}

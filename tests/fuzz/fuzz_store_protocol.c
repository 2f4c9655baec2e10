/* Every decoder of the store's socket, and the server behind it: the first byte chooses. Input that
 * decodes is encoded again and must give the same frame. */
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

#include "kelpie/error.h"
#include "store/omap_memory.h"
#include "store/store_protocol.h"
#include "store/store_server.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void *fuzz_resize(void *ctx, void *ptr, size_t size)
{
    (void)ctx;
    void *p = realloc(ptr, size);
    CHECK(p != NULL);
    return p;
}

static void *fuzz_alloc(void *ctx, size_t size)
{
    return fuzz_resize(ctx, NULL, size);
}

static void fuzz_release(void *ctx, void *ptr)
{
    (void)ctx;
    free(ptr);
}

static const struct mem_ops mem_ops = {fuzz_alloc, fuzz_resize, fuzz_release};
static const struct mem mem = {.ops = &mem_ops};

static void fuzz_log(void *ctx, enum log_level level, const char *event, const char *fields)
{
    (void)ctx;
    (void)level;
    (void)event;
    (void)fields;
}

/* What the process makes of it: a session of whatever frames, after a good hello. */
static void fuzz_server(struct bytes input)
{
    static const struct log_ops log_ops = {fuzz_log};
    const struct log log = {.ops = &log_ops};
    int fds[2];
    if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0, fds))
        return;
    struct omap_memory *map = omap_memory_new(mem, 1 << 20);
    struct core *core;
    CHECK(core_new(mem, omap_memory_map(map), NULL, &core) == 0);
    struct store_server *server = store_server_new(mem, &log, core, -1);
    CHECK(server != NULL);
    store_server_adopt(server, fds[1]);
    struct buf hello;
    buf_init(&hello, mem);
    store_encode_hello(&hello, (struct uuid){.b = {1}}, false);
    ssize_t sent = send(fds[0], hello.data, hello.len, MSG_NOSIGNAL);
    sent += send(fds[0], input.data, input.len, MSG_NOSIGNAL);
    for (int i = 0; i < 4 && sent > 0; i++)
        CHECK(store_server_turn(server, 0) == 0);
    buf_deinit(&hello);
    close(fds[0]);
    CHECK(store_server_turn(server, 0) == 0);
    store_server_free(server);
    core_free(core);
    omap_memory_free(map);
}

static void fuzz_requests(struct bytes body, struct buf *out)
{
    static struct store_read reads[STORE_READS_MAX];
    static struct key_range ranges[STORE_READS_MAX];
    static struct store_write writes[STORE_WRITES_MAX];
    struct store_commit_msg commit;
    struct uuid client;
    uint64_t id, since;
    bool knows;
    size_t count;
    struct bytes key;
    if (store_decode_hello(body, &client, &knows) == 0)
        store_encode_hello(out, client, knows);
    if (store_decode_read(body, &id, reads, &count) == 0)
        store_encode_read(out, id, reads, count);
    if (store_decode_commit_head(body, &commit) == 0 &&
        store_decode_commit(body, &commit, ranges, writes) == 0) {
        buf_clear(out);
        store_encode_commit(out, commit.id, commit.read_version, ranges, commit.range_count, writes,
                            commit.write_count);
        struct store_frame f;
        struct store_commit_msg again;
        CHECK(store_frame_next(buf_bytes(out), UINT32_MAX, &f) == 1);
        CHECK(store_decode_commit_head(f.body, &again) == 0);
        CHECK(again.range_count == commit.range_count && again.write_count == commit.write_count);
        CHECK(store_decode_commit(f.body, &again, ranges, writes) == 0);
    }
    if (store_decode_watch(body, &id, &since, &key) == 0) {
        buf_clear(out);
        store_encode_watch(out, id, since, key);
        CHECK(
            bytes_equal(bytes_of(out->data + STORE_FRAME_HEAD, out->len - STORE_FRAME_HEAD), body));
    }
}

static void fuzz_answers(struct bytes body)
{
    uint16_t version;
    struct bytes sentence;
    uint64_t id, number;
    int status;
    struct store_rows_msg rows;
    if (store_decode_welcome(STORE_MSG_WELCOME, body, &version, &sentence) == 0)
        CHECK(version == STORE_PROTOCOL_VERSION);
    if (store_decode_welcome(STORE_MSG_REFUSED, body, &version, &sentence) == KELPIE_E_REFUSED)
        CHECK(sentence.len <= body.len);
    if (store_decode_committed(body, &id, &status, &number) == 0)
        CHECK(status <= 0);
    if (store_decode_number(body, &number) == 0)
        CHECK(body.len == 8);
    if (store_decode_rows(body, mem, &rows) == 0) {
        size_t bytes = 0;
        for (size_t i = 0; i < rows.result_count; i++)
            for (size_t j = 0; j < rows.results[i].count; j++)
                bytes += rows.results[i].rows[j].key.len + rows.results[i].rows[j].value.len;
        CHECK(bytes <= body.len);
        mem_free(mem, rows.results);
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (size < 1)
        return 0;
    struct bytes input = bytes_of(data + 1, size - 1);
    struct buf out;
    struct store_frame f;
    buf_init(&out, mem);
    if (store_frame_next(input, STORE_REQUEST_MAX, &f) == 1)
        CHECK(f.size <= input.len);
    if (data[0] % 3 == 0)
        fuzz_requests(input, &out);
    else if (data[0] % 3 == 1)
        fuzz_answers(input);
    else
        fuzz_server(input);
    buf_deinit(&out);
    return 0;
}

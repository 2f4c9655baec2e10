#include "store/store_results.h"

struct result_span {
    uint32_t key_len;   /* of a row; or the number of rows of a read */
    uint32_t value_len; /* of a row; or whether there is more */
};

void results_builder_init(struct results_builder *b, struct mem mem)
{
    *b = (struct results_builder){.mem = mem};
    buf_init(&b->bytes, mem);
    buf_init(&b->rows, mem);
    buf_init(&b->reads, mem);
}

void results_builder_deinit(struct results_builder *b)
{
    buf_deinit(&b->bytes);
    buf_deinit(&b->rows);
    buf_deinit(&b->reads);
}

static void results_row(void *arg, size_t index, struct bytes key, struct bytes value)
{
    struct results_builder *b = arg;
    const struct result_span span = {(uint32_t)key.len, (uint32_t)value.len};
    CHECK(b->reads.len == index * sizeof(span));
    buf_append_bytes(&b->bytes, key);
    buf_append_bytes(&b->bytes, value);
    buf_append(&b->rows, &span, sizeof(span));
    b->row_count++;
}

static void results_end(void *arg, size_t index, bool more)
{
    struct results_builder *b = arg;
    const struct result_span span = {(uint32_t)b->row_count, more};
    CHECK(b->reads.len == index * sizeof(span));
    buf_append(&b->reads, &span, sizeof(span));
    b->row_count = 0;
}

struct core_sink results_builder_sink(struct results_builder *b)
{
    buf_clear(&b->bytes);
    buf_clear(&b->rows);
    buf_clear(&b->reads);
    b->row_count = 0;
    return (struct core_sink){.row = results_row, .end = results_end, .arg = b};
}

struct store_result *results_builder_finish(struct results_builder *b)
{
    size_t reads = b->reads.len / sizeof(struct result_span);
    size_t rows = b->rows.len / sizeof(struct result_span);
    if (reads == 0)
        return NULL;
    size_t head = reads * sizeof(struct store_result) + rows * sizeof(struct store_row);
    struct store_result *results = mem_alloc(b->mem, head + b->bytes.len);
    struct store_row *row = (struct store_row *)(void *)(results + reads);
    uint8_t *data = (uint8_t *)results + head;
    if (b->bytes.len)
        memcpy(data, b->bytes.data, b->bytes.len);
    struct result_span span;
    for (size_t i = 0; i < rows; i++) {
        memcpy(&span, b->rows.data + i * sizeof(span), sizeof(span));
        row[i].key = bytes_of(data, span.key_len);
        row[i].value = bytes_of(data + span.key_len, span.value_len);
        data += span.key_len + span.value_len;
    }
    for (size_t i = 0; i < reads; i++) {
        memcpy(&span, b->reads.data + i * sizeof(span), sizeof(span));
        results[i] =
            (struct store_result){.rows = row, .count = span.key_len, .more = span.value_len};
        row += span.key_len;
    }
    return results;
}

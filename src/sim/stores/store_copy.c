#include "sim/stores/store_copy.h"

#include <stdlib.h>

#include "sim/stores/sim_store.h"

static struct bytes keep(struct bytes b)
{
    uint8_t *copy = malloc(b.len + 1);

    CHECK(copy);
    if (b.len)
        memcpy(copy, b.data, b.len);
    return bytes_of(copy, b.len);
}

static bool on_row(void *arg, struct bytes key, struct bytes value)
{
    struct store_copy *c = arg;

    if (c->count == c->cap) {
        c->cap = c->cap ? c->cap * 2 : 256;
        c->rows = realloc(c->rows, c->cap * sizeof *c->rows);
        CHECK(c->rows);
    }
    c->rows[c->count++] =
        (struct store_write){.kind = STORE_PUT, .key = keep(key), .value = keep(value)};
    return true;
}

static void drop(struct store_copy *c)
{
    for (size_t i = 0; i < c->count; i++) {
        free((void *)c->rows[i].key.data);
        free((void *)c->rows[i].value.data);
    }
    c->count = 0;
}

void store_copy_take(struct store_copy *c, struct world *w)
{
    drop(c);
    sim_store_each(w, on_row, c);
}

void store_copy_free(struct store_copy *c)
{
    drop(c);
    free(c->rows);
    *c = (struct store_copy){0};
}

/* The results of a read, collected from a core's sink into the form of env/store.h. */
#ifndef KELPIE_STORE_STORE_RESULTS_H
#define KELPIE_STORE_STORE_RESULTS_H

#include "base/buf.h"
#include "store/core.h"

struct results_builder {
    struct mem mem;
    struct buf bytes; /* keys and values, one after the other */
    struct buf rows;  /* struct result_span */
    struct buf reads; /* struct result_span: rows, more */
    size_t row_count;
};

void results_builder_init(struct results_builder *b, struct mem mem);
void results_builder_deinit(struct results_builder *b);
/* The sink that fills it; empties it first. Valid as long as the builder. */
struct core_sink results_builder_sink(struct results_builder *b);
/* Everything collected, in one block of memory: to be freed with mem_free(mem, results). NULL when
 * nothing was read. */
struct store_result *results_builder_finish(struct results_builder *b);

#endif

/* All rows of the world's store, as of one moment. */
#ifndef KELPIE_SIM_STORE_COPY_H
#define KELPIE_SIM_STORE_COPY_H

#include "env/store.h"
#include "sim/world/world.h"

struct store_copy {
    struct store_write *rows; /* as puts; keys and values are its own */
    size_t count, cap;
};

/* What was in it before is dropped. */
void store_copy_take(struct store_copy *c, struct world *w);
void store_copy_free(struct store_copy *c);

#endif

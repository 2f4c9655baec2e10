/* The memory store of the small world, apart from the headers of the node. */
#ifndef KELPIE_TESTS_SMALL_STORE_H
#define KELPIE_TESTS_SMALL_STORE_H

#include "env/store.h"
#include "env/timer.h"

void *small_store_new(struct mem mem, struct timers timers, struct store *out);
void small_store_free(void *memory);

#endif

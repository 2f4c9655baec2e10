#include "lib/small_store.h"

#include "store/store_memory.h"

void *small_store_new(struct mem mem, struct timers timers, struct store *out)
{
    struct store_memory *s = store_memory_new(mem, timers, 0);

    *out = store_memory_store(s);
    return s;
}

void small_store_free(void *memory)
{
    store_memory_free(memory);
}

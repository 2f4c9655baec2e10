/* Memory from malloc that counts its blocks. */
#ifndef KELPIE_TESTS_STORE_HEAP_MEM_H
#define KELPIE_TESTS_STORE_HEAP_MEM_H

#include "base/mem.h"

struct mem test_mem(void);
/* Blocks that are not freed yet. */
long test_mem_used(void);

#endif

/* Whether a store says of itself that it is a copy (STORE_COPY_WORD, env/store.h). */
#ifndef KELPIE_STORE_COPY_MARK_H
#define KELPIE_STORE_COPY_MARK_H

#include "store/core.h"

#define COPY_WHY_SIZE 256

/* `why`: what is to be done first, a sentence without a final stop; "" when it is no copy. Returns 0, or an
 * error of the map. */
int copy_mark_find(struct core *core, char why[COPY_WHY_SIZE]) MUST_USE;

#endif

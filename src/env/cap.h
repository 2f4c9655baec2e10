/* A named bound that can be reached: counted for the metrics, and told in the log now and then. */
#ifndef KELPIE_ENV_CAP_H
#define KELPIE_ENV_CAP_H

#include "env/env.h"

#define CAP_TELL_NS (10 * NS_PER_S) /* one line for each bound in so long */

struct cap {
    const char *name; /* static; for metrics and log */
    uint64_t bound;   /* 0: who counts does not know it */
    uint64_t reached; /* so often something was refused, or went, because of it */
    uint64_t told_ns; /* 0: never */
};

void cap_reached(struct cap *cap, const struct env *env);

#endif

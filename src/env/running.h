/*
 * Which callback of a class runs, and since when, for somebody outside of the process: he can say what blocks it,
 * or what it ended in, when nothing inside can.
 */
#ifndef KELPIE_ENV_RUNNING_H
#define KELPIE_ENV_RUNNING_H

#include <stdint.h>

#define RUNNING_CALLBACK_SIZE 16
#define RUNNING_TYPE_SIZE 65
#define RUNNING_ID_SIZE 193
#define RUNNING_METHOD_SIZE 65
#define RUNNING_REQUEST_SIZE 65

struct running {
    uint64_t since_ns; /* by the monotonic clock that the machine's processes share */
    char callback[RUNNING_CALLBACK_SIZE]; /* "receive", "activate", … */
    char type[RUNNING_TYPE_SIZE];
    char id[RUNNING_ID_SIZE];
    char method[RUNNING_METHOD_SIZE];      /* "": none */
    char request_id[RUNNING_REQUEST_SIZE]; /* "": none */
};

/* Who is told of each callback, before and after it; without functions nobody is. */
struct running_told {
    void (*begin)(void *ctx, const struct running *what);
    void (*end)(void *ctx);
    void *ctx;
};

#endif

/*
 * The slots of a worker process: each a thread with a connection, that runs the turns which come over it. Callbacks of
 * a class run one at a time in the whole process, whatever the actor, as they do in a node; but those of a method that
 * is declared as one that blocks (KELPIE_METHOD_BLOCKS) run beside all others. There are as many slots more as turns
 * wait for others or block, so that some always ask for work.
 */
#ifndef KELPIE_BIN_WORKER_SLOTS_H
#define KELPIE_BIN_WORKER_SLOTS_H

#include "base/log.h"
#include "base/uuid.h"
#include "bin/shared/worker_page.h"
#include "kelpie/kelpie.h"

struct worker_options {
    const char *socket;
    const struct log *log;
    struct uuid worker;
    const struct kelpie_class *const *classes;
    size_t class_count;
    struct worker_page *pages; /* WORKER_SLOTS_MAX of them, shared with who watches this process */
    int tell_fd;               /* who watches is told here, a byte at a time */
};

/* Does not return. */
_Noreturn void worker_slots_run(const struct worker_options *o);

#endif

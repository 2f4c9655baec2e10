/* A worker's process: one line in, one line out, in lock-step. */
#ifndef KELPIE_BIN_SIM_WORKER_H
#define KELPIE_BIN_SIM_WORKER_H

#include <sys/types.h>

#include "base/buf.h"

struct worker_process {
    pid_t pid; /* 0: not started */
    int in, out;
    const char *command;
    unsigned limit_s;
    struct buf said; /* what it has said and nobody has taken yet */
};

void worker_process_start(struct worker_process *p);
/* Says a line (empty: nothing), and waits for the next one, which is in p->said, without its end, until worker_process_taken.
 * `about` is whom it is of, for the sentence that ends the program when there is none. */
struct bytes worker_process_ask(struct worker_process *p, struct bytes line, const char *about);
void worker_process_taken(struct worker_process *p, struct bytes line);
void worker_process_end(struct worker_process *p);

#endif

/* Starting and ending one worker process. */
#ifndef KELPIE_BIN_WORKER_START_H
#define KELPIE_BIN_WORKER_START_H

#include <sys/types.h>

#include "bin/shared/config.h"
#include "bin/shared/worker_page.h"
#include "loop/loop.h"

struct actors_process {
    pid_t pid;   /* 0: none; also its process group and session */
    int told_fd; /* what it says comes here; -1: nothing does */
    bool watched;
    struct worker_page
        *pages; /* WORKER_SLOTS_MAX of them, shared with it, until actors_process_close() */
};

/* The path of kelpie-worker, which lies beside this program. Returns 0, or KELPIE_E_IO with a sentence. */
int worker_program(char *out, size_t size, char *why, size_t why_size) MUST_USE;
/* In a session of its own, at lower priority, with a bound on its memory, standard input and output from and to
 * nowhere; it is killed when this thread's process ends. Returns 0, or KELPIE_E_IO with a sentence. */
int actors_process_start(struct actors_process *p, const struct config *config, const char *program,
                         const char *file, const char *socket, char *why, size_t why_size) MUST_USE;
/* With all that it has started. */
void actors_process_kill(const struct actors_process *p);
/* True when it has ended: then its group is killed, and `how` says how. The pid stays, for whoever tells of it. */
bool actors_process_reap(struct actors_process *p, char *how, size_t how_size);
/* The loop hears it no longer. */
void actors_process_forget(struct actors_process *p, struct loop *loop);
void actors_process_close(struct actors_process *p);

#endif

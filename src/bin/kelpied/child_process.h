/* Starting and killing the node's process. */
#ifndef KELPIE_BIN_CHILD_PROCESS_H
#define KELPIE_BIN_CHILD_PROCESS_H

#include <sys/types.h>

#include "base/uuid.h"
#include "bin/kelpied/node_main.h"
#include "bin/shared/config.h"

struct child_process {
    pid_t pid;              /* 0: none; also its process group and session */
    int life_fd;            /* the supervisor's end of what they tell each other through */
    int verdict;            /* the enum exit_status that it said it ends with; -1: it said none */
    struct node_page *page; /* shared with it, until child_process_close() */
};

/* Runs this program again as a node process with that boot id, in a session of its own; no descriptor
 * is passed on but the standard ones, one for what the two tell each other, and the page that says what runs. Returns 0, or
 * KELPIE_E_IO with a sentence. */
int child_process_start(struct child_process *p, const struct config *config, struct uuid boot,
                        char *why, size_t why_size) MUST_USE;
/* True when it has ended: then its whole group is killed, it is waited for, and *wait_status says
 * how it ended. */
bool child_process_reap(struct child_process *p, int *wait_status);
/* Closes the descriptor, and forgets the page. */
void child_process_close(struct child_process *p);
void child_process_kill(const struct child_process *p);
/* A signal or a debugger holds it. */
bool child_process_is_stopped(const struct child_process *p);
/* Reads what it said. True when there was a sign of life. */
bool child_process_signs(struct child_process *p);
/* Tells it one of NODE_TOLD_...: to leave and end, that the workers are there. */
void child_process_tell(const struct child_process *p, char what);
/* "exit status 3" or "signal 9 (Killed)". */
void child_process_how(const struct child_process *p, int wait_status, char *out, size_t size);

#endif

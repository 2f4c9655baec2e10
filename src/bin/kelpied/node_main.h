/* The process of one node: loop, store, network, HTTP, and the node object. */
#ifndef KELPIE_BIN_NODE_MAIN_H
#define KELPIE_BIN_NODE_MAIN_H

#include <sys/types.h>

#include "base/uuid.h"
#include "bin/kelpied/exit_status.h"
#include "bin/shared/config.h"
#include "loop/running_page.h"

/* Hidden first argument of a node that a supervisor starts:
 *   kelpied --node-process FD PAGE_FD BOOT SUPERVISOR_PID FLAG... */
#define NODE_PROCESS_ARGUMENT "--node-process"
#define NODE_PROCESS_WORDS 6

/* What a node and its supervisor tell each other, a byte each. A status that was not said is not the
 * node's: an actor's code may have called exit(). */
#define NODE_SAYS_ALIVE 'a'
#define NODE_SAYS_STATUS '0' /* and an enum exit_status: what it is about to end with */
#define NODE_TOLD_TO_END 'e'
#define NODE_TOLD_WORKERS 'w' /* those of its `--actors` have registered, or will not */

#define FORCE_AFTER_MS 1000 /* a second signal to end forces, the same one told twice does not */

#define NODE_SOCKET_SIZE 108

/* What a node says to its supervisor in memory that both have. */
struct node_page {
    struct running_page running;
    char socket[NODE_SOCKET_SIZE]; /* where workers find it; said before the first sign of life */
};

struct node_origin {
    struct uuid boot;       /* zero: make one */
    int life_fd;            /* to the supervisor; -1: there is none */
    pid_t supervisor_pid;   /* 0: none */
    struct node_page *page; /* the supervisor's; NULL: none */
};

/* Runs the node until it has left, or cannot go on. */
enum exit_status node_main(const struct config *config, const struct node_origin *origin);
/* main() of a node process; argv as above. */
enum exit_status node_process_main(int argc, char **argv);

#endif

/* The process of one node: loop, store, network, HTTP, and the node object. */
#ifndef KELPIE_BIN_NODE_MAIN_H
#define KELPIE_BIN_NODE_MAIN_H

#include <sys/types.h>

#include "base/uuid.h"
#include "bin/kelpied/exit_status.h"
#include "bin/shared/config.h"

/* Hidden first argument of a node that a supervisor starts:
 *   kelpied --node-process FD BOOT SUPERVISOR_PID FLAG... */
#define NODE_PROCESS_ARGUMENT "--node-process"
#define NODE_PROCESS_WORDS 5

struct node_origin {
    struct uuid boot;     /* zero: make one */
    int life_fd;          /* takes a byte as a sign of life; -1: nobody is watching */
    pid_t supervisor_pid; /* 0: none */
};

/* Runs the node until it has left, or cannot go on. */
enum exit_status node_main(const struct config *config, const struct node_origin *origin);
/* main() of a node process; argv as above. */
enum exit_status node_process_main(int argc, char **argv);

#endif

/* How a kelpied process ends, as its supervisor reads it. */
#ifndef KELPIE_BIN_EXIT_STATUS_H
#define KELPIE_BIN_EXIT_STATUS_H

enum exit_status {
    EXIT_STATUS_OK = 0,     /* the node has left */
    EXIT_STATUS_FAILED = 1, /* starting it again would not help: a twin, a class that is no good */
    EXIT_STATUS_USAGE = 2,  /* wrong options */
    EXIT_STATUS_REFUSED =
        3, /* the system or store refused something at the start; later it may not */
    EXIT_STATUS_EPOCH = 5,  /* the store was restored: a new process begins with nothing */
    EXIT_STATUS_FORCED = 4, /* told to end at once, before the node had left */
};

#endif

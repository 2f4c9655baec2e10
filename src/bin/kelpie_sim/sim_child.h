/*
 * A run in a process of its own: what it has to tell comes as one record through a pipe, and what it
 * says on stderr is kept until it is known how it ended, so that one that aborts says why.
 */
#ifndef KELPIE_BIN_SIM_CHILD_H
#define KELPIE_BIN_SIM_CHILD_H

#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>

#include "base/check.h"

/* Of what a child said on stderr, so much is looked at, from its end. */
#define SIM_CHILD_SAID_MAX 65536

struct sim_child {
    pid_t pid;
    int record; /* the pipe's end to read from */
    int said;   /* a file in memory; -1: the child's stderr is the parent's */
};

/* Starts `run` in a child. It writes its record with sim_child_tell() and returns; the child ends then.
 * Returns 0, or KELPIE_E_IO when there is no process to be had. */
int sim_child_start(struct sim_child *c, void (*run)(void *arg, int record), void *arg) MUST_USE;
/* In the child. A record is smaller than a pipe's buffer, so that whoever has exited has written all. */
void sim_child_tell(int record, const void *data, size_t size);
/* After waitpid() said `status` of it: true with the record; false with a sentence on how it ended
 * instead, with the check that failed when one did. Lets go of the child's descriptors. */
bool sim_child_take(struct sim_child *c, int status, void *record, size_t size, char *why,
                    size_t why_size) MUST_USE;

#endif

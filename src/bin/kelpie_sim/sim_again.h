/*
 * A seed, run by a program of kelpie-sim in a process that is started for it. Memory lies elsewhere
 * than in this one; a disturbed one's malloc() (glibc's) also hands out garbage, and in another
 * order. A run that depends on any of this has another hash.
 */
#ifndef KELPIE_BIN_SIM_AGAIN_H
#define KELPIE_BIN_SIM_AGAIN_H

#include <stdio.h>
#include <sys/types.h>

#include "base/hash128.h"
#include "sim/world/world.h"

#define AGAIN_SELF "/proc/self/exe"

struct again {
    pid_t pid; /* 0: none */
    int fd;    /* what it prints */
};

struct again_run {
    const char *program; /* AGAIN_SELF, or another build's */
    uint64_t seed;
    const char *overrides; /* " --nodes 5 --set a=b", as report_reproduce() takes them */
    const char *events;    /* "A..B": prints these; NULL: the result as JSON */
    bool disturbed;
};

/* What a run printed as JSON. */
struct again_hashes {
    struct hash128 trace, prefix[PREFIX_HASHES];
    unsigned prefixes; /* of 1, 2, 4, … events */
    uint64_t events;
};

/* `value` as a word of a shell's line; false: it does not fit. */
bool shell_quote(const char *value, char *out, size_t size);
/* Cuts a line of such words into them, in place. Returns the next one, or NULL. */
char *shell_word(char **rest);

/* Returns 0, or KELPIE_E_IO: no process can be started. */
int again_start(const struct again_run *r, struct again *out) MUST_USE;
/* Waits for its end; false when it printed no hashes. */
bool again_finish(struct again *a, struct again_hashes *out);
/* Kills it, when it still runs, and waits for its end. */
void again_stop(struct again *a);

#endif

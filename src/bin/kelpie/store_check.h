/* Verifies a store: each record by itself, the by-node rows and the placements against each other,
 * the view against the nodes. */
#ifndef KELPIE_BIN_STORE_CHECK_H
#define KELPIE_BIN_STORE_CHECK_H

#include "bin/shared/store_scan.h"

/* `key` as text, and what is wrong there. */
typedef void check_problem_fn(void *arg, const char *key, const char *problem);

struct check_counts {
    uint64_t records, nodes, actors, problems;
};

/* Returns 0 when everything was looked at (counts->problems says how it is), or an error: the
 * store could not be read, s->reason says why. */
int store_check(struct scan *s, check_problem_fn *fn, void *arg,
                struct check_counts *counts) MUST_USE;

#endif

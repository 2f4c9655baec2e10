/*
 * Planted mistakes: in a test-only build (-DKELPIE_MUTANTS) one protocol mistake at a time can be
 * switched on, to show that the simulator finds it. In every other build MUTANT() is false and the
 * compiler drops the branch. The names are listed in mutant.c with what each breaks.
 */
#ifndef KELPIE_BASE_MUTANT_H
#define KELPIE_BASE_MUTANT_H

#include <stdbool.h>
#include <stddef.h>

#ifdef KELPIE_MUTANTS
bool mutant_is_on(const char *name);
/* Switches one on ("" or NULL: none). Returns false for a name that is not in the table. */
bool mutant_select(const char *name);
#define MUTANT(name) mutant_is_on(name)
#else
#define MUTANT(name) false
#endif

struct mutant_info {
    const char *name;
    const char *mistake;
    const char *breaks;     /* the invariants, as the checkers name them */
    const char *equivalent; /* why it makes no difference; NULL: it must be found */
};

/* The table, ending with a NULL name; the same in every build. */
extern const struct mutant_info mutant_table[];

#endif

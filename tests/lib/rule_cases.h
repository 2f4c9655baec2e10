/* Rules as tables: what is in the store, what is asked, what the rule answers and writes. */
#ifndef KELPIE_TESTS_RULE_CASES_H
#define KELPIE_TESTS_RULE_CASES_H

#include "lib/rule_rig.h"

struct rule_case {
    const char *name;
    const char *scene; /* see rule_rig.h */
    const char *with;  /* the rule's own words, for its starter: mostly silences; may be NULL */
    int flag;
    int status;
    const char *expect; /* status 0: what is written ("": done already); else part of the reason */
};

/* Fills in an operation from the case and starts it, with rig_done(rig). */
typedef void rule_start_fn(struct rig *r, const struct rule_case *c);

/* Runs each case plain, then, where it commits: with a conflict, with commits whose result is unknown
 * or that are not answered, done and not done: the rows are the same in the end, and what was done
 * is recognised (`rewrites`: the rule commits anew every time, for the same outcome). Then each row
 * of the scene is corrupted, and made newer, in turn: the rule names it, or does not look at it. */
void rule_cases_run(const struct rule_case *cases, size_t count, rule_start_fn *start,
                    bool rewrites);
/* That case commits. A row of `with` that changes between read and commit conflicts, one of
 * `without` does not. Names as for rig_row. */
void rule_conflicts(const struct rule_case *c, rule_start_fn *start, const char *with,
                    const char *without);
/* The reads of that case are corrupt in turn: how many of the rows were found so. */
size_t rule_corruption_found(const struct rule_case *c, rule_start_fn *start);

#define RULE_CASES_RUN(cases, start) rule_cases_run((cases), ARRAY_LEN(cases), (start), false)

#endif

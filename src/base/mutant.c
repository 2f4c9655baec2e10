#include "base/mutant.h"

#include <string.h>

/* The first six are the broken variants of the specification (spec/broken-*.cfg). */
const struct mutant_info mutant_table[] = {
    {"untimely", "a failure is declared before the lease has run out", "NoSplitBrain"},
    {"noquorum", "an election does not count a majority", "GrantedByMajority"},
    {"noack", "a node becomes Left before everyone acknowledged a view without it",
     "LeaveDetectionWeak"},
    {"nofence", "a commit does not check the placement", "NoStaleWrite"},
    {"takeback", "a source takes the actor back while its hand-over may still land",
     "SingleActivation"},
    {"twin", "one's own past life is declared failed without waiting for silence",
     "SingleActivation"},
    {NULL, NULL, NULL},
};

#ifdef KELPIE_MUTANTS

static const char *selected;

bool mutant_is_on(const char *name)
{
    return selected && strcmp(selected, name) == 0;
}

bool mutant_select(const char *name)
{
    selected = NULL;
    if (!name || !*name)
        return true;
    for (const struct mutant_info *m = mutant_table; m->name; m++) {
        if (strcmp(m->name, name) == 0) {
            selected = m->name;
            return true;
        }
    }
    return false;
}

#endif

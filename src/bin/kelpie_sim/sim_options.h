/* The command line of kelpie-sim. */
#ifndef KELPIE_BIN_SIM_OPTIONS_H
#define KELPIE_BIN_SIM_OPTIONS_H

#include "bin/kelpie_sim/sim_code.h"
#include "sim/world/sim_config.h"

#define OVERRIDES_MAX 4096
#define SETS_MAX 32

enum { EXIT_VIOLATION = 1, EXIT_USAGE = 2 };

enum command { RUN, SWEEP, SHRINK, REPLAY, COMPARE, COMMAND_COUNT };

struct options {
    enum command command;
    bool json, first, have_seed, have_seeds, require_coverage;
    uint64_t seed, first_seed, last_seed;
    uint64_t events_from, events_to; /* to print; 0: none */
    double minutes;                  /* 0: until the last seed */
    unsigned jobs, seconds, twice_percent;
    int nodes, actors; /* -1: drawn */
    uint64_t duration_ms;
    const char *faults;
    const char *sets[SETS_MAX]; /* "name=value" of single values, in their order */
    unsigned set_count;
    const char *mutant;
    struct code_options code;
    const struct sim_users_source *source; /* of users' actors; NULL: none */
    const char *report;
    const char *trace, *trace_tla, *turns_tla, *turns_of;
    const char *out;
    const char *with; /* another build's kelpie-sim */
    const char *file; /* to replay */
    bool log;
    enum log_level level;
    char overrides[OVERRIDES_MAX];
};

/* One sentence, and the end. */
_Noreturn void bad_usage(const char *fmt, ...) PRINTF_LIKE(1, 2);

/* The command of that name; COMMAND_COUNT: there is none. */
enum command command_find(const char *name);
/* What stands behind the command; o->command is set. Ends the process when it is wrong. */
void parse_options(struct options *o, int argc, char **argv);
/* Switches a planted mistake on, likewise. */
void parse_mutant(const char *name);

#endif

/*
 * One run as a text file: every value of its configuration, which mistake was planted (if any) and
 * what it breaks. `kelpie-sim shrink` writes them, `kelpie-sim replay` runs them, tests/regressions/
 * keeps them.
 */
#ifndef KELPIE_SIM_SIM_CASE_H
#define KELPIE_SIM_SIM_CASE_H

#include "sim/world/sim_config.h"

#define CASE_WORD_MAX 64
#define CASE_TEXT_MAX 400
#define CASE_FILE_MAX 16384

struct sim_case {
    struct sim_config config;
    char mutant[CASE_WORD_MAX]; /* "": none */
    /* Of users' actors, as kelpie-sim was given them; "": none. */
    char actors_file[CASE_TEXT_MAX], worker[CASE_TEXT_MAX], workload[CASE_TEXT_MAX];
    char breaks[CASE_WORD_MAX]; /* the checker that speaks, or "nothing" */
};

/* Sets one value of the configuration, named as in a case. Returns 0, or KELPIE_E_INVALID with a
 * sentence: no such name, a value out of its bounds. */
int case_set(struct sim_config *c, const char *name, const char *value, char *why,
             size_t why_size) MUST_USE;
/* Every name that case_set() knows, with its bounds, a line each. */
void case_values_to_text(struct buf *out);

void case_to_text(const struct sim_case *c, struct buf *out);
/* Returns 0, or KELPIE_E_INVALID with a sentence: another version, a line that says nothing known,
 * a value out of bounds, no end. */
int case_parse(struct bytes text, struct sim_case *out, char *why, size_t why_size) MUST_USE;

#endif

/* Options as a table: flags, environment variables and INI lines set the same values. */
#ifndef KELPIE_BIN_OPTIONS_H
#define KELPIE_BIN_OPTIONS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/check.h"

#define OPTIONS_MAX 32
#define OPTION_LIST_MAX 32
#define OPTION_SOURCE_SIZE 320
#define OPERANDS_MAX 64

enum option_kind {
    OPTION_TEXT,
    OPTION_NUMBER,
    OPTION_FLAG, /* no value on the command line; yes or no elsewhere */
    OPTION_LIST, /* may be repeated */
};

struct option_spec {
    const char *name; /* without dashes; NULL ends the table */
    char letter;      /* -x, or 0 */
    enum option_kind kind;
    const char *arg;  /* what its value is called, for the help text */
    const char *help; /* lines */
};

/* Who sets a value: the first of these that does so wins. */
enum option_source { OPTION_FROM_FLAG, OPTION_FROM_ENVIRONMENT, OPTION_FROM_FILE };

struct option_value {
    size_t count; /* 0: not set */
    const char *texts[OPTION_LIST_MAX];
    enum option_source source;
    unsigned line;                  /* OPTION_FROM_FILE */
    char where[OPTION_SOURCE_SIZE]; /* "--lease-ms", "KELPIE_LEASE_MS", "x.ini:3: lease-ms" */
};

struct options {
    const struct option_spec *specs;
    size_t count;
    struct option_value values[OPTIONS_MAX];
    const char *operands[OPERANDS_MAX];
    size_t operand_count;
};

/* All texts are borrowed from argv, the environment or the file's text. Functions return 0, or
 * KELPIE_E_INVALID with a sentence. */
void options_init(struct options *o, const struct option_spec *specs);
/* --name VALUE, --name=VALUE, -x VALUE; "--" ends options. Operands are collected; with
 * `stop_at_operand` everything from the first one on is one, whatever it looks like. */
int options_flags(struct options *o, int argc, char *const *argv, bool stop_at_operand, char *why,
                  size_t why_size) MUST_USE;
/* KELPIE_NAME for each option; lists are separated by colons. */
int options_environment(struct options *o, char *why, size_t why_size) MUST_USE;
/* One line of a file. */
int options_line(struct options *o, const char *file, unsigned line, const char *name,
                 const char *value, char *why, size_t why_size) MUST_USE;

/* The value, or NULL when it is not set. */
const char *options_text(const struct options *o, const char *name);
const struct option_value *options_value(const struct options *o, const char *name);
/* Leaves *out as it is when the option is not set. */
int options_number(const struct options *o, const char *name, uint32_t min, uint32_t max,
                   uint32_t *out, char *why, size_t why_size) MUST_USE;
int options_flag(const struct options *o, const char *name, bool *out, char *why,
                 size_t why_size) MUST_USE;
/* The option whose name is nearest to `name`, or NULL when none is near. */
const char *options_nearest(const struct option_spec *specs, const char *name);
/* The nearest word of a NULL-terminated list, or NULL. */
const char *nearest_word(const char *const *words, const char *to);
/* The help text of all options, on standard output. */
void options_print(const struct option_spec *specs);

#endif

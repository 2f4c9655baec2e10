#include "bin/shared/options.h"

#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "kelpie/error.h"

#define NAME_MAX_LEN 64
#define NEAR_MAX 3 /* edits */

void options_init(struct options *o, const struct option_spec *specs)
{
    memset(o, 0, sizeof(*o));
    o->specs = specs;
    while (specs[o->count].name)
        o->count++;
    CHECK(o->count <= OPTIONS_MAX);
}

/* ---- nearest names ---- */

/* Edits from one word to the other (Levenshtein). */
static size_t distance(const char *a, const char *b)
{
    size_t row[NAME_MAX_LEN + 1];
    size_t na = strlen(a), nb = strlen(b);
    if (na > NAME_MAX_LEN || nb > NAME_MAX_LEN)
        return NAME_MAX_LEN;
    for (size_t j = 0; j <= nb; j++)
        row[j] = j;
    for (size_t i = 1; i <= na; i++) {
        size_t diagonal = row[0];
        row[0] = i;
        for (size_t j = 1; j <= nb; j++) {
            size_t best = diagonal + (a[i - 1] != b[j - 1]);
            if (row[j] + 1 < best)
                best = row[j] + 1;
            if (row[j - 1] + 1 < best)
                best = row[j - 1] + 1;
            diagonal = row[j];
            row[j] = best;
        }
    }
    return row[nb];
}

static bool is_nearer(const char *word, const char *to, size_t *best)
{
    size_t d = distance(word, to);
    /* "drain" for "d": what begins so is near too. */
    if (to[0] && strncmp(word, to, strlen(to)) == 0 && d > 1)
        d = 1;
    if (d >= *best || d >= strlen(word))
        return false;
    *best = d;
    return true;
}

const char *options_nearest(const struct option_spec *specs, const char *name)
{
    const char *nearest = NULL;
    size_t best = NEAR_MAX + 1;
    for (; specs->name; specs++)
        if (is_nearer(specs->name, name, &best))
            nearest = specs->name;
    return nearest;
}

const char *nearest_word(const char *const *words, const char *to)
{
    const char *nearest = NULL;
    size_t best = NEAR_MAX + 1;
    for (; *words; words++)
        if (is_nearer(*words, to, &best))
            nearest = *words;
    return nearest;
}

/* ---- setting ---- */

static size_t find(const struct options *o, const char *name, size_t len)
{
    for (size_t i = 0; i < o->count; i++)
        if (strlen(o->specs[i].name) == len && strncmp(o->specs[i].name, name, len) == 0)
            return i;
    return o->count;
}

const struct option_value *options_value(const struct options *o, const char *name)
{
    size_t i = find(o, name, strlen(name));
    CHECK(i < o->count);
    return &o->values[i];
}

static int set(struct options *o, size_t i, const char *text, enum option_source source,
               const char *where, char *why, size_t why_size)
{
    struct option_value *v = &o->values[i];
    if (v->count > 0 && v->source < source)
        return 0;
    if (o->specs[i].kind != OPTION_LIST)
        v->count = 0;
    if (v->count == OPTION_LIST_MAX) {
        (void)snprintf(why, why_size, "%s is given more than %d times", where, OPTION_LIST_MAX);
        return KELPIE_E_INVALID;
    }
    v->texts[v->count++] = text;
    v->source = source;
    (void)snprintf(v->where, sizeof(v->where), "%s", where);
    return 0;
}

static int unknown_flag(const struct options *o, const char *arg, size_t name_len, char *why,
                        size_t why_size)
{
    char name[NAME_MAX_LEN + 1];
    (void)snprintf(name, sizeof(name), "%.*s", (int)name_len, arg + 2);
    const char *nearest = options_nearest(o->specs, name);
    (void)snprintf(why, why_size, "unknown option %.80s%s%s%s", arg,
                   nearest ? "; did you mean --" : "", nearest ? nearest : "",
                   nearest ? "?" : "; --help lists them all");
    return KELPIE_E_INVALID;
}

/* One flag at argv[*at]; moves on to its last word. */
static int take_flag(struct options *o, int argc, char *const *argv, int *at, char *why,
                     size_t why_size)
{
    const char *arg = argv[*at], *text = NULL;
    char where[OPTION_SOURCE_SIZE];
    size_t i = o->count, name_len = 0;
    if (arg[1] == '-') {
        name_len = strcspn(arg + 2, "=");
        i = find(o, arg + 2, name_len);
        if (arg[2 + name_len] == '=')
            text = arg + 3 + name_len;
    } else {
        while (i > 0 && !(o->specs[i - 1].letter == arg[1] && arg[2] == '\0'))
            i--;
        i = i > 0 ? i - 1 : o->count;
    }
    if (i == o->count)
        return unknown_flag(o, arg, arg[1] == '-' ? name_len : 0, why, why_size);
    (void)snprintf(where, sizeof(where), "--%s", o->specs[i].name);
    if (!text && o->specs[i].kind == OPTION_FLAG)
        text = "yes";
    if (!text && *at + 1 < argc)
        text = argv[++*at];
    if (!text) {
        (void)snprintf(why, why_size, "%s needs a value: %s %s", where, where, o->specs[i].arg);
        return KELPIE_E_INVALID;
    }
    return set(o, i, text, OPTION_FROM_FLAG, where, why, why_size);
}

int options_flags(struct options *o, int argc, char *const *argv, bool stop_at_operand, char *why,
                  size_t why_size)
{
    bool only_operands = false;
    for (int at = 0; at < argc; at++) {
        const char *arg = argv[at];
        if (!only_operands && strcmp(arg, "--") == 0) {
            only_operands = true;
            continue;
        }
        /* "-" alone is an operand (standard input), and so is a negative number. */
        if (!only_operands && arg[0] == '-' && arg[1] && !isdigit((unsigned char)arg[1])) {
            int err = take_flag(o, argc, argv, &at, why, why_size);
            if (err)
                return err;
            continue;
        }
        only_operands = only_operands || stop_at_operand;
        if (o->operand_count == OPERANDS_MAX) {
            (void)snprintf(why, why_size, "more than %d words are given", OPERANDS_MAX);
            return KELPIE_E_INVALID;
        }
        o->operands[o->operand_count++] = arg;
    }
    return 0;
}

static int set_list(struct options *o, size_t i, char *text, const char *where, char *why,
                    size_t why_size)
{
    int err = 0;
    while (!err && text) {
        char *next = strchr(text, ':');
        if (next)
            *next++ = '\0';
        if (text[0])
            err = set(o, i, text, OPTION_FROM_ENVIRONMENT, where, why, why_size);
        text = next;
    }
    return err;
}

int options_environment(struct options *o, char *why, size_t why_size)
{
    for (size_t i = 0; i < o->count; i++) {
        char name[NAME_MAX_LEN + 8] = "KELPIE_";
        size_t n = strlen(name);
        for (const char *c = o->specs[i].name; *c && n + 1 < sizeof(name); c++)
            name[n++] = (char)(*c == '-' ? '_' : toupper((unsigned char)*c));
        name[n] = '\0';
        char *text = getenv(name);
        if (!text || !text[0])
            continue;
        int err = o->specs[i].kind == OPTION_LIST
                      ? set_list(o, i, text, name, why, why_size)
                      : set(o, i, text, OPTION_FROM_ENVIRONMENT, name, why, why_size);
        if (err)
            return err;
    }
    return 0;
}

int options_line(struct options *o, const char *file, unsigned line, const char *name,
                 const char *value, char *why, size_t why_size)
{
    char where[OPTION_SOURCE_SIZE];
    size_t i = find(o, name, strlen(name));
    if (i == o->count) {
        const char *nearest = options_nearest(o->specs, name);
        (void)snprintf(why, why_size, "%s:%u: there is no option '%.60s'%s%s%s", file, line, name,
                       nearest ? "; did you mean '" : "", nearest ? nearest : "",
                       nearest ? "'?" : "");
        return KELPIE_E_INVALID;
    }
    struct option_value *v = &o->values[i];
    if (v->count > 0 && v->source == OPTION_FROM_FILE && o->specs[i].kind != OPTION_LIST) {
        (void)snprintf(why, why_size, "%s:%u: %s is given again, after line %u", file, line, name,
                       v->line);
        return KELPIE_E_INVALID;
    }
    (void)snprintf(where, sizeof(where), "%s:%u: %s", file, line, name);
    int err = set(o, i, value, OPTION_FROM_FILE, where, why, why_size);
    if (!err && v->source == OPTION_FROM_FILE)
        v->line = line;
    return err;
}

/* ---- reading ---- */

const char *options_text(const struct options *o, const char *name)
{
    const struct option_value *v = options_value(o, name);
    return v->count ? v->texts[v->count - 1] : NULL;
}

int options_number(const struct options *o, const char *name, uint32_t min, uint32_t max,
                   uint32_t *out, char *why, size_t why_size)
{
    const struct option_value *v = options_value(o, name);
    const char *text = options_text(o, name);
    uint64_t n = 0;
    bool ok = text && text[0];
    if (!text)
        return 0;
    for (const char *c = text; ok && *c; c++) {
        ok = *c >= '0' && *c <= '9';
        n = n * 10 + (uint64_t)(*c - '0');
        ok = ok && n <= max;
    }
    if (!ok || n < min) {
        (void)snprintf(why, why_size, "%s is '%.40s', but it must be a number from %u to %u",
                       v->where, text, min, max);
        return KELPIE_E_INVALID;
    }
    *out = (uint32_t)n;
    return 0;
}

int options_flag(const struct options *o, const char *name, bool *out, char *why, size_t why_size)
{
    static const char *const yes[] = {"yes", "true", "on", "1"};
    static const char *const no[] = {"no", "false", "off", "0"};
    const char *text = options_text(o, name);
    if (!text)
        return 0;
    for (size_t i = 0; i < ARRAY_LEN(yes); i++) {
        if (strcmp(text, yes[i]) == 0 || strcmp(text, no[i]) == 0) {
            *out = strcmp(text, yes[i]) == 0;
            return 0;
        }
    }
    (void)snprintf(why, why_size, "%s is '%.40s', but it must be yes or no",
                   options_value(o, name)->where, text);
    return KELPIE_E_INVALID;
}

#define HELP_COLUMN 27

void options_print(const struct option_spec *specs)
{
    for (; specs->name; specs++) {
        char left[96];
        bool has_value = specs->kind != OPTION_FLAG;
        const char *line = specs->help;
        if (specs->letter)
            (void)snprintf(left, sizeof(left), "  -%c, --%s%s%s", specs->letter, specs->name,
                           has_value ? " " : "", has_value ? specs->arg : "");
        else
            (void)snprintf(left, sizeof(left), "  --%s%s%s", specs->name, has_value ? " " : "",
                           has_value ? specs->arg : "");
        (void)printf("%-*s", HELP_COLUMN, left);
        if (strlen(left) >= HELP_COLUMN)
            (void)printf("\n%*s", HELP_COLUMN, "");
        for (;;) {
            size_t n = strcspn(line, "\n");
            (void)printf("%.*s\n", (int)n, line);
            if (line[n] == '\0')
                break;
            line += n + 1;
            (void)printf("%*s", HELP_COLUMN, "");
        }
    }
}

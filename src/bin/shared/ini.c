#include "bin/shared/ini.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "bin/shared/trusted_file.h"
#include "kelpie/error.h"

static char *trim(char *s)
{
    size_t n;
    s += strspn(s, " \t\r");
    n = strlen(s);
    while (n > 0 && strchr(" \t\r", s[n - 1]))
        s[--n] = '\0';
    return s;
}

/* The whole file as a string, or NULL with errno (EFBIG: too long; EINVAL: NUL in it). */
static char *read_all(FILE *f)
{
    char *text = malloc(INI_SIZE_MAX + 1);
    CHECK(text != NULL);
    size_t n = fread(text, 1, INI_SIZE_MAX + 1, f);
    int err = ferror(f) ? errno : 0;
    if (!err && n > INI_SIZE_MAX)
        err = EFBIG;
    if (!err && memchr(text, 0, n))
        err = EINVAL;
    if (err) {
        free(text);
        errno = err;
        return NULL;
    }
    text[n] = '\0';
    return text;
}

static int take_section(const char *path, unsigned number, const char *line, const char *section,
                        char *why, size_t why_size)
{
    size_t n = strlen(section);
    if (strncmp(line + 1, section, n) == 0 && strcmp(line + 1 + n, "]") == 0)
        return 0;
    (void)snprintf(why, why_size, "%s:%u: section %.60s is unknown; the only one is [%s]", path,
                   number, line, section);
    return KELPIE_E_INVALID;
}

static int take_line(struct options *o, const char *path, unsigned number, char *line,
                     const char *section, char *why, size_t why_size)
{
    line = trim(line);
    if (line[0] == '\0' || line[0] == '#' || line[0] == ';')
        return 0;
    if (line[0] == '[')
        return take_section(path, number, line, section, why, why_size);
    char *equals = strchr(line, '=');
    if (!equals) {
        (void)snprintf(why, why_size, "%s:%u: '%.60s' is not of the form name = value", path,
                       number, line);
        return KELPIE_E_INVALID;
    }
    *equals = '\0';
    return options_line(o, path, number, trim(line), trim(equals + 1), why, why_size);
}

int ini_read(struct options *o, const char *path, const char *section, char **text, char *why,
             size_t why_size)
{
    unsigned number = 0;
    FILE *f = fopen(path, "re");
    int err = f ? file_trusted(path, fileno(f), why, why_size) : 0;
    char *next = *text = f && !err ? read_all(f) : NULL;
    int reason = errno;
    if (f)
        (void)fclose(f);
    if (err)
        return err;
    if (!next) {
        errno = reason;
        (void)snprintf(why, why_size, "configuration file %s cannot be read: %s", path,
                       errno == EFBIG    ? "it is longer than 64 KiB"
                       : errno == EINVAL ? "it contains NUL"
                                         : strerror(errno));
        return errno == ENOENT ? KELPIE_E_NOT_FOUND : KELPIE_E_INVALID;
    }
    while (!err && next) {
        char *line = next;
        next = strchr(line, '\n');
        if (next)
            *next++ = '\0';
        err = take_line(o, path, ++number, line, section, why, why_size);
    }
    return err;
}

#include "bin/shared/trusted_file.h"

#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "kelpie/error.h"

/* The bits of the mode by which others may write. */
static unsigned open_to(const struct stat *st)
{
    mode_t bits = st->st_mode & S_IWOTH;
    if (st->st_gid != getegid())
        bits |= st->st_mode & S_IWGRP;
    return (unsigned)bits;
}

static int check_file(const char *path, const struct stat *st, char *why, size_t why_size)
{
    if (st->st_uid != 0 && st->st_uid != geteuid()) {
        (void)snprintf(why, why_size,
                       "%s belongs to user %u: it must be root's, or that of the user of this "
                       "process (%u)",
                       path, (unsigned)st->st_uid, (unsigned)geteuid());
        return KELPIE_E_INVALID;
    }
    if (S_ISREG(st->st_mode) && open_to(st)) {
        (void)snprintf(why, why_size,
                       "%s may be written by others (mode %04o): run \"chmod go-w\" on it", path,
                       (unsigned)(st->st_mode & 07777));
        return KELPIE_E_INVALID;
    }
    return 0;
}

/* `real` is absolute and without links; it is cut to the directory that is at fault. */
static int check_above(const char *path, char *real, char *why, size_t why_size)
{
    for (char *slash; (slash = strrchr(real, '/'));) {
        struct stat st;
        bool is_top = slash == real;
        slash[is_top] = '\0';
        if (stat(real, &st) == 0 && open_to(&st) && !(st.st_mode & S_ISVTX)) {
            (void)snprintf(why, why_size,
                           "%s lies below %s, which may be written by others (mode %04o): run "
                           "\"chmod go-w\" on that",
                           path, real, (unsigned)(st.st_mode & 07777));
            return KELPIE_E_INVALID;
        }
        if (is_top)
            break;
    }
    return 0;
}

int file_trusted(const char *path, int fd, char *why, size_t why_size)
{
    struct stat st;
    if (fd >= 0 ? fstat(fd, &st) : stat(path, &st))
        return 0;
    int err = check_file(path, &st, why, why_size);
    if (err || !S_ISREG(st.st_mode))
        return err;
    char *real = realpath(path, NULL);
    if (real)
        err = check_above(path, real, why, why_size);
    free(real);
    return err;
}

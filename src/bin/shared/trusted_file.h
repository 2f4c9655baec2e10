/* Whether others may write what a process is about to obey. */
#ifndef KELPIE_BIN_TRUSTED_FILE_H
#define KELPIE_BIN_TRUSTED_FILE_H

#include <stddef.h>

#include "base/check.h"

/*
 * The file, `fd` if it is open (else -1), belongs to root or to the user of this process, and nobody else
 * may write it, nor put another file into its place in any directory above it (a sticky one is fine). A
 * group counts as somebody else, unless it is the process's own. Who owns those directories is trusted.
 * Returns 0, also when there is no such file (whoever opens it says so), or KELPIE_E_INVALID with a
 * sentence that names it.
 */
int file_trusted(const char *path, int fd, char *why, size_t why_size) MUST_USE;

#endif

/* INI files: `name = value` lines, comments, one section. */
#ifndef KELPIE_BIN_INI_H
#define KELPIE_BIN_INI_H

#include "bin/shared/options.h"

#define INI_SIZE_MAX (64u * 1024)

/* Reads the file and sets what it says. `section`: the one section name that may stand in it. The
 * text that values are borrowed from is returned in *text (free() it after the options). Returns 0,
 * KELPIE_E_NOT_FOUND when there is no such file, or KELPIE_E_INVALID with a sentence that names
 * file and line. */
int ini_read(struct options *o, const char *path, const char *section, char **text, char *why,
             size_t why_size) MUST_USE;

#endif

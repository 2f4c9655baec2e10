/* A path of the API, cut at its slashes and percent-decoded. */
#ifndef KELPIE_HTTP_API_PATH_H
#define KELPIE_HTTP_API_PATH_H

#include "base/bytes.h"
#include "base/check.h"

#define PATH_PARTS_MAX 6
#define PATH_PART_MAX 256 /* decoded bytes */

struct path_part {
    size_t len; /* what was there, cut to PATH_PART_MAX; may hold NUL */
    char text[PATH_PART_MAX + 1];
};

struct path {
    size_t count;
    struct path_part parts[PATH_PARTS_MAX];
};

/* "/a/b%20c" → "a", "b c". Returns 0, KELPIE_E_INVALID for a malformed escape (with a sentence), or
 * KELPIE_E_NOT_FOUND for more parts than any path has. An empty part is kept. */
int path_parse(const char *raw, struct path *out, char *why, size_t why_size) MUST_USE;
/* Appends `text` percent-encoded: everything but letters, digits and -._~ . `out` has room for three
 * times its length and a NUL. Returns where that is. */
char *path_encode(const char *text, char *out);

#endif

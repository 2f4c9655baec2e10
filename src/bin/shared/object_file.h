/*
 * Shared objects of users: looked at before the loader maps them, and loaded as copies, so that the file may be
 * replaced while it runs, and that each copy has static variables of its own.
 */
#ifndef KELPIE_BIN_OBJECT_FILE_H
#define KELPIE_BIN_OBJECT_FILE_H

#include "base/bytes.h"
#include "base/check.h"

#define OBJECT_BYTES_MAX (256u * 1024 * 1024)

struct object_copy {
    int fd; /* of the copy, in memory; open while it is loaded, for the loader goes by its name */
    void *handle;
};

/* Reads the whole file; *out is malloc's. Returns 0, or KELPIE_E_INVALID with a sentence: it cannot be read,
 * is no shared object, of another architecture, truncated, too large. */
int object_read(const char *file, struct bytes *out, char *why, size_t why_size) MUST_USE;
/* Loads a copy. Returns 0, or KELPIE_E_INVALID with a sentence. */
int object_load(const char *file, struct bytes object, struct object_copy *out, char *why,
                size_t why_size) MUST_USE;
void object_unload(struct object_copy *c);

#endif

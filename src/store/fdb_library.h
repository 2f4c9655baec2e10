/*
 * The FoundationDB client library, found at run time. It is loaded once for the process, with a
 * thread of its own for its network, which is stopped and joined when the process exits.
 */
#ifndef KELPIE_STORE_FDB_LIBRARY_H
#define KELPIE_STORE_FDB_LIBRARY_H

#include <stddef.h>

#include "base/check.h"
#include "store/fdb_api.h"

#define FDB_LIBRARY_DEFAULT "libfdb_c.so"

/* `path`: a file, or a name that the system's loader knows; NULL: FDB_LIBRARY_DEFAULT. Returns 0,
 * or KELPIE_E_INVALID or KELPIE_E_IO with a sentence. From one thread. */
int fdb_library_open(const char *path, const struct fdb_api **out, char *error,
                     size_t error_size) MUST_USE;

#endif

/*
 * The FoundationDB client library, found at run time. It is loaded once for the process, with a
 * thread of its own for its network, which must have ended before the process exits.
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
/* Stops the network thread and joins it; nothing when none runs. The library cannot be opened again.
 * Call it after the last store is closed and before main returns: in exit(), what the library
 * made late is destroyed before any handler that was registered earlier could stop the thread. */
void fdb_library_stop(void);

#endif

/*
 * The ordered map in an LMDB environment: what is committed is on disk (data, then the page that
 * makes it valid, are synced) before batch_commit returns. The map of LMDB is grown before it is
 * full, up to a bound. One process at a time has it open: the store process holds a lock on the
 * directory (store_process.h).
 *
 * Two named databases: "rows" with the rows as they are, "meta" with "format" (u32, big endian) and
 * "mark" (u64, big endian).
 */
#ifndef KELPIE_STORE_OMAP_LMDB_H
#define KELPIE_STORE_OMAP_LMDB_H

#include "base/mem.h"
#include "store/omap.h"

#define OMAP_LMDB_FORMAT 1
#define OMAP_LMDB_MAP_MIN (16ull << 20)
#define OMAP_LMDB_MAP_MAX (64ull << 30)  /* default bound of the file */
#define OMAP_LMDB_SLACK (8ull << 20)     /* grown when less than this is left */
#define OMAP_LMDB_CHECK_MAX (8ull << 20) /* a file up to this size is read through when opened */

struct omap_lmdb;

struct omap_lmdb_options {
    const char *name; /* of the directory, for sentences */
    uint64_t map_max; /* bounds its size in bytes, 0: OMAP_LMDB_MAP_MAX */
    bool read_only;   /* it is there, nobody has it open, and nothing in the directory is touched */
};

/* Opens, or makes, the environment in the open directory `dir_fd`, which is borrowed for the call.
 * Returns 0, or KELPIE_E_STORE_CORRUPT, STORE_NEWER, STORE_FULL, STORE_UNAVAILABLE, for `read_only`
 * NOT_FOUND, with a sentence in `error`. */
int omap_lmdb_open(struct mem mem, int dir_fd, const struct omap_lmdb_options *options,
                   struct omap_lmdb **out, char *error, size_t error_size) MUST_USE;
/* Opens the environment of directory `dir` to be read in place, if no store process has it open and none can
 * open it meanwhile; else *out is NULL, and 0 is returned. Errors as above. */
int omap_lmdb_in_place(struct mem mem, const char *dir, struct omap_lmdb **out, char *error,
                       size_t error_size) MUST_USE;
void omap_lmdb_close(struct omap_lmdb *m);
/* Copies the environment of `dir` into the open directory `to_fd` (`to` is its name), as of one moment, while
 * a store process may be writing to it. The copy says that it is one (STORE_COPY_WORD, env/store.h). `to` has
 * no data.mdb yet; it gets one only when the copy is whole and on disk. Takes none of LMDB's writer lock:
 * whoever stops or kills the copying process holds up no store. Returns 0 and the size of the copy in
 * bytes, or KELPIE_E_STORE_CORRUPT, STORE_NEWER, STORE_FULL, STORE_UNAVAILABLE, NOT_FOUND, IO with a
 * sentence in `error`. System calls; blocks. */
int omap_lmdb_copy(const char *dir, const char *to, int to_fd, uint64_t *size, char *error,
                   size_t error_size) MUST_USE;
/* The table to give to a core; valid until omap_lmdb_close. */
struct omap omap_lmdb_map(struct omap_lmdb *m);
/* What LMDB said when an operation failed last ("" when none did), for the log. */
const char *omap_lmdb_last_error(const struct omap_lmdb *m);
/* The present size of the map in bytes. */
uint64_t omap_lmdb_map_size(const struct omap_lmdb *m);

#endif

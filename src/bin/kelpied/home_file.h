/*
 * DATA/cluster: the id of the cluster that the nodes of this data directory are of, by which a node
 * knows a store that is empty, or another's, from its own (docs/adr/0015-founding-and-replacing.md).
 * System calls; they block.
 */
#ifndef KELPIE_BIN_HOME_FILE_H
#define KELPIE_BIN_HOME_FILE_H

#include <stddef.h>

#include "base/check.h"
#include "base/uuid.h"

#define HOME_FILE "cluster"
#define HOME_FILE_ASIDE "cluster.before" /* what --found-new leaves of it */

/* Zero when there is no such file. Returns 0, or KELPIE_E_IO or INVALID with a sentence. */
int home_file_read(const char *data_dir, struct uuid *home, char *why, size_t why_size) MUST_USE;
/* Replaces it, on disk when this returns; makes the directory if need be. 0, or KELPIE_E_IO with a
 * sentence. */
int home_file_write(const char *data_dir, struct uuid home, char *why, size_t why_size) MUST_USE;
/* --found-new: the file is renamed, so that this node is of no cluster. None: done. Errors as above. */
int home_file_set_aside(const char *data_dir, char *why, size_t why_size) MUST_USE;

#endif

/* A look at the store before a node joins: what it cannot read now it could not read later. */
#ifndef KELPIE_BIN_STORE_PREFLIGHT_H
#define KELPIE_BIN_STORE_PREFLIGHT_H

#include "bin/shared/world_bind.h"
#include "record/keys.h"

/* Reads the cluster's few rows. `home`: the cluster that the node is of, zero: of none yet. Returns 0, or
 * KELPIE_E_STORE_NEWER, STORE_CORRUPT, STORE_FOREIGN (another cluster, or none) or what reading
 * ended with, and a sentence that names the key. Runs the loop. */
int store_preflight(struct world_bind *world, const struct keyspace *ks, const char *url,
                    struct uuid home, char *why, size_t why_size) MUST_USE;

#endif

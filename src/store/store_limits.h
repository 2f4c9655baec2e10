/* The bounds of env/store.h, checked in one place: by each client before it asks, and by the store
 * process, which trusts no client. */
#ifndef KELPIE_STORE_STORE_LIMITS_H
#define KELPIE_STORE_STORE_LIMITS_H

#include "env/store.h"

/* Each returns 0 or KELPIE_E_LIMIT. */
int store_check_key(struct bytes key) MUST_USE; /* 1 .. STORE_KEY_MAX bytes */
int store_check_reads(const struct store_read *reads, size_t count) MUST_USE;
int store_check_writes(const struct store_write *writes, size_t count) MUST_USE;

#endif

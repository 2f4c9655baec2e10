/* The protocol's times (docs/protocol.md has the arithmetic), and the bounds between them. */
#ifndef KELPIE_CLUSTER_TIMING_H
#define KELPIE_CLUSTER_TIMING_H

#include <stddef.h>
#include <stdint.h>

#include "base/check.h"

#define DRIFT_PERCENT 1
#define WINDOW_MARGIN_MS 100

struct timing {
    uint32_t lease_ms;
    uint32_t heartbeat_ms;
    uint32_t rpc_timeout_ms;    /* one ping or forwarded attempt */
    uint32_t forget_after_ms;   /* a failed node is struck off after this long */
    uint32_t drain_deadline_ms; /* leaving gives up after this long */
    uint32_t quarantine_ms;     /* what ended two processes is not run for so long at first */
    uint32_t left_kept; /* rows of nodes that have left stay for forget_after_ms, so many at most */
};

/* Embedded store: heartbeat 300 ms, lease 2 s. */
struct timing timing_default(void);
/* FoundationDB: heartbeat 1 s, lease 10 s, which outlasts a recovery (docs/foundationdb.md). */
struct timing timing_fdb(void);
/* 0, or KELPIE_E_INVALID with a sentence that names option, value and bound. */
int timing_check(const struct timing *t, char *why, size_t why_size) MUST_USE;
/* How long an observer must see a heartbeat unchanged: lease x (1 + drift) + margin. */
uint64_t timing_window_ns(const struct timing *t);
uint64_t timing_lease_ns(const struct timing *t);
/* The window for a node whose lease is this long. */
uint64_t window_of_lease_ns(uint32_t lease_ms);

#endif

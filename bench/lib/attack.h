/*
 * Clients that do harm, in a process of their own, against loopback addresses only, for a bounded time:
 * raw connections that say nothing, say half a request, read slowly, or ask as often as they are
 * answered. What came of it stands in memory that both processes share.
 */
#ifndef KELPIE_BENCH_LIB_ATTACK_H
#define KELPIE_BENCH_LIB_ATTACK_H

#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "env/net.h"

#define ATTACK_CONNECTIONS_MAX 8192
#define ATTACK_ADDRS_MAX 3
#define ATTACK_REQUEST_MAX 4096

enum attack_kind {
    ATTACK_ASK, /* a request, its answer, the next; a connection that was closed is opened anew */
    ATTACK_SILENT, /* a connection that says nothing */
    ATTACK_HALF,   /* the beginning of a request, and `body_len` bytes of a longer body */
    ATTACK_DEAF,   /* one request, and nothing of the answer is read */
    ATTACK_SLOW,   /* one request, and 13 bytes of the answer are read each 100 ms */
    ATTACK_FLOOD,  /* `flood` again and again, `rate` times a second over all */
};

struct attack {
    enum attack_kind kind;
    const char *addrs[ATTACK_ADDRS_MAX]; /* host:port; connections take turns; ends with NULL */
    unsigned connections;
    /* Writes the request number `n` of connection `c`; returns its length. */
    size_t (*request)(char out[ATTACK_REQUEST_MAX], unsigned c, uint64_t n);
    size_t body_len;
    const uint8_t *flood;
    size_t flood_len;
    unsigned rate;
    /* HALF, SILENT: so many connections a second are closed and opened anew, of those that have said all.
     * What a server closes is opened anew without it. */
    unsigned again_per_s;
};

struct attack_counts {
    uint64_t connected, closed, sent, answered;
    uint64_t ok;      /* 2xx */
    uint64_t limited; /* 429, 503 */
    uint64_t other;
};

/* Begins; ends by itself after `seconds`. Returns the process, -1 when there is none. */
pid_t attack_start(const struct attack *a, unsigned seconds, volatile struct attack_counts *counts);
/* Ends it now. */
void attack_stop(pid_t pid);
/* Memory for the counts that the process of attack_start shares; NULL: none. */
volatile struct attack_counts *attack_counts_new(void);

/* A node that closes a connection gets another one in its place, and the bare server, which closes none, would get
 * less: how many more than one for each connection there were in a second, of connections, or of halves that were
 * wholly sent. `ns` is how long it took. */
unsigned attack_again_per_s(const struct attack *a, uint64_t sent, uint64_t connected, uint64_t ns);

/* A bare libevent server in a process of its own: it answers every HTTP request on `http` with "1", those
 * to counters when a page of a file in `dir` (NULL: $TMPDIR, else /tmp) is on the disk, all of a turn at
 * once; and reads and forgets what comes on `raw`. Writes where it listens. -1: it cannot. */
pid_t bare_server_start(char http[NET_ADDR_SIZE], char raw[NET_ADDR_SIZE], const char *dir);

#endif

/*
 * Real nodes for benches: kelpied processes in a temporary directory that share one store. Whatever
 * a node starts, its child and the store process included, is killed at the end, however it ends.
 */
#ifndef KELPIE_BENCH_LIB_BENCH_NODES_H
#define KELPIE_BENCH_LIB_BENCH_NODES_H

#include <sys/types.h>

#include "bench_loop.h"

#define BENCH_NODES_MAX 3
#define BENCH_PATH_MAX 512
#define BENCH_READY_MS 30000
#define BENCH_HEARTBEAT_MS 300 /* the default of kelpied: so often a node tells its load */

struct bench_node {
    struct bench_nodes *nodes;
    char id[16];
    char http[32]; /* host:port */
    char rpc[32];
    struct http_client *client;
    pid_t pid;             /* what was started here: the supervisor, or the bare node; 0: none */
    int exit_status;       /* of waitpid, once pid is 0 again */
    pid_t process;         /* that acts: from /v1/status */
    long long incarnation; /* from /v1/status */
    long long activations; /* from /v1/status */
};

struct bench_nodes {
    struct bench_loop *b;
    char dir[BENCH_PATH_MAX];
    char program[BENCH_PATH_MAX];
    bool supervised;
    const char *const *options; /* further ones of kelpied, ends with NULL; or NULL */
    size_t count;
    struct bench_node node[BENCH_NODES_MAX];
};

/* Makes the directory below `parent` (NULL: $TMPDIR, else /tmp) and picks ports; starts nothing. `program` NULL:
 * kelpied in the build folder of this bench. Ends the process with a sentence when that fails. */
void bench_nodes_init(struct bench_nodes *n, struct bench_loop *b, size_t count, const char *parent,
                      const char *program);
/* Kills every process that came of this one, and removes the directory unless `keep`. */
void bench_nodes_deinit(struct bench_nodes *n, bool keep);

/* Its log goes to DIR/<id>.log. Returns false with a line on stderr. */
bool bench_node_start(struct bench_nodes *n, size_t i);
bool bench_nodes_start(struct bench_nodes *n);
/* Waits until every node is Active, ready, sees all in its view and knows the primary; notes pids
 * and incarnations. A line on stderr when that does not come about. */
bool bench_nodes_ready(struct bench_nodes *n);
/* Waits until no actor is active anywhere, and every node knows that of the others. */
bool bench_nodes_idle(struct bench_nodes *n);
/* Asks for /v1/status and notes what it says; -1 when it does not answer with one. */
int bench_node_refresh(struct bench_node *node);
/* The index of the primary as some node knows it; -1 when none does. */
int bench_nodes_primary(struct bench_nodes *n);
/* Waits for the end of what was started; then exit_status is set. */
bool bench_node_wait_end(struct bench_node *node, uint64_t timeout_ms);
/* Collects what has ended. */
void bench_nodes_reap(struct bench_nodes *n);

#endif

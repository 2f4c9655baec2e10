/*
 * The processes in which the classes of `--actors` run: started, watched and started again by the node's supervisor (or
 * by the node, where it has none). docs/adr/0026-worker-processes.md.
 */
#ifndef KELPIE_BIN_WORKER_CHILDREN_H
#define KELPIE_BIN_WORKER_CHILDREN_H

#include "bin/shared/config.h"
#include "env/env.h"
#include "loop/loop.h"

#define WORKER_STARTS_MAX 3     /* without having registered: the node is ready all the same */
#define WORKERS_SETTLE_MS 30000 /* likewise */
#define WORKER_START_MS 20000   /* to say anything at all */
#define WORKER_RESTART_MS_MIN 100
#define WORKER_RESTART_MS_MAX 1000   /* of one that had registered */
#define WORKER_HOPELESS_MS_MAX 30000 /* of one that had not */
#define WORKER_HEALTHY_MS 10000      /* who lived so long is started again at once */
#define WORKER_NICE 5                /* so much lower a priority than the node's */

struct worker_children;

/* `settled` runs on the loop, once for each life of the node: all have registered there, or failed. Returns NULL with a
 * sentence: there is no kelpie-worker beside this program, or a file that cannot be classes. */
struct worker_children *worker_children_new(const struct config *config, const struct env *env,
                                            struct loop *loop, void (*settled)(void *arg),
                                            void *arg, char *why, size_t why_size);
/* A node lives, and listens at that socket; likewise after each of its lives. */
void worker_children_node(struct worker_children *w, const char *socket);
void worker_children_node_gone(struct worker_children *w);
/* After each SIGCHLD; not to be called in a callback of theirs. */
void worker_children_reap(struct worker_children *w);
/* Kills them. NULL: nothing. */
void worker_children_free(struct worker_children *w);

#endif

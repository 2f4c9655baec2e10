/* One turn of a class, from what the node has told to what it is told. */
#ifndef KELPIE_BIN_WORKER_RUN_H
#define KELPIE_BIN_WORKER_RUN_H

#include "base/log.h"
#include "http/worker_peer.h"

/* What the turn needs of the slot in which it runs. */
struct run_world {
    const struct log *log;
    /* Says `line`, and waits for what it is told: true, and `told` are the answers of the turn's calls; false: nobody
     * waits for it any more, or something else was told. */
    bool (*exchange)(void *ctx, struct buf *line, struct worker_told *told);
    /* Before and after each callback. */
    void (*begins)(void *ctx, const struct kelpie_class *class, const struct worker_turn *turn,
                   const char *callback);
    void (*ends)(void *ctx);
    void *ctx;
};

/* Runs it; `line` is what it came to. False: it ended before, and there is nothing to say. */
bool run_turn(const struct run_world *w, const struct kelpie_class *class,
              const struct worker_turn *turn, struct buf *line);

#endif

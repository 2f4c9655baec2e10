/*
 * The production side of the seam on libevent: clock, timers, randomness, network, memory, log,
 * and the event loop they run on. One loop = one thread = one node.
 *
 * A turn of the loop asks the system what has come, then runs what is urgent (timers that say so, what
 * loop_on_readable and loop_post brought: the store's answers), all of it, then the rest, in the order
 * in which it came and no longer than LOOP_TURN_NS; what is left comes first in the next turn. So
 * between two events that are not urgent, as long as the first took less than a turn or more, a lease
 * is looked after. See docs/adr/0012-turns-of-the-loop.md.
 */
#ifndef KELPIE_LOOP_LOOP_H
#define KELPIE_LOOP_LOOP_H

#include "base/log.h"
#include "env/env.h"

#define LOOP_POSTS_MAX 65536 /* posted and not run yet */
#define LOOP_TURN_NS (5 * NS_PER_MS)
#define LOOP_WATCHES_MAX 1024 /* signals and descriptors together */

struct event_base;
struct loop;

/* Returns NULL with errno set when the system refuses. SIGPIPE is ignored in the whole process from
 * then on: a connection that is gone shows as an error of the write. */
struct loop *loop_new(void);
/* No timer may be armed any more. Posted work that has not run is dropped. */
void loop_free(struct loop *loop);
/* Runs until loop_stop. */
void loop_run(struct loop *loop);
/* From the loop's thread. */
void loop_stop(struct loop *loop);
/* From any thread: `fn(arg)` runs once on the loop, soon, in the order of posting. Waits while
 * LOOP_POSTS_MAX are waiting to run, except on the loop's own thread, where that many assert. */
void loop_post(struct loop *loop, void (*fn)(void *arg), void *arg);
/* `fn` runs on the loop for each such signal. Only one loop of a process takes signals. Returns 0 or
 * KELPIE_E_IO. */
int loop_on_signal(struct loop *loop, int signum, void (*fn)(void *arg), void *arg) MUST_USE;
/* `fn` runs on the loop whenever fd is readable; NULL removes it (also from within it), and is due
 * before the descriptor is closed. Returns 0, KELPIE_E_IO, KELPIE_E_LIMIT. */
int loop_on_readable(struct loop *loop, int fd, void (*fn)(void *arg), void *arg) MUST_USE;
struct event_base *loop_base(struct loop *loop);
struct clock loop_clock(struct loop *loop);
struct timers loop_timers(struct loop *loop);

/* Fills clock, timers, random, mem of `env` (network: net_tcp.h; store: store/; log: logsink.h). */
void loop_fill_env(struct loop *loop, struct env *env);

/* malloc that ends the process with a line on stderr when memory has run out. */
struct mem loop_mem(void);

#endif

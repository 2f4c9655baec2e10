/*
 * The production side of the seam on libevent: clock, timers, randomness, network, memory, log,
 * and the event loop they run on. One loop = one thread = one node.
 */
#ifndef KELPIE_LOOP_LOOP_H
#define KELPIE_LOOP_LOOP_H

#include "base/log.h"
#include "env/env.h"

struct event_base;
struct loop;

/* Returns NULL with errno set when the system refuses. */
struct loop *loop_new(void);
void loop_free(struct loop *loop);
/* Runs until loop_stop. */
void loop_run(struct loop *loop);
/* From the loop's thread. */
void loop_stop(struct loop *loop);
/* From any thread: `fn(arg)` runs once on the loop, soon. */
void loop_post(struct loop *loop, void (*fn)(void *arg), void *arg);
/* `fn` runs on the loop for each such signal. Returns 0 or KELPIE_E_IO. */
int loop_on_signal(struct loop *loop, int signum, void (*fn)(void *arg), void *arg) MUST_USE;
/* `fn` runs on the loop whenever fd is readable; NULL removes it. */
int loop_on_readable(struct loop *loop, int fd, void (*fn)(void *arg), void *arg) MUST_USE;
struct event_base *loop_base(struct loop *loop);

/* Fills clock, timers, random, mem of `env` (network: net_tcp.h; store: store/; log: logsink.h). */
void loop_fill_env(struct loop *loop, struct env *env);

/* malloc that ends the process with a line on stderr when memory has run out. */
struct mem loop_mem(void);

#endif

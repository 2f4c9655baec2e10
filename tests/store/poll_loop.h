/* A small loop on poll() with the timers, clock, random numbers and memory of an env, for the tests
 * and benches of the store. */
#ifndef KELPIE_TESTS_STORE_POLL_LOOP_H
#define KELPIE_TESTS_STORE_POLL_LOOP_H

#include "base/rng.h"
#include "env/env.h"

struct poll_loop {
    struct timer *due[256]; /* armed timers, unsorted */
    size_t count;
    uint64_t seq;
    struct rng rng;
    int fd[8];
    void (*fn[8])(void *arg);
    void *arg[8];
    size_t fds;
};

void poll_loop_init(struct poll_loop *loop, struct env *env, uint64_t seed);
/* `fn(arg)` runs when fd is readable; a negative fd is ignored. */
void poll_loop_add(struct poll_loop *loop, int fd, void (*fn)(void *arg), void *arg);
void poll_loop_remove(struct poll_loop *loop, int fd);
/* Runs what is due; waits for it up to `timeout_ms`. */
void poll_loop_once(struct poll_loop *loop, int timeout_ms);
/* Runs until *flag or `timeout_ms` have passed; returns *flag. */
bool poll_loop_until(struct poll_loop *loop, const bool *flag, int timeout_ms);
uint64_t poll_loop_now_ms(void);

#endif

/*
 * What a node does that was stopped, declared failed, and then continued: every marked counter is
 * asked at it while it is stopped, so that it finds the questions when it wakes. It must not answer
 * from what it held before, nor at all until it has joined again.
 */
#ifndef KELPIE_BENCH_LIB_THAW_CHECK_H
#define KELPIE_BENCH_LIB_THAW_CHECK_H

#include "counter_load.h"

struct thaw_question {
    struct thaw_check *check;
    const struct load_counter *counter;
    uint64_t at_least; /* acknowledged when it was asked */
};

struct thaw_check {
    struct counter_load *load;
    struct bench_node *node;
    struct http_client *client;
    long long incarnation; /* before */
    struct thaw_question *questions;
    size_t asked;
    size_t answered;
    struct timer look;
    bool is_closing;
    bool has_joined;          /* its incarnation has grown */
    uint64_t unproved;        /* successes that came since the last look was sent */
    uint64_t unproved_before; /* successes that came before that */
    uint64_t early;           /* successes before it had joined again */
    uint64_t stale;           /* with a value that was out of date */
};

/* Asks; the node is stopped. */
void thaw_check_init(struct thaw_check *t, struct counter_load *load, struct bench_node *node);
/* Continues the node, waits until it has joined again and every question has been answered. False
 * when that did not come about. */
bool thaw_check_run(struct thaw_check *t);
void thaw_check_deinit(struct thaw_check *t);

#endif

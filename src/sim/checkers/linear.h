/*
 * Linearizability of one counter's history as its clients saw it: is there one order of all
 * requests, each between the moment it was asked and the moment it was answered, in which every
 * answer is what a counter says? A request that was never answered may have happened at any time
 * after it was asked, or never.
 *
 * The search is that of Wing and Gong with memory of the states seen (Lowe; Porcupine). A counter
 * that only grows makes it small: the answers alone order the requests that have one, so what is
 * left to choose is which of the unanswered ones fill the gaps between two answers.
 */
#ifndef KELPIE_SIM_LINEAR_H
#define KELPIE_SIM_LINEAR_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define LINEAR_STATES_MAX 200000 /* states looked at; beyond it the verdict is NOT_CHECKED */
#define LINEAR_AMOUNT_MAX 8      /* an add adds 1 to so much */
#define LINEAR_OPEN UINT64_MAX   /* the time of an answer that never came */

/* One request. `asked` and `answered` are moments of any clock that never stands still; two
 * requests overlap unless one was answered before the other was asked. */
struct linear_op {
    uint64_t asked;
    uint64_t answered;
    uint64_t amount; /* 0: get; else add */
    uint64_t value;  /* of the answer: the counter after the add, or as read */
};

enum linear_verdict { LINEAR_OK, LINEAR_VIOLATION, LINEAR_NOT_CHECKED };

struct linear_result {
    enum linear_verdict verdict;
    uint64_t states; /* looked at */
    /* VIOLATION: an answer that no order reaches, by its place in the list. */
    size_t op;
};

/* Checks a history that starts at 0. The list is not changed. */
struct linear_result linear_check(const struct linear_op *ops, size_t count, uint64_t states_max);

#endif

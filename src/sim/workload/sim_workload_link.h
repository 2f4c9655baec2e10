/* Shared by sim_workload.c (clients) and check_calls.c (what they may be told). */
#ifndef KELPIE_SIM_WORKLOAD_LINK_H
#define KELPIE_SIM_WORKLOAD_LINK_H

#include "sim/checkers/checks.h"
#include "sim/workload/sim_workload.h"

#define OP_BODY_MAX 48
#define OP_REQUEST_MAX 32

enum op_kind {
    OP_ADD,
    OP_GET,
    OP_ECHO,
    OP_FAIL, /* its handler writes and fails: nothing of it may ever be seen */
};

/* An actor as the clients know it. */
struct sim_actor {
    char type[16];
    char id[16];
    bool counter;
    bool trial;            /* of the class that tries its node */
    uint64_t adds;         /* requests to add, begun */
    struct list ops;       /* requests that may still reach it */
    uint64_t issued;       /* sum of all amounts ever asked to be added */
    uint64_t acknowledged; /* sum of those acknowledged */
    uint64_t base;         /* what it was when the store was set back */
    uint64_t floor;        /* highest value that anyone was told */
    uint32_t *by_value;    /* which request was told that its add made this value */
    size_t value_cap;
    struct history *history; /* check_linear.c */
};

/* A request: one id, any number of attempts. */
struct sim_op {
    uint32_t serial;
    unsigned refs;
    struct list link; /* of the actor */
    struct map_node node;
    uint64_t expires_ns; /* after this no message of it is under way */
    enum op_kind kind;
    struct sim_actor *actor;
    uint64_t amount;
    uint64_t adds_before;
    uint64_t floor;        /* of the actor, when the request was first sent */
    uint64_t acknowledged; /* likewise */
    uint64_t value;        /* what it was told; 0: nothing yet */
    bool applied;          /* a commit of it has landed */
    unsigned open;         /* attempts begun before that, and not told that they were not applied */
    unsigned applied_by;   /* which of them it was; 0: nobody knows */
    uint64_t told_no;      /* 1 << number of the attempt, of the first 63 */
    bool answered;
    bool again;       /* it was asked once more after its answer */
    bool lost;        /* asked before the store was set back: whatever it is told */
    bool apart;       /* of a burst: not part of the history */
    int expect;       /* OP_FAIL: the error that is its right answer */
    size_t reply_len; /* of the reply at least: the value is padded */
    unsigned attempts;
    size_t noted; /* place in the history, from 1; 0: not asked yet */
    char request_id[OP_REQUEST_MAX];
    char body[OP_BODY_MAX];
};

/* The body of the request, and what it counts for. */
void op_ask(struct world *w, struct sim_op *op, bool may_be_special);

/* What the table of errors promises: an attempt of `op` was answered with `status`; a commit of it has
 * landed. `late`: the attempt began after that. `by`: the attempt that did it, 0 where nobody knows. */
bool check_outcome(struct world *w, struct sim_op *op, unsigned attempt, bool late, int status);
void check_applied(struct world *w, struct sim_op *op, unsigned by);
/* True when `op` may be answered with that error; else a violation. */
bool check_error(struct world *w, struct sim_op *op, int status, struct bytes why);
/* True when `reply` is right for `op`; else a violation. */
bool check_reply(struct world *w, struct sim_op *op, struct bytes reply);
/* At the end: the value of a counter that was asked when nothing is under way any more. */
void check_final(struct world *w, const struct sim_op *op);

/* The history of a counter: a request is sent; an attempt of it is said to be surely not applied; it
 * is first answered, with op->value. */
void history_asked(const struct world *w, struct sim_op *op);
void history_refused(const struct sim_op *op);
void history_answered(const struct world *w, const struct sim_op *op);
void history_free(struct sim_actor *a);
/* At the end, or before it is begun anew: is each of them linearizable? */
void check_histories(struct world *w, const struct sim_actor *actors, unsigned count);

#endif

/* Shared by sim_workload.c (clients), sim_attempt.c (what they send) and check_calls.c (what they may be
 * told). */
#ifndef KELPIE_SIM_WORKLOAD_LINK_H
#define KELPIE_SIM_WORKLOAD_LINK_H

#include "sim/checkers/checks.h"
#include "sim/workload/sim_workload.h"

#define LATE_MS 1500 /* after its deadline a call must have been completed */
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
    uint64_t first_ns; /* of its first attempt */
    bool ages;         /* it says how old it is; else that goes only for a window */
    bool slow_watch;   /* by a clock that is behind, as far as it may be */
    bool too_late;     /* was told so: nobody asks again */
    bool crossed;      /* something else was asked under its id */
    struct sent *sent; /* messages of it between nodes, of a trial */
    size_t sent_count, sent_cap;
    uint64_t floor;        /* of the actor, when the request was first sent */
    uint64_t acknowledged; /* likewise */
    uint64_t value;        /* what it was told; 0: nothing yet */
    bool applied;          /* a commit of it has landed */
    bool refused;          /* one that refuses it for good has */
    bool may_refuse;       /* its handler refuses it, if the state is so */
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

/* A message between nodes, and whose it is. */
struct sent {
    struct uuid boot; /* the sender's */
    uint64_t rpc_id;
    unsigned attempt;
};

struct client {
    struct world *w;
    struct sim_event event; /* what it does next, or loses its patience */
    struct sim_op *op;
    struct attempt *attempt; /* the one it waits for */
    struct sim_actor *only;  /* a probe */
    bool asks_late;          /* it waits, to ask once more */
    bool done;               /* a probe has its answer */
    bool writes;             /* a probe that writes, by way of `through` and those after it */
    unsigned through, last;  /* nodes */
};

/* One call given to one process; it may outlive its client's interest. */
struct attempt {
    struct list link;
    struct sim_event event;  /* the time by which it must be complete */
    struct sim_event arrive; /* it is read, while in_socket */
    struct client *client;   /* NULL: nobody waits */
    struct sim_op *op;
    struct process *p;
    uint64_t sent_ns, started_ns;
    uint64_t age_ms;
    uint64_t held_ns; /* since when its process stands still; 0: it does not */
    bool in_socket;
    bool late;       /* it began when its request had been applied already */
    bool other;      /* it asks for something else under the same id */
    bool answered;   /* of these: when its request had been answered already */
    unsigned number; /* of the request's attempts, from 1 */
};

struct workload {
    struct world *w;
    struct sim_actor *actors;
    unsigned actor_count;
    struct client *clients;
    unsigned client_count;
    struct client *probes;
    struct sim_event burst;
    struct list attempts;
    struct map ops; /* by request id */
    uint32_t serial;
    bool stopped;
    bool between_epochs;
    struct workload_stats stats;
};

/* sim_workload.c */
void client_next(struct client *c, uint64_t delay_ns);
void client_completed(struct client *c, const struct attempt *a, int status);
void op_release(struct sim_op *op);

/* sim_attempt.c */
enum attempt_kind { ATTEMPT_SAME, ATTEMPT_OTHER };
/* Who does not say how old the request is may repeat it for a window, and no longer. */
bool attempt_may_come(const struct world *w, const struct sim_op *op);
/* Gives the request, which may come, to one process, by way of its socket if that stands still. `c` waits
 * for the answer; NULL: nobody does. */
void attempt_send(struct world *w, struct client *c, struct sim_op *op, struct process *p,
                  enum attempt_kind kind);
/* How old requests to that actor may become and are remembered still. */
uint64_t actor_window_ns(const struct sim_actor *a);

/* The body of the request, and what it counts for. */
void op_ask(struct world *w, struct sim_op *op, bool may_be_special);

/* What the table of errors promises: an attempt of `op` was answered with `status`; a commit of it has
 * landed. `late`: the attempt began after that. `by`: the attempt that did it, 0 where nobody knows. */
bool check_outcome(struct world *w, struct sim_op *op, unsigned attempt, bool late, int status);
void check_applied(struct world *w, struct sim_op *op, unsigned by);
/* `a` was told that it is too late: not so within the window. */
void check_too_late(struct world *w, const struct attempt *a);
/* `a` asked for something else under the id of its request. */
void check_other(struct world *w, const struct attempt *a, int status);
/* A commit has landed that remembers the request with that status: a domain error. */
void check_refused(struct world *w, struct sim_op *op, int status);
/* True when `op` may be answered with that error; else a violation. */
bool check_error(struct world *w, struct sim_op *op, int status, struct bytes why);
/* True when `reply` is right for `op`; else a violation. */
bool check_reply(struct world *w, struct sim_op *op, struct bytes reply);
/* At the end: the value of a counter that was asked when nothing is under way any more. */
void check_final(struct world *w, const struct sim_op *op);

/* The history of a counter: a request is sent; an attempt of it is said to be surely not applied, or all
 * that there will ever be; it is first answered, with op->value. */
void history_asked(const struct world *w, struct sim_op *op);
void history_refused(const struct sim_op *op, bool for_good);
void history_answered(const struct world *w, const struct sim_op *op);
void history_free(struct sim_actor *a);
/* At the end, or before it is begun anew: is each of them linearizable? */
void check_histories(struct world *w, const struct sim_actor *actors, unsigned count);

#endif

/* A call that started on this node. */
#ifndef KELPIE_ACTOR_ACTOR_CALL_H
#define KELPIE_ACTOR_ACTOR_CALL_H

#include "actor/activation.h"

enum call_state {
    CALL_NEW,     /* the timer starts it, or tells what is wrong with its arguments */
    CALL_WAITING, /* the timer tries again */
    CALL_FINDING, /* a finder looks for the placement */
    CALL_LOCAL,   /* an invocation on this node */
    CALL_REMOTE,  /* an RPC is under way */
    CALL_DONE,    /* waits only for its cancelled RPC to complete */
};

#define CALL_REASON_SIZE 224
/* A message that kills whoever handles it must not be carried from node to node. */
#define LIVES_LOST_MAX 2

struct actor_call {
    struct actors *actors;
    struct list link;
    struct list wait_link; /* in its finder */
    struct finder *finder;
    enum call_state state;
    struct timer timer;
    uint64_t deadline_ns;
    uint64_t age_ms; /* when it came here, or REQUEST_AGE_UNKNOWN */
    uint64_t came_ns;
    struct rpc_call rpc;
    struct invocation *inv;
    struct excluded *excluded; /* nodes that have no room, or an older class; NULL: none */
    int excluded_why;          /* of the last of them */
    bool reads;                /* the class, which this node has, declares the method as a read */
    unsigned tries;
    unsigned timeouts;     /* attempts that got no answer in time */
    unsigned lives_lost;   /* lives of nodes that ended while an attempt was with them */
    struct uuid lost_boot; /* the last of them */
    bool maybe_applied;    /* some attempt may have applied it */
    bool suspended;        /* the node's lease ran out: the timer ends it */
    int status;            /* CALL_NEW: what is wrong; else why the last attempt failed */
    char reason[CALL_REASON_SIZE];
    actor_call_fn *done;
    void *arg;
    struct bytes chain; /* behind the body */
    bool send;          /* its receiver sends it to itself */
    uint64_t after_ms;
    bool nudge; /* no call: a word that there is something in the inbox */
    uint64_t until_ms;
    char type[ACTOR_TYPE_MAX + 1];
    char id[ACTOR_ID_MAX + 1];
    char method[KELPIE_METHOD_MAX + 1];
    char request_id[REQUEST_ID_MAX + 1];
    size_t body_len;
    uint8_t body[];
};

/* A call as it begins; everything is copied. */
struct call_ask {
    const char *type, *id, *method, *request_id;
    uint64_t age_ms;
    struct bytes body, chain;
    uint32_t deadline_ms;
    bool send; /* see actors_send */
    uint64_t after_ms;
};
/* As actors_call. The call is the caller's to abandon until `done` runs. */
struct actor_call *call_start(struct actors *a, const struct call_ask *ask, actor_call_fn *done,
                              void *arg);
/* Nobody waits for it any more: `done` does not run. */
void call_abandon(struct actor_call *call);

/* From the finder. */
/* A call that only reads, of an actor that is placed nowhere and never was: it is read here. */
void call_found_nothing(struct actor_call *call);
void call_found(struct actor_call *call, const struct placement *placement);
void call_not_found(struct actor_call *call, int status, const char *why);

#endif

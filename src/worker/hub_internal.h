/*
 * Inside of the hub: types and their classes (hub_types.c), slots and workers (hub_slots.c), turns (hub_turns.c)
 * and which of them goes where (hub.c).
 */
#ifndef KELPIE_WORKER_HUB_INTERNAL_H
#define KELPIE_WORKER_HUB_INTERNAL_H

#include "actor/outside.h"
#include "base/list.h"
#include "base/map.h"
#include "env/cap.h"
#include "worker/hub.h"
#include "worker/worker_apply.h"

#define HUB_ABSENT_TEXT "no worker of type %s is connected to the node"

/* A type that workers have; it lives as long as the node hosts it. */
struct hub_type {
    struct list link;
    struct hub *hub;
    struct worker_type is; /* its texts are kept in `texts` */
    struct buf texts;
    struct kelpie_method methods[WORKER_READS_MAX + 1];
    struct kelpie_class class;
    size_t workers;
    struct list waiting; /* turns */
    struct timer absent; /* no worker is there */
    bool is_absent;      /* for HUB_ABSENT_MS */
};

struct hub_worker {
    struct list link;
    struct uuid id;
    struct list slots;
    struct hub_type *types[WORKER_TYPES_MAX];
    size_t type_count;
    size_t
        busy; /* slots that run a turn, or still one that is gone; not those whose turn waits for its calls */
    uint64_t rests_until_ns; /* one of its slots has ended: others may be about to */
    struct hub_turn
        *alone_for; /* given to nobody else until that turn has run, but to whom it calls */
};

enum slot_does {
    SLOT_RESTS, /* it was answered and has not asked again */
    SLOT_ASKS,
    SLOT_RUNS,  /* a turn is out */
    SLOT_CALLS, /* it waits for the answers of its turn's calls */
};

struct hub_slot {
    struct list link;    /* in the worker's */
    struct list waiting; /* in the hub's, while it asks */
    struct hub *hub;     /* NULL: it was freed */
    struct hub_worker *worker;
    enum slot_does does;
    struct hub_turn *turn; /* NULL while it runs: the turn is gone */
    uint64_t ticket;       /* that it was given last; 0: none yet */
    uint64_t since_ns;
    bool too_long;
    struct timer timer; /* it asks for so long; its turn takes too long */
    const struct hub_slot_ops *ops;
    void *ctx;
    struct mem mem;
};

enum turn_is {
    TURN_WAITS, /* for a slot */
    TURN_OUT,
    TURN_COMES, /* its answer is there, and is applied soon */
    TURN_CALLS, /* what it called has not answered yet */
};

struct hub_answers {
    size_t open, count;
    struct worker_answer list[KELPIE_CALLS_OPEN_MAX];
    struct hub_answer_of {
        struct hub_turn *turn;
        size_t number;
    } calls[KELPIE_CALLS_OPEN_MAX];
};

struct hub_turn {
    struct list link; /* in type->waiting, or hub->suspects */
    struct hub *hub;
    struct hub_type *type;
    struct hub_worker *reserved; /* the worker that is kept free for it */
    struct outside *outside;
    struct hub_slot *slot;
    struct hub_count *count;
    enum turn_is is;
    bool suspect, alone;
    unsigned deaths, alone_deaths;
    uint64_t run, ticket, since_ns;
    uint64_t number; /* they are handed out in that order */
    struct worker_result *result;
    void (*release)(struct worker_result *r, struct mem mem);
    int failed; /* instead of a result, with */
    bool unreached;
    char why[HUB_WHY_SIZE];
    struct hub_answers *answers; /* of its calls, in the turn's memory */
};

struct hub_counter {
    struct map_node node;
    struct hub_count count;
    size_t name_len;
    char name[]; /* type NUL method NUL */
};

struct hub {
    const struct env *env;
    struct actors *actors;
    struct list types, workers;
    struct list waiting;  /* slots that ask, the first to be given something */
    struct list suspects; /* turns that wait to be alone */
    struct timer look;
    size_t slot_count, worker_count, turn_count, out_count;
    uint64_t last_ticket, last_run, last_number;
    uint64_t refused_late;
    struct map counters;
    struct hub_count others;
    struct worker_entry state[KELPIE_STATE_KEYS_MAX];
    struct cap slots_cap, workers_cap, turns_cap;
    bool closed;
};

/* hub_types.c */
/* The type as the worker says it; made, and hosted, if it is not there. */
struct hub_type *hub_type_of(struct hub *h, const struct worker_type *t, int *error, char *why,
                             size_t why_size);
/* It is what the worker says. */
bool hub_type_is(const struct hub_type *t, const struct worker_type *said);
uint64_t hub_type_turn_ns(const struct hub_type *t);
/* One more worker has it, or one less. */
void hub_type_joined(struct hub_type *t);
void hub_type_left(struct hub_type *t);
void hub_types_close(struct hub *h);
void hub_types_free(struct hub *h);

/* hub_slots.c */
/* The worker is done with what it was given through it, or that is gone. */
void hub_slot_rests(struct hub_slot *s);
void hub_slot_give(struct hub_slot *s, struct hub_turn *t);
/* It runs the turn, from its beginning or from the answers of its calls on. */
void hub_slot_runs(struct hub_slot *s, struct hub_turn *t);
/* Its turn is over, or gone, and it waits: it asks. */
void hub_slot_asks(struct hub_slot *s);
bool hub_worker_has(const struct hub_worker *w, const struct hub_type *t);
void hub_slots_close(struct hub *h);

/* hub_turns.c */
int hub_receive(struct kelpie_actor *actor, const struct kelpie_message *m);
/* Out of the list in which it waits; a worker is kept free for it no longer. */
void hub_turn_unlist(struct hub_turn *t);
/* It fails, as if its handler had said so. */
void hub_turn_fail(struct hub_turn *t, int error, bool unreached, const char *fmt, ...)
    PRINTF_LIKE(4, 5);
/* The slot that had it is no more. */
void hub_turn_died(struct hub_turn *t, bool too_long);
struct hub_count *hub_count_of(struct hub *h, const char *type, const char *method);
void hub_counts_free(struct hub *h);

/* hub.c */
/* Finds a slot for it, or it waits. */
void hub_place(struct hub_turn *t);
/* Finds a turn for it; false when there is none. */
bool hub_feed(struct hub_slot *s);
/* The worker is given nothing for so long at least. */
void hub_worker_rests(struct hub *h, struct hub_worker *w, uint64_t ms);
/* Workers are kept free for those that must be alone, and whoever waits for something is looked after. */
void hub_look(struct hub *h);
void hub_look_soon(struct hub *h);

#endif

/*
 * The hub: hands turns of actors out to workers, which are not of this process, and makes what comes back true
 * (docs/workers.md, docs/adr/0024-workers.md). It knows no sockets: whoever has a connection with a worker tells the hub
 * what came on it, and is told what to answer. One connection is one slot: it asks, is given a turn, and asks
 * again with what the turn has come to.
 *
 * A type is hosted on the node (actors_host) as long as a worker of it is there, and some seconds longer.
 *
 * What dies of a turn: a slot that ends while a turn is out hands it out once more, to another slot. Since nobody knows which of
 * the turns of a process ended it, each of them then runs alone: in a worker that has no other turn. What ended two
 * workers alone is the handler's failure.
 *
 * All of it runs on the node's loop. Bounds: HUB_... below; one more of anything is refused with a sentence.
 */
#ifndef KELPIE_WORKER_HUB_H
#define KELPIE_WORKER_HUB_H

#include "actor/actor.h"
#include "base/uuid.h"
#include "worker/worker_turn.h"

#define HUB_SLOTS_MAX 256
#define HUB_WORKERS_MAX 64
#define HUB_TURNS_MAX 8192        /* that wait for a slot or are out */
#define HUB_ASK_MS 20000          /* a slot that asks is told after so long that there is nothing */
#define HUB_TURN_MS_DEFAULT 30000 /* that a turn may take, unless its type says another time */
#define HUB_ABSENT_MS 2000        /* turns wait so long for the first worker of their type */
#define HUB_ALONE_DEATHS_MAX 2    /* workers that a turn may end, alone in them */
#define HUB_REST_MS 100    /* a worker whose connection ended is given nothing through its others */
#define HUB_ENDING_MS 2000 /* likewise when a turn took too long there: the process is to end */
#define HUB_COUNTS_MAX 256 /* methods with counts of their own; all others are counted together */
#define HUB_WHY_SIZE 512

struct hub;
struct hub_slot;

/* What a slot is answered: one of the first four, once for each time that it has joined, asked or answered, perhaps
 * inside that call. What is handed over is borrowed for the call. */
struct hub_slot_ops {
    void (*turn)(void *ctx, const struct worker_turn *turn);
    void (*answers)(void *ctx, uint64_t ticket, const struct worker_answer *a, size_t count);
    /* Nothing now: it asks again. */
    void (*nothing)(void *ctx);
    void (*refuse)(void *ctx, int error, const char *why);
    /* Its turn takes too long: the connection is to be ended, and then hub_leave() to be called; not inside
     * this call. */
    void (*end)(void *ctx);
};

struct hub *hub_new(const struct env *env, struct actors *actors);
/* Takes no new slot and no new turn; slots that ask are told that there is nothing. */
void hub_close(struct hub *h);
/* The actors are closed. Slots may be there yet; each is let go by its hub_leave. */
void hub_free(struct hub *h);

/* A connection's first request: `hello` is copied. On success it asks; else NULL, with a sentence in `why` and in *error
 * KELPIE_E_LIMIT, KELPIE_E_REFUSED (what it says of a type is not what the node or other workers say, or other slots of the
 * same worker said another thing), KELPIE_E_UNAVAILABLE (the type is on its way out, or the node ends: again later) or
 * KELPIE_E_INVALID. */
struct hub_slot *hub_join(struct hub *h, struct uuid worker, const struct worker_hello *hello,
                          const struct hub_slot_ops *ops, void *ctx, int *error, char *why,
                          size_t why_size);
/* It asks for a turn (`last`: for none, it is about to end); refused while it owes an answer. */
void hub_ask(struct hub_slot *s, bool last);
/* It answers, and asks (r->last: it does not); refused when the ticket is none that it holds. What `r` has is taken over by `release` (worker_result
 * and root), which the hub calls once, perhaps inside. */
void hub_answer(struct hub_slot *s, struct worker_result *r,
                void (*release)(struct worker_result *r, struct mem mem));
/* What it has said is no answer: its turn fails with that sentence (as behind "the worker"), and it is refused. */
void hub_bad_answer(struct hub_slot *s, const char *why);
/* Its connection has ended. */
void hub_leave(struct hub_slot *s);

/* Of one method of one type; the last of all has the method "". */
struct hub_count {
    const char *type, *method;
    uint64_t turns;   /* handed out */
    uint64_t results; /* that came back, whatever they said */
    uint64_t errors;  /* of these, domain errors and other errors */
    uint64_t busy_ns; /* from hand-out to result, all together */
    uint64_t waiting_ns;
    uint64_t deaths;   /* workers that ended with it, */
    uint64_t too_long; /* of these, because it took too long */
    uint64_t given_up; /* failed after HUB_ALONE_DEATHS_MAX */
};
void hub_counts_each(const struct hub *h, void (*fn)(void *arg, const struct hub_count *c),
                     void *arg);

struct hub_stats {
    size_t slots, workers, turns_waiting, turns_out;
    uint64_t refused_late; /* results of turns that are gone */
};
struct hub_stats hub_stats(const struct hub *h);

#endif

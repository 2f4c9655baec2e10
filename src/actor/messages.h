/*
 * Messages between actors, inside of the actor floor (docs/adr/0018-messages.md): what a turn sends, what an
 * activation has in hand of its inbox, and nudges.
 */
#ifndef KELPIE_ACTOR_MESSAGES_H
#define KELPIE_ACTOR_MESSAGES_H

#include "actor/actor.h"
#include "registry/rules_message.h"

#define INBOX_IN_HAND_MAX 64      /* messages of one activation */
#define INBOX_LOW 16              /* with so many left it reads on */
#define INBOX_A_SENDER 8          /* of one sender, of these */
#define MESSAGE_ATTEMPTS_MAX 8    /* that failed; then it is a dead letter */
#define MESSAGE_BACKOFF_MIN_MS 50 /* doubled with each attempt that failed */
#define MESSAGE_BACKOFF_MAX_MS 10000
#define MESSAGE_SUSPECT_MS 2000         /* older, and the first of an activation: tried by itself */
#define MESSAGE_TURN_NS (10 * NS_PER_S) /* for as long its turn may wait for calls */
#define NUDGES_MAX 1024                 /* under way */
#define NUDGE_TIMERS_MAX 4096           /* that wait for their time */
#define NUDGE_DEADLINE_MS 2000
#define SHARDS_LOOK_MS 1000  /* so often a node looks at its shards */
#define SHARDS_AHEAD_MS 1500 /* for what is due until then */
#define SHARDS_PAGE_PAUSE_NS (5 * NS_PER_MS)
#define SHARDS_PAGES_MAX 256 /* of one look */

/* Of one turn, and of the turns of one batch beyond their requests' rows. */
#define TURN_ROWS_MAX (5 * KELPIE_SENDS_MAX + 6)
#define TURN_READS_MAX (KELPIE_SEND_NAMES_MAX + 1)
#define BATCH_ROWS_MAX (BATCH_TURNS_MAX + 240)
#define BATCH_READS_MAX (STORE_READS_MAX - 2)
#define BATCH_SEND_BYTES_MAX (64u * 1024) /* beyond these no other turn joins it */

struct kelpie_actor;
struct invocation;
struct act_op;

/* One that a turn has sent. */
struct send {
    struct list link;
    struct commit_sent sent;
    uint64_t after_ms;
    uint8_t body[];
};

/* A row of the inbox in hand: whose turn waits or has run, and whose commit has not landed. */
struct message {
    struct list link; /* in the inbox's hand */
    unsigned refs;    /* the inbox, its invocation, its commit */
    struct mem mem;
    struct commit_taken taken; /* what becomes of the row, once its turn has run */
    struct message_record record;
    uint64_t missed;
    bool failed; /* its turn failed: its sender is held back until that is committed */
    bool gone;   /* committed while the inbox was being read */
    uint8_t body[];
};
void message_release(struct message *m);

/* What its turns' messages add to a batch. */
struct batch_cost {
    size_t rows, reads, bytes;
};

struct inbox_read;
struct inbox {
    struct list hand;
    size_t count;
    bool dirty;        /* there may be more than is in hand */
    uint64_t until_ms; /* what is due until then is due: the latest that a nudge said */
    struct key cursor; /* where the next page begins; len 0: at the start */
    bool rest;         /* this round passed rows by */
    uint64_t turns;    /* of messages, in this activation */
    struct inbox_read *read;
    struct timer again; /* the first of those that are held back */
    uint64_t again_ns;
    const struct message *alone; /* is tried by itself; nothing else is read meanwhile */
};

/* send.c */
void sends_drop(struct actors *a, struct invocation *inv);
/* A turn's sends have one of that message's name. */
bool sends_name(const struct invocation *inv, const struct message_record *of);
/* What a turn that has run adds to its batch. */
void batch_cost_add(struct batch_cost *c, const struct invocation *inv);
bool batch_cost_lets(const struct batch_cost *c, size_t turns);
/* The messages of the turns that fly go along with their commit. */
void messages_take(struct kelpie_actor *act, struct act_op *op);
void messages_free(struct act_op *op);
/* It has landed: whoever has something in its inbox is told. */
void messages_landed(struct kelpie_actor *act, struct act_op *op);

/* crowds.c */
#define MESSAGES_WAITING_MAX 16384 /* for one receiver, with and without a time; approximate */
#define CROWD_SLOTS 1024
struct crowd_slot {
    uint64_t sent; /* since it was last counted */
    bool counting;
    bool full; /* `of` had too many then; looked at again not before: */
    uint64_t again_ns;
    struct uuid of;
};
struct crowds {
    uint32_t max;
    struct crowd_slot slots[CROWD_SLOTS];
    struct list counts;
    size_t count_count;
};
void crowds_init(struct actors *a, uint32_t max);
/* One more message is to be sent there: true when too many wait. */
bool crowds_refuse(struct actors *a, const char *type, const char *id);
void crowds_cancel(struct actors *a);
bool crowds_idle(const struct actors *a);

/* inbox.c */
/* Somebody says that there is something; until_ms: what has a time is due until then. */
void inbox_note(struct kelpie_actor *act, uint64_t until_ms);
/* Reads on, if there is something to read and room for it. */
void inbox_poke(struct kelpie_actor *act);
void inbox_free(struct kelpie_actor *act);
/* Its turn is next. False: not yet, and it is dealt with. */
bool message_begins(struct kelpie_actor *act, struct invocation *inv);
/* Its turn has run, with inv->status; what it wrote is kept, or taken back. */
void message_ends(struct kelpie_actor *act, struct invocation *inv);
/* Its commit has landed. */
void inbox_landed(struct kelpie_actor *act, struct message *m);

/* nudge.c */
void nudges_init(struct actors *a);
void nudges_stop(struct actors *a);
bool nudges_idle(const struct actors *a);
/* Tells the receiver, wherever it is, that there is something in its inbox; what has a time is due
 * until `until_ms` of the wall clock. A hint: it may be lost. */
void nudge_now(struct actors *a, const char *type, const char *id, uint64_t until_ms);
void nudge_in(struct actors *a, const char *type, const char *id, uint64_t delay_ms,
              uint64_t until_ms);

/* wall.c */
#define WALL_PEERS 7       /* whose clocks a node looks at */
#define WALL_APART_MS 5000 /* and two heartbeats: farther from their median, it goes by that */
#define WALL_ROUNDS 10     /* of looking at shards, one looks at the clocks too */
struct wall_peer {
    struct key key;
    struct uuid boot;
};
struct wall {
    int64_t apart_ms; /* what is added to the own clock */
    struct wall_peer of[WALL_PEERS];
    size_t asked;
};
/* The wall clock by which messages are due. */
uint64_t actors_wall_ms(const struct actors *a);
/* The one in the middle of `count` (at least one), of two the lower; puts them in order. */
int64_t wall_median(int64_t *apart, size_t count);
/* Asks for others' clocks with that transaction, and takes what it has read. */
void wall_ask(struct actors *a, struct txn *t);
void wall_take(struct actors *a, const struct txn *t, size_t first);

/* shards.c */
void shards_init(struct actors *a);
/* Looks at the shards of this node now; again and again, until shards_stop. */
void shards_start(struct actors *a);
void shards_stop(struct actors *a);
bool shards_idle(const struct actors *a);

#endif

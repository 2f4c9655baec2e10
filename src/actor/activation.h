/*
 * Inside of the actor floor. One `struct kelpie_actor` per actor that this node has to do with:
 *
 *   LOADING     its placement and state are being read (perhaps after taking it back)
 *   IDLE        it runs, and waits for messages
 *   COMMITTING  it runs; what some turns wrote is on its way to the store, and more turns run on
 *               what the actor is about to be
 *   STOPPING    it has stopped for good; its placement is being released or handed over
 *   SETTLING    dropped (the lease ran out, or the node closes); a cancelled transaction completes
 *   UNSETTLED   dropped; a commit, release or hand-over of it may still land. It comes back only
 *               by AbortMigration, under a new generation, which excludes all of these
 *   GONE        out of the table; memory ends with the last hold
 *
 * Whoever calls cluster_may_act() must expect that it suspends the node inside the call: every
 * activation may be GONE afterwards. Hold it before, look at its state after.
 */
#ifndef KELPIE_ACTOR_ACTIVATION_H
#define KELPIE_ACTOR_ACTIVATION_H

#include "actor/actor.h"
#include "actor/actor_message.h"
#include "actor/actor_state.h"
#include "actor/messages.h"
#include "actor/passive.h"
#include "actor/remember.h"
#include "actor/types.h"
#include "env/slice.h"
#include "registry/directory.h"
#include "registry/policy.h"

/* Of turns that are committed together (BATCH_TURNS_MAX). Their rows, the whole state, a head row and
 * what is forgotten fit into one transaction; so do their bytes, unless nearly all of them are NUL,
 * which a record writes twice. */
#define BATCH_REPLY_BYTES_MAX (64u * 1024)         /* of replies that are kept */
#define BATCH_WAITING_BYTES_MAX (4u * 1024 * 1024) /* of all replies that wait for one commit */
#define BATCH_CHANGES_MAX 512                      /* beyond these no other turn joins it */
#define FINDS_MAX 32                               /* look-ups of one actor's requests under way */
#define HELD_NS_MAX (2 * NS_PER_S) /* longer in a connection, and the caller is asked once more */
#define PEER_CLOCKS_MAX 4096
#define FOLLOWERS_MAX 8           /* repeats that wait for one first */
#define WHY_SIZE 384              /* a chain of short names */
#define RUN_BATCH 16              /* messages of one actor in one turn of the loop */
#define RUN_SLICES_A_HEARTBEAT 64 /* a turn runs callbacks for so much of it, and at least one */
#define RUN_AVERAGE_OF 8          /* turns of an actor: one of them that was held up says little */
#define RUN_REST_SHARE 16         /* of what a slow turn took, until the next one */
#define RUN_PAUSES_A_HEARTBEAT 16 /* so often it is looked whether the lease has been renewed */
#define STOPS_MAX 64              /* hand-overs and releases under way */
#define EVICTIONS_MAX 256         /* beyond the bound, while others go or are sent elsewhere */
#define EVICT_IDLE_NS NS_PER_S    /* whoever was idle for so long makes room on a full node */
#define EVICT_PACE_NS (4 * NS_PER_MS) /* between two that do: those that come load no faster */
#define PASSIVATE_BATCH 64            /* in one turn */
#define FIND_GIVE_UP_NS (2 * NS_PER_S)
#define RETRY_DELAY_MIN_NS (2 * NS_PER_MS)
#define RETRY_DELAY_MAX_NS (100 * NS_PER_MS)
#define ATTEMPT_TIMEOUT_MIN_MS 1000
#define DRAIN_PAUSE_NS (20 * NS_PER_MS)
#define SWEEP_PAUSE_NS (20 * NS_PER_MS)
#define SWEEP_AGAIN_NS NS_PER_S /* after a batch that ended with an error, or met who was leaving */
#define TAKEBACK_AFTER_NS (50 * NS_PER_MS) /* of the planted mistake "takeback" */
#define OPS_POOLED_MAX 256

enum act_state {
    ACT_LOADING,
    ACT_IDLE,
    ACT_COMMITTING,
    ACT_STOPPING,
    ACT_SETTLING,
    ACT_UNSETTLED,
    ACT_GONE,
    ACT_STATE_COUNT,
};

struct actor_call;
struct find;

enum invoke_kind {
    INVOKE_REQUEST,
    INVOKE_MESSAGE, /* of another actor, from the inbox: nobody waits for the answer */
    INVOKE_NUDGE,   /* somebody says that there is something in the inbox */
};

/* One message for an actor, on the node that hosts it. It is answered exactly once. */
struct invocation {
    enum invoke_kind kind;
    uint64_t until_ms;    /* of a nudge */
    struct message *mail; /* of a message; its commit takes it along */
    struct list sends;    /* what its turn has sent; likewise */
    size_t send_count, send_names, send_bytes;
    struct list link;      /* in a mailbox, or in the followers of its first */
    struct list followers; /* repeats of the same request id, at most FOLLOWERS_MAX */
    unsigned follower_count;
    struct actor_call *call; /* a local caller; NULL when it gave up waiting */
    bool from_peer;
    struct rpc_request request; /* from a peer: what to reply to */
    uint64_t deadline_ns;
    uint64_t generation; /* of the placement as the caller knows it, 0: not known */
    char type[ACTOR_TYPE_MAX + 1];
    char id[ACTOR_ID_MAX + 1];
    char method[KELPIE_METHOD_MAX + 1];
    char request_id[REQUEST_ID_MAX + 1];
    struct uuid hash;        /* of the request id */
    struct uuid fingerprint; /* of caller, method and body, and of what is sent, after how long */
    bool is_send;            /* its turn sends it to the actor itself */
    uint64_t after_ms;
    uint64_t age_ms; /* since the first attempt, at most, when it arrived here */
    bool age_known;  /* false: age_ms is what nodes have held it, on top of the window */
    uint64_t arrived_ns;
    struct find *find; /* under way */
    bool looked;       /* it is not in the store's buckets, or is it: `found` */
    bool found;
    bool found_reply_kept;
    uint32_t flags;  /* of its method: KELPIE_METHOD_... */
    bool for_flight; /* a read: it came while a commit or load was in flight, and waits for it */
    int found_status;
    struct uuid found_fingerprint;
    /* Its turn has run. */
    bool wrote;     /* it changed something, or is a domain error: it is committed and remembered */
    bool failed;    /* kelpie_fail was called, after the last reply */
    bool erases;    /* kelpie_erase was called */
    bool unreached; /* what it failed of lies before any handler: a message has not been tried */
    int status;
    struct buf reply; /* or a sentence, or a domain error; of a repeat: as found */
    /* Calls of its turn that left and of which nobody said that they did nothing. */
    unsigned calls_out;
    struct kelpie_message message; /* as the class sees it, while its turn lasts */
    struct bytes chain;            /* behind the body */
    size_t body_len;
    uint8_t body[];
};

struct open_turn;
struct poisons;

/* A transaction on behalf of one activation. */
enum act_op_kind { OP_LOAD, OP_COMMIT, OP_RELEASE, OP_MIGRATE, OP_ABORT };

struct act_op {
    enum act_op_kind kind;
    struct actors *actors;
    struct kelpie_actor *act;
    struct list link; /* in the pool */
    union {
        struct load_args load;
        struct commit_args commit;
        struct own_args own;
    } args;
    struct state_write *writes;
    struct commit_request *requests;
    struct commit_taken **taken; /* of messages, each held */
    struct commit_sent **sent;
    struct list sends;
    uint64_t sent_number; /* of the last message that it sends */
    struct remember_plan plan;
    struct excluded excluded; /* targets of a hand-over that cannot host */
    struct txn txn;
};

struct actor_block; /* memory of kelpie_actor_alloc */

struct kelpie_actor {
    struct map_node node;
    struct actors *actors;
    const struct kelpie_class *class;
    enum act_state state;
    uint64_t incarnation; /* of this node when the activation began */
    uint64_t generation;  /* 0 until loaded */
    bool in_receive;
    bool read_only;     /* the callback may not write: deactivate, a read */
    bool reading;       /* it is shown what is committed */
    bool erasing;       /* a turn that erases it has run: nothing runs until that has landed */
    bool nothing;       /* LOADING: there is no such actor, and reads of it wait (reads.c) */
    bool nothing_begun; /* and `activate` has run for them */
    bool has_run;       /* here: `activate` returned */
    bool counted;       /* in stats.activations */
    bool taken_back;    /* by the planted mistake: a drain lets it be for a while */
    bool loaded;        /* LOADING: its state is there, `activate` waits for its turn */
    bool stop_due;      /* IDLE: it is in the run queue to be stopped */
    uint64_t turn_ns; /* its turns took so long, on a moving average; at first those of its class */
    int stop_answer;  /* what waiting messages are told when it has stopped */
    unsigned holds;
    struct list idle_link; /* in idle[class], while IDLE with an empty mailbox */
    struct list
        run_link; /* in runnable or slow: it has messages, or is loaded, or is to be stopped */
    uint64_t idle_since_ns;
    struct list mailbox;
    struct list reads;   /* messages of methods that read; those that may run stand first */
    struct list outside; /* of reads that somebody outside runs (outside.h) */
    size_t outside_count;
    size_t
        mailbox_count; /* of both, at most mailbox_max; followers and `current` have their own place */
    size_t mail_count; /* of these, messages of the inbox, which have a bound of their own */
    struct invocation *current;
    struct open_turn *open; /* its turn calls others, or waits for their answers; NULL: none does */
    /* Turns that have run, in order, and may not be answered yet: they wait for the commit that is
     * in flight, and for the one after it. */
    struct list flying, pending;
    size_t pending_count, pending_reply_bytes, pending_waiting_bytes;
    struct batch_cost pending_cost; /* of messages */
    size_t flying_count;
    size_t joined_count, joined_bytes; /* of these, turns that changed nothing, since it flies */
    bool pending_wrote;
    struct poisons *poisons; /* NULL: nothing of it is blamed */
    struct inbox *inbox;     /* NULL: nobody has said that there is anything in it */
    size_t alone;            /* so many turns are committed one by one */
    size_t finds;
    struct act_op *op;
    struct actor_state values;
    struct remember memory;
    size_t memory_bytes; /* as last counted in stats */
    struct actor_block *blocks;
    size_t block_bytes;
    void *data;
    size_t type_len;
    size_t name_len;
    char name[]; /* type NUL id NUL */
};

/* Handing over what runs here: all of it, or what is of a type. */
struct drain {
    struct actors *actors;
    bool on;
    bool drained;                     /* nothing is left */
    const struct kelpie_class *class; /* NULL: all */
    struct actor_name cursor;         /* activations up to here have been told */
    struct txn list;
    struct timer timer;
};

struct sweep {
    uint64_t term; /* 0: not primary */
    bool again;    /* a node was failed meanwhile: start over at the end */
    bool running;
    bool broken_off;               /* the last one did not come to its end */
    uint32_t leaving_count;        /* lives that this pass has met, and that are leaving */
    char leaving[NODE_ID_MAX + 1]; /* the last of them */
    struct sweep_args args;
    struct txn txn;
    struct timer timer;
};

/* Rows of blame that say nothing any more. */
#define POISON_PAGE_PAUSE_NS (20 * NS_PER_MS)
struct poison_sweep {
    uint64_t term; /* 0: not primary */
    size_t held;   /* in this pass so far */
    struct sweep_poison_op op;
    struct timer timer;
};

/* Looking at the shards of this node. */
struct shards {
    bool on;
    struct shard_look looks[SHARDS_MAX]; /* what is still to be looked at */
    size_t count, asked, pages;          /* of these, so many are asked for */
    unsigned rounds;
    bool clocks; /* other nodes' are asked for too */
    bool
        all; /* whoever was to nudge may be gone: this round nudges for all that lies in inboxes, */
    bool anew; /* and so will the next, which begins at once */
    struct txn txn;
    struct timer timer;
    bool mine_first[SHARDS_MAX]; /* of the planted mistake "shardleft" */
};

/* What somebody who looks on is told of turns (the simulator, for spec/TurnsTrace.tla). */
enum act_seen {
    SEEN_BEGAN,   /* the activation runs, from what was loaded */
    SEEN_ENDED,   /* it runs no more, and leaves `status`, its state before */
    SEEN_ARRIVED, /* a message waits in the mailbox */
    SEEN_LOOKED,  /* the store has said whether it remembers the request */
    SEEN_NEW,     /* it has not been applied, and its turn begins */
    SEEN_RAN,     /* it has run */
    SEEN_COMMIT,  /* a commit begins */
    SEEN_LANDED,  /* it was committed */
    SEEN_REFUSED, /* surely it will not be; by `status` REFUSED it may have been, before another's */
    SEEN_ANSWERED, /* with `status` */
};

struct act_sight {
    enum act_seen what;
    const struct kelpie_actor *act; /* NULL: SEEN_ANSWERED */
    const struct invocation *inv;
    const struct act_op *op;
    int status;
};

/* It changes nothing. */
struct act_watch {
    void (*saw)(void *ctx, const struct act_sight *sight); /* NULL: nobody looks on */
    void *ctx;
};

struct actors {
    const struct env *env;
    struct act_watch watch;
    struct rpc *rpc;
    struct cluster *cluster;
    const struct keyspace *ks;
    struct kelpie_class class_rooms[CLASS_COUNT_MAX]; /* copies of what was given */
    const struct kelpie_class *classes[CLASS_COUNT_MAX];
    size_t class_count;
    uint32_t activations_max;
    uint64_t evict_next_ns; /* on a full node, one more loads not before */
    uint32_t mailbox_max;
    uint32_t remembered_max;
    uint32_t idle_ms;
    bool closed;
    bool suspended; /* since the lease ran out, until the node acts again */

    struct map activations; /* kelpie_actor by (type, id) */
    struct list idle[CLASS_COUNT_MAX];
    struct timer idle_timer;
    uint64_t idle_due_ns; /* while it is armed */
    struct list runnable;
    struct list slow;             /* of these, one a turn, */
    uint64_t slow_rests_until_ns; /* and then a rest */
    bool run_soon;                /* run_timer is armed without a delay */
    uint64_t class_turn_ns[CLASS_COUNT_MAX];
    struct timer run_timer;
    struct slice slice; /* of this turn of the run queue */
    size_t stopping;
    size_t stops_due; /* that wait for their turn */
    size_t ops;       /* transactions of activations under way */
    struct list op_pool;
    size_t op_pool_count;

    struct directory directory;
    uint64_t turn; /* round robin */
    struct map finders;
    struct list calls;
    size_t call_count;
    const struct actor_call *looking; /* whose timer looks whether the node may act */
    size_t zombie_calls;              /* done, but their RPC has not completed */
    size_t nudges;
    struct list nudge_timers;
    size_t nudge_timer_count, nudge_calls, inbox_reads;
    struct shards shards;
    struct crowds crowds;
    struct wall wall;
    size_t locates;
    size_t finds;
    struct map peer_clocks; /* what peers' clocks last said, by boot id (ages.c) */
    struct buf out;
    /* What the last write or call of the callback that runs failed with, and a sentence. */
    int why_error;
    char why[WHY_SIZE];

    struct drain drain;
    struct types types;
    struct drain types_drain; /* of one type at a time */
    struct sweep sweep;
    struct passive_sweep passive;
    struct list poison_looks;
    struct poison_sweep poison_sweep;
    struct actors_stats stats;
    struct cap caps[ACTORS_CAP_COUNT];
};

static inline void act_saw(const struct actors *a, struct act_sight sight)
{
    if (a->watch.saw)
        a->watch.saw(a->watch.ctx, &sight);
}

/* activation.c */
const char *act_state_name(enum act_state s);
void act_set_state(struct kelpie_actor *act, enum act_state to);
struct kelpie_actor *act_find(const struct actors *a, const char *type, const char *id);
struct kelpie_actor *act_new(struct actors *a, const struct kelpie_class *class, const char *id,
                             enum act_state state);
void act_hold(struct kelpie_actor *act);
void act_release(struct kelpie_actor *act);
/* Out of the table, everything freed; waiting messages get `status`, and `hint` if not NULL. */
void act_drop(struct kelpie_actor *act, int status, const struct placement *hint, const char *text);
/* Drops what the activation holds in memory; the entry stays. */
void act_free_memory(struct kelpie_actor *act);
void act_count_memory(struct kelpie_actor *act);
/* The node may act, and the activation is still what it was. */
bool act_may_go_on(struct kelpie_actor *act);
/* It is to be handed over: the node leaves, or its type does. */
bool act_leaves(const struct kelpie_actor *act);
struct host actors_self(const struct actors *a);
size_t class_index_of(const struct actors *a, const struct kelpie_class *class);
const struct kelpie_class *actors_class(const struct actors *a, const char *type);
const char *act_type(const struct kelpie_actor *act);
const char *act_id(const struct kelpie_actor *act);
/* Both as fields of a log line: they come from outside. */
#define ACT_FIELDS_SIZE (4 * (ACTOR_TYPE_MAX + ACTOR_ID_MAX) + 32)
#define ACT_FIELDS(act) act_fields((act), (char[ACT_FIELDS_SIZE]){""})
const char *act_fields(const struct kelpie_actor *act, char out[ACT_FIELDS_SIZE]);
struct actor_ref act_ref(const struct kelpie_actor *act);
/* Suspends one: drops it at once; a transaction of it is cancelled and then settles. */
void act_suspend(struct kelpie_actor *act, struct list *orphans);

/* act_op.c */
struct act_op *act_op_new(struct kelpie_actor *act, enum act_op_kind kind);
void act_op_free(struct act_op *op);
/* After a transaction completed: detaches the op. True when the activation was dropped meanwhile,
 * and is dealt with. */
bool act_op_end(struct act_op *op, int status);

/* run_queue.c: the one place where callbacks of classes begin */
void run_queue_init(struct actors *a);
/* In a turn of its own, soon: `activate` of one that is loaded, messages, or the stop. */
void act_run_later(struct kelpie_actor *act);
/* It has no message under way any more: the next, or it is idle. */
void act_go_on(struct kelpie_actor *act);
/* Stops it soon, unless a message comes first. */
void act_stop_later(struct kelpie_actor *act);
/* There is room for another stop. */
bool stops_have_room(const struct actors *a);

/* load.c */
void act_load(struct kelpie_actor *act);
void act_load_in(struct kelpie_actor *act, uint64_t delay_ns);
/* The callback of one that is loaded. */
void act_activate(struct kelpie_actor *act);
/* Brings an UNSETTLED one back, by AbortMigration. */
void act_take_back(struct kelpie_actor *act);

/* mailbox.c */
/* Delivers a message on this node, which may answer it inside the call. Owns `inv`. */
void host_deliver(struct actors *a, struct invocation *inv);
/* Loads the actor if it is placed here, without a message. */
void host_activate(struct actors *a, const char *type, const char *id);
/* Messages, as far as the turn goes. */
void act_run(struct kelpie_actor *act);
/* The turn of that request that runs, or has run and waits for its commit; NULL: none. */
struct invocation *mailbox_running(const struct kelpie_actor *act, struct uuid hash);
/* Takes all messages out, in order, into `out`: those whose turns have run, the current one and those
 * that wait. */
void mailbox_take_all(struct kelpie_actor *act, struct list *out);

/* reads.c */
/* Queues a message whose method is declared as a read. False when it was answered: no room. */
bool read_enqueue(struct kelpie_actor *act, struct invocation *inv);
/* One may run now. */
bool read_ready(const struct kelpie_actor *act);
/* Runs the first of those that may; true when the next may follow at once. */
bool read_run(struct kelpie_actor *act);
/* Those that are outside wait again: the activation stops. */
void reads_take_back(struct kelpie_actor *act);
/* The commit or load that they waited for has ended, or one begins that they came before. */
void reads_flight_over(struct kelpie_actor *act);
/* Only reads wait, and the actor never was: they run on nothing, and leave nothing. */
bool reads_of_nothing(const struct kelpie_actor *act, const struct load_args *args);
void act_read_nothing(struct kelpie_actor *act);

/* erase.c */
/* There is something to erase, or on its way to the store. */
bool erase_has_work(const struct kelpie_actor *act, const struct invocation *inv);
/* It has landed: the activation is to end. */
bool erase_is_over(const struct kelpie_actor *act);
void erase_finish(struct kelpie_actor *act);

/* passive.c */
void passive_init(struct actors *a);
/* As primary of that term; 0: no more. */
void passive_start(struct actors *a, uint64_t term);
void passive_cancel(struct actors *a);
bool passive_idle(const struct actors *a);

/* quarantine.c */
void quarantine_init(struct actors *a);
/* What its load has read. */
void quarantine_take(struct kelpie_actor *act, struct store_result rows);
void quarantine_free(struct kelpie_actor *act);
/* The whole actor may not run now: `why` says so. */
bool quarantine_of_all(struct kelpie_actor *act, char *why, size_t size);
/* Its method may not, and it was answered so. */
bool quarantine_refuses(struct kelpie_actor *act, struct invocation *inv);
/* How long a message for that method waits at least before it is looked at again; 0: it may run. */
uint64_t quarantine_wait_ms(struct kelpie_actor *act, const char *method);
/* A callback has returned: what it may be blamed of is forgiven in time. */
void quarantine_returned(struct kelpie_actor *act, const char *callback, const char *method);
/* As primary of that term; 0: no more. */
void quarantine_sweep(struct actors *a, uint64_t term);
void quarantine_cancel(struct actors *a);
bool quarantine_idle(const struct actors *a);

/* actor_api.c */
/* Before and after every callback of the class, so that whoever watches the process knows what runs; `inv`
 * may be NULL. */
void act_callback_begins(struct kelpie_actor *act, const char *callback,
                         const struct invocation *inv);
void act_callback_ends(struct kelpie_actor *act);
/* The class's `deactivate`. False as act_may_go_on() says it afterwards. */
bool act_deactivate(struct kelpie_actor *act);
/* After a callback that may fail: the sentence for the status that it gave, which is answered as `answer`. */
const char *act_error_text(const struct kelpie_actor *act, int status, int answer);

/* invoke.c */
/* Whether the store's buckets must be looked at before its turn begins. */
bool act_must_look(const struct kelpie_actor *act, const struct invocation *inv);
/* Looks, for the message at the head of the mailbox and for some behind it; act_run follows. */
void act_look(struct kelpie_actor *act);
void act_invoke(struct kelpie_actor *act, struct invocation *inv);
/* Its callback has ended it, with inv->status: its effects go to the gate, or are taken back. */
void act_turn_ends(struct kelpie_actor *act, struct invocation *inv);
/* Calls the class: its status is in inv->status, and it is `current` still. False when the lease ran out
 * meanwhile: the activation is gone, or is as good as gone. */
bool act_call_class(struct kelpie_actor *act, struct invocation *inv);
/* Makes of inv->status what a caller may be told, with the sentence of an error as reply. */
void act_take_status(struct kelpie_actor *act, struct invocation *inv);
/* Answers it now. */
void act_answer(struct kelpie_actor *act, struct invocation *inv, int status, struct bytes body);

/* gate.c */
/* Another turn may run: on what is committed, or on what is about to be. */
bool gate_open(const struct kelpie_actor *act);
/* A turn has run: it is answered when all that it has seen is committed. */
void gate_turn_done(struct kelpie_actor *act, struct invocation *inv);

/* Whatever waits: in a turn of its own, soon. */
void gate_go_on(struct kelpie_actor *act);

/* open_turn.c, turn_api.c, outside.c */
/* Takes back all that the turn did, and gives up what it called: for who runs it outside is no more. */
void open_turn_begin_again(struct kelpie_actor *act);
/* `receive` returned KELPIE_PENDING: true when the turn stays open; else it has ended, with inv->status. */
bool open_turn_stays(struct kelpie_actor *act);
/* The turn ends with its callback: calls that are not answered are given up. */
void open_turn_end(struct kelpie_actor *act);
/* Answers that have come, as callbacks; and calls leave, when all that the turn has seen is committed. */
void open_turn_run(struct kelpie_actor *act);
/* Soon, if there is something to run. */
void open_turn_go_on(struct kelpie_actor *act);
/* The message of the open turn. */
struct invocation *open_turn_of(const struct kelpie_actor *act);
/* The activation ends, or begins anew: no callback comes any more. */
struct invocation *open_turn_drop(struct kelpie_actor *act);
/* Another message waits for it. */
void open_turn_waited_for(struct kelpie_actor *act);
/* Nobody waits for that message any more. */
void open_turn_left(struct actors *a, const struct invocation *inv);

/* find.c */
/* Begins to look for the request in the store's buckets. */
void find_start(struct kelpie_actor *act, struct invocation *inv, const uint64_t *buckets,
                size_t count);
/* The invocation ends, or its activation. */
void find_leave(struct invocation *inv);

/* ages.c */
uint64_t invocation_age_ms(const struct kelpie_actor *act, const struct invocation *inv);
uint64_t class_window_ms(const struct kelpie_class *class);
void peer_clock_learn(struct actors *a, struct uuid boot, uint64_t clock_ns);
uint64_t peer_clock(const struct actors *a, struct uuid boot);
void peer_clocks_free(struct actors *a);

/* invocation.c */
struct invocation *invocation_new(struct actors *a, const struct actor_request *r);
/* Answers it and its followers, and frees them. */
void invocation_answer(struct actors *a, struct invocation *inv, int status, struct bytes body,
                       const struct placement *hint);
void invocation_answer_text(struct actors *a, struct invocation *inv, int status, const char *text);
/* What a refusal of it is: not "surely not applied" when its turn has run and had others called. */
int invocation_refusal(const struct invocation *inv, int status);
void invocations_answer_all(struct actors *a, struct list *list, int status, const char *text,
                            const struct placement *hint);
/* Makes `inv` wait for the answer of its first. One more than FOLLOWERS_MAX takes the oldest's place. */
void invocation_follow(struct actors *a, struct invocation *first, struct invocation *inv);
/* Answers those of it and its followers whose deadline has passed. Returns the one that goes on with
 * the other followers, or NULL when none is left. */
struct invocation *invocation_expire(struct actors *a, struct invocation *inv);
void actors_on_rpc(void *arg, const struct rpc_request *request);

/* stop.c */
enum stop_how { STOP_RELEASE, STOP_HAND_OVER };
/* Ends an IDLE activation in an orderly way. */
void act_stop(struct kelpie_actor *act, enum stop_how how);
/* For an entry that does not run (UNSETTLED, or just made): its placement in that generation. */
void act_stop_placement(struct kelpie_actor *act, enum stop_how how);
void idle_begin(struct kelpie_actor *act);
/* The one that was idle for longest, of any class; NULL: none is. */
struct kelpie_actor *idle_longest(const struct actors *a);
void idle_timer_arm(struct actors *a);
void on_idle_timer(void *arg);
uint64_t actors_member_load(void *arg, const char *node_id);
bool actors_member_silent(void *arg, const struct member *m);

/* drain.c */
void drain_init(struct actors *a);
/* Of the types that go, one after the other; types_over() follows. */
void drain_type(struct actors *a, const struct kelpie_class *class);
void drain_type_stop(struct actors *a);
/* An activation is gone: the drain, if there is one, goes on from a timer of its own. It may suspend the node,
 * which drops activations, and whoever has dropped this one may be on its way through them. */
void drain_soon(struct actors *a);
void drain_resume(struct actors *a);
void drain_cancel(struct actors *a);
bool drain_idle(const struct actors *a);

/* types.c */
/* With the classes of the config. */
void types_init(struct actors *a, const struct actors_config *config);
/* The node acts (again), perhaps in another life. */
void types_resume(struct actors *a);
void types_suspend(struct actors *a);
void types_close(struct actors *a);
bool types_idle(const struct actors *a);
/* Nothing of that class is left, and nothing can come any more. */
void types_over(struct actors *a, const struct kelpie_class *class);
/* That type has gone from the node's row: actors of it are to be elsewhere. */
bool class_leaves(const struct actors *a, const struct kelpie_class *class);

/* sweep.c */
void sweep_init(struct actors *a);
void sweep_start(struct actors *a, uint64_t term);
void sweep_again(struct actors *a);
/* Those members are gone: their rows. */
void sweep_gone(struct actors *a, const struct member *gone, size_t count);
void sweep_cancel(struct actors *a);
bool sweep_idle(const struct actors *a);

/* actor_call.c */
void call_answered(struct actor_call *call, int status, struct bytes body,
                   const struct placement *hint);
/* A nudge, on the way of a call. */
void calls_nudge(struct actors *a, const char *type, const char *id, uint64_t until_ms,
                 actor_call_fn *done, void *arg);
void calls_view_changed(struct actors *a);
void calls_suspend(struct actors *a);
void calls_close(struct actors *a);

/* finder.c */
struct finder;
/* Finds or makes the placement for a call; call_found or call_not_found follows from the loop. */
void finder_want(struct actors *a, struct actor_call *call);
void finder_leave(struct actor_call *call);
void finders_close(struct actors *a);

#endif

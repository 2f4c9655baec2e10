/*
 * Kelpie's public interface for actor classes.
 *
 * A class is a table of callbacks. `kelpied --actors FILE` runs it in a worker process: what it does there, a crash
 * or an endless loop too, costs the turns under way in that process and nothing else. Its callbacks run one at a time, of all
 * actors in the process, and an activation lasts for one turn. `kelpied --actors-in-node FILE`, and a program that
 * embeds the library, run it on the node's loop thread, one at a time per actor, for as long as the
 * activation lives; there it must return soon: a handler that runs longer than the node's lease costs the node its
 * lease. What a callback changes in the actor's state is committed in one transaction with the
 * reply and the request id; if the callback fails, the changes are dropped.
 *
 * While a commit is in flight, further messages are handled on what the actor is about to be; no
 * reply leaves the node before all that its message has seen is committed. If a commit does not land,
 * the activation ends without `deactivate`, with all memory of the class's own (kelpie_actor_alloc
 * frees itself), and the messages that ran since are handled again by a new activation. So a callback
 * may run more than once for one message, its changes take effect once. What a callback does to the
 * world outside is not taken back.
 *
 * What memory of the class's own (kelpie_actor_set_data) may assume:
 * - It begins with `activate` and belongs to one activation. It is never shown to another one, and
 *   nothing that a commit failed to make true is in the memory of the activation that comes after.
 * - What a handler that failed (any status but 0, a domain error too) put into it stays, while its
 *   changes of the state are taken back: change memory last, or make it anew from the state.
 * - It may be ahead of what is committed, by the messages that ran since; never behind what the
 *   callback is shown. A read (KELPIE_METHOD_READ) is shown the committed state alone, so it must not
 *   answer from memory that other messages change.
 * - The activation may end between any two callbacks without `deactivate`, when a commit did not land,
 *   the lease ran out or the process died. What must outlive it is state.
 */
#ifndef KELPIE_KELPIE_H
#define KELPIE_KELPIE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "kelpie/error.h"

#ifdef __cplusplus
extern "C" {
#endif

/* Grows when this header changes incompatibly: a class of another version is refused when loaded.
 * What is added to it does not change it: structs grow at their end and say how large they are. */
#define KELPIE_ABI_VERSION 2

#define KELPIE_STATE_BYTES_MAX (256u * 1024) /* keys and values of one actor together */
#define KELPIE_STATE_VALUE_MAX (32u * 1024)
#define KELPIE_STATE_KEY_MAX 96
#define KELPIE_STATE_KEYS_MAX 512
/* Keys that one message puts or deletes, with those of activate before it: deletes of all and puts
 * of as many would pass the store's bound on a transaction. */
#define KELPIE_STATE_CHANGES_MAX 1000
#define KELPIE_BODY_MAX (1024u * 1024)
#define KELPIE_REPLY_MAX (1024u * 1024)
#define KELPIE_METHOD_MAX 64
#define KELPIE_METHODS_MAX 256    /* that one class declares */
#define KELPIE_FAIL_CODE_MAX 64   /* bytes of a domain error's code */
#define KELPIE_FAIL_TEXT_MAX 1024 /* and of its sentence; what is longer is cut */
/* Messages to other actors (kelpie_send): of one, and of one turn. */
#define KELPIE_MESSAGE_BODY_MAX (64u * 1024)
#define KELPIE_MESSAGE_NAME_MAX 96
#define KELPIE_SENDS_MAX 32      /* withdrawals counted too */
#define KELPIE_SEND_NAMES_MAX 16 /* of these, so many with a name */
#define KELPIE_SEND_BYTES_MAX (256u * 1024)
#define KELPIE_SEND_DELAY_MS_MAX (3650ull * 24 * 3600 * 1000)
#define KELPIE_SEND_PERIOD_MS_MIN 100u
#define KELPIE_ALLOC_MAX (1024u * 1024 * 1024) /* one piece of memory of kelpie_actor_alloc */

/* Calls of one turn to other actors: in all; not answered yet; bodies of those together. */
#define KELPIE_CALLS_MAX 256
#define KELPIE_CALLS_OPEN_MAX 16
#define KELPIE_CALL_BYTES_MAX (2u * 1024 * 1024)
#define KELPIE_CALL_DEPTH_MAX 8 /* actors that wait for each other, from the first one called */

struct kelpie_actor; /* one activation; valid in the callbacks it is given to */

/* Where a class's actors are placed when they are first called. */
enum kelpie_placement {
    KELPIE_PLACE_LEAST_LOADED, /* the less loaded of two active nodes chosen at random */
    KELPIE_PLACE_LOCAL,        /* on the node that was asked */
    KELPIE_PLACE_ROUND_ROBIN,  /* on the active nodes in turn */
};

/* Made by the node, valid until the callback returns. */
struct kelpie_message {
    const char *method;     /* NUL-terminated */
    const char *request_id; /* NUL-terminated, never empty; the same in every run of the request */
    const uint8_t *body;
    size_t body_len;
    uint32_t remaining_ms; /* until the caller's deadline, when the callback began */
    uint32_t flags;        /* KELPIE_METHOD_..., as the class declares the method */
    /* Of a message that an actor has sent (kelpie_send); NULL and 0 of a request. */
    const char *sender_type; /* NUL-terminated */
    const char *sender_id;
    uint64_t due_ms;  /* when it was to come, in ms of the wall clock since 1970; 0: at once */
    uint64_t missed;  /* periods that passed unseen since then: this message stands for them too */
    uint32_t attempt; /* from 1: those before it failed, or their processes died */
};

/* Flags of a method.
 * READ: it runs on the last committed state (and what `activate` or `upgrade` of this activation wrote),
 * after the commits that were in flight when it came, beside messages that take long. It writes nothing:
 * what would is refused. It is not remembered, and it is called, not sent: kelpie_send refuses it. Reading an actor that never was makes no row of it:
 * `activate`, the read and `deactivate` run on an empty state, and nothing of that is kept. */
#define KELPIE_METHOD_READ 1u
/* BLOCKS: its callbacks may wait for the world, and `activate` before them. In a worker process (`kelpied --actors`) they run in a
 * thread beside all others, so the class guards what it shares between actors; of one actor one runs at a time all
 * the same. In a node (`--actors-in-node`) there is no such thread, and the class is refused. */
#define KELPIE_METHOD_BLOCKS 2u

struct kelpie_method {
    const char *name; /* 1 to KELPIE_METHOD_MAX bytes; NULL ends the table */
    uint32_t flags;
    uint32_t reserved; /* 0 */
};

struct kelpie_class {
    uint32_t abi;  /* KELPIE_ABI_VERSION */
    uint32_t size; /* sizeof(struct kelpie_class): members may be added at its end */
    const char *type;
    enum kelpie_placement placement;
    uint32_t idle_ms; /* passivated after this long without a message; 0: the node's default */

    /* All may be NULL but receive. activate: the state is loaded; returns 0, or an error code, and
     * then the actor does not become active and the waiting calls get that error. What it writes is
     * committed with the first message that writes. */
    int (*activate)(struct kelpie_actor *actor);
    /* Returns 0, what kelpie_fail() returned, KELPIE_E_UNKNOWN_METHOD, KELPIE_E_INVALID (the body is
     * wrong; see kelpie_reply_text for a sentence), KELPIE_E_NOT_FOUND, KELPIE_E_REFUSED,
     * KELPIE_E_TOO_LARGE, KELPIE_E_STATE_FULL or KELPIE_E_HANDLER_FAILED, which is what any other
     * code becomes; or KELPIE_PENDING, when it has called others and waits for their answers (kelpie_call).
     * Unless it is 0, nothing that the message changed is kept. */
    int (*receive)(struct kelpie_actor *actor, const struct kelpie_message *message);
    /* Before the activation ends in an orderly way: passivation, hand-over, shutdown. Not called
     * when the node lost its lease or dies. State can be read, not written. */
    void (*deactivate)(struct kelpie_actor *actor);

    uint32_t version; /* of the state that it writes; stored with each commit */
    /* For how long after its first attempt a request may be repeated, in ms, at most a day; 0: a
     * minute. A repeat within it is applied once. Made longer, it holds for requests that come from
     * then on. */
    uint32_t remember_ms;
    void *arg; /* handed to callbacks by kelpie_class_arg(); NULL: none. It outlives the node. */
    /* Methods that have flags, ended by one without a name; NULL: none has. Methods that are not in it
     * have no flags. It outlives the node. */
    const struct kelpie_method *methods;
    /* The state was written by an older version of the class, `from`: turns it into this one's. Runs
     * before activate, returns as it does. What it writes is committed with the first message that
     * writes, together with the new version; so it may run often, always on the old state. NULL: the
     * versions' states are alike. State of a newer version is not given to a class: another node must
     * have it, or the call is answered class_older. */
    int (*upgrade)(struct kelpie_actor *actor, uint32_t from);
    /* An actor that nobody has used for so long, in ms, goes with its state and all; 0: never. Used: it was
     * active. It takes longer by up to a minute and what the sweep of all actors takes, and begins anew when
     * another node becomes primary, so it is for what may be lost then: sessions, caches. Of an actor it is
     * what its class said at its last commit. */
    uint64_t expire_after_ms;
    /* A callback may take so long, in ms, whatever the caller's deadline is; 0: 30 s. One that takes longer ends its
     * worker process, and is named in the log. In a node nothing ends it but the node's lease. */
    uint32_t turn_ms;
    uint32_t reserved; /* 0 */
};

/* The least size of a class that is loaded: up to `deactivate`. */
#define KELPIE_CLASS_SIZE_MIN (offsetof(struct kelpie_class, version))

#pragma GCC visibility push(default)

/* All of these are for the actor whose callback runs, and for the thread in which it runs. */

const char *kelpie_actor_type(const struct kelpie_actor *actor);
const char *kelpie_actor_id(const struct kelpie_actor *actor);
/* The class's `arg`. */
void *kelpie_class_arg(const struct kelpie_actor *actor);
/* Memory of the class's own for this activation: set in activate, freed in deactivate. It is lost,
 * without deactivate, when the lease is lost: take it from kelpie_actor_alloc. */
void kelpie_actor_set_data(struct kelpie_actor *actor, void *data);
void *kelpie_actor_data(const struct kelpie_actor *actor);
/* Memory that ends with the activation, however that ends; zeroed. Never NULL: more than
 * KELPIE_ALLOC_MAX at once, or than the machine has, ends the process. */
void *kelpie_actor_alloc(struct kelpie_actor *actor, size_t size);

/* State: a small ordered map of the actor's own. Values are borrowed until the next write of that
 * key or the end of the callback. Returns false (get, next) when there is no such key. A pointer may be
 * NULL where its length is 0. */
bool kelpie_state_get(struct kelpie_actor *actor, const void *key, size_t key_len,
                      const uint8_t **value, size_t *value_len);
/* 0, KELPIE_E_STATE_FULL (a bound above), KELPIE_E_INVALID (empty or too long key, or NULL with a
 * length), KELPIE_E_REFUSED (in deactivate, and in a read). A callback that ends with the error of the last write
 * that failed, and without a reply, answers with a sentence that names the bound. */
int kelpie_state_put(struct kelpie_actor *actor, const void *key, size_t key_len, const void *value,
                     size_t value_len);
/* 0 also when there was no such key; KELPIE_E_STATE_FULL and KELPIE_E_INVALID as above. */
int kelpie_state_delete(struct kelpie_actor *actor, const void *key, size_t key_len);
/* The first key greater than `after` (after_len 0: the first of all). */
bool kelpie_state_next(struct kelpie_actor *actor, const void *after, size_t after_len,
                       const uint8_t **key, size_t *key_len, const uint8_t **value,
                       size_t *value_len);

/*
 * Messages. What a turn sends is committed with its state and reply, or not at all; each message is then
 * applied exactly once, by a turn of its receiver, however many nodes and processes die meanwhile.
 * A message whose handler gives KELPIE_E_HANDLER_FAILED, or whose process dies, is tried again after a while,
 * 8 times in all; then, or at once when the handler gives another error, it lies with the receiver's dead
 * letters. A reply to it goes nowhere.
 *
 * Messages that are sent at once (no options) from one actor to another come in the order in which they
 * were sent: one that failed holds back those behind it. Those with a time, a period or a name come when they are
 * due, by the nodes' wall clocks, in no certain order.
 */
struct kelpie_send_options {
    uint64_t after_ms; /* not before so long from now; at most KELPIE_SEND_DELAY_MS_MAX */
    /* Then again and again, so far apart, until it is withdrawn; needs a name. With after_ms 0 the first comes
     * after one period. Periods that pass while the receiver is not to be had come once, as `missed`. */
    uint64_t every_ms;
    /* NULL: none. It takes the place of the sender's last message of that name, if that has not been
     * applied; at most KELPIE_MESSAGE_NAME_MAX bytes. */
    const char *name;
};
/* In receive only. All is copied; `options` may be NULL. The receiver need not exist, and may be the sender.
 * 0; KELPIE_E_INVALID (a name that is none, a delay or period out of its range, a period without a name, NULL with
 * a length); KELPIE_E_TOO_LARGE (a bound of messages above); KELPIE_E_REFUSED (not in receive, or a method that is
 * declared as a read, as far as this node knows; else it becomes a dead letter there); KELPIE_E_MAILBOX_FULL
 * (too many messages wait for the receiver or lie with its dead letters, about 16,384; it may be sent later). Nothing is
 * sent then, and a callback that ends with this error, and without a reply, answers with a sentence that
 * names the fault. */
int kelpie_send(struct kelpie_actor *actor, const char *type, const char *id, const char *method,
                const void *body, size_t len, const struct kelpie_send_options *options);
/* Withdraws this actor's message of that name, if it has not been applied: the same errors. */
int kelpie_unsend(struct kelpie_actor *actor, const char *name);

/* Sets the reply's body (copied). 0, KELPIE_E_TOO_LARGE, or KELPIE_E_INVALID (NULL with a length; a NULL
 * text). */
int kelpie_reply(struct kelpie_actor *actor, const void *body, size_t len);
int kelpie_reply_text(struct kelpie_actor *actor, const char *text);
/* A domain error: the request was understood, and the actor says no. Takes the place of the reply;
 * return what it returns. `code` is for programs, 1 to KELPIE_FAIL_CODE_MAX of a-z, 0-9, '_' and '-';
 * `sentence` (NULL: none) for people; both are copied. The caller gets HTTP 422 with both. Nothing that
 * the message changed is kept; the error is remembered under the request id like a reply (not in a
 * read), is committed before it leaves, and no node repeats the request. Returns KELPIE_E_DOMAIN, or
 * KELPIE_E_HANDLER_FAILED where there is no message or the code is none (a line in the log says so). */
int kelpie_fail(struct kelpie_actor *actor, const char *code, const char *sentence);
/* Erases the actor: its state is gone when the message is committed, and what waits for it in its inbox is
 * void, what it sends to itself in this turn too. From here on the message writes no state (KELPIE_E_REFUSED). When it has been
 * committed the activation ends, with `deactivate`, and the next message finds an actor as new. The request
 * ids that it remembers stay for their time: a repeat is answered as before. Nothing is erased if the
 * message fails. 0, or KELPIE_E_REFUSED (in activate, deactivate and a read). */
int kelpie_erase(struct kelpie_actor *actor);
/* Milliseconds since 1970-01-01 UTC by the node's wall clock, which may be wrong and may jump. Another
 * run of the same message gets another time. */
uint64_t kelpie_now_ms(const struct kelpie_actor *actor);
/* 64 random bits, not for secrets. Another run of the same message gets others. */
uint64_t kelpie_random(const struct kelpie_actor *actor);
/* One line in the node's log, with the actor's name. */
void kelpie_log(struct kelpie_actor *actor, const char *text);

/*
 * Calls to other actors. `receive` starts some with kelpie_call and returns KELPIE_PENDING: its turn
 * stays open, and the node goes on with other actors. Each answer comes as a callback, one at a time,
 * never within kelpie_call. In it the class may do what it may do in `receive`: read and write its
 * state, reply, call others. kelpie_finish ends the turn, as returning that code from `receive` would
 * have. A turn that waits for no call and was not finished has failed (handler_failed).
 *
 * While the turn is open no other message of the actor is handled, declared reads excepted, and what it wrote is its own: it is
 * committed with the turn's end, as a whole, or never. Calls leave when all that the turn has seen is
 * committed. The turn ends without effect, and no callback comes any more, when nobody waits for it
 * (the deadline of whoever asked passed), when the activation ends, or when it finishes with an error.
 * Calls that are not answered then are given up, as are those of a turn whose `receive` does not return
 * KELPIE_PENDING. What a call has done to another actor stays done: the two are not one transaction.
 *
 * So ask again after an error that allows it, with the same request id. The turn runs once more, and
 * whatever calls it makes once more are repeats: each call has a request id that follows from the
 * turn's request, the caller, the target, the method and the body (and how many equal calls the turn made
 * before), and is applied once. That holds if a turn that runs again makes the same calls; their order
 * is free.
 */
#define KELPIE_PENDING 1

/* An answer: 0 with the reply, or an error code with a sentence, borrowed for the callback; of
 * KELPIE_E_DOMAIN the code, NUL and the sentence. What
 * kelpie_error_applied says of it is so: after UNKNOWN the call may have been applied. */
typedef void (*kelpie_call_fn)(struct kelpie_actor *actor, void *arg, int status,
                               const uint8_t *reply, size_t reply_len);
/* Calls `method` of the actor `type`/`id`; everything is copied. `deadline_ms` (0: none of its own) ends
 * the call in any case a little before whoever asked for the turn stops waiting. Returns 0: `answered`
 * runs once, unless the turn ends first. Else nothing is called, and the turn goes on:
 * KELPIE_E_CALL_CYCLE (that actor waits for this turn, or is this actor), KELPIE_E_CALL_DEPTH, KELPIE_E_LIMIT
 * (a bound of calls above), KELPIE_E_TOO_LARGE (KELPIE_BODY_MAX), KELPIE_E_INVALID (a name; NULL), or
 * KELPIE_E_REFUSED (outside of a turn: in activate, deactivate; after kelpie_finish). A turn that ends with
 * that error, and without a reply, answers with a sentence that says why: of a cycle it names the chain. */
int kelpie_call(struct kelpie_actor *actor, const char *type, const char *id, const char *method,
                const void *body, size_t body_len, uint32_t deadline_ms, kelpie_call_fn answered,
                void *arg);
/* Ends the open turn when the callback returns: `code` as `receive` returns it (not KELPIE_PENDING), or the
 * status that a call was answered with; without a reply its sentence is passed on. 0, or
 * KELPIE_E_REFUSED outside of a kelpie_call_fn. */
int kelpie_finish(struct kelpie_actor *actor, int code);
/* The message whose turn it is, as `receive` was given it; it stays until the turn has ended. NULL outside of
 * a turn. */
const struct kelpie_message *kelpie_turn_message(const struct kelpie_actor *actor);
/* Memory that ends with the turn, however that ends; zeroed. As kelpie_actor_alloc; NULL outside of a
 * turn. */
void *kelpie_turn_alloc(struct kelpie_actor *actor, size_t size);

/*
 * A shared object for `kelpied --actors FILE` exports this one symbol: an array of classes that
 * ends with NULL. Classes stay valid while the program runs.
 */
extern const struct kelpie_class *const kelpie_classes[];

#pragma GCC visibility pop

#ifdef __cplusplus
}
#endif

#endif

/* What a node and a worker tell each other, whatever way it goes (docs/workers.md). */
#ifndef KELPIE_WORKER_WORKER_TURN_H
#define KELPIE_WORKER_WORKER_TURN_H

#include "base/bytes.h"
#include "kelpie/kelpie.h"

#define WORKER_TYPES_MAX 16
#define WORKER_READS_MAX KELPIE_METHODS_MAX
#define WORKER_TURN_MS_MAX (3600u * 1000)
#define WORKER_EXPIRE_MS_MAX KELPIE_SEND_DELAY_MS_MAX

/* ---- to a worker */

struct worker_entry {
    struct bytes key, value;
};

struct worker_turn {
    uint64_t ticket; /* names this hand-out; never used twice */
    uint64_t run;    /* the activation: memory of a worker's own belongs to one */
    const char *type, *id, *method, *request_id;
    uint32_t attempt;                    /* from 1 */
    uint32_t deadline_ms;                /* that is left */
    bool read;                           /* the method is declared as a read: it changes nothing */
    const char *sender_type, *sender_id; /* of a message; NULL of a request */
    uint64_t due_ms, missed;             /* likewise */
    struct bytes chain; /* the actors that wait for it (actor/chain.h); empty: a client asks */
    struct bytes body;
    uint64_t now_ms; /* the node's wall clock */
    uint64_t random; /* below 2^53 */
    const struct worker_entry *state;
    size_t state_count;
};

struct worker_answer {
    int status; /* 0 with the reply, or an error with a sentence (struct kelpie_call_fn) */
    struct bytes reply;
};

/* ---- from a worker */

struct worker_send {
    const char *type, *id, *method;
    const char *name; /* NULL: none */
    struct bytes body;
    uint64_t after_ms, every_ms;
};

struct worker_call {
    const char *type, *id, *method;
    struct bytes body;
    uint32_t deadline_ms; /* 0: none of its own */
};

/* What the turn has come to. With calls it stays open, and goes on when all of them have been answered. */
struct worker_result {
    uint64_t ticket;
    int status; /* 0, KELPIE_E_DOMAIN with code and sentence, or another error with a sentence */
    const char *code, *sentence; /* sentence may be NULL */
    bool has_reply, erase;
    bool last; /* no other turn is wanted */
    struct bytes reply;
    struct worker_entry puts[KELPIE_STATE_CHANGES_MAX];
    struct bytes deletes[KELPIE_STATE_CHANGES_MAX];
    struct worker_send sends[KELPIE_SENDS_MAX];
    const char *unsends[KELPIE_SENDS_MAX];
    struct worker_call calls[KELPIE_CALLS_OPEN_MAX];
    size_t put_count, delete_count, send_count, unsend_count, call_count;
    void *root; /* what all of it is borrowed from */
    uint8_t *decoded;
    size_t decoded_len;
};

struct worker_type {
    const char *type;
    uint32_t version, idle_ms, remember_ms;
    enum kelpie_placement placement;
    uint64_t expire_after_ms;
    uint32_t turn_ms; /* that a turn of it may take; 0: HUB_TURN_MS_DEFAULT */
    const char
        *reads[WORKER_READS_MAX + 1]; /* methods that are declared as reads; ends with NULL */
    size_t read_count;
};

/* The first that a worker says: what it is. */
struct worker_hello {
    struct worker_type types[WORKER_TYPES_MAX];
    size_t type_count;
    void *root;
};

#endif

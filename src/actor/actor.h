/*
 * The actor floor: activations with their mailboxes and state, and calls to actors from this node,
 * wherever they run.
 */
#ifndef KELPIE_ACTOR_ACTOR_H
#define KELPIE_ACTOR_ACTOR_H

#include "cluster/cluster.h"
#include "env/cap.h"
#include "kelpie/kelpie.h"
#include "rpc/rpc.h"

#define ACTIVATIONS_MAX_DEFAULT 100000
#define MAILBOX_MAX 512 /* two batches: what comes while one commits, and while its actor begins */
#define BATCH_TURNS_MAX                                                                            \
    256                 /* of one actor, that have run and are not on their way to the store yet */
#define CALLS_MAX 65536 /* calls under way that started on this node */
#define DIRECTORY_MAX 65536 /* cached placements */
#define CALL_DEADLINE_MS_DEFAULT 5000
#define CALL_DEADLINE_MS_MAX 600000
#define IDLE_MS_DEFAULT 300000
#define TYPES_LINGER_MS 5000               /* a type that nobody wants any more stays for so long */
#define REMEMBER_MS_MAX (24 * 3600 * 1000) /* of a class */
#define REQUEST_AGE_MS_MAX (24 * 3600 * 1000) /* that a client may say */

struct actors;

struct actors_config {
    const struct kelpie_class *const *classes; /* ends with NULL */
    uint32_t activations_max;
    uint32_t mailbox_max;    /* messages that wait for one actor; 0: MAILBOX_MAX */
    uint32_t remembered_max; /* young requests of one actor; 0: REMEMBERED_IDS_MAX */
    uint32_t waiting_max;    /* messages that wait for one actor; 0: MESSAGES_WAITING_MAX */
    uint32_t idle_ms;
    uint32_t types_linger_ms; /* 0: TYPES_LINGER_MS */
};

struct actors *actors_new(const struct env *env, struct rpc *rpc, struct cluster *cluster,
                          const struct actors_config *config);
/* All completions must have run: actors_idle. */
void actors_free(struct actors *a);
/* Ends every call, with UNAVAILABLE or UNKNOWN_RESULT, and stops taking new ones. */
void actors_close(struct actors *a);
bool actors_idle(const struct actors *a);

/* From the cluster's events. */
void actors_suspend(struct actors *a); /* drop every activation now, tell the store nothing */
void actors_resume(struct actors *a);
/* Nothing has run for a while: whoever's request has just come is told to come again, since it may have
 * waited in its socket for as long. */
void actors_stood_still(struct actors *a);
void actors_view_changed(struct actors *a, const struct view *view, const struct member *gone,
                         size_t gone_count);
void actors_primary_changed(struct actors *a, uint64_t term);
/* Hands every activation over to other active nodes (or, when there is none, releases it), and
 * releases placements of this incarnation that have no activation; then calls cluster_drained(). */
void actors_drain(struct actors *a);

/*
 * Types that come and go while the node runs, beside those of the config.
 *
 * actors_host: from the commit that follows, within a heartbeat or soon after the node is Active, actors of the
 * class's type are placed here. `class` is borrowed until `gone` has run, which it does from the loop, once: when nothing of the
 * type is left on the node after actors_unhost(). A type that lingers or is being handed over comes back with the class object with
 * which it was hosted (asserted), and `gone` does not run for that time. Not run when the node closes.
 *
 * Returns 0 (also when it is hosted already), or with a sentence in `why`: KELPIE_E_INVALID (the type is empty, too long,
 * not UTF-8 or has a NUL; no `receive`; remember_ms too long), KELPIE_E_REFUSED (the type is one of the config, or is hosted
 * by a class of another version), KELPIE_E_LIMIT (CLASS_COUNT_MAX), KELPIE_E_UNAVAILABLE (for now: a class of another
 * version is on its way out, which this hastens, and ends with its `gone`; or the node is closing).
 *
 * actors_unhost: nobody answers for the type any more. For types_linger_ms it stays, and calls still reach the class; then a commit takes it
 * from the node's row, and its actors are handed over, or released when no other node has the type. Calls that
 * wait travel on. Harmless for a type that was not hosted, or is on its way out.
 */
typedef void actors_gone_fn(void *arg, const char *type);
int actors_host(struct actors *a, const struct kelpie_class *class, actors_gone_fn *gone, void *arg,
                char *why, size_t why_size) MUST_USE;
void actors_unhost(struct actors *a, const char *type);

enum type_hosting {
    TYPE_UNKNOWN,
    TYPE_COMES,   /* not committed yet */
    TYPE_HOSTED,  /* so are those of the config, always */
    TYPE_LINGERS, /* as hosted, after actors_unhost() */
    TYPE_GOES,    /* no actor of it is placed here any more, from the commit on that follows */
};
const char *type_hosting_name(enum type_hosting h);
/* `version` may be NULL. */
enum type_hosting actors_type(const struct actors *a, const char *type, uint32_t *version);
/* All of them, in no order. */
void actors_types_each(const struct actors *a,
                       void (*fn)(void *arg, const char *type, uint32_t version,
                                  enum type_hosting hosting),
                       void *arg);

struct actor_call;
/* status: 0 with the reply, or an error code with a sentence as reply (may be empty). What
 * kelpie_error_applied() says of it holds for all that was done for this call, and for nothing that
 * another call with the same request id did. */
typedef void actor_call_fn(void *arg, int status, struct bytes reply);

/* Calls an actor from this node: finds or places it, sends the message there, tries again with the
 * same request id while the deadline lasts. Everything is copied. `done` runs exactly once, from
 * the loop, never inside this call. An error of the arguments is a status too. `request_id` empty:
 * one is made. `age_ms`: since the first attempt under this id, at most (REQUEST_AGE_MS_MAX), or
 * REQUEST_AGE_UNKNOWN: it counts as one window of the class old. An id that is made here is new. */
#define REQUEST_AGE_UNKNOWN UINT64_MAX
void actors_call(struct actors *a, const char *type, const char *id, const char *method,
                 const char *request_id, uint64_t age_ms, struct bytes body, uint32_t deadline_ms,
                 actor_call_fn *done, void *arg);

/* As actors_call, but the actor sends the message to itself, due after `after_ms` (at most
 * KELPIE_SEND_DELAY_MS_MAX): status 0, with an empty reply, once that is committed. */
void actors_send(struct actors *a, const char *type, const char *id, const char *method,
                 const char *request_id, uint64_t age_ms, struct bytes body, uint64_t after_ms,
                 uint32_t deadline_ms, actor_call_fn *done, void *arg);

/* Where an actor is placed, as the store says now. */
typedef void actor_locate_fn(void *arg, int status, const struct placement_record *placement);
void actors_locate(struct actors *a, const char *type, const char *id, actor_locate_fn *done,
                   void *arg);

/* Bounds that were reached. */
enum actors_cap {
    ACTORS_CAP_CALLS,
    ACTORS_CAP_MAILBOX,
    ACTORS_CAP_ACTIVATIONS,
    ACTORS_CAP_REMEMBERED, /* an actor remembers as many requests as it may */
    ACTORS_CAP_MESSAGES,   /* that wait for one receiver */
    ACTORS_CAP_REPEATS,    /* that wait for one first */
    ACTORS_CAP_COUNT
};

struct actors_stats {
    uint64_t activations, /* now */
        activated, deactivated, suspended, calls_local, calls_forwarded, calls_received, replays,
        commits, commit_conflicts, fenced, placements, migrations, retries, swept, turns, too_late,
        messages_sent, messages_done, dead_letters, erased,
        poisoned,        /* turns and activations refused because they end processes */
        poison_held;     /* as primary: of how many that is so now, as it last saw */
    size_t memory_bytes; /* of activations, roughly */
};
const struct actors_stats *actors_stats(const struct actors *a);
/* ACTORS_CAP_COUNT of them. */
const struct cap *actors_caps(const struct actors *a);

/* One running activation, for checkers and listings: calls fn for each in order of (type, id).
 * `running`: a handler may act for it (its lease permitting). */
void actors_each(const struct actors *a,
                 void (*fn)(void *arg, const char *type, const char *id, uint64_t generation),
                 void *arg);

/* The built-in classes: counter and echo. */
extern const struct kelpie_class kelpie_class_counter;
extern const struct kelpie_class kelpie_class_echo;

#endif

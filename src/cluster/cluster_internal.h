/* The cluster object and how its parts call each other; for src/cluster only. */
#ifndef KELPIE_CLUSTER_CLUSTER_INTERNAL_H
#define KELPIE_CLUSTER_CLUSTER_INTERNAL_H

#include "cluster/cluster.h"
#include "cluster/detector.h"
#include "cluster/rules.h"
#include "cluster/views.h"

#define PINGS_JOINING_MAX 8    /* active nodes that a joining node asks */
#define PEEK_READS_MAX 48      /* heartbeats read in one go after their watches fired */
#define PEEK_DELAY_MS 4        /* watches that fire close together are read together */
#define ELECT_RANK_DELAY_MS 20 /* a candidate waits for those before it in the view */
#define ELECT_ANSWERS_MS 10    /* and for the answers of those who may not live */
#define SEEN_ALIVE_MOVES 2     /* a heartbeat that moved so often is no late landing */
#define TRIM_INTERVAL_BEATS 64
#define SUSPECTS_MAX 4 /* whom the primary has everybody ping at a time */
#define LEAVE_TRIES_MAX 10
#define CORRUPT_TOLD_MAX 8
#define CORRUPT_TELL_MS 60000 /* until the same is said again */
#define REASON_SIZE 256

/* A node as the last scan saw it. */
struct known_node {
    struct life life;
    enum node_state state;
    bool flagged;
    uint64_t gone_view;
    uint32_t lease_ms;
    char addr[NET_ADDR_SIZE];
};

/* A record that was reported as corrupt. */
struct corrupt_told {
    uint64_t hash; /* of what was said */
    uint64_t at_ns;
};

/* What this node knows of one peer by pings. */
struct peer {
    struct map_node node;
    struct life life;
    uint64_t answered_ns; /* when the ping was sent whose answer is the last; 0: never */
    uint64_t counter;
    uint64_t failed_since_ns; /* primary: first read as Failed in this term; 0: not */
    uint64_t left_since_ns;   /* primary: first read as Left; 0: not */
    bool pinging;
    uint64_t pinged_ns; /* when the last ping was sent */
    unsigned missed;    /* pings in a row without any answer */
    uint64_t missed_since_ns;
    uint64_t beat_counter;     /* primary: of its heartbeat, as last looked at */
    uint64_t beat_looked_ns;   /* primary: when that was; 0: not in this term */
    uint64_t beat_moved_ns;    /* primary: when it was seen to move; 0: not in this term */
    size_t accusers;           /* primary: nodes that say they cannot reach it */
    uint64_t accused_since_ns; /* primary: most say so, while it heartbeats; 0: not */
    struct rpc_call call;
    struct cluster *cluster;
};

/* A watch on the heartbeat of a node (the primary watches all, the others the primary's). */
struct heart_watch {
    struct map_node node;
    char node_id[NODE_ID_MAX + 1];
    struct key key;
    struct store_watch watch;
    bool fired;
    bool wanted;
    struct cluster *cluster;
};

/* A failure that this node may have declared. */
struct untold {
    struct life who;
    const char *why;
};
#define UNTOLD_MAX 8

struct force_forget {
    bool active;
    char target[NODE_ID_MAX + 1];
    uint64_t since_ns;
    uint64_t tried_version; /* of the scan that the last attempt stood on */
    struct silence
        primary_then; /* the heartbeat of the primary that was in its way first; no id: of none */
    cluster_op_fn *done;
    void *arg;
};

struct cluster {
    const struct env *env;
    struct rpc *rpc;
    struct cluster_config config;
    struct node_record self; /* addresses, classes, boot: what a join writes */
    struct cluster_events events;
    void *arg;
    struct cluster_stats stats;

    /* The spec's local variables of this node. */
    enum node_state state;
    uint64_t incarnation;
    struct view view; /* lview */
    uint64_t claim;
    uint64_t lease_until_ns; /* lease: now < lease_until_ns; 0: not running */
    bool acting;             /* hosting state, lease not lapsed since it last read the view */

    struct uuid cluster_id;
    uint32_t shards;
    struct uuid home;        /* the cluster that this node is of, by its founding id; zero: any */
    uint64_t sequence;       /* of the last heartbeat that was committed */
    uint64_t sequence_tried; /* of the last that was sent: never sent anew by another operation */
    uint64_t probe_sequence;
    char reason[REASON_SIZE];
    bool started, closing, scanned, drained, leave_wanted, leave_even_last, left_told, twin_told;
    bool epoch_told;
    struct corrupt_told corrupt_told[CORRUPT_TOLD_MAX];
    unsigned leave_tries; /* of clearing this life away before telling that it has left */

    /* What the store said last. */
    struct known_node *nodes;
    size_t node_count;
    size_t
        nodes_unread; /* rows of nodes that could not be read, nor before: voters for all this one knows */
    uint64_t scan_version, primary_version; /* read versions of nodes and of primary */
    bool primary_known;
    struct primary_record primary;
    uint64_t highest_term;

    struct detector detector;
    struct map peers;
    struct map heart_watches;
    struct key view_key, primary_key;
    struct store_watch view_watch, primary_watch;

    struct timer beat_timer, lease_timer, step_timer, poll_timer, peek_timer, elect_timer,
        force_timer, wait_timer;
    uint64_t wait_since_ns, wait_told_ns; /* not Active since; when it last said why */
    uint64_t beat_started_ns;
    uint64_t beats, trimmed_at_beat;
    enum {
        ELECT_IDLE,
        ELECT_RANKED, /* waits for its turn */
        ELECT_DUE,
        ELECT_ASKING, /* the others, until all have answered */
        ELECT_ASKED,  /* or long enough: a majority does */
        ELECT_BACKOFF
    } elect_phase;
    uint64_t majority_seen_ns;
    bool poll_again, scan_wanted;
    struct untold untold[UNTOLD_MAX];
    size_t untold_count;
    uint64_t scanned_ns; /* when the last scan's rows came; 0: never */

    /* What may be missing (missing.c). */
    struct presence_track no_primary, no_majority, no_store, no_room;
    struct silence primary_then; /* while one is missing: who is named, as first seen; or no id */
    bool stepped_down;           /* and nobody was elected since */
    uint64_t found_term;         /* of the last primary that was told */
    uint64_t full_count_told;    /* commits refused for want of room when that was told */
    size_t pings_outstanding;

    /* Grey failures (grey.c). */
    size_t missing; /* peers that missed a ping */
    size_t ping_turn;
    struct unreachable_peer unreachable[UNREACHABLE_MAX]; /* what the heartbeat under way says */
    struct unreachable_peer suspects[SUSPECTS_MAX];       /* to be pinged, as the primary says */
    size_t suspect_count;
    uint64_t suspects_until_ns;
    uint64_t flag_pause_until_ns; /* primary: a flag was refused, or its outcome is not known */
    unsigned flags_in_a_row;      /* of lives of this process */
    uint64_t active_since_ns;     /* of the last life that was; 0: the wait was for that one */
    uint64_t rejoin_from_ns;      /* after a flag: not Active before */
    uint64_t reached_ns;          /* when the last ping of the primary came; 0: never */

    struct heartbeat_op heartbeat;
    struct probe_op probe;
    struct join_op join;
    struct join_complete_op complete;
    struct leave_op leave;
    struct leave_complete_op leave_complete;
    struct recover_op recover;
    struct mark_dead_all_op dead_all;
    struct mark_failed_op mark_failed;
    struct flag_op flag;
    struct elect_op elect;
    struct step_down_op step_down;
    struct forget_op forget;
    struct force_forget_op force_op;
    struct trim_op trim;
    struct sweep_node_op sweep_node;
    uint64_t swept_version; /* of the scan that the last SweepNode stood on */
    struct txn poll, scan, peek;
    struct silence *silences; /* of the membership operation under way */
    struct silence *answers;  /* of NodeJoinComplete */
    struct silence *elect_silences, *elect_reached;
    struct silence *forget_silences, *force_silences;
    cluster_op_fn *forget_done;
    void *forget_arg;
    struct force_forget force;
};

/* A value from outside, as a field of an event. */
#define ID_QUOTED_SIZE (4 * NODE_ID_MAX + 3)
#define WHY_QUOTED_SIZE (2 * REASON_SIZE)

static inline const char *quote_id(const char *node_id, char out[ID_QUOTED_SIZE])
{
    return log_quote(node_id, out, ID_QUOTED_SIZE);
}

static inline const char *quote_why(const char *why, char out[WHY_QUOTED_SIZE])
{
    return log_quote(why, out, WHY_QUOTED_SIZE);
}

/* cluster.c */
void step_soon(struct cluster *c);
void set_reason(struct cluster *c, const char *fmt, ...) PRINTF_LIKE(2, 3);
void tell_forgotten(struct cluster *c, const char *node_id, const char *why);
/* Why a transaction did not succeed: its own reason, else the sentence of its status. */
const char *txn_why(const struct txn *t, int status);
struct life self_life(const struct cluster *c);
/* A membership operation (join, complete, leave, recover, …) is under way. */
bool membership_busy(const struct cluster *c);
/* Every node of those states that is silent for the window; freed by the caller. */
struct silence *collect_silent(struct cluster *c, bool active_only, size_t *count);

/* failures.c */
/* The one event for every failure of a node: whose life, by this node, and why. */
void emit_failed(struct cluster *c, const struct life *who, const char *why);
/* A transaction that was to fail that life (no id: it did not come to that) has ended: it is told now, or when
 * the rows say so. `why` is static. */
void failure_settled(struct cluster *c, const struct txn *t, int status, const struct life *who,
                     const char *why);
/* After each scan. */
void failures_look(struct cluster *c);

/* lease.c */
void beat_now(struct cluster *c);
void beat_schedule(struct cluster *c);
void lease_begin(struct cluster *c, uint64_t from_ns);
bool lease_running(const struct cluster *c);
void suspend(struct cluster *c, const char *why);
void resume_if_able(struct cluster *c);
void forget_self(struct cluster *c, const char *why);
void clear_claim(struct cluster *c);
void tell_other_epoch(struct cluster *c);
/* The transaction has found a record that fails its checksum, if that is the error; its reason says
 * which. */
void report_corrupt(struct cluster *c, const struct txn *txn, int error);

/* joining.c */
void step_left(struct cluster *c);
void step_joining(struct cluster *c);
/* leaving.c */
void step_leaving(struct cluster *c);
void leave_start(struct cluster *c);

/* observe.c */
void observe_init(struct cluster *c);
void observe_close(struct cluster *c);
void poll_now(struct cluster *c);
void scan_now(struct cluster *c);
bool observe_idle(const struct cluster *c);
const struct known_node *known_find(const struct cluster *c, const char *node_id);
/* Builds a view from the node rows of range read `i` of `t`, and takes it. `self_active`: this node
 * is a member though its row was read before. Returns 0 or an error. */
int view_from_rows(struct cluster *c, struct txn *t, size_t i, uint64_t number, bool self_active);
void view_adopt(struct cluster *c, struct view *next);

/* peers.c */
void peers_init(struct cluster *c);
void peers_free(struct cluster *c);
void peer_ping(struct cluster *c, const struct life *life, const char *addr);
/* The peer's life answered a ping that was sent at most `age_ns` ago. */
bool peer_fresh(const struct cluster *c, const struct life *life, uint64_t age_ns);
/* Found, or made. */
struct peer *peer_get(struct cluster *c, const struct life *life);
struct peer *peer_find(const struct cluster *c, const char *node_id);

/* grey.c */
/* Once a heartbeat of an Active node: pings the next peer, those that missed one, and suspects. */
void grey_ping(struct cluster *c);
/* Fills in what the next heartbeat says of peers that cannot be reached; returns how many. */
uint32_t grey_unreachable(struct cluster *c);
/* A ping ended: any answer of that life counts, also that it may not act. */
void grey_answered(struct peer *p);
void grey_missed(struct peer *p, uint64_t sent_ns);
/* What the primary noted of that peer is of an earlier term, or of another life. */
void grey_begin_term(struct peer *p);
/* Nothing that was noted counts any more: this node did not ping for a while. */
void grey_clear(struct cluster *c);
/* The payload of a ping: the primary's suspects. */
void grey_put_suspects(const struct cluster *c, struct buf *out);
void grey_take_suspects(struct cluster *c, struct bytes payload);
/* Primary, after each scan: weighs what the heartbeats say, and flags one node at a time. */
void grey_judge(struct cluster *c);
/* This process joins after a flag: not Active again before a while. */
void grey_back_off(struct cluster *c);

/* primary.c */
bool majority_reached(const struct cluster *c);
void step_active(struct cluster *c);
void primary_beat(struct cluster *c); /* once a heartbeat: pings, majority */
bool primary_held_by_other(const struct cluster *c);
/* This node, or another one whose heartbeat was not silent for a window. */
bool primary_lives(const struct cluster *c);

/* missing.c */
/* Without a living primary nobody watches the others for this node: it looks itself, now and then. */
bool missing_wants_scan(const struct cluster *c);

/* sweep_nodes.c */
/* Primary, once a scan: strikes the row of one that left long ago, or of one of too many. */
void sweep_left(struct cluster *c);
/* After a scan: what is kept of nodes whose rows are gone. */
void forget_unknown(struct cluster *c);

/* waiting.c */
void waiting_init(struct cluster *c);
/* Not Active from now on: the log says why now and then. */
void waiting_begin(struct cluster *c);

/* admin.c */
void step_force_forget(struct cluster *c);
void force_forget_begin(struct cluster *c, const char *node_id, cluster_op_fn *done, void *arg);
void admin_init(struct cluster *c);
void admin_close(struct cluster *c);

#endif

/*
 * The store's rows as the checkers know them: decoded anew at each commit from what was written,
 * apart from any code of the nodes.
 */
#ifndef KELPIE_SIM_SHADOW_H
#define KELPIE_SIM_SHADOW_H

#include "base/map.h"
#include "record/keys.h"
#include "record/records.h"
#include "sim/world/sim_process.h"

#define HOLDERS_MAX (SIM_NODES_MAX * 2)

#define LIFE_GAPS_MAX 32
#define TYPES_KEPT 3

/* Incarnations from `from` on are `skipped` beyond what a count of the node's lives would give: its row
 * was swept, and it went on from the floor. */
struct life_gap {
    uint64_t from, skipped;
};

struct shadow_node {
    bool there;
    bool swept;               /* its row was, once */
    uint64_t row_incarnation; /* what stands in the row */
    struct node_record rec;   /* the last; of a swept one, what it was, and its incarnation stays */
    struct life_gap gaps[LIFE_GAPS_MAX];
    unsigned gap_count;
    struct heartbeat_record heartbeat;
    uint64_t heartbeat_ns; /* when it landed last */
    uint64_t view_then;    /* the stored view's number when it did */
    struct types_record types;
    uint64_t types_ns[TYPES_KEPT]; /* when they were changed last, the latest first */
    uint64_t times_left;           /* how often it became Left */
    uint64_t times_failed;         /* and Failed */

    /* Commits of heartbeats and probes by one life, without another's in between. */
    struct uuid beat_boot;
    uint64_t beat_ns, gap_end_ns; /* the last one; the first after a long gap, or 0 */
};

/* A process that runs an activation of the actor. */
struct holder {
    const struct process *p;
    uint64_t generation;
};

struct shadow_actor {
    struct map_node node;  /* by type NUL id */
    struct map_node state; /* by the first key of its state */
    char name[ACTOR_TYPE_MAX + ACTOR_ID_MAX + 2];
    size_t name_len;
    const char *type, *id; /* within name */
    struct key state_begin;
    struct placement_record place;
    struct head_record head;             /* its row; zero: none */
    uint64_t head_ns;                    /* when an activation wrote it last */
    struct life_gap gaps[LIFE_GAPS_MAX]; /* of its generations: rows that were swept */
    unsigned gap_count;
    bool struck;         /* its placement's row is gone; `place` is what it was */
    uint64_t loaded;     /* highest generation that has read its state (spec: loaded) */
    struct list by_node; /* struct shadow_by_node */
    struct list dirty;
    struct holder holders[HOLDERS_MAX];
    unsigned holder_count;
};

struct shadow_by_node {
    struct map_node node; /* by key */
    struct list link;
    struct shadow_actor *actor;
    char node_id[NODE_ID_MAX + 1];
    uint64_t incarnation;
    uint64_t generation;
    struct key key;
};

/* What one commit changed. */
struct shadow_change {
    const struct commit_seen *seen;
    enum node_state before[SIM_NODES_MAX];
    uint32_t flagged_before; /* 1 << node */
    uint32_t nodes;          /* 1 << node whose row was written */
    bool view, primary, term;
    bool member_before; /* some node was no Left one */
    struct view_record old_view;
    struct primary_record old_primary;
    uint64_t old_term;
    uint64_t struck;    /* the greatest generation of the placements whose rows went */
    struct list actors; /* dirty ones */
};

struct shadow {
    struct world *w;
    struct keyspace ks;
    struct shadow_node nodes[SIM_NODES_MAX];
    struct view_record view;
    struct primary_record primary;
    bool primary_there;
    uint64_t term, floor, generations; /* floors of incarnations, of generations */
    struct map actors;
    struct map states;
    struct map by_node;
    struct map requests; /* struct shadow_request: those that were applied */
    struct buf scratch;
    /* Requests that this commit applies, of how many, and which attempt of one it says it was. */
    struct list applied;
    unsigned applied_count, applied_by;
    struct sim_mem mem;

    /* Of each view number: a hash of its members, from the node rows at its commit. */
    struct view_record *views;
    uint64_t view_base; /* the number of the first of them */
    size_t view_count, view_cap;

    uint64_t terms, elections, failures, placements; /* elections: terms that no founder began */
    uint64_t left; /* nodes that became Left while others were Active and beat */
};

struct shadow *shadow_new(struct world *w);
void shadow_free(struct shadow *s);
/* As before the first commit, but for what runs where. */
void shadow_reset(struct shadow *s);

/* "n4" -> 3; -1 when it is no node of this world. */
int shadow_node_number(const char *node_id);
struct shadow_actor *shadow_actor(struct shadow *s, const char *type, const char *id);
struct shadow_actor *shadow_actor_of_state(struct shadow *s, struct bytes begin);

/* The incarnation as the specification counts it, which sweeps no rows: one more with each join. */
uint32_t shadow_life(const struct shadow *s, int n, uint64_t incarnation);

/* The version of the class that wrote the actor's state last. */
uint32_t shadow_class_version(struct shadow *s, const char *type, const char *id);

/* The generation as the specification counts it, which sweeps no rows: one more with each placement. */
uint32_t shadow_generation(const struct shadow_actor *a, uint64_t generation);

/* Takes the writes in, and tells checks_rows.c of each row's old and new value. */
void shadow_apply(struct shadow *s, struct shadow_change *change);

/* The share of a member in a view's hash; the sum over all is the view's. */
void shadow_member_hash(const char *node_id, uint64_t incarnation, uint64_t *hi, uint64_t *lo);
/* The view that the node rows make: the Active ones. */
struct view_record shadow_active(const struct shadow *s);

#endif

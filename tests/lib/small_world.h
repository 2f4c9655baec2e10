/*
 * A small world for tests of whole nodes and of single transactions: one clock, its timers, a
 * memory store, a network that delivers in order and loses nothing unless told. Time moves only
 * when nothing is left to do. The simulator (src/sim) is the place for faults; this one is for
 * tests that read like a list of steps.
 */
#ifndef KELPIE_TESTS_SMALL_WORLD_H
#define KELPIE_TESTS_SMALL_WORLD_H

#include "node/node.h"

#define SMALL_NODES_MAX 4
#define SMALL_TIMERS_MAX 16384
#define SMALL_FRAMES_MAX 4096
#define SMALL_SWALLOWED_MAX 256

struct small_world;

/* What a commit that passes through does: tests plant results that nobody can order from a store. */
enum small_commit {
    SMALL_COMMIT_PLAIN,
    SMALL_COMMIT_UNKNOWN_DONE, /* it happens, and is answered with UNKNOWN_RESULT */
    SMALL_COMMIT_UNKNOWN_NOT,  /* it does not happen, and is answered with UNKNOWN_RESULT */
    SMALL_COMMIT_FULL,         /* it is answered with STORE_FULL */
    SMALL_COMMIT_LIMIT,        /* it is answered with LIMIT: the store takes no such transaction */
    SMALL_COMMIT_LATE,         /* it is not answered, and reaches the store at small_land() */
};

struct small_node {
    struct small_world *world;
    struct env env;
    struct node *node;
    char addr[NET_ADDR_SIZE];
    const struct net_events *events;
    void *events_arg;
    bool left;
    bool closed;
    bool mute; /* what it sends is lost */
};

struct small_frame {
    struct small_node *from;
    bool is_answer;
    char addr[NET_ADDR_SIZE];
    uint8_t *data;
    size_t len;
};

struct small_world {
    uint64_t now_ns;
    uint64_t random;
    uint64_t next_seq;
    struct timer *timers[SMALL_TIMERS_MAX];
    size_t timer_count;
    struct small_frame frames[SMALL_FRAMES_MAX];
    size_t frame_first, frame_count;
    void *memory; /* the memory store */
    struct store store;
    /* For the next commit; `commit_skip` commits pass before. */
    enum small_commit commit_plan;
    unsigned commit_skip;
    /* Runs before each commit reaches the store. */
    void (*before_commit)(struct small_world *w, const struct store_req *req);
    size_t commits;
    /* The store answers nobody; its disk is full for everybody, and reads work. */
    bool store_cut, store_full;
    size_t requests; /* reads and commits that were sent */
    /* One read, after `read_skip` others, is answered with what is there now, and the answer is under way
     * until small_read_arrives(). */
    bool read_held;
    unsigned read_skip;
    struct store_req *held;
    store_req_fn *held_fn;
    void *held_arg;
    bool held_answered;
    int held_status;
    struct store_req *swallowed[SMALL_SWALLOWED_MAX];
    size_t swallowed_count;
    struct small_late *late;
    struct env env; /* of nobody: for single transactions */
    struct keyspace ks;
    size_t memory_held;
    struct small_node nodes[SMALL_NODES_MAX];
};

struct small_world *small_world_new(void);
/* One with so many nodes, each of them in everybody's view. */
struct small_world *small_world_of(size_t nodes, const struct kelpie_class *const *classes);
/* Closes every node that is there, frees all, and checks that no memory is left. */
void small_world_free(struct small_world *w);
/* One thing happens: a frame arrives or the next timer runs. False when there is nothing. */
bool small_step(struct small_world *w);
/* Runs what is due until `ms` have passed. */
void small_run_ms(struct small_world *w, uint64_t ms);
/* Runs until *flag, at most `ms`; false when it did not come true. */
bool small_run_until(struct small_world *w, const bool *flag, uint64_t ms);

/* Starts node `index` (id "n1" for 0, …) with classes that end with NULL. */
struct small_node *small_node_start(struct small_world *w, size_t index,
                                    const struct kelpie_class *const *classes,
                                    uint32_t activations_max, uint32_t idle_ms);
void small_node_close(struct small_node *n);
/* Runs until that many nodes are in the first node's view, at most 20 s. */
bool small_wait_view(struct small_world *w, size_t index, size_t count);

/* What a call was answered, once; small_on_answer() takes it as its argument. What is too long is cut. */
struct small_answer {
    bool done;
    int status;
    char text[1024];
};
actor_call_fn small_on_answer;

/* The late commit reaches the store: its status there (0, CONFLICT). */
int small_land(struct small_world *w);

/* What the held read was answered with arrives. */
void small_read_arrives(struct small_world *w);

/* Writes and reads rows directly, past all rules. */
void small_put(struct small_world *w, struct key key, struct buf *value);
bool small_get(struct small_world *w, struct key key, struct buf *out);

#endif

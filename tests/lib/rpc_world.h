/* Two nodes' rpc on a fake network, clock and timers, for the tests of src/rpc. */
#ifndef KELPIE_TESTS_RPC_WORLD_H
#define KELPIE_TESTS_RPC_WORLD_H

#include "rpc/rpc.h"

#define FRAMES_MAX 64
#define TIMERS_MAX 64
#define NODES 2

/* One world per test: a clock, its timers, frames under way, two nodes. */
struct frame {
    struct node *from;
    struct net_conn conn; /* an answer's; 0: dialled */
    char addr[NET_ADDR_SIZE];
    uint8_t *data;
    size_t len;
};

struct node {
    struct env env;
    struct rpc rpc;
    struct world *world;
    const struct net_events *events;
    void *events_arg;
    size_t bad_count;
    int bad_error;
    char bad_why[512];
    size_t handled;
    struct rpc_request last_request;
    char last_payload[64];
    bool answer_later;
    size_t answer_len;
    const char *identity;       /* what whoever speaks to it has proven */
    enum net_standing standing; /* of the last frame */
};

struct world {
    uint64_t now_ns;
    uint64_t seq;
    uint64_t random;
    struct timer *timers[TIMERS_MAX];
    size_t timer_count;
    struct frame frames[FRAMES_MAX];
    size_t frame_count;
    bool duplicate;
    bool gone; /* the connections that were there */
    int send_error;
    struct node nodes[NODES];
};

extern const char *const addrs[NODES];

int rpc_world_setup(void **state);
int rpc_world_teardown(void **state);
struct uuid uuid_filled(uint8_t v);
void set_cluster(struct node *n, struct uuid id);
/* A frame comes to `n` on that connection, or on one that it dialled. */
enum net_standing arrive(struct node *n, struct net_conn conn, const char *dialled,
                         struct bytes payload);
/* Delivers what is under way, and what follows from it. */
void deliver(struct world *w);
void lose_frames(struct world *w);
/* Time passes; timers run in order. */
void pass(struct world *w, uint64_t ns);

struct outcome {
    struct rpc_call call;
    size_t count;
    int status;
    char payload[64];
    size_t payload_len;
};

/* For rpc_start: notes it in the outcome that is the call's `arg`. */
void on_done(struct rpc_call *call, int status, struct bytes payload);
/* The first node asks the second one: the life of that boot id, or the one that is there. */
void call_boot(struct world *w, struct outcome *o, struct uuid boot, const char *text);
void call_text(struct world *w, struct outcome *o, const char *text);

#define ASSERT_DONE(o, code)                                                                       \
    do {                                                                                           \
        assert_int_equal((o)->count, 1);                                                           \
        assert_int_equal((o)->status, (code));                                                     \
    } while (0)

#endif

/* Shared by sim_posts.c (clients), sim_post.c (the class) and check_messages.c. */
#ifndef KELPIE_SIM_POSTS_LINK_H
#define KELPIE_SIM_POSTS_LINK_H

#include "sim/checkers/checks.h"
#include "sim/workload/sim_posts.h"

#define POST_REQUESTS_MAX 400 /* of one run */
#define POST_LATE_MS 15000    /* by which clocks may differ, and what it takes */
#define POST_COUNT "n"        /* the key of how many messages a post has applied */

/* A row of a message for a post. */
struct post_row {
    struct map_node node; /* by its key */
    struct list link;     /* of those that a commit has deleted */
    unsigned post;
    struct message_at at;
    uint32_t attempts;
    uint64_t tried;
    size_t key_len;
    uint8_t key[STORE_KEY_MAX];
};

/* What one commit has done to a post's messages. */
struct post_change {
    bool commits; /* the post's own commit: its head row */
    bool counted;
    uint64_t count;               /* as it is now */
    struct list gone;             /* rows that were deleted */
    unsigned dead;                /* of these, those that are dead letters now, */
    unsigned again;               /* and those that are there again, not applied */
    uint64_t hops;                /* rows of new messages that it has sent at once */
    uint64_t says[SIM_POSTS_MAX]; /* how many it has sent to each, if it says so */
};

struct posts {
    struct world *w;
    struct sim_mem mem;
    struct map rows;
    struct post_change changes[SIM_POSTS_MAX];
    uint64_t counts[SIM_POSTS_MAX];
    uint64_t sent[SIM_POSTS_MAX][SIM_POSTS_MAX]; /* at once, as the sender counts */
    unsigned dead_ticks[SIM_POSTS_MAX];
    bool fresh; /* the commit that comes is the whole store */
    bool moved; /* one of those in order is gone, since posts_moved was asked */
    struct list attempts;
    struct sim_event event;
    unsigned asked;    /* the last request, */
    uint64_t asked_ns; /* and when it was asked for first */
    bool stopped;
};

#endif

/* Shared by sim_store.c and sim_watch.c. */
#ifndef KELPIE_SIM_STORE_LINK_H
#define KELPIE_SIM_STORE_LINK_H

#include "sim/sim_record.h"
#include "sim/sim_store.h"
#include "store/core.h"
#include "store/omap_memory.h"
#include "store/store_results.h"

enum msg_stage {
    MSG_FREE,
    MSG_READ,    /* on its way to the store */
    MSG_COMMIT,  /* on its way, or landing late */
    MSG_QUEUED,  /* in the core's queue */
    MSG_ANSWER,  /* on its way back */
    MSG_RESULTS, /* delivered; the process holds the rows */
};

/* One request on its way. It owns a copy of all that it asks, because the process may take the
 * request back, or die, while a commit still lands. */
struct store_msg {
    struct sim_event event;
    struct list link; /* of the process; alone when that is gone */
    struct store_msg *next_free;
    struct process *p;     /* NULL: that life is over */
    struct store_req *req; /* NULL: taken back */
    enum msg_stage stage;
    bool settled; /* no further fault */
    bool hide;    /* the answer will be "unknown result" */
    int status;
    uint64_t version;
    uint64_t landed_ns; /* when it reached the core; 0: it has not */
    struct store_result *results;

    struct commit_seen seen;
    struct core_commit commit;
    struct key_range conflicts[STORE_READS_MAX];
    struct store_read *reads;
    struct store_write *writes;
    size_t read_count, read_cap, write_cap;
    uint8_t *bytes;
    size_t bytes_len, bytes_cap;
};

struct sim_watch {
    struct core_watch core;
    struct sim_event event;
    struct list link; /* of the process */
    struct process *p;
    struct store_watch *watch;
    bool in_core;
    uint8_t key[STORE_KEY_MAX];
};

struct sim_store {
    struct world *w;
    struct sim_mem mem;
    struct omap_memory *map;
    struct core *core;
    struct results_builder builder;
    struct sim_event flush;
    unsigned cuts[SIM_NODES_MAX];
    struct store_msg *free;
    struct store_msg **all;
    size_t all_count, all_cap;
    size_t in_flight;
    struct sim_store_stats stats;
};

/* A request has ended: its answer is here (good: END_OK), or it landed alone (END_LATE). */
void store_record(const struct sim_store *s, const struct store_msg *m, enum record_end good);
/* One way's delay. */
uint64_t store_delay_ns(struct sim_store *s);
/* Flushes the core soon. */
void store_wake(struct sim_store *s);

void sim_watch_op_watch(void *ctx, struct store_watch *w);
void sim_watch_op_unwatch(void *ctx, struct store_watch *w);
void sim_watch_detach(struct process *p);

#endif

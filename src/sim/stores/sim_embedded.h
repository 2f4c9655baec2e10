/*
 * The simulated way to the embedded store. Under it is the production store core over its map in
 * memory; between it and each process lie latency, cuts, refusals, conflicts that are none, results
 * that never come or come as "unknown", commits that land late, and watches that get lost.
 */
#ifndef KELPIE_SIM_EMBEDDED_H
#define KELPIE_SIM_EMBEDDED_H

#include "sim/report/sim_record.h"
#include "sim/stores/sim_store.h"
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
    bool lost;    /* its process died before it was sent */
    bool dooms;   /* its process dies when it has landed */
    bool stale;   /* read before the store's recovery */
    bool made_wait;
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

enum store_trouble {
    STORE_RECOVERS,       /* nobody commits */
    STORE_RECOVERS_READS, /* nor reads */
    STORE_THROTTLES,
    STORE_IS_FULL,
    STORE_TROUBLES
};

struct embedded_store {
    struct sim_store base;
    struct world *w;
    struct sim_mem mem;
    struct omap_memory *map;
    struct core *core;
    struct results_builder builder;
    struct sim_event flush;
    unsigned *cuts;                    /* of each node */
    unsigned troubles[STORE_TROUBLES]; /* how many of each last */
    uint64_t reborn_version;           /* what was read before this is too old */
    struct core_commit rebirth;        /* moves the version on, as a new life of the store does */
    struct store_write rebirth_write;
    bool rebirth_queued;
    struct store_msg *free;
    struct store_msg **all;
    size_t all_count, all_cap;
    size_t in_flight;
    struct sim_store_stats stats;
};

static inline struct embedded_store *embedded_of(const struct world *w)
{
    return CONTAINER_OF(w->store, struct embedded_store, base);
}

/* The world's side (sim_store.h). */
void embedded_cut(struct world *w, unsigned node, bool cut);
void embedded_recovery(struct world *w, bool reads_too, bool on);
void embedded_throttle(struct world *w, bool on);
void embedded_full(struct world *w, bool on);
void embedded_process(struct world *w, bool up);
void embedded_heal(struct world *w);
void embedded_each(struct world *w, sim_row_fn *fn, void *arg);
void embedded_set_back(struct world *w, const struct store_write *rows, size_t count);
void embedded_flip(struct world *w, struct bytes key, size_t bit);

/* A request has ended: its answer is here (good: END_OK), or it landed alone (END_LATE). */
void store_record(const struct embedded_store *s, const struct store_msg *m, enum record_end good);
/* Sends an answer back. */
void store_answer(struct embedded_store *s, struct store_msg *m, int status);
/* A request has arrived: true when it waits, was refused or is gone. */
bool store_trouble_takes(struct embedded_store *s, struct store_msg *m);
/* The rows of a read are there. */
void store_trouble_corrupts(struct embedded_store *s, struct store_msg *m);
/* A commit is being sent. */
void store_trouble_dooms(struct embedded_store *s, struct store_msg *m);
/* 1 to `ms` milliseconds. */
uint64_t store_below_ms(struct embedded_store *s, uint64_t ms);
/* One way's delay. */
uint64_t store_delay_ns(struct embedded_store *s);
/* Flushes the core soon. */
void store_wake(struct embedded_store *s);

void sim_watch_op_watch(void *ctx, struct store_watch *w);
void sim_watch_op_unwatch(void *ctx, struct store_watch *w);
void sim_watch_detach(struct process *p);
/* All watches that the store knows fire. */
void sim_watch_fire_all(struct world *w);

#endif

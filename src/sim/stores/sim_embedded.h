/*
 * The simulated way to the embedded store. Each process has the production client's session, whose
 * frames go to the production store core over its map in memory; between them lie latency, cuts,
 * connections that break, refusals, conflicts that are none, results that never come or come as
 * "unknown", commits that land late, and watches that get lost. The map refuses batches, and does not
 * say what became of them: then another core begins over it, as where the store's process dies.
 */
#ifndef KELPIE_SIM_EMBEDDED_H
#define KELPIE_SIM_EMBEDDED_H

#include "sim/report/sim_record.h"
#include "sim/stores/sim_store.h"
#include "store/core.h"
#include "store/omap_memory.h"
#include "store/store_session.h"

enum msg_stage {
    MSG_FREE,
    MSG_READ,   /* on its way to the store */
    MSG_COMMIT, /* on its way, or landing late */
    MSG_QUEUED, /* in the core's queue */
    MSG_ANSWER, /* on its way back */
};

/* One request on its way: a frame of the session's. The process may take the request back, or die,
 * while a commit still lands. */
struct sim_msg {
    struct sim_event event;
    struct list link; /* of the process; alone when that, or its connection, is gone */
    struct sim_msg *next_free;
    struct process *p; /* NULL: nobody is told */
    uint64_t id;       /* the session's */
    enum msg_stage stage;
    bool wanted;  /* nobody took it back, and nothing else answers it */
    bool settled; /* no further fault */
    bool hide;    /* the answer will be "unknown result" */
    bool alone;   /* something else answers it */
    bool lost;    /* its process died before it was sent */
    bool dooms;   /* its process dies when it has landed */
    bool stale;   /* read before the store's recovery */
    bool made_wait;
    int status;
    uint64_t version;
    uint64_t landed_ns; /* when it reached the core; 0: it has not */

    struct commit_seen seen;
    struct core_commit commit;
    struct key_range conflicts[STORE_READS_MAX];
    struct store_read reads[STORE_READS_MAX];
    struct store_write writes[STORE_WRITES_MAX];
    size_t read_count;
    struct buf frame;  /* of the request; what is above points into it */
    struct buf answer; /* frame of the answer; empty: it says no more than the status */
};

struct sim_watch {
    struct core_watch core;
    struct sim_event event;
    struct list link; /* of the process */
    struct process *p;
    uint64_t id; /* the session's */
    bool in_core;
    uint8_t key[STORE_KEY_MAX];
};

/* A process's end of the way, in place of the client's sockets. */
struct sim_link {
    struct session session; /* in the process's memory */
    struct process *p;
    struct sim_event look; /* the connection breaks, or is made anew */
    struct sim_event soon; /* completes what could not be sent, and reads that waited too long */
    size_t results;        /* of reads, that the process holds */
    bool closed;
};

enum store_trouble {
    STORE_RECOVERS,       /* nobody commits */
    STORE_RECOVERS_READS, /* nor reads */
    STORE_THROTTLES,
    STORE_IS_FULL,
    STORE_TROUBLES
};

/* The map as the core sees it. */
struct sim_map {
    struct omap below;
    struct world *w;
    bool calm;     /* nothing fails */
    bool is_full;  /* no room for a value */
    bool grows;    /* it was said that it has to */
    bool happened; /* the batch of which it was not said what became of it */
};

/* Where a value is in the frame of an answer. */
struct value_span {
    size_t at, len;
};

struct embedded_store {
    struct sim_store base;
    struct world *w;
    struct sim_mem mem;
    struct omap_memory *map;
    struct sim_map faulty; /* in front of it */
    struct core *core;
    struct core_options options;
    struct buf values; /* of the read that is being answered: struct value_span */
    struct sim_event flush;
    unsigned *cuts;                    /* of each node */
    unsigned troubles[STORE_TROUBLES]; /* how many of each last */
    struct sim_msg *free;
    struct sim_msg **all;
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
void store_record(const struct embedded_store *s, const struct sim_msg *m, enum record_end good);
/* Sends an answer back. */
void store_answer(struct embedded_store *s, struct sim_msg *m, int status);
/* A request has arrived: true when it waits, was refused or is gone. */
bool store_trouble_takes(struct embedded_store *s, struct sim_msg *m);
/* The rows of a read are there. */
void store_trouble_corrupts(struct embedded_store *s, struct sim_msg *m);
/* A commit is being sent. */
void store_trouble_dooms(struct embedded_store *s, struct sim_msg *m);
/* 1 to `ms` milliseconds. */
uint64_t store_below_ms(struct embedded_store *s, uint64_t ms);
/* One way's delay. */
uint64_t store_delay_ns(struct embedded_store *s);
/* Flushes the core soon. */
void store_wake(struct embedded_store *s);

/* A frame of the session's is on its way to the store. */
void sim_watch_send(struct process *p, const struct store_frame *f);
void sim_unwatch_send(struct process *p, const struct store_frame *f);
/* The store forgets the watches of this process. */
void sim_watch_detach(struct process *p);
/* Those that it has are gone with its process. */
void sim_watch_lost(struct process *p);

/* ---- sim_embedded_link.c */

struct store link_client(struct process *p);
bool link_closed(struct process *p);
void link_detach(struct process *p);
size_t link_holds(const struct process *p);
/* The connection breaks soon: whoever waits for an answer over it is told so. */
void link_breaks(struct process *p);
/* A frame has arrived at the process. */
void link_deliver(struct process *p, enum process_event kind, uint64_t digest, struct bytes frame);

/* ---- what the link asks of the way */

/* A READ or COMMIT of the session's is on its way. */
struct sim_msg *store_send(struct process *p, const struct store_frame *f, struct bytes whole);
/* What was sent over this connection comes back no more. */
void store_forget_sender(struct process *p);

/* ---- sim_embedded_core.c */

struct omap sim_map_of(struct embedded_store *s);
/* The store's process ends and another one begins over what the map has. */
void store_begin_again(struct embedded_store *s);
/* What is queued was never applied. */
void store_lose_queued(struct embedded_store *s);

#endif

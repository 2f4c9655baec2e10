/*
 * The world's store, of one of two kinds (sim_config.h): a simulated FoundationDB under the driver
 * for it (sim_fdb_store.c), or the embedded store's core (sim_embedded.c). Between it and each
 * process lies all that can go wrong on the way.
 */
#ifndef KELPIE_SIM_STORE_H
#define KELPIE_SIM_STORE_H

#include "env/store.h"
#include "sim/world/sim_process.h"

struct sim_store_stats {
    uint64_t reads, commits, committed, conflicts, unknown, late, watches_fired;
};

/* Takes a row, borrowed; false ends it. */
typedef bool sim_row_fn(void *arg, struct bytes key, struct bytes value);

struct sim_store_ops {
    void (*free)(struct world *w);
    struct store (*client)(struct process *p);
    bool (*closed)(struct process *p);
    void (*detach)(struct process *p);
    void (*freeze)(struct process *p);
    uint64_t (*thaw)(struct process *p);
    size_t (*holds)(const struct process *p);
    size_t (*in_flight)(const struct world *w);
    struct sim_store_stats (*stats)(const struct world *w);
    void (*cut)(struct world *w, unsigned node, bool cut);
    void (*recovery)(struct world *w, bool reads_too, bool on);
    void (*throttle)(struct world *w, bool on);
    void (*full)(struct world *w, bool on);
    void (*process)(struct world *w, bool up);
    void (*heal)(struct world *w);
    void (*each)(struct world *w, sim_row_fn *fn, void *arg);
    void (*set_back)(struct world *w, const struct store_write *rows, size_t count);
    void (*flip)(struct world *w, struct bytes key, size_t bit);
};

struct sim_store {
    const struct sim_store_ops *ops;
};

/* Of the kind that the configuration names. */
struct sim_store *sim_store_new(struct world *w);
struct sim_store *embedded_new(struct world *w);
struct sim_store *fdb_store_new(struct world *w);
void sim_store_free(struct world *w);

/* For process_new() and process_free(). */
struct store sim_store_of(struct process *p);
void sim_store_detach(struct process *p);
/* For process_freeze() and process_thaw(). Returns how much later than the threads of the store's
 * library the process's own goes on. */
void sim_store_freeze(struct process *p);
uint64_t sim_store_thaw(struct process *p);
/* The process has let go of everything and closes its way to the store: true once that has ended,
 * false: ask again a little later. */
bool sim_store_closed(struct process *p);

/* The machine of `node` cannot reach the store, or can again; cuts count. */
void sim_store_cut(struct world *w, unsigned node, bool cut);
/* Nobody commits, and maybe nobody reads. */
void sim_store_recovery(struct world *w, bool reads_too, bool on);
void sim_store_throttle(struct world *w, bool on);
void sim_store_full(struct world *w, bool on);
/* The store's process dies: nobody reaches it; and is back: what was read before is too old. */
void sim_store_process(struct world *w, bool up);
/* All cuts end, and no fault happens any more. What had not arrived may still arrive. */
void sim_store_heal(struct world *w);
/* Every row that there is now, in order of keys. */
void sim_store_each(struct world *w, sim_row_fn *fn, void *arg);
/* All rows are replaced by these, at once; whatever was read before, or is under way, conflicts. */
void sim_store_set_back(struct world *w, const struct store_write *rows, size_t count);
/* One bit of a value is another from now on, and no version says so. */
void sim_store_flip(struct world *w, struct bytes key, size_t bit);
/* Requests, results and watches of this life that are not given back. */
size_t sim_store_holds(const struct process *p);
/* Commits that may still land. */
size_t sim_store_in_flight(const struct world *w);
struct sim_store_stats sim_store_stats(const struct world *w);

/* A commit as the checkers see it, at the moment it happens. */
struct commit_seen {
    unsigned node, slot, life; /* of who sent it; that life may be over */
    struct uuid boot;
    uint64_t sent_ns;
    const struct store_write *writes;
    size_t write_count;
    const char *action; /* the spec action's name, where somebody records; else NULL */
};

#endif

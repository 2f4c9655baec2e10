/*
 * What happened in a run, for a person to look at: kept while the run goes on, when somebody asked
 * for it (world.record; NULL costs a branch), and made into a page by sim_page.h. It draws nothing
 * and changes nothing: a recorded run has the hash of the one that nobody recorded.
 *
 * Bars have a length and lie in a node's column; lines connect two columns; marks are points. The
 * latest are kept: at the bound the older half of lines and marks is dropped, and counted.
 */
#ifndef KELPIE_SIM_SIM_RECORD_H
#define KELPIE_SIM_SIM_RECORD_H

#include "base/map.h"
#include "sim/world/sim_process.h"

#define RECORD_BARS_MAX (1u << 20)
#define RECORD_LINES_MAX (1u << 20)
#define RECORD_NAMES_MAX 16384
#define RECORD_OPEN UINT64_MAX
#define RECORD_NOWHERE UINT32_MAX

/* X(NAME, "name") */
#define RECORD_BARS(X)                                                                             \
    X(LIFE, "life")             /* of a process */                                                 \
    X(STATE, "state")           /* of the node's row in the store; value: enum node_state */       \
    X(LEASE, "lease")           /* runs, by the process's own clock */                             \
    X(CLAIM, "claim")           /* acts as primary; value: term */                                 \
    X(VIEW, "view")             /* holds one; value: its number */                                 \
    X(ACTIVATION, "activation") /* of an actor; value: generation */                               \
    X(FREEZE, "freeze")         /* of a process */                                                 \
    X(PARTITION, "partition")   /* value: set of nodes cut off, << 16 from whom */                 \
    X(ONE_WAY, "one-way")       /* the same, in one direction */                                   \
    X(STORE_CUT, "store-cut")   /* value: set of nodes */                                          \
    X(STORED_VIEW, "stored view")                                                                  \
    X(STORED_PRIMARY, "stored primary") /* value: term << 8 | node + 1, 0: vacant */

enum record_bar_kind {
#define RECORD_BAR_ENUM(NAME, name) BAR_##NAME,
    RECORD_BARS(RECORD_BAR_ENUM)
#undef RECORD_BAR_ENUM
        BAR_COUNT
};

enum record_line_kind { LINE_MESSAGE, LINE_READ, LINE_COMMIT, LINE_CALL, LINE_MARK, LINE_COUNT };

struct record_bar {
    uint64_t from_ns, to_ns;
    uint64_t value;
    uint32_t actor; /* place in the list of names; RECORD_NOWHERE: none */
    uint8_t kind, node, slot;
};

/* How a line ended. */
enum record_end { END_OK, END_LOST, END_REFUSED, END_ERROR, END_UNKNOWN, END_LATE };

struct record_line {
    uint64_t from_ns, to_ns;
    uint64_t at_ns; /* READ, COMMIT: when it reached the store's core; 0: never */
    uint64_t value; /* CALL: what it was told */
    uint32_t actor, name;
    int32_t status;
    uint8_t kind, node, slot, peer, end;
};

struct record;

struct record *record_new(void);
void record_free(struct record *r);

/* ---- what the world tells; each is called only when world.record is set */

void record_life_begins(struct process *p);
void record_life_ends(struct process *p);
/* After a dispatch into a node's code: what it holds now. */
void record_step(struct process *p);
void record_freeze(const struct process *p, bool frozen);
void record_trouble(struct world *w, enum sim_fault kind, uint32_t from, uint32_t to, bool on);
void record_mark(struct world *w, unsigned node, unsigned slot, const char *name);
/* A frame: how it ended, now. */
void record_frame(struct world *w, const struct record_line *about, struct bytes frame);
struct store_req;
/* The spec action whose transaction sent `req`; NULL: none. */
const char *record_action(const struct process *p, const struct store_req *req);
/* A read or commit ended now; `key`: one of its keys. */
void record_request(struct world *w, const struct record_line *about, const char *action,
                    struct bytes key);
/* After a commit: rows of nodes, view, primary as the checkers know them. */
void record_commit(struct world *w);
void record_call(struct world *w, const struct record_line *about, const char *method,
                 const char *type, const char *id);
/* The end of the run: closes what is open. */
void record_finish(struct world *w);

/* ---- for the page */

const struct record_bar *record_bars(const struct record *r, size_t *count);
const struct record_line *record_lines(const struct record *r, size_t *count);
const char *record_name(const struct record *r, uint32_t name);
size_t record_names(const struct record *r);
uint64_t record_dropped(const struct record *r);
uint64_t record_end_ns(const struct record *r);
const char *record_bar_name(enum record_bar_kind k);

#endif

/*
 * A rig for rules and for the driver of transactions: a store of sorted rows in one process, a
 * clock and timers that move when told, one transaction at a time. Scenes and outcomes are words:
 *
 *   a=A1        node a is Active in incarnation 1; L J A V F: Left, Joining, Active, leaVing, Failed
 *   a=A2b1      the same process (boot 1) in its second incarnation; else boot = incarnation
 *   a=F1@6      view 6 dropped it; a=L1^2: touched twice; a=A1!: flagged
 *   a=A1:2      its program reads records up to version 2
 *   a~7/5       heartbeat of that life of a, counter 7, holding view 5; a~7/5#2b2: of another life;
 *               a~7/5>b1>c2: it cannot reach b in incarnation 1 and c in 2
 *   view=5(3)   view 5 with three members; without (n): counted and hashed from the Active nodes
 *   a/4 -/4     as "primary=a/4": a in its present life is primary of term 4; "primary=-/4": vacant
 *   floor=12    generations=12: the floor of generations    founded=x: of cluster x; placed:b: some actor is placed on b in its present life
 *   types:a=4>room.1>bar.0   change 4 of the types of a: room of version 1, bar; types:a=4#2b1: by another life
 *   term=4      format=1      probe:a=2b1      +a6 -a6: change 6 added, dropped a
 */
#ifndef KELPIE_TESTS_RULE_RIG_H
#define KELPIE_TESTS_RULE_RIG_H

#include "cluster/rules.h"
#include "env/env.h"
#include "support/test_mem.h"

#define RIG_ROWS_MAX 1200
#define RIG_TIMERS_MAX 16
#define RIG_TEXT_MAX 512

/* What becomes of a read or a commit. */
enum rig_fate {
    RIG_OK,
    RIG_CONFLICT,
    RIG_TOO_OLD,
    RIG_UNAVAILABLE,
    RIG_FULL,
    RIG_LIMIT,
    RIG_CORRUPT,
    RIG_UNKNOWN_DONE, /* it happened; the answer says "unknown" */
    RIG_UNKNOWN_NOT,  /* it did not happen; the answer says "unknown" */
    RIG_SILENT,       /* no answer, nothing happened */
    RIG_SILENT_DONE,  /* no answer, it happened */
};

struct rig_row {
    struct key key;
    uint8_t *value;
    size_t len;
    uint64_t version;
    bool deleted; /* stays, so that a deletion conflicts */
    bool written; /* by a commit of the transaction */
};

struct rig {
    struct test_mem held;
    struct env env;
    struct keyspace ks;
    uint64_t now_ns;
    struct timer *timers[RIG_TIMERS_MAX];
    size_t timer_count;
    struct rig_row *rows; /* in key order */
    size_t row_count;
    uint64_t version;

    struct store_req *reading, *committing; /* under way */
    const enum rig_fate *read_fates;        /* ends with RIG_OK, which is then for ever */
    const enum rig_fate *commit_fates;
    void (*before_commit)(struct rig *r); /* something else happens between read and commit */
    unsigned reads, commits;              /* that reached the store */

    bool done;
    unsigned completions;
    int status;
    bool committed;
    unsigned attempts;
    char reason[TXN_REASON_SIZE];
    void (*on_done)(struct rig *r, struct txn *t); /* may be NULL */
};

void rig_init(struct rig *r);
/* Frees all, and checks that the transactions have freed theirs. */
void rig_free(struct rig *r);

/* Puts the rows that the words name. */
void rig_scene(struct rig *r, const char *words);
/* What commits have written, as words in key order; "" when nothing was. */
const char *rig_written(struct rig *r, char out[RIG_TEXT_MAX]);
/* All rows, as words. */
const char *rig_all(struct rig *r, char out[RIG_TEXT_MAX]);
/* The row that the word's name stands for: "a" node, "~a" heartbeat, "view", "primary", "term",
 * "format", "probe:a". NULL when there is none. */
struct rig_row *rig_row(struct rig *r, const char *name);
/* Somebody else rewrites the row: its version is new, its value the same. */
void rig_touch(struct rig *r, const char *name);
void rig_put(struct rig *r, struct key key, struct bytes value);
struct rig_row *rig_find(struct rig *r, struct bytes key);

/* The completion to give to a transaction, with the rig as its argument. */
void rig_done(struct txn *t, int status);
/* One thing happens: an answer of the store or the next timer. False when nothing is left. */
bool rig_step(struct rig *r);
/* Steps until the transaction is done, or nothing is left. */
void rig_run(struct rig *r);

struct uuid rig_boot(const char *id, unsigned n);
/* The life that a word such as "a1" or "a2b1" names. */
struct life rig_life(const char *word);
/* Silences (or answers) such as "a1~7 b2b1~3": life and counter. Returns how many. */
size_t rig_silences(const char *words, struct silence *out, size_t max);

#endif

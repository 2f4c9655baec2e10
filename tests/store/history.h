/*
 * A history of transactions on a small key space, and a checker that says whether it was strictly
 * serializable, by the witness that the store itself gives: the order of commit versions.
 *
 * - Replayed in that order, every read (snapshot reads apart) of every committed transaction must
 *   have returned what it would return just before the transaction's own commit: no lost update, no
 *   write skew, no phantom.
 * - Every read of every transaction must have returned the state at its read version.
 * - A read's version is at least that of every commit acknowledged before the read began: no stale
 *   read. No two commits have the same version and order in it.
 */
#ifndef KELPIE_TESTS_STORE_HISTORY_H
#define KELPIE_TESTS_STORE_HISTORY_H

#include "env/store.h"

#define HISTORY_KEYS 16
#define HISTORY_PARTS 4

struct history_read {
    uint8_t begin; /* a key, or with end > begin the keys begin .. end-1 */
    uint8_t end;
    uint8_t limit;
    bool snapshot;
    uint64_t seen; /* hash of what was returned */
};

struct history_write {
    enum store_write_kind kind;
    uint8_t begin;
    uint8_t end;
    uint32_t value;
};

struct history_txn {
    struct history_read reads[HISTORY_PARTS];
    struct history_write writes[HISTORY_PARTS];
    uint8_t read_count;
    uint8_t write_count;
    bool committed;
    uint64_t read_version;
    uint64_t commit_version;
    uint16_t commit_order; /* among commits of one version */
    uint64_t floor;        /* largest commit version acknowledged before the read began */
};

struct history {
    struct history_txn *txns;
    size_t count;
    size_t cap;
};

void history_init(struct history *h, size_t cap);
void history_deinit(struct history *h);
/* Room for one more; NULL when it is full. */
struct history_txn *history_add(struct history *h);

/* The hash of a result as history_read.seen; values are decimal numbers, keys end in two digits. */
uint64_t history_seen(const struct store_result *r);

/* NULL, or a sentence about the first thing that is wrong (static storage). `*compared` counts the
 * reads that were compared. */
const char *history_check(const struct history *h, size_t *compared);

#endif

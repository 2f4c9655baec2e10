/* Commits of rows by the test, and what the checkers say of them. */
#ifndef KELPIE_TESTS_SIM_ROWS_H
#define KELPIE_TESTS_SIM_ROWS_H

#include "sim/sim_rig.h"

#define ROWS_MAX 8

/* Rows to be committed together; one without a value is struck. */
struct batch {
    struct rig *r;
    struct process *p;
    struct key keys[ROWS_MAX];
    struct buf values[ROWS_MAX];
    struct store_write writes[ROWS_MAX];
    size_t count;
};

struct batch batch_of(struct rig *r, struct process *p);
struct buf *row(struct batch *b, struct key key);

#define PUT(b, name, make_key, ...)                                                                \
    do {                                                                                           \
        const struct name put_record = {__VA_ARGS__};                                              \
        struct key put_key = make_key;                                                             \
        name##_encode(&put_record, key_bytes(&put_key), row((b), put_key));                        \
    } while (0)

#define KS (&b.r->w.shadow->ks)

/* Commits, and expects that check (NULL: none) to speak. */
void commits(struct batch *b, const char *check);
/* The next view, with that node. */
void add_member(struct view_record *v, const char *id, uint64_t incarnation);

struct fixture {
    struct rig r;
    struct process *p;
    struct view_record v;
};

/* n1 founds the cluster in its first incarnation, term 1, view 1. */
void begin(struct fixture *f);

#endif

/* Workers of a node in a small world, played by a test: what each of their slots was told last. */
#ifndef KELPIE_TESTS_HUB_RIG_H
#define KELPIE_TESTS_HUB_RIG_H

#include "lib/small_world.h"
#include "worker/hub.h"

enum told { TOLD_NO, TOLD_TURN, TOLD_ANSWERS, TOLD_NOTHING, TOLD_REFUSED };

struct played_slot {
    struct hub_slot *slot;
    enum told told;
    unsigned times; /* that it was told something */
    bool ended;     /* the hub wants its connection ended */
    uint64_t ticket, run;
    uint32_t attempt;
    bool read;
    char id[64], method[64], request_id[REQUEST_ID_MAX + 1], body[64];
    char state[256]; /* "key=value " each */
    char chain[256];
    char answers[256]; /* "status:reply " each */
    int error;
    char why[HUB_WHY_SIZE];
};

/* The type "purse" in that version, with the read "balance" and 1 s a turn. */
struct worker_hello played_hello(uint32_t version);
struct uuid played_worker(unsigned number);
/* The node's slot of that worker joins, and is told so if it is refused. */
void played_join(struct small_node *n, struct played_slot *s, unsigned worker,
                 const struct worker_hello *hello);
/* A result to be filled, and handed over with played_answer. */
struct worker_result *played_result(struct small_node *n, const struct played_slot *s);
void played_answer(struct played_slot *s, struct worker_result *r);
/* It puts n=`value`, and replies that. */
void played_put(struct small_node *n, struct played_slot *s, const char *value);
void played_ask(struct played_slot *s);
void played_leave(struct played_slot *s);
/* Until it is told something, at most 30 s. */
void played_wait(struct small_world *w, struct played_slot *s, enum told told);

/* One node, and slots of workers. */
struct rig {
    struct small_world *w;
    struct small_node *n;
    struct played_slot a, b, c;
    struct small_answer got, got2;
};

void rig_begin(struct rig *r);
/* Two slots of worker 1 are there, and the type is hosted. */
void rig_begin_two(struct rig *r);
void rig_end(struct rig *r);
/* Calls a purse; `got` is what is answered. */
void rig_call_as(struct rig *r, struct small_answer *got, const char *id, const char *method,
                 const char *request_id, uint32_t deadline_ms);
void rig_call(struct rig *r, struct small_answer *got, const char *id, const char *method);
/* It is, with that status and a text that has `text` in it. */
void rig_answered(struct rig *r, const struct small_answer *got, int status, const char *text);

#endif

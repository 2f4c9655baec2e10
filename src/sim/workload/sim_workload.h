/*
 * Clients: each has one request at a time, asks any node, repeats the same request id elsewhere
 * when the answer is an error that allows it, does not come in time, or its node dies, and gives up
 * now and then.
 */
#ifndef KELPIE_SIM_WORKLOAD_H
#define KELPIE_SIM_WORKLOAD_H

#include "sim/world/sim_process.h"

struct workload;
struct kelpie_actor;

struct workload_stats {
    uint64_t calls, acknowledged, acknowledged_adds, retries, gave_up, errors, impatient;
    uint64_t failed; /* as they had to */
    uint64_t mailbox_full, applied_no_reply, too_late, too_many, reused;
    uint64_t unread; /* connections that closed before their request was read */
    uint64_t looked; /* requests that were looked at before one could begin */
};

struct workload *workload_new(struct world *w);
void workload_free(struct workload *work);
void workload_start(struct world *w);
/* No new requests. */
void workload_stop(struct world *w);
/* Asks every actor until it answers; then what it says is compared with what was acknowledged. */
void workload_probe(struct world *w);
/* Then writes to each actor by way of every node that is there, one after the other, and reads it. */
void workload_probe_writes(struct world *w);
/* True when all have answered; else `why` names one that has not. */
bool workload_probed(const struct world *w, char *why, size_t why_size);

/* At the end: the answers that each actor's clients got, as one history. */
void workload_judge(struct world *w);

/* The store is another: counters are what the rows say. What was asked before, or is before the new
 * epoch begins, counts no more: a node that lives on may answer from what it remembers. */
void workload_set_back(struct world *w, const struct store_write *rows, size_t count);
void workload_new_epoch(struct world *w);

/* A commit has landed that says so: the request was applied (status 0), by the attempt of that number, 0
 * where nobody knows; or was refused for good (KELPIE_E_DOMAIN). */
void workload_decided(struct world *w, const char *type, const char *id, const char *request_id,
                      int status, unsigned by);
/* A process has died: its clients see the connection close. */
void workload_process_gone(struct world *w, struct process *p);
/* A process closes its clients' connections unread. */
void workload_drop_unread(struct world *w, const struct process *p);
/* A process sends a frame to another one. */
void workload_sent(struct process *p, struct bytes frame);
/* Which attempt of its request the message is whose turn runs; 0: nobody knows. */
unsigned workload_attempt(const struct world *w, const struct kelpie_actor *actor);
/* Calls given to that process that it has not completed. */
size_t workload_calls_of(const struct world *w, const struct process *p);
const struct workload_stats *workload_stats(const struct world *w);

#endif

/*
 * The machines: on each one node (the production object), its supervisor (DeclareDead, restart
 * after a back-off, watchdog), now and then a second process with the same id.
 */
#ifndef KELPIE_SIM_HOST_H
#define KELPIE_SIM_HOST_H

#include "node/node.h"
#include "sim/world/sim_process.h"

struct hosts;
struct node;

enum host_end {
    HOST_CRASH, /* kill -9 of the process */
    HOST_DOWN,  /* the machine, with its supervisor */
};

struct hosts *hosts_new(struct world *w);
void hosts_free(struct hosts *h);

/* Starts every node within `spread_ms`. */
void hosts_start(struct world *w, uint64_t spread_ms);
/* The process of a node (its twin) that lives now, or NULL; the production object in it. */
struct process *host_process(struct world *w, unsigned node, unsigned slot);
struct node *process_node(const struct process *p);
struct users_life;
struct types_life;
/* Its types that come and go; NULL: none do. */
const struct types_life *process_types(const struct process *p);
/* The users' classes in it; NULL: none. */
const struct users_life *process_users(const struct process *p);
/* A living process: of the node that claims to be primary, or of a random one; NULL when none
 * lives. */
struct process *hosts_pick(struct world *w, enum sim_stream stream, bool primary);

/* What runs in it ends it: its supervisor will say so. */
void host_dies_itself(struct process *p);
void host_kill(struct world *w, unsigned node, unsigned slot, enum host_end how);
/* kill_all: every process of every machine; all come back soon, but a minority only in the calm. */
void hosts_kill_all(struct world *w);
/* Starts leaving, in an orderly way; the node comes back later. False when refused. */
bool host_leave(struct world *w, struct process *p);
/* A guest that is not here comes; false when it is, or is no guest. */
bool host_invite(struct world *w, unsigned node);
/* The machine is gone for good without a word, and a new one, with a new id, starts in its place
 * (--replace); false when there is none, or another place is being taken. */
bool host_replace(struct world *w, unsigned node);
/* A guest that has not come, or has left again, or whoever is gone for good. */
bool host_is_out(const struct world *w, unsigned node);
/* A second process with the id of `node` starts, where one runs. */
void host_twin(struct world *w, unsigned node);

/* While held nobody is started; then all are that do not live. */
void hosts_hold(struct world *w, bool hold);
/* The liveness phase: whoever is not dead for good is (re)started; twins end. */
void hosts_calm(struct world *w);
bool host_dead_for_good(const struct world *w, unsigned node);
/* Every living node Active with the stored view, one of them primary, acting: else says why not. */
bool hosts_converged(struct world *w, char *why, size_t why_size);
/* In the calm: one that would come back leaves; its number, -1: none is there to. Then whether it has come
 * back as another life; else `why`. */
int hosts_leave_one(struct world *w);
bool hosts_one_is_back(struct world *w, char *why, size_t why_size);
/* Closes all nodes in an orderly way; true once all of them are gone. */
void hosts_close(struct world *w);
bool hosts_closed(const struct world *w);

struct hosts_stats {
    uint64_t starts, crashes, leaves, left, twins, twins_ended, watchdog, declared;
};
const struct hosts_stats *hosts_stats(const struct world *w);

#endif

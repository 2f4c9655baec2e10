/*
 * The simulated network: per link delay with a tail, loss, duplication, reordering, one- and
 * two-way cuts; a connection to a process that is not there is refused (a hint), one to a machine
 * that is down is silent.
 */
#ifndef KELPIE_SIM_NET_H
#define KELPIE_SIM_NET_H

#include "env/net.h"
#include "sim/world/sim_process.h"

struct sim_net;

struct sim_net *sim_net_new(struct world *w);
void sim_net_free(struct sim_net *n);

/* For process_new() and process_free(). */
struct net sim_net_of(struct process *p);
void sim_net_attach(struct process *p);
void sim_net_detach(struct process *p);

/* The address of a node's process or its twin. */
const char *sim_net_addr(const struct sim_net *n, unsigned node, unsigned slot);
struct process *sim_net_process(const struct sim_net *n, unsigned node, unsigned slot);

/* Messages from `from` to `to` are lost from now on, or one such cut is taken back; cuts count. */
void sim_net_cut(struct sim_net *n, unsigned from, unsigned to, bool cut);
/* What `from` dials to `to` is lost, though `to` gets answers of `from` on the connections that it has dialled itself. */
void sim_net_deafen(struct sim_net *n, unsigned from, unsigned to, bool deaf);
/* The connections between two nodes break, with what was on them; both sides are told. */
void sim_net_reset(struct sim_net *n, unsigned a, unsigned b);
/* What is sent from `from` to `to` waits at the end of the link until nobody clogs it; clogs count.
 */
void sim_net_clog(struct sim_net *n, unsigned from, unsigned to, bool clog);
void sim_net_heal(struct sim_net *n);
/* The machine is down: what is sent there vanishes without a word. */
void sim_net_machine(struct sim_net *n, unsigned node, bool up);

/* When a frame from `from` last arrived at `to`; 0: never. For checkers. */
uint64_t sim_net_last_ns(const struct sim_net *n, unsigned from, unsigned to);

/* Whether what `from` sends to `to` gets there, and something back. For checkers. */
struct sim_echo {
    uint64_t sent_ns;    /* the last that was sent, arrived, and was followed by an arrival back */
    uint64_t gap_end_ns; /* when there was an echo again after nearly a lease without; 0: never */
};
#define ECHO_GAP_PERCENT 80 /* of a lease: clocks may run fast */
struct sim_echo sim_net_echo(const struct sim_net *n, unsigned from, unsigned to);

/* A payload comes to `p` from a stranger: on a connection of its own, by which an answer goes to
 * strangers_answered() with that number, or (`dialled` is not "") from that address, which `p` has
 * dialled. What `p` says of it; it may be gone then. */
enum net_standing sim_net_stranger(struct process *p, uint32_t which, const char *dialled,
                                   struct bytes payload);
/* That address stands in the row of a node. */
void sim_net_note_row(struct sim_net *n, const char *addr);

struct sim_net_stats {
    uint64_t sent, delivered, lost, duplicated, refused, answers_gone;
};
const struct sim_net_stats *sim_net_stats(const struct sim_net *n);

#endif

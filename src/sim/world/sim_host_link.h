/* Shared by sim_host.c (machines and supervisors) and sim_life.c (one life of a node). */
#ifndef KELPIE_SIM_HOST_LINK_H
#define KELPIE_SIM_HOST_LINK_H

#include "sim/checkers/checks.h"
#include "sim/stores/sim_store.h"
#include "sim/world/sim_host.h"
#include "sim/world/sim_net.h"

struct host {
    struct world *w;
    unsigned number;
    char id[8];
    bool supervised;
    bool up;                    /* the machine */
    bool away;                  /* does not come back before the calm */
    bool dead;                  /* for good */
    bool out;                   /* a guest or successor that has not come, or a guest that left */
    bool gone;                  /* for good: another one has taken, or takes, its place */
    struct host *replaces;      /* a successor: that one */
    struct process *process[2]; /* the node's and its twin's */
    struct process *supervisor; /* while it declares */
    struct declare_dead *declare;
    bool declared;
    struct uuid dead_boot;
    struct blame blame; /* type "": nobody is blamed */
    struct sim_event waitpid;
    struct sim_event supervise; /* declared: clean up, start again */
    struct sim_event restart;
    struct sim_event watchdog;
    uint64_t alive_ns; /* last sign of life */
    struct uuid home;  /* on its disk: the cluster that its node is of */
};

struct hosts {
    struct world *w;
    struct host host[SIM_NODES_MAX];
    bool closing;
    bool held;             /* nobody is started */
    struct host *leaving;  /* in the calm */
    struct uuid left_boot; /* and the life that leaves */
    struct hosts_stats stats;
};

/* One life of a node. */
struct life_of {
    struct process *p;
    struct host *h;
    struct node *node;
    struct kelpie_class trial;
    struct types_life *types; /* NULL: none come and go */
    struct users_life *users; /* NULL: this run has none */
    const struct kelpie_class *classes[CLASS_COUNT_MAX + 1];
    const char *class_names[CLASS_COUNT_MAX];
    uint32_t class_count;
    struct sim_event act;      /* what its own callbacks asked for, outside of them */
    struct sim_event deadline; /* of leaving */
    struct sim_event doom;     /* the kill -9 that is due */
    bool ends;                 /* another process has this id */
    bool left, closing, closed;
};

/* A new life in a free slot of a machine that is up. */
void life_start(struct host *h, unsigned slot);
/* Its end without a word. */
void life_end(struct process *p);
/* Orderly: its end comes later. */
void life_close(struct process *p);
bool life_leave(struct process *p, bool even_last);
struct life_of *life_of(const struct process *p);

/* Its row is there, and not Left. */
bool host_is_voter(const struct host *h);
/* A life has ended by itself: left, or closed. */
void host_life_ended(struct host *h, unsigned slot);
/* Or because another process has its id; its supervisor declares it dead all the same. */
void host_life_gave_way(struct host *h, unsigned slot, struct uuid boot);
/* A process that left was not gone by its deadline. */
void host_life_overdue(struct host *h, unsigned slot);

#endif

/* Shared by sim_steps.c (lines, and what nodes do by themselves), sim_steps_landed.c (transactions)
 * and sim_steps_text.c. */
#ifndef KELPIE_SIM_SIM_STEPS_LINK_H
#define KELPIE_SIM_SIM_STEPS_LINK_H

#include "sim/checkers/shadow.h"
#include "sim/steps/sim_steps.h"

#define STEP_SENT_MAX 2048 /* writes and hand-overs that may still land */
#define STEP_NOWHERE SIZE_MAX
#define STEP_VIEWS_MAX 16 /* views back that a node may be when it takes one */

/* One node: its row, and what its process believes. */
struct step_node {
    enum node_state state, me;
    uint32_t incarnation, ack, gone;
    bool hosts; /* the type of the actors that are told of */
    uint32_t me_incarnation, view, members, claim;
    uint32_t runs[STEP_ACTORS_MAX]; /* generations; 0: does not run */
    bool known; /* false: its process does not know yet what it will, or is a matter of doubt */
    bool lease;
};

struct step_place {
    uint32_t node, incarnation, generation; /* node: number + 1; 0: none */
};

struct step_store {
    uint32_t view, members;                      /* members: 1 << node */
    uint32_t primary, primary_incarnation, term; /* primary: number + 1; 0: vacant */
    struct step_place place[STEP_ACTORS_MAX];
};

struct step {
    enum step_action action;
    bool live;
    bool implied; /* nothing the code did: what the specification needs before or after it */
    uint64_t at_ns;
    uint32_t node, other, actor; /* other, actor: number + 1; 0: none */
    uint32_t number;             /* incarnation or generation that it is about */
    uint32_t with;               /* nodes whom it counts as reached, 1 << node */
    struct step_store store;
    struct step_node nodes[SIM_NODES_MAX];
};

/* One node as the specification has it after the lines so far. */
struct step_model {
    unsigned owner; /* the life that is the member; 0: none */
    enum node_state me;
    uint32_t incarnation, view, claim;
    bool lease;
    uint32_t runs[STEP_ACTORS_MAX];
};

struct step_tracked {
    struct step_model model;
    struct process *p;             /* the owner, while it lives */
    uint32_t ran[STEP_ACTORS_MAX]; /* what the owner ran at its last step */
    uint64_t activations;
    bool cut_off; /* the specification has it in cutStore */
    unsigned store_cuts;

    unsigned twin; /* an older life whose lease still runs; 0: none */
    struct process *twin_p;
    unsigned joining;                /* a life that has sent its join */
    unsigned dead;                   /* the life that ended last as a member, */
    struct step_model was;           /* what it was, */
    size_t crash_line;               /* and the line that says so */
    size_t expire_line, notice_line; /* since the lease ran out last */
    struct step_model expired;       /* before it did */
    size_t lent_line;                /* the end of a lease that was only implied */
    size_t revive_line;              /* a heartbeat that will renew the lease, if it is heard of */
    uint32_t revive_view;
    unsigned die_life; /* one that died while its join was under way */
    size_t die_line, declare_line;
    /* Before each of the last changes of the stored view: there it may have read the old one. */
    struct {
        uint32_t view;
        size_t line;
    } read_at[STEP_VIEWS_MAX];
};

/* Sent, and may land. */
struct step_sent {
    unsigned life;
    enum step_action action;
    uint32_t actor, generation, to;
    uint64_t sent_ns;
    bool leased;
    size_t line;
};

struct steps {
    struct world *w;
    struct step *lines;
    size_t count, cap;
    bool states, full, expiring;
    unsigned stepping; /* node + 1 whose steps are being told; 0: none */
    unsigned actors;
    const struct shadow_actor *followed[STEP_ACTORS_MAX];
    struct step_store store;
    struct step_node rows[SIM_NODES_MAX]; /* the stored half of each */
    struct step_tracked nodes[SIM_NODES_MAX];
    unsigned cuts[SIM_NODES_MAX][SIM_NODES_MAX];
    struct step_sent sent[STEP_SENT_MAX];
    size_t sent_count; /* all; the last STEP_SENT_MAX are there */
    struct buf scratch;
    struct sim_mem mem;
};

/* What must be said before a line of that kind: leases that have run out, a way that is open. */
void step_prepare(struct steps *s, enum step_action a, unsigned node);
/* That, and a line at the end with the state as it is now. Its place in `lines`. */
size_t step_add(struct steps *s, enum step_action a, unsigned node);
/* A line that may come to life later. */
size_t step_reserve(struct steps *s, enum step_action a, unsigned node);
/* From that line on nothing is claimed to be known of the node's process. */
void step_doubt(struct steps *s, size_t from, unsigned node);
/* The rows as the checkers know them, from now on. */
void step_refresh(struct steps *s);
/* The node's lease is over in the specification too, when its process holds none. */
void step_expire(struct steps *s, unsigned node);
/* Its process has ended, or is no longer the member. */
void step_gone(struct steps *s, unsigned node);
void step_no_member(struct step_tracked *t);
/* Place in the list of those told of; -1: left out. */
int step_actor(const struct steps *s, const char *type, const char *id);
uint32_t step_members(const struct steps *s);
bool step_runs_any(const struct step_model *m);

#endif

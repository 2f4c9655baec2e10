/* Shared by sim_chains.c (clients), sim_link.c (the class) and check_chains.c. */
#ifndef KELPIE_SIM_CHAINS_LINK_H
#define KELPIE_SIM_CHAINS_LINK_H

#include "sim/checkers/checks.h"
#include "sim/workload/sim_chains.h"

#define CHAIN_PATH_MAX 8
#define CHAIN_REQUESTS_MAX 400 /* of one run: each leaves a key in the state of its links */
#define CHAIN_CLIENTS 3
#define LINK_MARK 'c' /* the first byte of the key of a mark */
#define LINK_COUNT "n"

enum chain_kind { CHAIN_WALK, CHAIN_FAN, CHAIN_CYCLE };

/* A request: one id, any number of attempts, one at a time. */
struct chain {
    unsigned number;
    enum chain_kind kind;
    char path[CHAIN_PATH_MAX + 1]; /* a letter for each link */
    uint64_t first_ns;             /* when it was first asked */
    bool lost;                     /* before the store was set back */
    bool acknowledged;
    unsigned unsure;   /* attempts of which nobody said that they did nothing */
    unsigned attempts; /* begun */
    uint32_t marks;    /* 1 << place in the path, of those that have landed */
    /* The least count that a caller of that place had: whatever run of its turn has called, had seen that. */
    uint64_t seen[CHAIN_PATH_MAX];
};

struct chains {
    struct world *w;
    struct chain all[CHAIN_REQUESTS_MAX]; /* by number */
    unsigned count;
    uint64_t counted[SIM_LINKS_MAX]; /* what each link has in its state, as landed */
    struct chain_client *clients;
    struct list attempts;
    unsigned client_count;
    bool stopped;
};

/* "number first_ns kind path place": what each call on the path says. */
struct link_asked {
    unsigned number, kind, place;
    uint64_t first_ns;
    char path[CHAIN_PATH_MAX + 1];
};

/* check_chains.c */
/* An attempt ended with that: true when it may; else a violation. */
bool check_chain_answer(struct world *w, struct chain *c, bool late, int status,
                        struct bytes reply);
/* A link is asked: its message is not younger than the request, and its caller has seen what landed. */
void check_link_asked(const struct kelpie_actor *actor, const struct link_asked *asked);
/* A link calls the one at `place`, with that count of its own before the turn: it is refused, or not. */
void check_link_calls(const struct kelpie_actor *actor, const struct link_asked *asked,
                      unsigned place, uint64_t seen, int status);

#endif

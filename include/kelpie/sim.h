/*
 * Kelpie's public interface for workloads: what clients ask your actors in a simulated cluster, and what
 * must hold (docs/testing-your-actors.md). A shared object exports one `kelpie_sim_workload`; it may
 * be the object of the classes (`kelpie-sim run --actors FILE`) or another one (`--workload FILE`).
 *
 * The workload stands outside of the cluster: it sees what clients see. There is one copy of it in a run,
 * while each process of a node has a copy of the classes of its own. All of it runs in one thread.
 * It must depend on what it is handed alone: no clock, no randomness but kelpie_sim_below, no addresses.
 * Then the same seed gives the same run.
 */
#ifndef KELPIE_SIM_H
#define KELPIE_SIM_H

#include "kelpie/kelpie.h"

#ifdef __cplusplus
extern "C" {
#endif

#define KELPIE_SIM_VERSION 1
#define KELPIE_SIM_CLIENTS_MAX 64
#define KELPIE_SIM_AT_END KELPIE_SIM_CLIENTS_MAX /* the client of ask_at_end */

struct kelpie_sim; /* one run */

/* What became of a request. Pointers are borrowed for the callback. */
struct kelpie_sim_answer {
    unsigned client;
    const char *type, *id, *method; /* what was asked */
    const uint8_t *body;
    size_t body_len;
    int status; /* 0 with the reply, or the error that it ended with, with its sentence; of
                 * KELPIE_E_DOMAIN the code, NUL and the sentence */
    /* Over all attempts that the client made: UNKNOWN may still come true later, until the end. */
    enum kelpie_applied applied;
    const uint8_t *reply;
    size_t reply_len;
};

struct kelpie_sim_workload {
    uint32_t abi;  /* KELPIE_SIM_VERSION */
    uint32_t size; /* sizeof(struct kelpie_sim_workload): members may be added at its end */
    void *arg;     /* for kelpie_sim_arg() */

    /* All may be NULL but ask. Before anything else. */
    void (*begin)(struct kelpie_sim *sim);
    /* The client, from 0, has nothing to do: kelpie_sim_ask says what it asks next; without that it is
     * idle for a while. How many there are is drawn from the seed (1 to 5; --set users=N). A client asks one thing at a
     * time, by way of any node, and asks again under the same request id when the answer is an error that
     * allows it or does not come; now and then it gives up. */
    void (*ask)(struct kelpie_sim *sim, unsigned client);
    /* A client's request is over. */
    void (*answered)(struct kelpie_sim *sim, const struct kelpie_sim_answer *answer);
    /* In the end, when all faults have stopped, nobody asks any more, and all messages that are due have been
     * applied: kelpie_sim_ask asks what is to be known; number is 0, 1, 2, … One that does not ask ends
     * it. These are asked until they are answered. */
    void (*ask_at_end)(struct kelpie_sim *sim, unsigned number);
    /* After that: what must hold. */
    void (*at_end)(struct kelpie_sim *sim);
};

#pragma GCC visibility push(default)

/* Only within ask and ask_at_end, once. All is copied; names are within the bounds of actors, the body
 * within KELPIE_BODY_MAX, else the program ends with a sentence. */
void kelpie_sim_ask(struct kelpie_sim *sim, const char *type, const char *id, const char *method,
                    const void *body, size_t body_len);
/* 0 to bound - 1, drawn from the seed. bound is not 0. */
uint64_t kelpie_sim_below(struct kelpie_sim *sim, uint64_t bound);
/* When `holds` is false this is a violation, and the run ends after it: the sentence says what is wrong, with
 * which values. A run in which nothing was ever expected is a violation too. */
void kelpie_sim_expect(struct kelpie_sim *sim, bool holds, const char *format, ...)
    __attribute__((format(printf, 3, 4)));
/* The workload's `arg`. */
void *kelpie_sim_arg(const struct kelpie_sim *sim);
/* Simulated milliseconds since the run began. */
uint64_t kelpie_sim_now_ms(const struct kelpie_sim *sim);

/* The one symbol of a workload's object. */
extern const struct kelpie_sim_workload kelpie_sim_workload;

#pragma GCC visibility pop

#ifdef __cplusplus
}
#endif

#endif

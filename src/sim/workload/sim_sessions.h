/*
 * Sessions: actors that come and go. Each has a client of its own that asks one thing after the other: it adds,
 * reads, erases, leaves its actor alone for longer than that remembers, and asks once more what it asked
 * before. It knows what each answer must be. Those of the class "visit" expire.
 */
#ifndef KELPIE_SIM_SESSIONS_H
#define KELPIE_SIM_SESSIONS_H

#include "kelpie/kelpie.h"
#include "sim/world/world.h"

#define SESSION_REMEMBER_MS 1000
#define VISIT_EXPIRES_MS 40000
extern const struct kelpie_class sim_class_session, sim_class_visit;

struct sessions;
struct process;

struct sessions *sessions_new(struct world *w);
void sessions_free(struct sessions *ss);
void sessions_start(struct world *w);
/* No new requests. */
void sessions_stop(struct world *w);
/* A process has died. */
void sessions_process_gone(struct world *w, const struct process *p);
size_t sessions_calls_of(const struct world *w, const struct process *p);
/* The store is another: what was asked for before counts no more. */
void sessions_set_back(struct world *w);

#endif

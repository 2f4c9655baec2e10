#include "sim/run/sim_coverage.h"

#include <string.h>

#include "base/mark.h"
#include "cluster/state.h"
#include "env/txn.h"
#include "sim/checkers/checks.h"
#include "sim/faults/sim_emptied.h"
#include "sim/faults/sim_nemesis.h"
#include "sim/faults/sim_restore.h"
#include "sim/workload/sim_operator.h"
#include "sim/world/sim_host.h"

static const struct {
    const char *name;
    const char *text;
} phases[PHASE_COUNT] = {
#define SIM_PHASE_ROW(NAME, name, text) {name, text},
    SIM_PHASES(SIM_PHASE_ROW)
#undef SIM_PHASE_ROW
};

/* The transactions that are a phase's while they are under way. */
static const struct {
    const char *action;
    enum sim_phase phase;
} actions[] = {
    {"NodeJoin", PHASE_JOIN},
    {"NodeJoinComplete", PHASE_JOIN},
    {"NodeRecover", PHASE_JOIN},
    {"ElectPrimary", PHASE_ELECTION},
    {"PrimaryStepDown", PHASE_ELECTION},
    {"MarkNodeFailed", PHASE_FAILURE},
    {"FlagGrey", PHASE_FAILURE},
    {"MarkDeadAll", PHASE_FAILURE},
    {"DeclareDead", PHASE_FAILURE},
    {"PlaceActor", PHASE_PLACEMENT},
    {"Activate", PHASE_ACTIVATION},
    {"CommitWrite", PHASE_COMMIT},
    {"MigrateActor", PHASE_MIGRATION},
    {"AbortMigration", PHASE_MIGRATION},
};

/* Pairs that never meet, or so seldom that thousands of seeds may not show it, with the reasons. */
static const struct {
    enum sim_fault fault;
    enum sim_phase phase;
    const char *why;
} rare_pairs[] = {
    {FAULT_RESTORE, PHASE_MIGRATION,
     "all is stopped for it; only a machine that is cut off may be handing over, and seldom is"},
    {FAULT_COUNT, PHASE_COUNT, "the end of the table"},
};

/* Marks that a sweep of thousands of seeds may well not pass, each with its reason. */
static const struct {
    const char *mark;
    const char *why;
} rare_marks[] = {
    {"commit-fenced",
     "what moves an actor also meets its commit as a conflict, and its node has lost the lease before "
     "it reads again; only a clock beyond the bound of drift lets the rule see it"},
    {"fenced-after-it-may-have-landed", "the same, after an attempt with an unknown result"},
    {"stale-primary-notices",
     "who takes a primary's place waits for its lease; only a clock beyond the bound of drift lets it "
     "read of that with its claim"},
    {"sweep-tried-again",
     "a batch waits a store's refusals out; only a damaged row of the primary or of a node, read in that "
     "moment, ends one"},
    {"poison-of-the-whole-actor", "its classes have one method that ends processes, not 17"},
    {"poison-cannot-be-read",
     "where actors end processes rows are not damaged: their account would be wrong"},
    {"poison-swept",
     "clients ask on, so what ended a process once does so again, or is forgiven, before its row is stale"},
    {"sweep-by-a-stale-primary",
     "its transaction is cancelled with the claim; only a clock beyond the bound of drift"},
    {"trim-by-a-stale-primary",
     "one transaction in 64 heartbeats, which must be under way when the claim goes"},
    {"stop-left-unsettled",
     "a corrupt read between an unknown result and the read that would settle it"},
    {"dead-all-by-a-failed-life",
     "a Joining node is declared failed while its own MarkDeadAll is under way"},
    {"elect-by-a-failed-node",
     "an election must outlast its node's lease by the margin of a window, within half a lease"},
    {"elect-by-a-flagged-node",
     "the primary flags a candidate and falls silent while the candidate's election is under way"},
    {"elected-too-late", "an election is answered just when its node's lease has run out"},
    {"migrate-not-mine",
     "the source must be declared failed, and the actor placed anew, while its hand-over is under way"},
    {"leave-by-another-life",
     "a NodeLeave must outlast its own life and the joining of a second process with its id"},
    {"leave-complete-of-a-failed-node",
     "a NodeLeaveComplete must be under way for as long as it takes to declare its node failed"},
    {"flag-done-before", "an attempt with an unknown result, of a transaction that is rare itself"},
    {"flag-not-most-accuse",
     "accusers must change their mind between the primary's look and its commit"},
    {"txn-rows-too-old-to-act-on",
     "a stop of a process between a read and its answer, longer than the time to give up"},
    {"message-whose-processes-died",
     "the same message must be the first of eight activations, and each of their processes die of "
     "something else just then"},
    {"message-superseded-by-its-own-turn",
     "posts send nothing by name to themselves, so that a row that goes is one that was applied, or "
     "was not; tests/unit/test_messages.c has it"},
    {"message-whose-calls-took-too-long",
     "actors that send each other messages make no calls there"},
    {"recover-in-another-epoch",
     "a process of before a restore must learn of it by a view, and find its id taken, before its heartbeat "
     "is refused; tests/regressions/oldlife.case"},
    {"passive-actor-came-back",
     "an actor must be called in the milliseconds of the transaction that lets it go"},
    {"passive-actor-forgets-in-pages",
     "an actor that remembers more than 16384 requests, and a client sends one after the other"},
    {"taking-back-is-unsettled-too", "the same of an AbortMigration, which is rare itself"},
    {"batch-over-the-bounds-of-a-commit",
     "a batch fits the store's bounds unless nearly every byte is NUL; tests/unit/test_actors.c has it"},
    {"turn-over-the-bounds-of-a-commit", "likewise, and alone in its commit"},
    {"read-outside", "simulated nodes have no workers yet; tests/unit/test_hub.c has it"},
    {"turn-begins-again-outside", "the same, without workers there is none"},
    {"turn-ended-its-workers", "the same, without workers there is none"},
    {"worker-died-with-a-turn", "the same, without workers there is none"},
    {"actor-of-format-1",
     "simulated stores are new; tests/integration/test_kelpied_store.c has one that was raised"},
    {NULL, NULL},
};

const char *sim_mark_rare(const char *name)
{
    for (size_t i = 0; rare_marks[i].mark; i++)
        if (strcmp(rare_marks[i].mark, name) == 0)
            return rare_marks[i].why;
    return NULL;
}

const char *sim_rare_mark(size_t i)
{
    return i < ARRAY_LEN(rare_marks) ? rare_marks[i].mark : NULL;
}

const char *sim_phase_name(enum sim_phase p)
{
    return phases[p].name;
}

const char *sim_phase_text(enum sim_phase p)
{
    return phases[p].text;
}

const char *sim_pair_rare(enum sim_fault f, enum sim_phase p)
{
    for (size_t i = 0; rare_pairs[i].fault != FAULT_COUNT; i++)
        if (rare_pairs[i].fault == f && rare_pairs[i].phase == p)
            return rare_pairs[i].why;
    return NULL;
}

/* ---- what is under way */

static uint32_t phase_of_action(const char *action)
{
    for (size_t i = 0; i < ARRAY_LEN(actions); i++)
        if (strcmp(actions[i].action, action) == 0)
            return 1u << actions[i].phase;
    return 0;
}

static uint32_t phases_of_node(const struct world *w, struct node *node)
{
    const struct cluster *c = node_cluster(node);
    enum node_state state = cluster_state(c);
    uint32_t mask = 0;

    if (state == NODE_JOINING)
        mask |= 1u << PHASE_JOIN;
    if (state == NODE_LEAVING)
        mask |= 1u << PHASE_DRAIN;
    if (state_hosts(state) && cluster_view(c)->number < w->shadow->view.number)
        mask |= 1u << PHASE_VIEW;
    return mask;
}

/* A row of a life that has no process any more. */
static bool somebody_died(const struct world *w)
{
    for (unsigned n = 0; n < w->config.nodes; n++) {
        const struct shadow_node *row = &w->shadow->nodes[n];
        bool lives = false;
        if (!row->there || !state_is_living(row->rec.state))
            continue;
        LIST_FOREACH(it, &w->processes)
        {
            const struct process *p = LIST_ENTRY(it, const struct process, link);
            lives |= p->node == n && uuid_equal(p->boot, row->rec.boot);
        }
        if (!lives)
            return true;
    }
    return false;
}

static uint32_t phases_of(const struct world *w, const struct process *p)
{
    const struct list *txns = p->env.txns;
    uint32_t mask = process_node(p) ? phases_of_node(w, process_node(p)) : 0;

    LIST_FOREACH(it, txns)
    {
        mask |= phase_of_action(LIST_ENTRY(it, const struct txn, link)->action);
    }
    return mask;
}

uint32_t coverage_phases(const struct world *w)
{
    uint32_t mask = 0;

    if (!w->shadow || !w->hosts)
        return 0;
    LIST_FOREACH(it, &w->processes)
    {
        mask |= phases_of(w, LIST_ENTRY(it, const struct process, link));
    }
    return somebody_died(w) ? mask | 1u << PHASE_FAILURE : mask;
}

struct process *coverage_in_phase(const struct world *w, enum sim_phase phase, uint64_t turn)
{
    struct process *found[SIM_NODES_MAX * SIM_SLOTS];
    size_t count = 0;

    LIST_FOREACH(it, &w->processes)
    {
        struct process *p = LIST_ENTRY(it, struct process, link);
        if (count < ARRAY_LEN(found) && !process_closing(p) && phases_of(w, p) >> phase & 1u)
            found[count++] = p;
    }
    return count ? found[turn % count] : NULL;
}

/* ---- counting */

static void count(struct world *w, enum sim_fault f)
{
    struct sim_coverage *c = &w->coverage;

    /* Many messages may be hit in one step of one process: the phases are those of its beginning. */
    if (c->at_event != w->events) {
        c->phases = coverage_phases(w);
        c->at_event = w->events;
    }
    for (unsigned p = 0; p < PHASE_COUNT; p++)
        c->pairs[f][p] += c->phases >> p & 1u;
}

void coverage_strike(struct world *w, enum sim_fault f)
{
    count(w, f);
}

void coverage_look(struct world *w)
{
    uint64_t lasting = nemesis_lasting(w);

    w->coverage.at_event = 0;
    if (w->skewed > 0)
        lasting |= 1ull << FAULT_SKEW;
    if (sim_fault_on(&w->config, FAULT_DRIFT) && w->config.drift_ppm_max > 0)
        lasting |= 1ull << FAULT_DRIFT;
    if (operators_rolling(w))
        lasting |= 1ull << FAULT_ROLL;
    if (w->restore && !restore_idle(w))
        lasting |= 1ull << FAULT_RESTORE;
    if (!emptied_idle(w))
        lasting |= 1ull << FAULT_EMPTIED;
    for (unsigned f = 0; f < FAULT_COUNT && lasting; f++)
        if (lasting >> f & 1u)
            count(w, (enum sim_fault)f);
}

void coverage_marks(struct sim_marks *out)
{
    CHECK(marks_count() <= COVERAGE_MARKS_MAX);
    memset(out, 0, sizeof *out);
    for (size_t i = 0; i < marks_count(); i++)
        if (mark_at(i)->passed)
            out->passed[i / 64] |= 1ull << i % 64;
}

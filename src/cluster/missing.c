/*
 * What may be missing: a living primary, a majority, the store, room in it. Each is looked at once a
 * heartbeat interval, told once when it goes and once when it is back, and is what /readyz and `status` say.
 */
#include <stdio.h>

#include "base/mark.h"
#include "base/mutant.h"
#include "cluster/cluster_internal.h"
#include "kelpie/error.h"

#define SCAN_PER_NODE_MS 10       /* many nodes that look at many rows do so less often */
#define ROOM_MIN_BYTES (1u << 20) /* less than that free is no room */
#define ROOM_QUIET_MS 5000        /* no commit was refused for so long: there is room */

static uint64_t beat_ns(const struct cluster *c)
{
    return c->config.timing.heartbeat_ms * NS_PER_MS;
}

/* ---- what this node has observed ---- */

bool cluster_unmoved(const struct cluster *c, const char *node_id, uint64_t incarnation,
                     struct uuid boot, uint64_t *ns, bool *silent)
{
    struct life life = {.incarnation = incarnation, .boot = boot};
    *ns = 0;
    *silent = false;
    if (strcmp(node_id, c->config.node_id) == 0)
        return true;
    (void)snprintf(life.node_id, sizeof(life.node_id), "%s", node_id);
    if (!detector_unmoved(&c->detector, &life, ns))
        return false;
    *silent = *ns >= detector_window_ns(&c->detector, node_id);
    return true;
}

bool cluster_member_silent(const struct cluster *c, const struct member *m)
{
    uint64_t ns;
    bool silent = false;
    if (cluster_misses(c))
        (void)cluster_unmoved(c, m->node_id, m->incarnation, m->boot, &ns, &silent);
    if (silent)
        SOMETIMES("silent-member-hosts-nothing-new");
    return silent;
}

/* Silent is whose heartbeat was read, and read again unchanged after the window: that nothing could be read says
 * nothing of it. */
static bool primary_silent(const struct cluster *c, uint64_t *ns)
{
    const struct primary_record *p = &c->primary;
    bool silent;
    (void)cluster_unmoved(c, p->node_id, p->incarnation, p->boot, ns, &silent);
    if (MUTANT("lostearly"))
        return 3 * *ns >= timing_lease_ns(&c->config.timing);
    return MUTANT("lostunread") ? !primary_lives(c) : silent;
}

static bool names(const struct primary_record *p, const struct life *l)
{
    return strcmp(l->node_id, p->node_id) == 0 && l->incarnation == p->incarnation &&
           uuid_equal(l->boot, p->boot);
}

/* Where one was missing, who is named is there when its heartbeat has been seen to move: whoever had no lease for a
 * while observes anew, and then nobody is silent yet. */
static bool unseen(const struct cluster *c)
{
    const struct silence *then = &c->primary_then;
    const struct sighting *s = detector_find(&c->detector, c->primary.node_id);
    return c->no_primary.missing && !MUTANT("foundbylapse") &&
           (!s || !names(&c->primary, &then->life) || still_silent(&s->record, then));
}

static void note_primary_then(struct cluster *c)
{
    const struct primary_record *p = &c->primary;
    const struct sighting *s = p->vacant ? NULL : detector_find(&c->detector, p->node_id);
    if (!c->no_primary.missing)
        c->primary_then.life.node_id[0] = '\0';
    if (!c->no_primary.missing || !s || names(p, &c->primary_then.life) ||
        s->record.incarnation != p->incarnation || !uuid_equal(s->record.boot, p->boot))
        return;
    c->primary_then = (struct silence){
        .life = {.incarnation = p->incarnation, .boot = p->boot},
        .counter = s->record.counter,
        .damaged = s->record.damaged,
    };
    memcpy(c->primary_then.life.node_id, p->node_id, sizeof(p->node_id));
}

static enum primary_seen primary_as_seen(const struct cluster *c)
{
    uint64_t ns;
    if (c->claim)
        return PRIMARY_SELF;
    if (!c->primary_known)
        return PRIMARY_UNREAD;
    if (c->primary.vacant)
        return PRIMARY_VACANT;
    if (!primary_held_by_other(c))
        return PRIMARY_GONE;
    if (primary_silent(c, &ns))
        return PRIMARY_SILENT;
    return unseen(c) ? PRIMARY_UNSEEN : PRIMARY_LIVES;
}

/* Counts only rows that were read since the primary is missing: at rest nobody but the primary reads
 * all. */
static void count_voters(const struct cluster *c, struct health_seen *seen)
{
    if (!c->no_primary.missing || c->scanned_ns < c->no_primary.looked_ns)
        return;
    for (size_t i = 0; i < c->node_count; i++) {
        const struct known_node *k = &c->nodes[i];
        uint64_t ns;
        bool silent;
        if (!state_is_voter(k->state))
            continue;
        (void)cluster_unmoved(c, k->life.node_id, k->life.incarnation, k->life.boot, &ns, &silent);
        seen->voters++;
        seen->heard += k->state == NODE_ACTIVE && !k->flagged && !silent && !MUTANT("deafcount");
    }
}

static void look(const struct cluster *c, struct health_seen *seen)
{
    bool silent;
    *seen = (struct health_seen){.acting = c->acting && lease_running(c),
                                 .primary = primary_as_seen(c),
                                 .stepped_down = c->stepped_down,
                                 .no_answer = c->reason};
    if (c->primary_known && !c->primary.vacant) {
        memcpy(seen->primary_id, c->primary.node_id, sizeof(seen->primary_id));
        (void)cluster_unmoved(c, c->primary.node_id, c->primary.incarnation, c->primary.boot,
                              &seen->silent_ns, &silent);
    }
    if (health_primary(seen) == PRESENCE_MISSING)
        count_voters(c, seen);
}

bool cluster_led(struct cluster *c)
{
    struct health_seen seen;
    (void)cluster_may_act(c);
    look(c, &seen);
    return health_primary(&seen) == PRESENCE_HERE;
}

bool missing_wants_scan(const struct cluster *c)
{
    uint64_t every_ns =
        timing_lease_ns(&c->config.timing) / 2 + c->node_count * SCAN_PER_NODE_MS * NS_PER_MS;
    return c->no_primary.told && env_now_ns(c->env) - c->scanned_ns >= every_ns;
}

void cluster_look(struct cluster *c)
{
    if (c->started && env_now_ns(c->env) - c->scanned_ns >= beat_ns(c) && !txn_active(&c->scan))
        scan_now(c);
}

/* ---- primary and majority ---- */

static unsigned long long ms_since(const struct cluster *c, uint64_t since_ns)
{
    return (env_now_ns(c->env) - since_ns) / NS_PER_MS;
}

static void tell_primary(struct cluster *c, const struct health_seen *seen)
{
    char id[ID_QUOTED_SIZE], why[HEALTH_WHY_SIZE], quoted[WHY_QUOTED_SIZE];
    struct presence_track before = c->no_primary;
    switch (presence_step(&c->no_primary, health_primary(seen), env_now_ns(c->env), seen->silent_ns,
                          beat_ns(c))) {
    case NEWS_LOST:
        SOMETIMES("primary-lost-is-told");
        health_primary_why(seen, why, sizeof(why));
        cluster_tell(c, LOG_WARN, "primary_lost", "reason=%s", quote_why(why, quoted));
        return;
    case NEWS_FOUND:
        SOMETIMES("primary-found-is-told");
        cluster_tell(c, LOG_INFO, "primary_found", "primary=%s term=%llu missing_ms=%llu",
                     quote_id(c->primary.node_id, id), (unsigned long long)c->primary.term,
                     ms_since(c, before.since_ns));
        return;
    case NEWS_NONE:
        return;
    }
}

/* What was counted was seen for a window already; what a primary found as it stepped down, for a lease. */
static uint64_t majority_before_ns(const struct cluster *c, const struct health_seen *seen)
{
    return seen->stepped_down ? timing_lease_ns(&c->config.timing)
                              : timing_window_ns(&c->config.timing);
}

static void tell_majority(struct cluster *c, const struct health_seen *seen)
{
    char why[HEALTH_WHY_SIZE], quoted[WHY_QUOTED_SIZE];
    struct presence_track before = c->no_majority;
    if (MUTANT("majorityuntold"))
        return;
    switch (presence_step(&c->no_majority, health_majority(seen), env_now_ns(c->env),
                          majority_before_ns(c, seen), 0)) {
    case NEWS_LOST:
        SOMETIMES("majority-lost-is-told");
        health_majority_why(seen, why, sizeof(why));
        cluster_tell(c, LOG_WARN, "majority_lost", "reason=%s", quote_why(why, quoted));
        return;
    case NEWS_FOUND:
        SOMETIMES("majority-found-is-told");
        cluster_tell(c, LOG_INFO, "majority_found", "missing_ms=%llu",
                     ms_since(c, before.since_ns));
        return;
    case NEWS_NONE:
        return;
    }
}

/* ---- the store ---- */

/* A lease outlasts what is not lasting; a quarter of it is when people want to know. */
static void tell_store(struct cluster *c)
{
    const struct store_news *news = c->env->store_news;
    struct presence_track before = c->no_store;
    enum presence here = news->failed_ns > news->answered_ns ? PRESENCE_MISSING : PRESENCE_HERE;
    uint64_t now = env_now_ns(c->env);
    if (news->failed_ns == 0 && news->answered_ns == 0)
        here = PRESENCE_UNKNOWN;
    switch (presence_step(&c->no_store, here, now, 0, timing_lease_ns(&c->config.timing) / 4)) {
    case NEWS_LOST:
        cluster_tell(c, LOG_WARN, "store_lost", "reason=\"the store does not answer\"");
        return;
    case NEWS_FOUND:
        cluster_tell(c, LOG_INFO, "store_found", "missing_ms=%llu", ms_since(c, before.since_ns));
        return;
    case NEWS_NONE:
        return;
    }
}

uint64_t cluster_store_room(const struct cluster *c)
{
    return c->events.store_room ? c->events.store_room(c->arg) : UINT64_MAX;
}

/* "" when it is not known. */
static const char *room_field(uint64_t room, char out[48])
{
    out[0] = '\0';
    if (room != UINT64_MAX)
        (void)snprintf(out, 48, "free_bytes=%llu ", (unsigned long long)room);
    return out;
}

/* Heartbeats may find room in what was used before while other commits find none: that one was
 * written is not enough. */
static enum presence room_in_store(const struct cluster *c, uint64_t room)
{
    const struct store_news *news = c->env->store_news;
    uint64_t now = env_now_ns(c->env);
    if (news->full_ns == 0)
        return PRESENCE_HERE;
    if (news->wrote_ns < news->full_ns || now - news->full_ns < ROOM_QUIET_MS * NS_PER_MS)
        return PRESENCE_MISSING;
    return room >= ROOM_MIN_BYTES ? PRESENCE_HERE : PRESENCE_MISSING;
}

static void tell_room(struct cluster *c)
{
    const struct store_news *news = c->env->store_news;
    struct presence_track before = c->no_room;
    if (news->full_ns == 0)
        return;
    uint64_t room = cluster_store_room(c), now = env_now_ns(c->env);
    char field[48];
    switch (presence_step(&c->no_room, room_in_store(c, room), now, 0, 0)) {
    case NEWS_LOST:
        c->full_count_told = news->full_count - 1;
        cluster_tell(c, LOG_ERROR, "store_full", "%sreason=\"commits are refused: no room left\"",
                     room_field(room, field));
        return;
    case NEWS_FOUND:
        cluster_tell(c, LOG_INFO, "store_has_room", "%sfull_ms=%llu refused=%llu",
                     room_field(room, field), ms_since(c, before.since_ns),
                     (unsigned long long)(news->full_count - c->full_count_told));
        return;
    case NEWS_NONE:
        return;
    }
}

bool cluster_store_full(const struct cluster *c)
{
    return c->no_room.told;
}

/* ---- all of it ---- */

bool cluster_misses(const struct cluster *c)
{
    return c->no_primary.told || c->no_majority.told;
}

void cluster_tick(struct cluster *c)
{
    struct health_seen seen;
    if (c->closing || !c->started)
        return;
    (void)cluster_may_act(c);
    look(c, &seen);
    if (health_primary(&seen) == PRESENCE_HERE)
        c->stepped_down = false;
    tell_store(c);
    tell_room(c);
    tell_primary(c, &seen);
    note_primary_then(c);
    tell_majority(c, &seen);
}

void cluster_health(struct cluster *c, struct health_report *out)
{
    struct health_seen seen;
    uint64_t now = env_now_ns(c->env);
    bool acting = cluster_may_act(c);
    look(c, &seen);
    *out = (struct health_report){
        .acting = acting,
        .active = c->state == NODE_ACTIVE,
        .primary_missing = acting && c->no_primary.told,
        .majority_missing = acting && c->no_majority.told,
        .primary_missing_ns = c->no_primary.told ? now - c->no_primary.since_ns : 0,
        .majority_missing_ns = c->no_majority.told ? now - c->no_majority.since_ns : 0,
    };
    if (out->primary_missing && health_primary(&seen) == PRESENCE_HERE)
        out->primary_missing = false; /* back, and about to be told */
    if (out->primary_missing)
        health_primary_why(&seen, out->primary_why, sizeof(out->primary_why));
    if (out->majority_missing)
        health_majority_why(&seen, out->majority_why, sizeof(out->majority_why));
    if (c->no_store.told)
        (void)snprintf(out->store_why, sizeof(out->store_why), "the store does not answer");
    else if (c->no_room.told)
        (void)snprintf(out->store_why, sizeof(out->store_why), "the store has no room left");
}

/*
 * Grey failures: a node that heartbeats, but that most of the others cannot reach. Each Active node
 * pings one other a heartbeat, in turn, keeps at those that do not answer, and says in its heartbeat
 * whom it cannot reach. The primary weighs what is said and flags one node at a time (FlagGrey), which
 * may be itself; that node's next heartbeat is refused (docs/adr/0008-grey-failure.md).
 */
#include "base/mark.h"
#include "base/mutant.h"
#include "cluster/cluster_internal.h"
#include "kelpie/error.h"

#define MISSED_MIN 4         /* pings in a row without an answer: one that is lost says nothing */
#define MISSING_PINGS_MAX 8  /* peers that are kept at, a heartbeat */
#define BACKOFF_LEASES_MAX 3 /* whoever is flagged again and again waits so long */
#define CALM_LEASES 32       /* whoever was Active for so long begins anew */

static uint64_t beat_ns(const struct cluster *c)
{
    return c->config.timing.heartbeat_ms * NS_PER_MS;
}

/* Most accuse it for this long before it is flagged: whoever comes back has answered by then, and
 * the accusers have said so. */
static uint64_t accused_for_ns(const struct cluster *c)
{
    return c->config.timing.rpc_timeout_ms * NS_PER_MS + 3 * beat_ns(c);
}

/* ---- every Active node ---- */

static const struct member *member_of(const struct cluster *c, const char *id, uint64_t incarnation)
{
    const struct member *m = view_find(&c->view, id);
    return m && m->incarnation == incarnation ? m : NULL;
}

void grey_answered(struct peer *p)
{
    if (p->missed > 0)
        p->cluster->missing--;
    p->missed = 0;
}

void grey_missed(struct peer *p, uint64_t sent_ns)
{
    if (p->missed++ > 0)
        return;
    p->cluster->missing++;
    p->missed_since_ns = sent_ns;
}

void grey_clear(struct cluster *c)
{
    c->suspect_count = 0;
    for (struct map_node *n = map_first(&c->peers); n; n = map_next(n)) {
        struct peer *p = MAP_ENTRY(n, struct peer, node);
        grey_answered(p);
        grey_begin_term(p);
    }
}

void grey_begin_term(struct peer *p)
{
    p->accused_since_ns = 0;
    p->beat_looked_ns = 0;
    p->beat_moved_ns = 0;
}

static void ping_member(struct cluster *c, const struct member *m)
{
    struct life life = {.incarnation = m->incarnation, .boot = m->boot};
    memcpy(life.node_id, m->node_id, sizeof(life.node_id));
    if (strcmp(m->node_id, c->config.node_id) != 0)
        peer_ping(c, &life, m->addr);
}

/* Whoever is no member any more is not missed. */
static void ping_missing(struct cluster *c)
{
    size_t pinged = 0;
    for (struct map_node *n = map_first(&c->peers); n && c->missing > 0; n = map_next(n)) {
        struct peer *p = MAP_ENTRY(n, struct peer, node);
        const struct member *m = member_of(c, p->life.node_id, p->life.incarnation);
        if (p->missed == 0)
            continue;
        if (!m)
            grey_answered(p);
        else if (pinged++ < MISSING_PINGS_MAX)
            ping_member(c, m);
    }
}

void grey_ping(struct cluster *c)
{
    if (c->state != NODE_ACTIVE || c->view.count < 2 || !cluster_may_act(c))
        return;
    ping_missing(c);
    for (size_t i = 0; i < c->suspect_count && env_now_ns(c->env) < c->suspects_until_ns; i++) {
        const struct member *m = member_of(c, c->suspects[i].node_id, c->suspects[i].incarnation);
        if (m)
            ping_member(c, m);
    }
    const struct member *next = &c->view.members[c->ping_turn++ % c->view.count];
    if (strcmp(next->node_id, c->config.node_id) == 0)
        next = &c->view.members[c->ping_turn++ % c->view.count];
    ping_member(c, next);
}

static bool is_suspect(const struct cluster *c, const struct peer *p)
{
    for (size_t i = 0; i < c->suspect_count; i++)
        if (c->suspects[i].incarnation == p->life.incarnation &&
            strcmp(c->suspects[i].node_id, p->life.node_id) == 0)
            return true;
    return false;
}

static void add_unreachable(struct cluster *c, const struct peer *p, uint32_t *count)
{
    uint64_t lease_ns = timing_lease_ns(&c->config.timing);
    bool missed = p->missed >= MISSED_MIN && env_now_ns(c->env) - p->missed_since_ns >= lease_ns;
    if (*count == UNREACHABLE_MAX || !(missed || (p->missed > 0 && MUTANT("greyhasty"))) ||
        !member_of(c, p->life.node_id, p->life.incarnation))
        return;
    struct unreachable_peer *u = &c->unreachable[(*count)++];
    memcpy(u->node_id, p->life.node_id, sizeof(u->node_id));
    u->incarnation = p->life.incarnation;
}

/* Suspects first: it is of them that the primary wants to know. */
uint32_t grey_unreachable(struct cluster *c)
{
    uint32_t count = 0;
    memset(c->unreachable, 0, sizeof(c->unreachable));
    if (c->missing == 0 || c->state != NODE_ACTIVE || !c->acting)
        return 0;
    for (int suspects = 1; suspects >= 0; suspects--)
        for (struct map_node *n = map_first(&c->peers); n; n = map_next(n)) {
            const struct peer *p = MAP_ENTRY(n, struct peer, node);
            if (is_suspect(c, p) == (suspects == 1))
                add_unreachable(c, p, &count);
        }
    return count;
}

void grey_put_suspects(const struct cluster *c, struct buf *out)
{
    for (size_t i = 0; i < c->suspect_count; i++) {
        buf_append_blob(out, bytes_of_str(c->suspects[i].node_id));
        buf_append_u64(out, c->suspects[i].incarnation);
    }
}

void grey_take_suspects(struct cluster *c, struct bytes payload)
{
    struct unreachable_peer next[SUSPECTS_MAX] = {0};
    struct reader r = reader_of(payload);
    size_t count = 0;
    if (c->claim || payload.len == 0)
        return;
    while (r.rest.len > 0 && r.ok && count < SUSPECTS_MAX) {
        struct bytes id = reader_blob(&r, NODE_ID_MAX);
        if (id.len > 0)
            memcpy(next[count].node_id, id.data, id.len);
        next[count++].incarnation = reader_u64(&r);
    }
    if (!reader_end(&r))
        return;
    memcpy(c->suspects, next, sizeof(next));
    c->suspect_count = count;
    c->suspects_until_ns = env_now_ns(c->env) + timing_lease_ns(&c->config.timing);
}

/* ---- the primary ---- */

/* Without a look so lately nobody knows when a heartbeat moved. */
static uint64_t lately_ns(const struct cluster *c)
{
    uint64_t half_ns = timing_lease_ns(&c->config.timing) / 2, few_ns = 3 * beat_ns(c);
    return half_ns > few_ns ? half_ns : few_ns;
}

/* Looks whether its heartbeat moved between two looks of this term: only then it lives. */
static void look_at(struct cluster *c, struct peer *p)
{
    const struct sighting *s = detector_find(&c->detector, p->life.node_id);
    uint64_t now = env_now_ns(c->env);
    if (!s || s->record.incarnation != p->life.incarnation ||
        !uuid_equal(s->record.boot, p->life.boot))
        return;
    bool looked = p->beat_looked_ns && now - p->beat_looked_ns <= lately_ns(c);
    if ((looked || MUTANT("greyfirst")) && s->record.counter != p->beat_counter)
        p->beat_moved_ns = now;
    p->beat_counter = s->record.counter;
    p->beat_looked_ns = now;
}

static bool moves(const struct cluster *c, const struct peer *p)
{
    return p->beat_moved_ns && env_now_ns(c->env) - p->beat_moved_ns <= lately_ns(c);
}

/* This node among its peers: what the others say of it counts as of any other. */
static struct peer *own_peer(struct cluster *c, const struct known_node *k)
{
    struct peer *p = MUTANT("greyself") ? NULL : peer_get(c, &k->life);
    if (p &&
        (p->life.incarnation != k->life.incarnation || !uuid_equal(p->life.boot, k->life.boot))) {
        p->life = k->life;
        grey_begin_term(p);
    }
    return p;
}

/* The peer of that node's present life; NULL when that was not pinged yet. */
static struct peer *peer_of(struct cluster *c, const struct known_node *k)
{
    if (strcmp(k->life.node_id, c->config.node_id) == 0)
        return own_peer(c, k);
    struct peer *p = peer_find(c, k->life.node_id);
    bool same =
        p && p->life.incarnation == k->life.incarnation && uuid_equal(p->life.boot, k->life.boot);
    return same ? p : NULL;
}

static void count_accusers(struct cluster *c, const struct life *of)
{
    const struct sighting *s = detector_find(&c->detector, of->node_id);
    for (uint32_t i = 0; s && i < s->record.unreachable_count; i++) {
        const struct unreachable_peer *u = &s->record.unreachable[i];
        struct peer *p = peer_find(c, u->node_id);
        if (p && p->life.incarnation == u->incarnation)
            p->accusers++;
    }
}

/* Returns how many nodes are Active and not flagged; of those that heartbeat, what they say counts. */
static size_t weigh(struct cluster *c)
{
    size_t active = 0;
    for (struct map_node *n = map_first(&c->peers); n; n = map_next(n))
        MAP_ENTRY(n, struct peer, node)->accusers = 0;
    for (size_t i = 0; i < c->node_count; i++) {
        const struct known_node *k = &c->nodes[i];
        struct peer *p = peer_of(c, k);
        bool own = strcmp(k->life.node_id, c->config.node_id) == 0;
        if (k->state != NODE_ACTIVE || k->flagged)
            continue;
        active++;
        if (p)
            look_at(c, p);
        if (own || (p && moves(c, p)))
            count_accusers(c, &k->life);
    }
    return active;
}

static bool before(const struct peer *a, const struct peer *b)
{
    if (a->accusers != b->accusers)
        return a->accusers > b->accusers;
    return a->missed > b->missed;
}

/* Keeps the worst: those whom most say they cannot reach, then those that this node misses. */
static void add_suspect(struct cluster *c, const struct peer *worst[SUSPECTS_MAX], struct peer *p)
{
    size_t at = c->suspect_count;
    if (p->accusers == 0 && p->missed < 2)
        return;
    while (at > 0 && before(p, worst[at - 1]))
        at--;
    if (at == SUSPECTS_MAX)
        return;
    if (c->suspect_count < SUSPECTS_MAX)
        c->suspect_count++;
    for (size_t i = c->suspect_count - 1; i > at; i--)
        worst[i] = worst[i - 1];
    worst[at] = p;
}

static void on_flag(struct txn *t, int status)
{
    struct cluster *c = t->arg;
    const struct flag_op *op = &c->flag;
    if (c->closing)
        return;
    if (status == 0 && t->committed) {
        if (strcmp(op->target.node_id, c->config.node_id) == 0)
            SOMETIMES("primary-flags-itself");
        c->stats.nodes_flagged++;
        char who[ID_QUOTED_SIZE], by[ID_QUOTED_SIZE];
        cluster_tell(c, LOG_WARN, "node_flagged",
                     "who=%s incarnation=%llu by=%s accusers=%zu observers=%zu "
                     "reason=\"most others cannot reach it\"",
                     quote_id(op->target.node_id, who), (unsigned long long)op->target.incarnation,
                     quote_id(c->config.node_id, by), op->accusers, op->observers);
    } else if (status) {
        set_reason(c, "%s", txn_why(t, status));
        c->flag_pause_until_ns = env_now_ns(c->env) + timing_lease_ns(&c->config.timing);
    }
    scan_now(c);
}

static void flag_start(struct cluster *c, const struct life *target)
{
    struct flag_op *op = &c->flag;
    memset(op, 0, offsetof(struct flag_op, txn));
    op->ks = &c->config.ks;
    op->self = self_life(c);
    op->term = c->claim;
    op->target = *target;
    flag_prepare(op, c->env, on_flag, c);
    op->txn.give_up_ns = timing_lease_ns(&c->config.timing) / 2;
    txn_start(&op->txn);
}

/* Most accuse it, while it heartbeats, and did so for a while. */
static bool is_grey(struct cluster *c, struct peer *p, size_t observers)
{
    uint64_t now = env_now_ns(c->env);
    bool most = 2 * p->accusers > observers || (MUTANT("greyquorum") && p->accusers > 0);
    if (!most || !moves(c, p))
        p->accused_since_ns = 0;
    else if (p->accused_since_ns == 0)
        p->accused_since_ns = now;
    return p->accused_since_ns && now - p->accused_since_ns >= accused_for_ns(c);
}

void grey_judge(struct cluster *c)
{
    const struct peer *worst[SUSPECTS_MAX];
    const struct known_node *grey = NULL;
    if (c->claim == 0 || !c->scanned || !cluster_may_act(c))
        return;
    size_t active = weigh(c), most = 0;
    c->suspect_count = 0;
    for (size_t i = 0; i < c->node_count; i++) {
        const struct known_node *k = &c->nodes[i];
        struct peer *p = peer_of(c, k);
        if (!p || k->state != NODE_ACTIVE || k->flagged)
            continue;
        add_suspect(c, worst, p);
        if (is_grey(c, p, active - 1) && p->accusers > most) {
            most = p->accusers;
            grey = k;
        }
    }
    for (size_t i = 0; i < c->suspect_count; i++) {
        memcpy(c->suspects[i].node_id, worst[i]->life.node_id, sizeof(worst[i]->life.node_id));
        c->suspects[i].incarnation = worst[i]->life.incarnation;
    }
    if (grey && majority_reached(c) && !txn_active(&c->flag.txn) && !MUTANT("greynever") &&
        env_now_ns(c->env) >= c->flag_pause_until_ns)
        flag_start(c, &grey->life);
}

/* ---- who was flagged ---- */

void grey_back_off(struct cluster *c)
{
    uint64_t now = env_now_ns(c->env), lease_ns = timing_lease_ns(&c->config.timing);
    if (c->active_since_ns == 0)
        return; /* it was started since, or has not been Active since the last wait */
    if (now - c->active_since_ns >= CALM_LEASES * lease_ns)
        c->flags_in_a_row = 0;
    c->active_since_ns = 0;
    if (c->flags_in_a_row < BACKOFF_LEASES_MAX)
        c->flags_in_a_row++;
    c->rejoin_from_ns =
        now + c->flags_in_a_row * lease_ns + random_below(c->env->random, lease_ns / 2);
}

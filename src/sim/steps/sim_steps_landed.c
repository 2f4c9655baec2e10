/* Transactions: a step when they land. */
#include "cluster/cluster.h"
#include "sim/steps/sim_steps_link.h"
#include "sim/stores/sim_store.h"
#include "sim/world/sim_host.h"
#include "sim/world/sim_net.h"

struct landing {
    struct steps *s;
    const struct commit_seen *seen;
    const struct shadow_change *change;
    unsigned n; /* the node of whoever sent it */
    struct step_tracked *t;
    struct process *p; /* the sender, while it lives */
    bool from_dead;    /* it was the member when it died */
};

static struct process *sender(const struct world *w, const struct commit_seen *seen)
{
    LIST_FOREACH(it, &w->processes)
    {
        struct process *p = LIST_ENTRY(it, struct process, link);
        if (p->life == seen->life)
            return p;
    }
    return NULL;
}

/* ---- who does it */

/* It landed after its process had died: then that process died later, as far as it matters. */
static void back_to_life(struct landing *l)
{
    struct step_tracked *t = l->t;

    if (l->p || t->dead != l->seen->life || t->crash_line == STEP_NOWHERE || t->model.owner)
        return;
    l->s->lines[t->crash_line].live = false;
    step_doubt(l->s, t->crash_line, l->n);
    t->model = t->was;
    l->from_dead = true;
}

static void dead_again(struct landing *l)
{
    if (l->from_dead)
        step_gone(l->s, l->n);
}

/* The older process lost its lease while the newer one was there already: seen from the newer one,
 * that was the end of a twin, if it did nothing since. */
static bool was_twin(struct steps *s, unsigned node)
{
    struct step_tracked *t = &s->nodes[node];
    size_t at = t->expire_line;

    if (at == STEP_NOWHERE || !step_runs_any(&t->expired) || t->expired.me == NODE_LEFT ||
        at + 1 >= s->count || s->lines[at + 1].action != STEP_TwinExpire)
        return false;
    for (size_t i = at + 2; i < s->count; i++) {
        const struct step *l = &s->lines[i];
        if (l->live && l->node == node + 1 && l->action != STEP_Notice &&
            l->action != STEP_CreatePartition && l->action != STEP_HealPartition)
            return false;
    }
    s->lines[at].action = STEP_Twin;
    s->lines[at + 1].live = true;
    if (t->notice_line != STEP_NOWHERE)
        s->lines[t->notice_line].live = false;
    step_doubt(s, at, node);
    return true;
}

/* A newer process of that id acts: it is the node from here on. The older one with a lease is a twin,
 * which the specification allows only where it runs something: else that is where a replay stops. */
static void take_over(struct landing *l)
{
    struct step_tracked *t = l->t;
    struct steps *s = l->s;
    const struct cluster *c = t->p ? node_cluster(process_node(t->p)) : NULL;
    bool acts = c && cluster_lease_left_ns(c) > 0;

    if (t->model.owner == 0 || t->model.owner == l->seen->life)
        return;
    struct process *old = t->p;
    unsigned life = t->model.owner;
    bool member = t->model.me != NODE_LEFT, twin = member && !acts && was_twin(s, l->n);
    step_no_member(t);
    if (!member || twin)
        return;
    step_add(s, acts ? STEP_Twin : STEP_NodeCrash, l->n);
    if (acts) {
        t->twin = life;
        t->twin_p = old;
    }
}

/* The lease ran out after this was sent: then it ran out later, as far as it matters. */
static bool hold_lease(struct landing *l)
{
    struct step_tracked *t = l->t;

    if (t->model.lease || t->expire_line == STEP_NOWHERE ||
        l->s->lines[t->expire_line].at_ns < l->seen->sent_ns)
        return false;
    l->s->lines[t->expire_line].live = false;
    if (t->notice_line != STEP_NOWHERE) {
        l->s->lines[t->notice_line].live = false;
        t->model.claim = t->expired.claim;
        memcpy(t->model.runs, t->expired.runs, sizeof t->model.runs);
    }
    t->model.lease = true;
    return true;
}

/* It was begun with a lease, and tried again until it landed without one: in the specification a
 * heartbeat can have come before it. */
static bool lend_lease(struct landing *l)
{
    struct step_tracked *t = l->t;

    if (t->model.lease || t->model.me == NODE_LEFT)
        return false;
    size_t at = step_add(l->s, STEP_SendHeartbeat, l->n);
    l->s->lines[at].implied = true;
    t->model.lease = true;
    if (t->model.me == NODE_ACTIVE)
        t->model.view = l->s->store.view;
    t->notice_line = STEP_NOWHERE;
    return true;
}

static void let_go(struct landing *l)
{
    struct step_tracked *t = l->t;
    bool noticed = t->notice_line != STEP_NOWHERE;

    t->expired = t->model;
    t->model.lease = false;
    t->expire_line = step_add(l->s, STEP_LeaseExpire, l->n);
    t->notice_line = STEP_NOWHERE;
    if (!noticed)
        return;
    t->model.claim = 0;
    memset(t->model.runs, 0, sizeof t->model.runs);
    t->notice_line = step_add(l->s, STEP_Notice, l->n);
}

/* The line of a transaction, by a member. */
static struct step *land(struct landing *l, enum step_action a)
{
    step_prepare(l->s, a, l->n);
    step_refresh(l->s);
    size_t at = step_add(l->s, a, l->n);
    return &l->s->lines[at];
}

/* Whom the node has heard from within a lease of sending this. */
static uint32_t heard(const struct landing *l)
{
    const struct world *w = l->s->w;
    const struct timing *t = &w->config.timing;
    uint64_t within = timing_lease_ns(t) + timing_lease_ns(t) * 2 * DRIFT_PERCENT / 100 +
                      t->rpc_timeout_ms * NS_PER_MS;
    uint32_t set = 1u << l->n;

    for (unsigned n = 0; n < w->config.nodes; n++) {
        uint64_t at = n == l->n ? 0 : sim_net_last_ns(w->net, n, l->n);
        if (at > 0 && at + within >= l->seen->sent_ns)
            set |= 1u << n;
    }
    return set;
}

/* ---- members */

static void on_node_join(struct landing *l)
{
    struct step_tracked *t = l->t;
    struct steps *s = l->s;
    const struct node_record *row = &s->w->shadow->nodes[l->n].rec;
    bool founds = row->state == NODE_ACTIVE;

    t->joining = 0;
    if (!l->p) {
        if (t->die_life == l->seen->life) {
            s->lines[t->die_line].live = true;
            if (t->declare_line != STEP_NOWHERE)
                s->lines[t->declare_line].live = true;
        }
        land(l, STEP_CommitJoin);
        return;
    }
    take_over(l);
    t->p = l->p;
    t->model =
        (struct step_model){.owner = l->seen->life,
                            .me = row->state,
                            .incarnation = shadow_life(s->w->shadow, (int)l->n, row->incarnation),
                            .view = founds ? (uint32_t)s->w->shadow->view.number : 0,
                            .claim = founds ? (uint32_t)s->w->shadow->term : 0,
                            .lease = true};
    land(l, STEP_NodeJoin);
}

static void on_node_join_complete(struct landing *l)
{
    struct steps *s = l->s;
    uint32_t with = heard(l);

    l->t->model.me = NODE_ACTIVE;
    l->t->model.view = (uint32_t)s->w->shadow->view.number;
    land(l, STEP_NodeJoinComplete)->with = with;
}

static void on_node_leave(struct landing *l)
{
    l->t->model.me = NODE_LEAVING;
    l->t->model.claim = 0;
    land(l, STEP_NodeLeave);
}

static void on_node_leave_complete(struct landing *l)
{
    l->t->model.me = NODE_LEFT;
    l->t->model.lease = false;
    l->t->model.view = 0;
    land(l, STEP_NodeLeaveComplete);
}

/* One that lands without a lease renews nothing by itself. If the node hears of it, and takes its
 * lease up again, it was a step; till then its line waits. */
static void send_heartbeat(struct landing *l)
{
    struct step_tracked *t = l->t;
    struct steps *s = l->s;
    uint32_t ack = (uint32_t)s->w->shadow->nodes[l->n].heartbeat.ack;

    if (!l->p || t->p != l->p) {
        step_refresh(s);
        return;
    }
    if (!t->model.lease) {
        step_refresh(s);
        t->revive_line = step_reserve(s, STEP_SendHeartbeat, l->n);
        t->revive_view = s->store.view;
        return;
    }
    if (t->model.me == NODE_ACTIVE && ack > t->model.view) {
        t->model.view = ack;
        size_t at = step_add(s, STEP_SyncViews, l->n);
        s->lines[at].number = ack;
    }
    land(l, STEP_SendHeartbeat);
}

/* ---- failing */

/* The node whose row went to that state, + 1; 0: none did. */
static uint32_t changed_to(const struct landing *l, enum node_state to)
{
    const struct shadow *sh = l->s->w->shadow;

    for (unsigned n = 0; n < SIM_NODES_MAX; n++)
        if ((l->change->nodes >> n & 1u) && l->change->before[n] != to &&
            sh->nodes[n].rec.state == to)
            return n + 1;
    return 0;
}

static uint32_t failed_or_left(const struct landing *l)
{
    uint32_t n = changed_to(l, NODE_FAILED);
    return n ? n : changed_to(l, NODE_LEFT);
}

static void about_other(struct landing *l, enum step_action a)
{
    uint32_t other = failed_or_left(l);

    if (other)
        step_expire(l->s, other - 1);
    land(l, a)->other = other;
}

static void mark_node_failed(struct landing *l)
{
    about_other(l, STEP_MarkNodeFailed);
}

static void forget(struct landing *l)
{
    about_other(l, STEP_Forget);
}

static void mark_dead_all(struct landing *l)
{
    take_over(l);
    for (unsigned n = 0; n < l->s->w->config.nodes; n++)
        if (l->change->before[n] == NODE_ACTIVE)
            step_expire(l->s, n);
    about_other(l, STEP_MarkDeadAll);
}

static void force_forget(struct landing *l)
{
    const struct primary_record *old = &l->change->old_primary;
    uint32_t other = failed_or_left(l);

    if (!old->vacant && shadow_node_number(old->node_id) >= 0)
        step_expire(l->s, (unsigned)shadow_node_number(old->node_id));
    if (other == 0) {
        step_refresh(l->s);
        return;
    }
    enum node_state before = l->change->before[other - 1];
    bool strikes = before == NODE_ACTIVE || before == NODE_FAILED;
    step_expire(l->s, other - 1);
    step_refresh(l->s);
    step_add(l->s, strikes ? STEP_ForceForget : STEP_ForceFail, other - 1);
}

static void on_node_recover(struct landing *l)
{
    take_over(l);
    land(l, STEP_NodeRecover);
}

/* What it only writes again matters when a join of the dead process lands after it. */
static void declare_dead(struct landing *l)
{
    struct step_tracked *t = l->t;

    if (changed_to(l, NODE_FAILED)) {
        land(l, STEP_DeclareDead)->number = l->s->rows[l->n].incarnation;
        return;
    }
    step_refresh(l->s);
    if (t->die_line == STEP_NOWHERE || t->declare_line != STEP_NOWHERE ||
        l->s->rows[l->n].state != NODE_LEFT)
        return;
    t->declare_line = step_reserve(l->s, STEP_DeclareDead, l->n);
    l->s->lines[t->declare_line].number = l->s->rows[l->n].incarnation + 1;
}

/* ---- the primary */

static void elect_primary(struct landing *l)
{
    const struct primary_record *old = &l->change->old_primary;
    int held = old->vacant ? -1 : shadow_node_number(old->node_id);
    struct step_tracked *t = l->t;
    uint32_t with = heard(l);

    if (held >= 0 && (unsigned)held != l->n)
        step_expire(l->s, (unsigned)held);
    if (t->model.claim) {
        t->model.claim = 0;
        step_add(l->s, STEP_GiveUp, l->n);
    }
    t->model.claim = (uint32_t)l->s->w->shadow->term;
    land(l, STEP_ElectPrimary)->with = with;
}

/* Whom it no longer reaches is its own word: answers to pings, for a whole lease. */
static void step_down(struct landing *l)
{
    l->t->model.claim = 0;
    land(l, STEP_PrimaryStepDown)->with = 1u << l->n;
}

/* ---- actors */

/* The attempt that was sent at that time; the last one, if none is given. What is tried again once
 * the lease is over was sent, as far as that matters, by the last attempt with a lease. */
static struct step_sent *sent_find(struct landing *l, const struct step_sent *like)
{
    struct steps *s = l->s;
    size_t from = s->sent_count > STEP_SENT_MAX ? s->sent_count - STEP_SENT_MAX : 0;
    struct step_sent *found = NULL;

    for (size_t i = s->sent_count; i-- > from;) {
        struct step_sent *e = &s->sent[i % STEP_SENT_MAX];
        if (e->life != l->seen->life || e->action != like->action || e->actor != like->actor ||
            e->generation != like->generation || s->lines[e->line].live ||
            (!found && like->sent_ns && e->sent_ns != like->sent_ns))
            continue;
        if (e->leased)
            return e;
        if (!found)
            found = e;
    }
    return found;
}

/* It was a step. Without any lease, one that a heartbeat lent for it. */
static void sent_lives(struct steps *s, const struct step_sent *e)
{
    s->lines[e->line].live = true;
    if (e->leased || s->full)
        return;
    s->lines[e->line - 1].live = true;
    s->lines[e->line + 1].live = true;
}

/* Which placement of those told of this commit changed, + 1; 0: none. */
static uint32_t moved(const struct landing *l)
{
    struct step_place old[STEP_ACTORS_MAX];

    memcpy(old, l->s->store.place, sizeof old);
    step_refresh(l->s);
    for (unsigned a = 0; a < l->s->actors; a++) {
        const struct step_place *now = &l->s->store.place[a];
        if (old[a].node != now->node || old[a].generation != now->generation)
            return a + 1;
    }
    return 0;
}

static void place_actor(struct landing *l)
{
    uint32_t actor = moved(l);

    if (!actor)
        return;
    uint32_t host = l->s->store.place[actor - 1].node;
    size_t at = step_add(l->s, STEP_PlaceActor, host ? host - 1 : l->n);
    l->s->lines[at].actor = actor;
}

static void commit_move(struct landing *l, enum step_action sent)
{
    uint32_t actor = moved(l);

    if (!actor)
        return;
    const struct step_place *to = &l->s->store.place[actor - 1];
    uint32_t generation = to->generation - (sent == STEP_MigrateActor);
    struct step_sent like = {
        .action = sent, .actor = actor, .generation = generation, .sent_ns = l->seen->sent_ns};
    const struct step_sent *e = sent_find(l, &like);
    if (e)
        sent_lives(l->s, e);
    size_t at = step_add(l->s, STEP_CommitMove, l->n);
    l->s->lines[at].actor = actor;
    l->s->lines[at].other = to->node;
    l->s->lines[at].number = generation;
}

static void migrate_actor(struct landing *l)
{
    commit_move(l, STEP_MigrateActor);
}

static void release_actor(struct landing *l)
{
    commit_move(l, STEP_ReleaseActor);
}

/* In the specification a node takes an actor back from a hand-over or a release that it has sent. In
 * the code also from a write whose result is unknown: a release that never lands stands for it. */
static void abort_move(struct landing *l)
{
    struct steps *s = l->s;

    step_prepare(s, STEP_AbortMove, l->n);
    struct step_store before = s->store;
    uint32_t actor = moved(l);
    if (!actor)
        return;
    struct step_store now = s->store;
    uint32_t generation = before.place[actor - 1].generation;
    struct step_sent like = {.action = STEP_MigrateActor, .actor = actor, .generation = generation};
    const struct step_sent *e = sent_find(l, &like);
    like.action = STEP_ReleaseActor;
    if (!e)
        e = sent_find(l, &like);
    s->store = before;
    if (e) {
        sent_lives(s, e);
    } else {
        size_t release = step_add(s, STEP_ReleaseActor, l->n);
        s->lines[release].implied = true;
        s->lines[release].actor = actor;
        s->lines[release].number = generation;
    }
    s->store = now;
    size_t at = step_add(s, STEP_AbortMove, l->n);
    s->lines[at].actor = actor;
    s->lines[at].number = generation + 1;
}

static bool written(struct steps *s, const struct store_write *w, uint32_t *actor,
                    struct head_record *r)
{
    struct key_parts parts;

    if (w->kind != STORE_PUT || key_parse(&s->w->shadow->ks, w->key, &parts) ||
        parts.family != KEY_HEAD)
        return false;
    int a = step_actor(s, parts.type, parts.id);
    if (a < 0)
        return false;
    *actor = (uint32_t)a + 1;
    buf_clear(&s->scratch);
    if (head_record_decode(w->key, w->value, &s->scratch, r))
        return false;
    r->generation = shadow_generation(s->followed[a], r->generation);
    return true;
}

static void commit_write(struct landing *l)
{
    struct head_record r;
    uint32_t actor;

    step_refresh(l->s);
    for (size_t i = 0; i < l->seen->write_count; i++) {
        if (!written(l->s, &l->seen->writes[i], &actor, &r))
            continue;
        struct step_sent like = {.action = STEP_SendWrite,
                                 .actor = actor,
                                 .generation = (uint32_t)r.generation,
                                 .sent_ns = l->seen->sent_ns};
        const struct step_sent *e = sent_find(l, &like);
        if (e)
            sent_lives(l->s, e);
        size_t at = step_add(l->s, STEP_CommitWrite, l->n);
        l->s->lines[at].actor = actor;
        l->s->lines[at].number = (uint32_t)r.generation;
    }
}

static void host_types(struct landing *l)
{
    bool before = l->s->rows[l->n].hosts;

    step_refresh(l->s);
    if (l->s->rows[l->n].hosts != before)
        (void)step_add(l->s, STEP_HostTypes, l->n);
}

/* ---- */

static const struct {
    const char *name;
    void (*landed)(struct landing *l);
    unsigned member; /* the sender acts as the member that it is; needs its lease */
} transactions[] = {
    {"NodeJoin", on_node_join, 0},        {"NodeJoinComplete", on_node_join_complete, 2},
    {"NodeLeave", on_node_leave, 2},      {"NodeLeaveComplete", on_node_leave_complete, 1},
    {"SendHeartbeat", send_heartbeat, 0}, {"MarkNodeFailed", mark_node_failed, 2},
    {"MarkDeadAll", mark_dead_all, 0},    {"Forget", forget, 2},
    {"ForceForget", force_forget, 0},     {"NodeRecover", on_node_recover, 0},
    {"DeclareDead", declare_dead, 0},     {"ElectPrimary", elect_primary, 2},
    {"PrimaryStepDown", step_down, 1},    {"PlaceActor", place_actor, 0},
    {"MigrateActor", migrate_actor, 0},   {"ReleaseActor", release_actor, 0},
    {"AbortMigration", abort_move, 2},    {"CommitWrite", commit_write, 0},
    {"HostTypes", host_types, 2},
};

static void reserve_views(struct steps *s)
{
    for (unsigned n = 0; n < s->w->config.nodes; n++) {
        struct step_tracked *t = &s->nodes[n];
        if (t->model.me != NODE_ACTIVE || t->cut_off || t->model.view >= s->store.view)
            continue;
        unsigned i = s->store.view % STEP_VIEWS_MAX;
        t->read_at[i].view = s->store.view;
        t->read_at[i].line = step_reserve(s, STEP_SyncViews, n);
        s->lines[t->read_at[i].line].number = s->store.view;
    }
}

void steps_on_commit(struct world *w, const struct shadow_change *change)
{
    const struct commit_seen *seen = change->seen;
    struct steps *s = w->steps;
    struct landing l = {.s = s,
                        .seen = seen,
                        .change = change,
                        .n = seen->node,
                        .t = &s->nodes[seen->node],
                        .p = sender(w, seen)};

    step_prepare(s, STEP_CommitMove, l.n);
    if (w->shadow->view.number != s->store.view)
        reserve_views(s);
    for (size_t i = 0; seen->action && i < ARRAY_LEN(transactions); i++) {
        if (strcmp(transactions[i].name, seen->action) != 0)
            continue;
        if (transactions[i].member)
            back_to_life(&l);
        bool leased = transactions[i].member == 2;
        bool held = leased && hold_lease(&l), lent = leased && !held && lend_lease(&l);
        transactions[i].landed(&l);
        if (held || lent)
            let_go(&l);
        if (lent) {
            l.t->lent_line = l.t->expire_line;
            s->lines[l.t->lent_line].implied = true;
        }
        dead_again(&l);
        return;
    }
    step_refresh(s);
}

/* ---- sent */

static void sent_add(struct steps *s, const struct process *p, const struct step_sent *like)
{
    struct step_sent *e = &s->sent[s->sent_count++ % STEP_SENT_MAX];

    *e = *like;
    e->life = p->life;
    e->sent_ns = s->w->now_ns;
    step_prepare(s, like->action, p->node);
    e->leased = s->nodes[p->node].model.lease || like->action == STEP_ReleaseActor;
    if (!e->leased)
        s->lines[step_reserve(s, STEP_SendHeartbeat, p->node)].implied = true;
    e->line = step_reserve(s, like->action, p->node);
    if (!e->leased)
        s->lines[step_reserve(s, STEP_LeaseExpire, p->node)].implied = true;
    struct step *l = &s->lines[e->line];
    l->actor = like->actor;
    l->number = like->generation;
    l->other = like->to;
}

static void placement_sent(struct steps *s, const struct process *p, enum step_action a,
                           const struct store_write *w)
{
    struct placement_record r;
    struct key_parts parts;

    if (w->kind != STORE_PUT || key_parse(&s->w->shadow->ks, w->key, &parts) ||
        parts.family != KEY_ACTOR)
        return;
    int actor = step_actor(s, parts.type, parts.id);
    buf_clear(&s->scratch);
    if (actor < 0 || placement_record_decode(w->key, w->value, &s->scratch, &r))
        return;
    r.generation = shadow_generation(s->followed[actor], r.generation);
    struct step_sent sent = {.action = a,
                             .actor = (uint32_t)actor + 1,
                             .generation = (uint32_t)r.generation - (a == STEP_MigrateActor),
                             .to = r.placed ? (uint32_t)shadow_node_number(r.node_id) + 1 : 0};
    sent_add(s, p, &sent);
}

void steps_on_send(const struct process *p, const char *action, const struct store_req *req)
{
    struct steps *s = p->world->steps;
    struct head_record r;
    struct step_sent sent = {.action = STEP_SendWrite};

    if (!action)
        return;
    if (strcmp(action, "NodeJoin") == 0)
        s->nodes[p->node].joining = p->life;
    for (size_t i = 0; i < req->write_count; i++) {
        if (strcmp(action, "MigrateActor") == 0)
            placement_sent(s, p, STEP_MigrateActor, &req->writes[i]);
        else if (strcmp(action, "ReleaseActor") == 0)
            placement_sent(s, p, STEP_ReleaseActor, &req->writes[i]);
        else if (strcmp(action, "CommitWrite") == 0 &&
                 written(s, &req->writes[i], &sent.actor, &r)) {
            sent.generation = (uint32_t)r.generation;
            sent_add(s, p, &sent);
        }
    }
}

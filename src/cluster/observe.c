/*
 * What the store says: a cheap poll once a heartbeat (view, primary, the primary's heartbeat), a scan
 * of all nodes where one is needed (before joining, by the primary, after a gap), a peek at
 * heartbeats whose watch fired. Watches only make these happen sooner.
 */
#include <stdio.h>

#include "base/hash128.h"
#include "base/mark.h"
#include "base/mutant.h"
#include "cluster/cluster_internal.h"
#include "kelpie/error.h"

enum { POLL_VIEW, POLL_CHANGES, POLL_PRIMARY, POLL_HEARTBEAT, POLL_NODE };
enum { SCAN_FORMAT, SCAN_VIEW, SCAN_PRIMARY, SCAN_NODES, SCAN_HEARTBEATS };
#define POLL_CHANGES_MAX 64
#define VIEW_NAMES_SIZE 320 /* of those who came, or went, in an event */
#define VIEW_NAMES_TAIL 24
#define VIEW_NAMES_QUOTED (VIEW_NAMES_SIZE + 128)

static enum verdict look_rule(struct rule_ctx *ctx, void *arg)
{
    (void)ctx;
    (void)arg;
    return RULE_DONE;
}

const struct known_node *known_find(const struct cluster *c, const char *node_id)
{
    for (size_t i = 0; i < c->node_count; i++)
        if (strcmp(c->nodes[i].life.node_id, node_id) == 0)
            return &c->nodes[i];
    return NULL;
}

/* ---- records that fail their checksum ---- */

/* Each is reported when it is found, and again once in a while, however often it is read. */
void report_corrupt(struct cluster *c, const struct txn *txn, int error)
{
    uint64_t now = env_now_ns(c->env), oldest = UINT64_MAX;
    struct hash128 h = hash128_start();
    struct corrupt_told *told = NULL;
    if (error != KELPIE_E_STORE_CORRUPT)
        return;
    hash128_bytes(&h, bytes_of_str(txn->reason));
    h = hash128_value(&h);
    for (size_t i = 0; i < CORRUPT_TOLD_MAX; i++) {
        struct corrupt_told *t = &c->corrupt_told[i];
        if (t->hash == h.lo && t->at_ns && now - t->at_ns < CORRUPT_TELL_MS * NS_PER_MS)
            return;
        if (t->at_ns < oldest) {
            oldest = t->at_ns;
            told = t;
        }
    }
    char quoted[2 * TXN_REASON_SIZE];
    CHECK(told);
    *told = (struct corrupt_told){.hash = h.lo, .at_ns = now};
    cluster_tell(c, LOG_ERROR, "record_corrupt", "action=%s why=%s", txn->action,
                 log_quote(txn->reason, quoted, sizeof(quoted)));
}

/* ---- views ---- */

/* The ids of `a`'s members that are not, in that life, in `b`: as many as fit, with commas. */
static const char *names_beyond(const struct view *a, const struct view *b,
                                char out[VIEW_NAMES_QUOTED])
{
    char names[VIEW_NAMES_SIZE] = "";
    size_t len = 0, left_out = 0;
    for (size_t i = 0, k = 0; i < a->count; i++) {
        const struct member *m = &a->members[i], *same = view_next(b, &k, m->node_id);
        if (same && uuid_equal(same->boot, m->boot) && same->incarnation == m->incarnation)
            continue;
        if (left_out || len + strlen(m->node_id) + 2 > sizeof(names) - VIEW_NAMES_TAIL)
            left_out++;
        else
            len += (size_t)snprintf(names + len, sizeof(names) - len, "%s%s", len ? "," : "",
                                    m->node_id);
    }
    if (left_out)
        (void)snprintf(names + len, sizeof(names) - len, " and %zu more", left_out);
    return log_quote(names, out, VIEW_NAMES_QUOTED);
}

/* Who came and who went; a life of the same id that took another's place did both. */
static void tell_view(struct cluster *c, const struct view *old)
{
    char came[VIEW_NAMES_QUOTED], gone[VIEW_NAMES_QUOTED];
    cluster_tell(c, LOG_INFO, "view", "number=%llu members=%zu came=%s gone=%s",
                 (unsigned long long)c->view.number, c->view.count,
                 names_beyond(&c->view, old, came), names_beyond(old, &c->view, gone));
}

void view_adopt(struct cluster *c, struct view *next)
{
    struct view old = c->view;
    struct member *gone = NULL;
    size_t gone_count = 0;
    CHECK(next->number >= old.number || old.number == 0);
    c->view = *next;
    view_init(next);
    for (size_t i = 0, k = 0; i < old.count; i++) {
        const struct member *m = &old.members[i];
        const struct member *now = view_next(&c->view, &k, m->node_id);
        if (now && uuid_equal(now->boot, m->boot) && now->incarnation == m->incarnation)
            continue;
        gone = mem_resize(c->env->mem, gone, (gone_count + 1) * sizeof(*gone));
        gone[gone_count++] = *m;
    }
    if (old.number != c->view.number) {
        c->stats.view_changes_seen++;
        tell_view(c, &old);
        if (c->events.view_changed && state_hosts(c->state))
            c->events.view_changed(c->arg, &c->view, gone, gone_count);
    }
    for (size_t i = 0; i < gone_count; i++)
        rpc_fail_boot(c->rpc, gone[i].boot);
    mem_free(c->env->mem, gone);
    view_clear(&old, c->env->mem);
}

int view_from_rows(struct cluster *c, struct txn *t, size_t i, uint64_t number, bool self_active)
{
    struct rule_ctx ctx = txn_look(t);
    struct view next;
    struct node_record r;
    char id[NODE_ID_MAX + 1];
    size_t at = 0;
    int more;
    view_init(&next);
    next.number = number;
    while ((more = next_node(&ctx, &c->config.ks, i, &at, id, &r)) > 0) {
        if (r.state != NODE_ACTIVE)
            continue;
        struct member m = {.incarnation = r.incarnation, .boot = r.boot};
        memcpy(m.node_id, id, sizeof(id));
        memcpy(m.addr, r.addr, sizeof(r.addr));
        view_add(&next, &m, c->env->mem);
    }
    if (more < 0) {
        set_reason(c, "%s", t->reason);
        view_clear(&next, c->env->mem);
        return more;
    }
    if (self_active) {
        struct member m = {.incarnation = c->incarnation, .boot = c->config.boot};
        memcpy(m.node_id, c->config.node_id, sizeof(m.node_id));
        memcpy(m.addr, c->config.addr, sizeof(m.addr));
        view_add(&next, &m, c->env->mem);
    }
    view_adopt(c, &next);
    return 0;
}

static bool self_in(const struct cluster *c, const struct view *v)
{
    const struct member *m = view_find(v, c->config.node_id);
    return m && m->incarnation == c->incarnation && uuid_equal(m->boot, c->config.boot);
}

/* Takes a newer view, unless an operation of this node's own is about to say what it means. */
static void view_offer(struct cluster *c, struct view *next)
{
    bool takes =
        state_hosts(c->state) && next->number > c->view.number && !txn_active(&c->leave.txn);
    if (takes && c->state == NODE_ACTIVE && !self_in(c, next) && !MUTANT("notgone")) {
        SOMETIMES("view-without-this-node");
        view_clear(next, c->env->mem);
        forget_self(c, "this life of the node was declared failed");
        return;
    }
    if (takes) {
        view_adopt(c, next);
        beat_now(c); /* acknowledges it */
    }
    view_clear(next, c->env->mem);
}

/* Applies the changes since the view that is held. False: there is a gap, scan. */
static bool view_by_changes(struct cluster *c, struct txn *t, const struct view_record *target)
{
    struct rule_ctx ctx = txn_look(t);
    struct store_result rows = rule_rows(t, POLL_CHANGES);
    struct view next;
    if (rows.count != target->number - c->view.number) {
        SOMETIMES("view-changes-trimmed-away");
        return false;
    }
    view_init(&next);
    view_copy(&next, &c->view, c->env->mem);
    for (size_t i = 0; i < rows.count; i++) {
        struct view_change_record change;
        struct member m = {0};
        int err =
            view_change_record_decode(rows.rows[i].key, rows.rows[i].value, ctx.scratch, &change);
        if (err) {
            (void)rule_corrupt(&ctx, err, rows.rows[i].key);
            set_reason(c, "%s", t->reason);
            view_clear(&next, c->env->mem);
            return false;
        }
        memcpy(m.node_id, change.node_id, sizeof(m.node_id));
        memcpy(m.addr, change.addr, sizeof(m.addr));
        m.incarnation = change.incarnation;
        m.boot = change.boot;
        if (change.kind == VIEW_ADD && next.count >= NODES_MAX) {
            view_clear(&next, c->env->mem);
            return false; /* these changes are of no view: the rows say what is right */
        }
        if (change.kind == VIEW_ADD)
            view_add(&next, &m, c->env->mem);
        else
            view_remove(&next, change.node_id);
    }
    next.number = target->number;
    bool fits = view_matches(&next, target);
    if (rows.count > 1)
        SOMETIMES("view-several-changes-behind");
    if (fits)
        view_offer(c, &next);
    view_clear(&next, c->env->mem);
    return fits;
}

/* ---- watches ---- */

static void on_view_watch(struct store_watch *w)
{
    struct cluster *c = w->arg;
    if (!c->closing)
        timer_start(&c->poll_timer, 0);
}

static void on_heart_watch(struct store_watch *w)
{
    struct heart_watch *h = w->arg;
    h->fired = true;
    if (!h->cluster->closing && !h->cluster->peek_timer.armed)
        timer_start(&h->cluster->peek_timer, PEEK_DELAY_MS * NS_PER_MS);
}

static void arm(struct cluster *c, struct store_watch *w, const struct key *key, uint64_t version)
{
    if (w->armed || c->closing)
        return;
    w->key = key_bytes(key);
    w->since_version = version;
    c->env->store.ops->watch(c->env->store.ctx, w);
}

static void disarm(struct cluster *c, struct store_watch *w)
{
    if (w->armed)
        c->env->store.ops->unwatch(c->env->store.ctx, w);
}

static void heart_watch_want(struct cluster *c, const char *node_id, uint64_t version)
{
    struct map_node *n = map_find(&c->heart_watches, bytes_of_str(node_id));
    struct heart_watch *h = MAP_ENTRY(n, struct heart_watch, node);
    if (!h) {
        if (c->heart_watches.count >= SIGHTINGS_MAX)
            return; /* the scan sees it */
        h = MEM_NEW(c->env->mem, struct heart_watch);
        h->cluster = c;
        h->watch.fn = on_heart_watch;
        h->watch.arg = h;
        memcpy(h->node_id, node_id, strlen(node_id) + 1);
        h->key = key_heartbeat(&c->config.ks, node_id);
        (void)map_insert(&c->heart_watches, &h->node, bytes_of_str(h->node_id));
    }
    h->wanted = true;
    if (!h->fired)
        arm(c, &h->watch, &h->key, version);
}

static void heart_watches_sweep(struct cluster *c)
{
    struct map_node *n = map_first(&c->heart_watches);
    while (n) {
        struct heart_watch *h = MAP_ENTRY(n, struct heart_watch, node);
        n = map_next(n);
        if (h->wanted) {
            h->wanted = false;
            continue;
        }
        disarm(c, &h->watch);
        map_remove(&c->heart_watches, &h->node);
        mem_free(c->env->mem, h);
    }
}

/* The primary watches every living node's heartbeat, the others the primary's. */
static void heart_watches_renew(struct cluster *c, uint64_t version)
{
    if (c->closing)
        return;
    if (c->claim) {
        for (size_t i = 0; i < c->node_count; i++) {
            const struct known_node *k = &c->nodes[i];
            if (state_is_living(k->state) && strcmp(k->life.node_id, c->config.node_id) != 0)
                heart_watch_want(c, k->life.node_id, version);
        }
    } else if (state_hosts(c->state) && primary_held_by_other(c)) {
        heart_watch_want(c, c->primary.node_id, version);
    }
    heart_watches_sweep(c);
}

/* ---- peek ---- */

/* Watches that fired meanwhile, or that were too many for one transaction. */
static void peek_again(struct cluster *c)
{
    for (struct map_node *n = map_first(&c->heart_watches); n; n = map_next(n)) {
        if (!MAP_ENTRY(n, struct heart_watch, node)->fired || c->peek_timer.armed)
            continue;
        timer_start(&c->peek_timer, PEEK_DELAY_MS * NS_PER_MS);
        return;
    }
}

static void on_peek(struct txn *t, int status)
{
    struct cluster *c = t->arg;
    struct rule_ctx ctx = txn_look(t);
    if (c->closing)
        return;
    for (size_t i = 0; status == 0 && i < t->read_count; i++) {
        struct key_parts parts;
        struct heartbeat_record h;
        if (key_parse(&c->config.ks, t->reads[i].key, &parts))
            continue;
        if (load_heartbeat(&ctx, i, &h) > 0)
            (void)detector_see(&c->detector, parts.node_id, &h, t->read_version, t->read_at_ns);
        struct map_node *n = map_find(&c->heart_watches, bytes_of_str(parts.node_id));
        struct heart_watch *w = MAP_ENTRY(n, struct heart_watch, node);
        if (w && !w->fired)
            arm(c, &w->watch, &w->key, t->read_version);
    }
    peek_again(c);
}

static void peek_timer_fn(void *arg)
{
    struct cluster *c = arg;
    size_t count = 0;
    if (c->closing || txn_active(&c->peek))
        return;
    txn_init(&c->peek, c->env, "Peek", look_rule, NULL, on_peek, c);
    c->peek.fail_fast = true;
    for (struct map_node *n = map_first(&c->heart_watches); n && count < PEEK_READS_MAX;
         n = map_next(n)) {
        struct heart_watch *h = MAP_ENTRY(n, struct heart_watch, node);
        if (!h->fired)
            continue;
        h->fired = false;
        (void)txn_read(&c->peek, key_bytes(&h->key), true);
        count++;
    }
    if (count)
        txn_start(&c->peek);
    else
        buf_deinit(&c->peek.keys);
}

/* ---- poll ---- */

static void note_primary(struct cluster *c, const struct primary_record *p, uint64_t version)
{
    if (version < c->primary_version) {
        SOMETIMES("poll-and-scan-overtake");
        return;
    }
    c->primary_version = version;
    c->primary_known = true;
    c->primary = *p;
    if (p->term > c->highest_term)
        c->highest_term = p->term;
    if (c->claim && (p->vacant || p->term != c->claim) && p->term >= c->claim) {
        SOMETIMES("stale-primary-notices");
        clear_claim(c);
    }
}

/* The heartbeat of whoever was primary when the poll began, and how long its lease is. */
static void poll_heartbeat(struct cluster *c, struct rule_ctx *ctx)
{
    struct txn *t = ctx->txn;
    struct key_parts parts;
    struct heartbeat_record h;
    struct node_record r;
    struct life life;
    if (key_parse(&c->config.ks, t->reads[POLL_HEARTBEAT].key, &parts))
        return;
    if (load_heartbeat(ctx, POLL_HEARTBEAT, &h) > 0)
        (void)detector_see(&c->detector, parts.node_id, &h, t->read_version, t->read_at_ns);
    if (load_node(ctx, POLL_NODE, &r) <= 0)
        return;
    memcpy(life.node_id, parts.node_id, sizeof(life.node_id));
    life.incarnation = r.incarnation;
    life.boot = r.boot;
    detector_lease(&c->detector, &life, r.lease_ms);
}

static void on_poll(struct txn *t, int status)
{
    struct cluster *c = t->arg;
    struct rule_ctx ctx = txn_look(t);
    struct view_record view;
    struct primary_record primary;
    if (c->closing)
        return;
    if (status || !state_hosts(c->state)) {
        if (status)
            set_reason(c, "%s", txn_why(t, status));
        return;
    }
    bool heart = t->read_count > POLL_HEARTBEAT;
    if (load_view(&ctx, POLL_VIEW, &view) < 0 || load_primary(&ctx, POLL_PRIMARY, &primary) < 0) {
        set_reason(c, "%s", t->reason);
        report_corrupt(c, t, ctx.error);
        return;
    }
    if (heart)
        poll_heartbeat(c, &ctx);
    note_primary(c, &primary, t->read_version);
    if (view.number > c->view.number && c->view_watch.armed)
        SOMETIMES("poll-finds-what-the-watch-did-not");
    if (view.number > c->view.number && !view_by_changes(c, t, &view))
        scan_now(c);
    if (state_hosts(c->state)) {
        arm(c, &c->view_watch, &c->view_key, t->read_version);
        arm(c, &c->primary_watch, &c->primary_key, t->read_version);
        heart_watches_renew(c, t->read_version);
        if (!heart && primary_held_by_other(c))
            c->poll_again = true; /* now it is known whose heartbeat to look at */
    }
    if (c->poll_again) {
        c->poll_again = false;
        timer_start(&c->poll_timer, 0);
    }
    step_soon(c);
}

void poll_now(struct cluster *c)
{
    if (c->closing || !state_hosts(c->state))
        return;
    if (txn_active(&c->poll)) {
        c->poll_again = true;
        return;
    }
    struct keyspace *ks = &c->config.ks;
    txn_init(&c->poll, c->env, "SyncViews", look_rule, NULL, on_poll, c);
    c->poll.fail_fast = true;
    read_key(&c->poll, key_view(ks));
    read_range(&c->poll, keys_view_changes_after(ks, c->view.number), POLL_CHANGES_MAX, true);
    read_key(&c->poll, key_primary(ks));
    if (primary_held_by_other(c)) {
        read_key(&c->poll, key_heartbeat(ks, c->primary.node_id));
        read_key(&c->poll, key_node(ks, c->primary.node_id));
    }
    txn_start(&c->poll);
}

static void poll_timer_fn(void *arg)
{
    poll_now(arg);
}

/* ---- scan ---- */

static struct known_node known_of_row(const char *id, const struct node_record *r)
{
    struct known_node k = {.life = life_of_row(id, r),
                           .state = r->state,
                           .flagged = r->flagged,
                           .gone_view = r->gone_view,
                           .lease_ms = r->lease_ms};
    memcpy(k.addr, r->addr, sizeof(k.addr));
    return k;
}

/* Whose row cannot be read is what it was when it could. */
static int scan_nodes(struct cluster *c, struct rule_ctx *ctx)
{
    struct store_result rows = rule_rows(ctx->txn, SCAN_NODES);
    if (rows.count > NODES_MAX) {
        (void)rule_corrupt(ctx, KELPIE_E_STORE_CORRUPT, rows.rows[NODES_MAX].key);
        return KELPIE_E_STORE_CORRUPT;
    }
    struct known_node *nodes =
        rows.count ? MEM_NEW_ARRAY(c->env->mem, struct known_node, rows.count) : NULL;
    struct node_record r;
    size_t at = 0, count = 0, unread = 0;
    int more, err = 0;
    do {
        char id[NODE_ID_MAX + 1] = "";
        more = next_node(ctx, &c->config.ks, SCAN_NODES, &at, id, &r);
        const struct known_node *before = more < 0 ? known_find(c, id) : NULL;
        if (more > 0)
            nodes[count++] = known_of_row(id, &r);
        else if (before)
            nodes[count++] = *before;
        else
            unread += more < 0;
        err = more < 0 ? more : err;
    } while (more);
    mem_free(c->env->mem, c->nodes);
    c->nodes = nodes;
    c->node_count = count;
    c->nodes_unread = unread;
    return err;
}

static void scan_heartbeats(struct cluster *c, struct rule_ctx *ctx)
{
    struct store_result rows = rule_rows(ctx->txn, SCAN_HEARTBEATS);
    for (size_t i = 0; i < rows.count; i++) {
        struct key_parts parts;
        struct heartbeat_record h;
        int err = key_parse(&c->config.ks, rows.rows[i].key, &parts);
        if (!err)
            err = heartbeat_record_decode(rows.rows[i].key, rows.rows[i].value, ctx->scratch, &h);
        if (err) {
            (void)rule_corrupt(ctx, KELPIE_E_STORE_CORRUPT, rows.rows[i].key);
            report_corrupt(c, ctx->txn, err);
            if (err != KELPIE_E_STORE_CORRUPT ||
                heartbeat_damaged(ctx, err, rows.rows[i].value, &h) < 0)
                continue;
        }
        (void)detector_see(&c->detector, parts.node_id, &h, ctx->txn->read_version,
                           ctx->txn->read_at_ns);
    }
    for (size_t i = 0; i < c->node_count; i++)
        detector_lease(&c->detector, &c->nodes[i].life, c->nodes[i].lease_ms);
}

/* A node that has not joined yet hands calls on, and says of which cluster it is. */
static void learn_cluster(struct cluster *c, struct uuid cluster_id)
{
    struct rpc_identity id = c->rpc->self;
    if (!uuid_is_zero(id.cluster_id))
        return;
    id.cluster_id = cluster_id;
    rpc_set_identity(c->rpc, &id);
}

static void on_scan(struct txn *t, int status)
{
    struct cluster *c = t->arg;
    struct rule_ctx ctx = txn_look(t);
    struct format_record format;
    struct view_record view;
    struct primary_record primary;
    if (c->closing)
        return;
    if (status) {
        set_reason(c, "%s", txn_why(t, status));
        return;
    }
    int found = load_format(&ctx, SCAN_FORMAT, &format), nodes = scan_nodes(c, &ctx);
    if (nodes < 0 || found < 0 || load_view(&ctx, SCAN_VIEW, &view) < 0 ||
        load_primary(&ctx, SCAN_PRIMARY, &primary) < 0) {
        set_reason(c, "%s", t->reason);
        report_corrupt(c, t, ctx.error);
        return;
    }
    if (found && format.version > RECORD_VERSION) {
        set_reason(c, "the store was written by a newer version (record version %llu)",
                   (unsigned long long)format.version);
        return;
    }
    if (found)
        learn_cluster(c, format.cluster_id);
    scan_heartbeats(c, &ctx);
    note_primary(c, &primary, t->read_version);
    c->scanned = true;
    c->scanned_ns = t->read_at_ns;
    c->scan_version = t->read_version;
    forget_unknown(c);
    if (found)
        failures_look(c); /* an empty store in the place of the cluster's says nothing of anybody */
    if (state_hosts(c->state) && view.number > c->view.number) {
        struct view next;
        view_init(&next);
        next.number = view.number;
        for (size_t i = 0; i < c->node_count; i++) {
            const struct known_node *k = &c->nodes[i];
            struct member m = {.incarnation = k->life.incarnation, .boot = k->life.boot};
            memcpy(m.node_id, k->life.node_id, sizeof(m.node_id));
            memcpy(m.addr, k->addr, sizeof(m.addr));
            if (k->state == NODE_ACTIVE)
                view_add(&next, &m, c->env->mem);
        }
        if (view_matches(&next, &view)) {
            SOMETIMES("view-read-from-scratch");
            view_offer(c, &next);
        } else {
            set_reason(c, "the view %llu does not fit the node rows",
                       (unsigned long long)view.number);
        }
        view_clear(&next, c->env->mem);
    }
    if (c->claim)
        heart_watches_renew(c, t->read_version);
    grey_judge(c);
    step_soon(c);
    if (c->scan_wanted) {
        c->scan_wanted = false;
        scan_now(c);
    }
}

void scan_now(struct cluster *c)
{
    if (c->closing)
        return;
    if (txn_active(&c->scan)) {
        c->scan_wanted = true;
        return;
    }
    struct keyspace *ks = &c->config.ks;
    txn_init(&c->scan, c->env, "Scan", look_rule, NULL, on_scan, c);
    c->scan.fail_fast = true;
    read_key(&c->scan, key_format(ks));
    read_key(&c->scan, key_view(ks));
    read_key(&c->scan, key_primary(ks));
    read_range(&c->scan, keys_nodes(ks), 0, true);
    read_range(&c->scan, keys_heartbeats(ks), 0, true);
    txn_start(&c->scan);
}

/* ---- life ---- */

void observe_init(struct cluster *c)
{
    map_init(&c->heart_watches);
    c->view_key = key_view(&c->config.ks);
    c->primary_key = key_primary(&c->config.ks);
    c->view_watch.fn = on_view_watch;
    c->view_watch.arg = c;
    c->primary_watch.fn = on_view_watch;
    c->primary_watch.arg = c;
    timer_init(&c->poll_timer, c->env->timers, "poll", poll_timer_fn, c);
    timer_init(&c->peek_timer, c->env->timers, "peek", peek_timer_fn, c);
}

void observe_close(struct cluster *c)
{
    timer_stop(&c->poll_timer);
    timer_stop(&c->peek_timer);
    disarm(c, &c->view_watch);
    disarm(c, &c->primary_watch);
    for (struct map_node *n = map_first(&c->heart_watches); n; n = map_next(n))
        MAP_ENTRY(n, struct heart_watch, node)->wanted = false;
    heart_watches_sweep(c);
    txn_cancel(&c->poll);
    txn_cancel(&c->scan);
    txn_cancel(&c->peek);
}

bool observe_idle(const struct cluster *c)
{
    return !txn_active(&c->poll) && !txn_active(&c->scan) && !txn_active(&c->peek);
}

#include "cluster/cluster.h"

#include <stdarg.h>
#include <stdio.h>

#include "cluster/cluster_internal.h"
#include "kelpie/error.h"

#define EVENT_FIELDS_MAX LOG_LINE_MAX

void set_reason(struct cluster *c, const char *fmt, ...)
{
    char next[REASON_SIZE];
    va_list ap;
    va_start(ap, fmt);
    (void)vsnprintf(next, sizeof(next), fmt, ap);
    va_end(ap);
    if (strcmp(next, c->reason) == 0)
        return;
    memcpy(c->reason, next, sizeof(next));
    if (next[0]) {
        char quoted[WHY_QUOTED_SIZE];
        log_debug(&c->env->log, "refusal", "reason=%s", quote_why(next, quoted));
    }
}

void cluster_tell(struct cluster *c, enum log_level level, const char *name, const char *fmt, ...)
{
    char fields[EVENT_FIELDS_MAX];
    va_list ap;
    va_start(ap, fmt);
    log_vfields(fields, sizeof(fields), fmt, ap);
    va_end(ap);
    log_event(&c->env->log, level, name, "%s", fields);
    if (c->events.event)
        c->events.event(c->arg, level, name, fields);
}

void tell_forgotten(struct cluster *c, const char *node_id, const char *why)
{
    char who[ID_QUOTED_SIZE], by[ID_QUOTED_SIZE], reason[WHY_QUOTED_SIZE];
    cluster_tell(c, LOG_INFO, "node_forgotten", "who=%s by=%s reason=%s", quote_id(node_id, who),
                 quote_id(c->config.node_id, by), quote_why(why, reason));
}

const char *txn_why(const struct txn *t, int status)
{
    return t->reason[0] ? t->reason : kelpie_error_text(status);
}

struct life self_life(const struct cluster *c)
{
    struct life l = {.incarnation = c->incarnation, .boot = c->config.boot};
    memcpy(l.node_id, c->config.node_id, sizeof(l.node_id));
    return l;
}

bool membership_busy(const struct cluster *c)
{
    return txn_active(&c->join.txn) || txn_active(&c->complete.txn) || txn_active(&c->leave.txn) ||
           txn_active(&c->leave_complete.txn) || txn_active(&c->recover.txn) ||
           txn_active(&c->dead_all.txn);
}

struct silence *collect_silent(struct cluster *c, bool active_only, size_t *count)
{
    struct silence *items = NULL;
    *count = 0;
    for (size_t i = 0; i < c->node_count; i++) {
        const struct known_node *k = &c->nodes[i];
        struct silence s;
        bool wanted = active_only ? k->state == NODE_ACTIVE : state_is_living(k->state);
        if (!wanted || !detector_silent(&c->detector, &k->life, &s))
            continue;
        items = mem_resize(c->env->mem, items, (*count + 1) * sizeof(*items));
        items[(*count)++] = s;
    }
    return items;
}

/* ---- stepping ---- */

static void step(void *arg)
{
    struct cluster *c = arg;
    if (c->closing || !c->started)
        return;
    step_force_forget(c);
    switch (c->state) {
    case NODE_LEFT:
        step_left(c);
        break;
    case NODE_JOINING:
        step_joining(c);
        break;
    case NODE_ACTIVE:
        step_active(c);
        break;
    case NODE_LEAVING:
        step_leaving(c);
        break;
    case NODE_FAILED:
        UNREACHABLE("a node never believes itself Failed: it forgets and is Left");
    }
}

void step_soon(struct cluster *c)
{
    if (!c->step_timer.armed && !c->closing)
        timer_start(&c->step_timer, 0);
}

static void on_beat_timer(void *arg)
{
    beat_now(arg);
}

static void on_lease_timer(void *arg)
{
    struct cluster *c = arg;
    (void)cluster_may_act(c);
    if (!c->closing && state_hosts(c->state) && !c->acting)
        beat_now(c);
}

static void on_elect_timer(void *arg)
{
    struct cluster *c = arg;
    if (c->elect_phase == ELECT_RANKED) {
        c->elect_phase = ELECT_DUE;
    } else if (c->elect_phase == ELECT_ASKING) {
        /* What is answered now is of no use after half a lease: whoever has not tried by then asks anew. */
        c->elect_phase = ELECT_ASKED;
        timer_start(&c->elect_timer, timing_lease_ns(&c->config.timing) / 2);
    } else {
        c->elect_phase = ELECT_IDLE;
    }
    step_soon(c);
}

/* ---- life of the object ---- */

static void set_self(struct cluster *c)
{
    struct node_record *s = &c->self;
    s->boot = c->config.boot;
    s->lease_ms = c->config.timing.lease_ms;
    s->format_max = RECORD_VERSION;
    memcpy(s->addr, c->config.addr, sizeof(s->addr));
    memcpy(s->http_addr, c->config.http_addr, sizeof(s->http_addr));
    CHECK(c->config.class_count <= CLASS_COUNT_MAX);
    s->class_count = c->config.class_count;
    for (uint32_t i = 0; i < s->class_count; i++)
        (void)snprintf(s->classes[i], sizeof(s->classes[i]), "%s", c->config.classes[i]);
}

struct cluster *cluster_new(const struct env *env, struct rpc *rpc,
                            const struct cluster_config *config,
                            const struct cluster_events *events, void *arg)
{
    struct cluster *c = MEM_NEW(env->mem, struct cluster);
    c->env = env;
    c->rpc = rpc;
    c->config = *config;
    c->events = *events;
    c->arg = arg;
    c->state = NODE_LEFT;
    c->home = config->home;
    set_self(c);
    view_init(&c->view);
    detector_init(&c->detector, env->mem, &config->timing);
    timer_init(&c->beat_timer, env->timers, "beat", on_beat_timer, c);
    timer_init(&c->lease_timer, env->timers, "lease", on_lease_timer, c);
    timer_init(&c->step_timer, env->timers, "step", step, c);
    timer_init(&c->elect_timer, env->timers, "elect", on_elect_timer, c);
    admin_init(c);
    waiting_init(c);
    timer_urgent(&c->beat_timer);
    timer_urgent(&c->lease_timer);
    timer_urgent(&c->step_timer);
    timer_urgent(&c->elect_timer);
    observe_init(c);
    peers_init(c);
    struct rpc_identity id = {.boot = config->boot};
    memcpy(id.node_id, config->node_id, sizeof(id.node_id));
    rpc_set_identity(rpc, &id);
    return c;
}

void cluster_start(struct cluster *c)
{
    c->started = true;
    set_reason(c, "starting: the store has not answered yet");
    waiting_begin(c);
    scan_now(c);
    beat_now(c);
}

static struct txn *op_at(struct cluster *c, size_t i)
{
    struct txn *all[] = {
        &c->heartbeat.txn,   &c->probe.txn,          &c->join.txn,    &c->complete.txn,
        &c->leave.txn,       &c->leave_complete.txn, &c->recover.txn, &c->dead_all.txn,
        &c->mark_failed.txn, &c->flag.txn,           &c->elect.txn,   &c->step_down.txn,
        &c->forget.txn,      &c->force_op.txn,       &c->trim.txn,    &c->sweep_node.txn};
    return i < ARRAY_LEN(all) ? all[i] : NULL;
}

void cluster_close(struct cluster *c)
{
    if (c->closing)
        return;
    struct timer *timers[] = {&c->beat_timer, &c->lease_timer, &c->step_timer, &c->elect_timer,
                              &c->wait_timer};
    c->closing = true;
    c->acting = false;
    for (size_t i = 0; i < ARRAY_LEN(timers); i++)
        timer_stop(timers[i]);
    admin_close(c);
    observe_close(c);
    struct txn *t;
    for (size_t i = 0; (t = op_at(c, i)); i++)
        txn_cancel(t);
}

bool cluster_idle(const struct cluster *c)
{
    struct txn *t;
    for (size_t i = 0; (t = op_at((struct cluster *)c, i)); i++)
        if (txn_active(t))
            return false;
    return c->pings_outstanding == 0 && observe_idle(c);
}

void cluster_free(struct cluster *c)
{
    CHECK(cluster_idle(c));
    struct mem mem = c->env->mem;
    view_clear(&c->view, mem);
    detector_deinit(&c->detector);
    peers_free(c);
    mem_free(mem, c->nodes);
    mem_free(mem, c);
}

/* ---- what others ask ---- */

enum node_state cluster_state(const struct cluster *c)
{
    return c->state;
}

uint64_t cluster_incarnation(const struct cluster *c)
{
    return c->incarnation;
}

const struct view *cluster_view(const struct cluster *c)
{
    return &c->view;
}

const struct cluster_config *cluster_config_of(const struct cluster *c)
{
    return &c->config;
}

struct uuid cluster_id(const struct cluster *c)
{
    return c->cluster_id;
}

uint32_t cluster_shards(const struct cluster *c)
{
    return c->shards ? c->shards : SHARDS_DEFAULT;
}

uint64_t cluster_claim(const struct cluster *c)
{
    return c->claim;
}

bool cluster_primary(const struct cluster *c, struct primary_record *out)
{
    if (!c->primary_known || c->primary.vacant)
        return false;
    *out = c->primary;
    return true;
}

/* What keeps the heartbeat, or the probe, that is under way from being committed; NULL: nothing that
 * is known. */
static const char *store_trouble(const struct cluster *c)
{
    const struct txn *t = c->state == NODE_LEFT ? &c->probe.txn : &c->heartbeat.txn;
    if (!txn_active(t))
        return NULL;
    switch (t->attempt_error) {
    case 0:
    case KELPIE_E_CONFLICT:
    case KELPIE_E_TOO_OLD:
        return NULL;
    case KELPIE_E_STORE_FULL:
        return "the store has no room left";
    default:
        return "the store does not answer";
    }
}

const char *cluster_reason(const struct cluster *c)
{
    const char *trouble = c->acting ? NULL : store_trouble(c);
    if (trouble)
        return trouble;
    if (!c->acting)
        return c->reason;
    if (primary_lives(c))
        return "";
    return c->reason[0] ? c->reason : "no primary yet";
}

uint64_t cluster_member_load(const struct cluster *c, const char *node_id)
{
    const struct sighting *s = detector_find(&c->detector, node_id);
    return s ? s->record.load : 0;
}

const struct cluster_stats *cluster_stats(const struct cluster *c)
{
    return &c->stats;
}

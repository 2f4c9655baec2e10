#include "node/node.h"

#include <stdio.h>

#include "actor/remember.h"
#include "base/mark.h"
#include "base/mutant.h"
#include "env/txn.h"
#include "kelpie/error.h"
#include "node/bad_frame.h"
#include "node/replace.h"
#include "registry/rules_letter.h"

enum admin_request { ADMIN_DRAIN = 1, ADMIN_FORGET = 2 };

#define WHY_SIZE 256
#define ALIVE_NS_MAX NS_PER_S
#define STALLED_NS (REMEMBER_SOCKET_MS / 2 * NS_PER_MS)
#define ADMIN_TIMEOUT_MS 5000
#define ADMIN_LOOKUPS_MAX 4 /* of rows of those who command without being in the view */

struct node {
    const struct env *env;
    struct rpc rpc;
    struct cluster *cluster;
    struct actors *actors;
    struct hub *hub;
    struct replace *replace; /* NULL: replaces nobody */
    struct node_events events;
    void *arg;
    struct timer alive_timer;
    uint64_t alive_ns, alive_at_ns;
    uint64_t event_seq;
    size_t pending; /* reads and admin calls under way */
    size_t admin_lookups;
    struct cap admin_cap;
    struct bad_frames bad_frames;
    struct list txns;
    bool closing, told_closed;
    void (*closed)(void *arg);
    void *closed_arg;
    struct timer close_timer;
};

/* ---- events of the cluster ---- */

static void drop_clients(struct node *n)
{
    if (n->events.drop_clients && !MUTANT("keepclients"))
        n->events.drop_clients(n->arg);
}

static void on_suspend(void *arg)
{
    struct node *n = arg;
    actors_suspend(n->actors);
    drop_clients(n);
}

static void on_resume(void *arg)
{
    struct node *n = arg;
    actors_resume(n->actors);
}

static void on_view_changed(void *arg, const struct view *view, const struct member *gone,
                            size_t gone_count)
{
    struct node *n = arg;
    actors_view_changed(n->actors, view, gone, gone_count);
}

static void on_primary_changed(void *arg, uint64_t term)
{
    struct node *n = arg;
    actors_primary_changed(n->actors, term);
}

static void on_drain(void *arg)
{
    struct node *n = arg;
    actors_drain(n->actors);
}

static void on_left(void *arg)
{
    struct node *n = arg;
    if (n->events.left)
        n->events.left(n->arg);
}

static void on_twin(void *arg, const char *addr)
{
    struct node *n = arg;
    if (n->events.twin)
        n->events.twin(n->arg, addr);
}

static void on_other_epoch(void *arg)
{
    struct node *n = arg;
    if (n->events.other_epoch)
        n->events.other_epoch(n->arg);
}

static void on_at_home(void *arg, struct uuid home)
{
    struct node *n = arg;
    if (n->events.at_home)
        n->events.at_home(n->arg, home);
}

static void on_event(void *arg, enum log_level level, const char *name, const char *fields)
{
    struct node *n = arg;
    if (n->events.event)
        n->events.event(n->arg, ++n->event_seq, level, name, fields);
}

static uint64_t on_store_room(void *arg)
{
    struct node *n = arg;
    return n->events.store_room ? n->events.store_room(n->arg) : UINT64_MAX;
}

static uint64_t on_load(void *arg)
{
    struct node *n = arg;
    return actors_stats(n->actors)->activations;
}

static const struct cluster_events cluster_events = {
    .suspend = on_suspend,
    .resume = on_resume,
    .view_changed = on_view_changed,
    .primary_changed = on_primary_changed,
    .drain = on_drain,
    .left = on_left,
    .twin = on_twin,
    .other_epoch = on_other_epoch,
    .at_home = on_at_home,
    .event = on_event,
    .store_room = on_store_room,
    .load = on_load,
};

/* A node without a lease hands requests on to others, and may have stood still as well. */
static void notice_standstill(struct node *n, uint64_t now)
{
    if (n->alive_at_ns && now - n->alive_at_ns > STALLED_NS) {
        SOMETIMES("node-stood-still");
        n->alive_at_ns = now;
        actors_stood_still(n->actors);
        drop_clients(n);
    }
}

void node_notice(struct node *n)
{
    if (n->closing)
        return;
    notice_standstill(n, env_now_ns(n->env));
    (void)cluster_may_act(n->cluster);
}

static void on_alive(void *arg)
{
    struct node *n = arg;
    uint64_t now = env_now_ns(n->env);
    notice_standstill(n, now);
    n->alive_at_ns = now;
    timer_start(&n->alive_timer, n->alive_ns);
    if (n->events.alive)
        n->events.alive(n->arg);
    cluster_tick(n->cluster);
}

static void on_bad_frame(void *arg, const char *from, int error, const char *why)
{
    struct node *n = arg;
    bad_frame_tell(&n->bad_frames, n->env, from, error, why);
}

/* ---- what operators ask ---- */

/* In the operator's own word, on the node that was asked and on the one that does it. */
static void tell_asked(struct node *n, const char *what, const char *node_id)
{
    char who[4 * NODE_ID_MAX + 3];
    cluster_tell(n->cluster, LOG_INFO, "asked", "what=\"%s\" who=%s", what,
                 log_quote(node_id, who, sizeof(who)));
}

#define NOT_LED                                                                                    \
    "there is no living primary: nobody may take the actors over (SIGTERM stops a node all the same)"

/* Nobody is left to say who lives and may take its actors: such a node is only stopped. */
static int drain_self(struct node *n, char *why, size_t why_size)
{
    if (cluster_led(n->cluster))
        return node_leave(n, false, why, why_size);
    (void)snprintf(why, why_size, "%s", NOT_LED);
    return KELPIE_E_UNAVAILABLE;
}

/* ---- requests of other nodes' operators ---- */

/* A member commands, or a life that the store knows: nobody else. */
static bool is_member(const struct node *n, const struct rpc_identity *who)
{
    const struct member *m = view_find(cluster_view(n->cluster), who->node_id);
    return m && !uuid_is_zero(who->boot) && uuid_equal(m->boot, who->boot);
}

/* A request of another node's operator that is answered later. */
struct forget_for {
    struct node *node;
    struct rpc_request request;
};

static void on_forgotten_for(void *arg, int status, const char *why)
{
    struct forget_for *f = arg;
    rpc_reply(&f->node->rpc, &f->request, status, bytes_of_str(why));
    mem_free(f->node->env->mem, f);
}

static void serve_forget(struct node *n, const struct rpc_request *request, struct reader *r)
{
    struct bytes id = reader_blob(r, NODE_ID_MAX);
    if (!reader_end(r) || id.len == 0) {
        rpc_reply(&n->rpc, request, KELPIE_E_PROTOCOL, bytes_of("", 0));
        return;
    }
    char *node_id = mem_strndup(n->env->mem, (const char *)id.data, id.len);
    tell_asked(n, "forget", node_id);
    struct forget_for *f = MEM_NEW(n->env->mem, struct forget_for);
    *f = (struct forget_for){.node = n, .request = *request};
    f->request.payload = bytes_of("", 0);
    cluster_forget(n->cluster, node_id, false, on_forgotten_for, f);
    mem_free(n->env->mem, node_id);
}

static void do_admin(struct node *n, const struct rpc_request *request)
{
    struct reader r = reader_of(request->payload);
    char why[WHY_SIZE] = "";
    switch (reader_u8(&r)) {
    case ADMIN_DRAIN: {
        tell_asked(n, "drain", cluster_config_of(n->cluster)->node_id);
        int err = drain_self(n, why, sizeof(why));
        rpc_reply(&n->rpc, request, err, bytes_of_str(why));
        return;
    }
    case ADMIN_FORGET:
        serve_forget(n, request, &r);
        return;
    default:
        rpc_reply(&n->rpc, request, KELPIE_E_PROTOCOL, bytes_of("", 0));
    }
}

/* A command of somebody who is not in the view, until its row has been read. */
struct admin_lookup {
    struct node *node;
    struct rpc_request request;
    struct buf payload;
};

static void refuse_admin(struct node *n, const struct rpc_request *request, int status)
{
    static const char why[] = "the node that asks is no member of this cluster";
    rpc_reply(&n->rpc, request, status,
              bytes_of_str(status == KELPIE_E_REFUSED ? why : kelpie_error_text(status)));
}

static bool row_is_of(const struct store_row *row, const struct rpc_identity *who, struct mem mem)
{
    struct node_record r;
    struct buf scratch;
    buf_init(&scratch, mem);
    int err = node_record_decode(row->key, row->value, &scratch, &r);
    buf_deinit(&scratch);
    return !err && !uuid_is_zero(who->boot) && uuid_equal(r.boot, who->boot) &&
           r.incarnation == who->incarnation;
}

static void on_admin_row(void *arg, int status, const struct store_row *rows, size_t count,
                         bool more)
{
    struct admin_lookup *l = arg;
    struct node *n = l->node;
    (void)more;
    n->admin_lookups--;
    if (status)
        refuse_admin(n, &l->request, KELPIE_E_UNAVAILABLE);
    else if (count == 1 && row_is_of(&rows[0], &l->request.from, n->env->mem) && !n->closing)
        do_admin(n, &l->request);
    else
        refuse_admin(n, &l->request, KELPIE_E_REFUSED);
    buf_deinit(&l->payload);
    mem_free(n->env->mem, l);
}

static void look_up_admin(struct node *n, const struct rpc_request *request)
{
    struct key_range range = keys_one(key_node(node_keyspace(n), request->from.node_id));
    struct admin_lookup *l;
    if (n->closing || n->admin_lookups >= ADMIN_LOOKUPS_MAX) {
        if (!n->closing)
            cap_reached(&n->admin_cap, n->env);
        refuse_admin(n, request, KELPIE_E_LIMIT);
        return;
    }
    l = MEM_NEW(n->env->mem, struct admin_lookup);
    *l = (struct admin_lookup){.node = n, .request = *request};
    buf_init(&l->payload, n->env->mem);
    buf_append_bytes(&l->payload, request->payload);
    l->request.payload = buf_bytes(&l->payload);
    n->admin_lookups++;
    node_read_rows(n, &range, 1, on_admin_row, l);
}

static void serve_admin(void *arg, const struct rpc_request *request)
{
    struct node *n = arg;
    if (is_member(n, &request->from) || MUTANT("adminstranger"))
        do_admin(n, request);
    else if (request->from.node_id[0] == '\0' || !cluster_may_act(n->cluster))
        refuse_admin(n, request, KELPIE_E_REFUSED);
    else
        look_up_admin(n, request);
}

struct admin_call {
    struct node *node;
    struct rpc_call call;
    cluster_op_fn *done;
    void *arg;
    char asked[NODE_ID_MAX + 1];
};

static void on_admin_answer(struct rpc_call *call, int status, struct bytes payload)
{
    struct admin_call *a = call->arg;
    struct node *n = a->node;
    char why[WHY_SIZE];
    (void)snprintf(why, sizeof(why), "%.*s", (int)payload.len, (const char *)payload.data);
    if (!why[0] && (status == KELPIE_E_UNREACHABLE || status == KELPIE_E_TIMEOUT))
        (void)snprintf(why, sizeof(why), "node %s, which has to do it, does not answer", a->asked);
    if (status == KELPIE_E_TIMEOUT)
        status = KELPIE_E_UNKNOWN_RESULT; /* it may be done yet */
    a->done(a->arg, status, why[0] || status == 0 ? why : kelpie_error_text(status));
    n->pending--;
    mem_free(n->env->mem, a);
}

static void admin_send(struct node *n, const struct member *to, enum admin_request what,
                       const char *node_id, cluster_op_fn *done, void *arg)
{
    struct admin_call *a = MEM_NEW(n->env->mem, struct admin_call);
    struct buf out;
    *a = (struct admin_call){.node = n, .done = done, .arg = arg};
    memcpy(a->asked, to->node_id, sizeof(a->asked));
    n->pending++;
    buf_init(&out, n->env->mem);
    buf_append_u8(&out, (uint8_t)what);
    if (what == ADMIN_FORGET)
        buf_append_blob(&out, bytes_of_str(node_id));
    rpc_start(&n->rpc, &a->call, to->addr, to->boot, RPC_ADMIN, buf_bytes(&out),
              ADMIN_TIMEOUT_MS * NS_PER_MS, on_admin_answer, a);
    buf_deinit(&out);
}

void node_drain_other(struct node *n, const char *node_id, cluster_op_fn *done, void *arg)
{
    char why[WHY_SIZE] = "";
    tell_asked(n, "drain", node_id);
    if (strcmp(node_id, cluster_config_of(n->cluster)->node_id) == 0) {
        int err = drain_self(n, why, sizeof(why));
        done(arg, err, why);
        return;
    }
    if (!cluster_led(n->cluster)) {
        done(arg, KELPIE_E_UNAVAILABLE, NOT_LED);
        return;
    }
    const struct member *m = view_find(cluster_view(n->cluster), node_id);
    if (m) {
        admin_send(n, m, ADMIN_DRAIN, node_id, done, arg);
        return;
    }
    (void)snprintf(why, sizeof(why), "there is no active node %s", node_id);
    done(arg, KELPIE_E_NOT_FOUND, why);
}

void node_forget(struct node *n, const char *node_id, bool force, cluster_op_fn *done, void *arg)
{
    struct primary_record primary;
    const struct member *m = NULL;
    tell_asked(n, force ? "forget --force" : "forget", node_id);
    if (force || cluster_claim(n->cluster)) {
        cluster_forget(n->cluster, node_id, force, done, arg);
        return;
    }
    if (cluster_led(n->cluster) && cluster_primary(n->cluster, &primary))
        m = view_find(cluster_view(n->cluster), primary.node_id);
    if (m)
        admin_send(n, m, ADMIN_FORGET, node_id, done, arg);
    else
        done(arg, KELPIE_E_REFUSED,
             "there is no living primary to strike a node off; --force does it without one");
}

/* ---- listings, and what operators do with messages ---- */

/* A transaction that ends with the node. */
struct node_txn {
    struct node *node;
    struct txn txn;
    struct list link; /* in node->txns */
};

#define NODE_TXN_TIMEOUT_MS 5000

static void node_txn_start(struct node *n, struct node_txn *t)
{
    t->node = n;
    n->pending++;
    list_append(&n->txns, &t->link);
    t->txn.give_up_ns = NODE_TXN_TIMEOUT_MS * NS_PER_MS;
    txn_start(&t->txn);
    if (n->closing)
        txn_cancel(&t->txn);
}

/* Whatever begins with `t` is freed. The transaction still frees what it holds afterwards: it holds copies. */
static void node_txn_end(struct node_txn *t)
{
    struct node *n = t->node;
    list_remove(&t->link);
    n->pending--;
    mem_free(n->env->mem, t);
}

struct rows_op {
    struct node_txn t;
    node_rows_fn *done;
    void *arg;
};

static enum verdict rows_rule(struct rule_ctx *ctx, void *arg)
{
    (void)ctx;
    (void)arg;
    return RULE_DONE;
}

static void on_rows(struct txn *t, int status)
{
    struct rows_op *op = t->arg;
    struct store_result rows = {0};
    if (status == 0)
        rows = rule_rows(t, 0);
    op->done(op->arg, status, rows.rows, rows.count, rows.more);
    node_txn_end(&op->t);
}

void node_read_rows(struct node *n, const struct key_range *range, uint32_t limit,
                    node_rows_fn *done, void *arg)
{
    struct rows_op *op = MEM_NEW(n->env->mem, struct rows_op);
    op->done = done;
    op->arg = arg;
    txn_init(&op->t.txn, n->env, "List", rows_rule, NULL, on_rows, op);
    (void)txn_read_range(&op->t.txn, key_bytes(&range->begin), key_bytes(&range->end), limit, true);
    node_txn_start(n, &op->t);
}

struct tend_op {
    struct node_txn t;
    struct tend_args args;
    char type[ACTOR_TYPE_MAX + 1], id[ACTOR_ID_MAX + 1];
    cluster_op_fn *done;
    void *arg;
};

static void on_tended(struct txn *t, int status)
{
    struct tend_op *op = t->arg;
    op->done(op->arg, status == KELPIE_E_REFUSED ? KELPIE_E_NOT_FOUND : status,
             t->reason[0] ? t->reason : kelpie_error_text(status));
    node_txn_end(&op->t);
}

void node_tend_message(struct node *n, const char *type, const char *id,
                       const struct message_ref *ref, bool again, cluster_op_fn *done, void *arg)
{
    struct tend_op *op = MEM_NEW(n->env->mem, struct tend_op);
    (void)snprintf(op->type, sizeof(op->type), "%s", type);
    (void)snprintf(op->id, sizeof(op->id), "%s", id);
    op->args = (struct tend_args){
        .actor = {.ks = node_keyspace(n), .type = op->type, .id = op->id},
        .shards = cluster_shards(n->cluster),
        .ref = *ref,
        .again = again,
        .now_ms = clock_wall_ms(n->env->clock),
    };
    op->done = done;
    op->arg = arg;
    tend_txn(&op->t.txn, n->env, &op->args, on_tended, op);
    node_txn_start(n, &op->t);
}

struct lift {
    struct node_txn t;
    struct lift_op op;
    char type[ACTOR_TYPE_MAX + 1], id[ACTOR_ID_MAX + 1], method[ACTOR_METHOD_MAX + 1];
    cluster_op_fn *done;
    void *arg;
};

static void on_lifted(struct txn *t, int status)
{
    struct lift *l = t->arg;
    char why[TXN_REASON_SIZE];
    (void)snprintf(why, sizeof(why), "%zu lifted: what is called of %s runs again", l->op.lifted,
                   l->op.method ? "that method" : "the actor");
    l->done(l->arg, status == KELPIE_E_REFUSED ? KELPIE_E_NOT_FOUND : status,
            !status        ? why
            : t->reason[0] ? t->reason
                           : kelpie_error_text(status));
    node_txn_end(&l->t);
}

void node_lift_poison(struct node *n, const char *type, const char *id, const char *method,
                      cluster_op_fn *done, void *arg)
{
    struct lift *l = MEM_NEW(n->env->mem, struct lift);
    (void)snprintf(l->type, sizeof(l->type), "%s", type);
    (void)snprintf(l->id, sizeof(l->id), "%s", id);
    (void)snprintf(l->method, sizeof(l->method), "%s", method ? method : "");
    l->op = (struct lift_op){
        .ks = node_keyspace(n), .type = l->type, .id = l->id, .method = method ? l->method : NULL};
    l->done = done;
    l->arg = arg;
    lift_prepare(&l->op, &l->t.txn, n->env, on_lifted, l);
    node_txn_start(n, &l->t);
}

/* ---- life ---- */

struct node *node_new(const struct env *env, const struct node_config *config,
                      const struct node_events *events, void *arg)
{
    struct node *n = MEM_NEW(env->mem, struct node);
    const char *types[CLASS_COUNT_MAX];
    struct cluster_config cluster = config->cluster;
    n->env = env;
    n->events = *events;
    n->arg = arg;
    n->admin_cap = (struct cap){.name = "admin_lookups", .bound = ADMIN_LOOKUPS_MAX};
    list_init(&n->txns);
    rpc_init(&n->rpc, env);
    n->rpc.on_bad = on_bad_frame;
    n->rpc.on_bad_arg = n;
    cluster.class_count = 0;
    for (size_t i = 0; config->actors.classes[i]; i++) {
        CHECK(cluster.class_count < CLASS_COUNT_MAX);
        types[cluster.class_count++] = config->actors.classes[i]->type;
    }
    cluster.classes = types;
    n->cluster = cluster_new(env, &n->rpc, &cluster, &cluster_events, n);
    n->actors = actors_new(env, &n->rpc, n->cluster, &config->actors);
    n->hub = hub_new(env, n->actors);
    rpc_serve(&n->rpc, RPC_ADMIN, serve_admin, n);
    if (config->replaces[0])
        n->replace = replace_new(n, config->replaces);
    timer_init(&n->alive_timer, env->timers, "alive", on_alive, n);
    timer_urgent(&n->alive_timer); /* before a request is read */
    n->alive_ns = config->cluster.timing.heartbeat_ms * NS_PER_MS;
    if (n->alive_ns > ALIVE_NS_MAX)
        n->alive_ns = ALIVE_NS_MAX;
    return n;
}

void node_start(struct node *n)
{
    cluster_start(n->cluster);
    if (n->replace)
        replace_start(n->replace);
    timer_start(&n->alive_timer, 0);
}

int node_leave(struct node *n, bool even_last, char *why, size_t why_size)
{
    return cluster_leave(n->cluster, even_last, why, why_size);
}

#define CLOSE_POLL_MS 1

static void close_step(void *arg)
{
    struct node *n = arg;
    bool idle = cluster_idle(n->cluster) && actors_idle(n->actors) && n->pending == 0 &&
                rpc_outstanding(&n->rpc) == 0 && list_empty(n->env->txns);
    if (!idle) {
        timer_start(&n->close_timer, CLOSE_POLL_MS * NS_PER_MS);
        return;
    }
    n->closed(n->closed_arg);
}

void node_close(struct node *n, void (*closed)(void *arg), void *arg)
{
    CHECK(!n->closing);
    n->closing = true;
    n->closed = closed;
    n->closed_arg = arg;
    timer_stop(&n->alive_timer);
    replace_stop(n->replace);
    hub_close(n->hub);
    actors_close(n->actors);
    cluster_close(n->cluster);
    rpc_cancel_all(&n->rpc);
    LIST_FOREACH(it, &n->txns)
    {
        txn_cancel(&LIST_ENTRY(it, struct node_txn, link)->txn);
    }
    timer_init(&n->close_timer, n->env->timers, "close", close_step, n);
    timer_start(&n->close_timer, 0);
}

void node_free(struct node *n)
{
    struct mem mem = n->env->mem;
    replace_free(n->replace);
    hub_free(n->hub);
    actors_free(n->actors);
    cluster_free(n->cluster);
    rpc_deinit(&n->rpc);
    mem_free(mem, n);
}

struct cluster *node_cluster(struct node *n)
{
    return n->cluster;
}

struct actors *node_actors(struct node *n)
{
    return n->actors;
}

struct hub *node_hub(struct node *n)
{
    return n->hub;
}

struct rpc *node_rpc(struct node *n)
{
    return &n->rpc;
}

const struct cap *node_admin_cap(const struct node *n)
{
    return &n->admin_cap;
}

const struct env *node_env(const struct node *n)
{
    return n->env;
}

const struct keyspace *node_keyspace(const struct node *n)
{
    return &cluster_config_of(n->cluster)->ks;
}

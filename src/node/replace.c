#include "node/replace.h"

#include <stdio.h>

#include "base/mark.h"
#include "base/mutant.h"
#include "kelpie/error.h"

struct replace {
    struct node *node;
    const struct env *env;
    char id[NODE_ID_MAX + 1];
    struct timer timer;
    bool stopped;
    uint64_t told_ns;
    uint64_t pause_ms;
};

static void again(struct replace *r)
{
    if (!r->stopped)
        timer_start(&r->timer, r->pause_ms * NS_PER_MS);
}

static void tell_waiting(struct replace *r, const char *why)
{
    uint64_t now = env_now_ns(r->env);
    char id[2 * NODE_ID_MAX], quoted[512];
    if (r->stopped || (r->told_ns && now - r->told_ns < REPLACE_TELL_MS * NS_PER_MS))
        return;
    r->told_ns = now;
    log_warn(&r->env->log, "replace_waits", "replaces=%s reason=%s",
             log_quote(r->id, id, sizeof(id)), log_quote(why, quoted, sizeof(quoted)));
}

/* What the rows say then is looked at anew: that an order is obeyed is not taken on trust. */
static void on_forgotten(void *arg, int status, const char *why)
{
    struct replace *r = arg;
    if (status) {
        tell_waiting(r, why && why[0] ? why : kelpie_error_text(status));
        uint64_t lease_ms = cluster_config_of(node_cluster(r->node))->timing.lease_ms;
        uint64_t most = lease_ms > REPLACE_LOOK_MS ? lease_ms : REPLACE_LOOK_MS;
        r->pause_ms = r->pause_ms * 2 < most ? r->pause_ms * 2 : most;
    }
    again(r);
}

/* What the rows say: this node's own life, and the other's. */
struct seen {
    bool self_there, other_votes;
};

static int take_row(struct replace *r, const struct store_row *row, struct seen *seen)
{
    const struct cluster *c = node_cluster(r->node);
    const struct cluster_config *config = cluster_config_of(c);
    struct node_record node;
    struct key_parts parts;
    struct buf scratch;
    int err = key_parse(node_keyspace(r->node), row->key, &parts);
    if (err)
        return err;
    bool is_self = strcmp(parts.node_id, config->node_id) == 0;
    if (!is_self && strcmp(parts.node_id, r->id) != 0)
        return 0;
    buf_init(&scratch, r->env->mem);
    err = node_record_decode(row->key, row->value, &scratch, &node);
    buf_deinit(&scratch);
    if (!err && is_self)
        seen->self_there =
            node.incarnation == cluster_incarnation(c) && uuid_equal(node.boot, config->boot);
    else if (!err)
        seen->other_votes = node.state != NODE_LEFT;
    return err;
}

/* 1: it is no voter; 0: it is, or this is not the store that this node is a member in; or an error. An empty one
 * in its place has no row of anybody. */
static int is_gone(struct replace *r, const struct store_row *rows, size_t count)
{
    struct seen seen = {.self_there = false};
    int err = 0;
    for (size_t i = 0; !err && i < count; i++)
        err = take_row(r, &rows[i], &seen);
    return err ? err : seen.self_there && !seen.other_votes;
}

static void on_rows(void *arg, int status, const struct store_row *rows, size_t count, bool more)
{
    struct replace *r = arg;
    char id[2 * NODE_ID_MAX];
    (void)more;
    int gone = status ? status : is_gone(r, rows, count);
    if (gone < 0 || r->stopped) {
        tell_waiting(r, kelpie_error_text(gone));
        again(r);
    } else if (gone) {
        SOMETIMES("replaced");
        log_info(&r->env->log, "replaced", "replaces=%s", log_quote(r->id, id, sizeof(id)));
    } else {
        node_forget(r->node, r->id, !cluster_led(node_cluster(r->node)), on_forgotten, r);
    }
}

/* Both rows, in one snapshot: all from the one to the other. */
static struct key_range both_rows(const struct replace *r)
{
    const struct keyspace *ks = node_keyspace(r->node);
    struct key self = key_node(ks, cluster_config_of(node_cluster(r->node))->node_id);
    struct key other = key_node(ks, r->id);
    bool self_first = bytes_compare(key_bytes(&self), key_bytes(&other)) < 0;
    return (struct key_range){.begin = self_first ? self : other,
                              .end = key_behind(self_first ? other : self)};
}

static void on_timer(void *arg)
{
    struct replace *r = arg;
    struct key_range rows = both_rows(r);
    if (MUTANT("noreplace"))
        return;
    if (!cluster_may_act(node_cluster(r->node))) {
        again(r); /* why it does not act, the cluster says */
        return;
    }
    node_read_rows(r->node, &rows, NODES_MAX, on_rows, r);
}

struct replace *replace_new(struct node *n, const char *node_id)
{
    struct replace *r = MEM_NEW(node_env(n)->mem, struct replace);
    r->node = n;
    r->env = node_env(n);
    r->pause_ms = REPLACE_LOOK_MS;
    (void)snprintf(r->id, sizeof(r->id), "%s", node_id);
    timer_init(&r->timer, r->env->timers, "replace", on_timer, r);
    return r;
}

void replace_start(struct replace *r)
{
    again(r);
}

void replace_stop(struct replace *r)
{
    if (!r)
        return;
    r->stopped = true;
    timer_stop(&r->timer);
}

void replace_free(struct replace *r)
{
    if (r)
        mem_free(r->env->mem, r);
}

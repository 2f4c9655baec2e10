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

/* What the row says then is looked at anew: that an order is obeyed is not taken on trust. */
static void on_forgotten(void *arg, int status, const char *why)
{
    struct replace *r = arg;
    if (status) {
        tell_waiting(r, why && why[0] ? why : kelpie_error_text(status));
        r->pause_ms = r->pause_ms * 2 < REPLACE_TELL_MS ? r->pause_ms * 2 : REPLACE_TELL_MS;
    }
    again(r);
}

/* 1: it is no voter; 0: it is; or an error of the row. */
static int is_gone(struct replace *r, const struct store_row *rows, size_t count)
{
    struct node_record node;
    struct buf scratch;
    if (count == 0)
        return 1;
    buf_init(&scratch, r->env->mem);
    int err = node_record_decode(rows[0].key, rows[0].value, &scratch, &node);
    buf_deinit(&scratch);
    return err ? err : node.state == NODE_LEFT;
}

static void on_row(void *arg, int status, const struct store_row *rows, size_t count, bool more)
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

static void on_timer(void *arg)
{
    struct replace *r = arg;
    struct key_range row = keys_one(key_node(node_keyspace(r->node), r->id));
    if (MUTANT("noreplace"))
        return;
    if (!cluster_may_act(node_cluster(r->node))) {
        again(r); /* why it does not act, the cluster says */
        return;
    }
    node_read_rows(r->node, &row, 1, on_row, r);
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

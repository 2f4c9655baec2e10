/* kelpie store restored: a store that was restored from a backup becomes a new epoch. */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

#include "bin/kelpie/cli_store.h"
#include "cluster/timing.h"
#include "kelpie/error.h"
#include "registry/rules_restored.h"

#define LOOK_INTERVAL_MS 100
#define LEASE_MS_MIN 2000 /* where no node says a longer one */
#define ROUND_GIVE_UP_MS 30000

struct restored {
    struct store_command *c;
    const struct env *env;
    struct loop *loop;
    struct restored_op op;
    struct timer pause;
    int status;
    char reason[TXN_REASON_SIZE];
    uint64_t nodes, actors;
};

static void on_done(struct txn *t, int status)
{
    struct restored *r = t->arg;
    r->status = status;
    (void)snprintf(r->reason, sizeof(r->reason), "%s",
                   t->reason[0] ? t->reason : kelpie_error_text(status));
    loop_stop(r->loop);
}

typedef void prepare_fn(struct restored_op *op, const struct env *env, txn_fn *done, void *arg);

/* One transaction. Returns its status. */
static int run_txn(struct restored *r, prepare_fn *prepare)
{
    prepare(&r->op, r->env, on_done, r);
    r->op.txn.give_up_ns = ROUND_GIVE_UP_MS * NS_PER_MS;
    txn_start(&r->op.txn);
    loop_run(r->loop);
    return r->status;
}

/* Every row of a range, page by page. */
static int run_pages(struct restored *r, prepare_fn *prepare, uint64_t *rows)
{
    int err;
    r->op.cursor.len = 0;
    do {
        err = run_txn(r, prepare);
        *rows += err ? 0 : r->op.rows;
        r->op.cursor = r->op.next;
    } while (!err && !r->op.at_end);
    return err;
}

static void on_pause(void *arg)
{
    loop_stop(arg);
}

/* A node that lives moves within its lease. One that is cut off, or stopped, has then lost it. */
static int look_for_a_window(struct restored *r)
{
    uint64_t began, window;
    int err = run_txn(r, restored_look_prepare);
    if (err)
        return err;
    window = window_of_lease_ns(r->op.lease_ms > LEASE_MS_MIN ? r->op.lease_ms : LEASE_MS_MIN);
    began = env_now_ns(r->env);
    if (!r->c->cli->json)
        say(CLI_PROGRAM, "watching for %.1f s that no node is alive", (double)window / 1e9);
    r->op.again = true;
    while (!err && env_now_ns(r->env) - began < window) {
        timer_start(&r->pause, LOOK_INTERVAL_MS * NS_PER_MS);
        loop_run(r->loop);
        err = run_txn(r, restored_look_prepare);
    }
    return err;
}

static void print_result(const struct restored *r)
{
    char before[UUID_TEXT_SIZE], now[UUID_TEXT_SIZE];
    uuid_to_text(r->op.old_cluster_id, before);
    uuid_to_text(r->op.new_cluster_id, now);
    if (r->c->cli->json) {
        json_t *body = json_pack("{s:s,s:s,s:I,s:s,s:s,s:I,s:I}", "store", r->c->url, "prefix",
                                 r->c->scan.ks.prefix, "epoch", (json_int_t)r->op.epoch,
                                 "cluster_before", before, "cluster", now, "nodes",
                                 (json_int_t)r->nodes, "actors", (json_int_t)r->actors);
        (void)json_dumpf(body, stdout, JSON_COMPACT);
        (void)printf("\n");
        json_decref(body);
        return;
    }
    (void)printf("store %s, prefix %s: epoch %" PRIu64 ", cluster %s (was %s), %" PRIu64
                 " nodes and %" PRIu64 " actors released; the nodes can be started now\n",
                 r->c->url, r->c->scan.ks.prefix, r->op.epoch, now, before, r->nodes, r->actors);
}

static int run_restored(struct store_command *c)
{
    struct restored *r = calloc(1, sizeof(*r));
    CHECK(r != NULL);
    r->c = c;
    r->env = &c->world.env;
    r->loop = c->world.loop;
    r->op.ks = &c->scan.ks;
    r->op.new_cluster_id = random_uuid(r->env->random);
    timer_init(&r->pause, r->env->timers, "restored_pause", on_pause, r->loop);
    int err = look_for_a_window(r);
    if (!err)
        err = run_pages(r, restored_actors_prepare, &r->actors);
    if (!err)
        err = run_pages(r, restored_nodes_prepare, &r->nodes);
    if (!err)
        err = run_txn(r, restored_finish_prepare);
    if (err)
        say(CLI_PROGRAM, "store %s has not become a new epoch: %s", c->url, r->reason);
    else
        print_result(r);
    free(r);
    return err ? CLI_FAILED : CLI_OK;
}

int cli_store_restored(struct cli *cli)
{
    return cli_with_store(cli, run_restored);
}

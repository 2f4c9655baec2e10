/* kelpie store format: which records a store holds, who can read newer ones, and raising it. */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

#include "bin/kelpie/cli_store.h"
#include "cluster/rules.h"
#include "kelpie/error.h"

#define GIVE_UP_MS 10000

struct format_command {
    struct store_command *c;
    struct raise_op op;
    int status;
    char reason[TXN_REASON_SIZE];
    struct table table;
    json_t *nodes;
};

static void take_nodes(struct format_command *f, struct rule_ctx ctx)
{
    static const char *const headings[] = {"NODE", "STATE", "READS UP TO", NULL};
    struct node_record r;
    char id[NODE_ID_MAX + 1];
    size_t at = 0;
    if (!f->nodes)
        table_init(&f->table, headings);
    while (next_node(&ctx, f->op.ks, RAISE_NODES, &at, id, &r) > 0) {
        if (f->nodes) {
            CHECK(json_array_append_new(f->nodes, json_pack("{s:s,s:s,s:I}", "node", id, "state",
                                                            node_state_name(r.state), "format_max",
                                                            (json_int_t)r.format_max)) == 0);
            continue;
        }
        table_cell(&f->table, "%s", id);
        table_cell(&f->table, "%s", node_state_name(r.state));
        table_cell(&f->table, "%u", r.format_max);
    }
}

static void on_done(struct txn *t, int status)
{
    struct format_command *f = t->arg;
    f->status = status;
    (void)snprintf(f->reason, sizeof(f->reason), "%s",
                   t->reason[0] ? t->reason : kelpie_error_text(status));
    if (status == 0)
        take_nodes(f, txn_look(t));
    loop_stop(f->c->world.loop);
}

static void print_format(struct format_command *f, bool raised)
{
    const struct store_command *c = f->c;
    uint64_t now = raised ? f->op.target : f->op.format;
    if (c->cli->json) {
        json_t *body = json_pack("{s:s,s:s,s:I,s:I,s:b,s:O}", "store", c->url, "prefix",
                                 c->scan.ks.prefix, "format", (json_int_t)now, "format_max",
                                 (json_int_t)RECORD_VERSION, "raised", raised, "nodes", f->nodes);
        (void)json_dumpf(body, stdout, JSON_COMPACT);
        (void)printf("\n");
        json_decref(body);
        return;
    }
    (void)printf("store %s, prefix %s: format %s%" PRIu64 "; this program reads 1 to %d\n", c->url,
                 c->scan.ks.prefix, raised ? "raised to " : "", now, RECORD_VERSION);
    table_print(&f->table);
}

static int run_format(struct store_command *c)
{
    bool raise = options_text(&c->cli->options, "raise") != NULL;
    struct format_command *f = calloc(1, sizeof(*f));
    CHECK(f != NULL);
    f->c = c;
    if (c->cli->json)
        f->nodes = json_array();
    f->op.ks = &c->scan.ks;
    f->op.target = raise ? RECORD_VERSION : 0;
    raise_prepare(&f->op, &c->world.env, on_done, f);
    f->op.txn.give_up_ns = GIVE_UP_MS * NS_PER_MS;
    txn_start(&f->op.txn);
    loop_run(c->world.loop);
    if (f->status)
        say(CLI_PROGRAM, "store %s: %s", c->url, f->reason);
    else
        print_format(f, raise && f->op.format < f->op.target);
    int status = f->status ? CLI_FAILED : CLI_OK;
    json_decref(f->nodes);
    free(f);
    return status;
}

int cli_store_format(struct cli *cli)
{
    return cli_with_store(cli, run_format);
}

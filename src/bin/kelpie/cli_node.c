/* kelpie node list, node drain, node forget. */
#include <stdio.h>
#include <string.h>

#include "bin/kelpie/cli.h"
#include "bin/shared/config.h"
#include "bin/shared/world_bind.h"
#include "http/api_path.h"
#include "record/records.h"

/* The ids of the peers that a node cannot reach, with commas: as many as fit. */
static void unreachable_cell(struct table *t, const json_t *peers)
{
    char ids[256] = "";
    size_t i, len = 0;
    json_t *peer;
    json_array_foreach(peers, i, peer)
    {
        const char *id = json_string_value(peer);
        if (id && len + strlen(id) + 2 <= sizeof(ids))
            len += (size_t)snprintf(ids + len, sizeof(ids) - len, "%s%s", len ? "," : "", id);
    }
    table_cell(t, "%s", len ? ids : "-");
}

/* Types that come and go, with the versions of their classes. */
static void types_cell(struct table *t, const json_t *types)
{
    char text[256] = "";
    size_t i, len = 0;
    json_t *type;
    json_array_foreach(types, i, type)
    {
        int n = snprintf(text + len, sizeof(text) - len, "%s%s/%lld", i ? "," : "",
                         json_text(type, "type"), json_number(type, "version"));
        len += (size_t)n;
        if (len >= sizeof(text))
            break;
    }
    table_cell(t, "%s", text[0] ? text : "-");
}

/* A state is what the store says; that nothing is heard of the node is what the asked one sees. */
static void state_cell(struct table *t, const json_t *n)
{
    char silent[48] = "";
    if (json_is_set(n, "silent"))
        (void)snprintf(silent, sizeof(silent), ", silent %lld s",
                       json_number(n, "unmoved_ms") / 1000);
    table_cell(t, "%s%s%s", json_text(n, "state"), json_is_set(n, "flagged") ? " (flagged)" : "",
               silent);
}

static void print_nodes(const json_t *list)
{
    static const char *const headings[] = {"NODE",        "STATE",  "PRIMARY",   "INCARNATION",
                                           "HTTP",        "ACTORS", "HEARTBEAT", "VIEW",
                                           "UNREACHABLE", "TYPES",  NULL};
    struct table t;
    size_t i;
    json_t *n;
    table_init(&t, headings);
    json_array_foreach(list, i, n)
    {
        bool beats = json_is_integer(json_object_get(n, "heartbeat"));
        table_cell(&t, "%s", json_text(n, "node"));
        state_cell(&t, n);
        table_cell(&t, "%s", json_is_set(n, "primary") ? "yes" : "-");
        table_cell(&t, "%lld", json_number(n, "incarnation"));
        table_cell(&t, "%s", json_text(n, "http"));
        table_cell(&t, beats ? "%lld" : "-", json_number(n, "load"));
        table_cell(&t, beats ? "%lld" : "-", json_number(n, "heartbeat"));
        table_cell(&t, beats ? "%lld" : "-", json_number(n, "ack"));
        unreachable_cell(&t, json_object_get(n, "unreachable"));
        types_cell(&t, json_object_get(n, "types"));
    }
    table_print(&t);
}

int cli_node_list(struct cli *cli)
{
    const struct cli_list list = {.path = "/v1/nodes", .what = "nodes", .limit = NODES_MAX};
    json_t *all = json_array();
    bool more;
    int status = cli_list_all(cli, &list, all, &more);
    if (status == CLI_OK && !cli->json)
        print_nodes(all);
    json_decref(all);
    return status;
}

static int node_action(struct cli *cli, const char *action, uint64_t timeout_ms)
{
    const char *id = cli->options.operands[0];
    char path[3 * NODE_ID_MAX + 64], why[CONFIG_WHY_SIZE];
    struct cli_answer a;
    if (id_check("node id", bytes_of_str(id), NODE_ID_MAX, why, sizeof(why))) {
        say(CLI_PROGRAM, "%s", why);
        return CLI_USAGE;
    }
    int n = snprintf(path, sizeof(path), "/v1/nodes/");
    path_encode(id, path + n);
    n = (int)strlen(path);
    (void)snprintf(path + n, sizeof(path) - (size_t)n, "/%s", action);
    if (cli_ask(cli, "POST", path, timeout_ms, &a))
        return CLI_FAILED;
    if (!cli->json)
        show_line(stdout, "%s", json_text(a.json, "message"));
    cli_answer_free(&a);
    return CLI_OK;
}

int cli_node_drain(struct cli *cli)
{
    return node_action(cli, "drain", CLI_TIMEOUT_MS);
}

int cli_node_forget(struct cli *cli)
{
    char why[CONFIG_WHY_SIZE];
    bool force = false;
    if (options_flag(&cli->options, "force", &force, why, sizeof(why))) {
        say(CLI_PROGRAM, "%s", why);
        return CLI_USAGE;
    }
    return node_action(cli, force ? "forget?force=true" : "forget", CLI_FORGET_TIMEOUT_MS);
}

/* kelpie status, node list, node drain, node forget. */
#include <stdio.h>
#include <string.h>

#include "bin/kelpie/cli.h"
#include "bin/shared/config.h"
#include "bin/shared/world_bind.h"
#include "http/api_path.h"

static void print_voters(const json_t *s)
{
    if (!json_is_set(s, "store_ok")) {
        (void)printf("majority    unknown: the store does not answer\n");
        return;
    }
    if (json_is_set(s, "acting") && json_text(s, "reason")[0]) {
        (void)printf("majority    NO living primary: %s\n", json_text(s, "reason"));
        return;
    }
    long long more = json_number(s, "tolerates_failures");
    (void)printf("majority    %s: %lld of %lld voters active, %lld needed; ",
                 json_is_set(s, "has_majority") ? "yes" : "NO", json_number(s, "active"),
                 json_number(s, "voters"), json_number(s, "majority"));
    if (more > 0)
        (void)printf("%lld more may fail\n", more);
    else
        (void)printf("none may fail\n");
}

static void print_view(const json_t *s)
{
    const json_t *view = json_object_get(s, "view");
    const json_t *primary = json_object_get(s, "primary");
    size_t i;
    json_t *member;
    (void)printf("view        %lld:", json_number(view, "number"));
    json_array_foreach(json_object_get(view, "members"), i, member)
    {
        (void)printf(" %s", json_string_value(member));
    }
    (void)printf("\n");
    if (json_is_object(primary))
        (void)printf("primary     %s, term %lld\n", json_text(primary, "node"),
                     json_number(primary, "term"));
    else
        (void)printf("primary     none\n");
}

int cli_status_run(struct cli *cli)
{
    struct cli_answer a;
    if (cli_ask(cli, "GET", "/v1/status", CLI_TIMEOUT_MS, &a))
        return CLI_FAILED;
    if (!cli->json) {
        const json_t *s = a.json;
        long long up_s = json_number(s, "uptime_ms") / 1000;
        (void)printf("node        %s, %s%s, incarnation %lld\n", json_text(s, "node"),
                     json_text(s, "state"), json_is_set(s, "is_primary") ? ", primary" : "",
                     json_number(s, "incarnation"));
        if (!json_is_set(s, "acting"))
            (void)printf("NOT ACTING  %s\n", json_text(s, "reason"));
        print_view(s);
        print_voters(s);
        (void)printf("lease       %lld of %lld ms left\n", json_number(s, "lease_left_ms"),
                     json_number(s, "lease_ms"));
        (void)printf("actors      %lld active on this node\n", json_number(s, "activations"));
        (void)printf("addresses   http %s, rpc %s\n", json_text(s, "http"), json_text(s, "rpc"));
        (void)printf("store       %s\n", json_text(s, "store"));
        (void)printf("process     %lld, version %s, up %lldh %02lldm %02llds\n",
                     json_number(s, "pid"), json_text(s, "version"), up_s / 3600, up_s / 60 % 60,
                     up_s % 60);
    }
    cli_answer_free(&a);
    return CLI_OK;
}

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

int cli_node_list(struct cli *cli)
{
    static const char *const headings[] = {"NODE",   "STATE",     "PRIMARY", "INCARNATION", "HTTP",
                                           "ACTORS", "HEARTBEAT", "VIEW",    "UNREACHABLE", NULL};
    struct cli_answer a;
    struct table t;
    size_t i;
    json_t *n;
    if (cli_ask(cli, "GET", "/v1/nodes", CLI_TIMEOUT_MS, &a))
        return CLI_FAILED;
    if (!cli->json) {
        table_init(&t, headings);
        json_array_foreach(json_object_get(a.json, "nodes"), i, n)
        {
            bool beats = json_is_integer(json_object_get(n, "heartbeat"));
            table_cell(&t, "%s", json_text(n, "node"));
            table_cell(&t, "%s%s", json_text(n, "state"),
                       json_is_set(n, "flagged") ? " (flagged)" : "");
            table_cell(&t, "%s", json_is_set(n, "primary") ? "yes" : "-");
            table_cell(&t, "%lld", json_number(n, "incarnation"));
            table_cell(&t, "%s", json_text(n, "http"));
            table_cell(&t, beats ? "%lld" : "-", json_number(n, "load"));
            table_cell(&t, beats ? "%lld" : "-", json_number(n, "heartbeat"));
            table_cell(&t, beats ? "%lld" : "-", json_number(n, "ack"));
            unreachable_cell(&t, json_object_get(n, "unreachable"));
        }
        table_print(&t);
    }
    cli_answer_free(&a);
    return CLI_OK;
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
        (void)printf("%s\n", json_text(a.json, "message"));
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

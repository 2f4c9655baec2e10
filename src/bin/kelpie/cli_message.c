/* kelpie message list, show, retry, drop, poisoned, lift. */
#include <stdio.h>
#include <string.h>
#include <time.h>

#include "bin/kelpie/cli.h"
#include "bin/shared/config.h"
#include "bin/shared/world_bind.h"
#include "http/api.h"
#include "http/api_path.h"
#include "record/message_ref.h"

#define PATH_SIZE 4096

/* "/v1/messages/TYPE/ID" for an actor as people write it. */
static int messages_path(const char *actor, char out[PATH_SIZE])
{
    static const char from[] = "/v1/actors/", to[] = "/v1/messages/";
    char path[PATH_SIZE];
    int err = cli_actor_path(actor, path, sizeof(path));
    if (!err)
        (void)snprintf(out, PATH_SIZE, "%s%.*s", to, (int)(PATH_SIZE - sizeof(to)),
                       path + sizeof(from) - 1);
    return err;
}

/* ---- list ---- */

/* How long from now, or ago. */
static void time_cell(struct table *t, long long ms)
{
    long long left = ms - (long long)time(NULL) * 1000;
    const char *unit = "s";
    long long n = left < 0 ? -left / 1000 : left / 1000;
    if (ms == 0) {
        table_cell(t, "-");
        return;
    }
    if (n >= 2 * 86400) {
        n /= 86400;
        unit = "d";
    } else if (n >= 2 * 3600) {
        n /= 3600;
        unit = "h";
    }
    table_cell(t, "%s%lld%s%s", left < 0 ? "" : "in ", n, unit, left < 0 ? " ago" : "");
}

static void message_row(struct table *t, const json_t *m)
{
    table_cell(t, "%s/%s", json_text(m, "type"), json_text(m, "id"));
    table_cell(t, "%s", json_text(m, "message"));
    table_cell(t, "%s", json_text(m, "method"));
    table_cell(t, "%s", json_text(m, "sender"));
    time_cell(t, json_number(m, "sent_ms"));
    time_cell(t, json_number(m, "due_ms"));
    table_cell(t, "%s", json_text(m, "name")[0] ? json_text(m, "name") : "-");
    table_cell(t, "%lld", json_number(m, "attempts"));
    table_cell(t, "%s", json_text(m, "error")[0] ? json_text(m, "error") : "-");
}

static void print_messages(const json_t *list)
{
    static const char *const headings[] = {"ACTOR", "MESSAGE", "METHOD",   "SENDER", "SENT",
                                           "DUE",   "NAME",    "ATTEMPTS", "ERROR",  NULL};
    struct table t;
    size_t i;
    json_t *m;
    table_init(&t, headings);
    json_array_foreach(list, i, m)
    {
        message_row(&t, m);
    }
    table_print(&t);
}

static int list(struct cli *cli, const char *path, const char *what,
                void (*print)(const json_t *list))
{
    char why[CONFIG_WHY_SIZE];
    uint32_t limit = API_LIST_MAX;
    bool more = false;
    if (options_number(&cli->options, "limit", 1, 1000000, &limit, why, sizeof(why))) {
        say(CLI_PROGRAM, "%s", why);
        return CLI_USAGE;
    }
    const struct cli_list pages = {.path = path, .what = what, .limit = limit};
    json_t *all = json_array();
    int status = cli_list_all(cli, &pages, all, &more);
    if (status == CLI_OK && !cli->json) {
        print(all);
        if (more)
            (void)printf("there are more; --limit shows them\n");
    }
    json_decref(all);
    return status;
}

int cli_message_list(struct cli *cli)
{
    const struct options *o = &cli->options;
    char path[PATH_SIZE] = "/v1/messages";
    if (o->operand_count > 0 && messages_path(o->operands[0], path))
        return CLI_USAGE;
    return list(cli, path, "messages", print_messages);
}

/* ---- poisoned ---- */

static void print_poisoned(const json_t *rows)
{
    static const char *const headings[] = {"ACTOR", "METHOD",     "CALLBACK", "DEATHS",
                                           "LAST",  "RUNS AGAIN", "REQUEST",  NULL};
    struct table t;
    size_t i;
    json_t *p;
    table_init(&t, headings);
    json_array_foreach(rows, i, p)
    {
        table_cell(&t, "%s/%s", json_text(p, "type"), json_text(p, "id"));
        table_cell(&t, "%s", json_text(p, "method"));
        table_cell(&t, "%s", json_text(p, "callback"));
        table_cell(&t, "%lld", json_number(p, "deaths"));
        time_cell(&t, json_number(p, "died_ms"));
        time_cell(&t,
                  json_is_true(json_object_get(p, "poisoned")) ? json_number(p, "until_ms") : 0);
        table_cell(&t, "%s", json_text(p, "request"));
    }
    table_print(&t);
}

int cli_message_poisoned(struct cli *cli)
{
    return list(cli, "/v1/messages/poisoned", "poisoned", print_poisoned);
}

static int post(struct cli *cli, const char *path)
{
    struct cli_answer a;
    if (cli_ask(cli, "POST", path, CLI_TIMEOUT_MS, &a))
        return CLI_FAILED;
    if (!cli->json)
        show_line(stdout, "%s", json_text(a.json, "message"));
    cli_answer_free(&a);
    return CLI_OK;
}

int cli_message_lift(struct cli *cli)
{
    const struct options *o = &cli->options;
    char path[PATH_SIZE], why[CONFIG_WHY_SIZE];
    size_t n;
    if (messages_path(o->operands[0], path))
        return CLI_USAGE;
    n = strlen(path);
    n += (size_t)snprintf(path + n, PATH_SIZE - n, "/lift");
    if (o->operand_count > 1) {
        if (id_check("method", bytes_of_str(o->operands[1]), ACTOR_METHOD_MAX, why, sizeof(why))) {
            say(CLI_PROGRAM, "%s", why);
            return CLI_USAGE;
        }
        n += (size_t)snprintf(path + n, PATH_SIZE - n, "?method=");
        path_encode(o->operands[1], path + n);
    }
    return post(cli, path);
}

/* ---- one ---- */

static int one_path(const struct options *o, const char *action, char out[PATH_SIZE])
{
    struct message_ref ref;
    int err = messages_path(o->operands[0], out);
    size_t n;
    if (err)
        return err;
    if (message_ref_from_text(o->operands[1], &ref)) {
        say(CLI_PROGRAM, "'%.100s' is no message: write it as kelpie message list shows it",
            o->operands[1]);
        return CLI_USAGE;
    }
    n = strlen(out);
    (void)snprintf(out + n, PATH_SIZE - n, "/%s%s", o->operands[1], action);
    return CLI_OK;
}

int cli_message_show(struct cli *cli)
{
    char path[PATH_SIZE];
    struct cli_answer a;
    int err = one_path(&cli->options, "", path);
    if (err)
        return err;
    if (cli_ask(cli, "GET", path, CLI_TIMEOUT_MS, &a))
        return CLI_FAILED;
    if (!cli->json) {
        const char *hex = json_text(a.json, "body_hex");
        json_t *list = json_pack("[O]", a.json);
        print_messages(list);
        json_decref(list);
        show_line(stdout, "%s%s", hex[0] ? "hex: " : "", hex[0] ? hex : json_text(a.json, "body"));
    }
    cli_answer_free(&a);
    return CLI_OK;
}

static int act(struct cli *cli, const char *action)
{
    char path[PATH_SIZE];
    int err = one_path(&cli->options, action, path);
    return err ? err : post(cli, path);
}

int cli_message_retry(struct cli *cli)
{
    return act(cli, "/retry");
}

int cli_message_drop(struct cli *cli)
{
    return act(cli, "/drop");
}

/* kelpie actor list, actor locate, actor show, call. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "actor/actor.h"
#include "bin/kelpie/cli.h"
#include "bin/shared/config.h"
#include "bin/shared/world_bind.h"
#include "http/api.h"
#include "http/api_path.h"
#include "kelpie/error.h"

#define PATH_SIZE 4096
#define RETRY_MS 50
#define AFTER_DIGITS_MAX 18

static void actor_row(struct table *t, const json_t *actor)
{
    table_cell(t, "%s/%s", json_text(actor, "type"), json_text(actor, "id"));
    table_cell(t, "%s", json_text(actor, "node"));
    table_cell(t, "%s", json_is_set(actor, "hosted") ? "yes" : "no");
    table_cell(t, "%lld", json_number(actor, "incarnation"));
    table_cell(t, "%lld", json_number(actor, "generation"));
}

static void print_actors(const json_t *list)
{
    static const char *const headings[] = {"ACTOR",       "NODE",       "HOSTED",
                                           "INCARNATION", "GENERATION", NULL};
    struct table t;
    size_t i;
    json_t *actor;
    table_init(&t, headings);
    json_array_foreach(list, i, actor)
    {
        actor_row(&t, actor);
    }
    table_print(&t);
}

/* ---- list ---- */

int cli_actor_list(struct cli *cli)
{
    const char *type = options_text(&cli->options, "type");
    const char *node = options_text(&cli->options, "on");
    char why[CONFIG_WHY_SIZE];
    uint32_t limit = API_LIST_MAX;
    bool more = false;
    int err = options_number(&cli->options, "limit", 1, 1000000, &limit, why, sizeof(why));
    if (!err && type)
        err = id_check("--type", bytes_of_str(type), ACTOR_TYPE_MAX, why, sizeof(why));
    if (!err && node)
        err = id_check("--on", bytes_of_str(node), NODE_ID_MAX, why, sizeof(why));
    if (err) {
        say(CLI_PROGRAM, "%s", why);
        return CLI_USAGE;
    }
    const struct cli_list list = {
        .path = "/v1/actors", .what = "actors", .type = type, .node = node, .limit = limit};
    json_t *all = json_array();
    int status = cli_list_all(cli, &list, all, &more);
    if (status == CLI_OK && !cli->json) {
        print_actors(all);
        if (more)
            (void)printf("there are more; --limit shows them\n");
    }
    json_decref(all);
    return status;
}

int cli_actor_locate(struct cli *cli)
{
    char path[PATH_SIZE];
    struct cli_answer a;
    int err = cli_actor_path(cli->options.operands[0], path, sizeof(path));
    if (err)
        return err;
    if (cli_ask(cli, "GET", path, CLI_TIMEOUT_MS, &a))
        return CLI_FAILED;
    if (!cli->json) {
        json_t *list = json_pack("[O]", a.json);
        print_actors(list);
        json_decref(list);
    }
    cli_answer_free(&a);
    return CLI_OK;
}

/* ---- show ---- */

int cli_actor_show(struct cli *cli)
{
    static const char *const whats[] = {"head", "state", "inbox", "later"};
    char base[PATH_SIZE / 2], path[PATH_SIZE];
    json_t *all = json_array(), *row;
    bool more = false;
    size_t n;
    int status = cli_actor_path(cli->options.operands[0], base, sizeof(base));
    bool json = cli->json;
    cli->json = false; /* the lists make one */
    for (size_t i = 0; i < ARRAY_LEN(whats) && status == CLI_OK; i++) {
        (void)snprintf(path, sizeof(path), "%s/show/%s", base, whats[i]);
        const struct cli_list list = {
            .path = path, .what = "rows", .limit = (uint32_t)json_array_size(all) + API_LIST_MAX};
        status = cli_list_all(cli, &list, all, &more);
    }
    cli->json = json;
    if (status == CLI_OK && cli->json) {
        (void)json_dumpf(all, stdout, JSON_COMPACT);
        (void)printf("\n");
    }
    if (status == CLI_OK && !cli->json && json_array_size(all) == 0) {
        complain("%s has no rows: it never was, or is over", cli->options.operands[0]);
        status = CLI_FAILED;
    }
    if (status == CLI_OK && !cli->json)
        json_array_foreach(all, n, row)
        {
            show_line(stdout, "%s%s%s", json_text(row, "key"), json_text(row, "value"),
                      json_is_set(row, "cut") ? "..." : "");
        }
    json_decref(all);
    return status;
}

/* ---- call ---- */

static uint64_t now_ms(void)
{
    struct timespec ts;
    CHECK(clock_gettime(CLOCK_BOOTTIME, &ts) == 0);
    return (uint64_t)ts.tv_sec * 1000 + (uint64_t)ts.tv_nsec / 1000000;
}

/* The body: the third word, or standard input for "-". CLI_OK, or CLI_FAILED with a sentence said. */
static int read_body(const char *word, char **out, size_t *len)
{
    *len = 0;
    *out = malloc(KELPIE_BODY_MAX + 1);
    CHECK(*out != NULL);
    if (word && strcmp(word, "-") == 0) {
        *len = fread(*out, 1, KELPIE_BODY_MAX + 1, stdin);
        if (ferror(stdin)) {
            say(CLI_PROGRAM, "standard input cannot be read: %s", strerror(errno));
            return CLI_FAILED;
        }
    } else if (word) {
        *len = strlen(word);
        memcpy(*out, word, *len <= KELPIE_BODY_MAX ? *len : 0);
    }
    if (*len <= KELPIE_BODY_MAX)
        return CLI_OK;
    say(CLI_PROGRAM, "the body is over the limit of %u bytes", KELPIE_BODY_MAX);
    return CLI_FAILED;
}

/* Worth repeating at once: not what only a person can change. */
static bool may_repeat(const struct cli_answer *a)
{
    static const char *const lasting[] = {"unknown_type", "handler_failed", "store_full",
                                          "unknown_result"};
    if (a->error)
        return a->error == KELPIE_E_UNREACHABLE;
    for (size_t i = 0; i < ARRAY_LEN(lasting); i++)
        if (strcmp(json_text(a->json, "error"), lasting[i]) == 0)
            return false;
    return a->status > 299 && json_is_set(a->json, "retry");
}

struct call {
    bool maybe_applied; /* by a request that got no answer, or one that says so */
    char path[PATH_SIZE];
    const char *request_id;
    const char *after; /* it is sent, to come so late; NULL: called */
    bool is_first;     /* the id is ours: nobody has sent it before */
    struct bytes body;
    uint32_t deadline_ms;
};

/* Sends it again, with the same request id, while that may help and the deadline lasts. A node that
 * cannot be reached at all is not waited for. */
static void call_until_done(struct cli *cli, struct call *c, struct cli_answer *a)
{
    uint64_t begun = now_ms();
    unsigned attempts = 0;
    for (;;) {
        char path[PATH_SIZE + 64], age[24];
        uint64_t gone = now_ms() - begun;
        uint64_t left = gone < c->deadline_ms ? c->deadline_ms - gone : 1;
        (void)snprintf(age, sizeof(age), "%llu", (unsigned long long)gone);
        (void)snprintf(path, sizeof(path), "%s?deadline_ms=%llu&age_ms=%s%s%s", c->path,
                       (unsigned long long)left, c->is_first ? age : "unknown",
                       c->after ? "&after_ms=" : "", c->after ? c->after : "");
        cli_request(cli, "POST", path, c->request_id, c->body, left + 1000, a);
        attempts++;
        c->maybe_applied |= a->error || strcmp(json_text(a->json, "applied"), "unknown") == 0;
        gone = now_ms() - begun;
        if (!may_repeat(a) || gone + RETRY_MS >= c->deadline_ms || (a->error && attempts == 1))
            return;
        cli_answer_free(a);
        struct timespec pause = {.tv_nsec = RETRY_MS * 1000000};
        (void)nanosleep(&pause, NULL);
    }
}

static void print_reply(const struct cli_answer *a)
{
    (void)fwrite(a->body, 1, a->len, stdout);
    bool ends_line = a->len > 0 && a->body[a->len - 1] == '\n';
    if (isatty(STDOUT_FILENO) && !ends_line)
        (void)printf("\n");
}

static int say_call_error(struct cli *cli, const struct call *c, const struct cli_answer *a)
{
    const char *told = json_text(a->json, "applied");
    (void)cli_say_error(cli, a);
    if (c->maybe_applied)
        say(CLI_PROGRAM, "applied: unknown%s",
            strcmp(told, "no") == 0 ? " (not by the last request, perhaps by one before)" : "");
    else if (a->json)
        say(CLI_PROGRAM, "applied: %s", told);
    return CLI_FAILED;
}

static int print_answer(struct cli *cli, const struct call *c, const struct cli_answer *a)
{
    if (a->error || a->status < 200 || a->status > 299)
        return say_call_error(cli, c, a);
    if (cli->json) {
        json_t *reply = json_stringn(a->body, a->len);
        json_t *body = json_pack("{s:s,s:o}", "request_id", c->request_id, "reply",
                                 reply ? reply : json_null());
        (void)json_dumpf(body, stdout, JSON_COMPACT);
        (void)printf("\n");
        json_decref(body);
    } else {
        print_reply(a);
    }
    return CLI_OK;
}

/* A number of milliseconds; its bound is the node's to say. */
static int check_after(const char *after, char *why, size_t size)
{
    size_t n = after ? strspn(after, "0123456789") : 0;
    if (!after || (n > 0 && n <= AFTER_DIGITS_MAX && !after[n]))
        return 0;
    (void)snprintf(why, size, "--after is '%.40s', but it must be 0 to %llu", after,
                   (unsigned long long)KELPIE_SEND_DELAY_MS_MAX);
    return KELPIE_E_INVALID;
}

static int take_call(struct cli *cli, struct call *c, char made_id[UUID_TEXT_SIZE])
{
    char why[CONFIG_WHY_SIZE];
    struct env env;
    const char *method = cli->options.operands[1];
    int err = cli_actor_path(cli->options.operands[0], c->path, sizeof(c->path));
    if (err)
        return err;
    c->deadline_ms = CALL_DEADLINE_MS_DEFAULT;
    c->request_id = options_text(&cli->options, "request-id");
    c->after = options_text(&cli->options, "after");
    err = id_check("method", bytes_of_str(method), KELPIE_METHOD_MAX, why, sizeof(why));
    if (!err)
        err = options_number(&cli->options, "deadline-ms", 1, CALL_DEADLINE_MS_MAX, &c->deadline_ms,
                             why, sizeof(why));
    if (!err)
        err = check_after(c->after, why, sizeof(why));
    if (!err && c->request_id)
        err =
            id_check("--request-id", bytes_of_str(c->request_id), REQUEST_ID_MAX, why, sizeof(why));
    if (err) {
        say(CLI_PROGRAM, "%s", why);
        return CLI_USAGE;
    }
    size_t n = strlen(c->path);
    c->path[n++] = '/';
    path_encode(method, c->path + n);
    if (!c->request_id) {
        loop_fill_env(cli->loop, &env);
        uuid_to_text(random_uuid(env.random), made_id);
        c->request_id = made_id;
        c->is_first = true;
    }
    return CLI_OK;
}

int cli_call(struct cli *cli)
{
    const struct options *o = &cli->options;
    char made_id[UUID_TEXT_SIZE];
    char *body = NULL;
    size_t len;
    struct call *c = calloc(1, sizeof(*c));
    CHECK(c != NULL);
    int status = take_call(cli, c, made_id);
    if (status == CLI_OK)
        status = read_body(o->operand_count > 2 ? o->operands[2] : NULL, &body, &len);
    if (status == CLI_OK) {
        struct cli_answer a;
        c->body = bytes_of(body, len);
        call_until_done(cli, c, &a);
        status = print_answer(cli, c, &a);
        cli_answer_free(&a);
    }
    free(body);
    free(c);
    return status;
}

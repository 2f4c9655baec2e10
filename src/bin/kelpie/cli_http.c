/* One request at a time to one node. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "bin/kelpie/cli.h"
#include "bin/shared/config.h"
#include "bin/shared/world_bind.h"
#include "http/api_path.h"
#include "kelpie/error.h"

int cli_open(struct cli *cli)
{
    char why[CONFIG_WHY_SIZE];
    bool loopback;
    if (config_check_addr("--node", cli->node, &loopback, why, sizeof(why))) {
        say(CLI_PROGRAM, "%s", why);
        return CLI_USAGE;
    }
    cli->loop = loop_new();
    if (!cli->loop) {
        say(CLI_PROGRAM, "the system refuses an event loop: %s", strerror(errno));
        return CLI_FAILED;
    }
    cli->client = http_client_new(cli->loop, loop_mem(), cli->node);
    return CLI_OK;
}

void cli_close(struct cli *cli)
{
    if (cli->client)
        http_client_free(cli->client);
    loop_free(cli->loop);
    cli->client = NULL;
    cli->loop = NULL;
}

struct waiting {
    struct loop *loop;
    struct cli_answer *answer;
};

static void on_response(void *arg, const struct http_response *response)
{
    struct waiting *w = arg;
    struct cli_answer *a = w->answer;
    a->error = response->error;
    a->status = response->status;
    a->len = response->body.len;
    a->body = malloc(a->len + 1);
    CHECK(a->body != NULL);
    if (a->len)
        memcpy(a->body, response->body.data, a->len);
    a->body[a->len] = '\0';
    loop_stop(w->loop);
}

void cli_request(struct cli *cli, const char *method, const char *path, const char *request_id,
                 struct bytes body, uint64_t timeout_ms, struct cli_answer *out)
{
    struct waiting w = {.loop = cli->loop, .answer = out};
    memset(out, 0, sizeof(*out));
    http_client_send(cli->client, method, path, request_id, body, timeout_ms, on_response, &w);
    loop_run(cli->loop);
    if (!out->error)
        out->json = json_loadb(out->body, out->len, 0, NULL);
}

void cli_answer_free(struct cli_answer *a)
{
    json_decref(a->json);
    free(a->body);
    memset(a, 0, sizeof(*a));
}

int cli_say_error(struct cli *cli, const struct cli_answer *a)
{
    const char *message = a->json ? json_string_value(json_object_get(a->json, "message")) : NULL;
    const char *code = a->json ? json_string_value(json_object_get(a->json, "code")) : NULL;
    const char *error = a->json ? json_string_value(json_object_get(a->json, "error")) : NULL;
    if (a->error == KELPIE_E_UNREACHABLE)
        complain(
            "cannot reach a node at %s: connection refused or lost; start one with kelpied, or "
            "name one with --node",
            cli->node);
    else if (a->error == KELPIE_E_TIMEOUT)
        complain("the node at %s does not answer in time", cli->node);
    else if (a->error == KELPIE_E_PROTOCOL)
        complain("what answers at %s is no Kelpie node: it speaks no HTTP", cli->node);
    else if (a->error)
        complain("cannot talk to a node at %s: %s", cli->node, kelpie_error_text(a->error));
    else if (message && error && code)
        complain("%s (%s: %s)", message, error, code);
    else if (message && error)
        complain("%s (%s)", message, error);
    else
        complain("what answers at %s is no Kelpie node: HTTP status %d", cli->node, a->status);
    return CLI_FAILED;
}

int cli_ask(struct cli *cli, const char *method, const char *path, uint64_t timeout_ms,
            struct cli_answer *out)
{
    cli_request(cli, method, path, NULL, bytes_of("", 0), timeout_ms, out);
    if (out->error || out->status < 200 || out->status > 299 || !out->json) {
        (void)cli_say_error(cli, out);
        cli_answer_free(out);
        return CLI_FAILED;
    }
    if (cli->json)
        (void)fwrite(out->body, 1, out->len, stdout);
    return CLI_OK;
}

int cli_actor_path(const char *actor, char *out, size_t size)
{
    const char *slash = strchr(actor, '/');
    char type[ACTOR_TYPE_MAX + 1], why[CONFIG_WHY_SIZE];
    int err = KELPIE_E_INVALID;
    if (!slash) {
        say(CLI_PROGRAM, "'%.100s' is no actor: write TYPE/ID, as in counter/visits", actor);
        return CLI_USAGE;
    }
    err = id_check("actor type", bytes_of(actor, (size_t)(slash - actor)), ACTOR_TYPE_MAX, why,
                   sizeof(why));
    if (!err)
        err = id_check("actor id", bytes_of_str(slash + 1), ACTOR_ID_MAX, why, sizeof(why));
    if (err) {
        say(CLI_PROGRAM, "%s", why);
        return CLI_USAGE;
    }
    (void)snprintf(type, sizeof(type), "%.*s", (int)(slash - actor), actor);
    CHECK(size > 3 * (strlen(actor) + 8));
    char *at = path_encode(type, out + snprintf(out, size, "/v1/actors/"));
    *at++ = '/';
    path_encode(slash + 1, at);
    return CLI_OK;
}

const char *json_text(const json_t *object, const char *name)
{
    const char *text = json_string_value(json_object_get(object, name));
    return text ? text : "-";
}

long long json_number(const json_t *object, const char *name)
{
    return json_integer_value(json_object_get(object, name));
}

bool json_is_set(const json_t *object, const char *name)
{
    return json_is_true(json_object_get(object, name));
}

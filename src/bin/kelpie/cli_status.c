/* kelpie status: what a node answered, in a person's words; a pure function of the answer. */
#include <string.h>

#include "bin/kelpie/cli.h"

static const json_t *silence_of(const json_t *s, const char *node_id)
{
    size_t i;
    json_t *silent;
    json_array_foreach(json_object_get(s, "silent"), i, silent)
    {
        if (strcmp(json_text(silent, "node"), node_id) == 0)
            return silent;
    }
    return NULL;
}

static void print_view(FILE *out, const json_t *s)
{
    const json_t *view = json_object_get(s, "view");
    size_t i;
    json_t *member;
    show(out, "view        %lld:", json_number(view, "number"));
    json_array_foreach(json_object_get(view, "members"), i, member)
    {
        const char *id = json_string_value(member);
        const json_t *silent = id ? silence_of(s, id) : NULL;
        show(out, " %s", id ? id : "-");
        if (silent)
            show(out, " (silent %lld s)", json_number(silent, "ms") / 1000);
    }
    long long more = json_number(view, "count") - (long long)i;
    if (more > 0)
        show(out, " and %lld more", more);
    (void)fputc('\n', out);
}

static void print_primary(FILE *out, const json_t *s)
{
    const json_t *primary = json_object_get(s, "primary");
    bool acts = json_is_set(s, "acting");
    if (!json_is_object(primary))
        show_line(out, "primary     none");
    else if (json_is_set(s, "primary_lives"))
        show_line(out, "primary     %s, term %lld", json_text(primary, "node"),
                  json_number(primary, "term"));
    else
        show_line(out, "primary     %s; last read: %s, term %lld", acts ? "none living" : "unknown",
                  json_text(primary, "node"), json_number(primary, "term"));
}

static void print_majority(FILE *out, const json_t *s)
{
    long long more = json_number(s, "tolerates_failures");
    if (!json_is_set(s, "store_ok")) {
        show(out, "majority    unknown: the store does not answer");
    } else if (!json_is_set(s, "acting")) {
        show(out, "majority    unknown: this node may not act, and cannot say");
    } else {
        bool has = json_is_set(s, "has_majority");
        bool all_heard = json_number(s, "heard") == json_number(s, "active");
        show(out, "majority    %s: %lld of %lld voters %s, %lld needed", has ? "yes" : "NO",
             json_number(s, "heard"), json_number(s, "voters"), all_heard ? "active" : "heard from",
             json_number(s, "majority"));
        if (has && more > 0)
            show(out, "; %lld more may fail", more);
        else if (has)
            show(out, "; none may fail");
    }
    (void)fputc('\n', out);
}

/* In which version, and what is about to change. */
static void print_types(FILE *out, const json_t *s)
{
    const json_t *types = json_object_get(s, "types");
    size_t i;
    json_t *type;
    if (json_array_size(types) == 0)
        return; /* an older node says nothing of them */
    show(out, "types      ");
    json_array_foreach(types, i, type)
    {
        const char *hosting = json_text(type, "hosting");
        show(out, " %s", json_text(type, "type"));
        if (json_number(type, "version"))
            show(out, "/%lld", json_number(type, "version"));
        if (strcmp(hosting, "hosted") != 0)
            show(out, " (%s)", hosting);
    }
    (void)fputc('\n', out);
}

void status_print(FILE *out, const json_t *s)
{
    long long up_s = json_number(s, "uptime_ms") / 1000;
    size_t i;
    json_t *trouble;
    show_line(out, "node        %s, %s%s, incarnation %lld", json_text(s, "node"),
              json_text(s, "state"), json_is_set(s, "is_primary") ? ", primary" : "",
              json_number(s, "incarnation"));
    if (!json_is_set(s, "acting")) {
        show_line(out, "NOT ACTING  %s", json_text(s, "reason"));
    }
    json_array_foreach(json_object_get(s, "troubles"), i, trouble)
    {
        const char *text = json_string_value(trouble);
        show_line(out, "TROUBLE     %s", text ? text : "-");
    }
    print_view(out, s);
    print_primary(out, s);
    print_majority(out, s);
    show_line(out, "lease       %lld of %lld ms left", json_number(s, "lease_left_ms"),
              json_number(s, "lease_ms"));
    show_line(out, "actors      %lld active on this node", json_number(s, "activations"));
    print_types(out, s);
    show_line(out, "addresses   http %s, rpc %s", json_text(s, "http"), json_text(s, "rpc"));
    show_line(out, "store       %s", json_text(s, "store"));
    show_line(out, "process     %lld, version %s, up %lldh %02lldm %02llds", json_number(s, "pid"),
              json_text(s, "version"), up_s / 3600, up_s / 60 % 60, up_s % 60);
}

enum cli_status status_outcome(const json_t *s)
{
    bool troubled = json_array_size(json_object_get(s, "troubles")) > 0;
    return json_is_set(s, "acting") && !troubled ? CLI_OK : CLI_UNWELL;
}

int cli_status_run(struct cli *cli)
{
    struct cli_answer a;
    if (cli_ask(cli, "GET", "/v1/status", CLI_TIMEOUT_MS, &a))
        return CLI_FAILED;
    if (!cli->json)
        status_print(stdout, a.json);
    int status = (int)status_outcome(a.json);
    cli_answer_free(&a);
    return status;
}

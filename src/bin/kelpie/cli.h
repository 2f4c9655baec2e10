/* The command `kelpie`: what its subcommands share. */
#ifndef KELPIE_BIN_CLI_H
#define KELPIE_BIN_CLI_H

#include <jansson.h>
#include <stdio.h>

#include "base/bytes.h"
#include "bin/shared/options.h"
#include "loop/http_client.h"

#define CLI_PROGRAM "kelpie"
#define CLI_NODE_DEFAULT "127.0.0.1:7400"
#define CLI_TIMEOUT_MS 10000
#define CLI_FORGET_TIMEOUT_MS 60000 /* a forced one watches for windows */

enum cli_status {
    CLI_OK = 0,
    CLI_FAILED = 1,
    CLI_USAGE = 2,
    CLI_UNWELL = 3 /* status: the node answers, and something is missing */
};

struct cli {
    struct options options; /* of the command; the words behind it are its operands */
    const char *node;
    bool json;
    struct loop *loop;
    struct http_client *client;
};

struct cli_command {
    const char *words; /* "node list" */
    const char *operands;
    size_t operands_min, operands_max;
    const struct option_spec *specs; /* with CLI_COMMON at the end */
    int (*run)(struct cli *cli);
    const char *summary;
    const char *more; /* further help, with examples */
};

/* The options that every command has, and the end of the table. */
#define CLI_COMMON                                                                                 \
    {"node", 0, OPTION_TEXT, "HOST:PORT",                                                          \
     "the node to ask (KELPIE_NODE; default: " CLI_NODE_DEFAULT ")"},                              \
        {"format", 'w', OPTION_TEXT, "table|json", "for people, or what the node answers"},        \
        {"help", 'h', OPTION_FLAG, "", "print this and end"},                                      \
    {                                                                                              \
        NULL, 0, OPTION_TEXT, NULL, NULL                                                           \
    }

extern const struct cli_command cli_commands[]; /* ends with words == NULL */
extern const struct option_spec cli_common_options[];

/* ---- the commands ---- */
int cli_status_run(struct cli *cli);
int cli_node_list(struct cli *cli);
int cli_node_drain(struct cli *cli);
int cli_node_forget(struct cli *cli);
int cli_actor_list(struct cli *cli);
int cli_actor_locate(struct cli *cli);
int cli_actor_show(struct cli *cli);
int cli_message_list(struct cli *cli);
int cli_message_show(struct cli *cli);
int cli_message_retry(struct cli *cli);
int cli_message_drop(struct cli *cli);
int cli_message_poisoned(struct cli *cli);
int cli_message_lift(struct cli *cli);
int cli_call(struct cli *cli);
int cli_events(struct cli *cli);
int cli_store_check(struct cli *cli);
int cli_store_dump(struct cli *cli);
int cli_store_restored(struct cli *cli);
int cli_store_backup(struct cli *cli);
int cli_store_format(struct cli *cli);

/* ---- asking a node (cli_http.c) ---- */
struct cli_answer {
    int error;  /* as http_response */
    int status; /* HTTP */
    size_t len;
    char *body;   /* NUL-terminated; the caller frees */
    json_t *json; /* when the body is JSON; the caller releases */
};
int cli_open(struct cli *cli); /* CLI_OK, or CLI_FAILED with a sentence said */
void cli_close(struct cli *cli);
void cli_request(struct cli *cli, const char *method, const char *path, const char *request_id,
                 struct bytes body, uint64_t timeout_ms, struct cli_answer *out);
void cli_answer_free(struct cli_answer *a);
/* Says what was wrong with the answer; returns CLI_FAILED. */
int cli_say_error(struct cli *cli, const struct cli_answer *a);
/* One request whose good answer is JSON; CLI_OK and *out, or CLI_FAILED with a sentence said. With
 * -w json the answer is printed. */
int cli_ask(struct cli *cli, const char *method, const char *path, uint64_t timeout_ms,
            struct cli_answer *out) MUST_USE;
/* "TYPE/ID" as a path "/v1/actors/TYPE/ID" (percent-encoded). CLI_OK, or CLI_USAGE with a sentence
 * said. */
int cli_actor_path(const char *actor, char *out, size_t size) MUST_USE;

/* ---- JSON ---- */
const char *json_text(const json_t *object, const char *name); /* "-" for null */
long long json_number(const json_t *object, const char *name); /* 0 for null */
bool json_is_set(const json_t *object, const char *name);

/* ---- for people (cli_show.c): what could steer a terminal is shown as \xNN ---- */
void show(FILE *out, const char *fmt, ...) PRINTF_LIKE(2, 3);
void show_line(FILE *out, const char *fmt, ...) PRINTF_LIKE(2, 3);
/* On standard error, as say(). */
void complain(const char *fmt, ...) PRINTF_LIKE(1, 2);

/* ---- status (cli_status.c) ---- */
void status_print(FILE *out, const json_t *status);
enum cli_status status_outcome(const json_t *status);

/* ---- lists that come in pages (cli_list.c) ---- */
struct cli_list {
    const char *path;
    const char *what;        /* the member of a page that is the list */
    const char *type, *node; /* only those; NULL: any */
    uint32_t limit;          /* of all pages together */
};
/* All of it into `all`, and whether there is more than the limit; with -w json it is printed as one object.
 * CLI_OK, or CLI_FAILED with a sentence said. */
int cli_list_all(struct cli *cli, const struct cli_list *list, json_t *all, bool *more) MUST_USE;
/* Takes a page's items into `all`, and where the next one begins ("" at the end) into `after`, which has
 * where this one did. False: it is none. A page that goes on has items and begins elsewhere, so that the
 * number of items ends the list, whatever answers. */
bool list_page_take(const json_t *page, const char *what, json_t *all, char *after, size_t size);

/* ---- tables (cli_table.c) ---- */
#define TABLE_COLUMNS_MAX 12
struct table {
    size_t columns;
    size_t count; /* cells */
    size_t cap;
    char **cells; /* the headings first */
};
void table_init(struct table *t, const char *const *headings); /* ends with NULL */
void table_cell(struct table *t, const char *fmt, ...) PRINTF_LIKE(2, 3);
/* Prints it with aligned columns, and frees it. */
void table_print(struct table *t);

#endif

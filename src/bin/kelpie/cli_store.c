/* kelpie store check, store dump: the store without a node. And the way in for its siblings. */
#include "bin/kelpie/cli_store.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "bin/kelpie/store_check.h"
#include "record/records.h"

static const char *setting(const struct options *o, const char *name, const char *variable)
{
    const char *text = options_text(o, name);
    if (!text)
        text = getenv(variable);
    return text && text[0] ? text : NULL;
}

bool cli_store_is_fdb(const char *url)
{
    return strcmp(url, "fdb") == 0 || strncmp(url, "fdb:", 4) == 0;
}

/* A store that is not there is not made. */
static bool store_exists(const char *url, char *why, size_t why_size)
{
    struct stat st;
    char file[STORE_URL_MAX + 16];
    if (cli_store_is_fdb(url))
        return true;
    if (strncmp(url, "lmdb:", 5) != 0) {
        (void)snprintf(why, why_size,
                       "--store is '%.100s', but it must be lmdb:DIR or fdb[:FILE]%s", url,
                       strcmp(url, "memory:") == 0 ? " (a memory store is in its node alone)" : "");
        return false;
    }
    (void)snprintf(file, sizeof(file), "%s/data.mdb", url + 5);
    if (stat(file, &st) == 0)
        return true;
    (void)snprintf(why, why_size, "there is no store in %s%s; --store says where it is", url + 5,
                   stat(url + 5, &st) == 0 ? " (the directory holds no data.mdb)" : "");
    return false;
}

int cli_store_url(const struct cli *cli, char *url, size_t size, char *why, size_t why_size)
{
    const struct options *o = &cli->options;
    const char *given = setting(o, "store", "KELPIE_STORE");
    char data_dir[CONFIG_PATH_MAX];
    if (config_data_dir(setting(o, "data-dir", "KELPIE_DATA_DIR"), data_dir, sizeof(data_dir), why,
                        why_size))
        return CLI_USAGE;
    if (given)
        (void)snprintf(url, size, "%s", given);
    else
        (void)snprintf(url, size, "lmdb:%s/store", data_dir);
    return CLI_OK;
}

static int open_store(struct store_command *c, bool only_reads, char *why, size_t why_size)
{
    const struct options *o = &c->cli->options;
    const char *prefix = setting(o, "prefix", "KELPIE_PREFIX");
    if (cli_store_url(c->cli, c->url, sizeof(c->url), why, why_size))
        return CLI_USAGE;
    scan_init(&c->scan, &c->world, &(struct keyspace){""});
    if (keyspace_init(&c->scan.ks, prefix ? prefix : "kelpie")) {
        (void)snprintf(why, why_size, "--prefix is '%.40s', but it must be 1 to %d bytes of UTF-8",
                       prefix, KEY_PREFIX_MAX);
        return CLI_USAGE;
    }
    if (!store_exists(c->url, why, why_size))
        return CLI_FAILED;
    struct world_options w = {
        .program = CLI_PROGRAM,
        .node_id = "",
        .log_level = LOG_ERROR,
        .store_url = c->url,
        .fdb_library = setting(o, "fdb-library", "KELPIE_FDB_LIBRARY"),
        .knows_copies = true,
        .only_reads = only_reads,
    };
    return world_bind_init(&c->world, &w, why, why_size) ? CLI_FAILED : CLI_OK;
}

static int with_store(struct cli *cli, bool only_reads, int (*run)(struct store_command *c))
{
    char why[CONFIG_WHY_SIZE];
    struct store_command *c = calloc(1, sizeof(*c));
    CHECK(c != NULL);
    c->cli = cli;
    int status = open_store(c, only_reads, why, sizeof(why));
    if (status == CLI_OK)
        status = run(c);
    else
        say(CLI_PROGRAM, "%s", why);
    world_bind_deinit(&c->world);
    json_decref(c->problems);
    free(c);
    return status;
}

int cli_with_store(struct cli *cli, int (*run)(struct store_command *c))
{
    return with_store(cli, false, run);
}

/* Under another prefix nothing is wrong, and nothing is what was meant. */
static int say_unused(const struct store_command *c)
{
    say(CLI_PROGRAM, "there is no cluster under the prefix '%s' in store %s", c->scan.ks.prefix,
        c->url);
    return CLI_FAILED;
}

int cli_say_unreadable(const struct store_command *c)
{
    say(CLI_PROGRAM, "store %s cannot be read: %s", c->url, c->scan.reason);
    return CLI_FAILED;
}

/* ---- check ---- */

static void on_problem(void *arg, const char *key, const char *what)
{
    struct store_command *c = arg;
    if (c->cli->json)
        CHECK(json_array_append_new(c->problems,
                                    json_pack("{s:s,s:s}", "key", key, "problem", what)) == 0);
    else
        (void)printf("%s: %s\n", key, what);
}

static int run_check(struct store_command *c)
{
    struct check_counts n;
    c->problems = json_array();
    if (store_check(&c->scan, on_problem, c, &n))
        return cli_say_unreadable(c);
    if (c->cli->json) {
        json_t *body =
            json_pack("{s:s,s:s,s:I,s:I,s:I,s:O}", "store", c->url, "prefix", c->scan.ks.prefix,
                      "records", (json_int_t)n.records, "nodes", (json_int_t)n.nodes, "actors",
                      (json_int_t)n.actors, "problems", c->problems);
        (void)json_dumpf(body, stdout, JSON_COMPACT);
        (void)printf("\n");
        json_decref(body);
    } else {
        (void)printf("store %s, prefix %s: %" PRIu64 " records, %" PRIu64 " nodes, %" PRIu64
                     " actors, %" PRIu64 " problems\n",
                     c->url, c->scan.ks.prefix, n.records, n.nodes, n.actors, n.problems);
    }
    if (n.records == 0)
        return say_unused(c);
    return n.problems ? CLI_FAILED : CLI_OK;
}

int cli_store_check(struct cli *cli)
{
    return with_store(cli, true, run_check);
}

/* ---- dump ---- */

static void dump_row(void *arg, const struct store_row *row)
{
    struct store_command *c = arg;
    c->dumped++;
    struct buf line;
    buf_init(&line, c->world.env.mem);
    record_to_text(&c->scan.ks, row->key, row->value, &line);
    (void)printf("%.*s\n", (int)line.len, (const char *)line.data);
    buf_deinit(&line);
}

static int run_dump(struct store_command *c)
{
    if (scan_range(&c->scan, keys_all(&c->scan.ks), dump_row, c))
        return cli_say_unreadable(c);
    return c->dumped ? CLI_OK : say_unused(c);
}

int cli_store_dump(struct cli *cli)
{
    return with_store(cli, true, run_dump);
}

#include "bin/shared/config.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "actor/actor.h"
#include "bin/shared/ini.h"
#include "kelpie/error.h"

#define ACTIVATIONS_MAX_MAX 10000000u
#define IDLE_MS_MIN 100
#define MS_MAX 86400000u /* a day */
/* On FoundationDB a lease must outlast a recovery (docs/foundationdb.md). */

const struct option_spec kelpied_options[] = {
    {"config", 0, OPTION_TEXT, "FILE", "INI file (default: DATA/kelpied.ini if it exists)"},
    {"node-id", 0, OPTION_TEXT, "ID", "unique among the nodes of a store (default: host name)"},
    {"replace", 0, OPTION_TEXT, "ID",
     "take the place of node ID, which is gone for good:\nit is struck off the voters"},
    {"data-dir", 0, OPTION_TEXT, "DIR",
     "default: /var/lib/kelpie as root, else\n$XDG_STATE_HOME/kelpie or ~/.local/state/kelpie"},
    {"store", 0, OPTION_TEXT, "URL", "lmdb:DIR, fdb[:FILE] or memory: (default: lmdb:DATA/store)"},
    {"fdb-library", 0, OPTION_TEXT, "FILE", "FoundationDB's client (default: libfdb_c.so)"},
    {"wait-for-store", 0, OPTION_FLAG, "", "wait for FoundationDB to answer at the start"},
    {"prefix", 0, OPTION_TEXT, "NAME", "keyspace in the store (default: kelpie)"},
    {"listen", 0, OPTION_TEXT, "HOST:PORT", "HTTP (default: " LISTEN_DEFAULT "; port 0: any)"},
    {"rpc-listen", 0, OPTION_TEXT, "HOST:PORT",
     "the other nodes (default: " RPC_LISTEN_DEFAULT "; port 0: any)"},
    {"insecure", 0, OPTION_FLAG, "", "allow addresses that are not loopback (there is no TLS yet)"},
    {"lease-ms", 0, OPTION_NUMBER, "N",
     "how long a node may act without the store\n(default: 2000; on FoundationDB 10000)"},
    {"heartbeat-ms", 0, OPTION_NUMBER, "N",
     "at most a third of the lease (default: 300; on\nFoundationDB 1000)"},
    {"rpc-timeout-ms", 0, OPTION_NUMBER, "N", "one ping or forwarded attempt (default: 500)"},
    {"forget-after-ms", 0, OPTION_NUMBER, "N", "a failed node is struck off (default: 3600000)"},
    {"drain-deadline-ms", 0, OPTION_NUMBER, "N", "leaving gives up after that (default: 30000)"},
    {"activations-max", 0, OPTION_NUMBER, "N", "actors active at a time (default: 100000)"},
    {"idle-ms", 0, OPTION_NUMBER, "N", "an idle actor is passivated (default: 300000)"},
    {"actors", 0, OPTION_LIST, "FILE",
     "shared object with actor classes, run in a process\nof its own; may be repeated"},
    {"actor-workers", 0, OPTION_NUMBER, "N", "processes for each of them (default: 1)"},
    {"actor-memory-mb", 0, OPTION_NUMBER, "N", "what each of these may take (default: 512)"},
    {"actors-in-node", 0, OPTION_LIST, "FILE",
     "the same, loaded into the node: faster, but a class that\ncrashes or waits there ends the node, again and "
     "again"},
    {"log-level", 0, OPTION_TEXT, "LEVEL", "debug, info, warn or error (default: info)"},
    {"log-format", 0, OPTION_TEXT, "FORMAT", "text or json (default: text)"},
    {"found-new", 0, OPTION_FLAG, "",
     "forget the cluster that this data directory is of: found\nor join another one"},
    {"no-supervisor", 0, OPTION_FLAG, "", "run the node in this very process"},
    {"version", 0, OPTION_FLAG, "", "print the version and end"},
    {"help", 'h', OPTION_FLAG, "", "print this and end"},
    {NULL, 0, OPTION_TEXT, NULL, NULL},
};

/* ---- single values ---- */

int config_data_dir(const char *given, char *out, size_t size, char *why, size_t why_size)
{
    const char *state = getenv("XDG_STATE_HOME"), *home = getenv("HOME");
    int n;
    if (given)
        n = snprintf(out, size, "%s", given);
    else if (geteuid() == 0)
        n = snprintf(out, size, "/var/lib/kelpie");
    else if (state && state[0] == '/')
        n = snprintf(out, size, "%s/kelpie", state);
    else if (home && home[0] == '/')
        n = snprintf(out, size, "%s/.local/state/kelpie", home);
    else {
        (void)snprintf(why, why_size,
                       "neither XDG_STATE_HOME nor HOME says where data goes; give --data-dir");
        return KELPIE_E_INVALID;
    }
    if (n > 0 && (size_t)n < size)
        return 0;
    (void)snprintf(why, why_size, "data-dir is %s", n ? "too long" : "empty");
    return KELPIE_E_INVALID;
}

int config_check_addr(const char *where, const char *addr, bool *loopback, char *why,
                      size_t why_size)
{
    const char *colon = strrchr(addr, ':');
    bool ok = colon && colon > addr && colon[1] && strlen(colon + 1) <= 5 &&
              strspn(colon + 1, "0123456789") == strlen(colon + 1) &&
              strtoul(colon + 1, NULL, 10) <= 65535 && strlen(addr) < NET_ADDR_SIZE;
    if (!ok) {
        (void)snprintf(why, why_size, "%s is '%.80s', but it must be HOST:PORT", where, addr);
        return KELPIE_E_INVALID;
    }
    size_t host = (size_t)(colon - addr);
    bool is_v4 = strspn(addr, "0123456789.") == host;
    *loopback = (is_v4 && strncmp(addr, "127.", 4) == 0) ||
                (host == 5 && strncmp(addr, "[::1]", 5) == 0) ||
                (host == 9 && strncmp(addr, "localhost", 9) == 0);
    return 0;
}

static bool is_wildcard(const char *addr)
{
    return strncmp(addr, "0.0.0.0:", 8) == 0 || strncmp(addr, "[::]:", 5) == 0;
}

static int take_addr(struct config *c, const char *name, const char *preset, char *out, char *why,
                     size_t why_size)
{
    const char *given = options_text(&c->options, name);
    const char *where = given ? options_value(&c->options, name)->where : name;
    const char *addr = given ? given : preset;
    bool loopback;
    int err = config_check_addr(where, addr, &loopback, why, why_size);
    if (err)
        return err;
    if (!loopback && !c->insecure) {
        (void)snprintf(why, why_size,
                       "%s is %s, which is not loopback: whoever reaches it commands the node, as "
                       "there is no TLS yet; --insecure allows it",
                       where, addr);
        return KELPIE_E_INVALID;
    }
    if (is_wildcard(addr) && out == c->rpc_listen) {
        (void)snprintf(why, why_size,
                       "%s is %s, but the other nodes need an address of this machine that they "
                       "can reach",
                       where, addr);
        return KELPIE_E_INVALID;
    }
    (void)snprintf(out, NET_ADDR_SIZE, "%s", addr);
    return 0;
}

static int take_node_id(struct config *c, char *why, size_t why_size)
{
    const char *id = options_text(&c->options, "node-id");
    char host[NODE_ID_MAX + 1] = "";
    if (!id) {
        (void)gethostname(host, sizeof(host) - 1);
        id = host[0] ? host : "node";
    }
    int err = id_check("node-id", bytes_of_str(id), NODE_ID_MAX, why, why_size);
    if (!err)
        (void)snprintf(c->node_id, sizeof(c->node_id), "%s", id);
    return err;
}

static int take_replaced(struct config *c, char *why, size_t why_size)
{
    const char *id = options_text(&c->options, "replace");
    if (!id)
        return 0;
    int err = id_check("replace", bytes_of_str(id), NODE_ID_MAX, why, why_size);
    if (!err && strcmp(id, c->node_id) == 0) {
        (void)snprintf(
            why, why_size,
            "%s is '%.80s', which is this node's own id: it needs no replacing, it starts "
            "again by itself",
            options_value(&c->options, "replace")->where, id);
        err = KELPIE_E_INVALID;
    }
    if (!err)
        (void)snprintf(c->replaces, sizeof(c->replaces), "%s", id);
    return err;
}

static int take_prefix(struct config *c, char *why, size_t why_size)
{
    const char *prefix = options_text(&c->options, "prefix");
    if (keyspace_init(&c->keyspace, prefix ? prefix : "kelpie") == 0)
        return 0;
    (void)snprintf(why, why_size, "%s is '%.40s', but it must be 1 to %d bytes of UTF-8",
                   options_value(&c->options, "prefix")->where, prefix, KEY_PREFIX_MAX);
    return KELPIE_E_INVALID;
}

static bool is_fdb(const char *url)
{
    return strcmp(url, "fdb") == 0 || (strncmp(url, "fdb:", 4) == 0 && url[4]);
}

static int take_store(struct config *c, char *why, size_t why_size)
{
    const char *url = options_text(&c->options, "store");
    int n = url ? snprintf(c->store_url, sizeof(c->store_url), "%s", url)
                : snprintf(c->store_url, sizeof(c->store_url), "lmdb:%s/store", c->data_dir);
    c->store_is_default = !url;
    c->fdb_library = options_text(&c->options, "fdb-library");
    if (is_fdb(c->store_url)) {
        c->timing.lease_ms = timing_fdb().lease_ms;
        c->timing.heartbeat_ms = timing_fdb().heartbeat_ms;
    }
    if (n > 0 && (size_t)n < sizeof(c->store_url) &&
        (strcmp(c->store_url, "memory:") == 0 || is_fdb(c->store_url) ||
         (strncmp(c->store_url, "lmdb:", 5) == 0 && c->store_url[5])))
        return 0;
    (void)snprintf(why, why_size, "%s is '%.80s', but it must be lmdb:DIR, fdb[:FILE] or memory:",
                   options_value(&c->options, "store")->where, c->store_url);
    return KELPIE_E_INVALID;
}

/* Index of the option's value among `words`, or -1 with a sentence. */
static int take_choice(const struct config *c, const char *name, const char *const *words,
                       int preset, char *why, size_t why_size)
{
    const char *given = options_text(&c->options, name);
    if (!given)
        return preset;
    for (int i = 0; words[i]; i++)
        if (strcmp(words[i], given) == 0)
            return i;
    int n = snprintf(why, why_size, "%s is '%.40s', but it must be one of:",
                     options_value(&c->options, name)->where, given);
    for (int i = 0; words[i] && n > 0 && (size_t)n < why_size; i++)
        n += snprintf(why + n, why_size - (size_t)n, "%s %s", i ? "," : "", words[i]);
    return -1;
}

static int take_log(struct config *c, char *why, size_t why_size)
{
    static const char *const levels[] = {"debug", "info", "warn", "error", NULL};
    static const char *const formats[] = {"text", "json", NULL};
    int level = take_choice(c, "log-level", levels, LOG_INFO, why, why_size);
    int format = level < 0 ? -1 : take_choice(c, "log-format", formats, 0, why, why_size);
    if (format < 0)
        return KELPIE_E_INVALID;
    c->log_level = (enum log_level)level;
    c->log_json = format == 1;
    return 0;
}

static int take_numbers(struct config *c, char *why, size_t why_size)
{
    const struct options *o = &c->options;
    struct timing *t = &c->timing;
    int err = options_number(o, "lease-ms", 1, MS_MAX, &t->lease_ms, why, why_size);
    if (!err)
        err = options_number(o, "heartbeat-ms", 1, MS_MAX, &t->heartbeat_ms, why, why_size);
    if (!err)
        err = options_number(o, "rpc-timeout-ms", 1, MS_MAX, &t->rpc_timeout_ms, why, why_size);
    if (!err)
        err =
            options_number(o, "forget-after-ms", 1, UINT32_MAX, &t->forget_after_ms, why, why_size);
    if (!err)
        err =
            options_number(o, "drain-deadline-ms", 1, MS_MAX, &t->drain_deadline_ms, why, why_size);
    if (!err)
        err = options_number(o, "activations-max", 1, ACTIVATIONS_MAX_MAX, &c->activations_max, why,
                             why_size);
    if (!err)
        err = options_number(o, "actor-workers", 1, ACTOR_WORKERS_MAX, &c->actor_workers, why,
                             why_size);
    if (!err)
        err = options_number(o, "actor-memory-mb", ACTOR_MEMORY_MB_MIN, ACTOR_MEMORY_MB_MAX,
                             &c->actor_memory_mb, why, why_size);
    if (!err)
        err = options_number(o, "idle-ms", IDLE_MS_MIN, UINT32_MAX, &c->idle_ms, why, why_size);
    return err ? err : timing_check(t, why, why_size);
}

static int take_flags(struct config *c, char *why, size_t why_size)
{
    const struct options *o = &c->options;
    int err = options_flag(o, "insecure", &c->insecure, why, why_size);
    if (!err)
        err = options_flag(o, "no-supervisor", &c->no_supervisor, why, why_size);
    if (!err)
        err = options_flag(o, "found-new", &c->found_new, why, why_size);
    if (!err)
        err = options_flag(o, "wait-for-store", &c->wait_for_store, why, why_size);
    if (!err)
        err = options_flag(o, "help", &c->wants_help, why, why_size);
    if (!err)
        err = options_flag(o, "version", &c->wants_version, why, why_size);
    return err;
}

/* ---- the whole ---- */

static int read_file(struct config *c, char *why, size_t why_size)
{
    char path[CONFIG_PATH_MAX + 16];
    const char *given = options_text(&c->options, "config");
    if (given) {
        int err = ini_read(&c->options, given, "kelpied", &c->ini_text, why, why_size);
        return err == KELPIE_E_NOT_FOUND ? KELPIE_E_INVALID : err;
    }
    (void)snprintf(path, sizeof(path), "%s/kelpied.ini", c->data_dir);
    int err = ini_read(&c->options, path, "kelpied", &c->ini_text, why, why_size);
    return err == KELPIE_E_NOT_FOUND ? 0 : err;
}

/* The data directory is found twice: it says where the file is, and the file may say it too. */
static int read_sources(struct config *c, bool only_flags, char *why, size_t why_size)
{
    struct options *o = &c->options;
    int err = only_flags ? 0 : options_environment(o, why, why_size);
    if (!err)
        err = config_data_dir(options_text(o, "data-dir"), c->data_dir, sizeof(c->data_dir), why,
                              why_size);
    if (!err && !only_flags)
        err = read_file(c, why, why_size);
    if (!err)
        err = config_data_dir(options_text(o, "data-dir"), c->data_dir, sizeof(c->data_dir), why,
                              why_size);
    return err;
}

static void take_list(const struct config *c, const char *name, const char **out, size_t *count)
{
    const struct option_value *v = options_value(&c->options, name);
    for (size_t i = 0; i < v->count; i++)
        out[(*count)++] = v->texts[i];
}

int config_load(struct config *c, int argc, char *const *argv, bool only_flags, char *why,
                size_t why_size)
{
    memset(c, 0, sizeof(*c));
    options_init(&c->options, kelpied_options);
    c->timing = timing_default();
    c->activations_max = ACTIVATIONS_MAX_DEFAULT;
    c->idle_ms = IDLE_MS_DEFAULT;
    c->actor_workers = 1;
    c->actor_memory_mb = ACTOR_MEMORY_MB_DEFAULT;
    int err = options_flags(&c->options, argc, argv, false, why, why_size);
    if (!err && c->options.operand_count > 0) {
        (void)snprintf(why, why_size, "'%.80s' is not an option; --help lists them",
                       c->options.operands[0]);
        err = KELPIE_E_INVALID;
    }
    if (!err)
        err = take_flags(c, why, why_size);
    if (err || c->wants_help || c->wants_version)
        return err;
    err = read_sources(c, only_flags, why, why_size);
    if (!err)
        err = take_flags(c, why, why_size);
    if (!err)
        err = take_node_id(c, why, why_size);
    if (!err)
        err = take_replaced(c, why, why_size);
    if (!err)
        err = take_store(c, why, why_size);
    if (!err)
        err = take_prefix(c, why, why_size);
    if (!err)
        err = take_addr(c, "listen", LISTEN_DEFAULT, c->listen, why, why_size);
    if (!err)
        err = take_addr(c, "rpc-listen", RPC_LISTEN_DEFAULT, c->rpc_listen, why, why_size);
    if (!err)
        err = take_numbers(c, why, why_size);
    if (!err)
        err = take_log(c, why, why_size);
    take_list(c, "actors", c->actors, &c->actor_count);
    take_list(c, "actors-in-node", c->in_node, &c->in_node_count);
    return err;
}

void config_free(struct config *c)
{
    free(c->ini_text);
    c->ini_text = NULL;
}

struct flag_writer {
    char *text;
    size_t left;
    char **argv;
    size_t count, max;
};

static void add_flag(struct flag_writer *w, const char *name, const char *value)
{
    int n = snprintf(w->text, w->left, "--%s=%s", name, value);
    CHECK(n > 0 && (size_t)n < w->left && w->count < w->max);
    w->argv[w->count++] = w->text;
    w->text += n + 1;
    w->left -= (size_t)n + 1;
}

size_t config_flags(const struct config *c, char *text, size_t text_size, char **argv, size_t max)
{
    struct flag_writer w = {.text = text, .left = text_size, .argv = argv, .max = max};
    for (size_t i = 0; i < c->options.count; i++) {
        const char *name = c->options.specs[i].name;
        const struct option_value *v = &c->options.values[i];
        if (strcmp(name, "config") == 0 || strcmp(name, "node-id") == 0 ||
            strcmp(name, "data-dir") == 0 || strcmp(name, "found-new") == 0)
            continue;
        for (size_t k = 0; k < v->count; k++)
            add_flag(&w, name, v->texts[k]);
    }
    /* What has a default that is found out, not written down. */
    add_flag(&w, "node-id", c->node_id);
    add_flag(&w, "data-dir", c->data_dir);
    return w.count;
}

/* What kelpied is told: flags, then KELPIE_* variables, then an INI file, then defaults. */
#ifndef KELPIE_BIN_CONFIG_H
#define KELPIE_BIN_CONFIG_H

#include "base/log.h"
#include "bin/shared/options.h"
#include "cluster/timing.h"
#include "env/net.h"
#include "record/keys.h"

#define CONFIG_PATH_MAX 4096
#define CONFIG_WHY_SIZE 1024
#define ACTOR_WORKERS_MAX 16
#define ACTOR_MEMORY_MB_MIN 16u
#define ACTOR_MEMORY_MB_MAX (1024u * 1024)
#define ACTOR_MEMORY_MB_DEFAULT 512u
#define LISTEN_DEFAULT "127.0.0.1:7400"
#define RPC_LISTEN_DEFAULT "127.0.0.1:7401"

struct config {
    char node_id[NODE_ID_MAX + 1];
    char replaces[NODE_ID_MAX + 1]; /* "": nobody */
    char data_dir[CONFIG_PATH_MAX];
    bool store_is_default; /* below data_dir, which is then made */
    char store_url[CONFIG_PATH_MAX + 16];
    const char *fdb_library; /* NULL: where the system finds it */
    bool wait_for_store;
    struct keyspace keyspace;
    char listen[NET_ADDR_SIZE];
    char rpc_listen[NET_ADDR_SIZE];
    struct timing timing;
    uint32_t activations_max;
    uint32_t idle_ms;
    const char *actors[OPTION_LIST_MAX]; /* run in processes of their own */
    size_t actor_count;
    uint32_t actor_workers; /* for each of them */
    uint32_t actor_memory_mb;
    const char *in_node[OPTION_LIST_MAX]; /* loaded into the node */
    size_t in_node_count;
    enum log_level log_level;
    bool log_json;
    bool insecure;
    bool no_supervisor;
    bool found_new; /* at the start of kelpied, not of each node process: see home_file.h */
    bool wants_help, wants_version;

    struct options options;
    char *ini_text;
};

extern const struct option_spec kelpied_options[];

/* `argv` without the program's name. With `only_flags` neither environment nor file is read (a node
 * that its supervisor started). Returns 0, or KELPIE_E_INVALID with a sentence. */
int config_load(struct config *c, int argc, char *const *argv, bool only_flags, char *why,
                size_t why_size) MUST_USE;
void config_free(struct config *c);
/* Everything as flags, for a node that is to have exactly this configuration: `text` holds them,
 * `argv` (of `max`) points into it. Returns how many there are. */
size_t config_flags(const struct config *c, char *text, size_t text_size, char **argv, size_t max);

/* The directory of the store's files by default: the sentence says what is missing. */
int config_data_dir(const char *given, char *out, size_t size, char *why, size_t why_size) MUST_USE;
/* "host:port" with a port of 0..65535; *loopback says whether only this machine reaches it. */
int config_check_addr(const char *where, const char *addr, bool *loopback, char *why,
                      size_t why_size) MUST_USE;

#endif

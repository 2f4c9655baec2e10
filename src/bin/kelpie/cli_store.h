/* What the subcommands of `kelpie store` share. They open the store themselves, without a node. */
#ifndef KELPIE_BIN_CLI_STORE_H
#define KELPIE_BIN_CLI_STORE_H

#include "bin/kelpie/cli.h"
#include "bin/shared/config.h"
#include "bin/shared/store_scan.h"

#define STORE_URL_MAX (CONFIG_PATH_MAX + 16)

struct store_command {
    struct cli *cli;
    char url[STORE_URL_MAX];
    struct world_bind world;
    struct scan scan;
    uint64_t dumped; /* rows */
    json_t *problems;
};

/* The URL by option, environment or default. CLI_OK, or CLI_USAGE with a sentence in `why`. */
int cli_store_url(const struct cli *cli, char *url, size_t size, char *why,
                  size_t why_size) MUST_USE;
bool cli_store_is_fdb(const char *url);
/* Opens the store that the options name and calls `run`; returns the exit status. */
int cli_with_store(struct cli *cli, int (*run)(struct store_command *c)) MUST_USE;
/* Says why the last read of c->scan failed; returns CLI_FAILED. */
int cli_say_unreadable(const struct store_command *c) MUST_USE;

#endif

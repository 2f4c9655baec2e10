/* kelpied: the node daemon, its supervisor, and (with a hidden argument) its store's process. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "bin/kelpied/daemon_say.h"
#include "bin/kelpied/home_file.h"
#include "bin/kelpied/node_main.h"
#include "bin/kelpied/supervisor.h"
#include "bin/shared/config.h"
#include "bin/shared/process_begin.h"
#include "bin/shared/world_bind.h"
#include "store/store_process.h"

#define PROGRAM "kelpied"

static void print_help(void)
{
    (void)printf("usage: kelpied [OPTION]...\n"
                 "\n"
                 "Runs a Kelpie node. Without options: a working single node on loopback.\n"
                 "\n");
    options_print(kelpied_options);
    (void)printf(
        "\n"
        "Each option is also a variable (KELPIE_LEASE_MS for --lease-ms) and a line of the INI\n"
        "file (lease-ms = 2000). The flag wins, then the variable, then the file.\n"
        "\n"
        "Three nodes on one machine:\n"
        "  kelpied --data-dir d --node-id n1 &\n"
        "  kelpied --data-dir d --node-id n2 --listen 127.0.0.1:7410 --rpc-listen 127.0.0.1:7411 &\n"
        "  kelpied --data-dir d --node-id n3 --listen 127.0.0.1:7420 --rpc-listen 127.0.0.1:7421 &\n"
        "  kelpie status\n");
}

/* What the store's directory lies in. The directory itself the store makes, and examines. */
static int make_way_to_store(const char *url, char *why, size_t why_size)
{
    char path[CONFIG_PATH_MAX];
    const char *dir = strncmp(url, "lmdb:", 5) == 0 ? url + 5 : "";
    size_t len = strlen(dir);
    while (len > 1 && dir[len - 1] == '/')
        len--;
    while (len > 0 && dir[len - 1] != '/')
        len--;
    while (len > 0 && dir[len - 1] == '/')
        len--;
    if (len == 0)
        return 0;
    (void)snprintf(path, sizeof(path), "%.*s", (int)len, dir);
    return make_directories(path, why, why_size);
}

static enum exit_status run(struct config *c)
{
    char why[CONFIG_WHY_SIZE];
    if (c->wants_help) {
        print_help();
        return EXIT_STATUS_OK;
    }
    if (c->wants_version) {
        (void)printf("kelpied %s\n", KELPIE_VERSION);
        return EXIT_STATUS_OK;
    }
    if (make_way_to_store(c->store_url, why, sizeof(why))) {
        daemon_say(c, "%s", why);
        return EXIT_STATUS_FAILED;
    }
    process_close_others(-1);
    if (c->found_new && home_file_set_aside(c->data_dir, why, sizeof(why))) {
        daemon_say(c, "%s", why);
        return EXIT_STATUS_FAILED;
    }
    if (!c->no_supervisor)
        return supervisor_main(c);
    struct node_origin origin = {.life_fd = -1};
    enum exit_status status = node_main(c, &origin);
    return status > EXIT_STATUS_USAGE ? EXIT_STATUS_FAILED : status;
}

static enum exit_status daemon_main(int argc, char **argv)
{
    char why[CONFIG_WHY_SIZE];
    struct config *c = calloc(1, sizeof(*c));
    enum exit_status status = EXIT_STATUS_USAGE;
    CHECK(c != NULL);
    if (config_load(c, argc - 1, argv + 1, false, why, sizeof(why)))
        daemon_say(c, "%s", why);
    else
        status = run(c);
    config_free(c);
    free(c);
    return status;
}

int main(int argc, char **argv)
{
    const char *first = argc > 1 ? argv[1] : "";
    if (strcmp(first, STORE_PROCESS_ARGUMENT) == 0)
        return process_store_main(argc, argv);
    bool supervised = strcmp(first, NODE_PROCESS_ARGUMENT) == 0;
    process_begin(supervised ? ROLE_NODE : ROLE_SUPERVISOR);
    return process_end(PROGRAM, (int)(supervised ? node_process_main : daemon_main)(argc, argv));
}

/* kelpie store backup: a copy of an embedded store, taken while it runs. */
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "bin/kelpie/cli_store.h"
#include "store/omap_lmdb.h"
#include "store/store_dir.h"

int cli_store_backup(struct cli *cli)
{
    char url[STORE_URL_MAX], why[STORE_ERROR_MAX], path[STORE_PATH_MAX];
    const char *to = cli->options.operands[0];
    uint64_t size;
    int status = cli_store_url(cli, url, sizeof(url), why, sizeof(why));
    if (status) {
        say(CLI_PROGRAM, "%s", why);
        return status;
    }
    if (cli_store_is_fdb(url)) {
        say(CLI_PROGRAM, "%s is backed up with FoundationDB's own tools (fdbbackup)", url);
        return CLI_FAILED;
    }
    if (strncmp(url, "lmdb:", 5) != 0) {
        say(CLI_PROGRAM, "--store is '%.100s', but only lmdb:DIR can be copied", url);
        return CLI_FAILED;
    }
    int fd = -1, err = store_dir_prepare(to, path, &fd, why, sizeof(why));
    if (!err) {
        err = omap_lmdb_copy(url + 5, path, fd, &size, why, sizeof(why));
        (void)close(fd);
    }
    if (err) {
        say(CLI_PROGRAM, "%s", why);
        return CLI_FAILED;
    }
    if (!cli->json) {
        (void)printf("store %s copied to %s: %" PRIu64
                     " bytes; where it takes a store's place, \"kelpie "
                     "store restored\" comes before any node\n",
                     url, path, size);
        return CLI_OK;
    }
    json_t *body =
        json_pack("{s:s,s:s,s:I}", "store", url, "backup", path, "bytes", (json_int_t)size);
    (void)json_dumpf(body, stdout, JSON_COMPACT);
    (void)printf("\n");
    json_decref(body);
    return CLI_OK;
}

/* What a node lists page by page, as one list. */
#include <stdio.h>
#include <string.h>

#include "bin/kelpie/cli.h"
#include "http/api.h"
#include "http/api_path.h"

#define PATH_SIZE 4096
#define AFTER_SIZE 1024 /* of a cursor, which may come back three times as long */

static void add_param(char *path, size_t size, const char *name, const char *value)
{
    size_t n = strlen(path);
    if (!value || !value[0])
        return;
    CHECK(n + strlen(name) + 3 + 3 * strlen(value) < size);
    n += (size_t)snprintf(path + n, size - n, "%c%s=", strchr(path, '?') ? '&' : '?', name);
    path_encode(value, path + n);
}

bool list_page_take(const json_t *page, const char *what, json_t *all, char *after, size_t size)
{
    const json_t *items = json_object_get(page, what), *next = json_object_get(page, "next");
    size_t i, before = json_array_size(all);
    json_t *item;
    if (!json_is_array(items) || !(json_is_null(next) || json_is_string(next)))
        return false;
    json_array_foreach(items, i, item)
    {
        if (!json_is_object(item) || json_array_append(all, item))
            return false;
    }
    const char *from = json_is_string(next) ? json_string_value(next) : "";
    if (strlen(from) >= size || (from[0] && json_array_size(all) == before))
        return false;
    bool repeats = from[0] && strcmp(from, after) == 0;
    (void)snprintf(after, size, "%s", from);
    return !repeats;
}

static int list_pages(struct cli *cli, const struct cli_list *list, json_t *all, bool *more)
{
    char after[AFTER_SIZE] = "";
    do {
        char path[PATH_SIZE], number[16];
        struct cli_answer a;
        uint32_t left = list->limit - (uint32_t)json_array_size(all);
        (void)snprintf(path, sizeof(path), "%s", list->path);
        (void)snprintf(number, sizeof(number), "%u", left < API_LIST_MAX ? left : API_LIST_MAX);
        add_param(path, sizeof(path), "limit", number);
        add_param(path, sizeof(path), "type", list->type);
        add_param(path, sizeof(path), "node", list->node);
        add_param(path, sizeof(path), "after", after);
        int err = cli_ask(cli, "GET", path, CLI_TIMEOUT_MS, &a);
        if (err)
            return err;
        bool taken = list_page_take(a.json, list->what, all, after, sizeof(after));
        cli_answer_free(&a);
        if (!taken) {
            complain("what answers at %s is no Kelpie node: its list of %s is malformed", cli->node,
                     list->what);
            return CLI_FAILED;
        }
    } while (after[0] && json_array_size(all) < list->limit);
    *more = after[0] != '\0';
    return CLI_OK;
}

int cli_list_all(struct cli *cli, const struct cli_list *list, json_t *all, bool *more)
{
    bool json = cli->json;
    cli->json = false;
    int status = list_pages(cli, list, all, more);
    cli->json = json;
    if (status == CLI_OK && json) {
        json_t *body = json_pack("{s:O,s:b}", list->what, all, "more", *more);
        (void)json_dumpf(body, stdout, JSON_COMPACT);
        (void)printf("\n");
        json_decref(body);
    }
    return status;
}

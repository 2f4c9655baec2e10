/*
 * What listings share. A page is read and written a few rows at a time, each a read of its own, and few
 * pages are under way at once: a listing must not keep the store or the loop from what a lease needs.
 */
#include <stdio.h>

#include "http/api_internal.h"

bool api_list_begin(struct api *api, const struct api_request *req, struct api_lists *lists)
{
    char why[API_WHY_SIZE];
    if (lists->under_way >= API_LISTS_MAX) {
        cap_reached(&lists->cap, api->env);
        (void)snprintf(
            why, sizeof(why),
            "as many listings of %s are under way as may be at a time: try again in a second",
            lists->what);
        api_reply_error(api, req, KELPIE_E_LIMIT, why);
        return false;
    }
    lists->under_way++;
    api->pending++;
    return true;
}

void api_list_end(struct api *api, struct api_lists *lists)
{
    lists->under_way--;
    api->pending--;
}

void api_list_reply(struct api *api, const struct api_request *req, struct buf *out,
                    const char *next)
{
    json_t *cursor = api_string(next);
    buf_appendf(out, "],\"next\":");
    CHECK(json_dump_callback(cursor, api_append_json, out, JSON_COMPACT | JSON_ENCODE_ANY) == 0);
    json_decref(cursor);
    buf_appendf(out, "}\n");
    api_reply(api, req, 200, "application/json", buf_bytes(out));
}

void api_reply_corrupt(struct api *api, const struct api_request *req, struct bytes key)
{
    struct buf out;
    buf_init(&out, api->env->mem);
    buf_appendf(&out, "the record at ");
    key_to_text(node_keyspace(api->node), key, &out);
    buf_appendf(&out, " cannot be read: see kelpie store check");
    buf_append_u8(&out, 0);
    api_reply_error(api, req, KELPIE_E_STORE_CORRUPT, (const char *)out.data);
    buf_deinit(&out);
}

uint32_t api_list_rows(uint32_t limit, uint32_t listed)
{
    uint32_t left = limit - listed;
    return left < API_LIST_ROWS_A_TURN ? left : API_LIST_ROWS_A_TURN;
}

bool api_take_id(struct api *api, const struct api_request *req, const char *name, const char *what,
                 size_t max, char *out)
{
    char why[API_WHY_SIZE];
    const char *given = req->ops->query(req->ex, name);
    out[0] = '\0';
    if (!given || !given[0])
        return true;
    int err = id_check(what, bytes_of_str(given), max, why, sizeof(why));
    if (err) {
        api_reply_error(api, req, err, why);
        return false;
    }
    memcpy(out, given, strlen(given) + 1);
    return true;
}

bool api_take_limit(struct api *api, const struct api_request *req, uint32_t *out)
{
    char why[API_WHY_SIZE];
    const char *given = req->ops->query(req->ex, "limit");
    *out = API_LIST_DEFAULT;
    if (!given || api_number(given, 1, API_LIST_MAX, out))
        return true;
    (void)snprintf(why, sizeof(why), "limit is '%.40s', but it must be 1 to %d", given,
                   API_LIST_MAX);
    api_reply_error(api, req, KELPIE_E_INVALID, why);
    return false;
}

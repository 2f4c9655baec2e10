/*
 * GET /v1/actors/TYPE/ID/show/WHAT: the rows that an actor has in the store, as text, page by page. Six parts:
 * no method's path has as many. Nothing is activated for it.
 */
#include <stdio.h>

#include "http/api_internal.h"

#define SHOW_ROWS_MAX 32   /* in one page */
#define SHOW_TEXT_MAX 1024 /* of one row; what is longer is cut */

struct show_op {
    struct api_op op;
    uint32_t limit;
};

static const char *const whats[] = {"head", "state", "remembered", "inbox", "later"};

static bool range_of(struct api *api, const char *what, const char *type, const char *id,
                     struct key_range *out)
{
    const struct keyspace *ks = node_keyspace(api->node);
    uint32_t shards = cluster_shards(node_cluster(api->node));
    if (strcmp(what, "head") == 0) {
        out->begin = key_head(ks, type, id);
        out->end = key_behind(out->begin);
    } else if (strcmp(what, "state") == 0) {
        *out = keys_state_rows(ks, type, id);
    } else if (strcmp(what, "remembered") == 0) {
        *out = keys_remembered(ks, type, id);
    } else if (strcmp(what, "inbox") == 0) {
        *out = keys_inbox(ks, actor_shard(type, id, shards), type, id);
    } else if (strcmp(what, "later") == 0) {
        *out = keys_later(ks, type, id);
    } else {
        return false;
    }
    return true;
}

/* The cursor is a key, in hexadecimal; it must lie in the range. */
static bool take_after(struct api *api, const struct api_request *req, struct key_range *range)
{
    char why[API_WHY_SIZE];
    const char *given = req->ops->query(req->ex, "after");
    struct key key = {.len = 0};
    unsigned byte;
    if (!given || !given[0])
        return true;
    while (given[2 * key.len] && given[2 * key.len + 1] && key.len < STORE_KEY_MAX - 1 &&
           sscanf(given + 2 * key.len, "%2x", &byte) == 1)
        key.data[key.len++] = (uint8_t)byte;
    if (!given[2 * key.len] && bytes_compare(key_bytes(&key), key_bytes(&range->begin)) >= 0 &&
        bytes_compare(key_bytes(&key), key_bytes(&range->end)) < 0) {
        range->begin = key_behind(key);
        return true;
    }
    (void)snprintf(why, sizeof(why), "after is '%.100s', but it must be what 'next' said", given);
    api_reply_error(api, req, KELPIE_E_INVALID, why);
    return false;
}

static json_t *row_text(struct api *api, const struct store_row *row)
{
    const struct keyspace *ks = node_keyspace(api->node);
    json_t *shown = json_object();
    struct buf out;
    buf_init(&out, api->env->mem);
    key_to_text(ks, row->key, &out);
    size_t key_len = out.len;
    buf_append_u8(&out, 0);
    api_set_text(shown, "key", (const char *)out.data);
    buf_clear(&out);
    record_to_text(ks, row->key, row->value, &out);
    /* The text begins with the key. */
    bool cut = out.len > key_len + SHOW_TEXT_MAX;
    if (cut)
        out.len = key_len + SHOW_TEXT_MAX;
    size_t at = out.len < key_len ? 0 : key_len;
    buf_append_u8(&out, 0);
    api_set_text(shown, "value", (const char *)out.data + at);
    api_set_bool(shown, "cut", cut);
    api_set_int(shown, "bytes", row->value.len);
    buf_deinit(&out);
    return shown;
}

static json_t *cursor_of(struct bytes key)
{
    char text[2 * STORE_KEY_MAX + 1];
    for (size_t i = 0; i < key.len; i++)
        (void)snprintf(text + 2 * i, 3, "%02x", key.data[i]);
    return json_string(text);
}

static void on_rows(void *arg, int status, const struct store_row *rows, size_t count, bool more)
{
    struct show_op *s = arg;
    struct api *api = s->op.api;
    json_t *body, *list;
    if (status) {
        api_reply_error(api, &s->op.req, status, NULL);
    } else {
        body = json_object();
        list = json_array();
        for (size_t i = 0; i < count; i++)
            CHECK(json_array_append_new(list, row_text(api, &rows[i])) == 0);
        api_set(body, "rows", list);
        api_set(body, "next", more && count ? cursor_of(rows[count - 1].key) : json_null());
        api_reply_json(api, &s->op.req, 200, body);
    }
    api_list_end(api, &api->actor_lists);
    mem_free(api->env->mem, s);
}

static void no_such_part(struct api *api, const struct api_request *req, const char *what)
{
    char why[API_WHY_SIZE];
    size_t n =
        (size_t)snprintf(why, sizeof(why), "an actor has no '%.40s' to show; what there is:", what);
    for (size_t i = 0; i < ARRAY_LEN(whats); i++)
        n += (size_t)snprintf(why + n, sizeof(why) - n, " %s", whats[i]);
    api_reply_error(api, req, KELPIE_E_NOT_FOUND, why);
}

void api_actor_show(struct api *api, const struct api_request *req, const struct path *path)
{
    const struct path_part *type = &path->parts[2], *id = &path->parts[3];
    struct key_range range;
    uint32_t limit;
    if (!api_check_id(api, req, "actor type", type, ACTOR_TYPE_MAX) ||
        !api_check_id(api, req, "actor id", id, ACTOR_ID_MAX))
        return;
    if (!range_of(api, path->parts[5].text, type->text, id->text, &range)) {
        no_such_part(api, req, path->parts[5].text);
        return;
    }
    if (!api_take_limit(api, req, &limit) || !take_after(api, req, &range) ||
        !api_list_begin(api, req, &api->actor_lists))
        return;
    struct show_op *s = MEM_NEW(api->env->mem, struct show_op);
    s->op.api = api;
    s->op.req = *req;
    s->limit = limit < SHOW_ROWS_MAX ? limit : SHOW_ROWS_MAX;
    node_read_rows(api->node, &range, s->limit, on_rows, s);
}

/*
 * Messages between actors, as operators see them: dead letters of all actors, all messages of one; one with its
 * body; sent again, dropped. Pages as in api_list.c.
 */
#include <stdio.h>

#include "http/api_internal.h"

#define CURSOR_MAX (3 * (ACTOR_TYPE_MAX + ACTOR_ID_MAX) + 3 + MESSAGE_REF_SIZE)

struct messages_op {
    struct api_op op;
    uint32_t limit;
    char type[ACTOR_TYPE_MAX + 1]; /* "": dead letters of all */
    char id[ACTOR_ID_MAX + 1];
    enum message_place place; /* of what is read now */
    struct key after;         /* begins behind it; len 0: at the beginning */
    char next[CURSOR_MAX];
    uint32_t listed;
    struct buf out;
};

static struct key ref_key(struct api *api, const char *type, const char *id,
                          const struct message_ref *ref)
{
    return message_ref_key(node_keyspace(api->node), cluster_shards(node_cluster(api->node)), type,
                           id, ref);
}

/* ---- one message ---- */

/* As text; in hexadecimal digits where it is not UTF-8. */
static void set_body(struct api *api, json_t *m, struct bytes body)
{
    json_t *text = json_stringn((const char *)body.data, body.len);
    struct buf hex;
    if (text) {
        api_set(m, "body", text);
        return;
    }
    buf_init(&hex, api->env->mem);
    for (size_t i = 0; i < body.len; i++)
        buf_appendf(&hex, "%02x", body.data[i]);
    api_set(m, "body_hex", json_stringn((const char *)hex.data, hex.len));
    buf_deinit(&hex);
}

static json_t *message_to_json(struct api *api, const struct key_parts *parts,
                               const struct message_record *r)
{
    uint64_t now_ms = clock_wall_ms(api->env->clock);
    struct message_ref ref = message_ref_of(parts);
    char text[MESSAGE_REF_SIZE], sender[ACTOR_TYPE_MAX + ACTOR_ID_MAX + 2];
    json_t *m = json_object();
    message_ref_to_text(&ref, text);
    (void)snprintf(sender, sizeof(sender), "%s/%s", r->sender_type, r->sender_id);
    api_set_text(m, "type", parts->type);
    api_set_text(m, "id", parts->id);
    api_set_text(m, "message", text);
    api_set_text(m, "place", message_place_name(ref.place));
    api_set_text(m, "method", r->method);
    api_set_text(m, "sender", sender);
    api_set_int(m, "sent_ms", r->sent_ms);
    api_set_int(m, "age_ms", now_ms > r->sent_ms ? now_ms - r->sent_ms : 0);
    api_set_int(m, "due_ms", ref.place == MESSAGE_LATER ? ref.at.due_ms : r->due_ms);
    api_set_int(m, "every_ms", r->every_ms);
    api_set(m, "name",
            r->name_len ? json_stringn((const char *)r->name, r->name_len) : json_null());
    if (!json_object_get(m, "name"))
        api_set(m, "name", json_null());
    api_set_int(m, "attempts", r->attempts);
    api_set_text(m, "error", r->error ? kelpie_error_name(r->error) : NULL);
    api_set_int(m, "again_ms", r->again_ms);
    api_set_int(m, "bytes", r->body.len);
    return m;
}

/* NULL when the row cannot be read. */
static json_t *row_to_json(struct api *api, const struct store_row *row, struct key_parts *parts,
                           bool with_body)
{
    struct message_record r;
    struct buf scratch;
    json_t *m = NULL;
    buf_init(&scratch, api->env->mem);
    if (!key_parse(node_keyspace(api->node), row->key, parts) &&
        !message_record_decode(row->key, row->value, &scratch, &r))
        m = message_to_json(api, parts, &r);
    if (m && with_body)
        set_body(api, m, r.body);
    buf_deinit(&scratch);
    return m;
}

/* ---- pages ---- */

static void messages_read(struct messages_op *l);

static void messages_end(struct messages_op *l)
{
    struct api *api = l->op.api;
    api_list_end(api, &api->message_lists);
    buf_deinit(&l->out);
    mem_free(api->env->mem, l);
}

static struct key_range place_range(const struct messages_op *l)
{
    struct api *api = l->op.api;
    const struct keyspace *ks = node_keyspace(api->node);
    uint32_t shards = cluster_shards(node_cluster(api->node));
    if (!l->type[0])
        return keys_dead_all(ks);
    switch (l->place) {
    case MESSAGE_WAITING:
        return keys_inbox(ks, actor_shard(l->type, l->id, shards), l->type, l->id);
    case MESSAGE_LATER:
        return keys_later(ks, l->type, l->id);
    default:
        return keys_dead(ks, l->type, l->id);
    }
}

static void set_next(struct messages_op *l, const struct key_parts *parts)
{
    struct message_ref ref = message_ref_of(parts);
    char text[MESSAGE_REF_SIZE], *at = l->next;
    message_ref_to_text(&ref, text);
    if (!l->type[0]) {
        at = path_encode(parts->type, at);
        *at++ = '/';
        at = path_encode(parts->id, at);
        *at++ = '/';
    }
    (void)snprintf(at, sizeof(l->next) - (size_t)(at - l->next), "%s", text);
}

static void page_answer(struct messages_op *l, bool more)
{
    api_list_reply(l->op.api, &l->op.req, &l->out, more ? l->next : NULL);
    messages_end(l);
}

static bool add_row(struct messages_op *l, const struct store_row *row)
{
    struct key_parts parts;
    json_t *m = row_to_json(l->op.api, row, &parts, false);
    if (!m)
        return false;
    if (l->listed++ > 0)
        buf_append_u8(&l->out, ',');
    api_json_text(m, &l->out);
    json_decref(m);
    set_next(l, &parts);
    CHECK(row->key.len <= sizeof(l->after.data));
    memcpy(l->after.data, row->key.data, row->key.len);
    l->after.len = row->key.len;
    return true;
}

static void on_rows(void *arg, int status, const struct store_row *rows, size_t count, bool more)
{
    struct messages_op *l = arg;
    struct api *api = l->op.api;
    uint32_t wanted = api_list_rows(l->limit, l->listed);
    (void)more;
    for (size_t i = 0; !status && i < count && i < wanted; i++) {
        if (!add_row(l, &rows[i])) {
            api_reply_corrupt(api, &l->op.req, rows[i].key);
            messages_end(l);
            return;
        }
    }
    if (status) {
        api_reply_error(api, &l->op.req, status, NULL);
        messages_end(l);
    } else if (count > wanted && l->listed < l->limit) {
        messages_read(l);
    } else if (count > wanted) {
        page_answer(l, true);
    } else if (l->type[0] && l->place != MESSAGE_DEAD) {
        /* A page ends where its limit does, also between two places. */
        l->place++;
        l->after.len = 0;
        if (l->listed < l->limit)
            messages_read(l);
        else
            page_answer(l, true);
    } else {
        page_answer(l, false);
    }
}

static void messages_read(struct messages_op *l)
{
    struct key_range range = place_range(l);
    if (l->after.len)
        range.begin = key_behind(l->after);
    node_read_rows(l->op.api->node, &range, api_list_rows(l->limit, l->listed) + 1, on_rows, l);
}

/* Where the page begins. */
static bool begin_behind(struct messages_op *l, const struct path *path)
{
    struct api *api = l->op.api;
    struct message_ref ref;
    const char *type = l->type, *id = l->id;
    bool all = !l->type[0];
    char why[API_WHY_SIZE];
    if (path->count != (all ? 3u : 1u) ||
        message_ref_from_text(path->parts[path->count - 1].text, &ref))
        return false;
    if (all) {
        if (ref.place != MESSAGE_DEAD ||
            id_check("actor type", bytes_of_str(path->parts[0].text), ACTOR_TYPE_MAX, why,
                     sizeof(why)) ||
            id_check("actor id", bytes_of_str(path->parts[1].text), ACTOR_ID_MAX, why, sizeof(why)))
            return false;
        type = path->parts[0].text;
        id = path->parts[1].text;
    }
    l->place = ref.place;
    l->after = ref_key(api, type, id, &ref);
    return true;
}

static bool take_after(struct messages_op *l)
{
    struct api *api = l->op.api;
    char why[API_WHY_SIZE];
    struct path path;
    const char *given = l->op.req.ops->query(l->op.req.ex, "after");
    if (!given || !given[0])
        return true;
    if (!path_parse(given, &path, why, sizeof(why)) && begin_behind(l, &path))
        return true;
    (void)snprintf(why, sizeof(why), "after is '%.100s', but it must be what 'next' said", given);
    api_reply_error(api, &l->op.req, KELPIE_E_INVALID, why);
    return false;
}

static bool take_actor(struct api *api, const struct api_request *req, const struct path *path,
                       char type[ACTOR_TYPE_MAX + 1], char id[ACTOR_ID_MAX + 1])
{
    if (!api_check_id(api, req, "actor type", &path->parts[2], ACTOR_TYPE_MAX) ||
        !api_check_id(api, req, "actor id", &path->parts[3], ACTOR_ID_MAX))
        return false;
    memcpy(type, path->parts[2].text, path->parts[2].len + 1);
    memcpy(id, path->parts[3].text, path->parts[3].len + 1);
    return true;
}

void api_message_list(struct api *api, const struct api_request *req, const struct path *path)
{
    struct messages_op *l;
    if (!api_list_begin(api, req, &api->message_lists))
        return;
    l = MEM_NEW(api->env->mem, struct messages_op);
    l->op.api = api;
    l->op.req = *req;
    if (!api_take_limit(api, req, &l->limit) ||
        (path->count == 4 && !take_actor(api, req, path, l->type, l->id)) || !take_after(l)) {
        mem_free(api->env->mem, l);
        api_list_end(api, &api->message_lists);
        return;
    }
    buf_init(&l->out, api->env->mem);
    buf_appendf(&l->out, "{\"messages\":[");
    messages_read(l);
}

/* ---- one of them ---- */

struct message_op {
    struct api_op op;
    char type[ACTOR_TYPE_MAX + 1], id[ACTOR_ID_MAX + 1];
    char text[MESSAGE_REF_SIZE];
    struct message_ref ref;
    const char *done; /* what became of it */
};

static void message_end(struct message_op *m)
{
    struct api *api = m->op.api;
    api->pending--;
    mem_free(api->env->mem, m);
}

/* NULL: it was refused. */
static struct message_op *message_begin(struct api *api, const struct api_request *req,
                                        const struct path *path)
{
    struct message_op *m = MEM_NEW(api->env->mem, struct message_op);
    char why[API_WHY_SIZE];
    m->op.api = api;
    m->op.req = *req;
    if (!take_actor(api, req, path, m->type, m->id)) {
        mem_free(api->env->mem, m);
        return NULL;
    }
    if (message_ref_from_text(path->parts[4].text, &m->ref)) {
        (void)snprintf(why, sizeof(why),
                       "'%.100s' is no message: write it as kelpie message list shows it",
                       path->parts[4].text);
        api_reply_error(api, req, KELPIE_E_INVALID, why);
        mem_free(api->env->mem, m);
        return NULL;
    }
    message_ref_to_text(&m->ref, m->text);
    api->pending++;
    return m;
}

static void on_row(void *arg, int status, const struct store_row *rows, size_t count, bool more)
{
    struct message_op *m = arg;
    struct api *api = m->op.api;
    struct key_parts parts;
    json_t *json;
    (void)more;
    if (status) {
        api_reply_error(api, &m->op.req, status, NULL);
    } else if (count == 0) {
        api_reply_error(api, &m->op.req, KELPIE_E_NOT_FOUND,
                        "the actor has no such message: it was applied, dropped or sent again");
    } else if (!(json = row_to_json(api, &rows[0], &parts, true))) {
        api_reply_corrupt(api, &m->op.req, rows[0].key);
    } else {
        api_reply_json(api, &m->op.req, 200, json);
    }
    message_end(m);
}

void api_message_show(struct api *api, const struct api_request *req, const struct path *path)
{
    struct message_op *m = message_begin(api, req, path);
    if (!m)
        return;
    struct key_range row = keys_one(ref_key(api, m->type, m->id, &m->ref));
    node_read_rows(api->node, &row, 1, on_row, m);
}

static void on_tended(void *arg, int status, const char *why)
{
    struct message_op *m = arg;
    struct api *api = m->op.api;
    char text[API_WHY_SIZE];
    if (status) {
        api_reply_error(api, &m->op.req, status, why);
    } else {
        json_t *body = json_object();
        (void)snprintf(text, sizeof(text), "message %s %s", m->text, m->done);
        api_set_text(body, "message", text);
        log_info(&api->env->log, "message_tended", "message=%s done=\"%s\"", m->text, m->done);
        api_reply_json(api, &m->op.req, 200, body);
    }
    message_end(m);
}

static void tend(struct api *api, const struct api_request *req, const struct path *path,
                 bool again, const char *done)
{
    struct message_op *m = message_begin(api, req, path);
    if (!m)
        return;
    if (again && m->ref.place != MESSAGE_DEAD) {
        api_reply_error(api, req, KELPIE_E_INVALID,
                        "only a dead letter is sent again; others are delivered by themselves");
        message_end(m);
        return;
    }
    m->done = done;
    node_tend_message(api->node, m->type, m->id, &m->ref, again, on_tended, m);
}

void api_message_retry(struct api *api, const struct api_request *req, const struct path *path)
{
    tend(api, req, path, true, "is sent again");
}

void api_message_drop(struct api *api, const struct api_request *req, const struct path *path)
{
    tend(api, req, path, false, "is dropped");
}

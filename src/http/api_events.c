/* GET /v1/events: what happened last, and what happens, as server-sent events. */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

#include "http/api_internal.h"

struct stream {
    struct list link;
    struct api *api;
    struct api_request req;
    bool gone;
};

static void stream_end(struct stream *s)
{
    struct api *api = s->api;
    list_remove(&s->link);
    api->stream_count--;
    s->req.ops->end(s->req.ex);
    mem_free(api->env->mem, s);
}

/* The client went away, perhaps while something is being sent to it. */
static void on_stream_close(void *arg)
{
    struct stream *s = arg;
    s->gone = true;
    if (!s->api->broadcasting)
        stream_end(s);
}

/* The length of "key=" at the start of a field, 0 when there is none. */
static size_t field_name(const char *at)
{
    size_t n = strcspn(at, "= ");
    return at[n] == '=' ? n : 0;
}

/* The character at `at` of what log_quote() wrote; returns what follows it. A control character is one
 * again, which JSON escapes; a byte that is no text stays as it is shown, \xNN. */
static const char *unquote(const char *at, char *c)
{
    static const char digits[] = "0123456789abcdef";
    const char *high, *low;
    *c = *at;
    if (at[0] != '\\' || !at[1])
        return at + 1;
    if (at[1] != 'x') {
        *c = at[1];
        return at + 2;
    }
    if (!at[2] || !at[3] || !(high = strchr(digits, at[2])) || !(low = strchr(digits, at[3])) ||
        high - digits > 7)
        return at + 1;
    *c = (char)(16 * (high - digits) + (low - digits));
    return at + 4;
}

/* Reads a value, quoted or not, into `out`; returns what follows it. */
static const char *field_value(const char *at, char *out, size_t size)
{
    size_t n = 0;
    bool is_quoted = *at == '"';
    at += is_quoted;
    while (*at && (is_quoted ? *at != '"' : *at != ' ')) {
        char c = *at;
        at = is_quoted ? unquote(at, &c) : at + 1;
        if (n + 1 < size)
            out[n++] = c;
    }
    out[n] = '\0';
    return is_quoted && *at ? at + 1 : at;
}

static json_t *fields_to_json(const char *fields)
{
    json_t *object = json_object();
    const char *at = fields;
    while (*at) {
        char name[64], value[API_WHY_SIZE];
        size_t n = field_name(at);
        if (n == 0 || n >= sizeof(name))
            break;
        memcpy(name, at, n);
        name[n] = '\0';
        at = field_value(at + n + 1, value, sizeof(value));
        api_set_text(object, name, value);
        at += *at == ' ';
    }
    return object;
}

static void event_to_text(struct api *api, const struct api_kept_event *e, struct buf *out)
{
    json_t *data = json_object();
    api_set_text(data, "node", cluster_config_of(node_cluster(api->node))->node_id);
    api_set_int(data, "time_ms", e->time_ms);
    api_set_text(data, "event", e->name);
    api_set_text(data, "level", log_level_name(e->level));
    api_set(data, "fields", fields_to_json(e->fields));
    buf_appendf(out, "id: %s-%" PRIu64 "\nevent: %s\ndata: ", api->boot_prefix, e->seq, e->name);
    api_json_text(data, out);
    buf_appendf(out, "\n\n");
    json_decref(data);
}

static void broadcast(struct api *api, struct bytes text)
{
    api->broadcasting = true;
    LIST_FOREACH(it, &api->streams)
    {
        struct stream *s = LIST_ENTRY(it, struct stream, link);
        if (!s->gone && !s->req.ops->chunk(s->req.ex, text))
            s->gone = true;
    }
    api->broadcasting = false;
    LIST_FOREACH_SAFE(it, next, &api->streams)
    {
        struct stream *s = LIST_ENTRY(it, struct stream, link);
        if (s->gone)
            stream_end(s);
    }
}

static void arm_idle(struct api *api)
{
    if (api->stream_count > 0)
        timer_start(&api->idle_timer, API_STREAM_IDLE_MS * NS_PER_MS);
}

static void on_idle(void *arg)
{
    struct api *api = arg;
    broadcast(api, bytes_of_str(": idle\n\n"));
    arm_idle(api);
}

void api_event(struct api *api, uint64_t seq, enum log_level level, const char *name,
               const char *fields)
{
    struct mem mem = api->env->mem;
    struct api_kept_event *e = &api->events[seq % API_EVENTS_KEPT];
    struct buf text;
    mem_free(mem, e->name);
    mem_free(mem, e->fields);
    *e = (struct api_kept_event){
        .seq = seq, .time_ms = clock_wall_ms(api->env->clock), .level = level};
    e->name = mem_strndup(mem, name, strlen(name));
    e->fields = mem_strndup(mem, fields, strlen(fields));
    api->last_seq = seq;
    if (api->stream_count == 0)
        return;
    buf_init(&text, mem);
    event_to_text(api, e, &text);
    broadcast(api, buf_bytes(&text));
    buf_deinit(&text);
    arm_idle(api);
}

/* The sequence number that the client saw last; 0 for another life, or none. */
static uint64_t seen_by_client(struct api *api, const struct api_request *req)
{
    const char *id = req->ops->header(req->ex, "Last-Event-ID");
    size_t n = strlen(api->boot_prefix);
    uint32_t seq;
    if (!id || strncmp(id, api->boot_prefix, n) != 0 || id[n] != '-' ||
        !api_number(id + n + 1, 0, UINT32_MAX, &seq))
        return 0;
    return seq <= api->last_seq ? seq : 0;
}

/* For a new stream the one goes whose client lags behind most, or else the oldest. Its client goes on
 * where it was with Last-Event-ID, if it is there. */
static void make_place(struct api *api)
{
    struct stream *victim = NULL;
    size_t most = 0;
    LIST_FOREACH(it, &api->streams)
    {
        struct stream *s = LIST_ENTRY(it, struct stream, link);
        size_t waiting = s->req.ops->waiting(s->req.ex);
        if (!victim || waiting > most) {
            victim = s;
            most = waiting;
        }
    }
    CHECK(victim);
    cap_reached(&api->streams_cap, api->env);
    api->broadcasting = true;
    (void)victim->req.ops->chunk(victim->req.ex, bytes_of_str(": ended for a newer stream\n\n"));
    api->broadcasting = false;
    stream_end(victim);
}

void api_events(struct api *api, const struct api_request *req, const struct path *path)
{
    struct buf text;
    (void)path;
    if (api->streams_closed) {
        api_reply_error(api, req, KELPIE_E_LIMIT, "this node is ending");
        return;
    }
    req->ops->set_header(req->ex, "Cache-Control", "no-store");
    if (strcmp(req->method, "HEAD") == 0) {
        api->answers[2]++;
        req->ops->stream(req->ex, 200, "text/event-stream");
        req->ops->end(req->ex);
        return;
    }
    if (api->stream_count >= API_STREAMS_MAX)
        make_place(api);
    struct stream *s = MEM_NEW(api->env->mem, struct stream);
    s->api = api;
    s->req = *req;
    uint64_t after = seen_by_client(api, req);
    if (api->last_seq > API_EVENTS_KEPT && after < api->last_seq - API_EVENTS_KEPT)
        after = api->last_seq - API_EVENTS_KEPT;
    buf_init(&text, api->env->mem);
    buf_appendf(&text, ": events of node %s\n\n",
                cluster_config_of(node_cluster(api->node))->node_id);
    for (uint64_t seq = after + 1; seq <= api->last_seq; seq++)
        event_to_text(api, &api->events[seq % API_EVENTS_KEPT], &text);
    list_append(&api->streams, &s->link);
    api->stream_count++;
    api->answers[2]++;
    api->broadcasting = true;
    req->ops->on_close(req->ex, on_stream_close, s);
    req->ops->stream(req->ex, 200, "text/event-stream");
    if (!req->ops->chunk(req->ex, buf_bytes(&text)))
        s->gone = true;
    api->broadcasting = false;
    if (s->gone)
        stream_end(s);
    buf_deinit(&text);
    if (!api->idle_timer.armed)
        arm_idle(api);
}

void api_events_init(struct api *api)
{
    char boot[UUID_TEXT_SIZE];
    uuid_to_text(cluster_config_of(node_cluster(api->node))->boot, boot);
    memcpy(api->boot_prefix, boot, sizeof(api->boot_prefix) - 1);
    list_init(&api->streams);
    timer_init(&api->idle_timer, api->env->timers, "event_streams", on_idle, api);
}

void api_close_streams(struct api *api)
{
    api->streams_closed = true;
    while (!list_empty(&api->streams))
        stream_end(LIST_ENTRY(api->streams.next, struct stream, link));
    timer_stop(&api->idle_timer);
}

void api_events_deinit(struct api *api)
{
    api_close_streams(api);
    for (size_t i = 0; i < API_EVENTS_KEPT; i++) {
        mem_free(api->env->mem, api->events[i].name);
        mem_free(api->env->mem, api->events[i].fields);
    }
}

#include "view_watch.h"

#include <stdlib.h>
#include <string.h>

#define LINE_MAX_LEN 65536
#define AGAIN_MS 50

/* A view with fewer members than there are nodes: it is the one that is gone, as at most one is. */
static void on_data(struct view_stream *s, const char *text, size_t len)
{
    struct view_watch *w = s->watch;
    json_t *json = json_loadb(text, len, 0, NULL);
    const char *event = json_string_value(json_object_get(json, "event"));
    const char *members =
        json_string_value(json_object_get(json_object_get(json, "fields"), "members"));
    uint64_t at_ms = (uint64_t)json_integer_value(json_object_get(json, "time_ms"));

    if (event && strcmp(event, "view") == 0 && members && w->from_ns && at_ms >= w->from_wall_ms &&
        s->index != w->gone && !w->seen_ns[s->index] &&
        strtoul(members, NULL, 10) < w->nodes->count)
        w->seen_ns[s->index] = bench_now_ns(w->nodes->b);
    json_decref(json);
}

static void on_chunk(void *arg, struct bytes data)
{
    struct view_stream *s = arg;

    for (size_t i = 0; i < data.len; i++) {
        if (data.data[i] != '\n') {
            if (s->line.len < LINE_MAX_LEN)
                buf_append_u8(&s->line, data.data[i]);
            continue;
        }
        if (s->line.len > 5 && memcmp(s->line.data, "data:", 5) == 0)
            on_data(s, (const char *)s->line.data + 5, s->line.len - 5);
        buf_clear(&s->line);
    }
}

static void on_end(void *arg, const struct http_response *response)
{
    struct view_stream *s = arg;

    (void)response;
    s->is_open = false;
    if (!s->watch->is_closing)
        timer_start(&s->again, AGAIN_MS * NS_PER_MS);
}

static void on_open_due(void *arg)
{
    struct view_stream *s = arg;

    s->is_open = true;
    buf_clear(&s->line);
    http_client_stream(s->client, "/v1/events", on_chunk, on_end, s);
}

void view_watch_init(struct view_watch *w, struct bench_nodes *nodes)
{
    memset(w, 0, sizeof *w);
    w->nodes = nodes;
    for (size_t i = 0; i < nodes->count; i++) {
        struct view_stream *s = &w->streams[i];

        s->watch = w;
        s->index = i;
        s->client = http_client_new(nodes->b->loop, nodes->b->mem, nodes->node[i].http);
        buf_init(&s->line, nodes->b->mem);
        timer_init(&s->again, nodes->b->timers, "view_stream", on_open_due, s);
        timer_start(&s->again, 0);
    }
}

void view_watch_deinit(struct view_watch *w)
{
    w->is_closing = true;
    for (size_t i = 0; i < w->nodes->count; i++) {
        timer_stop(&w->streams[i].again);
        http_client_free(w->streams[i].client);
        buf_deinit(&w->streams[i].line);
    }
}

void view_watch_expect(struct view_watch *w, size_t gone)
{
    w->gone = gone;
    w->from_ns = bench_now_ns(w->nodes->b);
    w->from_wall_ms = clock_wall_ms(w->nodes->b->clock);
    memset(w->seen_ns, 0, sizeof w->seen_ns);
}

uint64_t view_watch_first_ns(const struct view_watch *w)
{
    uint64_t first = 0;

    for (size_t i = 0; i < w->nodes->count; i++) {
        if (w->seen_ns[i] && (!first || w->seen_ns[i] < first))
            first = w->seen_ns[i];
    }
    return first;
}

uint64_t view_watch_last_ns(const struct view_watch *w)
{
    uint64_t last = 0;

    for (size_t i = 0; i < w->nodes->count; i++) {
        if (i != w->gone && !w->seen_ns[i])
            return 0;
        if (w->seen_ns[i] > last)
            last = w->seen_ns[i];
    }
    return last;
}

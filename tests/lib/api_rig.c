#include "lib/api_rig.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#include "kelpie/error.h"

const struct kelpie_class *const api_rig_classes[] = {&kelpie_class_counter, &kelpie_class_echo,
                                                      NULL};

static const char *fake_query(void *ex, const char *name)
{
    const struct api_client *c = ex;
    return c->query_name && strcmp(c->query_name, name) == 0 ? c->query_value : NULL;
}

static const char *fake_header(void *ex, const char *name)
{
    const struct api_client *c = ex;
    if (strcmp(name, "Host") == 0)
        return c->host;
    if (strcmp(name, "Origin") == 0)
        return c->origin;
    if (strcmp(name, "Kelpie-Request") == 0)
        return c->is_page ? NULL : "1";
    return c->header_name && strcmp(c->header_name, name) == 0 ? c->header_value : NULL;
}

static uint64_t fake_held_ms(void *ex)
{
    (void)ex;
    return 0;
}

static size_t fake_header_count(void *ex, const char *name)
{
    return fake_header(ex, name) != NULL;
}

static void fake_on_close(void *ex, void (*fn)(void *arg), void *arg)
{
    struct api_client *c = ex;
    c->on_close = fn;
    c->on_close_arg = arg;
}

static void fake_set_header(void *ex, const char *name, const char *value)
{
    struct api_client *c = ex;
    size_t n = strlen(c->headers);
    (void)snprintf(c->headers + n, sizeof(c->headers) - n, "%s: %s\n", name, value);
}

static void take(struct api_client *c, struct bytes data)
{
    assert_true(c->len + data.len < API_RIG_TEXT_SIZE);
    if (data.len)
        memcpy(c->body + c->len, data.data, data.len);
    c->len += data.len;
    c->body[c->len] = '\0';
}

static void fake_reply(void *ex, int status, const char *type, struct bytes body)
{
    struct api_client *c = ex;
    assert_false(c->answered);
    c->answered = true;
    c->status = status;
    (void)snprintf(c->type, sizeof(c->type), "%s", type);
    take(c, body);
}

static void fake_stream(void *ex, int status, const char *type)
{
    struct api_client *c = ex;
    assert_false(c->answered);
    c->answered = c->streaming = true;
    c->status = status;
    (void)snprintf(c->type, sizeof(c->type), "%s", type);
}

static bool fake_chunk(void *ex, struct bytes data)
{
    struct api_client *c = ex;
    assert_true(c->streaming && !c->ended);
    if (c->goes_away_in_chunk)
        c->on_close(c->on_close_arg);
    if (c->is_slow || c->goes_away_in_chunk)
        return false;
    take(c, data);
    return true;
}

static void fake_end(void *ex)
{
    struct api_client *c = ex;
    assert_true(c->streaming && !c->ended);
    c->ended = true;
}

static size_t fake_waiting(void *ex)
{
    return ((const struct api_client *)ex)->waiting;
}

static const struct api_ops fake_ops = {
    .query = fake_query,
    .header = fake_header,
    .header_count = fake_header_count,
    .held_ms = fake_held_ms,
    .on_close = fake_on_close,
    .set_header = fake_set_header,
    .reply = fake_reply,
    .stream = fake_stream,
    .chunk = fake_chunk,
    .end = fake_end,
    .waiting = fake_waiting,
};

void api_client_clear(struct api_client *c)
{
    char *body = c->body ? c->body : malloc(API_RIG_TEXT_SIZE);
    *c = (struct api_client){.body = body};
    body[0] = '\0';
}

int api_rig_set_up(void **state)
{
    return api_rig_set_up_with(state, api_rig_classes);
}

int api_rig_set_up_with(void **state, const struct kelpie_class *const *classes)
{
    static const struct api_config config = {.version = "1.2.3",
                                             .store_url = "memory:",
                                             .http_addr = "127.0.0.1:80",
                                             .pid = 7,
                                             .supervisor_pid = 6};
    struct api_rig *f = calloc(1, sizeof(*f));
    f->w = small_world_new();
    f->n = small_node_start(f->w, 0, classes, 100, IDLE_MS_DEFAULT);
    assert_true(small_wait_view(f->w, 0, 1));
    f->api = api_new(f->n->node, &config);
    api_client_clear(&f->c);
    *state = f;
    return 0;
}

int api_rig_tear_down(void **state)
{
    struct api_rig *f = *state;
    assert_int_equal(api_pending(f->api), 0);
    api_free(f->api);
    small_world_free(f->w);
    free(f->c.body);
    free(f);
    return 0;
}

void api_send(struct api_rig *f, struct api_client *c, const char *method, const char *path,
              struct bytes body)
{
    struct api_request req = {
        .ops = &fake_ops, .ex = c, .method = method, .path = path, .body = body};
    api_handle(f->api, &req);
}

void api_ask(struct api_rig *f, const char *method, const char *path, const char *body)
{
    struct api_client before = f->c;
    api_client_clear(&f->c);
    f->c.query_name = before.query_name;
    f->c.query_value = before.query_value;
    f->c.header_name = before.header_name;
    f->c.header_value = before.header_value;
    f->c.host = before.host;
    f->c.origin = before.origin;
    f->c.is_page = before.is_page;
    api_send(f, &f->c, method, path, bytes_of_str(body));
    assert_true(small_run_until(f->w, &f->c.answered, API_RIG_WAIT_MS));
}

void api_says(struct api_rig *f, const char *path, const char *what)
{
    api_ask(f, "GET", path, "");
    if (f->c.status != 200 || !strstr(f->c.body, what))
        fail_msg("GET %s: %d %s (wanted: %s)", path, f->c.status, f->c.body, what);
}

void api_refused(struct api_rig *f, const char *method, const char *path, int error,
                 const char *what)
{
    char start[64], header[64];
    (void)snprintf(start, sizeof(start), "{\"error\":\"%s\",", kelpie_error_name(error));
    (void)snprintf(header, sizeof(header), "Kelpie-Error: %s\n", kelpie_error_name(error));
    api_ask(f, method, path, "");
    if (f->c.status != kelpie_error_http(error) || strncmp(f->c.body, start, strlen(start)) != 0 ||
        !strstr(f->c.body, what) || !strstr(f->c.headers, header))
        fail_msg("%s %s: %d %s (wanted: %s)", method, path, f->c.status, f->c.body, what);
}

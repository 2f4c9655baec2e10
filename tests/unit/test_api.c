/* The HTTP API on whole nodes in a small world: requests in, answers out, no sockets. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#include "http/api.h"
#include "http/api_path.h"
#include "kelpie/error.h"
#include "lib/small_world.h"

#define TEXT_SIZE (512u * 1024)
#define WAIT_MS 20000

static const struct kelpie_class *const classes[] = {&kelpie_class_counter, &kelpie_class_echo,
                                                     NULL};

/* One exchange: what the client sent, and what it got. */
struct client {
    const char *query_name, *query_value;
    const char *header_name, *header_value;
    const char *host, *origin;
    bool is_page;   /* it cannot send Kelpie-Request */
    size_t waiting; /* what of a stream it has not taken */
    bool answered, streaming, ended;
    int status;
    char type[64];
    char headers[1024]; /* name: value lines */
    char *body;         /* TEXT_SIZE */
    size_t len;
    void (*on_close)(void *arg);
    void *on_close_arg;
    bool is_slow;            /* chunks are refused */
    bool goes_away_in_chunk; /* the client is found gone while it is written to */
};

struct fixture {
    struct small_world *w;
    struct small_node *n;
    struct api *api;
    struct client c;
};

static const char *fake_query(void *ex, const char *name)
{
    const struct client *c = ex;
    return c->query_name && strcmp(c->query_name, name) == 0 ? c->query_value : NULL;
}

static const char *fake_header(void *ex, const char *name)
{
    const struct client *c = ex;
    if (strcmp(name, "Host") == 0)
        return c->host;
    if (strcmp(name, "Origin") == 0)
        return c->origin;
    if (strcmp(name, "Kelpie-Request") == 0)
        return c->is_page ? NULL : "1";
    return c->header_name && strcmp(c->header_name, name) == 0 ? c->header_value : NULL;
}

static size_t fake_header_count(void *ex, const char *name)
{
    return fake_header(ex, name) != NULL;
}

static void fake_on_close(void *ex, void (*fn)(void *arg), void *arg)
{
    struct client *c = ex;
    c->on_close = fn;
    c->on_close_arg = arg;
}

static void fake_set_header(void *ex, const char *name, const char *value)
{
    struct client *c = ex;
    size_t n = strlen(c->headers);
    (void)snprintf(c->headers + n, sizeof(c->headers) - n, "%s: %s\n", name, value);
}

static void take(struct client *c, struct bytes data)
{
    assert_true(c->len + data.len < TEXT_SIZE);
    if (data.len)
        memcpy(c->body + c->len, data.data, data.len);
    c->len += data.len;
    c->body[c->len] = '\0';
}

static void fake_reply(void *ex, int status, const char *type, struct bytes body)
{
    struct client *c = ex;
    assert_false(c->answered);
    c->answered = true;
    c->status = status;
    (void)snprintf(c->type, sizeof(c->type), "%s", type);
    take(c, body);
}

static void fake_stream(void *ex, int status, const char *type)
{
    struct client *c = ex;
    assert_false(c->answered);
    c->answered = c->streaming = true;
    c->status = status;
    (void)snprintf(c->type, sizeof(c->type), "%s", type);
}

static bool fake_chunk(void *ex, struct bytes data)
{
    struct client *c = ex;
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
    struct client *c = ex;
    assert_true(c->streaming && !c->ended);
    c->ended = true;
}

static size_t fake_waiting(void *ex)
{
    return ((const struct client *)ex)->waiting;
}

static const struct api_ops fake_ops = {
    .query = fake_query,
    .header = fake_header,
    .header_count = fake_header_count,
    .on_close = fake_on_close,
    .set_header = fake_set_header,
    .reply = fake_reply,
    .stream = fake_stream,
    .chunk = fake_chunk,
    .end = fake_end,
    .waiting = fake_waiting,
};

static void client_clear(struct client *c)
{
    char *body = c->body ? c->body : malloc(TEXT_SIZE);
    *c = (struct client){.body = body};
    body[0] = '\0';
}

static int set_up(void **state)
{
    static const struct api_config config = {.version = "1.2.3",
                                             .store_url = "memory:",
                                             .http_addr = "127.0.0.1:80",
                                             .pid = 7,
                                             .supervisor_pid = 6};
    struct fixture *f = calloc(1, sizeof(*f));
    f->w = small_world_new();
    f->n = small_node_start(f->w, 0, classes, 100, IDLE_MS_DEFAULT);
    assert_true(small_wait_view(f->w, 0, 1));
    f->api = api_new(f->n->node, &config);
    client_clear(&f->c);
    *state = f;
    return 0;
}

static int tear_down(void **state)
{
    struct fixture *f = *state;
    assert_int_equal(api_pending(f->api), 0);
    api_free(f->api);
    small_world_free(f->w);
    free(f->c.body);
    free(f);
    return 0;
}

/* Sends it and does not wait. What the client has set beside the answer stays. */
static void send(struct fixture *f, struct client *c, const char *method, const char *path,
                 struct bytes body)
{
    struct api_request req = {
        .ops = &fake_ops, .ex = c, .method = method, .path = path, .body = body};
    api_handle(f->api, &req);
}

static void request(struct fixture *f, const char *method, const char *path, const char *body)
{
    struct client before = f->c;
    client_clear(&f->c);
    f->c.query_name = before.query_name;
    f->c.query_value = before.query_value;
    f->c.header_name = before.header_name;
    f->c.header_value = before.header_value;
    f->c.host = before.host;
    f->c.origin = before.origin;
    f->c.is_page = before.is_page;
    send(f, &f->c, method, path, bytes_of_str(body));
    assert_true(small_run_until(f->w, &f->c.answered, WAIT_MS));
}

static void says(struct fixture *f, const char *path, const char *what)
{
    request(f, "GET", path, "");
    if (f->c.status != 200 || !strstr(f->c.body, what))
        fail_msg("GET %s: %d %s (wanted: %s)", path, f->c.status, f->c.body, what);
}

static void refused(struct fixture *f, const char *method, const char *path, int error,
                    const char *what)
{
    char start[64], header[64];
    (void)snprintf(start, sizeof(start), "{\"error\":\"%s\",", kelpie_error_name(error));
    (void)snprintf(header, sizeof(header), "Kelpie-Error: %s\n", kelpie_error_name(error));
    request(f, method, path, "");
    if (f->c.status != kelpie_error_http(error) || strncmp(f->c.body, start, strlen(start)) != 0 ||
        !strstr(f->c.body, what) || !strstr(f->c.headers, header))
        fail_msg("%s %s: %d %s (wanted: %s)", method, path, f->c.status, f->c.body, what);
}

/* ---- paths ---- */

static void test_paths(void **state)
{
    struct path p;
    char why[128], out[64];
    (void)state;
    assert_int_equal(path_parse("/", &p, why, sizeof(why)), 0);
    assert_int_equal(p.count, 0);
    assert_int_equal(path_parse("/a/b%20c/%e2%82%ac%2F", &p, why, sizeof(why)), 0);
    assert_int_equal(p.count, 3);
    assert_string_equal(p.parts[1].text, "b c");
    assert_string_equal(p.parts[2].text, "\xe2\x82\xac/");
    assert_int_equal(path_parse("/a//", &p, why, sizeof(why)), 0);
    assert_int_equal(p.count, 3);
    assert_int_equal(p.parts[1].len, 0);
    assert_int_equal(path_parse("/a%00b", &p, why, sizeof(why)), 0);
    assert_int_equal(p.parts[0].len, 3);
    assert_int_equal(path_parse("/a%", &p, why, sizeof(why)), KELPIE_E_INVALID);
    assert_int_equal(path_parse("/a%2", &p, why, sizeof(why)), KELPIE_E_INVALID);
    assert_int_equal(path_parse("/%g0", &p, why, sizeof(why)), KELPIE_E_INVALID);
    assert_string_equal(why, "the path has a malformed escape at '%g0'");
    assert_int_equal(path_parse("/1/2/3/4/5/6", &p, why, sizeof(why)), KELPIE_E_NOT_FOUND);
    path_encode("a b/\xe2\x82\xac~", out);
    assert_string_equal(out, "a%20b%2F%E2%82%AC~");
}

/* ---- what a node says of itself ---- */

static void test_reading(void **state)
{
    struct fixture *f = *state;
    says(f, "/", "<h1>Kelpie node n1</h1>");
    assert_string_equal(f->c.type, "text/html; charset=utf-8");
    says(f, "/livez", "alive");
    says(f, "/readyz", "ready");
    says(f, "/v1/status", "{\"node\":\"n1\",\"state\":\"Active\",\"acting\":true,\"reason\":\"\",");
    says(f, "/v1/status", "\"pid\":7,\"supervisor_pid\":6,\"version\":\"1.2.3\"");
    says(f, "/v1/status",
         "\"store_ok\":true,\"voters\":1,\"active\":1,\"majority\":1,\"has_majority\":true,"
         "\"tolerates_failures\":0}\n");
    assert_string_equal(f->c.type, "application/json");
    says(f, "/v1/nodes", "{\"nodes\":[{\"node\":\"n1\",\"state\":\"Active\",\"flagged\":false,");
    says(f, "/v1/nodes", "\"classes\":[\"counter\",\"echo\"],\"heartbeat\":");
    says(f, "/v1/view", "{\"number\":1,\"members\":[{\"node\":\"n1\",\"incarnation\":1,");
    says(f, "/v1/primary", "\"term\":1,\"here\":true}}");
    says(f, "/metrics", "# TYPE kelpie_heartbeats_total counter\nkelpie_heartbeats_total ");
    says(f, "/metrics", "kelpie_info{version=\"1.2.3\",node=\"n1\"} 1\n");
    says(f, "/metrics", "kelpie_node_state{state=\"Active\"} 1\n");
    says(f, "/metrics", "kelpie_http_requests_total{code=\"2xx\"} 13\n");
}

static void test_two_nodes(void **state)
{
    struct fixture *f = *state;
    (void)small_node_start(f->w, 1, classes, 100, IDLE_MS_DEFAULT);
    assert_true(small_wait_view(f->w, 0, 2));
    says(f, "/v1/nodes", "{\"node\":\"n2\",\"state\":\"Active\"");
    says(f, "/v1/status", "\"members\":[\"n1\",\"n2\"]");
    says(f, "/v1/status", "\"voters\":2,\"active\":2,\"majority\":2,");
    refused(f, "POST", "/v1/nodes/n2/forget", KELPIE_E_REFUSED, "n2 is Active");
    request(f, "POST", "/v1/nodes/n2/drain", "");
    assert_int_equal(f->c.status, 202);
    assert_string_equal(f->c.body, "{\"node\":\"n2\",\"message\":\"node n2 is leaving\"}\n");
    assert_true(small_run_until(f->w, &f->w->nodes[1].left, WAIT_MS));
    says(f, "/v1/nodes", "{\"node\":\"n2\",\"state\":\"Left\"");
    refused(f, "POST", "/v1/nodes/n1/drain", KELPIE_E_REFUSED, "last active node");
}

/* ---- calls ---- */

static void test_calls(void **state)
{
    struct fixture *f = *state;
    request(f, "POST", "/v1/actors/counter/a/add", "5");
    assert_int_equal(f->c.status, 200);
    assert_string_equal(f->c.body, "5");
    assert_string_equal(f->c.type, "text/plain; charset=utf-8");
    assert_non_null(strstr(f->c.headers, "Kelpie-Request-Id: "));

    f->c.header_name = "Kelpie-Request-Id";
    f->c.header_value = "r-1";
    request(f, "POST", "/v1/actors/counter/a/add", "5");
    assert_string_equal(f->c.body, "10");
    assert_non_null(strstr(f->c.headers, "Kelpie-Request-Id: r-1\n"));
    request(f, "POST", "/v1/actors/counter/a/add", "5");
    assert_string_equal(f->c.body, "10");
    f->c.header_name = NULL;

    request(f, "POST", "/v1/actors/echo/%20%2F/echo", "\xff\xfe");
    assert_string_equal(f->c.body, "\xff\xfe");
    assert_string_equal(f->c.type, "application/octet-stream");
    says(f, "/v1/actors/echo/%20%2F", "\"id\":\" /\",\"node\":\"n1\",\"incarnation\":1,");
    refused(f, "GET", "/v1/actors/echo/other", KELPIE_E_NOT_FOUND, "echo/other is placed nowhere");
    refused(f, "POST", "/v1/actors/nope/a/get", KELPIE_E_UNKNOWN_TYPE, "nope");
    refused(f, "POST", "/v1/actors/counter/a/nope", KELPIE_E_UNKNOWN_METHOD, "add");
}

static void test_bad_input(void **state)
{
    struct fixture *f = *state;
    char path[600], id[194];
    memset(id, 'i', sizeof(id));
    id[193] = '\0';
    (void)snprintf(path, sizeof(path), "/v1/actors/counter/%s/get", id);
    refused(f, "POST", path, KELPIE_E_INVALID, "193 bytes long; give at most 192");
    (void)snprintf(path, sizeof(path), "/v1/actors/%s/a/get", id);
    refused(f, "POST", path, KELPIE_E_INVALID, "give at most 64");
    (void)snprintf(path, sizeof(path), "/v1/actors/counter/a/%s%s", id, id);
    refused(f, "POST", path, KELPIE_E_INVALID, "method");
    refused(f, "POST", "/v1/actors/counter//get", KELPIE_E_INVALID, "actor id is empty");
    refused(f, "POST", "/v1/actors/counter/a%00/get", KELPIE_E_INVALID, "NUL");
    refused(f, "POST", "/v1/actors/counter/%ff/get", KELPIE_E_INVALID, "UTF-8");
    refused(f, "POST", "/v1/actors/counter/%f/get", KELPIE_E_INVALID, "malformed escape");
    refused(f, "POST", "/v1/nodes/%ff/drain", KELPIE_E_INVALID, "node id");
    refused(f, "GET", "/nothing", KELPIE_E_NOT_FOUND, "there is no path /nothing");
    refused(f, "GET", "/v1/actors/a", KELPIE_E_NOT_FOUND, "POST /v1/actors/TYPE/ID/METHOD");
    refused(f, "PUT", "/v1/status", KELPIE_E_METHOD_NOT_ALLOWED, "it takes GET, HEAD");
    assert_non_null(strstr(f->c.headers, "Allow: GET, HEAD\n"));
    refused(f, "GET", "/v1/nodes/n1/drain", KELPIE_E_METHOD_NOT_ALLOWED, "it takes POST");
    f->c.header_name = "Kelpie-Deadline-Ms";
    f->c.header_value = "1s";
    refused(f, "POST", "/v1/actors/counter/a/get", KELPIE_E_INVALID, "'1s'");
    f->c.header_name = "Kelpie-Request-Id";
    f->c.header_value = id;
    refused(f, "POST", "/v1/actors/counter/a/get", KELPIE_E_INVALID, "Kelpie-Request-Id");
    f->c.header_name = NULL;
    f->c.query_name = "limit";
    f->c.query_value = "many";
    refused(f, "GET", "/v1/actors", KELPIE_E_INVALID, "limit is 'many', but it must be 1 to 1000");
    f->c.query_name = "after";
    f->c.query_value = "a/b/c";
    refused(f, "GET", "/v1/actors", KELPIE_E_INVALID, "after is 'a/b/c'");
    f->c.query_name = "force";
    f->c.query_value = "1";
    refused(f, "POST", "/v1/nodes/n1/forget", KELPIE_E_INVALID, "force is '1'");
}

static void test_listing(void **state)
{
    struct fixture *f = *state;
    char path[64];
    for (int i = 0; i < 5; i++) {
        (void)snprintf(path, sizeof(path), "/v1/actors/counter/c%d/add", i);
        request(f, "POST", path, "1");
    }
    request(f, "POST", "/v1/actors/echo/e%20%2F/echo", "x");
    f->c.query_name = "limit";
    f->c.query_value = "6";
    says(f, "/v1/actors", "\"next\":null}");
    f->c.query_value = "3";
    says(f, "/v1/actors", "\"next\":\"counter/c2\"}");
    f->c.query_name = "after";
    f->c.query_value = "counter/c2";
    says(f, "/v1/actors", "{\"actors\":[{\"type\":\"counter\",\"id\":\"c3\",");
    says(f, "/v1/actors", "{\"type\":\"echo\",\"id\":\"e /\",\"node\":\"n1\"");
    f->c.query_value = "echo/e%20%2F";
    says(f, "/v1/actors", "{\"actors\":[],\"next\":null}");
    f->c.query_name = "type";
    f->c.query_value = "echo";
    says(f, "/v1/actors", "{\"actors\":[{\"type\":\"echo\",\"id\":\"e /\",");
    f->c.query_name = "node";
    f->c.query_value = "n1";
    says(f, "/v1/actors",
         "\"id\":\"c4\",\"node\":\"n1\",\"incarnation\":1,\"generation\":1,"
         "\"hosted\":true}");
    f->c.query_value = "n2";
    refused(f, "GET", "/v1/actors", KELPIE_E_NOT_FOUND, "there is no node n2");
}

/* A page of more rows than one read takes says each actor once, in order. */
static void test_listing_in_turns(void **state)
{
    enum { ACTORS = API_LIST_ROWS_A_TURN + 30 };
    struct fixture *f = *state;
    static const struct {
        int limit;
        const char *next;
    } pages[] = {{ACTORS, "null}"},
                 {API_LIST_MAX, "null}"},
                 {API_LIST_ROWS_A_TURN, "\"counter/c0063\"}"},
                 {API_LIST_ROWS_A_TURN + 1, "\"counter/c0064\"}"},
                 {ACTORS - 1, "\"counter/c0092\"}"}};
    char path[64], id[32];
    for (int i = 0; i < ACTORS; i++) {
        (void)snprintf(path, sizeof(path), "/v1/actors/counter/c%04d/add", i);
        request(f, "POST", path, "");
    }
    f->c.query_name = "limit";
    for (size_t i = 0; i < ARRAY_LEN(pages); i++) {
        (void)snprintf(path, sizeof(path), "%d", pages[i].limit);
        f->c.query_value = path;
        says(f, "/v1/actors", pages[i].next);
        const char *at = f->c.body;
        for (int k = 0; k < ACTORS && k < pages[i].limit; k++) {
            (void)snprintf(id, sizeof(id), "\"id\":\"c%04d\"", k);
            at = strstr(at, id);
            assert_non_null(at);
        }
        assert_null(strstr(at + 1, "\"id\""));
    }
}

/* More listings at a time than there may be are refused, not queued; then there is room again. */
static void test_listings_bounded(void **state)
{
    struct fixture *f = *state;
    struct client clients[API_LISTS_MAX + 2] = {0};
    int refused_count = 0;
    for (size_t i = 0; i < ARRAY_LEN(clients); i++) {
        client_clear(&clients[i]);
        send(f, &clients[i], "GET", "/v1/actors", bytes_of(NULL, 0));
    }
    for (size_t i = 0; i < ARRAY_LEN(clients); i++) {
        assert_true(small_run_until(f->w, &clients[i].answered, WAIT_MS));
        if (clients[i].status != 200) {
            refused_count++;
            assert_non_null(strstr(clients[i].headers, "Kelpie-Error: limit\n"));
        }
        free(clients[i].body);
    }
    assert_int_equal(refused_count, 2);
    says(f, "/v1/actors", "\"next\":null}");
    says(f, "/metrics", "kelpie_limit_reached_total{limit=\"lists\"} 2\n");
}

/* ---- a store that does not answer ---- */

static void test_store_away(void **state)
{
    struct fixture *f = *state;
    f->w->store_cut = true;
    uint64_t begun = f->w->now_ns;
    says(f, "/v1/status", "\"store_ok\":false,\"voters\":null,");
    assert_true(f->w->now_ns - begun <= (API_STATUS_WAIT_MS + 50) * NS_PER_MS);
    small_run_ms(f->w, 6000);
    says(f, "/v1/status", "\"acting\":false,\"reason\":\"");
    refused(f, "GET", "/readyz", KELPIE_E_UNAVAILABLE, "node n1 is Active: ");
    refused(f, "POST", "/v1/actors/counter/a/get", KELPIE_E_UNAVAILABLE, "");
    request(f, "GET", "/v1/nodes", "");
    assert_true(f->c.status >= 500);
    f->w->store_cut = false;
    small_run_ms(f->w, 8000);
    says(f, "/readyz", "ready");
}

/* ---- events ---- */

static void event(struct fixture *f, uint64_t seq, const char *fields)
{
    api_event(f->api, seq, LOG_INFO, "made_up", fields);
}

static void test_events(void **state)
{
    struct fixture *f = *state;
    char id[64];
    event(f, 1, "a=1 why=\"it \\\"is\\\" so\" b=x");
    event(f, 2, "");
    request(f, "GET", "/v1/events", "");
    assert_string_equal(f->c.type, "text/event-stream");
    assert_non_null(strstr(
        f->c.body, "\"event\":\"made_up\",\"level\":\"info\",\"fields\":{\"a\":\"1\",\"why\":\"it "
                   "\\\"is\\\" so\",\"b\":\"x\"}}\n\n"));
    assert_non_null(strstr(f->c.body, "-2\nevent: made_up\ndata: {\"node\":\"n1\",\"time_ms\":"));
    event(f, 3, "later=yes who=\"n\\x1b\\x0a\\xff\\\\x41\"");
    assert_non_null(strstr(f->c.body, "{\"later\":\"yes\",\"who\":\"n\\u001B\\n\\\\xff\\\\x41\"}"));
    small_run_ms(f->w, API_STREAM_IDLE_MS + 10);
    assert_non_null(strstr(f->c.body, ": idle\n\n"));

    /* On from where the client was. */
    const char *at = strstr(f->c.body, "id: ");
    (void)snprintf(id, sizeof(id), "%.8s-2", at + 4);
    struct client again = {.header_name = "Last-Event-ID", .header_value = id};
    again.body = malloc(TEXT_SIZE);
    send(f, &again, "GET", "/v1/events", bytes_of("", 0));
    assert_null(strstr(again.body, "-2\n"));
    assert_non_null(strstr(again.body, "-3\n"));

    /* One goes away, one reads too slowly: both end, once. */
    again.on_close(again.on_close_arg);
    assert_true(again.ended);
    f->c.is_slow = true;
    event(f, 4, "");
    assert_true(f->c.ended);
    free(again.body);
}

static void test_events_kept(void **state)
{
    struct fixture *f = *state;
    for (uint64_t seq = 1; seq <= 3 * API_EVENTS_KEPT; seq++)
        event(f, seq, "");
    request(f, "GET", "/v1/events", "");
    size_t count = 0;
    for (const char *at = f->c.body; (at = strstr(at, "\nid: ")); at++)
        count++;
    assert_int_equal(count, API_EVENTS_KEPT);
    assert_null(strstr(f->c.body, "-512\n"));
    assert_non_null(strstr(f->c.body, "-513\n"));
    /* The client is found gone while it is being written to. */
    f->c.goes_away_in_chunk = true;
    event(f, 3 * API_EVENTS_KEPT + 1, "");
    assert_true(f->c.ended);
}

/* HEAD has the head, and an end. */
static void test_head_of_events(void **state)
{
    struct fixture *f = *state;
    request(f, "HEAD", "/v1/events", "");
    assert_int_equal(f->c.status, 200);
    assert_string_equal(f->c.type, "text/event-stream");
    assert_true(f->c.ended);
    assert_int_equal(f->c.len, 0);
}

/* ---- who may ask ---- */

struct ask {
    const char *host, *origin;
    bool is_taken;
};

/* The node of these tests listens on loopback. */
static void test_pages_command_nothing(void **state)
{
    static const struct ask asks[] = {
        {"localhost", NULL, true},
        {"LocalHost:7400", NULL, true},
        {"a.localhost:7400", NULL, true},
        {"127.0.0.1:7400", NULL, true},
        {"127.9.8.7", NULL, true},
        {"[::1]", NULL, true},
        {"[::1]:7400", NULL, true},
        {NULL, NULL, true},
        {"", NULL, false},
        {"evil.example", NULL, false},
        {"evil.example:80", NULL, false},
        {"localhost.evil.example", NULL, false},
        {"evillocalhost", NULL, false},
        {".localhost", NULL, false},
        {"localhost:80@evil.example", NULL, false},
        {"127.0.0.1.evil.example", NULL, false},
        {"128.0.0.1", NULL, false},
        {"127.0.0", NULL, false},
        {"127.0.0.256", NULL, false},
        {"127.0.0.1.1", NULL, false},
        {"0.0.0.0:7400", NULL, false},
        {"[::2]:7400", NULL, false},
        {"127.0.0.1:7400", "http://127.0.0.1:7400", true},
        {"127.0.0.1:7400", "http://evil.example", false},
        {"127.0.0.1:7400", "http://127.0.0.1:3000", false},
        {"127.0.0.1:7400", "https://127.0.0.1:7400", false},
        {"127.0.0.1:7400", "null", false},
        {"127.0.0.1:7400", "", false},
        {NULL, "http://evil.example", false},
    };
    struct fixture *f = *state;
    for (size_t i = 0; i < ARRAY_LEN(asks); i++) {
        f->c.host = asks[i].host;
        f->c.origin = asks[i].origin;
        if (asks[i].is_taken) {
            says(f, "/v1/view", "\"number\":1");
            continue;
        }
        refused(f, "GET", "/v1/view", KELPIE_E_FORBIDDEN, "loopback");
        refused(f, "POST", "/v1/actors/counter/a/add", KELPIE_E_FORBIDDEN, "loopback");
        refused(f, "GET", "/nothing", KELPIE_E_FORBIDDEN, "loopback");
    }
}

/* What changes anything but an actor needs a header that no page can send. */
static void test_changes_need_a_header(void **state)
{
    struct fixture *f = *state;
    f->c.is_page = true;
    refused(f, "POST", "/v1/nodes/n1/forget", KELPIE_E_FORBIDDEN, "'Kelpie-Request: 1'");
    refused(f, "POST", "/v1/nodes/n1/drain", KELPIE_E_FORBIDDEN, "'Kelpie-Request: 1'");
    request(f, "POST", "/v1/actors/counter/a/add", "5");
    assert_int_equal(f->c.status, 200);
    says(f, "/v1/view", "\"number\":1");
    f->c.is_page = false;
    refused(f, "POST", "/v1/nodes/n1/forget", KELPIE_E_REFUSED, "n1 is Active");
}

/* What health and operators ask is known by its path. */
static void test_vital_paths(void **state)
{
    static const char *const vital[] = {"/livez",     "/readyz",   "/metrics",
                                        "/v1/status", "/v1/nodes", "/v1/nodes/n1/drain"};
    static const char *const others[] = {"/",          "/v1/actors", "/v1/actors/a/b/c",
                                         "/v1/events", "/livez/",    "/v1/nodesx"};
    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(vital); i++)
        assert_true(api_is_vital("GET", vital[i]));
    for (size_t i = 0; i < ARRAY_LEN(others); i++)
        assert_false(api_is_vital("GET", others[i]));
}

static void test_streams_bounded(void **state)
{
    struct fixture *f = *state;
    struct client *many = calloc(API_STREAMS_MAX, sizeof(*many));
    char *body = malloc(TEXT_SIZE); /* shared: nobody looks at it */
    for (size_t i = 0; i < API_STREAMS_MAX; i++) {
        many[i].body = body;
        send(f, &many[i], "GET", "/v1/events", bytes_of("", 0));
        many[i].len = 0;
        assert_true(many[i].streaming);
    }
    /* One more takes the place of the one that lags behind most, or else of the oldest. */
    struct client newer[2] = {{.body = body}, {.body = body}};
    many[5].waiting = 1;
    many[7].waiting = 2;
    send(f, &newer[0], "GET", "/v1/events", bytes_of("", 0));
    assert_true(newer[0].streaming && many[7].ended && !many[5].ended);
    many[5].waiting = 0;
    send(f, &newer[1], "GET", "/v1/events", bytes_of("", 0));
    assert_true(newer[1].streaming && many[0].ended && !many[1].ended);
    says(f, "/metrics", "kelpie_event_streams 64\n");
    says(f, "/metrics", "kelpie_limit_reached_total{limit=\"event_streams\"} 2\n");
    api_close_streams(f->api);
    for (size_t i = 0; i < API_STREAMS_MAX; i++)
        assert_true(many[i].ended);
    refused(f, "GET", "/v1/events", KELPIE_E_LIMIT, "this node is ending");
    free(body);
    free(many);
}

#define API_TEST(fn) cmocka_unit_test_setup_teardown(fn, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_paths),
        API_TEST(test_reading),
        API_TEST(test_two_nodes),
        API_TEST(test_calls),
        API_TEST(test_bad_input),
        API_TEST(test_listing),
        API_TEST(test_listing_in_turns),
        API_TEST(test_listings_bounded),
        API_TEST(test_store_away),
        API_TEST(test_events),
        API_TEST(test_events_kept),
        API_TEST(test_streams_bounded),
        API_TEST(test_head_of_events),
        API_TEST(test_pages_command_nothing),
        API_TEST(test_changes_need_a_header),
        API_TEST(test_vital_paths),
    };
    return cmocka_run_group_tests_name("api", tests, NULL, NULL);
}

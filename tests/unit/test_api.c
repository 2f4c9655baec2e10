/* The HTTP API on whole nodes in a small world: what each path says, and to whom. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#include "http/api_path.h"
#include "kelpie/error.h"
#include "lib/api_rig.h"

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
    assert_int_equal(path_parse("/1/2/3/4/5/6/7", &p, why, sizeof(why)), KELPIE_E_NOT_FOUND);
    path_encode("a b/\xe2\x82\xac~", out);
    assert_string_equal(out, "a%20b%2F%E2%82%AC~");
}

/* ---- what a node says of itself ---- */

static void test_reading(void **state)
{
    struct api_rig *f = *state;
    api_says(f, "/", "<h1>Kelpie node n1</h1>");
    assert_string_equal(f->c.type, "text/html; charset=utf-8");
    api_says(f, "/livez", "alive");
    api_says(f, "/readyz", "ready");
    api_says(f, "/v1/status",
             "{\"node\":\"n1\",\"state\":\"Active\",\"acting\":true,\"reason\":\"\",");
    api_says(f, "/v1/status", "\"pid\":7,\"supervisor_pid\":6,\"version\":\"1.2.3\"");
    api_says(f, "/v1/status",
             "\"store_ok\":true,\"voters\":1,\"active\":1,\"majority\":1,\"has_majority\":true,"
             "\"tolerates_failures\":0}\n");
    assert_string_equal(f->c.type, "application/json");
    api_says(f, "/v1/nodes",
             "{\"nodes\":[{\"node\":\"n1\",\"state\":\"Active\",\"flagged\":false,");
    api_says(f, "/v1/nodes", "\"classes\":[\"counter\",\"echo\"],\"types\":[],\"heartbeat\":");
    api_says(f, "/v1/view",
             "{\"number\":1,\"count\":1,\"members\":[{\"node\":\"n1\",\"incarnation\":1,");
    api_says(f, "/v1/primary", "\"term\":1,\"here\":true}}");
    api_says(f, "/metrics", "# TYPE kelpie_heartbeats_total counter\nkelpie_heartbeats_total ");
    api_says(f, "/metrics", "kelpie_info{version=\"1.2.3\",node=\"n1\"} 1\n");
    api_says(f, "/metrics", "kelpie_node_state{state=\"Active\"} 1\n");
    api_says(f, "/metrics", "kelpie_http_requests_total{code=\"2xx\"} 13\n");
}

static void test_two_nodes(void **state)
{
    struct api_rig *f = *state;
    (void)small_node_start(f->w, 1, api_rig_classes, 100, IDLE_MS_DEFAULT);
    assert_true(small_wait_view(f->w, 0, 2));
    api_says(f, "/v1/nodes", "{\"node\":\"n2\",\"state\":\"Active\"");
    api_says(f, "/v1/status", "\"count\":2,\"members\":[\"n1\",\"n2\"]");
    api_says(f, "/v1/status", "\"voters\":2,\"active\":2,\"majority\":2,");
    api_refused(f, "POST", "/v1/nodes/n2/forget", KELPIE_E_REFUSED, "n2 is Active");
    api_ask(f, "POST", "/v1/nodes/n2/drain", "");
    assert_int_equal(f->c.status, 202);
    assert_string_equal(f->c.body, "{\"node\":\"n2\",\"message\":\"node n2 is leaving\"}\n");
    assert_true(small_run_until(f->w, &f->w->nodes[1].left, API_RIG_WAIT_MS));
    api_says(f, "/v1/nodes", "{\"node\":\"n2\",\"state\":\"Left\"");
    api_refused(f, "POST", "/v1/nodes/n1/drain", KELPIE_E_REFUSED, "last active node");
}

/* ---- calls ---- */

static void test_calls(void **state)
{
    struct api_rig *f = *state;
    api_ask(f, "POST", "/v1/actors/counter/a/add", "5");
    assert_int_equal(f->c.status, 200);
    assert_string_equal(f->c.body, "5");
    assert_string_equal(f->c.type, "text/plain; charset=utf-8");
    assert_non_null(strstr(f->c.headers, "Kelpie-Request-Id: "));

    f->c.header_name = "Kelpie-Request-Id";
    f->c.header_value = "r-1";
    api_ask(f, "POST", "/v1/actors/counter/a/add", "5");
    assert_string_equal(f->c.body, "10");
    assert_non_null(strstr(f->c.headers, "Kelpie-Request-Id: r-1\n"));
    api_ask(f, "POST", "/v1/actors/counter/a/add", "5");
    assert_string_equal(f->c.body, "10");
    f->c.header_name = NULL;

    api_ask(f, "POST", "/v1/actors/echo/%20%2F/echo", "\xff\xfe");
    assert_string_equal(f->c.body, "\xff\xfe");
    assert_string_equal(f->c.type, "application/octet-stream");
    api_says(f, "/v1/actors/echo/%20%2F", "\"id\":\" /\",\"node\":\"n1\",\"incarnation\":1,");
    api_refused(f, "GET", "/v1/actors/echo/other", KELPIE_E_NOT_FOUND,
                "echo/other is placed nowhere");
    api_refused(f, "POST", "/v1/actors/nope/a/get", KELPIE_E_UNKNOWN_TYPE, "nope");
    api_refused(f, "POST", "/v1/actors/counter/a/nope", KELPIE_E_UNKNOWN_METHOD, "add");
}

static void test_sending(void **state)
{
    static char big[KELPIE_MESSAGE_BODY_MAX + 2];
    struct api_rig *f = *state;
    char path[128];
    const char *const bad[] = {
        "", "-1", "soon", "1.5", "0x1", "315360000001", "99999999999999999999"};

    f->c.query_name = "after_ms";
    f->c.query_value = "0";
    f->c.header_name = "Kelpie-Request-Id";
    f->c.header_value = "s1";
    for (int i = 0; i < 2; i++) {
        api_ask(f, "POST", "/v1/actors/counter/a/add", "5");
        assert_int_equal(f->c.status, 202);
        assert_int_equal(f->c.len, 0);
        assert_non_null(strstr(f->c.headers, "Kelpie-Request-Id: s1\n"));
    }
    f->c.query_value = "1";
    api_refused(f, "POST", "/v1/actors/counter/a/add", KELPIE_E_REQUEST_ID_REUSED, "request id");
    f->c.header_name = NULL;
    small_run_ms(f->w, 100);
    f->c.query_name = NULL;
    api_ask(f, "POST", "/v1/actors/counter/a/get", "");
    assert_string_equal(f->c.body, "5");
    f->c.query_name = "after_ms";
    for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
        f->c.query_value = bad[i];
        api_refused(f, "POST", "/v1/actors/counter/a/add", KELPIE_E_INVALID,
                    "but it must be 0 to 315360000000, ten years");
    }
    f->c.query_value = "0";
    api_refused(f, "POST", "/v1/actors/nope/a/add", KELPIE_E_UNKNOWN_TYPE, "nope");
    memset(big, 'm', KELPIE_METHOD_MAX + 1);
    (void)snprintf(path, sizeof(path), "/v1/actors/counter/a/%.65s", big);
    api_refused(f, "POST", path, KELPIE_E_INVALID, "is 65 bytes long; give at most 64");
    api_refused(f, "POST", "/v1/actors/counter/a/get", KELPIE_E_REFUSED,
                "get of counter is declared as a read: it is called, not sent");
    memset(big, 'x', sizeof(big) - 1);
    api_ask(f, "POST", "/v1/actors/counter/a/add", big);
    assert_int_equal(f->c.status, 413);
    assert_non_null(strstr(f->c.body, "the message has 65537 bytes; at most 65536 are allowed"));
}

static void test_bad_input(void **state)
{
    struct api_rig *f = *state;
    char path[600], id[194];
    memset(id, 'i', sizeof(id));
    id[193] = '\0';
    (void)snprintf(path, sizeof(path), "/v1/actors/counter/%s/get", id);
    api_refused(f, "POST", path, KELPIE_E_INVALID, "193 bytes long; give at most 192");
    (void)snprintf(path, sizeof(path), "/v1/actors/%s/a/get", id);
    api_refused(f, "POST", path, KELPIE_E_INVALID, "give at most 64");
    (void)snprintf(path, sizeof(path), "/v1/actors/counter/a/%s%s", id, id);
    api_refused(f, "POST", path, KELPIE_E_INVALID, "method");
    api_refused(f, "POST", "/v1/actors/counter//get", KELPIE_E_INVALID, "actor id is empty");
    api_refused(f, "POST", "/v1/actors/counter/a%00/get", KELPIE_E_INVALID, "NUL");
    api_refused(f, "POST", "/v1/actors/counter/%ff/get", KELPIE_E_INVALID, "UTF-8");
    api_refused(f, "POST", "/v1/actors/counter/%f/get", KELPIE_E_INVALID, "malformed escape");
    api_refused(f, "POST", "/v1/nodes/%ff/drain", KELPIE_E_INVALID, "node id");
    api_refused(f, "GET", "/nothing", KELPIE_E_NOT_FOUND, "there is no path /nothing");
    api_refused(f, "GET", "/v1/actors/a", KELPIE_E_NOT_FOUND, "POST /v1/actors/TYPE/ID/METHOD");
    api_refused(f, "PUT", "/v1/status", KELPIE_E_METHOD_NOT_ALLOWED, "it takes GET, HEAD");
    assert_non_null(strstr(f->c.headers, "Allow: GET, HEAD\n"));
    api_refused(f, "GET", "/v1/nodes/n1/drain", KELPIE_E_METHOD_NOT_ALLOWED, "it takes POST");
    f->c.header_name = "Kelpie-Deadline-Ms";
    f->c.header_value = "1s";
    api_refused(f, "POST", "/v1/actors/counter/a/get", KELPIE_E_INVALID, "'1s'");
    f->c.header_name = "Kelpie-Request-Id";
    f->c.header_value = id;
    api_refused(f, "POST", "/v1/actors/counter/a/get", KELPIE_E_INVALID, "Kelpie-Request-Id");
    f->c.header_name = NULL;
    f->c.query_name = "limit";
    f->c.query_value = "many";
    api_refused(f, "GET", "/v1/actors", KELPIE_E_INVALID,
                "limit is 'many', but it must be 1 to 1000");
    f->c.query_name = "after";
    f->c.query_value = "a/b/c";
    api_refused(f, "GET", "/v1/actors", KELPIE_E_INVALID, "after is 'a/b/c'");
    f->c.query_name = "force";
    f->c.query_value = "1";
    api_refused(f, "POST", "/v1/nodes/n1/forget", KELPIE_E_INVALID, "force is '1'");
}

static void test_listing(void **state)
{
    struct api_rig *f = *state;
    char path[64];
    for (int i = 0; i < 5; i++) {
        (void)snprintf(path, sizeof(path), "/v1/actors/counter/c%d/add", i);
        api_ask(f, "POST", path, "1");
    }
    api_ask(f, "POST", "/v1/actors/echo/e%20%2F/echo", "x");
    f->c.query_name = "limit";
    f->c.query_value = "6";
    api_says(f, "/v1/actors", "\"next\":null}");
    f->c.query_value = "3";
    api_says(f, "/v1/actors", "\"next\":\"counter/c2\"}");
    f->c.query_name = "after";
    f->c.query_value = "counter/c2";
    api_says(f, "/v1/actors", "{\"actors\":[{\"type\":\"counter\",\"id\":\"c3\",");
    api_says(f, "/v1/actors", "{\"type\":\"echo\",\"id\":\"e /\",\"node\":\"n1\"");
    f->c.query_value = "echo/e%20%2F";
    api_says(f, "/v1/actors", "{\"actors\":[],\"next\":null}");
    f->c.query_name = "type";
    f->c.query_value = "echo";
    api_says(f, "/v1/actors", "{\"actors\":[{\"type\":\"echo\",\"id\":\"e /\",");
    f->c.query_name = "node";
    f->c.query_value = "n1";
    api_says(f, "/v1/actors",
             "\"id\":\"c4\",\"node\":\"n1\",\"incarnation\":1,\"generation\":1,"
             "\"hosted\":true}");
    f->c.query_value = "n2";
    api_refused(f, "GET", "/v1/actors", KELPIE_E_NOT_FOUND, "there is no node n2");
}

/* A page of more rows than one read takes says each actor once, in order. */
static void test_listing_in_turns(void **state)
{
    enum { ACTORS = API_LIST_ROWS_A_TURN + 30 };
    struct api_rig *f = *state;
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
        api_ask(f, "POST", path, "");
    }
    f->c.query_name = "limit";
    for (size_t i = 0; i < ARRAY_LEN(pages); i++) {
        (void)snprintf(path, sizeof(path), "%d", pages[i].limit);
        f->c.query_value = path;
        api_says(f, "/v1/actors", pages[i].next);
        const char *at = f->c.body;
        for (int k = 0; k < ACTORS && k < pages[i].limit; k++) {
            (void)snprintf(id, sizeof(id), "\"id\":\"c%04d\"", k);
            at = strstr(at, id);
            assert_non_null(at);
        }
        assert_null(strstr(at + 1, "\"id\""));
    }
}

/* What an actor has in the store, by pages. */
static void test_showing_an_actor(void **state)
{
    struct api_rig *f = *state;
    api_ask(f, "POST", "/v1/actors/counter/shown/add", "41");
    api_says(f, "/v1/actors/counter/shown/show/state",
             "{\"rows\":[{\"key\":\"state/counter/shown/k/value\",");
    api_says(f, "/v1/actors/counter/shown/show/state", "\"cut\":false,\"bytes\":");
    api_says(f, "/v1/actors/counter/shown/show/head", "class_version=0");
    api_says(f, "/v1/actors/counter/shown/show/remembered", "status=0");
    api_says(f, "/v1/actors/counter/shown/show/inbox", "{\"rows\":[],\"next\":null}");
    api_says(f, "/v1/actors/counter/never/show/head", "{\"rows\":[],\"next\":null}");
    api_refused(f, "GET", "/v1/actors/counter/shown/show/all", KELPIE_E_NOT_FOUND,
                "what there is: head state remembered inbox later");
    api_refused(f, "POST", "/v1/actors/counter/shown/show/head", KELPIE_E_METHOD_NOT_ALLOWED,
                "GET");
    f->c.query_name = "after";
    f->c.query_value = "zz";
    api_refused(f, "GET", "/v1/actors/counter/shown/show/head", KELPIE_E_INVALID, "'next'");
}

/* More listings at a time than there may be are refused, not queued; then there is room again. */
static void test_listings_bounded(void **state)
{
    struct api_rig *f = *state;
    struct api_client clients[API_LISTS_MAX + 2] = {0};
    int refused_count = 0;
    for (size_t i = 0; i < ARRAY_LEN(clients); i++) {
        api_client_clear(&clients[i]);
        api_send(f, &clients[i], "GET", "/v1/actors", bytes_of(NULL, 0));
    }
    for (size_t i = 0; i < ARRAY_LEN(clients); i++) {
        assert_true(small_run_until(f->w, &clients[i].answered, API_RIG_WAIT_MS));
        if (clients[i].status != 200) {
            refused_count++;
            assert_non_null(strstr(clients[i].headers, "Kelpie-Error: limit\n"));
        }
        free(clients[i].body);
    }
    assert_int_equal(refused_count, 2);
    api_says(f, "/v1/actors", "\"next\":null}");
    api_says(f, "/metrics", "kelpie_limit_reached_total{limit=\"lists\"} 2\n");
}

static void test_every_bound_is_counted(void **state)
{
    static const char *const names[] = {
        "calls",         "mailbox",   "activations",  "remembered", "messages",
        "repeats",       "lists",     "node_lists",   "rpc_queue",  "message_lists",
        "event_streams", "rpc_calls", "admin_lookups"};
    struct api_rig *f = *state;
    for (size_t i = 0; i < ARRAY_LEN(names); i++) {
        char line[80];
        (void)snprintf(line, sizeof(line), "kelpie_limit_reached_total{limit=\"%s\"} 0\n",
                       names[i]);
        api_says(f, "/metrics", line);
    }
}

/* ---- a store that does not answer ---- */

static void test_store_away(void **state)
{
    struct api_rig *f = *state;
    f->w->store_cut = true;
    uint64_t begun = f->w->now_ns;
    api_says(f, "/v1/status", "\"store_ok\":false,\"voters\":null,");
    assert_true(f->w->now_ns - begun <= (API_STATUS_WAIT_MS + 50) * NS_PER_MS);
    small_run_ms(f->w, 6000);
    api_says(f, "/v1/status", "\"acting\":false,\"reason\":\"");
    api_refused(f, "GET", "/readyz", KELPIE_E_UNAVAILABLE, "node n1 is Active: ");
    api_refused(f, "POST", "/v1/actors/counter/a/get", KELPIE_E_UNAVAILABLE, "");
    api_ask(f, "GET", "/v1/nodes", "");
    assert_true(f->c.status >= 500);
    f->w->store_cut = false;
    small_run_ms(f->w, 8000);
    api_says(f, "/readyz", "ready");
}

/* ---- events ---- */

static void event(struct api_rig *f, uint64_t seq, const char *fields)
{
    api_event(f->api, seq, LOG_INFO, "made_up", fields);
}

static void test_events(void **state)
{
    struct api_rig *f = *state;
    char id[64];
    event(f, 1, "a=1 why=\"it \\\"is\\\" so\" b=x");
    event(f, 2, "");
    api_ask(f, "GET", "/v1/events", "");
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
    struct api_client again = {.header_name = "Last-Event-ID", .header_value = id};
    again.body = malloc(API_RIG_TEXT_SIZE);
    api_send(f, &again, "GET", "/v1/events", bytes_of("", 0));
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
    struct api_rig *f = *state;
    for (uint64_t seq = 1; seq <= 3 * API_EVENTS_KEPT; seq++)
        event(f, seq, "");
    api_ask(f, "GET", "/v1/events", "");
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
    struct api_rig *f = *state;
    api_ask(f, "HEAD", "/v1/events", "");
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
    struct api_rig *f = *state;
    for (size_t i = 0; i < ARRAY_LEN(asks); i++) {
        f->c.host = asks[i].host;
        f->c.origin = asks[i].origin;
        if (asks[i].is_taken) {
            api_says(f, "/v1/view", "\"number\":1");
            continue;
        }
        api_refused(f, "GET", "/v1/view", KELPIE_E_FORBIDDEN, "loopback");
        api_refused(f, "POST", "/v1/actors/counter/a/add", KELPIE_E_FORBIDDEN, "loopback");
        api_refused(f, "GET", "/nothing", KELPIE_E_FORBIDDEN, "loopback");
    }
}

/* What changes anything but an actor needs a header that no page can send. */
static void test_changes_need_a_header(void **state)
{
    struct api_rig *f = *state;
    f->c.is_page = true;
    api_refused(f, "POST", "/v1/nodes/n1/forget", KELPIE_E_FORBIDDEN, "'Kelpie-Request: 1'");
    api_refused(f, "POST", "/v1/nodes/n1/drain", KELPIE_E_FORBIDDEN, "'Kelpie-Request: 1'");
    api_ask(f, "POST", "/v1/actors/counter/a/add", "5");
    assert_int_equal(f->c.status, 200);
    api_says(f, "/v1/view", "\"number\":1");
    f->c.is_page = false;
    api_refused(f, "POST", "/v1/nodes/n1/forget", KELPIE_E_REFUSED, "n1 is Active");
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
    struct api_rig *f = *state;
    struct api_client *many = calloc(API_STREAMS_MAX, sizeof(*many));
    char *body = malloc(API_RIG_TEXT_SIZE); /* shared: nobody looks at it */
    for (size_t i = 0; i < API_STREAMS_MAX; i++) {
        many[i].body = body;
        api_send(f, &many[i], "GET", "/v1/events", bytes_of("", 0));
        many[i].len = 0;
        assert_true(many[i].streaming);
    }
    /* One more takes the place of the one that lags behind most, or else of the oldest. */
    struct api_client newer[2] = {{.body = body}, {.body = body}};
    many[5].waiting = 1;
    many[7].waiting = 2;
    api_send(f, &newer[0], "GET", "/v1/events", bytes_of("", 0));
    assert_true(newer[0].streaming && many[7].ended && !many[5].ended);
    many[5].waiting = 0;
    api_send(f, &newer[1], "GET", "/v1/events", bytes_of("", 0));
    assert_true(newer[1].streaming && many[0].ended && !many[1].ended);
    api_says(f, "/metrics", "kelpie_event_streams 64\n");
    api_says(f, "/metrics", "kelpie_limit_reached_total{limit=\"event_streams\"} 2\n");
    api_close_streams(f->api);
    for (size_t i = 0; i < API_STREAMS_MAX; i++)
        assert_true(many[i].ended);
    api_refused(f, "GET", "/v1/events", KELPIE_E_LIMIT, "this node is ending");
    free(body);
    free(many);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_paths),
        API_TEST(test_reading),
        API_TEST(test_two_nodes),
        API_TEST(test_calls),
        API_TEST(test_sending),
        API_TEST(test_bad_input),
        API_TEST(test_listing),
        API_TEST(test_showing_an_actor),
        API_TEST(test_listing_in_turns),
        API_TEST(test_listings_bounded),
        API_TEST(test_every_bound_is_counted),
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

/* What many nodes cost whoever asks for them: pages, reads in turns, and one read for all who ask at once. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#include "cluster/views.h"
#include "kelpie/error.h"
#include "lib/api_rig.h"
#include "record/records.h"

#define MANY (2 * API_LIST_ROWS_A_TURN + 20)

/* Rows of `count` nodes that nobody runs, behind n1. */
static void put_nodes(struct small_world *w, unsigned count, enum node_state state)
{
    for (unsigned i = 0; i < count; i++) {
        struct node_record r = {
            .state = state, .incarnation = 3, .boot = {.b = {1}}, .lease_ms = 2000};
        struct heartbeat_record h = {.incarnation = 3, .counter = i, .load = 7};
        /* Every second one hosts a type that has come; the row of every third is of a life before. */
        struct types_record t = {.incarnation = i % 3 ? 3 : 2,
                                 .boot = r.boot,
                                 .number = 1,
                                 .count = i % 2,
                                 .types = {{"purse", i}}};
        char id[16];
        struct buf row;
        (void)snprintf(id, sizeof id, "o%04u", i);
        (void)snprintf(r.addr, sizeof r.addr, "10.0.0.9:1");
        struct key node = key_node(&w->ks, id), beat = key_heartbeat(&w->ks, id);
        buf_init(&row, w->env.mem);
        node_record_encode(&r, key_bytes(&node), &row);
        small_put(w, node, &row);
        heartbeat_record_encode(&h, key_bytes(&beat), &row);
        small_put(w, beat, &row);
        struct key types = key_types(&w->ks, id);
        types_record_encode(&t, key_bytes(&types), &row);
        small_put(w, types, &row);
        buf_deinit(&row);
    }
}

/* Each node once, in order, with its heartbeat, whatever a page and a read of rows take. */
static void test_pages(void **state)
{
    static const struct {
        unsigned limit, listed; /* of the others */
        const char *next;
    } pages[] = {{API_LIST_MAX, MANY, "null}"},
                 {MANY + 1, MANY, "null}"},
                 {MANY, MANY - 1, "\"o0146\"}"},
                 {API_LIST_ROWS_A_TURN, API_LIST_ROWS_A_TURN - 1, "\"o0062\"}"},
                 {API_LIST_ROWS_A_TURN + 1, API_LIST_ROWS_A_TURN, "\"o0063\"}"},
                 {1, 0, "\"n1\"}"}};
    struct api_rig *f = *state;
    put_nodes(f->w, MANY, NODE_LEFT);
    for (size_t i = 0; i < ARRAY_LEN(pages); i++) {
        char limit[16], id[32];
        (void)snprintf(limit, sizeof limit, "%u", pages[i].limit);
        f->c.query_name = "limit";
        f->c.query_value = limit;
        api_says(f, "/v1/nodes", pages[i].next);
        const char *at = strstr(f->c.body, "{\"node\":\"n1\"");
        assert_non_null(at);
        for (unsigned k = 0; k < pages[i].listed; k++) {
            (void)snprintf(id, sizeof id, "{\"node\":\"o%04u\"", k);
            at = strstr(at, id);
            assert_non_null(at);
            (void)snprintf(id, sizeof id, "\"heartbeat\":%u,", k);
            const char *beat = strstr(at, id), *end = strstr(at, ",\"in_view\":");
            assert_true(beat && beat < end);
            (void)snprintf(id, sizeof id, "\"version\":%u}", k);
            const char *type = strstr(at, id);
            assert_int_equal(type && type < end, k % 2 == 1 && k % 3 != 0);
        }
        assert_null(strstr(at + 1, "{\"node\":"));
    }
    f->c.query_name = "after";
    f->c.query_value = "o0145";
    api_says(f, "/v1/nodes", "{\"nodes\":[{\"node\":\"o0146\",");
    f->c.query_name = "limit";
    f->c.query_value = "0";
    api_refused(f, "GET", "/v1/nodes", KELPIE_E_INVALID, "limit is '0'");
}

static void test_listings_bounded(void **state)
{
    struct api_rig *f = *state;
    struct api_client clients[API_LISTS_MAX + 2] = {0};
    unsigned refused = 0;
    for (size_t i = 0; i < ARRAY_LEN(clients); i++) {
        api_client_clear(&clients[i]);
        api_send(f, &clients[i], "GET", "/v1/nodes", bytes_of(NULL, 0));
    }
    for (size_t i = 0; i < ARRAY_LEN(clients); i++) {
        assert_true(small_run_until(f->w, &clients[i].answered, API_RIG_WAIT_MS));
        refused += clients[i].status != 200 && strstr(clients[i].headers, "Retry-After: ") &&
                   strstr(clients[i].headers, "Kelpie-Error: limit\n");
        free(clients[i].body);
    }
    assert_int_equal(refused, 2);
    api_says(f, "/v1/nodes", "\"next\":null}");
    api_says(f, "/metrics", "kelpie_limit_reached_total{limit=\"node_lists\"} 2\n");
}

/* However many ask for the status, the store is asked for so many reads; and what they are told is whole. */
static void test_status_is_read_once_for_all(void **state)
{
    enum { ASKERS = 2 * API_STATUS_ANSWERS_A_READ };
    struct api_rig *f = *state;
    struct api_client *clients = calloc(ASKERS, sizeof *clients);
    put_nodes(f->w, MANY, NODE_FAILED);
    size_t before = f->w->requests;
    for (size_t i = 0; i < ASKERS; i++) {
        api_client_clear(&clients[i]);
        api_send(f, &clients[i], "GET", "/v1/status", bytes_of(NULL, 0));
    }
    for (size_t i = 0; i < ASKERS; i++) {
        assert_true(small_run_until(f->w, &clients[i].answered, API_RIG_WAIT_MS));
        assert_int_equal(clients[i].status, 200);
        assert_non_null(strstr(clients[i].body, "\"voters\":149,\"active\":1,\"majority\":75,"));
        free(clients[i].body);
    }
    /* The first asker's own read, two more for the others, each of three pieces; and a heartbeat or two. */
    assert_true(f->w->requests - before <= 3 * 3 + 6);
    free(clients);
}

/* The view of the largest cluster, page by page: each member once, in order. */
static void test_view_has_pages(void **state)
{
    struct api_rig *f = *state;
    struct view *v = (struct view *)cluster_view(node_cluster(f->n->node));
    char after[16] = "", id[40];
    size_t listed = 0;
    for (unsigned i = 1; i < NODES_MAX; i++) {
        struct member m = {.incarnation = 3};
        (void)snprintf(m.node_id, sizeof m.node_id, "o%04u", i);
        (void)snprintf(m.addr, sizeof m.addr, "10.0.0.9:1");
        view_add(v, &m, f->w->env.mem);
    }
    f->c.query_name = "after";
    f->c.query_value = after;
    for (unsigned pages = 0; listed < NODES_MAX; pages++) {
        assert_true(pages < NODES_MAX / API_LIST_DEFAULT + 1);
        api_says(f, "/v1/view", "\"count\":1024,");
        const char *at = f->c.body;
        for (unsigned k = 0; k < API_LIST_DEFAULT && listed < NODES_MAX; k++, listed++) {
            (void)snprintf(after, sizeof after, listed ? "o%04zu" : "n1", listed);
            (void)snprintf(id, sizeof id, "{\"node\":\"%s\",", after);
            at = strstr(at, id);
            assert_non_null(at);
        }
        assert_null(strstr(at + 1, "{\"node\":"));
        (void)snprintf(id, sizeof id, "\"next\":\"%s\"", after);
        assert_non_null(strstr(at, listed < NODES_MAX ? id : "\"next\":null"));
    }
    f->c.query_name = "limit";
    f->c.query_value = "1001";
    api_refused(f, "GET", "/v1/view", KELPIE_E_INVALID, "limit is '1001'");
    while (v->count > 1)
        view_remove(v, v->members[v->count - 1].node_id);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        API_TEST(test_pages),
        API_TEST(test_view_has_pages),
        API_TEST(test_listings_bounded),
        API_TEST(test_status_is_read_once_for_all),
    };
    return cmocka_run_group_tests_name("api_nodes", tests, NULL, NULL);
}

/* Actors that are erased, that expire, and that nobody uses: what is left of them, and when. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#include "lib/small_world.h"

#define IDLE_MS 500
#define DISTANCE_MS 91600 /* of a window of a minute: with 1 %, and 30 s for sockets and nodes */
#define MUCH_LATER_MS (DISTANCE_MS + 40000)

static unsigned activations, deactivations;

static int activate(struct kelpie_actor *actor)
{
    (void)actor;
    activations++;
    return 0;
}

static void deactivate(struct kelpie_actor *actor)
{
    assert_int_equal(kelpie_erase(actor), KELPIE_E_REFUSED);
    deactivations++;
}

static int receive(struct kelpie_actor *actor, const struct kelpie_message *m)
{
    const uint8_t *value;
    size_t len;

    if (strcmp(m->method, "put") == 0)
        return kelpie_state_put(actor, "v", 1, m->body, m->body_len);
    if (strcmp(m->method, "send") == 0)
        return kelpie_send(actor, kelpie_actor_type(actor), kelpie_actor_id(actor), "put", "late",
                           4, &(struct kelpie_send_options){.after_ms = 3000});
    if (strcmp(m->method, "erase") == 0) {
        int error = kelpie_erase(actor);
        if (!error)
            assert_int_equal(kelpie_state_put(actor, "v", 1, "x", 1), KELPIE_E_REFUSED);
        return error ? error : kelpie_reply_text(actor, "erased");
    }
    if (strcmp(m->method, "erase_and_fail") == 0)
        return kelpie_erase(actor) ? KELPIE_E_REFUSED : KELPIE_E_INVALID;
    if (!kelpie_state_get(actor, "v", 1, &value, &len))
        return kelpie_reply_text(actor, "-");
    return kelpie_reply(actor, value, len);
}

static const struct kelpie_method methods[] = {{.name = "get", .flags = KELPIE_METHOD_READ},
                                               {.name = NULL}};
#define CLASS(type_, expires_)                                                                     \
    {                                                                                              \
        .abi = KELPIE_ABI_VERSION, .size = sizeof(struct kelpie_class), .type = (type_),           \
        .placement = KELPIE_PLACE_LOCAL, .idle_ms = IDLE_MS, .activate = activate,                 \
        .receive = receive, .deactivate = deactivate, .methods = methods,                          \
        .expire_after_ms = (expires_)                                                              \
    }
static const struct kelpie_class keeps = CLASS("keeps", 0), expires = CLASS("expires", 200000);
static const struct kelpie_class *const classes[] = {&keeps, &expires, NULL};

static struct small_answer ask(struct small_world *w, const char *type, const char *id,
                               const char *method, const char *request_id, uint64_t age_ms,
                               const char *body)
{
    struct small_answer r = {.done = false};

    actors_call(node_actors(w->nodes[0].node), type, id, method, request_id, age_ms,
                bytes_of_str(body), 0, small_on_answer, &r);
    assert_true(small_run_until(w, &r.done, 10000));
    return r;
}

#define EXPECT(result_, status_, text_)                                                            \
    do {                                                                                           \
        struct small_answer r_ = (result_);                                                        \
        assert_string_equal(r_.text, text_);                                                       \
        assert_int_equal(r_.status, status_);                                                      \
    } while (0)

static struct small_world *world(void)
{
    struct small_world *w = small_world_new();

    activations = deactivations = 0;
    (void)small_node_start(w, 0, classes, 0, IDLE_MS);
    assert_true(small_wait_view(w, 0, 1));
    small_run_ms(w, 3000); /* it is primary */
    return w;
}

struct count {
    bool done;
    size_t rows;
};

static void on_rows(void *arg, int status, const struct store_row *rows, size_t count, bool more)
{
    struct count *c = arg;

    (void)rows;
    assert_int_equal(status, 0);
    assert_false(more);
    c->done = true;
    c->rows = count;
}

/* Rows of that range. */
static size_t rows_in(struct small_world *w, struct key_range range)
{
    struct count c = {.done = false};

    node_read_rows(w->nodes[0].node, &range, 10000, on_rows, &c);
    assert_true(small_run_until(w, &c.done, 2000));
    return c.rows;
}

static size_t rows_of(struct small_world *w, const char *type, const char *id)
{
    return rows_in(w, keys_state(&w->ks, type, id));
}

static uint64_t number_in(struct small_world *w, struct key key)
{
    struct generation_floor_record floor;
    struct placement_record placement;
    struct buf row, scratch;
    uint64_t n = 0;
    struct key floor_key = key_generation_floor(&w->ks);
    bool is_floor = bytes_equal(key_bytes(&key), key_bytes(&floor_key));

    buf_init(&row, w->env.mem);
    buf_init(&scratch, w->env.mem);
    if (small_get(w, key, &row) && is_floor) {
        assert_int_equal(
            generation_floor_record_decode(key_bytes(&key), buf_bytes(&row), &scratch, &floor), 0);
        n = floor.generation;
    } else if (row.len) {
        assert_int_equal(
            placement_record_decode(key_bytes(&key), buf_bytes(&row), &scratch, &placement), 0);
        n = placement.generation;
    }
    buf_deinit(&row);
    buf_deinit(&scratch);
    return n;
}

static struct head_record head_of(struct small_world *w, const char *type, const char *id)
{
    struct key key = key_head(&w->ks, type, id);
    struct head_record head;
    struct buf row, scratch;

    buf_init(&row, w->env.mem);
    buf_init(&scratch, w->env.mem);
    assert_true(small_get(w, key, &row));
    assert_int_equal(head_record_decode(key_bytes(&key), buf_bytes(&row), &scratch, &head), 0);
    buf_deinit(&row);
    buf_deinit(&scratch);
    return head;
}

static void test_erase_takes_the_state_and_keeps_the_ids(void **state)
{
    struct small_world *w = world();

    (void)state;
    EXPECT(ask(w, "keeps", "a", "put", "r1", 0, "1"), 0, "");
    EXPECT(ask(w, "keeps", "a", "erase_and_fail", "", 0, ""), KELPIE_E_INVALID,
           kelpie_error_text(KELPIE_E_INVALID));
    EXPECT(ask(w, "keeps", "a", "get", "", 0, ""), 0, "1");
    EXPECT(ask(w, "keeps", "a", "erase", "r2", 0, ""), 0, "erased");
    /* The next message finds an actor as new, in an activation of its own. */
    EXPECT(ask(w, "keeps", "a", "get", "", 0, ""), 0, "-");
    assert_int_equal(activations, 2);
    assert_int_equal(deactivations, 1);
    assert_int_equal(rows_of(w, "keeps", "a"), 3); /* the head row and two ids */
    EXPECT(ask(w, "keeps", "a", "put", "r1", 10, "1"), 0, "");
    EXPECT(ask(w, "keeps", "a", "erase", "r2", 10, ""), 0, "erased");
    EXPECT(ask(w, "keeps", "a", "get", "", 0, ""), 0, "-");
    EXPECT(ask(w, "keeps", "a", "put", "r3", 0, "3"), 0, "");
    EXPECT(ask(w, "keeps", "a", "get", "", 0, ""), 0, "3");
    /* Who erases what never was leaves nothing. */
    EXPECT(ask(w, "keeps", "ghost", "erase", "", 0, ""), 0, "erased");
    assert_int_equal(rows_of(w, "keeps", "ghost"), 0);
    /* And its activation writes, as any other. */
    EXPECT(ask(w, "keeps", "ghost", "put", "", 0, "1"), 0, "");
    EXPECT(ask(w, "keeps", "ghost", "get", "", 0, ""), 0, "1");
    small_world_free(w);
}

/* Of an actor that is erased, and one that never wrote, no row is left; its placement begins above. */
static void test_what_is_erased_goes(void **state)
{
    struct small_world *w = world();
    const struct actors_stats *stats = actors_stats(node_actors(w->nodes[0].node));
    uint64_t floor;

    (void)state;
    for (unsigned i = 0; i < 3; i++) {
        EXPECT(ask(w, "keeps", "a", "put", "", 0, "1"), 0, "");
        small_run_ms(w, 3 * IDLE_MS);
    }
    EXPECT(ask(w, "keeps", "a", "erase", "r1", 0, ""), 0, "erased");
    assert_int_equal(ask(w, "keeps", "never", "erase_and_fail", "", 0, "").status,
                     KELPIE_E_INVALID);
    small_run_ms(w, DISTANCE_MS - 5000);
    assert_int_equal(rows_in(w, keys_actors(&w->ks)), 1); /* the other has nothing to remember */
    EXPECT(ask(w, "keeps", "a", "erase", "r1", DISTANCE_MS - 60000, ""), 0, "erased");
    small_run_ms(w, MUCH_LATER_MS);
    assert_int_equal(rows_in(w, keys_actors(&w->ks)), 0);
    assert_int_equal(rows_of(w, "keeps", "a"), 0);
    floor = number_in(w, key_generation_floor(&w->ks));
    assert_true(floor >= 4);
    EXPECT(ask(w, "keeps", "a", "get", "", 0, ""), 0, "-");
    assert_int_equal(rows_in(w, keys_actors(&w->ks)), 0);
    EXPECT(ask(w, "keeps", "a", "put", "", 0, "2"), 0, "");
    assert_int_equal(number_in(w, key_actor(&w->ks, "keeps", "a")), floor + 1);
    /* What was asked before is too late, or new, and then is applied once. */
    EXPECT(ask(w, "keeps", "a", "erase", "r1", DISTANCE_MS + MUCH_LATER_MS, ""), KELPIE_E_TOO_LATE,
           kelpie_error_text(KELPIE_E_TOO_LATE));
    EXPECT(ask(w, "keeps", "a", "get", "", 0, ""), 0, "2");
    assert_true(stats->erased >= 1);
    small_world_free(w);
}

/* Of an actor that has state, what it remembers goes, once. All of it lies before the horizon then, and what was
 * waited is counted from the last of it: whoever is as old is too late. */
static void test_passive_actors_forget(void **state)
{
    struct small_world *w = world();
    struct head_record before, after;

    (void)state;
    EXPECT(ask(w, "keeps", "a", "put", "r1", 0, "1"), 0, "");
    assert_int_equal(rows_of(w, "keeps", "a"), 3);
    before = head_of(w, "keeps", "a");
    small_run_ms(w, DISTANCE_MS - 5000);
    assert_int_equal(rows_of(w, "keeps", "a"), 3);
    small_run_ms(w, MUCH_LATER_MS);
    assert_int_equal(rows_of(w, "keeps", "a"), 2);
    after = head_of(w, "keeps", "a");
    assert_int_equal(after.horizon_ms, before.own_ms + 1);
    assert_true(after.own_ms >= before.own_ms + DISTANCE_MS &&
                after.own_ms < before.own_ms + DISTANCE_MS + MUCH_LATER_MS);
    w->commits = 0;
    small_run_ms(w, MUCH_LATER_MS);
    assert_int_equal(rows_of(w, "keeps", "a"), 2);
    EXPECT(ask(w, "keeps", "a", "put", "r1", 2 * MUCH_LATER_MS, "5"), KELPIE_E_TOO_LATE,
           kelpie_error_text(KELPIE_E_TOO_LATE));
    EXPECT(ask(w, "keeps", "a", "get", "", 0, ""), 0, "1");
    EXPECT(ask(w, "keeps", "a", "put", "r2", REQUEST_AGE_UNKNOWN, "2"), 0, "");
    EXPECT(ask(w, "keeps", "a", "put", "r2", 5, "2"), 0, "");
    small_world_free(w);
}

static void test_a_class_lets_its_actors_expire(void **state)
{
    struct small_world *w = world();

    (void)state;
    EXPECT(ask(w, "expires", "a", "put", "", 0, "1"), 0, "");
    EXPECT(ask(w, "keeps", "b", "put", "", 0, "1"), 0, "");
    for (unsigned i = 0; i < 3; i++) {
        small_run_ms(w, 150000);
        EXPECT(ask(w, "expires", "a", "get", "", 0, ""), 0, "1"); /* it is used */
    }
    small_run_ms(w, 190000);
    assert_int_equal(rows_of(w, "expires", "a"), 2);
    small_run_ms(w, 60000);
    assert_int_equal(rows_of(w, "expires", "a"), 0);
    assert_int_equal(rows_in(w, keys_actors(&w->ks)), 1);
    EXPECT(ask(w, "expires", "a", "get", "", 0, ""), 0, "-");
    EXPECT(ask(w, "keeps", "b", "get", "", 0, ""), 0, "1");
    small_world_free(w);
}

static void test_sessions_that_are_cleared_leave_nothing(void **state)
{
    enum { SESSIONS = 400 };
    struct small_world *w = world();
    struct key_range all = keys_all(&w->ks);
    size_t before = rows_in(w, all);

    (void)state;
    for (unsigned i = 0; i < SESSIONS; i++) {
        char id[16];
        (void)snprintf(id, sizeof id, "s%u", i);
        EXPECT(ask(w, "keeps", id, "put", "", 0, "1"), 0, "");
        EXPECT(ask(w, "keeps", id, "erase", "", 0, ""), 0, "erased");
    }
    assert_true(rows_in(w, all) >= before + 4 * SESSIONS);
    small_run_ms(w, MUCH_LATER_MS);
    assert_int_equal(rows_in(w, all), before + 1); /* the floor */
    small_world_free(w);
}

/* What waits for it is void. */
static void test_erase_voids_the_inbox(void **state)
{
    struct small_world *w = world();

    (void)state;
    EXPECT(ask(w, "keeps", "a", "send", "", 0, ""), 0, "");
    EXPECT(ask(w, "keeps", "b", "send", "", 0, ""), 0, "");
    EXPECT(ask(w, "keeps", "a", "erase", "", 0, ""), 0, "erased");
    assert_int_equal(rows_in(w, keys_later(&w->ks, "keeps", "a")), 0);
    small_run_ms(w, 8000);
    EXPECT(ask(w, "keeps", "a", "get", "", 0, ""), 0, "-");
    EXPECT(ask(w, "keeps", "b", "get", "", 0, ""), 0, "late");
    small_world_free(w);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_erase_takes_the_state_and_keeps_the_ids),
        cmocka_unit_test(test_what_is_erased_goes),
        cmocka_unit_test(test_passive_actors_forget),
        cmocka_unit_test(test_a_class_lets_its_actors_expire),
        cmocka_unit_test(test_sessions_that_are_cleared_leave_nothing),
        cmocka_unit_test(test_erase_voids_the_inbox),
    };
    return cmocka_run_group_tests_name("passive", tests, NULL, NULL);
}

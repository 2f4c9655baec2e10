/* Messages between actors in a small world of whole nodes: sent, applied once, in order, in time. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#include "actor/activation.h"
#include "lib/small_world.h"

/* The class: `do` runs orders, one a line; "note" remembers what has come; "got" tells. */
struct order {
    char verb[12], to[24], method[12], body[24], name[24];
    unsigned after, every;
};

static int note(struct kelpie_actor *actor, const char *text)
{
    const uint8_t *value = NULL;
    size_t len = 0;
    char all[2048];

    (void)kelpie_state_get(actor, "got", 3, &value, &len);
    (void)snprintf(all, sizeof all, "%.*s%s ", (int)len, (const char *)value, text);
    return kelpie_state_put(actor, "got", 3, all, strlen(all));
}

static int obey(struct kelpie_actor *actor, const char *line)
{
    struct order o = {.verb = ""};

    if (sscanf(line, "%11s %23s %11s %23s %u %u %23s", o.verb, o.to, o.method, o.body, &o.after,
               &o.every, o.name) < 2)
        return KELPIE_E_INVALID;
    const struct kelpie_send_options options = {
        .after_ms = o.after, .every_ms = o.every, .name = o.name[0] ? o.name : NULL};
    if (strcmp(o.verb, "send") == 0)
        return kelpie_send(actor, "post", o.to, o.method, o.body, strlen(o.body), &options);
    if (strcmp(o.verb, "pass") == 0)
        return kelpie_state_put(actor, "passed", 6, o.to, strlen(o.to));
    if (strcmp(o.verb, "unsend") == 0)
        return kelpie_unsend(actor, o.to);
    return note(actor, o.to);
}

static int receive(struct kelpie_actor *actor, const struct kelpie_message *m)
{
    char text[1024], *line, *rest = text;
    const uint8_t *value;
    size_t len;
    int error = 0;

    (void)snprintf(text, sizeof text, "%.*s", (int)m->body_len, (const char *)m->body);
    if (strcmp(m->method, "got") == 0)
        return kelpie_state_get(actor, "got", 3, &value, &len) ? kelpie_reply(actor, value, len)
                                                               : 0;
    if (strcmp(m->method, "fail") == 0 && m->attempt < 3)
        return KELPIE_E_HANDLER_FAILED;
    if (strcmp(m->method, "never") == 0)
        return KELPIE_E_HANDLER_FAILED;
    if (strcmp(m->method, "wrong") == 0)
        return KELPIE_E_INVALID;
    if (strcmp(m->method, "rearm") == 0)
        error = kelpie_send(actor, "post", kelpie_actor_id(actor), "note", "once", 4,
                            &(struct kelpie_send_options){.after_ms = 100, .name = "n"});
    if (error)
        return error;
    if (strcmp(m->method, "do") == 0) {
        while (!error && (line = strtok_r(rest, "\n", &rest)))
            error = obey(actor, line);
        return error;
    }
    if (m->missed)
        (void)snprintf(text + strlen(text), sizeof text - strlen(text), "+%llu",
                       (unsigned long long)m->missed);
    return note(actor, text);
}

static const struct kelpie_class post = {
    .abi = KELPIE_ABI_VERSION,
    .size = sizeof(struct kelpie_class),
    .type = "post",
    .receive = receive,
};

/* One that remembers for longer than those it calls. */
static void answered(struct kelpie_actor *actor, void *arg, int status, const uint8_t *reply,
                     size_t len)
{
    (void)arg, (void)reply, (void)len;
    assert_int_equal(kelpie_finish(actor, status), 0);
}

static int receive_long(struct kelpie_actor *actor, const struct kelpie_message *m)
{
    if (strcmp(m->method, "start") == 0)
        return kelpie_send(actor, "long", kelpie_actor_id(actor), "ask", "", 0, NULL);
    return kelpie_call(actor, "post", "b", "note", "called", 6, 0, answered, NULL)
               ? KELPIE_E_HANDLER_FAILED
               : KELPIE_PENDING;
}

static const struct kelpie_class long_class = {
    .abi = KELPIE_ABI_VERSION,
    .size = sizeof(struct kelpie_class),
    .type = "long",
    .receive = receive_long,
    .remember_ms = 600000,
};
static const struct kelpie_class *const classes[] = {&post, &long_class, NULL};

static void start(struct small_world *w, const char *id, const char *method, const char *body,
                  struct small_answer *r)
{
    *r = (struct small_answer){.done = false};
    actors_call(node_actors(w->nodes[0].node), "post", id, method, "", REQUEST_AGE_UNKNOWN,
                bytes_of_str(body), 0, small_on_answer, r);
}

static struct small_answer call(struct small_world *w, size_t node, const char *id,
                                const char *method, const char *body)
{
    struct small_answer r = {.done = false};

    actors_call(node_actors(w->nodes[node].node), "post", id, method, "", REQUEST_AGE_UNKNOWN,
                bytes_of_str(body), 0, small_on_answer, &r);
    assert_true(small_run_until(w, &r.done, 10000));
    return r;
}

static void assert_got(struct small_world *w, const char *id, const char *text)
{
    assert_string_equal(call(w, 0, id, "got", "").text, text);
}

static void a_message_is_applied(void **state)
{
    (void)state;
    for (size_t nodes = 1; nodes < 4; nodes++) {
        struct small_world *w = small_world_of(nodes, classes);
        assert_int_equal(call(w, 0, "a", "do", "send b note x\nnote sent").status, 0);
        small_run_ms(w, 100);
        assert_got(w, "a", "sent ");
        assert_got(w, "b", "x ");
        assert_int_equal(call(w, 0, "a", "do", "send a note y\nsend c note z").status, 0);
        small_run_ms(w, 100);
        assert_got(w, "a", "sent y ");
        assert_got(w, "c", "z ");
        small_world_free(w);
    }
}

static void order_is_kept_also_when_one_fails(void **state)
{
    struct small_world *w = small_world_of(2, classes);

    (void)state;
    assert_int_equal(
        call(w, 0, "a", "do", "send b note 1\nsend b fail 2\nsend b note 3\nsend b note 4").status,
        0);
    assert_int_equal(call(w, 0, "c", "do", "send b note c").status, 0);
    small_run_ms(w, 1000);
    assert_got(w, "b", "1 c 2 3 4 ");
    small_world_free(w);
}

static void what_cannot_be_applied_is_a_dead_letter(void **state)
{
    struct small_world *w = small_world_of(1, classes);

    (void)state;
    assert_int_equal(
        call(w, 0, "a", "do", "send b wrong 1\nsend b note 2\nsend b never 3\nsend b note 4")
            .status,
        0);
    small_run_ms(w, 100);
    assert_got(w, "b", "2 ");
    small_run_ms(w, 60000);
    assert_got(w, "b", "2 4 ");
    assert_int_equal(actors_stats(node_actors(w->nodes[0].node))->dead_letters, 2);
    small_world_free(w);
}

static void a_message_comes_in_time(void **state)
{
    struct small_world *w = small_world_of(2, classes);

    (void)state;
    assert_int_equal(call(w, 0, "a", "do", "send b note s 500\nsend b note l 7000").status, 0);
    small_run_ms(w, 400);
    assert_got(w, "b", "");
    small_run_ms(w, 200);
    assert_got(w, "b", "s ");
    small_run_ms(w, 6300);
    assert_got(w, "b", "s ");
    small_run_ms(w, 200);
    assert_got(w, "b", "s l ");
    small_world_free(w);
}

static void names_are_replaced_and_withdrawn(void **state)
{
    struct small_world *w = small_world_of(2, classes);

    (void)state;
    assert_int_equal(call(w, 0, "a", "do", "send b note 1 3000 0 n\nsend b note 2 3000 0 n").status,
                     0);
    assert_int_equal(call(w, 0, "a", "do", "send c note 3 4000 0 n\nsend b note 4 1000 0 o").status,
                     0);
    assert_int_equal(call(w, 0, "a", "do", "unsend o").status, 0);
    small_run_ms(w, 5000);
    assert_got(w, "b", "");
    assert_got(w, "c", "3 ");
    small_world_free(w);
}

static void periods_that_were_missed_come_once(void **state)
{
    struct small_world *w = small_world_of(1, classes);

    (void)state;
    assert_int_equal(call(w, 0, "a", "do", "send b note t 0 1000 n").status, 0);
    small_run_ms(w, 3500);
    assert_got(w, "b", "t t t ");
    small_node_close(&w->nodes[0]);
    small_run_ms(w, 30000);
    (void)small_node_start(w, 0, classes, 0, 0);
    small_run_ms(w, 30000);
    struct small_answer r = call(w, 0, "b", "got", "");
    assert_non_null(strstr(r.text, "t t t t+"));
    assert_int_equal(call(w, 0, "a", "do", "unsend n").status, 0);
    r = call(w, 0, "b", "got", "");
    small_run_ms(w, 5000);
    assert_got(w, "b", r.text);
    small_world_free(w);
}

/* When the next commit of the actor is about to reach the store, its inbox is looked at. */
static struct kelpie_actor *looks;
static uint64_t looks_until_ms;
static bool looks_is_held;

static void look_first(struct small_world *w, const struct store_req *req)
{
    struct kelpie_actor *act = looks;

    (void)req;
    if (!act || act->state != ACT_COMMITTING)
        return;
    looks = NULL;
    w->read_held = looks_is_held;
    inbox_note(act, looks_until_ms);
}

static struct kelpie_actor *activation(struct small_world *w, const char *id)
{
    struct kelpie_actor *act = act_find(node_actors(w->nodes[0].node), "post", id);

    assert_non_null(act);
    return act;
}

/* It has come to hand, and its turn is behind that of the request that withdraws it, or sends another one
 * of its name, in one batch. */
static void what_was_withdrawn_in_its_batch_is_not_applied(void **state)
{
    static const struct {
        const char *order, *got;
    } rows[] = {{"unsend n", "first last "}, {"send a note y 1000 0 n", "first last y "}};

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        struct small_world *w = small_world_of(1, classes);
        struct small_answer first, second, last;

        assert_int_equal(call(w, 0, "a", "do", "send a note x 500 0 n").status, 0);
        looks = activation(w, "a");
        looks_until_ms = actors_wall_ms(looks->actors) + 500;
        looks_is_held = false;
        w->before_commit = look_first;
        w->commit_plan = SMALL_COMMIT_UNKNOWN_NOT; /* so that it takes its time */
        start(w, "a", "do", "note first", &first);
        start(w, "a", "do", rows[i].order, &second);
        assert_true(small_run_until(w, &second.done, 1000));
        assert_int_equal(second.status, 0);
        start(w, "a", "do", "note last", &last);
        small_run_ms(w, 5000);
        assert_true(first.done && last.done && !looks);
        assert_got(w, "a", rows[i].got);
        small_world_free(w);
    }
}

/* What is read is of before the first one's failure was committed, and arrives behind that. */
static void order_is_kept_whatever_a_read_says(void **state)
{
    struct small_world *w = small_world_of(1, classes);

    (void)state;
    assert_int_equal(call(w, 0, "b", "do", "note first").status, 0);
    looks = activation(w, "b");
    looks_until_ms = 0;
    looks_is_held = true;
    w->before_commit = look_first;
    assert_int_equal(call(w, 0, "a", "do", "send b fail 1\nsend b note 2").status, 0);
    for (unsigned i = 0; i < 1000 && !w->held_answered; i++)
        assert_true(small_step(w));
    assert_true(w->held_answered);
    small_run_ms(w, 10);
    small_read_arrives(w);
    small_run_ms(w, 1000);
    assert_got(w, "b", "first 1 2 ");
    small_world_free(w);
}

/* While it is noted that the message is tried by itself, so many turns run that the last, which withdraws it,
 * is committed after the note. */
static struct small_answer crowd[BATCH_TURNS_MAX + 1];

static void is_slow(struct small_world *w, const struct store_req *req)
{
    (void)req;
    w->before_commit = NULL;
    w->commit_plan = SMALL_COMMIT_UNKNOWN_NOT;
}

/* The note lands with its second attempt; what ran meanwhile follows, slowly too. */
static void crowd_lands(struct small_world *w, const struct store_req *req)
{
    (void)req;
    w->before_commit = is_slow;
}

static void crowd_in(struct small_world *w, const struct store_req *req)
{
    struct kelpie_actor *act = act_find(node_actors(w->nodes[0].node), "post", "a");

    (void)req;
    if (!act || act->state != ACT_COMMITTING || !act->inbox || !act->inbox->alone)
        return;
    is_slow(w, req);
    w->before_commit = crowd_lands;
    for (size_t i = 0; i < BATCH_TURNS_MAX; i++)
        start(w, "a", "do", "pass on", &crowd[i]);
    start(w, "a", "do", "unsend n", &crowd[BATCH_TURNS_MAX]);
}

static void what_is_tried_by_itself_can_be_withdrawn(void **state)
{
    struct small_world *w = small_world_of(1, classes);

    (void)state;
    assert_int_equal(call(w, 0, "a", "do", "send a note x 500 0 n").status, 0);
    small_node_close(&w->nodes[0]);
    small_run_ms(w, 10000);
    w->before_commit = crowd_in;
    (void)small_node_start(w, 0, classes, 0, 0);
    assert_true(small_wait_view(w, 0, 1));
    assert_true(small_run_until(w, &crowd[BATCH_TURNS_MAX].done, 10000));
    assert_null(w->before_commit);
    assert_int_equal(crowd[BATCH_TURNS_MAX].status, 0);
    assert_int_equal(call(w, 0, "a", "do", "send a note y").status, 0);
    small_run_ms(w, 100);
    assert_got(w, "a", "y ");
    small_world_free(w);
}

/* It stays in the view while nobody can declare it failed; what its clock said last is no time. */
static void a_dead_node_does_not_stop_the_clock(void **state)
{
    struct small_world *w = small_world_of(2, classes);

    (void)state;
    small_node_close(&w->nodes[0]); /* the primary */
    small_run_ms(w, 60000);
    assert_int_equal(call(w, 1, "a", "do", "send a note x 30000").status, 0);
    small_run_ms(w, 40000);
    assert_string_equal(call(w, 1, "a", "got", "").text, "x ");
    small_world_free(w);
}

/* A message whose sender's node has died before it could nudge. */
static void put_in_inbox(struct small_world *w, const char *id, uint64_t number)
{
    const struct message_at at = {
        .sender = actor_hash("post", "gone"), .generation = 1, .number = number};
    struct message_record r = {.sender_type = "post",
                               .sender_id = "gone",
                               .method = "note",
                               .sent_ms = w->now_ns / NS_PER_MS,
                               .body = bytes_of_str("x")};
    struct key key = key_inbox(&w->ks, actor_shard("post", id, SHARDS_DEFAULT), "post", id, &at);
    struct buf value;

    buf_init(&value, w->env.mem);
    message_record_encode(&r, key_bytes(&key), &value);
    small_put(w, key, &value);
    buf_deinit(&value);
}

/* Whose nudge was lost waits for a second and more; with a new view it is looked for at once, also when the shards
 * are just being looked at as they were. */
static void a_new_view_nudges_at_once(void **state)
{
    struct small_world *w = small_world_of(1, classes);
    struct actors *a = node_actors(w->nodes[0].node);

    (void)state;
    assert_got(w, "b", "");
    small_run_ms(w, 1500);
    put_in_inbox(w, "b", 1);
    small_run_ms(w, 900);
    assert_got(w, "b", "");
    shards_start(a);
    small_run_ms(w, 20);
    assert_got(w, "b", "x ");
    while (!txn_active(&a->shards.txn))
        assert_true(small_step(w));
    put_in_inbox(w, "b", 2);
    shards_start(a);
    small_run_ms(w, 20);
    assert_got(w, "b", "x x ");
    small_world_free(w);
}

/* The age of a message says nothing of that of the calls that its turn makes. */
static void a_message_calls_who_remembers_for_less(void **state)
{
    struct small_world *w = small_world_of(1, classes);
    struct small_answer r = {.done = false};

    (void)state;
    actors_call(node_actors(w->nodes[0].node), "long", "l", "start", "", REQUEST_AGE_UNKNOWN,
                bytes_of_str(""), 0, small_on_answer, &r);
    assert_true(small_run_until(w, &r.done, 1000));
    assert_int_equal(r.status, 0);
    small_run_ms(w, 1000);
    assert_got(w, "b", "called ");
    assert_int_equal(actors_stats(node_actors(w->nodes[0].node))->dead_letters, 0);
    small_world_free(w);
}

static void an_actor_arms_its_own_timer_anew(void **state)
{
    struct small_world *w = small_world_of(1, classes);

    (void)state;
    assert_int_equal(call(w, 0, "a", "do", "send a rearm y 500 300 n").status, 0);
    small_run_ms(w, 2000);
    /* The first of the period sends one of its name, once: the period has ended with that. */
    assert_got(w, "a", "y once ");
    small_world_free(w);
}

static void many_come_in_order(void **state)
{
    struct small_world *w = small_world_of(2, classes);
    char orders[1024], expected[1024] = "";
    unsigned number = 0;

    (void)state;
    for (int turn = 0; turn < 3; turn++) {
        orders[0] = '\0';
        for (int i = 0; i < 25; i++, number++) {
            (void)snprintf(orders + strlen(orders), sizeof orders - strlen(orders),
                           "send b note %u\n", number);
            (void)snprintf(expected + strlen(expected), sizeof expected - strlen(expected), "%u ",
                           number);
        }
        assert_int_equal(call(w, 0, "a", "do", orders).status, 0);
    }
    small_run_ms(w, 2000);
    assert_got(w, "b", expected);
    small_world_free(w);
}

static void bounds_are_said(void **state)
{
    struct small_world *w = small_world_of(1, classes);
    char orders[512] = "";

    (void)state;
    for (int i = 0; i < KELPIE_SEND_NAMES_MAX + 1; i++)
        (void)snprintf(orders + strlen(orders), sizeof orders - strlen(orders), "unsend n%d\n", i);
    struct small_answer r = call(w, 0, "a", "do", orders);
    assert_int_equal(r.status, KELPIE_E_TOO_LARGE);
    assert_string_equal(r.text, "a turn uses at most 16 names of messages");
    r = call(w, 0, "a", "do", "send b note x 0 1000");
    assert_int_equal(r.status, KELPIE_E_INVALID);
    assert_string_equal(r.text, "a message with a period needs a name");
    r = call(w, 0, "a", "do", "send b note x 0 99 n");
    assert_string_equal(r.text, "a period is under 100 ms");
    small_run_ms(w, 3000);
    assert_got(w, "b", "");
    small_world_free(w);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_message_is_applied),
        cmocka_unit_test(order_is_kept_also_when_one_fails),
        cmocka_unit_test(what_cannot_be_applied_is_a_dead_letter),
        cmocka_unit_test(a_message_comes_in_time),
        cmocka_unit_test(names_are_replaced_and_withdrawn),
        cmocka_unit_test(periods_that_were_missed_come_once),
        cmocka_unit_test(what_was_withdrawn_in_its_batch_is_not_applied),
        cmocka_unit_test(order_is_kept_whatever_a_read_says),
        cmocka_unit_test(what_is_tried_by_itself_can_be_withdrawn),
        cmocka_unit_test(a_dead_node_does_not_stop_the_clock),
        cmocka_unit_test(a_new_view_nudges_at_once),
        cmocka_unit_test(a_message_calls_who_remembers_for_less),
        cmocka_unit_test(an_actor_arms_its_own_timer_anew),
        cmocka_unit_test(many_come_in_order),
        cmocka_unit_test(bounds_are_said),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

/*
 * What an operator does with one message, as a table: which rows go, which one comes. Each case runs plain, with
 * a commit that happened unseen, and with one that did not happen.
 */
#include "lib/actor_rows.h"
#include "registry/rules_letter.h"

#define SHARDS 8
#define SENT_MS 1000
#define DUE_MS 5000
#define NOW_MS 9000
#define NAME "alarm"

struct letter_case {
    enum message_place place;
    uint64_t every_ms;
    bool named;  /* the message has a name */
    bool newer;  /* whose row says another message by now */
    bool again;  /* else it is dropped */
    bool absent; /* there is no such message */
};

static const struct letter_case cases[] = {
    {.place = MESSAGE_WAITING},
    {.place = MESSAGE_LATER},
    {.place = MESSAGE_LATER, .every_ms = 700},
    {.place = MESSAGE_LATER, .named = true},
    {.place = MESSAGE_LATER, .named = true, .every_ms = 700},
    {.place = MESSAGE_LATER, .named = true, .newer = true},
    {.place = MESSAGE_LATER, .absent = true},
    {.place = MESSAGE_DEAD},
    {.place = MESSAGE_DEAD, .again = true},
    {.place = MESSAGE_DEAD, .again = true, .every_ms = 700},
    {.place = MESSAGE_DEAD, .again = true, .named = true, .every_ms = 700},
    {.place = MESSAGE_DEAD, .named = true},
    {.place = MESSAGE_DEAD, .again = true, .absent = true},
};

static struct message_at at_of(const struct letter_case *c)
{
    return (struct message_at){.due_ms = c->place == MESSAGE_LATER ? DUE_MS : 0,
                               .sender = actor_hash("room", "hall"),
                               .generation = 3,
                               .number = 17};
}

static struct key due_of(struct small_world *w, const struct message_at *at)
{
    return key_due(&w->ks, actor_shard(TYPE, ID, SHARDS), TYPE, ID, at);
}

static struct key name_key(struct small_world *w)
{
    return key_named(&w->ks, "room", "hall", bytes_of_str(NAME));
}

static void put_name(struct small_world *w, const struct letter_case *c, struct buf *value)
{
    struct named_record named = {.type = TYPE, .id = ID, .at = at_of(c)};
    struct key key = name_key(w);

    named.at.number += c->newer;
    named_record_encode(&named, key_bytes(&key), value);
    small_put(w, key, value);
}

static void put_rows(struct small_world *w, const struct letter_case *c,
                     const struct message_ref *ref)
{
    struct message_record r = {.sender_type = "room",
                               .sender_id = "hall",
                               .method = "knock",
                               .sent_ms = SENT_MS,
                               .due_ms = ref->at.due_ms,
                               .every_ms = c->every_ms,
                               .name_len = c->named ? strlen(NAME) : 0,
                               .body = bytes_of_str("body")};
    struct due_record due = {.sent_ms = SENT_MS};
    struct key key = message_ref_key(&w->ks, SHARDS, TYPE, ID, ref);
    struct buf value;

    if (c->place == MESSAGE_DEAD) {
        r.attempts = 4;
        r.error = KELPIE_E_INVALID;
    }
    memcpy(r.name, NAME, r.name_len);
    buf_init(&value, w->env.mem);
    message_record_encode(&r, key_bytes(&key), &value);
    small_put(w, key, &value);
    if (c->place == MESSAGE_LATER) {
        key = due_of(w, &ref->at);
        due_record_encode(&due, key_bytes(&key), &value);
        small_put(w, key, &value);
    }
    if (c->named)
        put_name(w, c, &value);
    buf_deinit(&value);
}

static bool has(struct small_world *w, struct key key)
{
    struct buf value;

    buf_init(&value, w->env.mem);
    bool found = small_get(w, key, &value);
    buf_deinit(&value);
    return found;
}

/* It comes once, now, without its name, as if it had not been tried; its period goes on without it. */
static void check_again(struct small_world *w, const struct message_ref *ref)
{
    struct message_ref again = {.place = MESSAGE_LATER, .at = ref->at};
    struct message_record r;
    struct buf value, scratch;

    again.at.due_ms = NOW_MS;
    struct key key = message_ref_key(&w->ks, SHARDS, TYPE, ID, &again);
    buf_init(&value, w->env.mem);
    buf_init(&scratch, w->env.mem);
    assert_true(small_get(w, key, &value));
    assert_int_equal(message_record_decode(key_bytes(&key), buf_bytes(&value), &scratch, &r), 0);
    assert_string_equal(r.method, "knock");
    assert_string_equal(r.sender_type, "room");
    assert_true(bytes_equal(r.body, bytes_of_str("body")));
    assert_int_equal(r.sent_ms, SENT_MS);
    assert_int_equal(r.due_ms, NOW_MS);
    assert_int_equal(r.every_ms, 0);
    assert_int_equal(r.again_ms, 0);
    assert_int_equal(r.tried, 0);
    assert_int_equal(r.attempts, 0);
    assert_int_equal(r.error, 0);
    assert_int_equal(r.name_len, 0);
    assert_true(has(w, due_of(w, &again.at)));
    buf_deinit(&scratch);
    buf_deinit(&value);
}

static void tend(const struct letter_case *c, enum small_commit plan)
{
    struct small_world *w = small_world_new();
    struct tend_args args = {.actor = {&w->ks, TYPE, ID},
                             .shards = SHARDS,
                             .ref = {.place = c->place, .at = at_of(c)},
                             .again = c->again,
                             .now_ms = NOW_MS};
    struct txn *t = malloc(sizeof *t);
    struct run r = {.done = false};

    if (!c->absent)
        put_rows(w, c, &args.ref);
    tend_txn(t, &w->env, &args, on_done, &r);
    run_txn(w, t, &r, plan);
    free(t);
    assert_int_equal(r.status, c->absent ? KELPIE_E_REFUSED : 0);
    assert_false(has(w, message_ref_key(&w->ks, SHARDS, TYPE, ID, &args.ref)));
    if (c->place == MESSAGE_LATER)
        assert_false(has(w, due_of(w, &args.ref.at)));
    /* A dead letter has no name any more: who bears it now keeps it. */
    assert_int_equal(has(w, name_key(w)), c->named && (c->newer || c->place == MESSAGE_DEAD));
    if (c->again && !c->absent)
        check_again(w, &args.ref);
    small_world_free(w);
}

static void test_tend_message(void **state)
{
    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(cases); i++)
        for (size_t k = 0; k < ARRAY_LEN(plans); k++)
            tend(&cases[i], plans[k]);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_tend_message)};

    return cmocka_run_group_tests(tests, NULL, NULL);
}

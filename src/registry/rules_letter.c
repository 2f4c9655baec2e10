#include "registry/rules_letter.h"

#include <inttypes.h>
#include <stdio.h>

#include "base/mark.h"
#include "kelpie/error.h"

enum { READ_ROW, READ_NAMED };

/* ---- what it is called ---- */

const char *message_place_name(enum message_place place)
{
    static const char *const names[MESSAGE_PLACES] = {"waiting", "later", "dead"};

    CHECK(place < MESSAGE_PLACES);
    return names[place];
}

void message_ref_to_text(const struct message_ref *ref, char out[MESSAGE_REF_SIZE])
{
    char sender[UUID_TEXT_SIZE], due[24] = "";

    uuid_to_text(ref->at.sender, sender);
    if (ref->place == MESSAGE_LATER)
        (void)snprintf(due, sizeof due, "%" PRIu64 ".", ref->at.due_ms);
    (void)snprintf(out, MESSAGE_REF_SIZE, "%s.%s%" PRIu64 ".%" PRIu64 ".%s",
                   message_place_name(ref->place), due, ref->at.generation, ref->at.number, sender);
}

/* A number and the dot behind it. */
static bool take_number(const char **text, uint64_t *out)
{
    const char *p = *text;

    *out = 0;
    for (; *p >= '0' && *p <= '9'; p++) {
        uint64_t digit = (uint64_t)(*p - '0');

        if (*out > (UINT64_MAX - digit) / 10)
            return false;
        *out = *out * 10 + digit;
    }
    if (p == *text || *p != '.')
        return false;
    *text = p + 1;
    return true;
}

int message_ref_from_text(const char *text, struct message_ref *out)
{
    for (enum message_place place = 0; place < MESSAGE_PLACES; place++) {
        const char *name = message_place_name(place), *p = text + strlen(name) + 1;

        if (strncmp(text, name, strlen(name)) != 0 || text[strlen(name)] != '.')
            continue;
        *out = (struct message_ref){.place = place};
        if ((place == MESSAGE_LATER && (!take_number(&p, &out->at.due_ms) || !out->at.due_ms)) ||
            !take_number(&p, &out->at.generation) || !take_number(&p, &out->at.number))
            return KELPIE_E_INVALID;
        return uuid_from_text(p, &out->at.sender) ? KELPIE_E_INVALID : 0;
    }
    return KELPIE_E_INVALID;
}

struct message_ref message_ref_of(const struct key_parts *parts)
{
    struct message_ref ref = {
        .at = {.sender = parts->hash, .generation = parts->generation, .number = parts->number}};

    CHECK(parts->family == KEY_INBOX || parts->family == KEY_LATER || parts->family == KEY_DEAD);
    ref.place = parts->family == KEY_INBOX   ? MESSAGE_WAITING
                : parts->family == KEY_LATER ? MESSAGE_LATER
                                             : MESSAGE_DEAD;
    if (ref.place == MESSAGE_LATER)
        ref.at.due_ms = parts->due_ms;
    return ref;
}

struct key message_ref_key(const struct actor_ref *a, uint32_t shards,
                           const struct message_ref *ref)
{
    if (ref->place == MESSAGE_DEAD)
        return key_dead(a->ks, a->type, a->id, &ref->at);
    if (ref->place == MESSAGE_LATER)
        return key_later(a->ks, a->type, a->id, &ref->at);
    return key_inbox(a->ks, actor_shard(a->type, a->id, shards), a->type, a->id, &ref->at);
}

/* ---- the rule ---- */

static struct key due_key(const struct tend_args *t, const struct message_at *at)
{
    const struct actor_ref *a = &t->actor;

    return key_due(a->ks, actor_shard(a->type, a->id, t->shards), a->type, a->id, at);
}

/* The sender's row of the message's name goes with it, where it says this one. */
static int drop_name(struct rule_ctx *ctx, const struct tend_args *t, const struct key *key)
{
    struct named_record named;
    struct bytes value;
    int error;

    if (!rule_row(ctx->txn, READ_NAMED, &value))
        return 0;
    error = named_record_decode(key_bytes(key), value, ctx->scratch, &named);
    if (!error && strcmp(named.type, t->actor.type) == 0 && strcmp(named.id, t->actor.id) == 0 &&
        named.at.due_ms == t->ref.at.due_ms && named.at.generation == t->ref.at.generation &&
        named.at.number == t->ref.at.number)
        rule_delete(ctx, key_bytes(key));
    return error;
}

static void put_again(struct rule_ctx *ctx, const struct tend_args *t, struct message_record r)
{
    struct message_ref again = {.place = MESSAGE_LATER, .at = t->ref.at};
    struct due_record due = {.sent_ms = r.sent_ms};
    struct key key;
    struct buf value;

    again.at.due_ms = t->now_ms;
    r.due_ms = t->now_ms;
    r.every_ms = r.again_ms = r.tried = 0;
    r.attempts = 0;
    r.error = 0;
    r.name_len = 0;
    buf_init(&value, ctx->txn->env->mem);
    key = message_ref_key(&t->actor, t->shards, &again);
    message_record_encode(&r, key_bytes(&key), &value);
    rule_put(ctx, key_bytes(&key), buf_bytes(&value));
    key = due_key(t, &again.at);
    buf_clear(&value);
    due_record_encode(&due, key_bytes(&key), &value);
    rule_put(ctx, key_bytes(&key), buf_bytes(&value));
    buf_deinit(&value);
}

enum verdict rule_tend_message(struct rule_ctx *ctx, void *arg)
{
    struct tend_args *t = arg;
    struct key key = message_ref_key(&t->actor, t->shards, &t->ref), named;
    struct message_record r;
    struct bytes value;
    int error;

    if (!rule_row(ctx->txn, READ_ROW, &value)) {
        if (t->tried)
            return RULE_DONE;
        return rule_refuse(ctx,
                           "the actor has no such message: it was applied, dropped or sent again");
    }
    error = message_record_decode(key_bytes(&key), value, ctx->scratch, &r);
    if (error)
        return rule_corrupt(ctx, error, key_bytes(&key));
    if (t->ref.place != MESSAGE_DEAD && r.name_len > 0) {
        named = key_named(t->actor.ks, r.sender_type, r.sender_id, bytes_of(r.name, r.name_len));
        if (rule_read_count(ctx) == READ_NAMED) {
            (void)rule_more(ctx, key_bytes(&named), false);
            return RULE_MORE;
        }
        error = drop_name(ctx, t, &named);
        if (error)
            return rule_corrupt(ctx, error, key_bytes(&named));
    }
    rule_delete(ctx, key_bytes(&key));
    if (t->ref.place == MESSAGE_LATER) {
        key = due_key(t, &t->ref.at);
        rule_delete(ctx, key_bytes(&key));
    }
    if (t->again)
        put_again(ctx, t, r);
    t->tried = true;
    return RULE_COMMIT;
}

void tend_txn(struct txn *t, const struct env *env, struct tend_args *args, txn_fn *done, void *arg)
{
    struct key key = message_ref_key(&args->actor, args->shards, &args->ref);

    CHECK(!args->again || args->ref.place == MESSAGE_DEAD);
    txn_init(t, env, "TendMessage", rule_tend_message, args, done, arg);
    CHECK(txn_read(t, key_bytes(&key), false) == READ_ROW);
}

#include "registry/rules_letter.h"

#include "kelpie/error.h"

enum { READ_ROW, READ_NAMED };

static struct key row_key(const struct tend_args *t, const struct message_ref *ref)
{
    return message_ref_key(t->actor.ks, t->shards, t->actor.type, t->actor.id, ref);
}

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
    key = row_key(t, &again);
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
    struct key key = row_key(t, &t->ref), named;
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
    struct key key = row_key(args, &args->ref);

    CHECK(!args->again || args->ref.place == MESSAGE_DEAD);
    txn_init(t, env, "TendMessage", rule_tend_message, args, done, arg);
    CHECK(txn_read(t, key_bytes(&key), false) == READ_ROW);
}

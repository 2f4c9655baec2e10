#include "registry/rules_message.h"

#include "base/mark.h"
#include "base/mutant.h"
#include "kelpie/error.h"

static bool is_named(const struct message_record *r)
{
    return r->name_len > 0;
}

static struct bytes name_of(const struct message_record *r)
{
    return bytes_of(r->name, r->name_len);
}

static struct key row_key(const struct actor_ref *ref, uint32_t shards, const char *type,
                          const char *id, const struct message_at *at)
{
    return at->due_ms ? key_later(ref->ks, type, id, at)
                      : key_inbox(ref->ks, actor_shard(type, id, shards), type, id, at);
}

/* ---- writing rows */

struct put {
    struct rule_ctx *ctx;
    const struct actor_ref *ref;
    struct commit_messages *m;
    struct buf *value;
};

static void put_row(struct put *p, const char *type, const char *id, const struct message_at *at,
                    const struct message_record *r)
{
    struct key key = row_key(p->ref, p->m->shards, type, id, at);
    struct due_record due = {.sent_ms = r->sent_ms};

    message_record_encode(r, key_bytes(&key), p->value);
    rule_put(p->ctx, key_bytes(&key), buf_bytes(p->value));
    if (!at->due_ms)
        return;
    key = key_due(p->ref->ks, actor_shard(type, id, p->m->shards), type, id, at);
    due_record_encode(&due, key_bytes(&key), p->value);
    rule_put(p->ctx, key_bytes(&key), buf_bytes(p->value));
}

static void delete_row(struct put *p, const char *type, const char *id, const struct message_at *at)
{
    struct key key = row_key(p->ref, p->m->shards, type, id, at);

    rule_delete(p->ctx, key_bytes(&key));
    if (!at->due_ms)
        return;
    key = key_due(p->ref->ks, actor_shard(type, id, p->m->shards), type, id, at);
    rule_delete(p->ctx, key_bytes(&key));
}

static void put_named(struct put *p, const struct key *key, const char *type, const char *id,
                      const struct message_at *at)
{
    struct named_record r = {.at = *at};

    memcpy(r.type, type, strlen(type));
    memcpy(r.id, id, strlen(id));
    named_record_encode(&r, key_bytes(key), p->value);
    rule_put(p->ctx, key_bytes(key), buf_bytes(p->value));
}

/* ---- rows that were consumed */

/* The actor has sent itself another one of that name in the same batch. */
static bool is_superseded(const struct put *p, const struct commit_taken *t)
{
    struct uuid self = actor_hash(p->ref->type, p->ref->id);

    for (size_t i = 0; i < p->m->sent_count && uuid_equal(t->at.sender, self); i++)
        if (bytes_equal(name_of(&p->m->sent[i]->record), name_of(t->record)))
            return true;
    return false;
}

static void put_dead(struct put *p, const struct commit_taken *t)
{
    struct key key = key_dead(p->ref->ks, p->ref->type, p->ref->id, &t->at);
    struct message_record dead = *t->record;

    dead.attempts = t->attempts;
    dead.error = t->error;
    dead.again_ms = 0;
    dead.tried = 0;
    message_record_encode(&dead, key_bytes(&key), p->value);
    rule_put(p->ctx, key_bytes(&key), buf_bytes(p->value));
}

static void put_taken(struct put *p, const struct commit_taken *t)
{
    const struct message_record *r = t->record;
    bool again = t->again, named = is_named(r) && !is_superseded(p, t);

    if (is_named(r) && !named) {
        SOMETIMES("message-superseded-by-its-own-turn");
        again = false;
    }
    if (!MUTANT("twocommits"))
        delete_row(p, p->ref->type, p->ref->id, &t->at);
    if (t->dead && !MUTANT("deadlost"))
        put_dead(p, t);
    if (again)
        put_row(p, p->ref->type, p->ref->id, &t->again_at, &t->again_record);
    if (!named)
        return;
    struct key key = key_named(p->ref->ks, r->sender_type, r->sender_id, name_of(r));
    if (again)
        put_named(p, &key, p->ref->type, p->ref->id, &t->again_at);
    else
        rule_delete(p->ctx, key_bytes(&key));
}

/* ---- what was sent */

/* The last message of the name goes. */
static int drop_named(struct put *p, const struct key *key, size_t read)
{
    struct named_record r;
    struct bytes value;
    int error;

    if (!rule_row(p->ctx->txn, read, &value))
        return 0;
    error = named_record_decode(key_bytes(key), value, p->ctx->scratch, &r);
    if (error)
        return error;
    SOMETIMES("named-message-replaced");
    delete_row(p, r.type, r.id, &r.at);
    return 0;
}

static enum verdict put_sent(struct put *p, const struct commit_sent *s, size_t *read)
{
    struct key key;

    if (is_named(&s->record)) {
        key = key_named(p->ref->ks, p->ref->type, p->ref->id, name_of(&s->record));
        int error = drop_named(p, &key, (*read)++);
        if (error)
            return rule_corrupt(p->ctx, error, key_bytes(&key));
        if (s->withdraw)
            rule_delete(p->ctx, key_bytes(&key));
        else
            put_named(p, &key, s->type, s->id, &s->at);
    }
    if (!s->withdraw)
        put_row(p, s->type, s->id, &s->at, &s->record);
    return RULE_COMMIT;
}

void messages_read(struct txn *t, const struct actor_ref *ref, const struct commit_messages *m)
{
    for (size_t i = 0; i < m->taken_count; i++) {
        struct key key = row_key(ref, m->shards, ref->type, ref->id, &m->taken[i]->at);
        (void)txn_read(t, key_bytes(&key), MUTANT("rowsnapshot"));
    }
    for (size_t i = 0; i < m->taken_count && MUTANT("replacedeleted"); i++) {
        const struct message_record *r = m->taken[i]->record;
        struct key key = key_head(ref->ks, ref->type, ref->id);
        if (is_named(r))
            key = key_named(ref->ks, r->sender_type, r->sender_id, name_of(r));
        (void)txn_read(t, key_bytes(&key), false);
    }
    for (size_t i = 0; i < m->sent_count; i++) {
        const struct message_record *r = &m->sent[i]->record;
        if (!is_named(r))
            continue;
        struct key key = key_named(ref->ks, ref->type, ref->id, name_of(r));
        (void)txn_read(t, key_bytes(&key), false);
    }
}

/* The planted mistake: what has taken the place of a message that was consumed goes instead of it. */
static void delete_replacement(struct put *p, const struct commit_taken *t, size_t read)
{
    struct key key =
        key_named(p->ref->ks, t->record->sender_type, t->record->sender_id, name_of(t->record));

    (void)drop_named(p, &key, read);
}

enum verdict messages_put(struct rule_ctx *ctx, const struct actor_ref *ref,
                          struct commit_messages *m, size_t first, struct buf *value)
{
    struct put p = {.ctx = ctx, .ref = ref, .m = m, .value = value};
    size_t read = first + m->taken_count * (MUTANT("replacedeleted") ? 2 : 1);
    struct bytes row;

    for (size_t i = 0; i < m->taken_count && !MUTANT("rowunread"); i++) {
        if (rule_row(ctx->txn, first + i, &row))
            continue;
        if (MUTANT("replacedeleted") && is_named(m->taken[i]->record)) {
            delete_replacement(&p, m->taken[i], first + m->taken_count + i);
            continue;
        }
        SOMETIMES("message-void");
        m->voided = true;
        return rule_refuse(ctx, "a message was replaced or withdrawn when its turn had run");
    }
    for (size_t i = 0; i < m->taken_count; i++)
        put_taken(&p, m->taken[i]);
    for (size_t i = 0; i < m->sent_count; i++) {
        enum verdict v = put_sent(&p, m->sent[i], &read);
        if (v != RULE_COMMIT)
            return v;
    }
    return RULE_COMMIT;
}

_Static_assert(2 * SHARDS_A_LOOK <= STORE_READS_MAX, "a look is one transaction");
_Static_assert(SHARDS_A_LOOK *SHARD_INBOX_PAGE *STORE_VALUE_MAX <= STORE_READ_BYTES_MAX,
               "whatever the messages are");
_Static_assert(WAITING_PAGE *STORE_VALUE_MAX <= STORE_READ_BYTES_MAX, "likewise");

/* ---- looking */

static enum verdict rule_look(struct rule_ctx *ctx, void *arg)
{
    (void)ctx;
    (void)arg;
    return RULE_DONE;
}

void read_inbox_txn(struct txn *t, const struct env *env, const struct actor_ref *ref,
                    const struct key_range *ordered, uint64_t until_ms, txn_fn *done, void *arg)
{
    struct key_range due = keys_later_until(ref->ks, ref->type, ref->id, until_ms);

    txn_init(t, env, "ReadInbox", rule_look, NULL, done, arg);
    CHECK(txn_read_range(t, key_bytes(&ordered->begin), key_bytes(&ordered->end), INBOX_PAGE,
                         true) == INBOX_READ_ORDERED);
    CHECK(txn_read_range(t, key_bytes(&due.begin), key_bytes(&due.end), INBOX_PAGE, true) ==
          INBOX_READ_DUE);
}

void count_waiting_txn(struct txn *t, const struct env *env, const struct key_range *range,
                       txn_fn *done, void *arg)
{
    txn_init(t, env, "CountWaiting", rule_look, NULL, done, arg);
    CHECK(txn_read_range(t, key_bytes(&range->begin), key_bytes(&range->end), WAITING_PAGE, true) ==
          0);
}

void look_shards_txn(struct txn *t, const struct env *env, const struct shard_look *looks,
                     size_t count, txn_fn *done, void *arg)
{
    CHECK(count <= SHARDS_A_LOOK);
    txn_init(t, env, "LookAtShards", rule_look, NULL, done, arg);
    for (size_t i = 0; i < count; i++) {
        const struct shard_look *l = &looks[i];
        (void)txn_read_range(t, key_bytes(&l->due.begin), key_bytes(&l->due.end), SHARD_DUE_PAGE,
                             true);
        (void)txn_read_range(t, key_bytes(&l->inbox.begin), key_bytes(&l->inbox.end),
                             SHARD_INBOX_PAGE, true);
    }
}

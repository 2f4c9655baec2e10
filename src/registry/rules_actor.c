/* The rules of an activation: Activate and CommitWrite of the specification. */
#include "registry/rules_actor.h"

#include "base/mark.h"
#include "base/mutant.h"
#include "kelpie/error.h"

#define READ_PLACEMENT 0

static enum verdict corrupt_placement(struct rule_ctx *ctx, int error, const struct actor_ref *ref)
{
    struct key key = key_actor(ref->ks, ref->type, ref->id);

    return rule_corrupt(ctx, error, key_bytes(&key));
}

static enum verdict refuse_placement(struct rule_ctx *ctx, const struct placement_record *p)
{
    if (!p->placed)
        return rule_refuse(ctx, "the actor is placed nowhere (generation %llu)",
                           (unsigned long long)p->generation);
    return rule_refuse(ctx, "the actor is placed on node %s in generation %llu", p->node_id,
                       (unsigned long long)p->generation);
}

#define LOAD_READ_REQUEST 2

static enum verdict corrupt_actor(struct rule_ctx *ctx, const struct actor_ref *ref, int error)
{
    struct key key = key_head(ref->ks, ref->type, ref->id);

    return rule_corrupt(ctx, error, key_bytes(&key));
}

/* The head row, which is the first of the rows if it is there. */
static int load_head(struct rule_ctx *ctx, struct load_args *a)
{
    struct store_result rows = rule_rows(ctx->txn, LOAD_READ_STATE);
    struct key key = key_head(a->ref.ks, a->ref.type, a->ref.id);

    a->has_head = rows.count > 0 && bytes_equal(rows.rows[0].key, key_bytes(&key));
    return a->has_head
               ? head_record_decode(rows.rows[0].key, rows.rows[0].value, ctx->scratch, &a->head)
               : 0;
}

/* Without a head row there is nothing, or what a program of format 1 left: it has written a slot
 * with every change. And a placement is never behind the head row: it was lost, and begun anew. */
static enum verdict check_head(struct rule_ctx *ctx, struct load_args *a)
{
    struct store_result state = rule_rows(ctx->txn, LOAD_READ_STATE);
    struct store_result first = rule_rows(ctx->txn, LOAD_READ_REQUEST);
    struct key_parts parts = {.family = KEY_UNKNOWN};
    bool slots = false;

    if (a->has_head && a->head.generation > a->placement.generation && !MUTANT("lostplacement"))
        return corrupt_actor(ctx, &a->ref, KELPIE_E_STORE_CORRUPT);
    if (first.count > 0) {
        if (key_parse(a->ref.ks, first.rows[0].key, &parts))
            return rule_corrupt(ctx, KELPIE_E_STORE_CORRUPT, first.rows[0].key);
        slots = parts.family == KEY_REQUEST_SLOT;
    }
    if (!a->has_head && !slots && (state.count > 0 || first.count > 0))
        return corrupt_actor(ctx, &a->ref, KELPIE_E_STORE_CORRUPT);
    a->has_slots = a->has_head ? a->head.slots_until_ms > 0 : slots;
    if (a->has_slots && rule_read_count(ctx) == LOAD_READ_SLOTS) {
        struct key_range range = keys_request_slots(a->ref.ks, a->ref.type, a->ref.id);
        (void)rule_more_range(ctx, key_bytes(&range.begin), key_bytes(&range.end), REQUESTS_KEPT,
                              false);
        return RULE_MORE;
    }
    return RULE_DONE;
}

/* Where there is no trace of the actor: whether the store is the one that this node is a member in. An
 * empty one in its place has no trace of anybody, and nothing follows from that. */
static enum verdict look_for_self(struct rule_ctx *ctx, struct load_args *a)
{
    struct node_record own;
    bool found;
    int error;

    if (rule_read_count(ctx) == LOAD_READ_SELF) {
        struct key key = key_node(a->ref.ks, a->self.node_id);
        (void)rule_more(ctx, key_bytes(&key), false);
        return RULE_MORE;
    }
    error = node_row_read(ctx, LOAD_READ_SELF, a->ref.ks, a->self.node_id, &own, &found);
    a->never_was = !error && found && own.incarnation == a->self.incarnation &&
                   uuid_equal(own.boot, a->self.boot) &&
                   rule_rows(ctx->txn, LOAD_READ_STATE).count == 0;
    if (!error && !a->never_was)
        SOMETIMES("no-trace-of-an-actor-and-none-of-its-node");
    return refuse_placement(ctx, &a->placement);
}

/* Spec: Activate. */
enum verdict rule_load_actor(struct rule_ctx *ctx, void *arg)
{
    struct load_args *a = arg;
    int error = placement_read(ctx, READ_PLACEMENT, &a->ref, &a->placement);

    if (error)
        return corrupt_placement(ctx, error, &a->ref);
    if (!placement_is_on(&a->placement, &a->self) && !MUTANT("loadany")) {
        SOMETIMES("load-not-placed-here");
        a->outcome = PLACE_NOT_MINE;
        a->never_was = false;
        return a->placement.generation == 0 ? look_for_self(ctx, a)
                                            : refuse_placement(ctx, &a->placement);
    }
    error = load_head(ctx, a);
    if (error)
        return corrupt_actor(ctx, &a->ref, error);
    a->outcome = PLACE_FOUND;
    a->has_mail = rule_rows(ctx->txn, LOAD_READ_INBOX).count > 0;
    return check_head(ctx, a);
}

void load_txn(struct txn *t, const struct env *env, struct load_args *args, txn_fn *done, void *arg)
{
    struct key placement = key_actor(args->ref.ks, args->ref.type, args->ref.id);
    struct key_range state = keys_head_and_state(args->ref.ks, args->ref.type, args->ref.id);
    struct key_range requests = keys_remembered(args->ref.ks, args->ref.type, args->ref.id);
    uint32_t shard =
        actor_shard(args->ref.type, args->ref.id, args->shards ? args->shards : SHARDS_DEFAULT);
    struct key_range inbox = keys_inbox(args->ref.ks, shard, args->ref.type, args->ref.id);
    struct key_range poison = keys_poison(args->ref.ks, args->ref.type, args->ref.id);

    args->outcome = PLACE_UNDECIDED;
    txn_init(t, env, "Activate", rule_load_actor, args, done, arg);
    CHECK(txn_read(t, key_bytes(&placement), false) == READ_PLACEMENT);
    CHECK(txn_read_range(t, key_bytes(&state.begin), key_bytes(&state.end), LOAD_ROWS_MAX, false) ==
          LOAD_READ_STATE);
    CHECK(txn_read_range(t, key_bytes(&requests.begin), key_bytes(&requests.end), 1, false) ==
          LOAD_READ_REQUEST);
    CHECK(txn_read_range(t, key_bytes(&inbox.begin), key_bytes(&inbox.end), 1, true) ==
          LOAD_READ_INBOX);
    CHECK(txn_read_range(t, key_bytes(&poison.begin), key_bytes(&poison.end), POISON_ROWS_MAX + 1,
                         true) == LOAD_READ_POISON);
}

#define COMMIT_READ_HEAD 1
#define COMMIT_READ_MESSAGES 2

static void put_state(struct rule_ctx *ctx, const struct commit_args *a, struct buf *value)
{
    if (a->whole) {
        struct key_range all = keys_state_rows(a->ref.ks, a->ref.type, a->ref.id);
        rule_delete_range(ctx, key_bytes(&all.begin), key_bytes(&all.end));
    }
    for (size_t i = 0; i < a->write_count; i++) {
        const struct state_write *w = &a->writes[i];
        struct key key = key_state(a->ref.ks, a->ref.type, a->ref.id, w->key);
        struct state_record row = {.value = w->value};

        if (!w->present) {
            if (!MUTANT("undeleted"))
                rule_delete(ctx, key_bytes(&key));
            continue;
        }
        state_record_encode(&row, key_bytes(&key), value);
        rule_put(ctx, key_bytes(&key), buf_bytes(value));
    }
}

static void put_requests(struct rule_ctx *ctx, const struct commit_args *a, struct buf *value)
{
    const struct head_record *h = &a->head;

    if (a->erased && MUTANT("eraseids")) {
        struct key_range ids = keys_remembered(a->ref.ks, a->ref.type, a->ref.id);
        rule_delete_range(ctx, key_bytes(&ids.begin), key_bytes(&ids.end));
    }

    CHECK(a->request_count == 0 || h->bucket_count > 0);
    for (size_t i = 0; i < a->forgotten_count; i++) {
        struct key_range bucket =
            keys_remembered_in(a->ref.ks, a->ref.type, a->ref.id, a->forgotten[i]);
        rule_delete_range(ctx, key_bytes(&bucket.begin), key_bytes(&bucket.end));
    }
    if (a->forget_slots) {
        struct key_range slots = keys_request_slots(a->ref.ks, a->ref.type, a->ref.id);
        rule_delete_range(ctx, key_bytes(&slots.begin), key_bytes(&slots.end));
    }
    for (size_t i = 0; i < a->request_count; i++) {
        struct key key = key_remembered(a->ref.ks, a->ref.type, a->ref.id,
                                        h->buckets[h->bucket_count - 1].begin, a->requests[i].hash);
        remembered_record_encode(&a->requests[i].record, key_bytes(&key), value);
        rule_put(ctx, key_bytes(&key), buf_bytes(value));
    }
}

/* Last: what the batch itself has put for the actor is void too. A pointer to what is due, and a name, whose
 * message is gone say nothing. */
static void void_inbox(struct rule_ctx *ctx, const struct commit_args *a)
{
    uint32_t shard = a->erased ? actor_shard(a->ref.type, a->ref.id, a->messages.shards) : 0;
    struct key_range inbox = keys_inbox(a->ref.ks, shard, a->ref.type, a->ref.id);
    struct key_range later = keys_later(a->ref.ks, a->ref.type, a->ref.id);

    if (!a->erased)
        return;
    rule_delete_range(ctx, key_bytes(&inbox.begin), key_bytes(&inbox.end));
    rule_delete_range(ctx, key_bytes(&later.begin), key_bytes(&later.end));
}

static enum verdict put_all(struct rule_ctx *ctx, struct commit_args *a)
{
    struct key key = key_head(a->ref.ks, a->ref.type, a->ref.id);
    enum verdict verdict;
    struct buf value;

    buf_init(&value, ctx->txn->env->mem);
    verdict = messages_put(ctx, &a->ref, &a->messages, COMMIT_READ_MESSAGES, &value);
    put_state(ctx, a, &value);
    put_requests(ctx, a, &value);
    head_record_encode(&a->head, key_bytes(&key), &value);
    rule_put(ctx, key_bytes(&key), buf_bytes(&value));
    void_inbox(ctx, a);
    buf_deinit(&value);
    return verdict;
}

/*
 * Spec: CommitWrite. The placement is the fence; the head row is what attempts of one commit exclude
 * each other by, and what tells our own earlier commit: its number and generation. A number that is
 * not the one before ours was written by an activation that knew more than this one, which the fence
 * would refuse too; it is refused here as a second line.
 */
enum verdict rule_commit_actor(struct rule_ctx *ctx, void *arg)
{
    struct commit_args *a = arg;
    struct key head_key = key_head(a->ref.ks, a->ref.type, a->ref.id);
    struct head_record head = {0};
    struct placement_record p;
    struct bytes value;
    int error = placement_read(ctx, READ_PLACEMENT, &a->ref, &p);

    if (error)
        return corrupt_placement(ctx, error, &a->ref);
    if (rule_row(ctx->txn, COMMIT_READ_HEAD, &value)) {
        error = head_record_decode(key_bytes(&head_key), value, ctx->scratch, &head);
        if (error)
            return corrupt_actor(ctx, &a->ref, error);
    }
    if (head.number == a->head.number && head.generation == a->head.generation &&
        !MUTANT("nonumber")) {
        SOMETIMES("commit-recognised-as-done");
        a->outcome = PLACE_MADE;
        return RULE_DONE;
    }
    if (!MUTANT("nofence")) {
        a->outcome = PLACE_NOT_MINE;
        if (!placement_is_on(&p, &a->self) ||
            (p.generation != a->head.generation && !MUTANT("fencenode"))) {
            SOMETIMES("commit-fenced");
            return refuse_placement(ctx, &p);
        }
        if (head.number + 1 != a->head.number && !MUTANT("fencenode") && !MUTANT("nonumber"))
            return rule_refuse(ctx, "the actor's commit %llu was made by another activation",
                               (unsigned long long)a->head.number);
    }
    a->outcome = PLACE_MADE;
    return put_all(ctx, a);
}

void commit_txn(struct txn *t, const struct env *env, struct commit_args *args, txn_fn *done,
                void *arg)
{
    struct key placement = key_actor(args->ref.ks, args->ref.type, args->ref.id);
    struct key head = key_head(args->ref.ks, args->ref.type, args->ref.id);

    CHECK(args->head.generation > 0 && args->head.number > 0);
    args->outcome = PLACE_UNDECIDED;
    txn_init(t, env, "CommitWrite", rule_commit_actor, args, done, arg);
    /* The planted mistake: nothing that was read fences the commit, neither the placement nor the
     * head row, which an activation elsewhere writes too. */
    CHECK(txn_read(t, key_bytes(&placement), MUTANT("nofence") || MUTANT("fencesnap")) ==
          READ_PLACEMENT);
    CHECK(txn_read(t, key_bytes(&head), MUTANT("nofence")) == COMMIT_READ_HEAD);
    args->messages.voided = false;
    messages_read(t, &args->ref, &args->messages);
}

enum verdict rule_find_request(struct rule_ctx *ctx, void *arg)
{
    struct find_args *a = arg;

    a->found = false;
    for (size_t i = a->bucket_count; i-- > 0 && !a->found;) {
        struct key key = key_remembered(a->ref.ks, a->ref.type, a->ref.id, a->buckets[i], a->hash);
        struct bytes value;
        int error;

        if (!rule_row(ctx->txn, i, &value))
            continue;
        error = remembered_record_decode(key_bytes(&key), value, ctx->scratch, &a->record);
        if (error)
            return rule_corrupt(ctx, error, key_bytes(&key));
        a->found = true;
        a->bucket = a->buckets[i];
    }
    return RULE_DONE;
}

void find_txn(struct txn *t, const struct env *env, struct find_args *args, txn_fn *done, void *arg)
{
    CHECK(args->bucket_count > 0);
    txn_init(t, env, "FindRequest", rule_find_request, args, done, arg);
    for (size_t i = 0; i < args->bucket_count; i++) {
        struct key key = key_remembered(args->ref.ks, args->ref.type, args->ref.id,
                                        args->buckets[i], args->hash);
        CHECK(txn_read(t, key_bytes(&key), false) == i);
    }
}

static enum verdict rule_list(struct rule_ctx *ctx, void *arg)
{
    (void)ctx;
    (void)arg;
    return RULE_DONE;
}

void list_txn(struct txn *t, const struct env *env, const struct keyspace *ks,
              const struct host *host, const char *type, uint32_t limit, txn_fn *done, void *arg)
{
    struct key_range range =
        type ? keys_by_incarnation_and_type(ks, host->node_id, host->incarnation, type)
             : keys_by_incarnation(ks, host->node_id, host->incarnation);

    txn_init(t, env, "ListPlacements", rule_list, NULL, done, arg);
    CHECK(txn_read_range(t, key_bytes(&range.begin), key_bytes(&range.end), limit, false) == 0);
}

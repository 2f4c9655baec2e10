/*
 * The rules of placements. docs/protocol-actors.md lays them beside the specification. A placement
 * row is deleted by SweepActor alone (rules_passive.c), and each rule reads it, not as a snapshot, and writes it: so attempts of
 * one operation, and operations on one actor, exclude each other.
 */
#include <stdio.h>

#include "base/mark.h"
#include "base/mutant.h"
#include "kelpie/error.h"
#include "registry/placement.h"

bool host_equal(const struct host *a, const struct host *b)
{
    return strcmp(a->node_id, b->node_id) == 0 && a->incarnation == b->incarnation &&
           uuid_equal(a->boot, b->boot);
}

bool placement_is_on(const struct placement_record *p, const struct host *host)
{
    if (MUTANT("onname"))
        return p->placed && strcmp(p->node_id, host->node_id) == 0;
    return p->placed && strcmp(p->node_id, host->node_id) == 0 &&
           p->incarnation == host->incarnation && uuid_equal(p->boot, host->boot);
}

struct host placement_host(const struct placement_record *p)
{
    struct host h = {.incarnation = p->incarnation, .boot = p->boot};

    memcpy(h.node_id, p->node_id, sizeof h.node_id);
    return h;
}

bool node_hosts(const struct node_record *node, const struct placement_record *p)
{
    return p->placed && (node->state == NODE_ACTIVE || node->state == NODE_LEAVING) &&
           ((node->incarnation == p->incarnation && uuid_equal(node->boot, p->boot)) ||
            MUTANT("hostname"));
}

bool node_has_type(const struct node_record *node, const struct types_record *types,
                   const char *type)
{
    for (uint32_t i = 0; i < node->class_count && i < CLASS_COUNT_MAX; i++) {
        if (strcmp(node->classes[i], type) == 0)
            return true;
    }
    if ((types->incarnation != node->incarnation || !uuid_equal(types->boot, node->boot)) &&
        !MUTANT("oldtypes"))
        return false;
    for (uint32_t i = 0; i < types->count && i < CLASS_COUNT_MAX; i++) {
        if (strcmp(types->types[i].type, type) == 0)
            return true;
    }
    return MUTANT("anytype");
}

int placement_read(struct rule_ctx *ctx, size_t index, const struct actor_ref *ref,
                   struct placement_record *out)
{
    struct key key = key_actor(ref->ks, ref->type, ref->id);
    struct bytes value;

    memset(out, 0, sizeof *out);
    if (!rule_row(ctx->txn, index, &value))
        return 0;
    return placement_record_decode(key_bytes(&key), value, ctx->scratch, out);
}

void placement_write(struct rule_ctx *ctx, const struct actor_ref *ref,
                     const struct placement_record *p)
{
    struct key key = key_actor(ref->ks, ref->type, ref->id);
    struct buf value;

    buf_init(&value, ctx->txn->env->mem);
    placement_record_encode(p, key_bytes(&key), &value);
    rule_put(ctx, key_bytes(&key), buf_bytes(&value));
    buf_deinit(&value);
}

int node_row_read(struct rule_ctx *ctx, size_t index, const struct keyspace *ks,
                  const char *node_id, struct node_record *out, bool *found)
{
    struct key key = key_node(ks, node_id);
    struct bytes value;

    memset(out, 0, sizeof *out);
    *found = rule_row(ctx->txn, index, &value);
    if (!*found)
        return 0;
    return node_record_decode(key_bytes(&key), value, ctx->scratch, out);
}

int types_row_read(struct rule_ctx *ctx, size_t index, const struct keyspace *ks,
                   const char *node_id, struct types_record *out)
{
    struct key key = key_types(ks, node_id);
    struct bytes value;

    memset(out, 0, sizeof *out);
    if (!rule_row(ctx->txn, index, &value))
        return 0;
    return types_record_decode(key_bytes(&key), value, ctx->scratch, out);
}

static enum verdict placement_corrupt(struct rule_ctx *ctx, int error, const struct actor_ref *ref)
{
    struct key key = key_actor(ref->ks, ref->type, ref->id);

    return rule_corrupt(ctx, error, key_bytes(&key));
}

static enum verdict node_corrupt(struct rule_ctx *ctx, int error, const struct keyspace *ks,
                                 const char *node_id)
{
    struct key key = key_node(ks, node_id);

    return rule_corrupt(ctx, error, key_bytes(&key));
}

/* Moves the by-node row along: gone from where `before` was, there where `after` is. */
static void by_node_move(struct rule_ctx *ctx, const struct actor_ref *ref,
                         const struct placement_record *before,
                         const struct placement_record *after)
{
    if (before->placed) {
        struct key old =
            key_by_node(ref->ks, before->node_id, before->incarnation, ref->type, ref->id);

        if (!MUTANT("bynodeold"))
            rule_delete(ctx, key_bytes(&old));
    }
    if (after->placed && !MUTANT("bynode")) {
        uint64_t incarnation = MUTANT("bynodeinc") ? 0 : after->incarnation;
        struct key key = key_by_node(ref->ks, after->node_id, incarnation, ref->type, ref->id);
        struct by_node_record row = {.generation = after->generation};
        struct buf value;

        buf_init(&value, ctx->txn->env->mem);
        by_node_record_encode(&row, key_bytes(&key), &value);
        rule_put(ctx, key_bytes(&key), buf_bytes(&value));
        buf_deinit(&value);
    }
}

static void replace(struct rule_ctx *ctx, const struct actor_ref *ref,
                    const struct placement_record *before, const struct placement_record *after)
{
    CHECK(after->generation >= before->generation);
    by_node_move(ctx, ref, before, after);
    placement_write(ctx, ref, after);
}

static void set_result(struct placement *result, const struct placement_record *p,
                       const struct node_record *node)
{
    result->record = *p;
    memset(result->addr, 0, sizeof result->addr);
    if (node)
        memcpy(result->addr, node->addr, sizeof result->addr);
}

/* The placement on the node of that row, one generation on. */
static struct placement_record placed_on(const char *node_id, const struct node_record *node,
                                         uint64_t generation)
{
    struct placement_record p = {
        .placed = true,
        .incarnation = node->incarnation,
        .boot = node->boot,
        .generation = generation,
    };

    CHECK(node->incarnation > 0 && !uuid_is_zero(node->boot));
    (void)snprintf(p.node_id, sizeof p.node_id, "%s", node_id);
    return p;
}

/* Why the target of that row cannot host, in `outcome`; PLACE_UNDECIDED when it can. A types row that fails its
 * checksum says nothing, until its node writes it anew with its next change: others are chosen. */
static enum place_outcome target_fault(struct rule_ctx *ctx, size_t types_index,
                                       const struct actor_ref *ref, const char *target,
                                       const struct node_record *node, bool found)
{
    struct types_record types;
    int error;

    if (!found || (node->state != NODE_ACTIVE && !MUTANT("anytarget")))
        return PLACE_TARGET_GONE;
    error = types_row_read(ctx, types_index, ref->ks, target, &types);
    if (error) {
        struct key key = key_types(ref->ks, target);
        memset(&types, 0, sizeof types);
        rule_pass_corrupt(ctx, error, key_bytes(&key));
    }
    return node_has_type(node, &types, ref->type) ? PLACE_UNDECIDED : PLACE_NO_CLASS;
}

static enum verdict refuse_target(struct rule_ctx *ctx, enum place_outcome outcome,
                                  const char *target, const char *type)
{
    if (outcome == PLACE_NO_CLASS)
        return rule_refuse(ctx, "node %s does not host actors of type %s", target, type);
    return rule_refuse(ctx, "node %s is not Active", target);
}

#define PLACE_READ_PLACEMENT 0
#define PLACE_READ_TARGET 1
#define PLACE_READ_FLOOR 2
#define PLACE_READ_TYPES 3

/* The generation that the next placement goes beyond: without a row, that of any row that was swept. The
 * floor is read as a snapshot: whoever sweeps this actor's row, or places it, conflicts by that row. */
static int generation_before(struct rule_ctx *ctx, const struct actor_ref *ref,
                             const struct placement_record *p, uint64_t *out)
{
    struct generation_floor_record floor = {.generation = 0};
    struct key key = key_generation_floor(ref->ks);
    struct bytes value;
    int error = 0;

    if (p->generation == 0 && rule_row(ctx->txn, PLACE_READ_FLOOR, &value))
        error = generation_floor_record_decode(key_bytes(&key), value, ctx->scratch, &floor);
    *out = p->generation > 0 || MUTANT("nofloor") ? p->generation : floor.generation;
    return error;
}

/*
 * Spec: PlaceActor. A placement whose node hosts it in that incarnation and boot id stands (and may
 * be our own earlier commit). Otherwise the target, Active, gets the next generation.
 */
enum verdict rule_place_actor(struct rule_ctx *ctx, void *arg)
{
    struct place_args *a = arg;
    size_t own_reads = a->target[0] ? PLACE_READ_TYPES + 1 : 1;
    struct placement_record p, made;
    uint64_t before;
    struct node_record node;
    bool found;
    int error = placement_read(ctx, PLACE_READ_PLACEMENT, &a->ref, &p);

    if (error)
        return placement_corrupt(ctx, error, &a->ref);
    if (rule_read_count(ctx) == own_reads)
        a->asked_node[0] = '\0';
    if (p.placed) {
        size_t index = PLACE_READ_TARGET;
        if (strcmp(p.node_id, a->target) != 0) {
            if (strcmp(p.node_id, a->asked_node) != 0) {
                struct key key = key_node(a->ref.ks, p.node_id);
                memcpy(a->asked_node, p.node_id, sizeof a->asked_node);
                a->asked_index = rule_more(ctx, key_bytes(&key), false);
                return RULE_MORE;
            }
            index = a->asked_index;
        }
        error = node_row_read(ctx, index, a->ref.ks, p.node_id, &node, &found);
        if (error)
            return node_corrupt(ctx, error, a->ref.ks, p.node_id);
        if (found && node_hosts(&node, &p) && !(MUTANT("steal") && a->target[0])) {
            SOMETIMES("place-found-placed");
            a->outcome = PLACE_FOUND;
            set_result(&a->result, &p, &node);
            return RULE_DONE;
        }
    }
    if (!a->target[0]) {
        SOMETIMES("place-looked-up-only");
        a->outcome = PLACE_NONE;
        set_result(&a->result, &p, NULL);
        return RULE_DONE;
    }
    error = node_row_read(ctx, PLACE_READ_TARGET, a->ref.ks, a->target, &node, &found);
    if (error)
        return node_corrupt(ctx, error, a->ref.ks, a->target);
    a->outcome = target_fault(ctx, PLACE_READ_TYPES, &a->ref, a->target, &node, found);
    if (a->outcome != PLACE_UNDECIDED) {
        SOMETIMES("place-target-not-active");
        return refuse_target(ctx, a->outcome, a->target, a->ref.type);
    }
    if (p.placed)
        SOMETIMES("place-over-a-void-placement");
    error = generation_before(ctx, &a->ref, &p, &before);
    if (error) {
        struct key key = key_generation_floor(a->ref.ks);
        return rule_corrupt(ctx, error, key_bytes(&key));
    }
    if (before > p.generation)
        SOMETIMES("placed-above-the-floor");
    made = placed_on(a->target, &node, before + (MUTANT("generation") && p.generation ? 0 : 1));
    replace(ctx, &a->ref, &p, &made);
    a->outcome = PLACE_MADE;
    set_result(&a->result, &made, &node);
    return RULE_COMMIT;
}

void place_txn(struct txn *t, const struct env *env, struct place_args *args, txn_fn *done,
               void *arg)
{
    struct key placement = key_actor(args->ref.ks, args->ref.type, args->ref.id);

    args->outcome = PLACE_UNDECIDED;
    args->asked_node[0] = '\0';
    txn_init(t, env, "PlaceActor", rule_place_actor, args, done, arg);
    CHECK(txn_read(t, key_bytes(&placement), false) == PLACE_READ_PLACEMENT);
    if (args->target[0]) {
        struct key target = key_node(args->ref.ks, args->target);
        struct key floor = key_generation_floor(args->ref.ks);
        CHECK(txn_read(t, key_bytes(&target), false) == PLACE_READ_TARGET);
        struct key types = key_types(args->ref.ks, args->target);
        CHECK(txn_read(t, key_bytes(&floor), true) == PLACE_READ_FLOOR);
        CHECK(txn_read(t, key_bytes(&types), MUTANT("typessnap")) == PLACE_READ_TYPES);
    }
}

static enum verdict refuse_not_mine(struct rule_ctx *ctx, struct own_args *a,
                                    const struct placement_record *p)
{
    a->outcome = PLACE_NOT_MINE;
    set_result(&a->result, p, NULL);
    if (!p->placed)
        return rule_refuse(ctx, "the actor is placed nowhere (generation %llu)",
                           (unsigned long long)p->generation);
    return rule_refuse(ctx, "the actor is placed on node %s in generation %llu", p->node_id,
                       (unsigned long long)p->generation);
}

static bool is_mine(const struct placement_record *p, const struct own_args *a)
{
    return placement_is_on(p, &a->self) && p->generation == a->generation;
}

/*
 * ReleaseActor (a node that passivated the actor, or is leaving with nobody to hand it to). Our own
 * earlier commit is the same generation, placed nowhere. The generation stays: nothing can have
 * activated in between, and the next PlaceActor grows it.
 */
enum verdict rule_release_actor(struct rule_ctx *ctx, void *arg)
{
    struct own_args *a = arg;
    struct placement_record p, released;
    int error = placement_read(ctx, 0, &a->ref, &p);

    if (error)
        return placement_corrupt(ctx, error, &a->ref);
    if (!p.placed && p.generation == a->generation) {
        SOMETIMES("release-recognised-as-done");
        a->outcome = PLACE_NONE;
        set_result(&a->result, &p, NULL);
        return RULE_DONE;
    }
    if (!is_mine(&p, a) && !MUTANT("releaseany")) {
        SOMETIMES("release-not-mine");
        return refuse_not_mine(ctx, a, &p);
    }
    released = (struct placement_record){.placed = false, .generation = p.generation};
    replace(ctx, &a->ref, &p, &released);
    if (MUTANT("deleterow")) {
        struct key key = key_actor(a->ref.ks, a->ref.type, a->ref.id);
        rule_delete(ctx, key_bytes(&key));
    }
    a->outcome = PLACE_NONE;
    set_result(&a->result, &released, NULL);
    return RULE_COMMIT;
}

#define MIGRATE_READ_PLACEMENT 0
#define MIGRATE_READ_TARGET 1
#define MIGRATE_READ_TYPES 2

/*
 * Spec: CommitMove. The source has stopped the actor before the transaction was started. Our own
 * earlier commit is the next generation on the target.
 */
enum verdict rule_migrate_actor(struct rule_ctx *ctx, void *arg)
{
    struct own_args *a = arg;
    struct placement_record p, moved;
    struct node_record node;
    bool found;
    int error = placement_read(ctx, MIGRATE_READ_PLACEMENT, &a->ref, &p);

    if (error)
        return placement_corrupt(ctx, error, &a->ref);
    error = node_row_read(ctx, MIGRATE_READ_TARGET, a->ref.ks, a->target, &node, &found);
    if (error)
        return node_corrupt(ctx, error, a->ref.ks, a->target);
    if (p.placed && p.generation == a->generation + 1 && strcmp(p.node_id, a->target) == 0) {
        SOMETIMES("migrate-recognised-as-done");
        a->outcome = PLACE_MADE;
        set_result(&a->result, &p, found && node_hosts(&node, &p) ? &node : NULL);
        return RULE_DONE;
    }
    if (!is_mine(&p, a)) {
        SOMETIMES("migrate-not-mine");
        return refuse_not_mine(ctx, a, &p);
    }
    a->outcome = target_fault(ctx, MIGRATE_READ_TYPES, &a->ref, a->target, &node, found);
    if (a->outcome != PLACE_UNDECIDED) {
        SOMETIMES("migrate-target-not-active");
        set_result(&a->result, &p, NULL);
        return refuse_target(ctx, a->outcome, a->target, a->ref.type);
    }
    moved = placed_on(a->target, &node, p.generation + (MUTANT("movesame") ? 0 : 1));
    replace(ctx, &a->ref, &p, &moved);
    a->outcome = PLACE_MADE;
    set_result(&a->result, &moved, &node);
    return RULE_COMMIT;
}

/*
 * Spec: AbortMove. Takes the actor back, under a new generation, from an operation that may still
 * land: a hand-over, a release, or a commit whose result is not known. All of them read the
 * placement that this writes. Our own earlier commit is the next generation, still here: nobody
 * else places an actor on this life of this node while it hosts it.
 */
enum verdict rule_abort_migration(struct rule_ctx *ctx, void *arg)
{
    struct own_args *a = arg;
    struct placement_record p, again;
    int error = placement_read(ctx, 0, &a->ref, &p);

    if (error)
        return placement_corrupt(ctx, error, &a->ref);
    if (placement_is_on(&p, &a->self) && p.generation == a->generation + 1) {
        SOMETIMES("abort-recognised-as-done");
        a->outcome = PLACE_MADE;
        set_result(&a->result, &p, NULL);
        return RULE_DONE;
    }
    if (!is_mine(&p, a)) {
        SOMETIMES("abort-not-mine");
        return refuse_not_mine(ctx, a, &p);
    }
    SOMETIMES("abort-takes-back");
    again = p;
    if (!MUTANT("abortsame"))
        again.generation++;
    replace(ctx, &a->ref, &p, &again);
    a->outcome = PLACE_MADE;
    set_result(&a->result, &again, NULL);
    return RULE_COMMIT;
}

static void own_txn(struct txn *t, const struct env *env, const char *action, rule_fn *rule,
                    struct own_args *args, txn_fn *done, void *arg)
{
    struct key placement = key_actor(args->ref.ks, args->ref.type, args->ref.id);

    CHECK(args->generation > 0);
    args->outcome = PLACE_UNDECIDED;
    txn_init(t, env, action, rule, args, done, arg);
    CHECK(txn_read(t, key_bytes(&placement), false) == 0);
}

void release_txn(struct txn *t, const struct env *env, struct own_args *args, txn_fn *done,
                 void *arg)
{
    own_txn(t, env, "ReleaseActor", rule_release_actor, args, done, arg);
}

void migrate_txn(struct txn *t, const struct env *env, struct own_args *args, txn_fn *done,
                 void *arg)
{
    struct key target = key_node(args->ref.ks, args->target);
    struct key types = key_types(args->ref.ks, args->target);

    CHECK(args->target[0]);
    own_txn(t, env, "MigrateActor", rule_migrate_actor, args, done, arg);
    CHECK(txn_read(t, key_bytes(&target), false) == MIGRATE_READ_TARGET);
    CHECK(txn_read(t, key_bytes(&types), MUTANT("typessnap")) == MIGRATE_READ_TYPES);
}

void abort_txn(struct txn *t, const struct env *env, struct own_args *args, txn_fn *done, void *arg)
{
    own_txn(t, env, "AbortMigration", rule_abort_migration, args, done, arg);
}

#include "registry/rules_types.h"
#include "base/mark.h"
#include "base/mutant.h"
#include "kelpie/error.h"

#define READ_NODE 0
#define READ_TYPES 1

static void write_types(struct rule_ctx *ctx, const struct host_types_args *a)
{
    struct key key = key_types(a->ks, a->self.node_id);
    struct types_record r = {.incarnation = a->self.incarnation,
                             .boot = a->self.boot,
                             .number = a->number,
                             .count = a->count};
    struct buf value;

    memcpy(r.types, a->types, sizeof r.types);
    buf_init(&value, ctx->txn->env->mem);
    types_record_encode(&r, key_bytes(&key), &value);
    rule_put(ctx, key_bytes(&key), buf_bytes(&value));
    buf_deinit(&value);
}

/*
 * Spec: HostTypes. The node's row is read with conflict: a life that was declared failed, or has begun to leave,
 * changes nothing any more, also with an attempt that lands late. A row that fails its checksum is written anew.
 */
enum verdict rule_host_types(struct rule_ctx *ctx, void *arg)
{
    struct host_types_args *a = arg;
    struct node_record node;
    struct types_record now;
    bool found, same_life;
    int error = node_row_read(ctx, READ_NODE, a->ks, a->self.node_id, &node, &found);

    if (error) {
        struct key key = key_node(a->ks, a->self.node_id);
        return rule_corrupt(ctx, error, key_bytes(&key));
    }
    if (!found || node.state != NODE_ACTIVE || node.incarnation != a->self.incarnation ||
        !uuid_equal(node.boot, a->self.boot)) {
        SOMETIMES("types-of-a-life-that-is-over");
        return rule_refuse(ctx, "this life of node %s is not Active", a->self.node_id);
    }
    error = types_row_read(ctx, READ_TYPES, a->ks, a->self.node_id, &now);
    if (error == KELPIE_E_STORE_NEWER) {
        struct key key = key_types(a->ks, a->self.node_id);
        return rule_corrupt(ctx, error, key_bytes(&key));
    }
    same_life =
        !error && now.incarnation == a->self.incarnation && uuid_equal(now.boot, a->self.boot);
    if (same_life && now.number == a->number) {
        SOMETIMES("types-recognised-as-done");
        return RULE_DONE;
    }
    if (same_life && now.number > a->number)
        return rule_refuse(ctx, "a later change of the types of node %s has landed",
                           a->self.node_id);
    write_types(ctx, a);
    return RULE_COMMIT;
}

void host_types_txn(struct txn *t, const struct env *env, struct host_types_args *args,
                    txn_fn *done, void *arg)
{
    struct key node = key_node(args->ks, args->self.node_id);
    struct key types = key_types(args->ks, args->self.node_id);

    CHECK(args->number > 0 && args->self.incarnation > 0);
    txn_init(t, env, "HostTypes", rule_host_types, args, done, arg);
    CHECK(txn_read(t, key_bytes(&node), false) == READ_NODE);
    CHECK(txn_read(t, key_bytes(&types), false) == READ_TYPES);
}

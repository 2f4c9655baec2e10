/* RaiseFormat: from then on records may be written that programs before that version cannot read. */
#include "cluster/rules.h"
#include "kelpie/error.h"

enum { RAISE_FORMAT };

/* All nodes with conflict: NodeJoin, which reads the format, writes its own row. So whoever joins
 * meanwhile is seen here, or sees the new format. */
static enum verdict raise_rule(struct rule_ctx *ctx, void *arg)
{
    struct raise_op *op = arg;
    struct format_record format;
    struct node_record r;
    char id[NODE_ID_MAX + 1];
    size_t at = 0;
    int found = load_format(ctx, RAISE_FORMAT, &format), more;
    op->format = format.version;
    if (found < 0)
        return RULE_REFUSE;
    if (!found)
        return rule_refuse(ctx, "there is no cluster under the prefix '%s'", op->ks->prefix);
    if (format.version >= op->target)
        return RULE_DONE;
    while ((more = next_node(ctx, op->ks, RAISE_NODES, &at, id, &r)) > 0)
        if (state_is_living(r.state) && r.format_max < op->target)
            return rule_refuse(ctx,
                               "node %s reads records up to version %u, not %llu: replace its "
                               "program first",
                               id, r.format_max, (unsigned long long)op->target);
    if (more < 0)
        return RULE_REFUSE;
    struct key key = key_format(op->ks);
    format.version = op->target;
    if (format.shards == 0)
        format.shards = SHARDS_DEFAULT;
    store_format(ctx, &key, &format);
    return RULE_COMMIT;
}

void raise_prepare(struct raise_op *op, const struct env *env, txn_fn *done, void *arg)
{
    txn_init(&op->txn, env, "RaiseFormat", raise_rule, op, done, arg);
    read_key(&op->txn, key_format(op->ks));
    read_range(&op->txn, keys_nodes(op->ks), 0, false);
}

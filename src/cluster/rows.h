/* Typed rows for rules: load what was read, write what follows. Used by every floor with rules. */
#ifndef KELPIE_CLUSTER_ROWS_H
#define KELPIE_CLUSTER_ROWS_H

#include "env/txn.h"
#include "record/records.h"

/* load_NAME(ctx, i, record): point read i. 1: there, 0: absent (the record is zeroed), < 0: it
 * cannot be decoded, the transaction will end with that error: return RULE_REFUSE.
 * store_NAME(ctx, key, record): writes the row. */
#define ROW_FUNCTIONS(name)                                                                        \
    int load_##name(struct rule_ctx *ctx, size_t i, struct name##_record *r) MUST_USE;             \
    void store_##name(struct rule_ctx *ctx, const struct key *key, const struct name##_record *r);

ROW_FUNCTIONS(format)
ROW_FUNCTIONS(node)
ROW_FUNCTIONS(heartbeat)
ROW_FUNCTIONS(probe)
ROW_FUNCTIONS(view)
ROW_FUNCTIONS(primary)
ROW_FUNCTIONS(term)
ROW_FUNCTIONS(incarnation_floor)
ROW_FUNCTIONS(founded)
ROW_FUNCTIONS(view_change)
ROW_FUNCTIONS(placement)
ROW_FUNCTIONS(by_node)
ROW_FUNCTIONS(migration)
ROW_FUNCTIONS(types)
ROW_FUNCTIONS(generation_floor)
ROW_FUNCTIONS(head)

/* Goes through the node rows of range read `i`. Starts with *at = 0; 1: there is one, in id/r; 0:
 * the end; < 0 as above. */
int next_node(struct rule_ctx *ctx, const struct keyspace *ks, size_t i, size_t *at,
              char id[NODE_ID_MAX + 1], struct node_record *r) MUST_USE;
/* The heartbeat of `node_id` among range read `i` of all heartbeats: as load_heartbeat. */
int find_heartbeat(struct rule_ctx *ctx, const struct keyspace *ks, size_t i, const char *node_id,
                   struct heartbeat_record *r) MUST_USE;
/* A heartbeat row that fails its checksum is one that nobody has written as long as its bytes are the
 * same: its owner writes it anew when it next heartbeats. `r` gets what can be told of it (damaged,
 * no life, a counter that stands for the bytes), and 1 is returned; for another error, that. Both
 * functions above do so. */
int heartbeat_damaged(struct rule_ctx *ctx, int err, struct bytes value,
                      struct heartbeat_record *r) MUST_USE;
/* The node row of `node_id` among range read `i` of all nodes: as load_node. */
int find_node(struct rule_ctx *ctx, const struct keyspace *ks, size_t i, const char *node_id,
              struct node_record *r) MUST_USE;

/* txn_read and txn_read_range with keys by value; all with conflict but where `snapshot`. */
void read_key(struct txn *t, struct key key);
void read_range(struct txn *t, struct key_range range, uint32_t limit, bool snapshot);

#endif

/*
 * The one message of rpc.h on the wire, inside a frame. Big endian, in this order: flags u8
 * (1 = answer), kind u8, status u16 (an answer's error number, positive), remaining milliseconds
 * u32, call id u64, cluster id 16, target boot id 16, sender's boot id 16, sender's incarnation u64,
 * sender's node id (blob), payload (blob). What decides whether a message is for this node stands
 * first, at fixed places: rpc_message_head() reads that far and no further.
 */
#ifndef KELPIE_RPC_RPC_MESSAGE_H
#define KELPIE_RPC_RPC_MESSAGE_H

#include "rpc/rpc.h"

#define RPC_STATUS_MAX 999
/* What is left of a frame when identities are as long as they may be. */
#define RPC_PAYLOAD_MAX (NET_PAYLOAD_MAX - 512)

struct rpc_message {
    bool is_answer;
    uint8_t kind;
    int status; /* 0 or negative */
    uint32_t remaining_ms;
    uint64_t id;
    struct rpc_identity from; /* its cluster_id travels first */
    struct uuid target_boot;
    struct bytes payload; /* borrowed */
};

void rpc_message_encode(struct buf *out, const struct rpc_message *m);
/* Reads what has a fixed place: all but the node id and the payload. Returns 0 or
 * KELPIE_E_PROTOCOL, also when the call id or the sender's boot id is zero. */
int rpc_message_head(struct bytes bytes, struct rpc_message *m) MUST_USE;
/* Returns 0 or KELPIE_E_PROTOCOL; `m->payload` is borrowed from `bytes`. */
int rpc_message_decode(struct bytes bytes, struct rpc_message *m) MUST_USE;

/* A time-out as it travels: whole milliseconds, rounded down, at least 1. */
uint32_t rpc_remaining_ms(uint64_t timeout_ns);
/* The map key of a call id. */
void rpc_id_key(uint64_t id, uint8_t key[8]);

#endif

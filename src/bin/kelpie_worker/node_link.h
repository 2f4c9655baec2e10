/* A worker's connection with its node: HTTP/1.1 over the node's Unix socket, one request at a time, waiting. */
#ifndef KELPIE_BIN_NODE_LINK_H
#define KELPIE_BIN_NODE_LINK_H

#include "base/buf.h"
#include "base/uuid.h"

#define LINK_WHY_SIZE 512

struct node_link {
    int fd; /* -1: not connected */
    struct buf in;
    size_t body_at, body_len; /* of the last answer, in `in` */
};

void node_link_init(struct node_link *l);
void node_link_close(struct node_link *l);
/* Returns 0, or KELPIE_E_IO with a sentence. */
int node_link_open(struct node_link *l, const char *path, char *why, size_t why_size) MUST_USE;
/* Asks the node for what is next. Returns 0; on failure KELPIE_E_IO, and the link is closed. */
int node_link_say(struct node_link *l, struct uuid worker, struct bytes body) MUST_USE;
/* Whether something can be read within so many ms; an end too. */
bool node_link_waits(const struct node_link *l, int ms);
/* Waits for the answer; *refused: it is an error of the API, with the sentence in `why`. *again: that may be over later.
 * Returns 0; KELPIE_E_IO when the connection has ended, and it is closed. `*body` stays until the next answer. */
int node_link_hear(struct node_link *l, struct bytes *body, bool *refused, bool *again, char *why,
                   size_t why_size) MUST_USE;

#endif

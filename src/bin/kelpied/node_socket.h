/* The node's own Unix socket, in its data directory. */
#ifndef KELPIE_BIN_NODE_SOCKET_H
#define KELPIE_BIN_NODE_SOCKET_H

#include "bin/shared/config.h"
#include "loop/unix_socket.h"

#define NODE_SOCKET "kelpied.sock"

struct node_socket {
    char path[UNIX_PATH_MAX_LEN + 1];
};

/* Opens DATA/kelpied.sock, and makes DATA if need be. Where another living node has that (several may share a data
 * directory), it is DATA/kelpied-ID.sock. Returns a listening descriptor, or -1 with a sentence. */
int node_socket_open(struct node_socket *s, const struct config *c, char *why,
                     size_t why_size) MUST_USE;
/* The file goes; before its listener is closed. */
void node_socket_remove(const struct node_socket *s);

#endif

/*
 * Who may have how many of the descriptors that the system allows a node. The store, the log, timers
 * and libraries come first; what is left, the peers' connections each way and the API's clients share
 * in the proportion of their own bounds, so that none of them can take what another one needs.
 */
#ifndef KELPIE_BIN_DESCRIPTORS_H
#define KELPIE_BIN_DESCRIPTORS_H

#include "base/log.h"

#define DESCRIPTORS_OTHER 64 /* kept for all but connections of peers and clients */

struct descriptors {
    unsigned rpc_outgoing; /* at most NET_TCP_PEERS_MAX */
    unsigned rpc_incoming; /* at most NET_TCP_INCOMING_MAX */
    unsigned http;         /* at most HTTP_CONNECTIONS_MAX */
    unsigned local;        /* on the node's own socket: at most HTTP_LOCAL_MAX */
};

/* The shares of so many; each is at least 1. */
struct descriptors descriptors_share(unsigned allowed);
/* Asks the system for as many as all bounds need together, says in the log when it allows fewer, and
 * shares what it allows. */
struct descriptors descriptors_allow(const struct log *log);

#endif

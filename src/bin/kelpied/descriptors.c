#include "bin/kelpied/descriptors.h"

#include "bin/shared/process_begin.h"
#include "loop/http_server.h"
#include "loop/net_tcp.h"

#define SHARED (NET_TCP_PEERS_MAX + NET_TCP_INCOMING_MAX + HTTP_CONNECTIONS_MAX + HTTP_LOCAL_MAX)
#define WANTED (SHARED + DESCRIPTORS_OTHER)

static unsigned share(unsigned left, unsigned max)
{
    unsigned mine = left >= SHARED ? max : left * max / SHARED;

    return mine ? mine : 1;
}

struct descriptors descriptors_share(unsigned allowed)
{
    unsigned left = allowed > DESCRIPTORS_OTHER ? allowed - DESCRIPTORS_OTHER : 0;

    return (struct descriptors){
        .rpc_outgoing = share(left, NET_TCP_PEERS_MAX),
        .rpc_incoming = share(left, NET_TCP_INCOMING_MAX),
        .http = share(left, HTTP_CONNECTIONS_MAX),
        .local = share(left, HTTP_LOCAL_MAX),
    };
}

/* The primary keeps a connection with every node: the usual 1024 descriptors would be enough for a
 * few of those that a cluster may have, and for few clients. */
struct descriptors descriptors_allow(const struct log *log)
{
    unsigned allowed = process_allow_files(WANTED);
    struct descriptors d = descriptors_share(allowed);

    if (allowed < WANTED)
        log_warn(log, "few_open_files",
                 "allowed=%u wanted=%u rpc_outgoing=%u rpc_incoming=%u http=%u local=%u", allowed,
                 (unsigned)WANTED, d.rpc_outgoing, d.rpc_incoming, d.http, d.local);
    return d;
}

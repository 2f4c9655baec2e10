/* What a connection reads from and writes to: a socket in clear today. TLS will be another table,
 * whose session says who the peer is. */
#ifndef KELPIE_LOOP_TRANSPORT_H
#define KELPIE_LOOP_TRANSPORT_H

#include <stddef.h>

#include "base/check.h"

struct iovec;

/* Reads and writes return a length > 0, TCP_AGAIN or TCP_CLOSED (loop/tcp_socket.h). */
struct transport_ops {
    long (*read)(void *session, int fd, void *to, size_t size);
    long (*write)(void *session, int fd, const struct iovec *parts, int count);
    /* No more will be written; what is under way still arrives. */
    void (*shut)(void *session, int fd);
    /* Frees the session too. The descriptor is closed. */
    void (*close)(void *session, int fd);
    /* The peer's authenticated identity, "" when it has none. Valid until close. */
    const char *(*peer)(void *session);
};

/* A small value. Owns the descriptor and the session. */
struct transport {
    const struct transport_ops *ops;
    void *session;
    int fd;
};

/* In clear. Takes over the descriptor. */
struct transport transport_plain(int fd);

static inline long transport_read(const struct transport *t, void *to, size_t size)
{
    return t->ops->read(t->session, t->fd, to, size);
}

static inline long transport_write(const struct transport *t, const struct iovec *parts, int count)
{
    return t->ops->write(t->session, t->fd, parts, count);
}

static inline void transport_shut(const struct transport *t)
{
    t->ops->shut(t->session, t->fd);
}

static inline void transport_close(const struct transport *t)
{
    t->ops->close(t->session, t->fd);
}

static inline const char *transport_peer(const struct transport *t)
{
    return t->ops->peer(t->session);
}

#endif

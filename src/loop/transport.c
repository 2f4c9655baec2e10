#include "loop/transport.h"

#include <errno.h>
#include <sys/socket.h>
#include <unistd.h>

#include "loop/tcp_socket.h"

static long plain_read(void *session, int fd, void *to, size_t size)
{
    (void)session;
    return tcp_read(fd, to, size);
}

static long plain_write(void *session, int fd, const struct iovec *parts, int count)
{
    struct msghdr message = {.msg_iov = (struct iovec *)(uintptr_t)parts,
                             .msg_iovlen = (size_t)count};
    ssize_t n = sendmsg(fd, &message, MSG_NOSIGNAL);

    (void)session;
    if (n >= 0)
        return (long)n;
    return errno == EAGAIN || errno == EWOULDBLOCK || errno == EINTR ? TCP_AGAIN : TCP_CLOSED;
}

static void plain_shut(void *session, int fd)
{
    (void)session;
    (void)shutdown(fd, SHUT_WR);
}

static void plain_close(void *session, int fd)
{
    (void)session;
    (void)close(fd);
}

static const char *plain_peer(void *session)
{
    (void)session;
    return "";
}

struct transport transport_plain(int fd)
{
    static const struct transport_ops ops = {.read = plain_read,
                                             .write = plain_write,
                                             .shut = plain_shut,
                                             .close = plain_close,
                                             .peer = plain_peer};

    return (struct transport){.ops = &ops, .fd = fd};
}

#include "loop/unix_socket.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/file.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#define BACKLOG 1024
#define GROUPS_MAX 64

static bool address(const char *path, struct sockaddr_un *out)
{
    size_t len = strlen(path);

    memset(out, 0, sizeof *out);
    out->sun_family = AF_UNIX;
    if (len == 0 || len > UNIX_PATH_MAX_LEN)
        return false;
    memcpy(out->sun_path, path, len + 1);
    return true;
}

int unix_connect(const char *path)
{
    struct sockaddr_un sa;
    int fd, error;

    if (!address(path, &sa)) {
        errno = ENAMETOOLONG;
        return -1;
    }
    fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (fd < 0 || connect(fd, (const struct sockaddr *)&sa, sizeof sa) == 0)
        return fd;
    error = errno;
    (void)close(fd);
    errno = error;
    return -1;
}

/* Before anybody can connect: until listen() all are refused. */
static int open_at(const struct sockaddr_un *sa)
{
    int error;
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);

    if (fd < 0)
        return -1;
    if (bind(fd, (const struct sockaddr *)sa, sizeof *sa) == 0 &&
        chmod(sa->sun_path, S_IRUSR | S_IWUSR | S_IRGRP | S_IWGRP) == 0 && listen(fd, BACKLOG) == 0)
        return fd;
    error = errno;
    (void)close(fd);
    errno = error;
    return -1;
}

/* One process at a time looks whether somebody listens there: else one that has just begun to could be taken for
 * none. The file stays. */
static int lock(const char *path)
{
    char name[UNIX_PATH_MAX_LEN + 8];
    int fd;

    (void)snprintf(name, sizeof name, "%s.lock", path);
    fd = open(name, O_RDWR | O_CREAT | O_CLOEXEC, S_IRUSR | S_IWUSR);
    if (fd >= 0 && flock(fd, LOCK_EX) == 0)
        return fd;
    if (fd >= 0)
        (void)close(fd);
    return -1;
}

/* What is there. */
enum there { THERE_STALE, THERE_SOMEBODY, THERE_OTHER };

static enum there look_at(const char *path)
{
    struct stat st;
    int fd;

    if (lstat(path, &st) || !S_ISSOCK(st.st_mode))
        return THERE_OTHER;
    fd = unix_connect(path);
    if (fd < 0)
        return errno == ECONNREFUSED ? THERE_STALE : THERE_SOMEBODY;
    (void)close(fd);
    return THERE_SOMEBODY;
}

static int open_or_replace(const struct sockaddr_un *sa, bool *taken, char *why, size_t why_size)
{
    const char *path = sa->sun_path;
    enum there there;
    int fd = open_at(sa);

    if (fd < 0 && errno == EADDRINUSE) {
        there = look_at(path);
        *taken = there == THERE_SOMEBODY;
        if (there != THERE_STALE) {
            (void)snprintf(why, why_size, "cannot listen on %s: %s", path,
                           *taken ? "another process listens there"
                                  : "there is a file that is no socket");
            return -1;
        }
        (void)unlink(path);
        fd = open_at(sa);
    }
    if (fd < 0)
        (void)snprintf(why, why_size, "cannot listen on %s: %s", path, strerror(errno));
    return fd;
}

int unix_listen_open(const char *path, bool *taken, char *why, size_t why_size)
{
    struct sockaddr_un sa;
    int fd, locked;

    *taken = false;
    if (!address(path, &sa)) {
        (void)snprintf(why, why_size,
                       "the path of the node's socket, %s, has %zu bytes; at most %d are possible: "
                       "choose a shorter --data-dir",
                       path, strlen(path), UNIX_PATH_MAX_LEN);
        return -1;
    }
    locked = lock(path);
    if (locked < 0) {
        (void)snprintf(why, why_size, "cannot lock %s.lock: %s", path, strerror(errno));
        return -1;
    }
    fd = open_or_replace(&sa, taken, why, why_size);
    (void)close(locked);
    return fd;
}

static bool in_group(int fd, gid_t mine)
{
    gid_t groups[GROUPS_MAX];
    socklen_t len = sizeof groups;

    if (getsockopt(fd, SOL_SOCKET, SO_PEERGROUPS, groups, &len))
        return false;
    for (size_t i = 0; i < len / sizeof groups[0]; i++)
        if (groups[i] == mine)
            return true;
    return false;
}

bool unix_peer_may(int fd)
{
    static const char refusal[] =
        "HTTP/1.1 403 Forbidden\r\nContent-Type: application/json\r\nConnection: close\r\n"
        "Content-Length: 127\r\n\r\n"
        "{\"error\":\"forbidden\",\"message\":\"only root, the node's user and its group may ask "
        "on this socket\",\"retry\":false,\"applied\":\"no\"}\n";
    struct ucred peer;
    socklen_t len = sizeof peer;
    ssize_t n;

    if (getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &peer, &len))
        return false;
    if (peer.uid == 0 || peer.uid == geteuid() || peer.gid == getegid() || in_group(fd, getegid()))
        return true;
    n = send(fd, refusal, sizeof refusal - 1, MSG_NOSIGNAL | MSG_DONTWAIT);
    (void)n;
    return false;
}

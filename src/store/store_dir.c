#include "store/store_dir.h"

#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <sys/vfs.h>
#include <unistd.h>

#include "kelpie/error.h"

#define STORE_BACKLOG 128
#define GROUPS_MAX 1024 /* of one process that are looked at */

static const struct {
    unsigned long magic;
    const char *name;
} network_filesystems[] = {
    {0x6969, "NFS"},
    {0x517b, "SMB"},
    {0xfe534d42, "SMB"},
    {0xff534d42, "CIFS"},
    {0x5346414f, "AFS"},
    {0x6b414653, "AFS"},
    {0x73757245, "Coda"},
    {0x564c, "NCP"},
    {0x00c36400, "Ceph"},
    {0x01021997, "9P"},
    {0x0bd00bd0, "Lustre"},
    {0x7461636f, "OCFS2"},
    {0x01161970, "GFS2"},
    {0x786f4256, "a shared folder of a virtual machine"},
    {0x47504653, "GPFS"},
    {0xaad7aaea, "PanFS"},
    {0x65735546, "FUSE, which cannot be told from a network filesystem"},
};

const char *store_fs_network(long magic)
{
    for (size_t i = 0; i < ARRAY_LEN(network_filesystems); i++)
        if ((network_filesystems[i].magic & 0xffffffffu) == ((unsigned long)magic & 0xffffffffu))
            return network_filesystems[i].name;
    return NULL;
}

void store_sentence(char *out, size_t size, const char *fmt, ...)
{
    va_list ap;
    va_start(ap, fmt);
    (void)vsnprintf(out, size, fmt, ap);
    va_end(ap);
}

/* This process is of that group: it was put there by whoever runs it. */
static bool is_own_group(gid_t group)
{
    gid_t groups[GROUPS_MAX];
    int count = getgroups(GROUPS_MAX, groups);
    bool found = group == getegid();
    for (int i = 0; i < count && !found; i++)
        found = groups[i] == group;
    return found;
}

/* Nobody else may enter. A group that this process is of may, as orchestrators set it for volumes: who is in
 * it is whom this process trusts; and root, whom everybody has to. */
static int check_owner(const char *dir, const struct stat *st, char *error, size_t size)
{
    unsigned mode = st->st_mode & 0777;
    if (st->st_uid != geteuid() && st->st_uid != 0) {
        store_sentence(
            error, size,
            "store directory '%s' belongs to user %d, not to the user of this program (%d)", dir,
            (int)st->st_uid, (int)geteuid());
        return KELPIE_E_INVALID;
    }
    if (mode & 07) {
        store_sentence(error, size,
                       "store directory '%s' has mode %04o, but only its owner and its group may "
                       "enter it: run \"chmod 0700\" on it",
                       dir, mode);
        return KELPIE_E_INVALID;
    }
    if ((mode & 070) && !is_own_group(st->st_gid)) {
        store_sentence(error, size,
                       "store directory '%s' has mode %04o, and this program is not of its group "
                       "(%d): run \"chmod 0700\" on it",
                       dir, mode, (int)st->st_gid);
        return KELPIE_E_INVALID;
    }
    return 0;
}

static int check_dir(const char *dir, int fd, char *error, size_t size)
{
    struct stat st;
    struct statfs fs;
    if (fstat(fd, &st) || fstatfs(fd, &fs)) {
        store_sentence(error, size, "store directory '%s' cannot be examined: %s", dir,
                       strerror(errno));
        return KELPIE_E_IO;
    }
    const char *network = store_fs_network((long)fs.f_type);
    if (network) {
        store_sentence(error, size,
                       "store directory '%s' is on a network filesystem (%s): use a local disk",
                       dir, network);
        return KELPIE_E_INVALID;
    }
    return check_owner(dir, &st, error, size);
}

/* The name of a new directory is on disk before anything in it is acknowledged. */
static void sync_parent(const char *path)
{
    char parent[STORE_PATH_MAX];
    store_sentence(parent, sizeof(parent), "%s", path);
    char *slash = strrchr(parent, '/');
    if (!slash)
        return;
    slash[slash == parent] = '\0';
    int fd = open(parent, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (fd < 0)
        return; /* one may enter, but not list it: nothing can be done */
    (void)fsync(fd);
    close(fd);
}

int store_dir_open(const char *dir, int *out, char *error, size_t error_size)
{
    int fd = open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (fd < 0) {
        if (errno == ENOTDIR)
            store_sentence(error, error_size, "store directory '%s' is not a directory", dir);
        else
            store_sentence(error, error_size, "store directory '%s' cannot be opened: %s", dir,
                           strerror(errno));
        return KELPIE_E_IO;
    }
    int err = check_dir(dir, fd, error, error_size);
    if (err)
        close(fd);
    else
        *out = fd;
    return err;
}

/* Of what is open, not of what has that name by now. */
static bool path_of(int fd, char *out)
{
    char name[STORE_FD_PATH_MAX];
    store_fd_path(fd, name);
    ssize_t len = readlink(name, out, STORE_PATH_MAX);
    if (len <= 0 || len >= STORE_PATH_MAX || out[0] != '/')
        return false;
    out[len] = '\0';
    return true;
}

void store_fd_path(int fd, char out[STORE_FD_PATH_MAX])
{
    store_sentence(out, STORE_FD_PATH_MAX, "/proc/self/fd/%d", fd);
}

int store_dir_prepare(const char *dir, char *out, int *fd, char *error, size_t error_size)
{
    if (!*dir) {
        store_sentence(error, error_size, "the store directory's name is empty");
        return KELPIE_E_INVALID;
    }
    bool made = mkdir(dir, 0700) == 0;
    if (!made && errno != EEXIST) {
        int err = errno == ENOSPC || errno == EDQUOT ? KELPIE_E_STORE_FULL : KELPIE_E_IO;
        store_sentence(error, error_size, "store directory '%s' cannot be created: %s", dir,
                       strerror(errno));
        return err;
    }
    if (made)
        (void)chmod(dir, 0700); /* whatever the umask; checked below */
    int dir_fd;
    int err = store_dir_open(dir, &dir_fd, error, error_size);
    if (!err && !path_of(dir_fd, out)) {
        store_sentence(error, error_size, "store directory '%s' has no usable absolute path", dir);
        err = KELPIE_E_IO;
        close(dir_fd);
    }
    if (err)
        return err;
    if (made)
        sync_parent(out);
    if (fd)
        *fd = dir_fd;
    else
        close(dir_fd);
    return 0;
}

/* ---- the lock */

int store_lock_open(int dir_fd)
{
    return openat(dir_fd, STORE_LOCK_FILE, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);
}

pid_t store_lock_holder(int lock_fd)
{
    struct flock lock = {.l_type = F_WRLCK, .l_whence = SEEK_SET};
    if (fcntl(lock_fd, F_GETLK, &lock))
        return -1;
    return lock.l_type == F_UNLCK ? 0 : lock.l_pid;
}

int store_lock_take(int lock_fd, pid_t *holder)
{
    struct flock lock = {.l_type = F_WRLCK, .l_whence = SEEK_SET};
    *holder = 0;
    if (fcntl(lock_fd, F_SETLK, &lock) == 0)
        return 0;
    if (errno != EACCES && errno != EAGAIN)
        return -1;
    pid_t pid = store_lock_holder(lock_fd);
    *holder = pid > 0 ? pid : 0;
    return 1;
}

/* ---- the socket */

/* A socket's address holds 107 bytes of path, so it is reached through the directory's descriptor. */
static void socket_address(int dir_fd, struct sockaddr_un *sun)
{
    memset(sun, 0, sizeof(*sun));
    sun->sun_family = AF_UNIX;
    snprintf(sun->sun_path, sizeof(sun->sun_path), "/proc/self/fd/%d/%s", dir_fd,
             STORE_SOCKET_FILE);
}

static int close_keep_errno(int fd)
{
    int saved = errno;
    close(fd);
    errno = saved;
    return -1;
}

int store_socket_connect(int dir_fd)
{
    struct sockaddr_un sun;
    socket_address(dir_fd, &sun);
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (fd < 0)
        return -1;
    if (connect(fd, (struct sockaddr *)&sun, sizeof(sun)))
        return close_keep_errno(fd);
    return fd;
}

int store_socket_listen(int dir_fd)
{
    struct sockaddr_un sun;
    socket_address(dir_fd, &sun);
    if (unlinkat(dir_fd, STORE_SOCKET_FILE, 0) && errno != ENOENT)
        return -1;
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (fd < 0)
        return -1;
    if (bind(fd, (struct sockaddr *)&sun, sizeof(sun)) || listen(fd, STORE_BACKLOG))
        return close_keep_errno(fd);
    return fd;
}

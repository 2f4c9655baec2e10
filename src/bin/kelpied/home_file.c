#include "bin/kelpied/home_file.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "bin/shared/config.h"
#include "bin/shared/world_bind.h"
#include "kelpie/error.h"

#define PART_FILE "cluster.part"

static int fail(const char *data_dir, const char *what, char *why, size_t why_size)
{
    (void)snprintf(why, why_size, "%s/%s %s: %s", data_dir, HOME_FILE, what, strerror(errno));
    return KELPIE_E_IO;
}

/* The file's text without its newline; "" when there is none. */
static int read_text(const char *data_dir, char *text, size_t size, char *why, size_t why_size)
{
    char path[CONFIG_PATH_MAX + 16];
    (void)snprintf(path, sizeof(path), "%s/%s", data_dir, HOME_FILE);
    text[0] = '\0';
    int fd =
        open(path, O_RDONLY | O_CLOEXEC | O_NOCTTY | O_NONBLOCK); /* a pipe keeps nobody waiting */
    if (fd < 0)
        return errno == ENOENT || errno == ENOTDIR
                   ? 0
                   : fail(data_dir, "cannot be read", why, why_size);
    struct stat st;
    ssize_t n = -1;
    errno = EINVAL;
    if (fstat(fd, &st) == 0 && S_ISREG(st.st_mode))
        n = read(fd, text, size - 1);
    int err = n < 0 ? fail(data_dir, "cannot be read", why, why_size) : 0;
    (void)close(fd);
    text[n > 0 ? n : 0] = '\0';
    text[strcspn(text, "\n")] = '\0';
    if (!err && n == 0) { /* there, and says nothing */
        text[0] = '?';
        text[1] = '\0';
    }
    return err;
}

int home_file_read(const char *data_dir, struct uuid *home, char *why, size_t why_size)
{
    char text[UUID_TEXT_SIZE + 16];
    *home = (struct uuid){{0}};
    int err = read_text(data_dir, text, sizeof(text), why, why_size);
    if (err || !text[0])
        return err;
    if (uuid_from_text(text, home) == 0 && !uuid_is_zero(*home))
        return 0;
    (void)snprintf(why, why_size,
                   "%s/%s does not hold the id of a cluster; put it right, or start with "
                   "--found-new",
                   data_dir, HOME_FILE);
    return KELPIE_E_INVALID;
}

static int write_part(int dir_fd, const char *text)
{
    int fd = openat(dir_fd, PART_FILE, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC | O_NOFOLLOW, 0600);
    if (fd < 0)
        return -1;
    size_t len = strlen(text);
    bool ok = write(fd, text, len) == (ssize_t)len && fsync(fd) == 0;
    int err = errno;
    (void)close(fd);
    errno = err;
    return ok ? 0 : -1;
}

int home_file_write(const char *data_dir, struct uuid home, char *why, size_t why_size)
{
    char text[UUID_TEXT_SIZE + 1];
    int err = make_directories(data_dir, why, why_size);
    if (err)
        return err;
    int dir_fd = open(data_dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (dir_fd < 0)
        return fail(data_dir, "cannot be written", why, why_size);
    uuid_to_text(home, text);
    (void)strncat(text, "\n", 2);
    if (write_part(dir_fd, text) || renameat(dir_fd, PART_FILE, dir_fd, HOME_FILE) || fsync(dir_fd))
        err = fail(data_dir, "cannot be written", why, why_size);
    (void)close(dir_fd);
    return err;
}

int home_file_set_aside(const char *data_dir, char *why, size_t why_size)
{
    char from[CONFIG_PATH_MAX + 16], to[CONFIG_PATH_MAX + 32];
    (void)snprintf(from, sizeof(from), "%s/%s", data_dir, HOME_FILE);
    (void)snprintf(to, sizeof(to), "%s/%s", data_dir, HOME_FILE_ASIDE);
    if (rename(from, to) == 0 || errno == ENOENT || errno == ENOTDIR)
        return 0;
    return fail(data_dir, "cannot be set aside", why, why_size);
}

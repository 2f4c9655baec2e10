/* A store that is read where it lies, and not served: a copy, or one that cannot be written. */
#include <errno.h>
#include <fcntl.h>
#include <unistd.h>

#include "store/omap_lmdb.h"
#include "store/store_dir.h"

/* No store process has it open, and none can open it meanwhile: none ever has (what a backup made), or the
 * directory cannot be written. */
static bool can_be_read_in_place(int dir_fd)
{
    int lock = openat(dir_fd, STORE_LOCK_FILE, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
    if (lock < 0)
        return errno == ENOENT;
    bool held = store_lock_holder(lock) != 0;
    close(lock);
    return !held && faccessat(dir_fd, ".", W_OK, AT_EACCESS) != 0;
}

int omap_lmdb_in_place(struct mem mem, const char *dir, struct omap_lmdb **out, char *error,
                       size_t error_size)
{
    const struct omap_lmdb_options o = {.name = dir, .read_only = true};
    int fd = open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    *out = NULL;
    if (fd < 0)
        return 0; /* the ordinary way says why */
    int err = can_be_read_in_place(fd) ? omap_lmdb_open(mem, fd, &o, out, error, error_size) : 0;
    close(fd); /* LMDB has its files open */
    return err;
}

/* A backup of an embedded store, taken while it runs. */
#include <errno.h>
#include <fcntl.h>
#include <lmdb.h>
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

#include "kelpie/error.h"
#include "store/omap_lmdb.h"
#include "store/store_dir.h"

#define PART_FILE "data.mdb.part"
#define DATA_FILE "data.mdb"

struct copy {
    const char *dir, *to;
    char part[STORE_PATH_MAX + 16], whole[STORE_PATH_MAX + 16];
    char *error;
    size_t error_size;
};

static bool is_full(int rc)
{
    return rc == ENOSPC || rc == EDQUOT || rc == EFBIG;
}

static int fail_from(const struct copy *c, int rc)
{
    store_sentence(c->error, c->error_size, "the store in '%s' cannot be copied: %s", c->dir,
                   rc == ENOENT ? "there is none" : mdb_strerror(rc));
    switch (rc) {
    case ENOENT:
        return KELPIE_E_NOT_FOUND;
    case MDB_CORRUPTED:
    case MDB_PAGE_NOTFOUND:
    case MDB_INVALID:
        return KELPIE_E_STORE_CORRUPT;
    case MDB_VERSION_MISMATCH:
        return KELPIE_E_STORE_NEWER;
    default:
        return KELPIE_E_STORE_UNAVAILABLE;
    }
}

static int fail_to(const struct copy *c, int rc)
{
    store_sentence(c->error, c->error_size, "the copy in '%s' cannot be written: %s", c->to,
                   rc == EEXIST ? "there is one already" : mdb_strerror(rc));
    return is_full(rc) ? KELPIE_E_STORE_FULL : KELPIE_E_IO;
}

/* With a reader's snapshot only: the compacting copy asks for no more. */
static int copy_to_fd(const struct copy *c, MDB_env *env, int fd)
{
    struct stat st;
    if (fstat(fd, &st))
        return errno;
    int rc = mdb_env_open(env, c->dir, MDB_RDONLY | MDB_NOTLS, 0600);
    return rc ? rc : mdb_env_copyfd2(env, fd, MDB_CP_COMPACT);
}

static int copy_part(const struct copy *c, int fd)
{
    MDB_env *env;
    int rc = mdb_env_create(&env);
    if (rc)
        return fail_from(c, rc);
    rc = mdb_env_set_maxdbs(env, 2);
    if (!rc)
        rc = copy_to_fd(c, env, fd);
    mdb_env_close(env);
    if (rc)
        return is_full(rc) ? fail_to(c, rc) : fail_from(c, rc);
    return fsync(fd) ? fail_to(c, errno) : 0;
}

static int sync_dir(const char *dir)
{
    int fd = open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (fd < 0)
        return errno;
    int rc = fsync(fd) ? errno : 0;
    close(fd);
    return rc;
}

/* The name says that it is whole, so it comes last; link() does not replace another. */
static int name_whole(const struct copy *c)
{
    int rc = link(c->part, c->whole) ? errno : 0;
    if (!rc)
        rc = sync_dir(c->to);
    return rc ? fail_to(c, rc) : 0;
}

int omap_lmdb_copy(const char *dir, const char *to, uint64_t *size, char *error, size_t error_size)
{
    struct copy c = {.dir = dir, .to = to, .error = error, .error_size = error_size};
    char from[STORE_PATH_MAX + 16];
    struct stat st;
    if ((size_t)snprintf(from, sizeof(from), "%s/" DATA_FILE, dir) >= sizeof(from) ||
        (size_t)snprintf(c.part, sizeof(c.part), "%s/" PART_FILE, to) >= sizeof(c.part) ||
        (size_t)snprintf(c.whole, sizeof(c.whole), "%s/" DATA_FILE, to) >= sizeof(c.whole))
        return fail_from(&c, ENAMETOOLONG);
    if (stat(from, &st))
        return fail_from(&c, errno);
    if (stat(c.whole, &st) == 0)
        return fail_to(&c, EEXIST);
    int fd = open(c.part, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC | O_NOFOLLOW, 0600);
    if (fd < 0)
        return fail_to(&c, errno);
    int err = copy_part(&c, fd);
    if (!err && fstat(fd, &st))
        err = fail_to(&c, errno);
    close(fd);
    if (!err)
        err = name_whole(&c);
    (void)unlink(c.part);
    *size = err ? 0 : (uint64_t)st.st_size;
    return err;
}

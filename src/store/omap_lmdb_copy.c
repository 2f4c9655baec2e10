/* A backup of an embedded store, taken while it runs. */
#include <errno.h>
#include <fcntl.h>
#include <lmdb.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "env/store.h"
#include "kelpie/error.h"
#include "store/omap_lmdb.h"
#include "store/store_dir.h"

#define PART_FILE "data.mdb.part"
#define DATA_FILE "data.mdb"

#define COPY_PREFIXES_MAX 256 /* of one store that are marked */
#define COPY_MARK_ROOM (1u << 20)

struct copy {
    const char *dir, *to; /* for sentences */
    int from_fd, to_fd;
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
    char path[STORE_FD_PATH_MAX];
    store_fd_path(c->from_fd, path);
    int rc = mdb_env_open(env, path, MDB_RDONLY | MDB_NOTLS, 0600);
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

/* ---- the copy says that it is one: a row for each prefix in it (env/store.h) */

/* The length of the first element of a key if that is a string, as prefixes are; else 0. */
static size_t prefix_element(const MDB_val *key)
{
    const uint8_t *data = key->mv_data;
    const uint8_t *end = key->mv_size > 1 && data[0] == 0x02 ? memchr(data, 0, key->mv_size) : NULL;
    return end ? (size_t)(end - data) + 1 : 0;
}

static int put_mark(MDB_txn *txn, MDB_dbi rows, const struct copy *c, const uint8_t *element,
                    size_t len)
{
    static const char begin[] = STORE_COPY_BEGIN;
    uint8_t key[STORE_KEY_MAX];
    char text[STORE_PATH_MAX + 32];
    size_t at = sizeof(begin) - 1;
    if (at + len > sizeof(key))
        return 0; /* no prefix of ours */
    memcpy(key, begin, at);
    memcpy(key + at, element, len);
    store_sentence(text, sizeof(text), "copied from %s", c->dir);
    MDB_val k = {.mv_size = at + len, .mv_data = key};
    MDB_val v = {.mv_size = strlen(text), .mv_data = text};
    return mdb_put(txn, rows, &k, &v, 0);
}

static int put_marks(MDB_txn *txn, MDB_dbi rows, const struct copy *c)
{
    MDB_cursor *cursor;
    MDB_val k, v;
    uint8_t next[STORE_KEY_MAX];
    int rc = mdb_cursor_open(txn, rows, &cursor);
    if (rc)
        return rc;
    rc = mdb_cursor_get(cursor, &k, &v, MDB_FIRST);
    for (unsigned n = 0; rc == 0 && n < COPY_PREFIXES_MAX; n++) {
        size_t len = prefix_element(&k);
        if (len == 0 || len > sizeof(next)) {
            rc = mdb_cursor_get(cursor, &k, &v, MDB_NEXT);
            continue;
        }
        memcpy(next, k.mv_data, len);
        rc = put_mark(txn, rows, c, next, len);
        next[len - 1] = 1; /* behind all that begins with this element */
        k = (MDB_val){.mv_size = len, .mv_data = next};
        if (rc == 0)
            rc = mdb_cursor_get(cursor, &k, &v, MDB_SET_RANGE);
    }
    mdb_cursor_close(cursor);
    return rc == MDB_NOTFOUND ? 0 : rc;
}

static int mark_in(MDB_env *env, const struct copy *c)
{
    MDB_txn *txn;
    MDB_dbi rows;
    int rc = mdb_txn_begin(env, NULL, 0, &txn);
    if (rc)
        return rc;
    rc = mdb_dbi_open(txn, "rows", 0, &rows);
    if (!rc)
        rc = put_marks(txn, rows, c);
    if (!rc)
        return mdb_txn_commit(txn);
    mdb_txn_abort(txn);
    return rc == MDB_NOTFOUND ? 0 : rc; /* without a table of rows nothing is in it */
}

static int mark_part(const struct copy *c)
{
    char path[STORE_FD_PATH_MAX + sizeof(PART_FILE) + 1], dir[STORE_FD_PATH_MAX];
    struct stat st;
    MDB_env *env;
    store_fd_path(c->to_fd, dir);
    store_sentence(path, sizeof(path), "%s/%s", dir, PART_FILE);
    if (fstatat(c->to_fd, PART_FILE, &st, 0))
        return fail_to(c, errno);
    int rc = mdb_env_create(&env);
    if (rc)
        return fail_to(c, rc);
    rc = mdb_env_set_maxdbs(env, 2);
    if (!rc)
        rc = mdb_env_set_mapsize(env, (size_t)st.st_size * 2 + COPY_MARK_ROOM);
    if (!rc)
        rc = mdb_env_open(env, path, MDB_NOSUBDIR | MDB_NOLOCK | MDB_NOTLS, 0600);
    if (!rc)
        rc = mark_in(env, c);
    mdb_env_close(env);
    return rc ? fail_to(c, rc) : 0;
}

/* The name says that it is whole, so it comes last; link() does not replace another. */
static int name_whole(const struct copy *c)
{
    int rc = linkat(c->to_fd, PART_FILE, c->to_fd, DATA_FILE, 0) ? errno : 0;
    if (!rc)
        rc = fsync(c->to_fd) ? errno : 0;
    return rc ? fail_to(c, rc) : 0;
}

static int copy_between(const struct copy *c, uint64_t *size)
{
    struct stat st;
    if (fstatat(c->from_fd, DATA_FILE, &st, 0))
        return fail_from(c, errno);
    if (fstatat(c->to_fd, DATA_FILE, &st, AT_SYMLINK_NOFOLLOW) == 0)
        return fail_to(c, EEXIST);
    int fd =
        openat(c->to_fd, PART_FILE, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC | O_NOFOLLOW, 0600);
    if (fd < 0)
        return fail_to(c, errno);
    int err = copy_part(c, fd);
    if (!err)
        err = mark_part(c);
    if (!err && fstat(fd, &st))
        err = fail_to(c, errno);
    close(fd);
    if (!err)
        err = name_whole(c);
    (void)unlinkat(c->to_fd, PART_FILE, 0);
    *size = err ? 0 : (uint64_t)st.st_size;
    return err;
}

int omap_lmdb_copy(const char *dir, const char *to, int to_fd, uint64_t *size, char *error,
                   size_t error_size)
{
    struct copy c = {
        .dir = dir, .to = to, .to_fd = to_fd, .error = error, .error_size = error_size};
    *size = 0;
    c.from_fd = open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (c.from_fd < 0)
        return fail_from(&c, errno);
    int err = copy_between(&c, size);
    close(c.from_fd);
    return err;
}

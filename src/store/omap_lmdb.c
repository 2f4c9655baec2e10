#include "store/omap_lmdb.h"

#include <errno.h>
#include <fcntl.h>
#include <lmdb.h>
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

#include "env/store.h"
#include "kelpie/error.h"
#include "store/store_dir.h"

#define LMDB_PROBE_STEP 65536
#define LMDB_PROBE_MAX (16 * 1024 * 1024)
#define LMDB_LOCK_FILE_SIZE 65536 /* more than LMDB needs for its default number of readers */

struct omap_lmdb {
    struct mem mem;
    MDB_env *env;
    MDB_dbi rows;
    MDB_dbi meta;
    MDB_txn *reader; /* reset between reads */
    MDB_cursor *cursor;
    MDB_txn *writer;
    bool reading;
    bool grow; /* the last batch did not fit into the map */
    size_t page_size;
    uint64_t map_size;
    uint64_t map_max;
    const char *last_error;
};

static MDB_val val_of(struct bytes b)
{
    return (MDB_val){.mv_size = b.len, .mv_data = (void *)(uintptr_t)b.data};
}

static struct bytes bytes_of_val(const MDB_val *v)
{
    return bytes_of(v->mv_data, v->mv_size);
}

static bool lmdb_disk_full(int rc)
{
    /* EFBIG: the limit of the file system, or of the process, on the size of a file. */
    return rc == ENOSPC || rc == EDQUOT || rc == EFBIG;
}

static int lmdb_error(struct omap_lmdb *m, int rc)
{
    if (rc == 0)
        return 0;
    m->last_error = mdb_strerror(rc);
    switch (rc) {
    case MDB_CORRUPTED:
    case MDB_PAGE_NOTFOUND:
    case MDB_INVALID:
        return KELPIE_E_STORE_CORRUPT;
    case MDB_MAP_FULL:
        return KELPIE_E_STORE_FULL;
    default:
        return lmdb_disk_full(rc) ? KELPIE_E_STORE_FULL : KELPIE_E_STORE_UNAVAILABLE;
    }
}

/* ---- the size of the map */

static uint64_t lmdb_used(const struct omap_lmdb *m)
{
    MDB_envinfo info;
    CHECK(mdb_env_info(m->env, &info) == 0);
    return (uint64_t)(info.me_last_pgno + 1) * m->page_size;
}

/* Outside of any transaction. False when it is as large as it may be. */
static bool lmdb_grow(struct omap_lmdb *m)
{
    if (m->map_size >= m->map_max)
        return false;
    uint64_t size = m->map_size * 2;
    if (size > m->map_max)
        size = m->map_max;
    int rc = mdb_env_set_mapsize(m->env, size);
    if (rc) {
        m->last_error = mdb_strerror(rc);
        return false;
    }
    m->map_size = size;
    return true;
}

/* ---- reading */

static int lmdb_read_begin(void *ctx)
{
    struct omap_lmdb *m = ctx;
    CHECK(!m->reading && !m->writer);
    int rc =
        m->reader ? mdb_txn_renew(m->reader) : mdb_txn_begin(m->env, NULL, MDB_RDONLY, &m->reader);
    if (!rc)
        rc = m->cursor ? mdb_cursor_renew(m->reader, m->cursor)
                       : mdb_cursor_open(m->reader, m->rows, &m->cursor);
    if (rc) {
        if (m->reader)
            mdb_txn_reset(m->reader);
        return lmdb_error(m, rc);
    }
    m->reading = true;
    return 0;
}

static void lmdb_read_end(void *ctx)
{
    struct omap_lmdb *m = ctx;
    CHECK(m->reading);
    m->reading = false;
    mdb_txn_reset(m->reader);
}

static int lmdb_get(void *ctx, struct bytes key, struct bytes *value)
{
    struct omap_lmdb *m = ctx;
    CHECK(m->reading);
    MDB_val k = val_of(key), v;
    int rc = mdb_get(m->reader, m->rows, &k, &v);
    if (rc == MDB_NOTFOUND)
        return 0;
    if (rc)
        return lmdb_error(m, rc);
    *value = bytes_of_val(&v);
    return 1;
}

/* Moves the cursor to the first row that is not before `begin`. */
static int lmdb_seek(MDB_cursor *cursor, struct bytes begin, MDB_val *k, MDB_val *v)
{
    if (begin.len == 0)
        return mdb_cursor_get(cursor, k, v, MDB_FIRST);
    *k = val_of(begin);
    return mdb_cursor_get(cursor, k, v, MDB_SET_RANGE);
}

static int lmdb_scan(void *ctx, struct bytes begin, struct bytes end, omap_row_fn *fn, void *arg)
{
    struct omap_lmdb *m = ctx;
    CHECK(m->reading);
    MDB_val k, v;
    int rc = lmdb_seek(m->cursor, begin, &k, &v);
    while (!rc && bytes_compare(bytes_of_val(&k), end) < 0) {
        if (!fn(arg, bytes_of_val(&k), bytes_of_val(&v)))
            break;
        rc = mdb_cursor_get(m->cursor, &k, &v, MDB_NEXT);
    }
    return rc == MDB_NOTFOUND ? 0 : lmdb_error(m, rc);
}

/* ---- writing */

static int lmdb_batch_begin(void *ctx)
{
    struct omap_lmdb *m = ctx;
    CHECK(!m->reading && !m->writer);
    bool grow = m->grow;
    int dead;
    m->grow = false;
    /* A program that was killed while it copied the store (omap_lmdb_copy) keeps pages from use. */
    if (grow || lmdb_used(m) + OMAP_LMDB_SLACK > m->map_size)
        (void)mdb_reader_check(m->env, &dead);
    while ((grow || lmdb_used(m) + OMAP_LMDB_SLACK > m->map_size) && lmdb_grow(m))
        grow = false;
    return lmdb_error(m, mdb_txn_begin(m->env, NULL, 0, &m->writer));
}

static void lmdb_batch_abort(void *ctx)
{
    struct omap_lmdb *m = ctx;
    CHECK(m->writer);
    mdb_txn_abort(m->writer);
    m->writer = NULL;
}

/* A batch that outgrew the map is to be applied again: the next batch_begin grows it. */
static int lmdb_batch_error(struct omap_lmdb *m, int rc)
{
    if (rc == MDB_MAP_FULL && m->map_size < m->map_max) {
        m->grow = true;
        return KELPIE_E_LIMIT;
    }
    return lmdb_error(m, rc);
}

static int lmdb_put(void *ctx, struct bytes key, struct bytes value)
{
    struct omap_lmdb *m = ctx;
    MDB_val k = val_of(key), v = val_of(value);
    return lmdb_batch_error(m, mdb_put(m->writer, m->rows, &k, &v, 0));
}

static int lmdb_del(void *ctx, struct bytes key)
{
    struct omap_lmdb *m = ctx;
    MDB_val k = val_of(key);
    int rc = mdb_del(m->writer, m->rows, &k, NULL);
    return rc == MDB_NOTFOUND ? 0 : lmdb_batch_error(m, rc);
}

static int lmdb_del_range(void *ctx, struct bytes begin, struct bytes end)
{
    struct omap_lmdb *m = ctx;
    MDB_cursor *cursor;
    int rc = mdb_cursor_open(m->writer, m->rows, &cursor);
    if (rc)
        return lmdb_batch_error(m, rc);
    for (;;) {
        MDB_val k, v;
        rc = lmdb_seek(cursor, begin, &k, &v);
        if (rc || bytes_compare(bytes_of_val(&k), end) >= 0)
            break;
        rc = mdb_cursor_del(cursor, 0);
        if (rc)
            break;
    }
    mdb_cursor_close(cursor);
    return rc == MDB_NOTFOUND ? 0 : lmdb_batch_error(m, rc);
}

static int lmdb_meta_put(struct omap_lmdb *m, const char *name, uint64_t number, size_t size)
{
    uint8_t data[8];
    for (size_t i = 0; i < size; i++)
        data[i] = (uint8_t)(number >> (8 * (size - 1 - i)));
    MDB_val k = val_of(bytes_of_str(name)), v = val_of(bytes_of(data, size));
    return mdb_put(m->writer, m->meta, &k, &v, 0);
}

static int lmdb_mark_put(void *ctx, uint64_t mark)
{
    struct omap_lmdb *m = ctx;
    return lmdb_batch_error(m, lmdb_meta_put(m, "mark", mark, 8));
}

/* LMDB calls a write that was cut short EIO. Whether the disk is full is found by trying to write
 * behind the end of the file, where LMDB keeps nothing, as much as a batch may need. */
static bool lmdb_probe_full(const struct omap_lmdb *m)
{
    static const uint8_t zero[LMDB_PROBE_STEP];
    int fd;
    struct stat st;
    if (mdb_env_get_fd(m->env, &fd) || fstat(fd, &st))
        return false;
    bool full = false;
    for (off_t at = st.st_size; at < st.st_size + LMDB_PROBE_MAX && !full; at += LMDB_PROBE_STEP)
        full = pwrite(fd, zero, sizeof(zero), at) != (ssize_t)sizeof(zero);
    return ftruncate(fd, st.st_size) == 0 && full;
}

static int lmdb_batch_commit(void *ctx)
{
    struct omap_lmdb *m = ctx;
    CHECK(m->writer);
    MDB_txn *txn = m->writer;
    m->writer = NULL;
    int rc = mdb_txn_commit(txn);
    if (rc == 0)
        return 0;
    int err = lmdb_batch_error(m, rc);
    /* The batch is valid once the meta page is written, which comes last. When it was that write
     * which failed, LMDB refuses everything from then on. */
    if (mdb_txn_begin(m->env, NULL, 0, &txn))
        return KELPIE_E_UNKNOWN_RESULT;
    mdb_txn_abort(txn);
    if (rc == EIO && lmdb_probe_full(m))
        return lmdb_error(m, ENOSPC);
    return err == KELPIE_E_STORE_FULL || err == KELPIE_E_LIMIT ? err : KELPIE_E_STORE_UNAVAILABLE;
}

/* Reads a number of `size` bytes from the open transaction; 0 when there is none. */
static int lmdb_meta_get(MDB_txn *txn, MDB_dbi meta, const char *name, size_t size, uint64_t *out)
{
    MDB_val k = val_of(bytes_of_str(name)), v;
    *out = 0;
    int rc = mdb_get(txn, meta, &k, &v);
    if (rc == MDB_NOTFOUND)
        return 0;
    if (rc)
        return rc;
    if (v.mv_size != size)
        return MDB_CORRUPTED;
    for (size_t i = 0; i < size; i++)
        *out = *out << 8 | ((const uint8_t *)v.mv_data)[i];
    return 0;
}

static int lmdb_mark_get(void *ctx, uint64_t *mark)
{
    struct omap_lmdb *m = ctx;
    int err = lmdb_read_begin(m);
    if (err)
        return err;
    int rc = lmdb_meta_get(m->reader, m->meta, "mark", 8, mark);
    lmdb_read_end(m);
    return lmdb_error(m, rc);
}

/* ---- opening */

struct lmdb_open {
    const char *dir; /* its name */
    bool read_only;
    int fd;
    char path[STORE_FD_PATH_MAX];  /* through the descriptor */
    const struct omap_lmdb *probe; /* once it is open, to tell a full disk */
    char *error;
    size_t error_size;
};

static int open_fail(const struct lmdb_open *o, int err, const char *what, const char *why)
{
    store_sentence(o->error, o->error_size, "store directory '%s' %s: %s", o->dir, what, why);
    return err;
}

static int open_fail_rc(const struct lmdb_open *o, int rc)
{
    if (rc == ENOENT && o->read_only)
        return open_fail(o, KELPIE_E_NOT_FOUND, "holds no store", "there is no data.mdb");
    if (lmdb_disk_full(rc) || rc == MDB_MAP_FULL)
        return open_fail(o, KELPIE_E_STORE_FULL, "has no room left", mdb_strerror(rc));
    if (rc == EIO && o->probe && lmdb_probe_full(o->probe))
        return open_fail(o, KELPIE_E_STORE_FULL, "has no room left", mdb_strerror(ENOSPC));
    if (rc == MDB_INVALID || rc == MDB_CORRUPTED || rc == MDB_PAGE_NOTFOUND)
        return open_fail(o, KELPIE_E_STORE_CORRUPT, "is corrupt",
                         "data.mdb cannot be read; restore it from a backup");
    if (rc == MDB_VERSION_MISMATCH)
        return open_fail(o, KELPIE_E_STORE_NEWER, "cannot be opened",
                         "data.mdb has another LMDB data format than this program's library");
    return open_fail(o, KELPIE_E_STORE_UNAVAILABLE, "cannot be opened", mdb_strerror(rc));
}

/* LMDB maps its lock file and writes to the mapping: on a full disk that would be a SIGBUS, so its
 * blocks are taken first. */
static int open_lock_file(const struct lmdb_open *o)
{
    int fd = openat(o->fd, "lock.mdb", O_RDWR | O_CREAT | O_CLOEXEC, 0600);
    if (fd < 0)
        return errno;
    int rc = posix_fallocate(fd, 0, LMDB_LOCK_FILE_SIZE);
    close(fd);
    return rc == EOPNOTSUPP || rc == EINVAL ? 0 : rc;
}

static uint64_t open_map_size(int dir_fd, uint64_t map_max)
{
    struct stat st;
    uint64_t size = OMAP_LMDB_MAP_MIN;
    if (fstatat(dir_fd, "data.mdb", &st, 0) == 0)
        while (size < (uint64_t)st.st_size + OMAP_LMDB_SLACK)
            size *= 2;
    return size < map_max ? size : map_max;
}

/* A file that was cut short would end the process when it is read; so look before. */
static int open_check_length(const struct omap_lmdb *m, const struct lmdb_open *o)
{
    int fd;
    struct stat st;
    int rc = mdb_env_get_fd(m->env, &fd);
    if (rc)
        return open_fail_rc(o, rc);
    if (fstat(fd, &st))
        return open_fail_rc(o, errno);
    if ((uint64_t)st.st_size < lmdb_used(m) && st.st_size > 0)
        return open_fail(o, KELPIE_E_STORE_CORRUPT, "is corrupt",
                         "data.mdb is shorter than it says; restore it from a backup");
    return 0;
}

/* Names the databases of an environment that has some, and checks the format. Ends the transaction. */
static int open_existing(struct omap_lmdb *m, const struct lmdb_open *o, MDB_txn *txn)
{
    uint64_t format = 0;
    int rc = mdb_dbi_open(txn, "meta", 0, &m->meta);
    if (!rc)
        rc = mdb_dbi_open(txn, "rows", 0, &m->rows);
    if (!rc)
        rc = lmdb_meta_get(txn, m->meta, "format", 4, &format);
    if (!rc && format > 0 && format <= OMAP_LMDB_FORMAT) {
        rc = mdb_txn_commit(txn); /* keeps the handles */
        return rc ? open_fail_rc(o, rc) : 0;
    }
    mdb_txn_abort(txn);
    if (rc == MDB_NOTFOUND || rc == MDB_INCOMPATIBLE || (!rc && format == 0))
        return open_fail(o, KELPIE_E_STORE_CORRUPT, "cannot be used",
                         "data.mdb is not a store of this program");
    if (rc)
        return open_fail_rc(o, rc);
    return open_fail(o, KELPIE_E_STORE_NEWER, "cannot be used",
                     "it was written by a newer version of this program");
}

static int open_new(struct omap_lmdb *m, const struct lmdb_open *o)
{
    MDB_txn *txn;
    int rc = mdb_txn_begin(m->env, NULL, 0, &txn);
    if (rc)
        return open_fail_rc(o, rc);
    rc = mdb_dbi_open(txn, "meta", MDB_CREATE, &m->meta);
    if (!rc)
        rc = mdb_dbi_open(txn, "rows", MDB_CREATE, &m->rows);
    m->writer = txn;
    if (!rc)
        rc = lmdb_meta_put(m, "format", OMAP_LMDB_FORMAT, 4);
    m->writer = NULL;
    if (!rc)
        rc = mdb_txn_commit(txn);
    else
        mdb_txn_abort(txn);
    if (!rc)
        rc = fsync(o->fd) ? errno : 0; /* the names of new files, before anything in them is told */
    return rc ? open_fail_rc(o, rc) : 0;
}

static int open_databases(struct omap_lmdb *m, const struct lmdb_open *o)
{
    MDB_txn *txn;
    MDB_stat st;
    int rc = mdb_env_stat(m->env, &st);
    if (!rc)
        rc = mdb_txn_begin(m->env, NULL, MDB_RDONLY, &txn);
    if (rc)
        return open_fail_rc(o, rc);
    if (st.ms_entries > 0)
        return open_existing(m, o, txn);
    mdb_txn_abort(txn);
    if (o->read_only)
        return open_fail(o, KELPIE_E_NOT_FOUND, "holds no store", "its data.mdb is empty");
    return open_new(m, o);
}

struct open_check {
    unsigned sum; /* so that the values are read */
    bool bad;
};

static bool open_check_row(void *arg, struct bytes key, struct bytes value)
{
    struct open_check *c = arg;
    c->sum += value.len ? value.data[value.len - 1] : 0u;
    c->bad = key.len == 0 || key.len > STORE_KEY_MAX || value.len > STORE_VALUE_MAX;
    return !c->bad;
}

/* Reads a small file through, so that a damaged tree is found now rather than by the node that
 * happens to read there. */
static int open_check_rows(struct omap_lmdb *m, const struct lmdb_open *o)
{
    if (lmdb_used(m) > OMAP_LMDB_CHECK_MAX)
        return 0;
    int err = lmdb_read_begin(m);
    if (err)
        return open_fail(o, err, "cannot be read", m->last_error);
    struct open_check check = {.sum = 0};
    uint8_t end[STORE_KEY_MAX + 1];
    memset(end, 0xff, sizeof(end));
    err = lmdb_scan(m, bytes_of(NULL, 0), bytes_of(end, sizeof(end)), open_check_row, &check);
    lmdb_read_end(m);
    if (check.bad)
        err = KELPIE_E_STORE_CORRUPT;
    return err ? open_fail(o, err, "is corrupt", "data.mdb has a damaged row or page") : 0;
}

int omap_lmdb_open(struct mem mem, int dir_fd, const struct omap_lmdb_options *options,
                   struct omap_lmdb **out, char *error, size_t error_size)
{
    struct lmdb_open o = {.dir = options->name,
                          .fd = dir_fd,
                          .read_only = options->read_only,
                          .error = error,
                          .error_size = error_size};
    unsigned flags = MDB_NOTLS | MDB_NORDAHEAD | (o.read_only ? MDB_RDONLY | MDB_NOLOCK : 0u);
    struct omap_lmdb *m = MEM_NEW(mem, struct omap_lmdb);
    store_fd_path(dir_fd, o.path);
    m->mem = mem;
    m->last_error = "";
    m->page_size = (size_t)sysconf(_SC_PAGESIZE);
    m->map_max = options->map_max ? options->map_max : OMAP_LMDB_MAP_MAX;
    m->map_size = open_map_size(dir_fd, m->map_max);
    int rc = o.read_only ? 0 : open_lock_file(&o);
    if (!rc)
        rc = mdb_env_create(&m->env);
    if (!rc)
        rc = mdb_env_set_maxdbs(m->env, 2);
    if (!rc)
        rc = mdb_env_set_mapsize(m->env, m->map_size);
    if (!rc)
        rc = mdb_env_open(m->env, o.path, flags, 0600);
    int err = rc ? open_fail_rc(&o, rc) : 0;
    o.probe = m;
    MDB_stat st;
    if (!err && mdb_env_stat(m->env, &st) == 0)
        m->page_size = st.ms_psize;
    if (!err)
        err = open_check_length(m, &o);
    if (!err)
        err = open_databases(m, &o);
    if (!err)
        err = open_check_rows(m, &o);
    if (err) {
        omap_lmdb_close(m);
        return err;
    }
    *out = m;
    return 0;
}

void omap_lmdb_close(struct omap_lmdb *m)
{
    if (!m)
        return;
    CHECK(!m->reading && !m->writer);
    if (m->cursor)
        mdb_cursor_close(m->cursor);
    if (m->reader)
        mdb_txn_abort(m->reader);
    if (m->env)
        mdb_env_close(m->env);
    mem_free(m->mem, m);
}

const char *omap_lmdb_last_error(const struct omap_lmdb *m)
{
    return m->last_error;
}

uint64_t omap_lmdb_map_size(const struct omap_lmdb *m)
{
    return m->map_size;
}

struct omap omap_lmdb_map(struct omap_lmdb *m)
{
    static const struct omap_ops ops = {
        .read_begin = lmdb_read_begin,
        .read_end = lmdb_read_end,
        .get = lmdb_get,
        .scan = lmdb_scan,
        .batch_begin = lmdb_batch_begin,
        .put = lmdb_put,
        .del = lmdb_del,
        .del_range = lmdb_del_range,
        .mark_put = lmdb_mark_put,
        .batch_commit = lmdb_batch_commit,
        .batch_abort = lmdb_batch_abort,
        .mark_get = lmdb_mark_get,
    };
    return (struct omap){.ops = &ops, .ctx = m};
}

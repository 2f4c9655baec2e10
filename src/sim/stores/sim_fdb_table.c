/* The simulated library's table: databases, options, writes, and what futures hold. */
#include "base/check.h"
#include "sim/stores/sim_fdb_internal.h"

#define TIMEOUT_MS_NONE 0
#define RETRY_DELAY_MS_MAX 1000
#define THAW_NS 60000

struct fdb_database *sim_fdb_database(struct sim_fdb *c, void *who)
{
    struct fdb_database *db = MEM_NEW(c->mem, struct fdb_database);
    db->c = c;
    db->who = who;
    db->timeout_ms = TIMEOUT_MS_NONE;
    db->retry_limit = UINT64_MAX;
    db->retry_delay_ms_max = RETRY_DELAY_MS_MAX;
    db->size_limit = SIM_FDB_TRANSACTION_MAX;
    db->watches_max = 10000;
    list_init(&db->transactions);
    list_init(&db->futures);
    c->databases++;
    return db;
}

void sim_fdb_database_kill(struct fdb_database *db)
{
    while (!list_empty(&db->futures))
        sim_future_free(LIST_ENTRY(db->futures.next, struct fdb_future, link));
    while (!list_empty(&db->transactions))
        sim_transaction_free(LIST_ENTRY(db->transactions.next, struct fdb_transaction, link));
    db->c->databases--;
    mem_free(db->c->mem, db);
}

void sim_fdb_database_cut(struct fdb_database *db, bool cut)
{
    db->cut = cut;
}

/* All of it within this, in any order. */
static void ring(struct fdb_database *db, bool *held, struct timer *t)
{
    if (*held)
        timer_start(t, sim_fdb_soon(db->c, THAW_NS));
    *held = false;
}

void sim_fdb_database_freeze(struct fdb_database *db, bool frozen)
{
    db->frozen = frozen;
    if (frozen)
        return;
    LIST_FOREACH(it, &db->futures)
    {
        struct fdb_future *f = LIST_ENTRY(it, struct fdb_future, link);
        ring(db, &f->held, &f->timer);
    }
    LIST_FOREACH(it, &db->transactions)
    {
        struct fdb_transaction *tr = LIST_ENTRY(it, struct fdb_transaction, link);
        ring(db, &tr->timeout_held, &tr->timeout);
        ring(db, &tr->version_held, &tr->version_timer);
        if (tr->commit)
            ring(db, &tr->commit->held, &tr->commit->timer);
    }
}

size_t sim_fdb_database_holds(const struct fdb_database *db)
{
    return db->future_count + db->transaction_count;
}

uint64_t sim_fdb_database_digest(const struct fdb_database *db)
{
    return db->digest;
}

static int database_set_option(struct fdb_database *db, int option, const uint8_t *value,
                               int length)
{
    uint64_t number = 0;
    CHECK(length == 8);
    for (int i = 0; i < 8; i++)
        number |= (uint64_t)value[i] << 8 * i;
    switch (option) {
    case FDB_OPTION_MAX_WATCHES:
        db->watches_max = number;
        return 0;
    case FDB_OPTION_TIMEOUT_MS:
        db->timeout_ms = number;
        return 0;
    case FDB_OPTION_RETRY_LIMIT:
        db->retry_limit = number;
        return 0;
    case FDB_OPTION_MAX_RETRY_DELAY_MS:
        db->retry_delay_ms_max = number;
        return 0;
    case FDB_OPTION_SIZE_LIMIT:
        db->size_limit = number;
        return 0;
    default:
        return 2007; /* invalid option */
    }
}

static void transaction_write(struct fdb_transaction *tr, enum store_write_kind kind,
                              struct bytes key, struct bytes value)
{
    CHECK(!tr->committing);
    if (tr->poison)
        return;
    bool range = kind == STORE_DELETE_RANGE;
    CHECK(!range || bytes_compare(key, value) <= 0); /* the real one ends the process */
    if (key.len > SIM_FDB_KEY_MAX || (range && value.len > SIM_FDB_KEY_MAX))
        tr->deferred = FDB_KEY_TOO_LARGE;
    else if (!range && value.len > SIM_FDB_VALUE_MAX)
        tr->deferred = FDB_VALUE_TOO_LARGE;
    else if (key.len > 0 && key.data[0] == 0xff)
        tr->deferred = FDB_KEY_OUTSIDE_LEGAL_RANGE;
    struct sim_item *item = sim_item_new(tr->db->c, key, value);
    item->write.kind = kind;
    list_append(&tr->writes, &item->link);
    tr->size += 3 * key.len + value.len;
}

static void transaction_set(struct fdb_transaction *tr, const uint8_t *key, int key_length,
                            const uint8_t *value, int value_length)
{
    transaction_write(tr, STORE_PUT, bytes_of(key, (size_t)key_length),
                      bytes_of(value, (size_t)value_length));
}

static void transaction_clear(struct fdb_transaction *tr, const uint8_t *key, int key_length)
{
    transaction_write(tr, STORE_DELETE, bytes_of(key, (size_t)key_length), bytes_of(NULL, 0));
}

static void transaction_clear_range(struct fdb_transaction *tr, const uint8_t *begin,
                                    int begin_length, const uint8_t *end, int end_length)
{
    transaction_write(tr, STORE_DELETE_RANGE, bytes_of(begin, (size_t)begin_length),
                      bytes_of(end, (size_t)end_length));
}

static int get_committed_version(struct fdb_transaction *tr, int64_t *out)
{
    *out = tr->committed_version;
    return 0;
}

static int future_is_ready(struct fdb_future *f)
{
    CHECK(!f->destroyed);
    return f->ready;
}

static int future_get_error(struct fdb_future *f)
{
    CHECK(!f->destroyed && f->ready);
    return f->error;
}

static int future_get_int64(struct fdb_future *f, int64_t *out)
{
    CHECK(f->op == OP_VERSION);
    *out = (int64_t)f->number;
    return future_get_error(f);
}

static int future_get_key(struct fdb_future *f, const uint8_t **key, int *length)
{
    CHECK(f->op == OP_STAMP);
    *key = f->value.data;
    *length = (int)f->value.len;
    return future_get_error(f);
}

static int future_get_value(struct fdb_future *f, int *present, const uint8_t **value, int *length)
{
    CHECK(f->op == OP_GET);
    *present = f->present;
    *value = f->value.data;
    *length = (int)f->value.len;
    return future_get_error(f);
}

static int future_get_keyvalue_array(struct fdb_future *f, const struct fdb_key_value **rows,
                                     int *count, int *more)
{
    CHECK(f->op == OP_RANGE);
    *rows = sim_future_rows(f);
    *count = (int)f->number;
    *more = f->more;
    return future_get_error(f);
}

const struct fdb_api *sim_fdb_api(void)
{
    static const struct fdb_api api = {
        .get_error = sim_fdb_error_text,
        .error_predicate = sim_fdb_error_predicate,
        .database_destroy = sim_fdb_database_kill,
        .database_set_option = database_set_option,
        .database_create_transaction = sim_transaction_new,
        .transaction_destroy = sim_transaction_destroy,
        .transaction_set_read_version = sim_transaction_set_read_version,
        .transaction_get_read_version = sim_transaction_get_read_version,
        .transaction_get = sim_transaction_get,
        .transaction_get_range = sim_transaction_get_range,
        .transaction_set = transaction_set,
        .transaction_clear = transaction_clear,
        .transaction_clear_range = transaction_clear_range,
        .transaction_watch = sim_transaction_watch,
        .transaction_commit = sim_transaction_commit,
        .transaction_get_committed_version = get_committed_version,
        .transaction_get_versionstamp = sim_transaction_get_versionstamp,
        .transaction_on_error = sim_transaction_on_error,
        .future_destroy = sim_future_destroy,
        .future_is_ready = future_is_ready,
        .future_set_callback = sim_future_set_callback,
        .future_get_error = future_get_error,
        .future_get_int64 = future_get_int64,
        .future_get_key = future_get_key,
        .future_get_value = future_get_value,
        .future_get_keyvalue_array = future_get_keyvalue_array,
    };
    return &api;
}

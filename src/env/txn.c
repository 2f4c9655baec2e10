#include "env/txn.h"

#include <stdarg.h>
#include <stdio.h>

#include "kelpie/error.h"

enum txn_state {
    TXN_IDLE,
    TXN_READING,
    TXN_COMMITTING,
    TXN_WAITING,   /* back-off */
    TXN_COMPLETING /* the timer will run `done` */
};

static void attempt_start(struct txn *t);

void txn_init(struct txn *t, const struct env *env, const char *action, rule_fn *rule,
              void *rule_arg, txn_fn *done, void *arg)
{
    memset(t, 0, offsetof(struct txn, reads));
    t->action = action;
    t->env = env;
    t->rule = rule;
    t->rule_arg = rule_arg;
    t->done = done;
    t->arg = arg;
    t->backoff_max_ns = TXN_BACKOFF_MAX_NS;
    t->read_count = 0;
    t->own_read_count = 0;
    buf_init(&t->keys, env->mem);
    buf_init(&t->scratch, env->mem);
    buf_init(&t->write_bytes, env->mem);
    t->writes = NULL;
    t->write_count = 0;
    t->write_cap = 0;
    t->state = TXN_IDLE;
    t->status = 0;
    t->unknown_pending = false;
    t->backoff_ns = TXN_BACKOFF_MIN_NS;
    list_init(&t->link);
}

/* Keys of reads are kept as offsets into t->keys until an attempt starts, because the buffer may
 * move while it grows. */
static struct bytes keep_key(struct txn *t, struct bytes key)
{
    size_t offset = t->keys.len;
    CHECK(key.len > 0 && key.len <= STORE_KEY_MAX);
    buf_append_bytes(&t->keys, key);
    return (struct bytes){.data = (const uint8_t *)NULL + offset, .len = key.len};
}

static size_t add_read(struct txn *t, struct bytes begin, struct bytes end, uint32_t limit,
                       bool snapshot)
{
    CHECK(t->read_count < STORE_READS_MAX);
    struct store_read *r = &t->reads[t->read_count];
    r->key = keep_key(t, begin);
    r->end = end.len ? keep_key(t, end) : bytes_of(NULL, 0);
    r->limit = limit;
    r->snapshot = snapshot;
    return t->read_count++;
}

size_t txn_read(struct txn *t, struct bytes key, bool snapshot)
{
    CHECK(t->state == TXN_IDLE);
    return add_read(t, key, bytes_of(NULL, 0), 0, snapshot);
}

size_t txn_read_range(struct txn *t, struct bytes begin, struct bytes end, uint32_t limit,
                      bool snapshot)
{
    CHECK(t->state == TXN_IDLE && end.len > 0);
    return add_read(t, begin, end, limit, snapshot);
}

#include "store/core.h"

#include "base/mutant.h"
#include "kelpie/error.h"
#include "store/store_limits.h"
#include "store/watch_table.h"

struct core {
    struct mem mem;
    struct omap map;
    struct recent recent;
    struct watch_table watches;
    struct list queue; /* struct core_commit, in order of arrival */
    struct list batch; /* those being validated, applied or completed */
    size_t queued;
    size_t watches_max;
    size_t batch_max;
    uint64_t version;
    uint64_t reserved; /* the map's mark: versions below it may be handed out */
    bool broken;
    bool flushing;
};

int core_new(struct mem mem, struct omap map, const struct core_options *options, struct core **out)
{
    static const struct core_options none;
    if (!options)
        options = &none;
    uint64_t mark;
    int err = map.ops->mark_get(map.ctx, &mark);
    if (err)
        return err;
    struct core *core = MEM_NEW(mem, struct core);
    core->mem = mem;
    core->map = map;
    /* Every version of earlier lives is below the mark, except the version that a life which
     * committed nothing began with: that is the mark, and its snapshot is still the same. */
    core->version = mark ? mark : 1;
    core->reserved = core->version;
    core->watches_max = options->watches_max ? options->watches_max : CORE_WATCHES_MAX;
    core->batch_max = options->batch_max ? options->batch_max : CORE_BATCH_MAX;
    list_init(&core->queue);
    list_init(&core->batch);
    recent_init(&core->recent, mem, options->recent_max ? options->recent_max : CORE_RECENT_MAX,
                core->version);
    watch_table_init(&core->watches, mem);
    *out = core;
    return 0;
}

void core_free(struct core *core)
{
    if (!core)
        return;
    CHECK(!core->flushing);
    while (list_pop(&core->queue))
        ;
    watch_table_deinit(&core->watches);
    recent_deinit(&core->recent);
    mem_free(core->mem, core);
}

uint64_t core_version(const struct core *core)
{
    return core->version;
}

bool core_broken(const struct core *core)
{
    return core->broken;
}

bool core_pending(const struct core *core)
{
    return !list_empty(&core->queue) || !list_empty(&core->watches.due);
}

/* ---- reading */

struct core_scan {
    const struct core_sink *sink;
    size_t index;
    size_t limit; /* of this read */
    size_t count; /* rows of this read */
    size_t rows;  /* of all reads */
    size_t bytes;
    bool over;
};

static bool core_scan_row(void *arg, struct bytes key, struct bytes value)
{
    struct core_scan *s = arg;
    if (++s->rows > STORE_ROWS_MAX || (s->bytes += key.len + value.len) > STORE_READ_BYTES_MAX) {
        s->over = true;
        return false;
    }
    s->sink->row(s->sink->arg, s->index, key, value);
    return ++s->count < s->limit;
}

static int core_read_one(struct core *core, const struct store_read *read, struct core_scan *s)
{
    s->count = 0;
    s->limit = read->limit ? read->limit : SIZE_MAX;
    if (read->end.len > 0)
        return core->map.ops->scan(core->map.ctx, read->key, read->end, core_scan_row, s);
    struct bytes value;
    int found = core->map.ops->get(core->map.ctx, read->key, &value);
    if (found > 0)
        core_scan_row(s, read->key, value);
    return found < 0 ? found : 0;
}

int core_read(struct core *core, const struct store_read *reads, size_t count,
              const struct core_sink *sink, uint64_t *version)
{
    if (core->broken)
        return KELPIE_E_STORE_UNAVAILABLE;
    int err = store_check_reads(reads, count);
    if (err)
        return err;
    err = core->map.ops->read_begin(core->map.ctx);
    if (err)
        return err;
    struct core_scan s = {.sink = sink};
    for (size_t i = 0; i < count && !err && !s.over; i++) {
        s.index = i;
        err = core_read_one(core, &reads[i], &s);
        if (!err && !s.over)
            sink->end(sink->arg, i, reads[i].end.len > 0 && s.count == s.limit);
    }
    core->map.ops->read_end(core->map.ctx);
    *version = core->version;
    return err ? err : s.over ? KELPIE_E_LIMIT : 0;
}

/* ---- committing */

size_t core_conflicts(const struct store_req *req, struct key_range *out)
{
    size_t n = 0;
    CHECK(req->read_count <= STORE_READS_MAX);
    for (size_t i = 0; i < req->read_count; i++) {
        const struct store_read *r = &req->reads[i];
        if (r->snapshot || (r->end.len && MUTANT("coreranges")))
            continue;
        struct key_range range = {.begin = r->key, .end = r->end};
        if (r->end.len == 0) {
            range.end = r->key;
            range.closed = true;
        } else if (bytes_compare(r->key, r->end) >= 0) {
            continue; /* nothing was read */
        } else if (req->results && req->results[i].more) {
            const struct store_result *res = &req->results[i];
            CHECK(res->count > 0);
            if (MUTANT("corelimited"))
                continue;
            range.end = res->rows[res->count - 1].key;
            range.closed = true;
        }
        out[n++] = range;
    }
    return n;
}

void core_enqueue(struct core *core, struct core_commit *commit)
{
    commit->status = store_check_writes(commit->writes, commit->write_count);
    if (!commit->status && core->queued >= CORE_QUEUE_MAX)
        commit->status = KELPIE_E_LIMIT;
    list_append(&core->queue, &commit->link);
    core->queued++;
}

void core_cancel(struct core *core, struct core_commit *commit)
{
    if (!commit->link.next || list_empty(&commit->link))
        return;
    CHECK(core->queued > 0);
    core->queued--;
    list_remove(&commit->link);
}

static int core_validate(const struct core *core, const struct core_commit *c)
{
    if (core->broken)
        return KELPIE_E_STORE_UNAVAILABLE;
    if (c->conflict_count == 0 || MUTANT("novalidate"))
        return 0;
    if (c->read_version < core->recent.base || c->read_version > core->version)
        return KELPIE_E_TOO_OLD;
    for (size_t i = 0; i < c->conflict_count; i++)
        if (recent_newer(&core->recent, &c->conflicts[i], c->read_version))
            return KELPIE_E_CONFLICT;
    return 0;
}

/* Notes the writes of a commit that passed, and returns their bytes. */
static size_t core_note(struct core *core, const struct core_commit *c)
{
    size_t bytes = 0;
    for (size_t i = 0; i < c->write_count; i++) {
        const struct store_write *w = &c->writes[i];
        if (w->kind != STORE_DELETE_RANGE)
            recent_add(&core->recent, w->key, c->version);
        else if (bytes_compare(w->key, w->value) < 0)
            recent_add_range(&core->recent, w->key, w->value, c->version);
        bytes += w->key.len + w->value.len;
    }
    return bytes;
}

static int core_apply_write(struct core *core, const struct store_write *w)
{
    const struct omap_ops *ops = core->map.ops;
    switch (w->kind) {
    case STORE_PUT:
        return ops->put(core->map.ctx, w->key, w->value);
    case STORE_DELETE:
        return ops->del(core->map.ctx, w->key);
    case STORE_DELETE_RANGE:
        break;
    }
    CHECK(w->kind == STORE_DELETE_RANGE);
    if (bytes_compare(w->key, w->value) >= 0)
        return 0;
    return ops->del_range(core->map.ctx, w->key, w->value);
}

/* All writes of the batch into the map, in one transaction of it. */
static int core_apply_once(struct core *core, uint64_t reserved)
{
    const struct omap_ops *ops = core->map.ops;
    int err = ops->batch_begin(core->map.ctx);
    if (err)
        return err;
    if (reserved > core->reserved)
        err = ops->mark_put(core->map.ctx, reserved);
    LIST_FOREACH(it, &core->batch)
    {
        const struct core_commit *c = LIST_ENTRY(it, struct core_commit, link);
        for (size_t i = 0; i < c->write_count && !err && !c->status; i++)
            err = core_apply_write(core, &c->writes[i]);
    }
    if (err) {
        ops->batch_abort(core->map.ctx);
        return err;
    }
    return ops->batch_commit(core->map.ctx);
}

static int core_apply(struct core *core, uint64_t last)
{
    uint64_t reserved = last < core->reserved ? core->reserved : last + CORE_VERSION_STEP;
    int err = KELPIE_E_LIMIT;
    for (int i = 0; i < CORE_GROW_MAX && err == KELPIE_E_LIMIT; i++)
        err = core_apply_once(core, reserved);
    if (!err)
        core->reserved = reserved;
    return err == KELPIE_E_LIMIT ? KELPIE_E_STORE_FULL : err;
}

static void core_touch_watches(struct core *core, const struct core_commit *c)
{
    if (core->watches.keys.count == 0)
        return;
    for (size_t i = 0; i < c->write_count; i++) {
        const struct store_write *w = &c->writes[i];
        if (w->kind == STORE_DELETE_RANGE)
            watch_table_touch_range(&core->watches, w->key, w->value);
        else
            watch_table_touch(&core->watches, w->key);
    }
}

/* The outcome of the batch reaches window, version and watches before any completion runs. */
static void core_settle(struct core *core, uint64_t last, int err)
{
    if (err == KELPIE_E_UNKNOWN_RESULT)
        core->broken = true;
    LIST_FOREACH(it, &core->batch)
    {
        struct core_commit *c = LIST_ENTRY(it, struct core_commit, link);
        if (c->status)
            continue;
        if (c->write_count == 0)
            c->version = err ? core->version : c->version; /* valid without the others too */
        else if (err)
            c->status = err;
        else
            core_touch_watches(core, c);
    }
    if (err) {
        recent_batch_drop(&core->recent);
    } else {
        recent_batch_keep(&core->recent);
        core->version = last;
    }
}

static size_t core_flush_batch(struct core *core)
{
    uint64_t last = core->version;
    size_t bytes = 0;
    bool writes = false;
    for (size_t n = 0; n < core->batch_max && bytes < CORE_BATCH_BYTES_MAX; n++) {
        struct list *item = list_pop(&core->queue);
        if (!item)
            break;
        struct core_commit *c = LIST_ENTRY(item, struct core_commit, link);
        list_append(&core->batch, item);
        if (!c->status)
            c->status = core_validate(core, c);
        if (c->status)
            continue;
        if (c->write_count > 0) {
            last++;
            writes = true;
        }
        c->version = last;
        bytes += core_note(core, c);
    }
    int err = writes ? core_apply(core, last) : 0;
    core_settle(core, last, err);

    size_t done = 0;
    struct list *item;
    while ((item = list_pop(&core->batch))) {
        struct core_commit *c = LIST_ENTRY(item, struct core_commit, link);
        core->queued--;
        done++;
        c->fn(c, c->status);
    }
    return done;
}

size_t core_flush(struct core *core)
{
    CHECK(!core->flushing);
    core->flushing = true;
    size_t done = 0;
    /* What completions queue waits for the next flush. */
    for (size_t turn = core->queued; turn > done;) {
        size_t n = core_flush_batch(core);
        if (n == 0)
            break;
        done += n;
    }
    watch_table_fire(&core->watches); /* likewise */
    struct core_watch *w;
    while ((w = watch_table_pop(&core->watches)))
        w->fn(w);
    core->flushing = false;
    return done;
}

/* ---- watching */

void core_watch(struct core *core, struct core_watch *w)
{
    const struct key_range range = {.begin = w->key, .end = w->key, .closed = true};
    bool due = core->broken || store_check_key(w->key) != 0 ||
               core->watches.count >= core->watches_max || w->since_version < core->recent.base ||
               w->since_version > core->version ||
               recent_newer(&core->recent, &range, w->since_version);
    watch_table_add(&core->watches, w, due);
}

void core_unwatch(struct core *core, struct core_watch *w)
{
    watch_table_remove(&core->watches, w);
}

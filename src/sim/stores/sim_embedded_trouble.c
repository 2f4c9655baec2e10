/* What befalls the store as a whole, its values, and those who commit just then. */
#include <stdlib.h>

#include "kelpie/error.h"
#include "sim/stores/sim_embedded.h"
#include "store/store_limits.h"

#define SET_BACK_BATCH 64     /* rows, at most */
#define LOOK_AGAIN_MS 40      /* while the store recovers */
#define RECOVERY_UNKNOWN_IN 8 /* commits that do not wait for its end but are given up */
#define REFUSED_IN 8          /* requests that a throttled store refuses */

static uint64_t below(struct embedded_store *s, uint64_t bound)
{
    return world_below(s->w, STREAM_LATER, bound);
}

uint64_t store_below_ms(struct embedded_store *s, uint64_t ms)
{
    return (1 + world_below(s->w, STREAM_STORE, ms)) * NS_PER_MS;
}

/* ---- requests that arrive */

static bool is_commit(const struct sim_msg *m)
{
    return m->stage == MSG_COMMIT;
}

static bool recovery_takes(struct embedded_store *s, struct sim_msg *m)
{
    unsigned kind = is_commit(m) ? STORE_RECOVERS : STORE_RECOVERS_READS;

    if (s->troubles[kind] == 0)
        return false;
    if (is_commit(m) && !m->made_wait && below(s, RECOVERY_UNKNOWN_IN) == 0) {
        store_answer(s, m, KELPIE_E_UNKNOWN_RESULT);
        return true;
    }
    if (!m->made_wait)
        m->stale = below(s, 2);
    m->made_wait = true;
    world_after(s->w, &m->event, (1 + below(s, LOOK_AGAIN_MS)) * NS_PER_MS);
    return true;
}

static bool throttle_takes(struct embedded_store *s, struct sim_msg *m)
{
    if (s->troubles[STORE_THROTTLES] == 0 || m->made_wait)
        return false;
    if (below(s, REFUSED_IN) == 0) {
        store_answer(s, m, KELPIE_E_STORE_UNAVAILABLE);
        return true;
    }
    m->made_wait = true;
    world_after(s->w, &m->event, (1 + below(s, s->w->config.throttle_ms_max)) * NS_PER_MS);
    return true;
}

bool store_trouble_takes(struct embedded_store *s, struct sim_msg *m)
{
    bool reads = m->commit.conflict_count > 0;

    if (recovery_takes(s, m) || throttle_takes(s, m))
        return true;
    if (!is_commit(m))
        return false;
    if (m->lost)
        store_answer(s, m, KELPIE_E_UNKNOWN_RESULT);
    else if (reads && m->stale)
        store_answer(s, m, KELPIE_E_TOO_OLD);
    else
        return false;
    return true;
}

/* ---- values */

/* One bit of one value, in what this one process is told. */
void store_trouble_corrupts(struct embedded_store *s, struct sim_msg *m)
{
    struct world *w = s->w;
    struct value_span span;
    size_t rows = s->values.len / sizeof span;

    if (!world_may_strike(w, FAULT_CORRUPTION, STREAM_LATER, w->config.corrupt_per_4096, 4096))
        return;
    if (rows == 0)
        return;
    memcpy(&span, s->values.data + below(s, rows) * sizeof span, sizeof span);
    if (span.len == 0)
        return;
    uint64_t bit = below(s, (uint64_t)span.len * 8);
    uint8_t *byte = m->answer.data + span.at + bit / 8;
    *byte = (uint8_t)(*byte ^ 1u << bit % 8);
    world_met(w, FAULT_CORRUPTION);
}

/* ---- those who commit */

void store_trouble_dooms(struct embedded_store *s, struct sim_msg *m)
{
    struct world *w = s->w;
    uint32_t rate = w->config.crash_per_1024;

    m->lost = m->p->mem.failed;
    if (m->lost || process_closing(m->p))
        return;
    if (world_fault(w, FAULT_CRASH_BEFORE, STREAM_LATER, rate, 1024)) {
        m->lost = true;
        process_doom(m->p, 0);
    } else if (world_fault(w, FAULT_CRASH_DURING, STREAM_LATER, rate, 1024)) {
        uint64_t us = w->config.store_delay_us + w->config.store_jitter_us;
        process_doom(m->p, below(s, 2000ull * us + 1));
    } else if (world_fault(w, FAULT_CRASH_AFTER, STREAM_LATER, rate, 1024)) {
        m->dooms = true;
    }
}

/* ---- the world's side */

static void trouble(struct world *w, enum store_trouble kind, bool on)
{
    CHECK(on || embedded_of(w)->troubles[kind] > 0);
    embedded_of(w)->troubles[kind] += on ? 1u : 0u - 1u;
}

void embedded_recovery(struct world *w, bool reads_too, bool on)
{
    trouble(w, STORE_RECOVERS, on);
    if (reads_too)
        trouble(w, STORE_RECOVERS_READS, on);
}

void embedded_throttle(struct world *w, bool on)
{
    trouble(w, STORE_THROTTLES, on);
}

void embedded_full(struct world *w, bool on)
{
    trouble(w, STORE_IS_FULL, on);
    embedded_of(w)->faulty.is_full = embedded_of(w)->troubles[STORE_IS_FULL] > 0;
}

void embedded_process(struct world *w, bool up)
{
    struct embedded_store *s = embedded_of(w);

    for (unsigned n = 0; n < w->config.nodes; n++)
        embedded_cut(w, n, !up);
    /* What is queued when it dies may have been applied, and nobody is told. */
    if (!up && below(s, 2))
        core_flush(s->core);
    if (!up)
        store_begin_again(s);
}

void embedded_cut(struct world *w, unsigned node, bool cut)
{
    CHECK(cut || embedded_of(w)->cuts[node] > 0);
    embedded_of(w)->cuts[node] += cut ? 1u : 0u - 1u;
    if (!cut)
        return;
    LIST_FOREACH(it, &w->processes)
    {
        struct process *p = LIST_ENTRY(it, struct process, link);
        if (p->node == node)
            link_breaks(p);
    }
}

void embedded_heal(struct world *w)
{
    memset(embedded_of(w)->cuts, 0, w->config.nodes * sizeof *embedded_of(w)->cuts);
}

/* ---- what no client does */

static const uint8_t last_key[] = {0xff};

void embedded_each(struct world *w, sim_row_fn *fn, void *arg)
{
    struct embedded_store *s = embedded_of(w);
    struct omap map = omap_memory_map(s->map);

    /* What is queued will be said to have landed: a copy without it would lose what was acknowledged. */
    while (core_pending(s->core))
        core_flush(s->core);
    CHECK(map.ops->read_begin(map.ctx) == 0);
    CHECK(map.ops->scan(map.ctx, bytes_of("", 0), bytes_of(last_key, 1), fn, arg) == 0);
    map.ops->read_end(map.ctx);
}

static void on_set_back(struct core_commit *commit, int status)
{
    CHECK(status == 0);
    *(bool *)commit->arg = true;
}

static void commit_blindly(struct embedded_store *s, const struct store_write *writes, size_t count)
{
    bool done = false;
    struct core_commit commit = {
        .writes = writes, .write_count = count, .fn = on_set_back, .arg = &done};

    core_enqueue(s->core, &commit);
    while (!done)
        core_flush(s->core);
}

/* As many of the rows as one commit takes. */
static size_t batch_of(const struct store_write *rows, size_t count)
{
    size_t n = count < SET_BACK_BATCH ? count : SET_BACK_BATCH;

    while (store_check_writes(rows, n))
        n--;
    CHECK(n > 0);
    return n;
}

void embedded_set_back(struct world *w, const struct store_write *rows, size_t count)
{
    struct embedded_store *s = embedded_of(w);
    const struct store_write all = {
        .kind = STORE_DELETE_RANGE, .key = bytes_of("", 0), .value = bytes_of(last_key, 1)};

    store_begin_again(s);
    s->faulty.calm = true;
    commit_blindly(s, &all, 1);
    for (size_t at = 0, n; at < count; at += n) {
        n = batch_of(rows + at, count - at);
        commit_blindly(s, rows + at, n);
    }
    s->faulty.calm = false;
    store_begin_again(s);
}

void embedded_flip(struct world *w, struct bytes key, size_t bit)
{
    struct omap map = omap_memory_map(embedded_of(w)->map);
    struct bytes value;

    CHECK(map.ops->read_begin(map.ctx) == 0);
    CHECK(map.ops->get(map.ctx, key, &value) == 1 && bit / 8 < value.len);
    uint8_t *copy = malloc(value.len);
    CHECK(copy);
    memcpy(copy, value.data, value.len);
    copy[bit / 8] = (uint8_t)(copy[bit / 8] ^ 1u << bit % 8);
    size_t len = value.len;
    map.ops->read_end(map.ctx);
    CHECK(map.ops->batch_begin(map.ctx) == 0);
    CHECK(map.ops->put(map.ctx, key, bytes_of(copy, len)) == 0);
    CHECK(map.ops->batch_commit(map.ctx) == 0);
    free(copy);
}

/*
 * DeathsAreBounded, InnocentRun, Forgiven: rows of blame beside an account of who died of what. The wall clocks of runs with
 * deadly actors are right, so what a row says of times is exact.
 */
#include "sim/workload/sim_deadly_link.h"
#include "sim/world/sim_process.h"

#define UNITS_MAX 60

static uint64_t unit_ms(const struct deadly *d)
{
    return d->w->config.timing.quarantine_ms;
}

static struct deadly *of(struct world *w, const struct key_parts *parts)
{
    unsigned n = (unsigned)(parts->id[0] - 'a');

    if (strcmp(parts->type, DEADLY_TYPE) != 0 || n >= w->deadlies->count)
        return NULL;
    return &w->deadlies->all[n];
}

static bool has(const struct uuid *list, uint32_t count, struct uuid boot)
{
    for (uint32_t i = 0; i < count && i < DEADLY_DEATHS_MAX; i++)
        if (uuid_equal(list[i], boot))
            return true;
    return false;
}

static void note(struct uuid *list, uint32_t *count, struct uuid boot)
{
    list[(*count)++ % DEADLY_DEATHS_MAX] = boot;
}

/* ---- rows */

static uint64_t quarantine_ms(const struct deadly *d, uint32_t deaths)
{
    uint64_t units = deaths < 8 ? 1ull << (deaths - 2) : UNITS_MAX;

    return (units < UNITS_MAX ? units : UNITS_MAX) * unit_ms(d);
}

static bool is_over(const struct deadly *d, uint64_t now_ms)
{
    uint64_t last = d->row.until_ms > d->row.died_ms ? d->row.until_ms : d->row.died_ms;

    return !d->blamed || now_ms > last + UNITS_MAX * unit_ms(d);
}

static void blamed(struct deadly *d, const struct poison_record *r)
{
    struct world *w = d->w;
    uint32_t deaths = is_over(d, r->died_ms) ? 1 : d->row.deaths + 1;
    uint64_t until_ms = deaths < 2 ? 0 : r->died_ms + quarantine_ms(d, deaths);

    (void)COMPARE(w, CHECK_INNOCENT, has(d->dead, d->deaths, r->boot),
                  "deadly/%c is blamed for the end of a process that did not die of it",
                  'a' + (int)d->number);
    (void)COMPARE(w, CHECK_DEATHS, r->deaths == deaths && r->until_ms == until_ms,
                  "deadly/%c died %u times, until %llu, and its row says %u, %llu",
                  'a' + (int)d->number, deaths, (unsigned long long)until_ms, r->deaths,
                  (unsigned long long)r->until_ms);
    note(d->counted, &d->counted_count, r->boot);
    d->blamed = true;
    d->row = *r;
    d->row_ns = w->now_ns;
    d->well = false;
}

static void forgiven(struct deadly *d)
{
    struct world *w = d->w;
    uint64_t now_ms = process_wall_ms(w);
    bool lifted = d->lifted_ns && w->now_ns - d->lifted_ns <= DEADLY_LIFT_MS * NS_PER_MS;

    (void)COMPARE(w, CHECK_FORGIVEN,
                  !d->blamed || lifted || is_over(d, now_ms) ||
                      now_ms >= d->row.died_ms + unit_ms(d),
                  "deadly/%c is forgiven %llu ms after it has ended a process",
                  'a' + (int)d->number, (unsigned long long)(now_ms - d->row.died_ms));
    d->blamed = false;
}

void deadlies_row(struct world *w, const struct key_parts *parts, const struct store_write *row,
                  struct buf *scratch)
{
    struct deadly *d = of(w, parts);
    struct poison_record r;

    if (parts->family == KEY_POISON)
        (void)COMPARE(w, CHECK_INNOCENT,
                      d && strcmp(parts->method, d->whole ? "" : DEADLY_DIES) == 0,
                      "%s/%s %s is blamed, which never ended a process", parts->type, parts->id,
                      parts->method);
    if (!d)
        return;
    if (parts->family == KEY_ACTOR)
        d->placed_ns = w->now_ns;
    if (parts->family != KEY_POISON)
        return;
    if (row->kind == STORE_DELETE)
        forgiven(d);
    else if (!poison_record_decode(row->key, row->value, scratch, &r))
        blamed(d, &r);
}

/* ---- what happens */

void deadlies_declared(struct world *w, const struct blame *b)
{
    struct key_parts parts = {.family = KEY_POISON};

    memcpy(parts.type, b->type, sizeof parts.type);
    memcpy(parts.id, b->id, sizeof parts.id);
    struct deadly *d = of(w, &parts);
    if (d)
        (void)COMPARE(w, CHECK_DEATHS, has(d->counted, d->counted_count, b->boot),
                      "deadly/%c ended a process that was declared dead, and nobody blames it",
                      'a' + (int)d->number);
}

bool deadly_may_run(struct deadly *d)
{
    uint64_t now_ms = process_wall_ms(d->w);
    /* Placed since, so its load has read the row. */
    bool knows = d->blamed && d->placed_ns > d->row_ns;

    return COMPARE(d->w, CHECK_DEATHS, !knows || now_ms >= d->row.until_ms,
                   "deadly/%c runs %llu ms before its quarantine is over", 'a' + (int)d->number,
                   (unsigned long long)(d->row.until_ms - now_ms));
}

void deadly_dies(struct deadly *d, struct uuid boot)
{
    note(d->dead, &d->deaths, boot);
}

void deadly_told_poisoned(struct deadly *d, bool innocent)
{
    (void)COMPARE(d->w, CHECK_INNOCENT, !innocent && d->counted_count > 1,
                  "deadly/%c: %s is poisoned after %u deaths", 'a' + (int)d->number,
                  innocent ? DEADLY_LIVES : DEADLY_DIES, d->counted_count);
}

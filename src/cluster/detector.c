#include "cluster/detector.h"

#include "base/mark.h"
#include "base/mutant.h"

void detector_init(struct detector *d, struct mem mem, const struct timing *timing)
{
    *d = (struct detector){.mem = mem,
                           .window_ns = timing_window_ns(timing),
                           .gap_max_ns = timing_lease_ns(timing) / 2};
    if (MUTANT("untimely"))
        d->window_ns = timing_lease_ns(timing) / 4;
    map_init(&d->seen);
}

void detector_clear(struct detector *d)
{
    struct map_node *n;
    while ((n = map_first(&d->seen))) {
        map_remove(&d->seen, n);
        mem_free(d->mem, MAP_ENTRY(n, struct sighting, node));
    }
}

void detector_retain(struct detector *d, bool (*keep)(void *arg, const char *node_id), void *arg)
{
    struct map_node *n = map_first(&d->seen);
    while (n) {
        struct sighting *s = MAP_ENTRY(n, struct sighting, node);
        n = map_next(n);
        if (keep(arg, s->node_id))
            continue;
        map_remove(&d->seen, &s->node);
        mem_free(d->mem, s);
    }
}

void detector_deinit(struct detector *d)
{
    detector_clear(d);
}

void detector_cover(struct detector *d, uint64_t now_ns)
{
    if (d->cover_last_ns == 0 || (now_ns - d->cover_last_ns > d->gap_max_ns && !MUTANT("outage"))) {
        if (d->cover_last_ns)
            SOMETIMES("window-restarted-by-a-gap");
        d->cover_since_ns = now_ns;
    }
    d->cover_last_ns = now_ns;
}

static struct sighting *find(const struct detector *d, const char *node_id)
{
    return MAP_ENTRY(map_find(&d->seen, bytes_of_str(node_id)), struct sighting, node);
}

const struct sighting *detector_find(const struct detector *d, const char *node_id)
{
    return find(d, node_id);
}

static bool same_life(const struct heartbeat_record *a, const struct heartbeat_record *b)
{
    return a->incarnation == b->incarnation && uuid_equal(a->boot, b->boot);
}

bool detector_see(struct detector *d, const char *node_id, const struct heartbeat_record *record,
                  uint64_t read_version, uint64_t now_ns)
{
    struct sighting *s = find(d, node_id);
    if (s && read_version < s->read_version) {
        SOMETIMES("sighting-overtaken");
        return false;
    }
    if (s && same_life(&s->record, record) && s->record.counter == record->counter) {
        s->record = *record;
        s->read_version = read_version;
        s->looked_ns = now_ns;
        return false;
    }
    if (!s && d->seen.count >= SIGHTINGS_MAX)
        return false; /* more rows than there can be nodes: these are not watched */
    if (!s) {
        s = MEM_NEW(d->mem, struct sighting);
        memcpy(s->node_id, node_id, strlen(node_id) + 1);
        (void)map_insert(&d->seen, &s->node, bytes_of_str(s->node_id));
    } else if (same_life(&s->record, record) && !record->damaged) {
        s->moves++;
    } else {
        s->moves = 0;
        s->lease_ms = 0;
    }
    s->record = *record;
    if (s->first_seen_ns == 0 || !MUTANT("onewindow"))
        s->first_seen_ns = now_ns;
    s->looked_ns = now_ns;
    s->read_version = read_version;
    return true;
}

static bool is_of(const struct sighting *s, const struct life *life)
{
    /* A damaged row names no life, and it is of the one that has not written it anew. */
    return s && (s->record.damaged || (s->record.incarnation == life->incarnation &&
                                       uuid_equal(s->record.boot, life->boot)));
}

void detector_lease(struct detector *d, const struct life *life, uint32_t lease_ms)
{
    struct sighting *s = find(d, life->node_id);
    if (is_of(s, life))
        s->lease_ms = lease_ms;
}

/* When the window of that sighting begins, and how long it is. */
static uint64_t window_start(const struct detector *d, const struct sighting *s)
{
    return s->first_seen_ns > d->cover_since_ns ? s->first_seen_ns : d->cover_since_ns;
}

static uint64_t window_length(const struct detector *d, const struct sighting *s)
{
    uint64_t own = window_of_lease_ns(s->lease_ms);
    return own > d->window_ns && !MUTANT("untimely") ? own : d->window_ns;
}

bool detector_silent(const struct detector *d, const struct life *life, struct silence *out)
{
    const struct sighting *s = find(d, life->node_id);
    if (!is_of(s, life) || s->lease_ms == 0)
        return false;
    uint64_t from = window_start(d, s);
    if (d->cover_last_ns < from || d->cover_last_ns - from < window_length(d, s))
        return false;
    *out =
        (struct silence){.life = *life, .counter = s->record.counter, .damaged = s->record.damaged};
    return true;
}

bool detector_unmoved(const struct detector *d, const struct life *life, uint64_t *ns)
{
    const struct sighting *s = find(d, life->node_id);
    if (!is_of(s, life))
        return false;
    uint64_t from = window_start(d, s);
    uint64_t until = s->looked_ns < d->cover_last_ns ? s->looked_ns : d->cover_last_ns;
    *ns = until > from ? until - from : 0;
    return true;
}

uint64_t detector_window_ns(const struct detector *d, const char *node_id)
{
    const struct sighting *s = find(d, node_id);
    return s ? window_length(d, s) : d->window_ns;
}

uint64_t detector_window_end_ns(const struct detector *d, const char *node_id)
{
    const struct sighting *s = find(d, node_id);
    return s ? window_start(d, s) + window_length(d, s) : 0;
}

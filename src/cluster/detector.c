#include "cluster/detector.h"

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

void detector_deinit(struct detector *d)
{
    detector_clear(d);
}

void detector_cover(struct detector *d, uint64_t now_ns)
{
    if (d->cover_last_ns == 0 || now_ns - d->cover_last_ns > d->gap_max_ns)
        d->cover_since_ns = now_ns;
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
    if (s && read_version < s->read_version)
        return false;
    if (s && same_life(&s->record, record) && s->record.counter == record->counter) {
        s->record = *record;
        s->read_version = read_version;
        return false;
    }
    if (!s) {
        CHECK(d->seen.count < 2 * NODES_MAX);
        s = MEM_NEW(d->mem, struct sighting);
        memcpy(s->node_id, node_id, strlen(node_id) + 1);
        (void)map_insert(&d->seen, &s->node, bytes_of_str(s->node_id));
    } else {
        s->moves = same_life(&s->record, record) ? s->moves + 1 : 0;
    }
    s->record = *record;
    s->first_seen_ns = now_ns;
    s->read_version = read_version;
    return true;
}

bool detector_silent(const struct detector *d, const struct life *life, struct silence *out)
{
    const struct sighting *s = find(d, life->node_id);
    if (!s || s->record.incarnation != life->incarnation ||
        !uuid_equal(s->record.boot, life->boot))
        return false;
    uint64_t from = s->first_seen_ns > d->cover_since_ns ? s->first_seen_ns : d->cover_since_ns;
    if (d->cover_last_ns < from || d->cover_last_ns - from < d->window_ns)
        return false;
    *out = (struct silence){.life = *life, .counter = s->record.counter};
    return true;
}

uint64_t detector_window_end_ns(const struct detector *d, const char *node_id)
{
    const struct sighting *s = find(d, node_id);
    if (!s)
        return 0;
    uint64_t from = s->first_seen_ns > d->cover_since_ns ? s->first_seen_ns : d->cover_since_ns;
    return from + d->window_ns;
}

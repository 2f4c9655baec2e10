/*
 * The wall clock by which messages are due (docs/adr/0018-messages.md). Heartbeats say what their node's wall
 * clock was; a node whose own is far from the median of some others' goes by that.
 */
#include "actor/activation.h"
#include "base/mark.h"
#include "base/mutant.h"

uint64_t actors_wall_ms(const struct actors *a)
{
    return clock_wall_ms(a->env->clock) + (uint64_t)a->wall.apart_ms;
}

/* What it said last was true long ago: one that has died stays in the view until somebody declares it failed. */
static bool is_old(const struct actors *a, const struct member *m)
{
    uint64_t ns;
    bool silent;

    (void)cluster_unmoved(a->cluster, m->node_id, m->incarnation, m->boot, &ns, &silent);
    return silent || ns >= WALL_APART_MS * NS_PER_MS;
}

/* Those behind this node in the view. */
void wall_ask(struct actors *a, struct txn *t)
{
    const struct view *view = cluster_view(a->cluster);
    const char *self = cluster_config_of(a->cluster)->node_id;
    size_t at = 0;

    while (at < view->count && strcmp(view->members[at].node_id, self) <= 0)
        at++;
    a->wall.asked = 0;
    for (size_t i = 0; i < view->count && a->wall.asked < WALL_PEERS; i++) {
        const struct member *m = &view->members[(at + i) % view->count];
        if (strcmp(m->node_id, self) == 0 || is_old(a, m))
            continue;
        struct key key = key_heartbeat(a->ks, m->node_id);
        a->wall.of[a->wall.asked++] = (struct wall_peer){.key = key, .boot = m->boot};
        (void)txn_read(t, key_bytes(&key), true);
    }
}

int64_t wall_median(int64_t *apart, size_t count)
{
    CHECK(count > 0);
    for (size_t i = 1; i < count; i++) {
        int64_t v = apart[i];
        size_t k = i;
        for (; k > 0 && apart[k - 1] > v; k--)
            apart[k] = apart[k - 1];
        apart[k] = v;
    }
    return apart[(count - 1) / 2];
}

void wall_take(struct actors *a, const struct txn *t, size_t first)
{
    int64_t apart[WALL_PEERS + 1] = {0}; /* this node from itself */
    int64_t own = (int64_t)clock_wall_ms(a->env->clock), median;
    int64_t slack = WALL_APART_MS + 2 * (int64_t)cluster_config_of(a->cluster)->timing.heartbeat_ms;
    bool was = a->wall.apart_ms != 0, is;
    size_t count = 1;
    struct buf scratch;

    buf_init(&scratch, a->env->mem);
    for (size_t i = 0; i < a->wall.asked; i++) {
        const struct wall_peer *p = &a->wall.of[i];
        struct heartbeat_record h;
        struct bytes value;
        buf_clear(&scratch);
        if (rule_row(t, first + i, &value) &&
            heartbeat_record_decode(key_bytes(&p->key), value, &scratch, &h) == 0 &&
            uuid_equal(h.boot, p->boot) && h.wall_ms > 0)
            apart[count++] = (int64_t)h.wall_ms - own;
    }
    buf_deinit(&scratch);
    /* Of two, the one that is behind. */
    median = wall_median(apart, count);
    is = (median > slack || median < -slack) && !MUTANT("ownwall");
    a->wall.apart_ms = is ? median : 0;
    if (is)
        SOMETIMES("wall-clock-apart");
    if (is && !was)
        cluster_tell(a->cluster, LOG_WARN, "wall_clock_apart", "ms=%lld", (long long)-median);
}

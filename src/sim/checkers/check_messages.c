/*
 * Messages between actors, by their rows: the commit in which a post has applied one deletes its row, and
 * the other way round (MessageOnce); none of a sender is applied before one that it sent earlier
 * (OrderKept); and in the calm nothing lies that is due (NothingDueIsLost).
 */
#include <stdio.h>

#include "sim/workload/sim_posts_link.h"
#include "sim/world/sim_host_link.h"

static struct mem mem_of(struct posts *ps)
{
    return sim_mem_of(&ps->mem);
}

static bool is_post(const struct world *w, const struct key_parts *parts)
{
    return w->posts && strcmp(parts->type, sim_class_post.type) == 0 && parts->id[0] >= 'a' &&
           parts->id[0] < 'a' + SIM_POSTS_MAX && !parts->id[1];
}

static struct message_at at_of(const struct key_parts *parts)
{
    return (struct message_at){.due_ms = parts->due_ms,
                               .sender = parts->hash,
                               .generation = parts->generation,
                               .number = parts->number};
}

static bool same_message(const struct message_at *a, const struct message_at *b)
{
    return uuid_equal(a->sender, b->sender) && a->generation == b->generation &&
           a->number == b->number;
}

/* One that this commit has deleted, or is about to replace in its place. */
static struct post_row *find_gone(const struct post_change *c, const struct message_at *at)
{
    LIST_FOREACH(l, &c->gone)
    {
        struct post_row *r = LIST_ENTRY(l, struct post_row, link);
        if (same_message(&r->at, at))
            return r;
    }
    return NULL;
}

static void delete_row(struct posts *ps, struct bytes key)
{
    struct map_node *n = map_find(&ps->rows, key);
    struct post_row *r = MAP_ENTRY(n, struct post_row, node);

    if (!r)
        return;
    map_remove(&ps->rows, n);
    list_append(&ps->changes[r->post].gone, &r->link);
}

/* The same message again: it waits still, and was not applied; unless that was one of a period. */
static void note_again(struct posts *ps, unsigned post, const struct post_row *r,
                       const struct message_record *m)
{
    struct post_change *c = &ps->changes[post];
    const struct post_row *before = find_gone(c, &r->at);

    if (before && (m->again_ms > 0 || m->tried > 0))
        c->again++;
    if (!before && r->at.due_ms == 0 && strcmp(m->method, "hop") == 0)
        ps->changes[m->sender_id[0] - 'a'].hops++;
}

static void put_row(struct posts *ps, const struct key_parts *parts, const struct store_write *w,
                    const struct message_record *m)
{
    struct post_row *r = MEM_NEW(mem_of(ps), struct post_row);

    delete_row(ps, w->key);
    r->post = (unsigned)(parts->id[0] - 'a');
    r->at = at_of(parts);
    r->key_len = w->key.len;
    memcpy(r->key, w->key.data, w->key.len);
    list_init(&r->link);
    CHECK(!map_insert(&ps->rows, &r->node, bytes_of(r->key, r->key_len)));
    note_again(ps, r->post, r, m);
}

static void put_dead(struct posts *ps, const struct key_parts *parts,
                     const struct message_record *m)
{
    unsigned post = (unsigned)(parts->id[0] - 'a');
    const struct message_at at = at_of(parts);

    ps->dead_ticks[post] += m->every_ms > 0;
    ps->changes[post].dead += find_gone(&ps->changes[post], &at) != NULL;
}

void posts_row(struct world *w, const struct key_parts *parts, const struct store_write *row,
               struct buf *scratch)
{
    struct posts *ps = w->posts;
    struct message_record m;

    if (!is_post(w, parts))
        return;
    if (parts->family == KEY_HEAD)
        ps->changes[parts->id[0] - 'a'].commits = true;
    if (parts->family != KEY_INBOX && parts->family != KEY_LATER && parts->family != KEY_DEAD)
        return;
    if (row->kind == STORE_DELETE) {
        delete_row(ps, row->key);
        return;
    }
    if (row->kind != STORE_PUT || message_record_decode(row->key, row->value, scratch, &m))
        return;
    if (parts->family == KEY_DEAD)
        put_dead(ps, parts, &m);
    else
        put_row(ps, parts, row, &m);
}

static uint64_t number_of(struct bytes value)
{
    uint64_t n = 0;

    for (size_t i = 0; i < value.len; i++)
        n = n * 10 + (uint64_t)(value.data[i] - '0');
    return n;
}

void posts_state(struct world *w, const struct key_parts *parts, struct bytes value)
{
    struct post_change *c;

    if (!is_post(w, parts))
        return;
    if (parts->state_key_len == 2 && parts->state_key[0] == 's') {
        w->posts->changes[parts->id[0] - 'a'].says[parts->state_key[1] - 'a'] = number_of(value);
        return;
    }
    if (!bytes_equal(bytes_of(parts->state_key, parts->state_key_len), bytes_of_str(POST_COUNT)))
        return;
    c = &w->posts->changes[parts->id[0] - 'a'];
    c->counted = true;
    c->count = number_of(value);
}

/* None that its sender sent before lies still. */
static void check_order(struct posts *ps, const struct post_row *gone)
{
    struct map_node *n;
    const struct post_row *first;

    if (gone->at.due_ms > 0)
        return;
    /* The keys of one sender's are those with the same beginning: its number is behind it. */
    n = map_lower_bound(&ps->rows, bytes_of(gone->key, 1));
    for (; n; n = map_next(n)) {
        first = MAP_ENTRY(n, const struct post_row, node);
        if (first->post != gone->post || first->at.due_ms > 0 ||
            !uuid_equal(first->at.sender, gone->at.sender))
            continue;
        (void)COMPARE(ps->w, CHECK_ORDER_KEPT,
                      bytes_compare(first->node.key, bytes_of(gone->key, gone->key_len)) >= 0,
                      "post/%c has applied a message, and one that the same actor sent it before "
                      "lies still",
                      'a' + (int)gone->post);
        return;
    }
}

/* Whatever it counts as sent lies in an inbox. */
static void check_sent(struct posts *ps, unsigned post)
{
    const struct post_change *c = &ps->changes[post];
    uint64_t sent = 0;

    for (unsigned i = 0; i < SIM_POSTS_MAX; i++) {
        if (!c->says[i])
            continue;
        sent += c->says[i] - ps->sent[post][i];
        ps->sent[post][i] = c->says[i];
    }
    if (c->commits && !ps->fresh)
        (void)COMPARE(ps->w, CHECK_MESSAGE_ONCE, sent == c->hops,
                      "post/%c counts %llu messages as sent in a commit that puts %llu rows",
                      'a' + (int)post, (unsigned long long)sent, (unsigned long long)c->hops);
}

static void check_change(struct posts *ps, unsigned post)
{
    struct post_change *c = &ps->changes[post];
    uint64_t gone = 0, applied;
    struct list *l;

    LIST_FOREACH(it, &c->gone)
    {
        gone++;
    }
    applied = gone - c->dead - c->again;
    /* What another's commit deletes was replaced or withdrawn. */
    if (c->commits && !ps->fresh)
        (void)COMPARE(
            ps->w, CHECK_MESSAGE_ONCE,
            (c->counted ? c->count : ps->counts[post]) == ps->counts[post] + applied,
            "post/%c has applied %llu messages in a commit that deletes %llu of its rows",
            'a' + (int)post,
            (unsigned long long)((c->counted ? c->count : ps->counts[post]) - ps->counts[post]),
            (unsigned long long)applied);
    if (c->counted)
        ps->counts[post] = c->count;
    check_sent(ps, post);
    while ((l = list_pop(&c->gone))) {
        struct post_row *r = LIST_ENTRY(l, struct post_row, link);
        ps->moved |= r->at.due_ms == 0 && !map_find(&ps->rows, bytes_of(r->key, r->key_len));
        if (c->commits && !ps->fresh)
            check_order(ps, r);
        mem_free(mem_of(ps), r);
    }
    *c = (struct post_change){.commits = false};
    list_init(&c->gone);
}

void posts_commit(struct world *w)
{
    for (unsigned i = 0; w->posts && i < w->config.posts; i++)
        check_change(w->posts, i);
    if (w->posts)
        w->posts->fresh = false;
}

void posts_set_back(struct world *w)
{
    struct posts *ps = w->posts;
    struct map_node *n;

    if (!ps)
        return;
    while ((n = map_first(&ps->rows))) {
        map_remove(&ps->rows, n);
        mem_free(mem_of(ps), MAP_ENTRY(n, struct post_row, node));
    }
    memset(ps->counts, 0, sizeof ps->counts);
    memset(ps->sent, 0, sizeof ps->sent);
    ps->fresh = true;
}

/* The median of the nodes' wall clocks, of two that which is behind. */
uint64_t check_median_wall_ms(struct world *w)
{
    uint64_t walls[SIM_NODES_MAX * SIM_SLOTS];
    size_t count = 0;

    LIST_FOREACH(it, &w->processes)
    {
        const struct process *p = LIST_ENTRY(it, const struct process, link);
        if (p->slot == SIM_SLOT_SUPERVISOR || count == ARRAY_LEN(walls))
            continue;
        uint64_t now = clock_wall_ms(p->env.clock);
        size_t k = count++;
        for (; k > 0 && walls[k - 1] > now; k--)
            walls[k] = walls[k - 1];
        walls[k] = now;
    }
    return count ? walls[(count - 1) / 2] : 0;
}

bool posts_settled(struct world *w, char *why, size_t why_size)
{
    uint64_t now = check_median_wall_ms(w);

    for (struct map_node *n = map_first(&w->posts->rows); n; n = map_next(n)) {
        const struct post_row *r = MAP_ENTRY(n, const struct post_row, node);
        if (r->at.due_ms + POST_LATE_MS > now)
            continue;
        (void)snprintf(why, why_size, "a message for post/%c lies still", 'a' + (int)r->post);
        return false;
    }
    return true;
}

/*
 * Dead letters count in the bound of a receiver, and nobody drops them here: one that is full may stay so. Who
 * would send it more then fails MESSAGE_ATTEMPTS_MAX times, which takes 7 s, and those of its sender that are
 * behind it wait; so a full inbox may empty itself by one message in 7 s, and all of it has no bound of use. What
 * is bounded is the time from one to the next: what is lost moves nothing, and those in order are so many and
 * no more, since none asks for new ones and each hop has one hop less to go (periods have a time, and send nothing).
 */
bool posts_moved(struct world *w, char *why, size_t why_size)
{
    bool moved = w->posts->moved && w->config.waiting > 0;

    w->posts->moved = false;
    return posts_settled(w, why, why_size) || moved;
}

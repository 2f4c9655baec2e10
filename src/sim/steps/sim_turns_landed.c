/* What lands: rows of the actor, and its placement. */
#include "sim/steps/sim_turns_link.h"
#include "sim/stores/sim_store.h"

static bool in_range(const struct store_write *w, struct bytes key)
{
    return bytes_compare(key, w->key) >= 0 && bytes_compare(key, w->value) < 0;
}

/* Rows of requests that this write takes away. */
static void forget(struct turns *t, struct turn_line *l, const struct store_write *w)
{
    for (struct turn_id *id = t->ids; id; id = id->next) {
        struct bytes key = key_bytes(&id->key);
        bool gone = w->kind == STORE_DELETE ? bytes_equal(w->key, key)
                                            : w->kind == STORE_DELETE_RANGE && in_range(w, key);
        if (!id->remembered || !gone)
            continue;
        id->remembered = false;
        turn_pair_add(t, l, id->number, 0);
    }
}

static void remember(struct turns *t, struct turn_line *l, const struct store_write *w)
{
    struct remembered_record r;
    struct turn_id *id;

    buf_clear(&t->scratch);
    if (remembered_record_decode(w->key, w->value, &t->scratch, &r))
        return;
    id = turn_id_of(t, r.request_id);
    id->remembered = true;
    CHECK(w->key.len <= sizeof id->key.data);
    id->key.len = w->key.len;
    memcpy(id->key.data, w->key.data, w->key.len);
    turn_pair_add(t, l, id->number, 1);
}

static bool is_ours(const struct turns *t, const struct store_write *w, struct key_parts *parts)
{
    return w->kind == STORE_PUT && key_parse(&t->w->shadow->ks, w->key, parts) == 0 &&
           strcmp(parts->type, t->type) == 0 && strcmp(parts->id, t->id) == 0;
}

/* The head row as this commit leaves it; false: it does not touch it. */
static bool head_of(struct turns *t, const struct commit_seen *seen, struct head_record *out,
                    bool *struck)
{
    struct key head = key_head(&t->w->shadow->ks, t->type, t->id);
    struct key_parts parts;
    bool touched = false;

    for (size_t i = 0; i < seen->write_count; i++) {
        const struct store_write *w = &seen->writes[i];
        if (w->kind == STORE_DELETE_RANGE && in_range(w, key_bytes(&head)))
            touched = *struck = true;
        if (!is_ours(t, w, &parts) || parts.family != KEY_HEAD)
            continue;
        buf_clear(&t->scratch);
        if (head_record_decode(w->key, w->value, &t->scratch, out))
            continue;
        touched = true;
        *struck = false;
    }
    return touched;
}

static void on_head(struct turns *t, const struct commit_seen *seen)
{
    struct head_record head = {0};
    bool struck = false;
    struct key_parts parts;

    if (!head_of(t, seen, &head, &struck))
        return;
    bool swept = seen->action && strcmp(seen->action, "SweepActor") == 0;
    struct turn_line *l = turn_add(t,
                                   struck  ? TURN_Strike
                                   : swept ? TURN_Forget
                                           : TURN_Land,
                                   struck ? 0 : shadow_generation(t->actor, head.generation));
    l->commit = head.number;
    l->own_ms = head.own_ms;
    l->horizon_ms = head.horizon_ms;
    for (size_t i = 0; i < seen->write_count; i++) {
        const struct store_write *w = &seen->writes[i];
        forget(t, l, w);
        if (is_ours(t, w, &parts) && parts.family == KEY_REMEMBERED)
            remember(t, l, w);
    }
}

/* One generation more may be another node's, or the same one's. */
static void on_place(struct turns *t)
{
    const struct placement_record *r = &t->actor->place;
    uint32_t generation = shadow_generation(t->actor, r->generation);
    bool anew = generation > t->generation;

    if (t->placed && (anew || !r->placed))
        (void)turn_add(t, TURN_Void, t->generation);
    if (t->placed && !anew && !r->placed)
        (void)turn_add(t, TURN_Look, t->generation);
    t->placed = t->placed && !anew && r->placed;
    if (!anew || !r->placed)
        return;
    t->generation = generation;
    t->placed = true;
    (void)turn_add(t, TURN_Grant, generation);
}

void turns_on_commit(struct world *w, const struct shadow_change *change)
{
    struct turns *t = w->turns;

    on_head(t, change->seen);
    on_place(t);
}

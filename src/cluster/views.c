#include "cluster/views.h"

#include "cluster/rules.h"

void view_init(struct view *v)
{
    *v = (struct view){0};
}

void view_clear(struct view *v, struct mem mem)
{
    mem_free(mem, v->members);
    view_init(v);
}

void view_copy(struct view *to, const struct view *from, struct mem mem)
{
    view_clear(to, mem);
    to->number = from->number;
    to->count = from->count;
    if (from->count)
        to->members = mem_dup(mem, from->members, from->count * sizeof(*from->members));
}

/* The position of the first member whose id is not below `node_id`. */
static size_t position(const struct view *v, const char *node_id)
{
    size_t lo = 0, hi = v->count;
    while (lo < hi) {
        size_t mid = lo + (hi - lo) / 2;
        if (strcmp(v->members[mid].node_id, node_id) < 0)
            lo = mid + 1;
        else
            hi = mid;
    }
    return lo;
}

const struct member *view_find(const struct view *v, const char *node_id)
{
    size_t i = position(v, node_id);
    return i < v->count && strcmp(v->members[i].node_id, node_id) == 0 ? &v->members[i] : NULL;
}

const struct member *view_next(const struct view *v, size_t *at, const char *node_id)
{
    int order = -1;
    while (*at < v->count && (order = strcmp(v->members[*at].node_id, node_id)) < 0)
        (*at)++;
    return *at < v->count && order == 0 ? &v->members[*at] : NULL;
}

void view_add(struct view *v, const struct member *m, struct mem mem)
{
    size_t i = position(v, m->node_id);
    if (i < v->count && strcmp(v->members[i].node_id, m->node_id) == 0) {
        v->members[i] = *m;
        return;
    }
    CHECK(v->count < NODES_MAX);
    v->members = mem_resize(mem, v->members, (v->count + 1) * sizeof(*v->members));
    memmove(&v->members[i + 1], &v->members[i], (v->count - i) * sizeof(*v->members));
    v->members[i] = *m;
    v->count++;
}

void view_remove(struct view *v, const char *node_id)
{
    size_t i = position(v, node_id);
    if (i >= v->count || strcmp(v->members[i].node_id, node_id) != 0)
        return;
    v->count--;
    memmove(&v->members[i], &v->members[i + 1], (v->count - i) * sizeof(*v->members));
}

bool view_matches(const struct view *v, const struct view_record *r)
{
    uint64_t hash_hi = 0, hash_lo = 0;
    for (size_t i = 0; i < v->count; i++) {
        uint64_t hi, lo;
        member_hash(v->members[i].node_id, v->members[i].incarnation, &hi, &lo);
        hash_hi += hi;
        hash_lo += lo;
    }
    return v->count == r->count && hash_hi == r->hash_hi && hash_lo == r->hash_lo;
}

#include "registry/directory.h"

#include "base/mark.h"

struct entry {
    struct map_node node;
    struct list link;
    uint64_t epoch;
    struct placement placement;
    size_t name_len;
    char name[];
};

struct actor_name actor_name_of(const char *type, const char *id)
{
    struct actor_name n;
    size_t type_len = strlen(type), id_len = strlen(id);

    CHECK(type_len <= ACTOR_TYPE_MAX && id_len <= ACTOR_ID_MAX);
    memcpy(n.data, type, type_len + 1);
    memcpy(n.data + type_len + 1, id, id_len);
    n.len = type_len + 1 + id_len;
    return n;
}

void directory_init(struct directory *d, struct mem mem, size_t max)
{
    CHECK(max > 0);
    *d = (struct directory){.mem = mem, .max = max};
    map_init(&d->entries);
    list_init(&d->lru);
}

static void drop(struct directory *d, struct entry *e)
{
    map_remove(&d->entries, &e->node);
    list_remove(&e->link);
    mem_free(d->mem, e);
}

void directory_clear(struct directory *d)
{
    while (!list_empty(&d->lru))
        drop(d, LIST_ENTRY(d->lru.next, struct entry, link));
}

void directory_deinit(struct directory *d)
{
    directory_clear(d);
}

static struct entry *find(const struct directory *d, const char *type, const char *id)
{
    struct actor_name name = actor_name_of(type, id);

    return MAP_ENTRY(map_find(&d->entries, actor_name_bytes(&name)), struct entry, node);
}

void directory_learn(struct directory *d, const char *type, const char *id,
                     const struct placement *p)
{
    struct actor_name name = actor_name_of(type, id);
    struct entry *e = find(d, type, id);

    if (e && e->placement.record.generation > p->record.generation)
        return;
    if (!p->record.placed || !p->addr[0]) {
        if (e && (!p->record.placed || e->placement.record.generation < p->record.generation))
            drop(d, e);
        return;
    }
    if (!e) {
        CHECK(d->entries.count <= d->max);
        if (d->entries.count >= d->max)
            drop(d, LIST_ENTRY(d->lru.next, struct entry, link));
        e = mem_zalloc(d->mem, 1, sizeof *e + name.len);
        e->name_len = name.len;
        memcpy(e->name, name.data, name.len);
        list_init(&e->link);
        CHECK(!map_insert(&d->entries, &e->node, bytes_of(e->name, e->name_len)));
    }
    e->placement = *p;
    e->epoch = d->epoch;
    list_remove(&e->link);
    list_append(&d->lru, &e->link);
}

bool directory_find(struct directory *d, const struct view *view, const char *type, const char *id,
                    struct placement *out)
{
    struct entry *e = find(d, type, id);

    if (!e)
        return false;
    CHECK(e->epoch <= d->epoch && e->placement.record.placed);
    if (e->epoch != d->epoch) {
        const struct member *m = view ? view_find(view, e->placement.record.node_id) : NULL;
        if (!m || !uuid_equal(m->boot, e->placement.record.boot)) {
            SOMETIMES("cached-placement-on-a-dead-node");
            drop(d, e);
            return false;
        }
        e->epoch = d->epoch;
    }
    list_remove(&e->link);
    list_append(&d->lru, &e->link);
    *out = e->placement;
    return true;
}

void directory_forget(struct directory *d, const char *type, const char *id)
{
    struct entry *e = find(d, type, id);

    if (e)
        drop(d, e);
}

void directory_members_gone(struct directory *d)
{
    d->epoch++;
}

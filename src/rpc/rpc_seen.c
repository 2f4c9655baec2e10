#include "rpc/rpc_seen.h"

#include <string.h>

#define WORDS (RPC_SEEN_IDS / 64)

struct window {
    struct list link;
    uint64_t conn;
    uint64_t newest;
    uint64_t
        bits[WORDS]; /* of the ids in (newest - RPC_SEEN_IDS, newest], each at id % RPC_SEEN_IDS */
};

void rpc_seen_init(struct rpc_seen *s)
{
    list_init(&s->windows);
    s->count = 0;
}

void rpc_seen_deinit(struct rpc_seen *s, struct mem mem)
{
    struct list *l;

    while ((l = list_pop(&s->windows)))
        mem_free(mem, LIST_ENTRY(l, struct window, link));
    s->count = 0;
}

static uint64_t *word_of(struct window *w, uint64_t id)
{
    return &w->bits[id % RPC_SEEN_IDS / 64];
}

static uint64_t bit_of(uint64_t id)
{
    return (uint64_t)1 << id % 64;
}

static struct window *window_new(struct rpc_seen *s, struct mem mem, uint64_t conn, uint64_t id)
{
    struct window *w;

    if (s->count < RPC_SEEN_CONNS_MAX) {
        w = MEM_NEW(mem, struct window);
        s->count++;
    } else {
        w = LIST_ENTRY(list_pop(&s->windows), struct window, link);
        memset(w, 0, sizeof *w);
    }
    w->conn = conn;
    w->newest = id;
    list_init(&w->link);
    return w;
}

/* Those in use are found first. */
static struct window *window_find(const struct rpc_seen *s, uint64_t conn)
{
    for (struct list *l = s->windows.prev; l != &s->windows; l = l->prev) {
        struct window *w = LIST_ENTRY(l, struct window, link);
        if (w->conn == conn)
            return w;
    }
    return NULL;
}

/* What lies between the newest and this one has not come. */
static void advance(struct window *w, uint64_t id)
{
    if (id - w->newest >= RPC_SEEN_IDS)
        memset(w->bits, 0, sizeof w->bits);
    else
        for (uint64_t i = w->newest + 1; i != id; i++)
            *word_of(w, i) &= ~bit_of(i);
    *word_of(w, id) &= ~bit_of(id);
    w->newest = id;
}

bool rpc_seen_before(struct rpc_seen *s, struct mem mem, struct net_conn conn, uint64_t id)
{
    struct window *w = window_find(s, conn.id);

    if (!w)
        w = window_new(s, mem, conn.id, id);
    list_remove(&w->link);
    list_append(&s->windows, &w->link);
    /* Ids may pass zero: which of two is newer, their difference says. */
    if (id - w->newest <= INT64_MAX && id != w->newest)
        advance(w, id);
    else if (w->newest - id >= RPC_SEEN_IDS || (*word_of(w, id) & bit_of(id)))
        return true;
    *word_of(w, id) |= bit_of(id);
    return false;
}

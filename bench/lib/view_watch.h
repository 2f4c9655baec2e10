/* Listens to the events of every node, and notes when one first held a view without some node. */
#ifndef KELPIE_BENCH_LIB_VIEW_WATCH_H
#define KELPIE_BENCH_LIB_VIEW_WATCH_H

#include "base/buf.h"
#include "bench_nodes.h"

struct view_watch;

struct view_stream {
    struct view_watch *watch;
    size_t index; /* of the node */
    struct http_client *client;
    struct buf line;
    struct timer again;
    bool is_open;
};

struct view_watch {
    struct bench_nodes *nodes;
    struct view_stream streams[BENCH_NODES_MAX];
    bool is_closing;
    /* Set by view_watch_expect. */
    size_t gone;
    uint64_t from_ns;
    uint64_t from_wall_ms;             /* events of before are sent again after a reconnect */
    uint64_t seen_ns[BENCH_NODES_MAX]; /* 0: not yet */
};

void view_watch_init(struct view_watch *w, struct bench_nodes *nodes);
void view_watch_deinit(struct view_watch *w);
/* From now on, views without node `gone` are noted, by every other node. */
void view_watch_expect(struct view_watch *w, size_t gone);
/* When the first and the last of the other nodes held it; 0 when that was not seen. */
uint64_t view_watch_first_ns(const struct view_watch *w);
uint64_t view_watch_last_ns(const struct view_watch *w);

#endif

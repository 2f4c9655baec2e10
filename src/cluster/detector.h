/*
 * The failure detector: which heartbeats has this process seen unchanged for the window, by its own
 * clock, counting only time that its own successful commits cover (docs/protocol.md, "Leases").
 */
#ifndef KELPIE_CLUSTER_DETECTOR_H
#define KELPIE_CLUSTER_DETECTOR_H

#include "base/map.h"
#include "base/mem.h"
#include "cluster/rules.h"
#include "cluster/timing.h"

#define SIGHTINGS_MAX (2 * NODES_MAX) /* ids may come and go */

struct detector {
    struct mem mem;
    uint64_t window_ns;  /* of one's own lease; a node with a longer lease is given its own */
    uint64_t gap_max_ns; /* half a lease */
    uint64_t cover_since_ns;
    uint64_t cover_last_ns; /* 0: nothing is covered */
    struct map seen;        /* node id -> struct sighting; at most SIGHTINGS_MAX */
};

struct sighting {
    struct map_node node;
    char node_id[NODE_ID_MAX + 1];
    struct heartbeat_record record;
    uint64_t first_seen_ns;
    uint64_t looked_ns; /* when the last read came that showed it */
    uint64_t read_version;
    uint32_t lease_ms; /* of this life, as its node row says; 0: not known yet */
    unsigned moves;    /* changes of the counter seen within this life */
};

void detector_init(struct detector *d, struct mem mem, const struct timing *timing);
void detector_deinit(struct detector *d);
/* Forgets every node that `keep` does not want. */
void detector_retain(struct detector *d, bool (*keep)(void *arg, const char *node_id), void *arg);
/* Forgets all that was seen (not the coverage). */
void detector_clear(struct detector *d);
/* One's own heartbeat or probe was committed, and the answer received, at `now_ns`. */
void detector_cover(struct detector *d, uint64_t now_ns);
/* A heartbeat row as read at `read_version`, the answer received at `now_ns`. Older reads than the
 * last are ignored. Returns true when it is new or has changed. */
bool detector_see(struct detector *d, const char *node_id, const struct heartbeat_record *record,
                  uint64_t read_version, uint64_t now_ns);
/* The node row of that life says how long its lease is. Until this was told the life is not taken
 * for silent: its lease may be longer than one's own. */
void detector_lease(struct detector *d, const struct life *life, uint32_t lease_ms);
const struct sighting *detector_find(const struct detector *d, const char *node_id);
/* True when the heartbeat of exactly this life was unchanged for the window; fills `out`. */
bool detector_silent(const struct detector *d, const struct life *life, struct silence *out);
/* For how long, within the time that is covered, the heartbeat of that life was seen not to move: from the
 * first read that showed it to the last. False when it is not known: never read, or of another life. */
bool detector_unmoved(const struct detector *d, const struct life *life, uint64_t *ns);
/* The window that such a silence is held against. */
uint64_t detector_window_ns(const struct detector *d, const char *node_id);
/* When the covered window of this life's heartbeat would end if a commit of one's own came then; 0
 * when it was not seen. */
uint64_t detector_window_end_ns(const struct detector *d, const char *node_id);

#endif

/*
 * Whether there is a living primary and a majority, as one node sees it: pure functions from what the
 * node has observed to a judgement, a sentence, and what is news. Nothing of it decides what a node may do:
 * that is the lease's (cluster_may_act).
 */
#ifndef KELPIE_CLUSTER_HEALTH_H
#define KELPIE_CLUSTER_HEALTH_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "record/keys.h"

#define HEALTH_WHY_SIZE 1024 /* a sentence with an id of which every byte is shown as four */

enum primary_seen {
    PRIMARY_UNREAD, /* not yet known who is */
    PRIMARY_SELF,
    PRIMARY_LIVES,  /* another, whose heartbeat moves */
    PRIMARY_VACANT, /* nobody */
    PRIMARY_GONE,   /* somebody who is not in the view */
    PRIMARY_UNSEEN, /* another, who has not been seen to live since one was missing */
    PRIMARY_SILENT, /* somebody whose heartbeat has not moved for the window */
};

/* What a node has observed. */
struct health_seen {
    bool acting; /* else nothing of the rest is known */
    enum primary_seen primary;
    char primary_id[NODE_ID_MAX + 1];
    uint64_t silent_ns;    /* PRIMARY_SILENT: for so long already */
    bool stepped_down;     /* it was primary, reached no majority, and nobody was elected since */
    size_t voters;         /* as read since the primary is missing; 0: not read */
    size_t heard;          /* of them Active, not flagged, and not silent for the window */
    const char *no_answer; /* why this node is not elected; "": it is not known */
};

enum presence { PRESENCE_UNKNOWN, PRESENCE_HERE, PRESENCE_MISSING };

enum presence health_primary(const struct health_seen *seen);
/* A living primary is a majority: it steps down when it reaches none for a lease. Without one, too few
 * heartbeats say that there is none; enough of them do not say that there is one. */
enum presence health_majority(const struct health_seen *seen);

/* Why it is missing, one sentence without a final stop; the ids in it are printable. */
void health_primary_why(const struct health_seen *seen, char *out, size_t size);
void health_majority_why(const struct health_seen *seen, char *out, size_t size);

/* One thing that may be missing, over time. Zeroed at first. */
struct presence_track {
    bool missing, told;
    uint64_t since_ns;  /* missing: from here on at least */
    uint64_t looked_ns; /* and first seen so */
};

enum presence_news { NEWS_NONE, NEWS_LOST, NEWS_FOUND };

/* One look at `now_ns`; `before_ns`: so long before the look it was already missing. What is missing for
 * `grace_ns` of looks is news once; so is its return after that. What is unknown changes nothing. */
enum presence_news presence_step(struct presence_track *t, enum presence now, uint64_t now_ns,
                                 uint64_t before_ns, uint64_t grace_ns);

/* What a node says of the cluster; see cluster_health(). */
struct health_report {
    bool acting;                            /* lease held, hosting state */
    bool active;                            /* and Active: calls are placed here */
    bool primary_missing, majority_missing; /* known, and told */
    uint64_t primary_missing_ns, majority_missing_ns;
    char primary_why[HEALTH_WHY_SIZE], majority_why[HEALTH_WHY_SIZE];
    char store_why[HEALTH_WHY_SIZE]; /* what ails the store; "": nothing known */
};

/* Whether calls to this node are answered. With `majority`: and no primary or majority has been missing
 * for `window_ns`. `why`: what is wrong, a line each; "" when nothing is. */
bool health_ready(const struct health_report *h, bool majority, uint64_t window_ns, char *why,
                  size_t size);

#endif

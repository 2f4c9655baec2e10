/*
 * A measured phase of a simulated cluster: what its nodes did to the store in it, by groups of
 * nodes (the primary, whom the phase is about, all others) and by action.
 */
#ifndef KELPIE_BENCH_LIB_SCALE_PHASE_H
#define KELPIE_BENCH_LIB_SCALE_PHASE_H

#include <jansson.h>

#include "scale_world.h"

#define PHASE_NOBODY SIZE_MAX

struct phase_group {
    size_t nodes;
    struct meter_counts sum;
    uint64_t rows_max, frames_max; /* of any one of them */
};

struct phase {
    const char *name;
    size_t subject; /* whom it is about, or PHASE_NOBODY */
    uint64_t begin_ns;
    double seconds;
    size_t running; /* at its end */
    bool ok;        /* what should come about did in time */
    struct phase_group ordinary, primary, about;
    struct meter_counts all;
    double view_ms;            /* until every node held the new view; 0: no new one */
    double primary_ms;         /* until every node knew the new primary; 0: no new one */
    uint64_t failing;          /* committed transactions that failed a node */
    uint64_t failing_rows_max; /* rows that such a transaction wrote, the most */
    double beat_rows;          /* that a heartbeat read, on average */
    size_t actors;             /* placements that the phase is about */
    double replaced_ms;        /* until all of them were placed again and had answered */

    size_t primary_at; /* at its begin */
    uint64_t view_at, term_at;
};

/* Resets the meter. */
void phase_begin(struct phase *p, struct scale_world *s, const char *name, size_t subject);
/* Takes the counts. */
void phase_end(struct phase *p, struct scale_world *s);
/* {"phase":…,"ordinary":{…},…,"actions":{…}}: of `rest` what is beyond that rate. The caller
 * releases it. `s`: the meter as it is at the end. */
json_t *phase_json(const struct phase *p, const struct phase *rest, const struct scale_world *s);
/* The counts of one node of the group, per second; and what is beyond the rate of `rest`. */
double phase_rate(const struct phase_group *g, uint64_t count, double seconds);
double phase_beyond(const struct phase_group *g, uint64_t count, double seconds,
                    const struct phase_group *rest, uint64_t rest_count, double rest_seconds);

#endif

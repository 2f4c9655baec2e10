#include "cluster/health.h"

#include <stdio.h>
#include <string.h>

#include "base/check.h"
#include "base/mutant.h"
#include "base/printable.h"
#include "env/clock.h"

enum presence health_primary(const struct health_seen *seen)
{
    if (!seen->acting || seen->primary == PRIMARY_UNREAD || seen->primary == PRIMARY_UNSEEN)
        return PRESENCE_UNKNOWN;
    if (seen->primary == PRIMARY_SELF || seen->primary == PRIMARY_LIVES)
        return PRESENCE_HERE;
    return PRESENCE_MISSING;
}

enum presence health_majority(const struct health_seen *seen)
{
    enum presence primary = health_primary(seen);
    if (primary != PRESENCE_MISSING)
        return primary;
    bool few = seen->voters > 0 && 2 * seen->heard <= seen->voters;
    return seen->stepped_down || few ? PRESENCE_MISSING : PRESENCE_UNKNOWN;
}

void health_primary_why(const struct health_seen *seen, char *out, size_t size)
{
    char id[PRINTABLE_FACTOR * NODE_ID_MAX + 1];
    const char *because = seen->no_answer && seen->no_answer[0] ? ": " : "";
    const char *reason = because[0] ? seen->no_answer : "";
    (void)printable(seen->primary_id, id, sizeof(id));
    switch (seen->primary) {
    case PRIMARY_SILENT:
        (void)snprintf(out, size, "no living primary: node %s, which was, is silent for %llu s", id,
                       (unsigned long long)(seen->silent_ns / NS_PER_S));
        return;
    case PRIMARY_UNSEEN:
        (void)snprintf(out, size, "no living primary: node %s is named, and not yet seen to live",
                       id);
        return;
    case PRIMARY_GONE:
        (void)snprintf(out, size, "no primary: node %s, which was, is no member%s%s", id, because,
                       reason);
        return;
    default:
        (void)snprintf(out, size, "no primary: nobody is elected%s%s", because, reason);
    }
}

void health_majority_why(const struct health_seen *seen, char *out, size_t size)
{
    if (seen->voters > 0 && 2 * seen->heard <= seen->voters)
        (void)snprintf(out, size, "no majority: %zu of %zu voters heard from, %zu needed",
                       seen->heard, seen->voters, seen->voters / 2 + 1);
    else
        (void)snprintf(out, size, "no majority: too few voters answer this node");
}

enum presence_news presence_step(struct presence_track *t, enum presence now, uint64_t now_ns,
                                 uint64_t before_ns, uint64_t grace_ns)
{
    if (now == PRESENCE_UNKNOWN)
        return NEWS_NONE;
    if (now == PRESENCE_HERE) {
        bool was_told = t->told;
        *t = (struct presence_track){0};
        return was_told && !MUTANT("founduntold") && !MUTANT("missinguntold") ? NEWS_FOUND
                                                                              : NEWS_NONE;
    }
    if (!t->missing) {
        t->missing = true;
        t->since_ns = now_ns > before_ns ? now_ns - before_ns : 0;
        t->looked_ns = now_ns;
    }
    if (t->told || now_ns - t->looked_ns < grace_ns)
        return NEWS_NONE;
    t->told = true;
    return MUTANT("lossuntold") || MUTANT("missinguntold") ? NEWS_NONE : NEWS_LOST;
}

static void add(char *out, size_t size, const char *sentence)
{
    size_t n = strlen(out);
    if (sentence[0] && n < size)
        (void)snprintf(out + n, size - n, "%s%s", n ? "\n" : "", sentence);
}

bool health_ready(const struct health_report *h, bool majority, uint64_t window_ns, char *why,
                  size_t size)
{
    bool lost = (h->primary_missing && h->primary_missing_ns >= window_ns) ||
                (h->majority_missing && h->majority_missing_ns >= window_ns);
    CHECK(size > 0);
    why[0] = '\0';
    if (h->majority_missing)
        add(why, size, h->majority_why);
    if (h->primary_missing)
        add(why, size, h->primary_why);
    add(why, size, h->store_why);
    return h->acting && h->active && !(majority && lost);
}

/* Passive actors that are let go: nothing young is forgotten, and no generation comes back. */
#include "actor/remember.h"
#include "base/mark.h"
#include "sim/checkers/checks.h"
#include "sim/workload/sim_sessions.h"
#include "sim/workload/sim_trial.h"

void check_generations(struct shadow *s, uint64_t floor)
{
    COMPARE(s->w, CHECK_GROWTH, floor > s->generations,
            "the floor of generations went from %llu to %llu", (unsigned long long)s->generations,
            (unsigned long long)floor);
    s->generations = floor;
}

/* What its clients may rely on, and what sockets and nodes may hold a request for; clocks differ. */
static uint64_t promised_ns(const struct shadow_actor *a)
{
    uint64_t ms = REMEMBER_MS_DEFAULT;

    if (strcmp(a->type, sim_class_trial.type) == 0)
        ms = TRIAL_REMEMBER_MS;
    if (strcmp(a->type, sim_class_session.type) == 0 || strcmp(a->type, sim_class_visit.type) == 0)
        ms = SESSION_REMEMBER_MS;
    return (ms + REMEMBER_SOCKET_MS + REMEMBER_HELD_MS) * 9 / 10 * NS_PER_MS;
}

static bool is_old(struct shadow *s, const struct shadow_actor *a, const char *what)
{
    uint64_t since = s->w->now_ns - a->head_ns;

    return COMPARE(s->w, CHECK_FORGETS, a->head_ns == 0 || since >= promised_ns(a),
                   "%s/%s was %s %.3f s after it had written", a->type, a->id, what,
                   (double)since / 1e9);
}

void check_struck(struct shadow *s, struct shadow_change *c, const struct shadow_actor *a)
{
    uint64_t expires = strcmp(a->type, sim_class_visit.type) == 0 ? VISIT_EXPIRES_MS : UINT64_MAX;
    uint64_t since_ms = (s->w->now_ns - a->head_ns) / NS_PER_MS;

    COMPARE(s->w, CHECK_GROWTH, !a->place.placed && !a->struck,
            "the placement of %s/%s was deleted: its generation would start again", a->type, a->id);
    (void)is_old(s, a, "struck");
    COMPARE(s->w, CHECK_FORGETS,
            a->head.rows == 0 || (expires < UINT64_MAX && since_ms >= expires * 9 / 10),
            "%s/%s was struck with %llu rows of state, %llu ms after it had written", a->type,
            a->id, (unsigned long long)a->head.rows, (unsigned long long)since_ms);
    if (a->place.generation > c->struck)
        c->struck = a->place.generation;
}

bool check_forgot(struct shadow *s, const struct shadow_actor *a, const struct head_record *head)
{
    if (a->head.number == 0 || head->number != a->head.number + 2 || a->place.placed ||
        head->generation != a->head.generation)
        return false;
    (void)is_old(s, a, "made to forget");
    COMPARE(s->w, CHECK_FORGETS,
            head->rows == a->head.rows && head->sum == a->head.sum &&
                head->horizon_ms >= a->head.horizon_ms && head->own_ms >= a->head.own_ms,
            "a sweep changed the state of %s/%s", a->type, a->id);
    return true;
}

void check_floor_covers(struct shadow *s, const struct shadow_change *c)
{
    COMPARE(s->w, CHECK_GROWTH, s->generations >= c->struck,
            "a placement of generation %llu was struck, and the floor is %llu",
            (unsigned long long)c->struck, (unsigned long long)s->generations);
}

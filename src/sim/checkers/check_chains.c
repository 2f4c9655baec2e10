/*
 * Calls between actors: whatever a request's turn calls is done once however often the turn runs, before the
 * turn's own effects, and never for a path that comes back to itself.
 */
#include "actor/activation.h"
#include "kelpie/error.h"
#include "sim/faults/sim_restore.h"
#include "sim/workload/sim_chains_link.h"

/* Of an age: what clocks may differ by, and what is rounded. */
#define AGE_SHARE 32
#define AGE_SLACK_MS 20

static struct chain *chain_of(struct world *w, unsigned number)
{
    struct chains *cs = w->chains;

    return cs && number < cs->count && !cs->all[number].lost ? &cs->all[number] : NULL;
}

static bool whole(const struct chain *c)
{
    return c->marks == (1u << strlen(c->path)) - 1;
}

/* Those that the link at `place` calls have their marks. */
static bool called_before(const struct chain *c, unsigned place)
{
    uint32_t all = (1u << strlen(c->path)) - 1;

    if (c->kind == CHAIN_FAN && place > 0)
        return true;
    return (c->marks | ((2u << place) - 1)) == all;
}

static bool decimal(struct bytes text, uint64_t *v)
{
    *v = 0;
    for (size_t i = 0; i < text.len; i++) {
        if (text.data[i] < '0' || text.data[i] > '9')
            return false;
        *v = *v * 10 + (uint64_t)(text.data[i] - '0');
    }
    return text.len > 0;
}

static void mark_landed(struct world *w, struct chain *c, unsigned place, uint64_t times)
{
    if (!COMPARE(w, CHECK_APPLIED_ONCE, times == 1, "link/%c was asked %llu times by request k%u",
                 c->path[place], (unsigned long long)times, c->number) ||
        c->marks >> place & 1u)
        return;
    c->marks |= 1u << place;
    (void)COMPARE(w, CHECK_CHAINS, c->kind != CHAIN_CYCLE,
                  "request k%u comes back to itself on %s, and link/%c has done it", c->number,
                  c->path, c->path[place]);
    (void)COMPARE(w, CHECK_CHAINS, c->kind == CHAIN_CYCLE || called_before(c, place),
                  "link/%c of %s, request k%u, has landed before those that it calls",
                  c->path[place], c->path, c->number);
    if (place == 0)
        (void)COMPARE(w, CHECK_APPLIED, c->unsure > 0,
                      "link/%c did request k%u, and every attempt was told that it did not",
                      c->path[0], c->number);
}

void chains_row(struct world *w, const char *id, struct bytes key, struct bytes value)
{
    struct chains *cs = w->chains;
    uint64_t number, times;
    struct chain *c;

    if (!cs || !decimal(value, &times) || key.len == 0)
        return;
    if (bytes_equal(key, bytes_of_str(LINK_COUNT))) {
        uint64_t *counted = &cs->counted[id[0] - 'a'];
        *counted = times > *counted ? times : *counted;
        return;
    }
    if (key.data[0] != LINK_MARK || !decimal(bytes_of(key.data + 1, key.len - 1), &number))
        return;
    c = chain_of(w, (unsigned)number);
    for (unsigned i = 0; c && c->path[i]; i++)
        if (c->path[i] == id[0] && (i == 0 || c->kind != CHAIN_CYCLE)) {
            mark_landed(w, c, i, times);
            return;
        }
}

static bool may_end(const struct world *w, const struct chain *c, int status)
{
    if (status == KELPIE_E_CALL_CYCLE)
        return c->kind == CHAIN_CYCLE;
    if (status == KELPIE_E_STORE_CORRUPT)
        return w->met[FAULT_CORRUPTION] > 0 || w->met[FAULT_ROT] > 0;
    if (status == KELPIE_E_STORE_FOREIGN)
        return w->met[FAULT_RESTORE] > 0;
    return status == KELPIE_E_TOO_LATE || kelpie_error_retry(status);
}

bool check_chain_answer(struct world *w, struct chain *c, bool late, int status, struct bytes reply)
{
    if (c->lost)
        return true;
    if (!status)
        return COMPARE(w, CHECK_CHAINS, c->kind != CHAIN_CYCLE && whole(c),
                       "request k%u on %s was acknowledged, and not all has landed", c->number,
                       c->path) &&
               COMPARE(w, CHECK_REPLIES, bytes_equal(reply, bytes_of_str(c->path)),
                       "request k%u on %s was answered '%.*s'", c->number, c->path, (int)reply.len,
                       (const char *)reply.data);
    if (kelpie_error_applied(status) == KELPIE_APPLIED_NO && !late) {
        c->unsure--;
        if (!COMPARE(w, CHECK_APPLIED, c->unsure > 0 || !(c->marks & 1u),
                     "link/%c did request k%u, and every attempt was told that it did not",
                     c->path[0], c->number))
            return false;
    }
    return COMPARE(w, CHECK_REPLIES, may_end(w, c, status), "request k%u on %s ends with %s: %.*s",
                   c->number, c->path, kelpie_error_name(status), (int)reply.len,
                   (const char *)reply.data);
}

void check_link_asked(const struct kelpie_actor *actor, const struct link_asked *asked)
{
    const struct process *p = actor->actors->env->clock.ctx;
    struct world *w = p->world;
    const struct chain *c = chain_of(w, asked->number);
    uint64_t age = invocation_age_ms(actor, actor->current);
    uint64_t real = (w->now_ns - asked->first_ns) / NS_PER_MS;

    if (!c)
        return;
    if (!sim_fault_on(&w->config, FAULT_SKEW))
        (void)COMPARE(w, CHECK_AGES, age + age / AGE_SHARE + AGE_SLACK_MS >= real,
                      "link/%s takes request k%u to be %llu ms old, and it is %llu",
                      kelpie_actor_id(actor), asked->number, (unsigned long long)age,
                      (unsigned long long)real);
    if (asked->place == 0 || restore_has_been(w))
        return;
    char caller = c->path[c->kind == CHAIN_FAN ? 0 : asked->place - 1];
    (void)COMPARE(w, CHECK_LEAVES_EARLY, c->seen[asked->place] <= w->chains->counted[caller - 'a'],
                  "link/%c called for request k%u having seen %llu; %llu have landed", caller,
                  asked->number, (unsigned long long)c->seen[asked->place],
                  (unsigned long long)w->chains->counted[caller - 'a']);
}

void check_link_calls(const struct kelpie_actor *actor, const struct link_asked *asked,
                      unsigned place, uint64_t seen, int status)
{
    const struct process *p = actor->actors->env->clock.ctx;
    struct chain *c = chain_of(p->world, asked->number);
    bool cycle = memchr(asked->path, asked->path[place], place) != NULL;

    if (!c)
        return;
    if (seen < c->seen[place])
        c->seen[place] = seen;
    (void)COMPARE(p->world, CHECK_CHAINS, status == (cycle ? KELPIE_E_CALL_CYCLE : 0),
                  "link/%s calls link/%c on %s, and is told %s", kelpie_actor_id(actor),
                  asked->path[place], asked->path, kelpie_error_name(status));
}

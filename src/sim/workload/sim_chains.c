#include "sim/workload/sim_chains.h"

#include <stdio.h>
#include <stdlib.h>

#include "kelpie/error.h"
#include "sim/workload/sim_chains_link.h"
#include "sim/world/sim_host.h"

#define THINK_MS 600
#define RETRY_MS_MAX 300
#define LATER_MS_MAX 8000 /* a client that was away asks again */
#define LATER_IN 8
#define GIVE_UP_IN 32
#define PATIENCE_MS 1500 /* beyond the deadline */
#define BODY_MAX 96

struct chain_client {
    struct world *w;
    struct sim_event event; /* what it does next, or loses its patience */
    struct chain *chain;
    struct chain_attempt *attempt;
    int probes; /* a link, in the calm; -1: none */
    bool done;
};

struct chain_attempt {
    struct list link;
    struct chain_client *client; /* NULL: nobody waits */
    struct chain *chain;         /* NULL: a probe */
    struct process *p;
    bool late; /* it began when the request had landed */
};

static uint64_t below(struct world *w, uint64_t bound)
{
    return world_below(w, STREAM_LINK, bound);
}

static void next(struct chain_client *c, uint64_t delay_ms)
{
    world_after(c->w, &c->event, (1 + below(c->w, delay_ms * 1000)) * 1000);
}

/* ---- requests */

/* A path of different links; of a cycle its last one is one of those before. */
static void draw_path(struct world *w, struct chain *c)
{
    unsigned links = w->config.links, len = 2 + (unsigned)below(w, links - 1);
    bool used[SIM_LINKS_MAX] = {false};

    for (unsigned i = 0; i < len; i++) {
        unsigned at = (unsigned)below(w, links);
        while (used[at])
            at = (at + 1) % links;
        used[at] = true;
        c->path[i] = (char)('a' + at);
    }
    if (c->kind == CHAIN_CYCLE)
        c->path[len - 1] = c->path[below(w, len - 1)];
}

static struct chain *draw(struct world *w)
{
    static const enum chain_kind kinds[] = {CHAIN_WALK, CHAIN_WALK, CHAIN_WALK, CHAIN_FAN,
                                            CHAIN_CYCLE};
    struct chains *cs = w->chains;
    struct chain *c = &cs->all[cs->count];

    *c = (struct chain){.number = cs->count, .first_ns = w->now_ns};
    c->kind = kinds[below(w, ARRAY_LEN(kinds))];
    draw_path(w, c);
    for (unsigned i = 0; i < CHAIN_PATH_MAX; i++)
        c->seen[i] = UINT64_MAX;
    cs->count++;
    return c;
}

/* ---- attempts */

static void attempt_free(struct chain_attempt *a)
{
    if (a->client)
        a->client->attempt = NULL;
    list_remove(&a->link);
    free(a);
}

static void chain_done(struct chain_client *c)
{
    c->chain = NULL;
    next(c, 2 * THINK_MS);
}

static void on_done(void *arg, int status, struct bytes reply)
{
    struct chain_attempt *a = arg;
    struct world *w = a->p->world;
    struct chain_client *c = a->client;
    struct chain *chain = a->chain;
    bool late = a->late, well;

    w->checks->compared[CHECK_COMPLETION]++;
    attempt_free(a);
    well = !chain || check_chain_answer(w, chain, late, status, reply);
    if (!c || !well)
        return;
    if (c->probes >= 0) {
        c->done = status == 0;
        if (!c->done)
            next(c, RETRY_MS_MAX);
        return;
    }
    if (c->chain != chain)
        return;
    if (!status || !kelpie_error_retry(status) || w->chains->stopped || below(w, GIVE_UP_IN) == 0)
        chain_done(c);
    else
        next(c, below(w, LATER_IN) == 0 ? LATER_MS_MAX : RETRY_MS_MAX);
}

static void ask(struct chain_client *c, struct process *p)
{
    struct world *w = c->w;
    struct chain *chain = c->chain;
    struct chain_attempt *a = calloc(1, sizeof *a);
    char body[BODY_MAX] = "", id[16] = "", to[2] = {'\0', '\0'};
    uint64_t age_ms = 0;

    CHECK(a);
    a->client = c;
    a->chain = chain;
    a->p = p;
    c->attempt = a;
    list_append(&w->chains->attempts, &a->link);
    to[0] = chain ? chain->path[0] : (char)('a' + c->probes);
    if (chain) {
        a->late = chain->marks & 1u;
        chain->unsure += !a->late;
        chain->attempts++;
        age_ms = (w->now_ns - chain->first_ns + NS_PER_MS - 1) / NS_PER_MS;
        (void)snprintf(id, sizeof id, "k%u", chain->number);
        (void)snprintf(body, sizeof body, "%u %llu %u %s 0", chain->number,
                       (unsigned long long)chain->first_ns, (unsigned)chain->kind, chain->path);
    }
    world_after(w, &c->event, (w->config.call_deadline_ms + PATIENCE_MS) * NS_PER_MS);
    process_enter(p, PROCESS_CALL, chain ? chain->number : UINT32_MAX);
    actors_call(node_actors(process_node(p)), "link", to, chain ? "go" : "get", id, age_ms,
                bytes_of_str(body), w->config.call_deadline_ms, on_done, a);
    process_leave(p);
}

static void on_client_due(struct world *w, struct sim_event *e)
{
    struct chain_client *c = CONTAINER_OF(e, struct chain_client, event);
    struct process *p = hosts_pick(w, STREAM_LINK, false);

    if (c->attempt) {
        c->attempt->client = NULL;
        c->attempt = NULL;
    }
    if (c->probes < 0 && !c->chain) {
        if (w->chains->stopped || w->chains->count == CHAIN_REQUESTS_MAX)
            return;
        c->chain = draw(w);
    }
    if (w->chains->stopped && c->probes < 0)
        return;
    if (!p || p->frozen || process_closing(p))
        next(c, RETRY_MS_MAX);
    else
        ask(c, p);
}

/* ---- the world's side */

struct chains *chains_new(struct world *w)
{
    struct chains *cs = calloc(1, sizeof *cs);
    unsigned links = w->config.links;

    CHECK(cs);
    cs->w = w;
    list_init(&cs->attempts);
    cs->client_count = links ? CHAIN_CLIENTS + links : 0;
    cs->clients = calloc(cs->client_count + 1, sizeof *cs->clients);
    CHECK(cs->clients);
    for (unsigned i = 0; i < cs->client_count; i++) {
        cs->clients[i].w = w;
        cs->clients[i].probes = i < links ? (int)i : -1;
        event_init(&cs->clients[i].event, on_client_due);
    }
    return cs;
}

void chains_free(struct chains *cs)
{
    if (!cs)
        return;
    CHECK(list_empty(&cs->attempts));
    free(cs->clients);
    free(cs);
}

void chains_start(struct world *w)
{
    for (unsigned i = 0; i < w->chains->client_count; i++)
        if (w->chains->clients[i].probes < 0)
            next(&w->chains->clients[i], 3000);
}

void chains_stop(struct world *w)
{
    w->chains->stopped = true;
}

void chains_probe(struct world *w)
{
    for (unsigned i = 0; i < w->chains->client_count; i++)
        if (w->chains->clients[i].probes >= 0)
            next(&w->chains->clients[i], 500);
}

bool chains_probed(const struct world *w, char *why, size_t why_size)
{
    for (unsigned i = 0; i < w->chains->client_count; i++) {
        const struct chain_client *c = &w->chains->clients[i];
        if (c->probes < 0 || c->done)
            continue;
        (void)snprintf(why, why_size, "link/%c has not answered", 'a' + c->probes);
        return false;
    }
    return true;
}

void chains_process_gone(struct world *w, const struct process *p)
{
    LIST_FOREACH_SAFE(it, tmp, &w->chains->attempts)
    {
        struct chain_attempt *a = LIST_ENTRY(it, struct chain_attempt, link);
        struct chain_client *c = a->client;
        if (a->p != p)
            continue;
        attempt_free(a);
        if (c)
            next(c, RETRY_MS_MAX);
    }
}

size_t chains_calls_of(const struct world *w, const struct process *p)
{
    size_t n = 0;

    LIST_FOREACH(it, &w->chains->attempts)
    {
        n += LIST_ENTRY(it, struct chain_attempt, link)->p == p;
    }
    return n;
}

void chains_set_back(struct world *w)
{
    struct chains *cs = w->chains;

    for (unsigned i = 0; i < cs->count; i++)
        cs->all[i].lost = true;
    memset(cs->counted, 0, sizeof cs->counted);
    for (unsigned i = 0; i < cs->client_count; i++) {
        struct chain_client *c = &cs->clients[i];
        if (c->probes >= 0)
            continue;
        if (c->attempt)
            c->attempt->client = NULL;
        c->attempt = NULL;
        c->chain = NULL;
        if (!cs->stopped)
            next(c, 2 * THINK_MS);
    }
}

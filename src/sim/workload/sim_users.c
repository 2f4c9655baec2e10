/* Users' clients: the requests that their workload asks for. */
#include "sim/workload/sim_users.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include "actor/actor.h"
#include "kelpie/error.h"
#include "sim/checkers/checks.h"
#include "sim/workload/sim_posts_link.h"
#include "sim/world/sim_host.h"

#define RETRY_MS_MAX 200
#define PATIENCE_MS 1500 /* beyond the deadline */
#define GIVES_UP_IN 8    /* one in so many errors makes a client give up */
#define IMPATIENT_IN 4   /* one in so many asks elsewhere before its time is over */
#define START_MS 3000
#define REQUEST_ID_SIZE 24
#define WHY_MAX 200

struct user_client {
    struct kelpie_sim *us;
    struct sim_event event; /* what it does next, or loses its patience */
    struct user_attempt *attempt;
    unsigned number;
    bool asks;   /* it has a request */
    bool unsure; /* an attempt of it may have been applied, or may be yet */
    unsigned tries;
    int status; /* of the last attempt */
    char why[WHY_MAX];
    uint64_t first_ns;
    char type[ACTOR_TYPE_MAX + 1], id[ACTOR_ID_MAX + 1], method[KELPIE_METHOD_MAX + 1];
    char request_id[REQUEST_ID_SIZE];
    uint8_t *body;
    size_t body_len;
};

struct user_attempt {
    struct list link;
    struct user_client *client; /* NULL: nobody waits */
    struct process *p;
};

/* A message that lies in the inbox of a user's actor. */
struct user_row {
    struct map_node node;
    uint64_t due_ms;
    bool period;
    char type[ACTOR_TYPE_MAX + 1], id[ACTOR_ID_MAX + 1];
    size_t key_len;
    uint8_t key[STORE_KEY_MAX];
};

struct kelpie_sim {
    struct world *w;
    const struct sim_users_source *source; /* NULL: this run has no users */
    const struct kelpie_sim_workload *work;
    struct user_client *clients; /* the last one asks at the end */
    unsigned count, requests, questions;
    struct user_client *asking; /* whose turn it is to ask; NULL: nobody's */
    struct list attempts;
    struct map rows;
    bool stopped, at_end, done;
};

static uint64_t below(struct world *w, uint64_t bound)
{
    return world_below(w, STREAM_USERS, bound);
}

static void next_in(struct user_client *c, uint64_t most_ms)
{
    world_after(c->us->w, &c->event, (1 + below(c->us->w, most_ms * 1000)) * 1000);
}

static bool is_last(const struct user_client *c)
{
    return c->number == c->us->count;
}

/* ---- what the workload says */

void *kelpie_sim_arg(const struct kelpie_sim *sim)
{
    return sim->work->arg;
}

uint64_t kelpie_sim_now_ms(const struct kelpie_sim *sim)
{
    return sim->w->now_ns / NS_PER_MS;
}

uint64_t kelpie_sim_below(struct kelpie_sim *sim, uint64_t bound)
{
    CHECK(bound > 0);
    return below(sim->w, bound);
}

void kelpie_sim_expect(struct kelpie_sim *sim, bool holds, const char *format, ...)
{
    char text[VIOLATION_TEXT_MAX];
    va_list args;

    va_start(args, format);
    (void)vsnprintf(text, sizeof text, format, args);
    va_end(args);
    COMPARE(sim->w, CHECK_USERS, holds, "%s", text);
}

static const char *fault_of(const struct kelpie_sim *us, const char *type, const char *id,
                            const char *method, size_t len, char *why, size_t size)
{
    if (!us->asking || us->asking->asks)
        return "kelpie_sim_ask is called once, within ask or ask_at_end";
    if (!type || !id || !method)
        return "kelpie_sim_ask is given NULL";
    if (id_check("the type", bytes_of_str(type), ACTOR_TYPE_MAX, why, size) ||
        id_check("the id", bytes_of_str(id), ACTOR_ID_MAX, why, size) ||
        id_check("the method", bytes_of_str(method), KELPIE_METHOD_MAX, why, size))
        return why;
    return len > KELPIE_BODY_MAX ? "a body is over KELPIE_BODY_MAX" : NULL;
}

void kelpie_sim_ask(struct kelpie_sim *sim, const char *type, const char *id, const char *method,
                    const void *body, size_t body_len)
{
    struct user_client *c = sim->asking;
    char why[256], said[320];
    const char *fault = fault_of(sim, type, id, method, body_len, why, sizeof why);

    if (fault) {
        (void)snprintf(said, sizeof said, "the workload: %s", fault);
        sim->source->fault(said);
        return;
    }
    c->asks = true;
    c->unsure = false;
    c->tries = 0;
    c->status = 0;
    c->why[0] = '\0';
    c->first_ns = sim->w->now_ns;
    (void)snprintf(c->type, sizeof c->type, "%s", type);
    (void)snprintf(c->id, sizeof c->id, "%s", id);
    (void)snprintf(c->method, sizeof c->method, "%s", method);
    (void)snprintf(c->request_id, sizeof c->request_id, "u%u", ++sim->requests);
    c->body = malloc(body_len + 1);
    CHECK(c->body);
    if (body_len)
        memcpy(c->body, body, body_len);
    c->body_len = body_len;
}

/* ---- clients */

static void drop_request(struct user_client *c)
{
    c->asks = false;
    free(c->body);
    c->body = NULL;
}

static void finish(struct user_client *c, int status, enum kelpie_applied applied,
                   struct bytes reply)
{
    struct kelpie_sim *us = c->us;
    struct kelpie_sim_answer answer = {
        .client = is_last(c) ? KELPIE_SIM_AT_END : c->number,
        .type = c->type,
        .id = c->id,
        .method = c->method,
        .body = c->body,
        .body_len = c->body_len,
        .status = status,
        .applied = applied,
        .reply = reply.data,
        .reply_len = reply.len,
    };

    if (us->work->answered)
        us->work->answered(us, &answer);
    drop_request(c);
    next_in(c, is_last(c) ? 1 : 2ull * us->w->config.think_ms);
}

static void take(struct user_client *c, int status, struct bytes reply)
{
    enum kelpie_applied applied = kelpie_error_applied(status);

    /* Had an earlier attempt been applied, this one would have been told so. */
    if (applied == KELPIE_APPLIED_YES || status == KELPIE_E_DOMAIN) {
        finish(c, status, applied, reply);
        return;
    }
    c->status = status;
    (void)snprintf(c->why, sizeof c->why, "%.*s", (int)(reply.len < WHY_MAX ? reply.len : WHY_MAX),
                   reply.data ? (const char *)reply.data : "");
    c->unsure |= applied == KELPIE_APPLIED_UNKNOWN;
    if (kelpie_error_retry(status))
        next_in(c, RETRY_MS_MAX);
    else
        finish(c, status, c->unsure ? KELPIE_APPLIED_UNKNOWN : KELPIE_APPLIED_NO, reply);
}

static void on_done(void *arg, int status, struct bytes reply)
{
    struct user_attempt *a = arg;
    struct user_client *c = a->client;

    a->p->world->checks->compared[CHECK_COMPLETION]++;
    list_remove(&a->link);
    free(a);
    if (!c)
        return;
    c->attempt = NULL;
    take(c, status, reply);
}

static void send_to(struct user_client *c, struct process *p)
{
    struct world *w = c->us->w;
    struct user_attempt *a = calloc(1, sizeof *a);
    uint64_t patience = w->config.call_deadline_ms + PATIENCE_MS;

    CHECK(a);
    a->client = c;
    a->p = p;
    c->attempt = a;
    c->tries++;
    list_append(&c->us->attempts, &a->link);
    if (below(w, IMPATIENT_IN) == 0)
        patience = 20 + below(w, patience);
    world_after(w, &c->event, patience * NS_PER_MS);
    process_enter(p, PROCESS_CALL, c->us->requests);
    actors_call(node_actors(process_node(p)), c->type, c->id, c->method, c->request_id,
                (w->now_ns - c->first_ns + NS_PER_MS - 1) / NS_PER_MS,
                bytes_of(c->body, c->body_len), w->config.call_deadline_ms, on_done, a);
    process_leave(p);
}

/* Its next request; false: it has none. */
static bool choose(struct user_client *c)
{
    struct kelpie_sim *us = c->us;

    us->asking = c;
    if (is_last(c) && us->work->ask_at_end)
        us->work->ask_at_end(us, us->questions++);
    else if (!is_last(c))
        us->work->ask(us, c->number);
    us->asking = NULL;
    return c->asks;
}

static void come_to_an_end(struct kelpie_sim *us)
{
    if (us->work->at_end)
        us->work->at_end(us);
    us->done = true;
}

static void on_due(struct world *w, struct sim_event *e)
{
    struct user_client *c = CONTAINER_OF(e, struct user_client, event);
    struct kelpie_sim *us = c->us;

    if (c->attempt) {
        c->attempt->client = NULL;
        c->attempt = NULL;
        c->unsure = true;
        c->status = KELPIE_E_UNKNOWN_RESULT;
    }
    if (!c->asks && us->stopped && !is_last(c))
        return;
    if (!c->asks && !choose(c)) {
        if (is_last(c))
            come_to_an_end(us);
        else
            next_in(c, 2ull * w->config.think_ms);
        return;
    }
    if (!is_last(c) && c->tries > 0 && below(w, GIVES_UP_IN) == 0) {
        finish(c, c->status, c->unsure ? KELPIE_APPLIED_UNKNOWN : KELPIE_APPLIED_NO,
               bytes_of_str(c->why));
        return;
    }
    struct process *p = hosts_pick(w, STREAM_USERS, false);
    if (!p || p->frozen || process_closing(p))
        next_in(c, RETRY_MS_MAX);
    else
        send_to(c, p);
}

/* ---- messages that lie */

static bool is_users(const struct kelpie_sim *us, const char *type)
{
    for (size_t i = 0; us->source && i < us->source->type_count; i++)
        if (strcmp(us->source->types[i], type) == 0)
            return true;
    return false;
}

static void row_gone(struct kelpie_sim *us, struct bytes key)
{
    struct user_row *r = MAP_ENTRY(map_find(&us->rows, key), struct user_row, node);

    if (!r)
        return;
    map_remove(&us->rows, &r->node);
    free(r);
}

void users_row(struct world *w, const struct key_parts *parts, const struct store_write *row,
               struct buf *scratch)
{
    struct kelpie_sim *us = w->users;
    struct message_record m;

    if (!us || (parts->family != KEY_INBOX && parts->family != KEY_LATER) ||
        !is_users(us, parts->type))
        return;
    row_gone(us, row->key);
    if (row->kind != STORE_PUT || message_record_decode(row->key, row->value, scratch, &m))
        return;
    struct user_row *r = calloc(1, sizeof *r);
    CHECK(r);
    r->due_ms = parts->due_ms;
    r->period = m.every_ms > 0;
    memcpy(r->type, parts->type, sizeof r->type);
    memcpy(r->id, parts->id, sizeof r->id);
    r->key_len = row->key.len;
    memcpy(r->key, row->key.data, row->key.len);
    CHECK(!map_insert(&us->rows, &r->node, bytes_of(r->key, r->key_len)));
}

/* ---- the world's side */

struct kelpie_sim *users_new(struct world *w)
{
    struct kelpie_sim *us = calloc(1, sizeof *us);

    CHECK(us);
    us->w = w;
    us->source = w->config.users_source;
    list_init(&us->attempts);
    map_init(&us->rows);
    if (!us->source)
        return us;
    us->work = us->source->workload;
    us->count = w->config.users;
    us->clients = calloc(us->count + 1, sizeof *us->clients);
    CHECK(us->clients);
    for (unsigned i = 0; i <= us->count; i++) {
        us->clients[i].us = us;
        us->clients[i].number = i;
        event_init(&us->clients[i].event, on_due);
    }
    return us;
}

void users_free(struct kelpie_sim *us)
{
    struct map_node *n;

    if (!us)
        return;
    CHECK(list_empty(&us->attempts));
    while ((n = map_first(&us->rows)))
        row_gone(us, bytes_of(MAP_ENTRY(n, struct user_row, node)->key,
                              MAP_ENTRY(n, struct user_row, node)->key_len));
    for (unsigned i = 0; us->clients && i <= us->count; i++)
        drop_request(&us->clients[i]);
    free(us->clients);
    free(us);
}

void users_start(struct world *w)
{
    struct kelpie_sim *us = w->users;

    if (!us->source)
        return;
    if (us->work->begin)
        us->work->begin(us);
    for (unsigned i = 0; i < us->count; i++)
        next_in(&us->clients[i], START_MS);
}

void users_stop(struct world *w)
{
    w->users->stopped = true;
}

bool users_settled(struct world *w, char *why, size_t why_size)
{
    const struct kelpie_sim *us = w->users;
    uint64_t now = check_median_wall_ms(w);

    for (unsigned i = 0; us->source && i < us->count; i++) {
        const struct user_client *c = &us->clients[i];
        if (!c->asks)
            continue;
        (void)snprintf(why, why_size, "%s/%s %s has not been answered: %s", c->type, c->id,
                       c->method, kelpie_error_name(c->status));
        return false;
    }
    for (struct map_node *n = map_first(&us->rows); n; n = map_next(n)) {
        const struct user_row *r = MAP_ENTRY(n, const struct user_row, node);
        if (r->due_ms + (r->period ? POST_LATE_MS : 0) > now)
            continue;
        (void)snprintf(why, why_size, "a message for %s/%s that is due lies still", r->type, r->id);
        return false;
    }
    return true;
}

void users_ask_at_end(struct world *w)
{
    struct kelpie_sim *us = w->users;

    us->at_end = true;
    if (us->source)
        next_in(&us->clients[us->count], 1);
    else
        us->done = true;
}

bool users_done(struct world *w, char *why, size_t why_size)
{
    const struct kelpie_sim *us = w->users;
    const struct user_client *c = us->clients ? &us->clients[us->count] : NULL;

    if (c && !us->done)
        (void)snprintf(why, why_size, "%s/%s %s has not answered in the end: %s %.100s", c->type,
                       c->id, c->method, kelpie_error_name(c->status), c->why);
    return us->done;
}

void users_process_gone(struct world *w, const struct process *p)
{
    LIST_FOREACH_SAFE(it, tmp, &w->users->attempts)
    {
        struct user_attempt *a = LIST_ENTRY(it, struct user_attempt, link);
        struct user_client *c = a->client;
        if (a->p != p)
            continue;
        list_remove(&a->link);
        free(a);
        if (!c)
            continue;
        c->attempt = NULL;
        c->unsure = true;
        c->status = KELPIE_E_UNREACHABLE;
        next_in(c, RETRY_MS_MAX);
    }
}

size_t users_calls_of(const struct world *w, const struct process *p)
{
    size_t n = 0;

    LIST_FOREACH(it, &w->users->attempts)
    {
        n += LIST_ENTRY(it, struct user_attempt, link)->p == p;
    }
    return n;
}

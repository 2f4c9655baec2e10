#include "sim/workload/sim_posts.h"

#include <stdio.h>
#include <stdlib.h>

#include "actor/remember.h"
#include "sim/workload/sim_posts_link.h"
#include "sim/world/sim_host.h"

#define THINK_MS 400
#define SENT_IN 3
#define SENT_AFTER_MS 3000
#define AGAIN_IN 4 /* the same request once more, by way of another node */

struct post_attempt {
    struct list link;
    struct process *p;
};

static uint64_t below(struct world *w, uint64_t bound)
{
    return world_below(w, STREAM_POST, bound);
}

static void on_done(void *arg, int status, struct bytes reply)
{
    struct post_attempt *a = arg;

    (void)status, (void)reply;
    a->p->world->checks->compared[CHECK_COMPLETION]++;
    list_remove(&a->link);
    free(a);
}

/* What is sent, and not called: it comes to the post as a message of its own. The same whenever it is asked. */
static bool is_sent(unsigned number, uint64_t *after_ms)
{
    *after_ms = number % (2 * SENT_IN) == 0 ? number * 37 % SENT_AFTER_MS : 0;
    return number % SENT_IN == 0;
}

static void ask(struct world *w, struct process *p, unsigned number)
{
    struct post_attempt *a = calloc(1, sizeof *a);
    char id[16], body[24];
    const char to[2] = {(char)('a' + number % w->config.posts), '\0'};
    uint64_t after_ms;

    CHECK(a);
    a->p = p;
    list_append(&w->posts->attempts, &a->link);
    (void)snprintf(id, sizeof id, "g%u", number);
    (void)snprintf(body, sizeof body, "%u", number);
    process_enter(p, PROCESS_CALL, number);
    if (is_sent(number, &after_ms))
        actors_send(node_actors(process_node(p)), "post", to, "go", id, REQUEST_AGE_UNKNOWN,
                    bytes_of_str(body), after_ms, w->config.call_deadline_ms, on_done, a);
    else
        actors_call(node_actors(process_node(p)), "post", to, "go", id, REQUEST_AGE_UNKNOWN,
                    bytes_of_str(body), w->config.call_deadline_ms, on_done, a);
    process_leave(p);
}

/* Who says no age repeats for a window, and no longer. */
static bool again(struct world *w)
{
    const struct posts *ps = w->posts;

    return below(w, AGAIN_IN) == 0 && ps->asked > 0 &&
           w->now_ns <= ps->asked_ns + REMEMBER_MS_DEFAULT * NS_PER_MS;
}

static unsigned next(struct world *w)
{
    w->posts->asked_ns = w->now_ns;
    return ++w->posts->asked;
}

static void on_due(struct world *w, struct sim_event *e)
{
    struct posts *ps = w->posts;
    struct process *p = hosts_pick(w, STREAM_POST, false);

    if (ps->stopped || ps->asked == POST_REQUESTS_MAX)
        return;
    if (p && !p->frozen && !process_closing(p))
        ask(w, p, again(w) ? ps->asked : next(w));
    world_after(w, e, (1 + below(w, 2 * THINK_MS)) * NS_PER_MS);
}

struct posts *posts_new(struct world *w)
{
    struct posts *ps = calloc(1, sizeof *ps);

    CHECK(ps);
    ps->w = w;
    sim_mem_init(&ps->mem);
    map_init(&ps->rows);
    list_init(&ps->attempts);
    event_init(&ps->event, on_due);
    for (unsigned i = 0; i < SIM_POSTS_MAX; i++)
        list_init(&ps->changes[i].gone);
    return ps;
}

void posts_free(struct posts *ps)
{
    if (!ps)
        return;
    CHECK(list_empty(&ps->attempts));
    sim_mem_free_all(&ps->mem);
    free(ps);
}

void posts_start(struct world *w)
{
    if (w->config.posts > 0)
        world_after(w, &w->posts->event, (1 + below(w, 3000)) * NS_PER_MS);
}

void posts_stop(struct world *w)
{
    w->posts->stopped = true;
}

void posts_process_gone(struct world *w, const struct process *p)
{
    LIST_FOREACH_SAFE(it, tmp, &w->posts->attempts)
    {
        struct post_attempt *a = LIST_ENTRY(it, struct post_attempt, link);
        if (a->p != p)
            continue;
        list_remove(&a->link);
        free(a);
    }
}

size_t posts_calls_of(const struct world *w, const struct process *p)
{
    size_t n = 0;

    LIST_FOREACH(it, &w->posts->attempts)
    {
        n += LIST_ENTRY(it, struct post_attempt, link)->p == p;
    }
    return n;
}

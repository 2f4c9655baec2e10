#include "thaw_check.h"

#include <signal.h>
#include <stdio.h>
#include <string.h>

#include "kelpie/error.h"

#define LOOK_MS 2
#define ANSWER_MS 20000

static void on_answer(void *arg, const struct http_response *r)
{
    struct thaw_question *q = arg;
    struct thaw_check *t = q->check;
    json_t *json;

    t->answered++;
    if (t->is_closing || r->error || r->status != 200)
        return;
    json = json_loadb((const char *)r->body.data, r->body.len, JSON_DECODE_ANY, NULL);
    if (!json_is_integer(json) || (uint64_t)json_integer_value(json) < q->at_least) {
        t->stale++;
        (void)fprintf(stderr, "bench: thawed %s says that %s is %.*s, at least %llu expected\n",
                      t->node->id, q->counter->id, (int)(r->body.len < 40 ? r->body.len : 40),
                      (const char *)r->body.data, (unsigned long long)q->at_least);
    }
    json_decref(json);
    if (!t->has_joined)
        t->unproved++;
}

/* A status that was asked for after a success came, and still shows the old incarnation, proves
 * that the success was early. */
static void on_status(void *arg, const struct http_response *r)
{
    struct thaw_check *t = arg;
    json_t *json;
    long long incarnation;

    if (t->is_closing || r->error == KELPIE_E_CANCELLED)
        return;
    json = r->error ? NULL : json_loadb((const char *)r->body.data, r->body.len, 0, NULL);
    incarnation = json_integer_value(json_object_get(json, "incarnation"));
    if (incarnation > t->incarnation) {
        t->has_joined = true;
    } else if (json && incarnation == t->incarnation) {
        t->early += t->unproved_before;
        t->unproved_before = 0;
    }
    json_decref(json);
    if (!t->has_joined)
        timer_start(&t->look, LOOK_MS * NS_PER_MS);
}

static void on_look_due(void *arg)
{
    struct thaw_check *t = arg;

    t->unproved_before += t->unproved;
    t->unproved = 0;
    http_client_send(t->client, "GET", "/v1/status", NULL, bytes_of(NULL, 0), ANSWER_MS, on_status,
                     t);
}

void thaw_check_init(struct thaw_check *t, struct counter_load *load, struct bench_node *node)
{
    struct bench_loop *b = load->nodes->b;

    memset(t, 0, sizeof *t);
    t->load = load;
    t->node = node;
    t->incarnation = node->incarnation;
    t->client = http_client_new(b->loop, b->mem, node->http);
    t->questions = MEM_NEW_ARRAY(b->mem, struct thaw_question, load->count);
    timer_init(&t->look, b->timers, "thaw_look", on_look_due, t);
    for (size_t i = 0; i < load->count; i++) {
        struct load_counter *c = &load->counters[i];
        struct thaw_question *q = &t->questions[t->asked];
        char path[128];

        if (!c->is_marked)
            continue;
        *q = (struct thaw_question){.check = t, .counter = c, .at_least = c->acknowledged};
        t->asked++;
        (void)snprintf(path, sizeof path, "/v1/actors/counter/%s/get", c->id);
        http_client_send(t->client, "POST", path, NULL, bytes_of(NULL, 0), ANSWER_MS, on_answer, q);
    }
}

static bool is_over(void *arg)
{
    const struct thaw_check *t = arg;

    return t->has_joined && t->answered == t->asked;
}

bool thaw_check_run(struct thaw_check *t)
{
    (void)kill(t->node->pid, SIGCONT);
    timer_start(&t->look, 0);
    return bench_wait(t->load->nodes->b, is_over, t, BENCH_READY_MS);
}

void thaw_check_deinit(struct thaw_check *t)
{
    t->is_closing = true;
    timer_stop(&t->look);
    http_client_free(t->client);
    mem_free(t->load->nodes->b->mem, t->questions);
}

#include "lib/hub_rig.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include <cmocka.h>

#include "kelpie/error.h"

static void copy(char *out, size_t size, struct bytes from)
{
    (void)snprintf(out, size, "%.*s", (int)from.len, from.len ? (const char *)from.data : "");
}

static void told(struct played_slot *s, enum told what)
{
    CHECK(s->told == TOLD_NO);
    s->told = what;
    s->times++;
}

static void on_turn(void *ctx, const struct worker_turn *t)
{
    struct played_slot *s = ctx;
    size_t len = 0;

    told(s, TOLD_TURN);
    s->ticket = t->ticket;
    s->run = t->run;
    s->attempt = t->attempt;
    s->read = t->read;
    (void)snprintf(s->id, sizeof s->id, "%s", t->id);
    (void)snprintf(s->method, sizeof s->method, "%s", t->method);
    (void)snprintf(s->request_id, sizeof s->request_id, "%s", t->request_id);
    copy(s->body, sizeof s->body, t->body);
    s->state[0] = '\0';
    for (size_t i = 0; i < t->state_count; i++)
        len += (size_t)snprintf(s->state + len, sizeof s->state - len, "%.*s=%.*s ",
                                (int)t->state[i].key.len, (const char *)t->state[i].key.data,
                                (int)t->state[i].value.len, (const char *)t->state[i].value.data);
}

static void on_answers(void *ctx, uint64_t ticket, const struct worker_answer *a, size_t count)
{
    struct played_slot *s = ctx;
    size_t len = 0;

    told(s, TOLD_ANSWERS);
    CHECK(ticket == s->ticket);
    for (size_t i = 0; i < count; i++)
        len += (size_t)snprintf(s->answers + len, sizeof s->answers - len, "%d:%.*s ", a[i].status,
                                (int)a[i].reply.len, (const char *)a[i].reply.data);
}

static void on_nothing(void *ctx)
{
    told(ctx, TOLD_NOTHING);
}

static void on_refuse(void *ctx, int error, const char *why)
{
    struct played_slot *s = ctx;

    told(s, TOLD_REFUSED);
    s->error = error;
    (void)snprintf(s->why, sizeof s->why, "%s", why);
}

static void on_end(void *ctx)
{
    ((struct played_slot *)ctx)->ended = true;
}

static const struct hub_slot_ops ops = {
    .turn = on_turn,
    .answers = on_answers,
    .nothing = on_nothing,
    .refuse = on_refuse,
    .end = on_end,
};

struct worker_hello played_hello(uint32_t version)
{
    return (struct worker_hello){.types[0] = {.type = "purse",
                                              .version = version,
                                              .turn_ms = 1000,
                                              .reads = {"balance"},
                                              .read_count = 1},
                                 .type_count = 1};
}

struct uuid played_worker(unsigned number)
{
    return (struct uuid){.b = {1, (uint8_t)number}};
}

void played_join(struct small_node *n, struct played_slot *s, unsigned worker,
                 const struct worker_hello *hello)
{
    int error = 0;
    char why[HUB_WHY_SIZE] = "";

    s->told = TOLD_NO;
    s->slot =
        hub_join(node_hub(n->node), played_worker(worker), hello, &ops, s, &error, why, sizeof why);
    if (!s->slot)
        on_refuse(s, error, why);
}

static void release(struct worker_result *r, struct mem mem)
{
    mem_free(mem, r);
}

struct worker_result *played_result(struct small_node *n, const struct played_slot *s)
{
    struct worker_result *r = MEM_NEW(n->env.mem, struct worker_result);

    r->ticket = s->ticket;
    return r;
}

void played_answer(struct played_slot *s, struct worker_result *r)
{
    s->told = TOLD_NO;
    hub_answer(s->slot, r, release);
}

void played_put(struct small_node *n, struct played_slot *s, const char *value)
{
    struct worker_result *r = played_result(n, s);

    r->puts[r->put_count++] = (struct worker_entry){bytes_of_str("n"), bytes_of_str(value)};
    r->has_reply = true;
    r->reply = bytes_of_str(value);
    played_answer(s, r);
}

void played_ask(struct played_slot *s)
{
    s->told = TOLD_NO;
    hub_ask(s->slot, false);
}

void played_leave(struct played_slot *s)
{
    struct hub_slot *slot = s->slot;

    s->slot = NULL;
    hub_leave(slot);
}

void played_wait(struct small_world *w, struct played_slot *s, enum told what)
{
    for (unsigned i = 0; i < 3000 && s->told == TOLD_NO; i++)
        small_run_ms(w, 10);
    if (s->told != what)
        (void)fprintf(stderr, "told %d (%s), not %d\n", (int)s->told, s->why, (int)what);
    CHECK(s->told == what);
}

/* ---- a world for them */

static const struct kelpie_class *const classes[] = {&kelpie_class_counter, NULL};

void rig_begin(struct rig *r)
{
    *r = (struct rig){.w = small_world_of(1, classes)};
    r->n = &r->w->nodes[0];
}

/* Two slots of worker 1 are there, and the type is hosted. */
void rig_begin_two(struct rig *r)
{
    struct worker_hello h = played_hello(1);

    rig_begin(r);
    played_join(r->n, &r->a, 1, &h);
    played_join(r->n, &r->b, 1, &h);
    small_run_ms(r->w, 2000);
}

void rig_end(struct rig *r)
{
    struct played_slot *slots[] = {&r->a, &r->b, &r->c};

    for (size_t i = 0; i < 3; i++)
        if (slots[i]->slot)
            played_leave(slots[i]);
    small_world_free(r->w);
}

void rig_call_as(struct rig *r, struct small_answer *got, const char *id, const char *method,
                 const char *request_id, uint32_t deadline_ms)
{
    *got = (struct small_answer){0};
    actors_call(node_actors(r->n->node), "purse", id, method, request_id, 0, bytes_of_str("x"),
                deadline_ms, small_on_answer, got);
}

void rig_call(struct rig *r, struct small_answer *got, const char *id, const char *method)
{
    rig_call_as(r, got, id, method, "", 8000);
}

void rig_answered(struct rig *r, const struct small_answer *got, int status, const char *text)
{
    assert_true(small_run_until(r->w, &got->done, 20000));
    if (got->status != status)
        print_message("%s\n", got->text);
    assert_int_equal(got->status, status);
    if (!strstr(got->text, text))
        fail_msg("'%s' does not say '%s'", got->text, text);
}

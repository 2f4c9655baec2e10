#include "bin/kelpie_worker/worker_run.h"

#include <stdio.h>
#include <string.h>
#include <time.h>

#include "actor/class_methods.h"
#include "actor/domain_error.h"
#include "bin/kelpie_worker/worker_actor.h"
#include "env/env.h"
#include "kelpie/error.h"
#include "loop/loop.h"

static uint64_t now_ns(void)
{
    struct timespec t;

    (void)clock_gettime(CLOCK_MONOTONIC, &t);
    return (uint64_t)t.tv_sec * NS_PER_S + (uint64_t)t.tv_nsec;
}

/* ---- the turn's beginning and end */

static bool load(struct actor_state *s, const struct worker_turn *t)
{
    for (size_t i = 0; i < t->state_count; i++)
        if (actor_state_load(s, t->state[i].key, t->state[i].value))
            return false;
    return true;
}

static void actor_begin(struct kelpie_actor *a, const struct run_world *w,
                        const struct kelpie_class *class, const struct worker_turn *t)
{
    *a = (struct kelpie_actor){
        .class = class,
        .turn = t,
        .log = w->log,
        .began_ns = now_ns(),
        .random = t->random,
        .message =
            {
                .method = t->method,
                .request_id = t->request_id,
                .body = t->body.len ? t->body.data : (const uint8_t *)"",
                .body_len = t->body.len,
                .remaining_ms = t->deadline_ms,
                .flags = class_method_flags(class, t->method),
                .sender_type = t->sender_type,
                .sender_id = t->sender_id,
                .due_ms = t->due_ms,
                .missed = t->missed,
                .attempt = t->sender_type ? t->attempt : 0,
            },
        .result = MEM_NEW(loop_mem(), struct worker_result),
    };
    a->result->ticket = t->ticket;
    buf_init(&a->reply, loop_mem());
    actor_state_init(&a->values, loop_mem());
    actor_state_init(&a->told, loop_mem());
}

static void actor_end(struct kelpie_actor *a)
{
    actor_state_deinit(&a->values);
    actor_state_deinit(&a->told);
    buf_deinit(&a->reply);
    blocks_free(&a->blocks);
    blocks_free(&a->turn_blocks);
    mem_free(loop_mem(), a->result);
}

/* ---- callbacks */

static void begins(struct kelpie_actor *a, const struct run_world *w, enum actor_where where,
                   const char *callback)
{
    a->where = where;
    a->why_error = 0;
    w->begins(w->ctx, a->class, a->turn, callback);
}

static void ends(struct kelpie_actor *a, const struct run_world *w)
{
    w->ends(w->ctx);
    a->where = IN_NOTHING;
}

static int activate(struct kelpie_actor *a, const struct run_world *w)
{
    int status;

    if (!load(&a->values, a->turn) || !load(&a->told, a->turn))
        return actor_refuse(a, KELPIE_E_HANDLER_FAILED, "the state is over its bounds");
    if (!a->class->activate)
        return 0;
    begins(a, w, IN_ACTIVATE, "activate");
    status = a->class->activate(a);
    ends(a, w);
    actor_state_begin(&a->values);
    return status;
}

static void deactivate(struct kelpie_actor *a, const struct run_world *w)
{
    if (!a->class->deactivate)
        return;
    begins(a, w, IN_DEACTIVATE, "deactivate");
    a->class->deactivate(a);
    ends(a, w);
}

/* ---- what is told */

static struct bytes keep(struct kelpie_actor *a, struct bytes b)
{
    uint8_t *copy = block_new(&a->turn_blocks, b.len);

    if (b.len)
        memcpy(copy, b.data, b.len);
    return bytes_of(copy, b.len);
}

/* What differs from what the node knows. */
static void take_changes(struct kelpie_actor *a)
{
    struct worker_result *r = a->result;
    struct bytes key = bytes_of(NULL, 0), value, old;

    if (!a->wrote || r->erase)
        return;
    while (actor_state_next(&a->told, STATE_AS_IT_WILL_BE, key, &key, &old))
        if (!actor_state_get(&a->values, STATE_AS_IT_WILL_BE, key, &value))
            r->deletes[r->delete_count++] = keep(a, key);
    key = bytes_of(NULL, 0);
    while (actor_state_next(&a->values, STATE_AS_IT_WILL_BE, key, &key, &value))
        if (!actor_state_get(&a->told, STATE_AS_IT_WILL_BE, key, &old) || !bytes_equal(old, value))
            r->puts[r->put_count++] = (struct worker_entry){keep(a, key), keep(a, value)};
}

static void set_told(struct kelpie_actor *a)
{
    struct bytes key = bytes_of(NULL, 0), value;

    actor_state_deinit(&a->told);
    actor_state_init(&a->told, loop_mem());
    while (actor_state_next(&a->values, STATE_AS_IT_WILL_BE, key, &key, &value))
        CHECK(actor_state_load(&a->told, key, value) == 0);
}

/* At most `max` bytes, cut where a character ends, as text that stays. */
static const char *sentence_of(struct kelpie_actor *a, struct bytes text, size_t max)
{
    size_t len = text.len < max ? text.len : max;

    while (len > 0 && len < text.len && (text.data[len] & 0xc0) == 0x80)
        len--;
    char *copy = block_new(&a->turn_blocks, len + 1);
    if (len)
        memcpy(copy, text.data, len);
    return copy;
}

static void take_failure(struct kelpie_actor *a, int status)
{
    struct worker_result *r = a->result;
    struct domain_error error;
    const char *why = a->why_error == status && a->why[0] ? a->why : "";

    if (a->failed && domain_error_decode(buf_bytes(&a->reply), &error)) {
        r->status = KELPIE_E_DOMAIN;
        r->code = sentence_of(a, bytes_of_str(error.code), KELPIE_FAIL_CODE_MAX);
        r->sentence = sentence_of(a, bytes_of_str(error.text), KELPIE_FAIL_TEXT_MAX);
        return;
    }
    /* A domain error that nobody has said anything of is a handler's that failed. */
    r->status = status < 0 && status != KELPIE_E_DOMAIN && kelpie_error_name(status)[0]
                    ? status
                    : KELPIE_E_HANDLER_FAILED;
    struct bytes text = a->has_reply ? buf_bytes(&a->reply) : bytes_of_str(why);
    if (text.len > 0)
        r->sentence = sentence_of(a, text, KELPIE_FAIL_TEXT_MAX);
}

static void take_end(struct kelpie_actor *a, int status)
{
    if (status || a->failed) {
        take_failure(a, status);
        return;
    }
    take_changes(a);
    a->result->call_count = 0; /* nobody waits for those */
    a->result->has_reply = a->has_reply;
    a->result->reply = buf_bytes(&a->reply);
}

/* The node knows all that there was to tell. */
static void clear_told(struct kelpie_actor *a)
{
    struct worker_result *r = a->result;

    if (r->put_count + r->delete_count > 0)
        set_told(a);
    r->put_count = r->delete_count = r->send_count = r->unsend_count = r->call_count = 0;
    a->calls.bytes = 0;
}

/* ---- calls */

static void note_why(struct kelpie_actor *a, const struct worker_answer *said)
{
    if (said->status)
        (void)actor_refuse(a, said->status, "%.*s", (int)said->reply.len,
                           said->reply.len ? (const char *)said->reply.data : "");
}

/* It ends with the domain error that a call was answered with. */
static void pass_on(struct kelpie_actor *a, const struct worker_answer *said)
{
    if (!a->finished || a->finish_status != KELPIE_E_DOMAIN || said->status != KELPIE_E_DOMAIN ||
        a->failed || a->has_reply)
        return;
    a->failed = true;
    buf_clear(&a->reply);
    buf_append_bytes(&a->reply, said->reply);
}

static void run_answers(struct kelpie_actor *a, const struct run_world *w,
                        const struct actor_calls *calls, const struct worker_told *told)
{
    for (size_t i = 0; i < told->answer_count && !a->finished; i++) {
        const struct worker_answer *said = &told->answers[i];
        begins(a, w, IN_ANSWERED, "answered");
        note_why(a, said);
        calls->answered[i](a, calls->arg[i], said->status,
                           said->reply.len ? said->reply.data : (const uint8_t *)"",
                           said->reply.len);
        ends(a, w);
        pass_on(a, said);
    }
}

/* From one round of calls to the next, to the turn's end; false: nobody waits for it any more. */
static bool wait_for_calls(struct kelpie_actor *a, const struct run_world *w, struct buf *line,
                           int *status)
{
    struct worker_told *told = MEM_NEW(loop_mem(), struct worker_told);
    bool waits = true;

    while (waits && !a->finished && a->result->call_count > 0) {
        struct actor_calls calls = a->calls;
        size_t count = a->result->call_count;
        take_changes(a);
        buf_clear(line);
        worker_result_encode(a->result, line);
        clear_told(a);
        waits = w->exchange(w->ctx, line, told) && told->answer_count == count;
        if (waits)
            run_answers(a, w, &calls, told);
        worker_told_free(told);
    }
    mem_free(loop_mem(), told);
    *status = a->finish_status;
    if (waits && !a->finished)
        *status =
            actor_refuse(a, KELPIE_E_HANDLER_FAILED,
                         "the handler neither finished its turn nor made another call to wait for");
    return waits;
}

bool run_turn(const struct run_world *w, const struct kelpie_class *class,
              const struct worker_turn *turn, struct buf *line)
{
    struct kelpie_actor *a = MEM_NEW(loop_mem(), struct kelpie_actor);
    bool waits = true;

    actor_begin(a, w, class, turn);
    int status = activate(a, w);
    if (!status) {
        begins(a, w, IN_RECEIVE, "receive");
        status = class->receive(a, &a->message);
        ends(a, w);
        if (status == KELPIE_PENDING && a->result->call_count > 0)
            waits = wait_for_calls(a, w, line, &status);
        else if (status == KELPIE_PENDING)
            status = actor_refuse(a, KELPIE_E_HANDLER_FAILED,
                                  "the handler left its turn open without a call to wait for");
        if (waits)
            take_end(a, status);
        deactivate(a, w);
    } else {
        take_failure(a, status);
    }
    if (waits) {
        buf_clear(line);
        worker_result_encode(a->result, line);
    }
    actor_end(a);
    mem_free(loop_mem(), a);
    return waits;
}

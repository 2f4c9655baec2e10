/* Classes whose turns a worker's process runs. One process for each life of a node, started with its first turn. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "actor/activation.h"
#include "bin/kelpie_sim/sim_code.h"
#include "bin/kelpie_sim/sim_options.h"
#include "bin/kelpie_sim/sim_worker.h"
#include "http/worker_json.h"
#include "kelpie/error.h"
#include "loop/loop.h"
#include "worker/worker_apply.h"

#define ABOUT_SIZE 400

struct worker {
    const char *command;
    unsigned limit_s;
    struct worker_hello hello; /* of the process that was asked first; all others are alike */
    struct buf hello_text;
};

struct life {
    const struct worker *worker;
    struct worker_process process;
    uint64_t tickets, runs;
    struct kelpie_class classes[WORKER_TYPES_MAX];
    struct kelpie_method methods[WORKER_TYPES_MAX][WORKER_READS_MAX + 1];
    const struct kelpie_class *list[WORKER_TYPES_MAX + 1];
};

/* A turn that waits for its calls. */
struct waits {
    uint64_t ticket;
    size_t open, count;
    struct worker_answer answers[KELPIE_CALLS_OPEN_MAX];
    struct waits_for {
        struct waits *turn;
        size_t number;
    } calls[KELPIE_CALLS_OPEN_MAX];
};

static void start(struct life *l)
{
    const struct worker *w = l->worker;
    struct bytes said;

    l->process.command = w->command;
    l->process.limit_s = w->limit_s;
    worker_process_start(&l->process);
    said = worker_process_ask(&l->process, bytes_of(NULL, 0), "its start");
    if (w->hello_text.len && !bytes_equal(said, buf_bytes(&w->hello_text)))
        bad_usage("the worker says another thing at each start: '%.*s'",
                  (int)(said.len < 100 ? said.len : 100), (const char *)said.data);
}

static const char *about(const struct kelpie_actor *actor, const char *method, char out[ABOUT_SIZE])
{
    (void)snprintf(out, ABOUT_SIZE, "%s/%s %s", kelpie_actor_type(actor), kelpie_actor_id(actor),
                   method);
    return out;
}

/* ---- what a turn has come to */

static void on_answered(struct kelpie_actor *actor, void *arg, int status, const uint8_t *reply,
                        size_t reply_len);

static int apply(struct kelpie_actor *actor, const struct worker_result *r)
{
    struct waits *t = r->call_count ? kelpie_turn_alloc(actor, sizeof *t) : NULL;
    void *args[KELPIE_CALLS_OPEN_MAX];
    int status;

    for (size_t i = 0; t && i < r->call_count; i++) {
        t->calls[i] = (struct waits_for){.turn = t, .number = i};
        args[i] = &t->calls[i];
    }
    status = worker_apply(actor, r, on_answered, args);
    if (status == KELPIE_PENDING) {
        t->ticket = r->ticket;
        t->open = t->count = r->call_count;
    }
    return status;
}

/* Says the line, and does what is answered. */
static int go_on(struct kelpie_actor *actor, struct life *l, uint64_t ticket, struct buf *line,
                 const char *method)
{
    struct mem mem = loop_mem();
    struct worker_result *r = mem_alloc(mem, sizeof *r);
    char name[ABOUT_SIZE], why[WORKER_WHY_SIZE];

    buf_append_u8(line, '\n');
    struct bytes said =
        worker_process_ask(&l->process, buf_bytes(line), about(actor, method, name));
    if (worker_result_decode(said, mem, r, why, sizeof why))
        bad_usage("the worker %s, at %s", why, name);
    if (r->ticket != ticket)
        bad_usage("the worker answers the ticket %llu when it was given %llu, at %s",
                  (unsigned long long)r->ticket, (unsigned long long)ticket, name);
    int status = apply(actor, r);
    worker_process_taken(&l->process, said);
    worker_result_free(r, mem);
    mem_free(mem, r);
    return status;
}

static void on_answered(struct kelpie_actor *actor, void *arg, int status, const uint8_t *reply,
                        size_t reply_len)
{
    const struct waits_for *c = arg;
    struct waits *t = c->turn;
    struct worker_answer *a = &t->answers[c->number];
    struct life *l = kelpie_class_arg(actor);
    uint8_t *copy = kelpie_turn_alloc(actor, reply_len + 1);

    if (reply_len)
        memcpy(copy, reply, reply_len);
    *a = (struct worker_answer){.status = status, .reply = bytes_of(copy, reply_len)};
    if (--t->open > 0)
        return;
    struct buf line;
    buf_init(&line, loop_mem());
    worker_answers_encode(t->ticket, t->answers, t->count, &line);
    int ends = go_on(actor, l, t->ticket, &line, kelpie_turn_message(actor)->method);
    buf_deinit(&line);
    users_turn_event(actor, ends);
    if (ends != KELPIE_PENDING)
        (void)kelpie_finish(actor, ends);
}

/* ---- the class */

static int activate(struct kelpie_actor *actor)
{
    struct life *l = kelpie_class_arg(actor);
    uint64_t *run = kelpie_actor_alloc(actor, sizeof *run);

    *run = ++l->runs;
    kelpie_actor_set_data(actor, run);
    return 0;
}

static size_t take_state(struct kelpie_actor *actor, struct worker_entry *out)
{
    const uint8_t *key = NULL, *value;
    size_t key_len = 0, value_len, count = 0;

    while (count < KELPIE_STATE_KEYS_MAX &&
           kelpie_state_next(actor, key, key_len, &key, &key_len, &value, &value_len))
        out[count++] = (struct worker_entry){bytes_of(key, key_len), bytes_of(value, value_len)};
    return count;
}

static int receive(struct kelpie_actor *actor, const struct kelpie_message *m)
{
    struct life *l = kelpie_class_arg(actor);
    struct worker_entry *state = calloc(KELPIE_STATE_KEYS_MAX, sizeof *state);
    struct buf line;

    CHECK(state);
    if (!l->process.pid) {
        start(l);
        worker_process_taken(&l->process, buf_bytes(&l->worker->hello_text));
    }
    struct worker_turn t = {
        .ticket = ++l->tickets,
        .run = *(const uint64_t *)kelpie_actor_data(actor),
        .type = kelpie_actor_type(actor),
        .id = kelpie_actor_id(actor),
        .method = m->method,
        .request_id = m->request_id,
        .attempt = m->attempt ? m->attempt : 1,
        .deadline_ms = m->remaining_ms,
        .read = (m->flags & KELPIE_METHOD_READ) != 0,
        .sender_type = m->sender_type,
        .sender_id = m->sender_id,
        .due_ms = m->due_ms,
        .missed = m->missed,
        .chain = actor->current->chain,
        .body = bytes_of(m->body, m->body_len),
        .now_ms = kelpie_now_ms(actor),
        .random = kelpie_random(actor) >> 11,
        .state = state,
        .state_count = take_state(actor, state),
    };
    buf_init(&line, loop_mem());
    worker_turn_encode(&t, &line);
    free(state);
    int status = go_on(actor, l, t.ticket, &line, m->method);
    buf_deinit(&line);
    return status;
}

static void fill_class(struct life *l, size_t i)
{
    const struct worker_type *t = &l->worker->hello.types[i];

    for (size_t k = 0; k < t->read_count; k++)
        l->methods[i][k] = (struct kelpie_method){.name = t->reads[k], .flags = KELPIE_METHOD_READ};
    l->classes[i] = (struct kelpie_class){
        .abi = KELPIE_ABI_VERSION,
        .size = sizeof(struct kelpie_class),
        .type = t->type,
        .placement = t->placement,
        .idle_ms = t->idle_ms,
        .remember_ms = t->remember_ms,
        .version = t->version,
        .expire_after_ms = t->expire_after_ms,
        .methods = l->methods[i],
        .arg = l,
        .activate = activate,
        .receive = receive,
    };
    l->list[i] = &l->classes[i];
}

static const struct kelpie_class *const *life_begin(void *ctx, void **life)
{
    struct life *l = calloc(1, sizeof *l);

    CHECK(l);
    l->worker = ctx;
    buf_init(&l->process.said, loop_mem());
    for (size_t i = 0; i < l->worker->hello.type_count; i++)
        fill_class(l, i);
    *life = l;
    return l->list;
}

static void life_finish(void *ctx, void *life)
{
    struct life *l = life;

    (void)ctx;
    worker_process_end(&l->process);
    buf_deinit(&l->process.said);
    free(l);
}

void worker_open(const char *command, unsigned limit_s, struct sim_users_source *out)
{
    static struct worker w;
    static struct life first;
    char why[WORKER_WHY_SIZE];

    w = (struct worker){.command = command, .limit_s = limit_s};
    buf_init(&w.hello_text, loop_mem());
    first.worker = &w;
    buf_init(&first.process.said, loop_mem());
    start(&first);
    const uint8_t *nl = memchr(first.process.said.data, '\n', first.process.said.len);
    buf_append(&w.hello_text, first.process.said.data, (size_t)(nl - first.process.said.data));
    worker_process_end(&first.process);
    if (worker_hello_decode(buf_bytes(&w.hello_text), &w.hello, why, sizeof why))
        bad_usage("the worker %s, at its start", why);
    for (size_t i = 0; i < w.hello.type_count; i++)
        out->types[out->type_count++] = w.hello.types[i].type;
    out->begin = life_begin;
    out->end = life_finish;
    out->ctx = &w;
}

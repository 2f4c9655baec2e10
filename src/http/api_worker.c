/*
 * POST /v1/worker/next: the way between a worker and the hub (docs/workers.md, worker/hub.h). A connection is
 * a slot; each request says what came of the last turn, and is answered with the next.
 */
#include <stdio.h>

#include "http/api_internal.h"
#include "http/worker_json.h"

#define TYPE_JSON "application/json"

/* What is kept with a connection. */
struct session {
    struct api *api;
    struct mem mem;
    struct uuid worker;
    struct hub_slot *slot; /* NULL: it has not said what it is, or its connection is ending */
    void *connection;
    const struct api_ops *ops;
    struct api_request req; /* that waits for its answer, if */
    bool waits;
};

/* ---- what the hub says */

static void end_wait(struct session *s)
{
    CHECK(s->waits);
    s->waits = false;
    s->api->pending--;
}

static void say(struct session *s, struct buf *line)
{
    end_wait(s);
    buf_append_u8(line, '\n');
    api_reply(s->api, &s->req, 200, TYPE_JSON, buf_bytes(line));
    buf_deinit(line);
}

static void on_turn(void *ctx, const struct worker_turn *turn)
{
    struct session *s = ctx;
    struct buf line;

    buf_init(&line, s->mem);
    worker_turn_encode(turn, &line);
    say(s, &line);
}

static void on_answers(void *ctx, uint64_t ticket, const struct worker_answer *a, size_t count)
{
    struct session *s = ctx;
    struct buf line;

    buf_init(&line, s->mem);
    worker_answers_encode(ticket, a, count, &line);
    say(s, &line);
}

static void on_nothing(void *ctx)
{
    struct session *s = ctx;
    struct buf line;

    buf_init(&line, s->mem);
    buf_append(&line, "{}", 2);
    say(s, &line);
}

static void on_refuse(void *ctx, int error, const char *why)
{
    struct session *s = ctx;

    end_wait(s);
    api_reply_error(s->api, &s->req, error, why);
}

static void on_end(void *ctx)
{
    struct session *s = ctx;

    s->ops->end_connection(s->connection);
}

static const struct hub_slot_ops slot_ops = {
    .turn = on_turn,
    .answers = on_answers,
    .nothing = on_nothing,
    .refuse = on_refuse,
    .end = on_end,
};

/* ---- its connection ends */

static void leave(struct session *s)
{
    struct hub_slot *slot = s->slot;

    s->slot = NULL;
    if (slot)
        hub_leave(slot);
}

/* The worker is gone, or will say nothing more: nobody reads the answer that is owed. */
static void on_closed(void *arg)
{
    struct session *s = arg;

    leave(s);
    if (s->waits)
        on_nothing(s);
}

static void on_gone(void *kept)
{
    struct session *s = kept;

    leave(s);
    CHECK(!s->waits);
    mem_free(s->mem, s);
}

/* ---- what it says */

static void wait_for_hub(struct session *s, const struct api_request *req)
{
    s->req = *req;
    s->waits = true;
    s->api->pending++;
    req->ops->on_close(req->ex, on_closed, s);
}

static bool take_worker(struct api *api, const struct api_request *req, struct uuid *out)
{
    const char *text = req->ops->header(req->ex, "Kelpie-Worker");

    if (text && uuid_from_text(text, out) == 0 && !uuid_is_zero(*out))
        return true;
    api_reply_error(
        api, req, KELPIE_E_INVALID,
        "the header Kelpie-Worker must be a UUID in lower case, the same on all connections "
        "of the worker");
    return false;
}

static struct session *session_new(struct api *api, const struct api_request *req,
                                   struct uuid worker)
{
    struct session *s = MEM_NEW(api->env->mem, struct session);

    s->api = api;
    s->mem = api->env->mem;
    s->worker = worker;
    s->ops = req->ops;
    s->connection = req->ops->keep(req->ex, s, on_gone);
    if (s->connection)
        return s;
    mem_free(s->mem, s);
    api_reply_error(api, req, KELPIE_E_UNAVAILABLE, "the connection has ended");
    return NULL;
}

static void join(struct session *s, const struct api_request *req)
{
    struct worker_hello *hello = MEM_NEW(s->mem, struct worker_hello);
    char why[HUB_WHY_SIZE] = "the worker ", *what = why + strlen(why);
    int error = worker_hello_decode(req->body, hello, what, sizeof why - (size_t)(what - why));

    if (error) {
        api_reply_error(s->api, req, error, why);
    } else {
        wait_for_hub(s, req);
        s->slot = hub_join(node_hub(s->api->node), s->worker, hello, &slot_ops, s, &error, why,
                           sizeof why);
        if (!s->slot)
            on_refuse(s, error, why);
    }
    worker_hello_free(hello);
    mem_free(s->mem, hello);
}

static bool is_blank(uint8_t c)
{
    return c == ' ' || c == '\t' || c == '\r' || c == '\n';
}

/* The body is that text, blanks aside. */
static bool says(struct bytes body, const char *text)
{
    for (size_t i = 0; i < body.len; i++)
        if (!is_blank(body.data[i]) && body.data[i] != (uint8_t)*text++)
            return false;
    return *text == '\0';
}

static void release(struct worker_result *r, struct mem mem)
{
    worker_result_free(r, mem);
    mem_free(mem, r);
}

static void answer(struct session *s, const struct api_request *req)
{
    struct worker_result *r = MEM_NEW(s->mem, struct worker_result);
    char why[WORKER_WHY_SIZE];

    wait_for_hub(s, req);
    if (worker_result_decode(req->body, s->mem, r, why, sizeof why) == 0) {
        hub_answer(s->slot, r, release);
        return;
    }
    release(r, s->mem);
    hub_bad_answer(s->slot, why);
}

void api_worker_next(struct api *api, const struct api_request *req, const struct path *path)
{
    bool is_last = says(req->body, "{\"last\":true}");
    struct session *s;
    struct uuid worker;

    (void)path;
    if (!req->is_local) {
        api_reply_error(
            api, req, KELPIE_E_NOT_FOUND,
            "workers are served on the node's Unix socket only, kelpied.sock in its data "
            "directory");
        return;
    }
    if (!take_worker(api, req, &worker))
        return;
    s = req->ops->kept(req->ex);
    if (!s)
        s = session_new(api, req, worker);
    if (!s)
        return;
    if (!uuid_equal(s->worker, worker)) {
        api_reply_error(api, req, KELPIE_E_REFUSED,
                        "the connection is of another worker: its Kelpie-Worker was another one");
    } else if (!s->slot) {
        join(s, req);
    } else if (says(req->body, "") || says(req->body, "{}") || is_last) {
        wait_for_hub(s, req);
        hub_ask(s->slot, is_last);
    } else {
        answer(s, req);
    }
}

/* What classes call within a turn: other actors, the end of an open one, memory of its own. */
#include <stdio.h>

#include "actor/chain.h"
#include "actor/open_turn.h"
#include "base/mark.h"
#include "base/mutant.h"

/* A turn runs, in `receive` or in a callback of the open one. */
static bool in_turn(const struct kelpie_actor *act)
{
    return act->current && act->in_receive && !act->read_only &&
           (!act->open || act->open->inv == act->current);
}

static int refuse(struct kelpie_actor *act, int error, const char *why)
{
    struct actors *a = act->actors;
    char quoted[2 * WHY_SIZE];

    a->why_error = error;
    if (why != a->why)
        (void)snprintf(a->why, sizeof a->why, "%s", why);
    log_warn(&a->env->log, "actor_call_refused", "%s error=%s why=%s", ACT_FIELDS(act),
             kelpie_error_name(error), log_quote(a->why, quoted, sizeof quoted));
    return error;
}

static int refuse_cycle(struct kelpie_actor *act, const char *type, const char *id)
{
    struct buf text;

    SOMETIMES("call-comes-back-to-its-chain");
    buf_init(&text, act->actors->env->mem);
    buf_appendf(&text, "the call would come back to an actor that waits for it: ");
    chain_to_text(act->current->chain, &text);
    buf_appendf(&text, "%s/%s -> %s/%s", act_type(act), act_id(act), type, id);
    (void)snprintf(act->actors->why, sizeof act->actors->why, "%.*s", (int)text.len,
                   (const char *)text.data);
    buf_deinit(&text);
    return refuse(act, KELPIE_E_CALL_CYCLE, act->actors->why);
}

static int check_target(struct kelpie_actor *act, const char *type, const char *id)
{
    struct bytes chain = act->current->chain;

    if (chain_has(chain, type, id) ||
        (strcmp(type, act_type(act)) == 0 && strcmp(id, act_id(act)) == 0))
        return refuse_cycle(act, type, id);
    if (chain_depth(chain) + 1 > KELPIE_CALL_DEPTH_MAX)
        return refuse(act, KELPIE_E_CALL_DEPTH, kelpie_error_text(KELPIE_E_CALL_DEPTH));
    return 0;
}

static int check_bounds(struct kelpie_actor *act, size_t body_len)
{
    const struct open_turn *t = act->open;
    char why[WHY_SIZE];

    if (body_len > KELPIE_BODY_MAX) {
        (void)snprintf(why, sizeof why, "the body of a call has %zu bytes; at most %u are allowed",
                       body_len, KELPIE_BODY_MAX);
        return refuse(act, KELPIE_E_TOO_LARGE, why);
    }
    if (!t)
        return 0;
    if (t->made >= KELPIE_CALLS_MAX)
        (void)snprintf(why, sizeof why, "a turn makes at most %d calls", KELPIE_CALLS_MAX);
    else if (t->unanswered >= KELPIE_CALLS_OPEN_MAX)
        (void)snprintf(why, sizeof why, "a turn waits for at most %d calls at once",
                       KELPIE_CALLS_OPEN_MAX);
    else if (t->bytes + body_len > KELPIE_CALL_BYTES_MAX)
        (void)snprintf(why, sizeof why,
                       "the calls that a turn waits for have at most %u bytes together",
                       KELPIE_CALL_BYTES_MAX);
    else
        return 0;
    return refuse(act, KELPIE_E_LIMIT, why);
}

static int check_names(struct kelpie_actor *act, const char *type, const char *id,
                       const char *method)
{
    struct actors *a = act->actors;
    int error = KELPIE_E_INVALID;

    (void)snprintf(a->why, sizeof a->why, "a call names no actor, no method or no callback");
    if (type && id && method)
        error = id_check("actor type", bytes_of_str(type), ACTOR_TYPE_MAX, a->why, sizeof a->why);
    if (type && id && method && !error)
        error = id_check("actor id", bytes_of_str(id), ACTOR_ID_MAX, a->why, sizeof a->why);
    if (type && id && method && !error)
        error = id_check("method", bytes_of_str(method), KELPIE_METHOD_MAX, a->why, sizeof a->why);
    return error ? refuse(act, error, a->why) : 0;
}

static void name_call(struct open_turn *t, struct nested_call *c)
{
    struct kelpie_actor *act = t->act;
    struct nested n = {.origin = t->inv->request_id,
                       .type = act_type(act),
                       .id = act_id(act),
                       .to_type = c->type,
                       .to_id = c->id,
                       .method = c->method,
                       .body = bytes_of(c->body, c->body_len)};
    struct hash128 hash = nested_hash(&n);
    uint64_t equals = 0;

    if (!t->hashes)
        t->hashes = mem_alloc(open_turn_mem(t), KELPIE_CALLS_MAX * sizeof *t->hashes);
    for (size_t i = 0; i < t->made; i++)
        equals += t->hashes[i].hi == hash.hi && t->hashes[i].lo == hash.lo;
    t->hashes[t->made++] = hash;
    nested_request_id(hash, equals, c->request_id);
    if (MUTANT("nestedrandom"))
        uuid_to_text(random_uuid(act->actors->env->random), c->request_id);
}

int kelpie_call(struct kelpie_actor *actor, const char *type, const char *id, const char *method,
                const void *body, size_t body_len, uint32_t deadline_ms, kelpie_call_fn answered,
                void *arg)
{
    struct open_turn *t;
    struct nested_call *c;
    int error;

    if (!in_turn(actor) || (actor->open && actor->open->finished))
        return refuse(actor, KELPIE_E_REFUSED, "calls are made within a turn that changes state");
    error = check_names(actor, answered ? type : NULL, id, method);
    if (!error && !body && body_len > 0)
        error = refuse(actor, KELPIE_E_INVALID, "the body of a call is NULL and has a length");
    if (!error)
        error = check_target(actor, type, id);
    if (!error)
        error = check_bounds(actor, body_len);
    if (error)
        return error;
    t = actor->open ? actor->open : open_turn_new(actor);
    c = mem_zalloc(open_turn_mem(t), 1, sizeof *c + body_len);
    c->turn = t;
    c->answered = answered;
    c->arg = arg;
    c->deadline_ns =
        deadline_ms ? env_now_ns(actor->actors->env) + deadline_ms * NS_PER_MS : UINT64_MAX;
    buf_init(&c->reply, open_turn_mem(t));
    (void)snprintf(c->type, sizeof c->type, "%s", type);
    (void)snprintf(c->id, sizeof c->id, "%s", id);
    (void)snprintf(c->method, sizeof c->method, "%s", method);
    c->body_len = body_len;
    if (body_len)
        memcpy(c->body, body, body_len);
    name_call(t, c);
    t->unanswered++;
    t->bytes += body_len;
    list_append(&t->waiting, &c->link);
    return 0;
}

int kelpie_finish(struct kelpie_actor *actor, int code)
{
    struct open_turn *t = actor->open;

    if (!t || !t->in_callback)
        return refuse(actor, KELPIE_E_REFUSED, "a turn is finished within a callback of its calls");
    t->finished = true;
    t->status = code <= 0 ? code : KELPIE_E_HANDLER_FAILED;
    return 0;
}

const struct kelpie_message *kelpie_turn_message(const struct kelpie_actor *actor)
{
    return actor->current && actor->in_receive ? &actor->current->message : NULL;
}

void *kelpie_turn_alloc(struct kelpie_actor *actor, size_t size)
{
    struct open_turn *t;
    struct turn_block *b;

    if (!in_turn(actor))
        return NULL;
    CHECK(size <= KELPIE_ALLOC_MAX);
    t = actor->open ? actor->open : open_turn_new(actor);
    b = mem_zalloc(open_turn_mem(t), 1, sizeof *b + size);
    b->next = t->blocks;
    t->blocks = b;
    return b->data;
}

/* Messages and calls of a turn (kelpie/kelpie.h), in a worker process: they are told to the node with the turn's end, or
 * with the calls that it waits for. */
#include <stdio.h>
#include <string.h>

#include "actor/chain.h"
#include "bin/kelpie_worker/worker_actor.h"
#include "kelpie/error.h"
#include "loop/loop.h"
#include "record/keys.h"

static const char *keep_text(struct kelpie_actor *actor, const char *text)
{
    size_t len = strlen(text);
    char *copy = block_new(&actor->turn_blocks, len + 1);

    memcpy(copy, text, len);
    return copy;
}

static struct bytes keep_bytes(struct kelpie_actor *actor, const void *data, size_t len)
{
    uint8_t *copy = block_new(&actor->turn_blocks, len);

    if (len)
        memcpy(copy, data, len);
    return bytes_of(copy, len);
}

static int check_text(struct kelpie_actor *actor, const char *what, const char *text, size_t max)
{
    char why[WHY_SIZE];

    if (!text)
        return actor_refuse(actor, KELPIE_E_INVALID, "%s is NULL", what);
    int error = id_check(what, bytes_of_str(text), max, why, sizeof why);
    return error ? actor_refuse(actor, error, "%s", why) : 0;
}

static int check_names(struct kelpie_actor *actor, const char *type, const char *id,
                       const char *method)
{
    int error = check_text(actor, "actor type", type, ACTOR_TYPE_MAX);

    if (!error)
        error = check_text(actor, "actor id", id, ACTOR_ID_MAX);
    return error ? error : check_text(actor, "method", method, KELPIE_METHOD_MAX);
}

/* ---- messages */

static int check_options(struct kelpie_actor *actor, const struct kelpie_send_options *o)
{
    if (o->after_ms > KELPIE_SEND_DELAY_MS_MAX || o->every_ms > KELPIE_SEND_DELAY_MS_MAX)
        return actor_refuse(actor, KELPIE_E_INVALID, "a delay or period is over %llu ms",
                            (unsigned long long)KELPIE_SEND_DELAY_MS_MAX);
    if (o->every_ms > 0 && o->every_ms < KELPIE_SEND_PERIOD_MS_MIN)
        return actor_refuse(actor, KELPIE_E_INVALID, "a period is under %u ms",
                            KELPIE_SEND_PERIOD_MS_MIN);
    if (o->every_ms > 0 && !o->name)
        return actor_refuse(actor, KELPIE_E_INVALID, "a message with a period needs a name");
    return o->name ? check_text(actor, "the message's name", o->name, KELPIE_MESSAGE_NAME_MAX) : 0;
}

static int check_room(struct kelpie_actor *actor, bool named, size_t len)
{
    if (actor->sends >= KELPIE_SENDS_MAX)
        return actor_refuse(actor, KELPIE_E_TOO_LARGE, "a turn sends at most %d messages",
                            KELPIE_SENDS_MAX);
    if (named && actor->send_names >= KELPIE_SEND_NAMES_MAX)
        return actor_refuse(actor, KELPIE_E_TOO_LARGE, "a turn uses at most %d names of messages",
                            KELPIE_SEND_NAMES_MAX);
    if (len > KELPIE_MESSAGE_BODY_MAX)
        return actor_refuse(actor, KELPIE_E_TOO_LARGE,
                            "a message has %zu bytes; at most %u are allowed", len,
                            KELPIE_MESSAGE_BODY_MAX);
    if (actor->send_bytes + len > KELPIE_SEND_BYTES_MAX)
        return actor_refuse(actor, KELPIE_E_TOO_LARGE,
                            "a turn's messages have at most %u bytes together",
                            KELPIE_SEND_BYTES_MAX);
    actor->sends++;
    actor->send_names += named;
    actor->send_bytes += len;
    actor->wrote = true;
    return 0;
}

int kelpie_send(struct kelpie_actor *actor, const char *type, const char *id, const char *method,
                const void *body, size_t len, const struct kelpie_send_options *options)
{
    const struct kelpie_send_options now = {0}, *o = options ? options : &now;
    struct worker_result *r = actor->result;
    int error;

    if (!actor_in_turn(actor))
        return actor_refuse(actor, KELPIE_E_REFUSED, "messages are sent in receive only");
    if (!body && len)
        return actor_refuse(actor, KELPIE_E_INVALID, "a message's body is NULL");
    error = check_names(actor, type, id, method);
    if (!error)
        error = check_options(actor, o);
    if (!error)
        error = check_room(actor, o->name != NULL, len);
    if (error)
        return error;
    r->sends[r->send_count++] = (struct worker_send){
        .type = keep_text(actor, type),
        .id = keep_text(actor, id),
        .method = keep_text(actor, method),
        .name = o->name ? keep_text(actor, o->name) : NULL,
        .body = keep_bytes(actor, body, len),
        .after_ms = o->after_ms,
        .every_ms = o->every_ms,
    };
    return 0;
}

int kelpie_unsend(struct kelpie_actor *actor, const char *name)
{
    struct worker_result *r = actor->result;
    int error;

    if (!actor_in_turn(actor))
        return actor_refuse(actor, KELPIE_E_REFUSED, "messages are sent in receive only");
    error = check_text(actor, "the message's name", name, KELPIE_MESSAGE_NAME_MAX);
    if (!error)
        error = check_room(actor, true, 0);
    if (!error)
        r->unsends[r->unsend_count++] = keep_text(actor, name);
    return error;
}

/* ---- calls */

static int refuse_cycle(struct kelpie_actor *actor, const char *type, const char *id)
{
    struct buf text;

    buf_init(&text, loop_mem());
    chain_to_text(actor->turn->chain, &text);
    (void)actor_refuse(actor, KELPIE_E_CALL_CYCLE,
                       "the call would come back to an actor that waits for it: %.*s%s/%s -> %s/%s",
                       (int)text.len, text.len ? (const char *)text.data : "", actor->turn->type,
                       actor->turn->id, type, id);
    buf_deinit(&text);
    return KELPIE_E_CALL_CYCLE;
}

static int check_target(struct kelpie_actor *actor, const char *type, const char *id)
{
    struct bytes chain = actor->turn->chain;

    if (chain_has(chain, type, id) ||
        (strcmp(type, actor->turn->type) == 0 && strcmp(id, actor->turn->id) == 0))
        return refuse_cycle(actor, type, id);
    if (chain_depth(chain) + 1 > KELPIE_CALL_DEPTH_MAX)
        return actor_refuse(actor, KELPIE_E_CALL_DEPTH, "%s",
                            kelpie_error_text(KELPIE_E_CALL_DEPTH));
    return 0;
}

static int check_call_room(struct kelpie_actor *actor, size_t len)
{
    const struct actor_calls *c = &actor->calls;

    if (len > KELPIE_BODY_MAX)
        return actor_refuse(actor, KELPIE_E_TOO_LARGE,
                            "the body of a call has %zu bytes; at most %u are allowed", len,
                            KELPIE_BODY_MAX);
    if (c->made >= KELPIE_CALLS_MAX)
        return actor_refuse(actor, KELPIE_E_LIMIT, "a turn makes at most %d calls",
                            KELPIE_CALLS_MAX);
    if (actor->result->call_count >= KELPIE_CALLS_OPEN_MAX)
        return actor_refuse(actor, KELPIE_E_LIMIT, "a turn waits for at most %d calls at once",
                            KELPIE_CALLS_OPEN_MAX);
    if (c->bytes + len > KELPIE_CALL_BYTES_MAX)
        return actor_refuse(actor, KELPIE_E_LIMIT,
                            "the calls that a turn waits for have at most %u bytes together",
                            KELPIE_CALL_BYTES_MAX);
    return 0;
}

int kelpie_call(struct kelpie_actor *actor, const char *type, const char *id, const char *method,
                const void *body, size_t body_len, uint32_t deadline_ms, kelpie_call_fn answered,
                void *arg)
{
    struct worker_result *r = actor->result;
    struct actor_calls *c = &actor->calls;
    int error;

    if (!actor_in_turn(actor) || actor->finished)
        return actor_refuse(actor, KELPIE_E_REFUSED,
                            "calls are made within a turn that changes state");
    if (!answered || (!body && body_len))
        return actor_refuse(actor, KELPIE_E_INVALID, "a call has no callback, or no body");
    error = check_names(actor, type, id, method);
    if (!error)
        error = check_target(actor, type, id);
    if (!error)
        error = check_call_room(actor, body_len);
    if (error)
        return error;
    c->answered[r->call_count] = answered;
    c->arg[r->call_count] = arg;
    c->bytes += body_len;
    c->made++;
    r->calls[r->call_count++] = (struct worker_call){
        .type = keep_text(actor, type),
        .id = keep_text(actor, id),
        .method = keep_text(actor, method),
        .body = keep_bytes(actor, body, body_len),
        .deadline_ms = deadline_ms,
    };
    return 0;
}

int kelpie_finish(struct kelpie_actor *actor, int code)
{
    if (actor->where != IN_ANSWERED)
        return actor_refuse(actor, KELPIE_E_REFUSED,
                            "a turn is finished within a callback of its calls");
    actor->finished = true;
    actor->finish_status = code <= 0 ? code : KELPIE_E_HANDLER_FAILED;
    return 0;
}

const struct kelpie_message *kelpie_turn_message(const struct kelpie_actor *actor)
{
    return actor->where == IN_RECEIVE || actor->where == IN_ANSWERED ? &actor->message : NULL;
}

void *kelpie_turn_alloc(struct kelpie_actor *actor, size_t size)
{
    return actor_in_turn(actor) ? block_new(&actor->turn_blocks, size) : NULL;
}

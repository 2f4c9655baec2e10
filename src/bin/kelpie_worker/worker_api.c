/* What a class may call from its callbacks (kelpie/kelpie.h), in a worker process: all but messages and calls. */
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "actor/domain_error.h"
#include "bin/kelpie_worker/worker_actor.h"
#include "env/env.h"
#include "kelpie/error.h"
#include "loop/loop.h"

void *block_new(struct actor_block **list, size_t size)
{
    struct actor_block *b;

    CHECK(size <= KELPIE_ALLOC_MAX);
    b = mem_zalloc(loop_mem(), 1, sizeof *b + size);
    b->next = *list;
    *list = b;
    return b->data;
}

void blocks_free(struct actor_block **list)
{
    while (*list) {
        struct actor_block *b = *list;
        *list = b->next;
        mem_free(loop_mem(), b);
    }
}

int actor_refuse(struct kelpie_actor *actor, int error, const char *fmt, ...)
{
    va_list ap;

    va_start(ap, fmt);
    (void)vsnprintf(actor->why, sizeof actor->why, fmt, ap);
    va_end(ap);
    actor->why_error = error;
    return error;
}

bool actor_in_turn(const struct kelpie_actor *actor)
{
    return (actor->where == IN_RECEIVE || actor->where == IN_ANSWERED) && !actor->turn->read;
}

static bool may_write(const struct kelpie_actor *actor)
{
    return actor->where == IN_ACTIVATE || actor_in_turn(actor);
}

const char *kelpie_actor_type(const struct kelpie_actor *actor)
{
    return actor->turn->type;
}

const char *kelpie_actor_id(const struct kelpie_actor *actor)
{
    return actor->turn->id;
}

void *kelpie_class_arg(const struct kelpie_actor *actor)
{
    return actor->class->arg;
}

void kelpie_actor_set_data(struct kelpie_actor *actor, void *data)
{
    actor->data = data;
}

void *kelpie_actor_data(const struct kelpie_actor *actor)
{
    return actor->data;
}

void *kelpie_actor_alloc(struct kelpie_actor *actor, size_t size)
{
    return block_new(&actor->blocks, size);
}

/* ---- state */

/* NULL with a length is a mistake of the class, which costs it no more than an error. */
static bool is_bytes(const void *data, size_t len)
{
    return data || len == 0;
}

bool kelpie_state_get(struct kelpie_actor *actor, const void *key, size_t key_len,
                      const uint8_t **value, size_t *value_len)
{
    struct bytes v;

    if (!is_bytes(key, key_len) ||
        !actor_state_get(&actor->values, STATE_AS_IT_WILL_BE, bytes_of(key, key_len), &v))
        return false;
    *value = v.data;
    *value_len = v.len;
    return true;
}

bool kelpie_state_next(struct kelpie_actor *actor, const void *after, size_t after_len,
                       const uint8_t **key, size_t *key_len, const uint8_t **value,
                       size_t *value_len)
{
    struct bytes k, v;

    if (!is_bytes(after, after_len) ||
        !actor_state_next(&actor->values, STATE_AS_IT_WILL_BE, bytes_of(after, after_len), &k, &v))
        return false;
    *key = k.data;
    *key_len = k.len;
    *value = v.data;
    *value_len = v.len;
    return true;
}

static int change(struct kelpie_actor *actor, struct bytes key, struct bytes value, bool put)
{
    int error;

    if (!may_write(actor))
        return actor_refuse(actor, KELPIE_E_REFUSED, "%s",
                            actor->turn->read ? "a method that is declared as a read cannot write"
                                              : "state cannot be written in deactivate");
    if (!is_bytes(key.data, key.len) || !is_bytes(value.data, value.len))
        return KELPIE_E_INVALID;
    error =
        put ? actor_state_put(&actor->values, key, value) : actor_state_delete(&actor->values, key);
    if (error) {
        actor->why_error = error;
        actor_state_why(&actor->values, key, value, actor->why, sizeof actor->why);
        return error;
    }
    actor->wrote |= actor->where != IN_ACTIVATE;
    return 0;
}

int kelpie_state_put(struct kelpie_actor *actor, const void *key, size_t key_len, const void *value,
                     size_t value_len)
{
    return change(actor, bytes_of(key, key_len), bytes_of(value, value_len), true);
}

int kelpie_state_delete(struct kelpie_actor *actor, const void *key, size_t key_len)
{
    return change(actor, bytes_of(key, key_len), bytes_of(NULL, 0), false);
}

int kelpie_erase(struct kelpie_actor *actor)
{
    if (!actor_in_turn(actor))
        return actor_refuse(actor, KELPIE_E_REFUSED, "an actor is erased in receive only");
    actor_state_erase(&actor->values);
    actor->result->erase = actor->wrote = true;
    return 0;
}

/* ---- replies */

int kelpie_reply(struct kelpie_actor *actor, const void *body, size_t len)
{
    if (!is_bytes(body, len))
        return KELPIE_E_INVALID;
    if (len > KELPIE_REPLY_MAX)
        return KELPIE_E_TOO_LARGE;
    if (actor->where != IN_RECEIVE && actor->where != IN_ANSWERED)
        return 0; /* there is nobody to reply to */
    actor->failed = false;
    actor->has_reply = true;
    buf_clear(&actor->reply);
    buf_append(&actor->reply, body, len);
    return 0;
}

int kelpie_reply_text(struct kelpie_actor *actor, const char *text)
{
    return text ? kelpie_reply(actor, text, strlen(text)) : KELPIE_E_INVALID;
}

int kelpie_fail(struct kelpie_actor *actor, const char *code, const char *sentence)
{
    bool message = actor->where == IN_RECEIVE || actor->where == IN_ANSWERED;

    if (!message || !code || !domain_code_valid(bytes_of_str(code))) {
        log_warn(actor->log, "actor_fail_refused", "type=%s id=%s why=\"%s\"", actor->turn->type,
                 actor->turn->id,
                 message ? "the code of a domain error is 1 to 64 of a-z, 0-9, '_' and '-'"
                         : "a domain error answers a message, and there is none");
        return KELPIE_E_HANDLER_FAILED;
    }
    actor->failed = true;
    buf_clear(&actor->reply);
    domain_error_encode(&actor->reply, code, sentence);
    return KELPIE_E_DOMAIN;
}

/* ---- the world */

static uint64_t now_ns(void)
{
    struct timespec t;

    (void)clock_gettime(CLOCK_MONOTONIC, &t);
    return (uint64_t)t.tv_sec * NS_PER_S + (uint64_t)t.tv_nsec;
}

uint64_t kelpie_now_ms(const struct kelpie_actor *actor)
{
    return actor->turn->now_ms + (now_ns() - actor->began_ns) / NS_PER_MS;
}

/* splitmix64, from what the node has drawn for the turn. */
uint64_t kelpie_random(const struct kelpie_actor *actor)
{
    struct kelpie_actor *a = (struct kelpie_actor *)(uintptr_t)actor;
    uint64_t z = a->random += 0x9e3779b97f4a7c15u;

    z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9u;
    z = (z ^ (z >> 27)) * 0x94d049bb133111ebu;
    return z ^ (z >> 31);
}

void kelpie_log(struct kelpie_actor *actor, const char *text)
{
    char quoted[512];

    log_info(actor->log, "actor", "type=%s id=%s text=%s", actor->turn->type, actor->turn->id,
             log_quote(text ? text : "", quoted, sizeof quoted));
}

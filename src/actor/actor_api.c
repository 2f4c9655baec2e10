/* What a class may call from its callbacks (kelpie/kelpie.h). */
#include "actor/activation.h"

#include <stdio.h>

#include "actor/domain_error.h"
#include "base/mark.h"
#include "base/mutant.h"

const char *kelpie_actor_type(const struct kelpie_actor *actor)
{
    return act_type(actor);
}

const char *kelpie_actor_id(const struct kelpie_actor *actor)
{
    return act_id(actor);
}

void *kelpie_class_arg(const struct kelpie_actor *actor)
{
    return actor->class->arg;
}

uint64_t kelpie_now_ms(const struct kelpie_actor *actor)
{
    return clock_wall_ms(actor->actors->env->clock);
}

uint64_t kelpie_random(const struct kelpie_actor *actor)
{
    return random_u64(actor->actors->env->random);
}

void kelpie_actor_set_data(struct kelpie_actor *actor, void *data)
{
    actor->data = data;
}

void *kelpie_actor_data(const struct kelpie_actor *actor)
{
    return actor->data;
}

/* NULL with a length is a mistake of the class, which costs it no more than an error. */
static bool is_bytes(const void *data, size_t len)
{
    return data || len == 0;
}

static enum state_view view_of(const struct kelpie_actor *actor)
{
    return actor->reading && !MUTANT("readdirty") ? STATE_COMMITTED : STATE_AS_IT_WILL_BE;
}

bool kelpie_state_get(struct kelpie_actor *actor, const void *key, size_t key_len,
                      const uint8_t **value, size_t *value_len)
{
    struct bytes v;

    if (!is_bytes(key, key_len) ||
        !actor_state_get(&actor->values, view_of(actor), bytes_of(key, key_len), &v))
        return false;
    *value = v.data;
    *value_len = v.len;
    return true;
}

static int refuse_write(const struct kelpie_actor *actor)
{
    struct actors *a = actor->actors;
    const char *why = actor->reading ? "a method that is declared as a read cannot write"
                                     : "state cannot be written in deactivate";

    a->why_error = KELPIE_E_REFUSED;
    (void)snprintf(a->why, sizeof a->why, "%s", why);
    log_warn(&a->env->log, "actor_write_refused", "%s why=\"%s\"", ACT_FIELDS(actor), why);
    return KELPIE_E_REFUSED;
}

/* Into zeroes; what is too long is cut. */
static void put_text(char *out, size_t size, const char *text)
{
    size_t len = strlen(text);

    memcpy(out, text, len < size ? len : size - 1);
}

void act_callback_begins(struct kelpie_actor *act, const char *callback,
                         const struct invocation *inv)
{
    const struct env *env = act->actors->env;
    struct running what = {.callback = ""};

    act->actors->why_error = 0;
    if (!env->running.begin)
        return;
    what.since_ns = env_now_ns(env);
    put_text(what.callback, sizeof what.callback, callback);
    put_text(what.type, sizeof what.type, act_type(act));
    put_text(what.id, sizeof what.id, act_id(act));
    put_text(what.method, sizeof what.method, inv ? inv->method : "");
    put_text(what.request_id, sizeof what.request_id, inv ? inv->request_id : "");
    env->running.begin(env->running.ctx, &what);
}

void act_callback_ends(struct kelpie_actor *act)
{
    const struct env *env = act->actors->env;

    if (env->running.end)
        env->running.end(env->running.ctx);
}

bool act_deactivate(struct kelpie_actor *act)
{
    if (!act->class->deactivate)
        return true;
    act_callback_begins(act, "deactivate", NULL);
    act->read_only = true;
    act->class->deactivate(act);
    act->read_only = false;
    act_callback_ends(act);
    quarantine_returned(act, "deactivate", "");
    return act_may_go_on(act);
}

const char *act_error_text(const struct kelpie_actor *act, int status, int answer)
{
    const struct actors *a = act->actors;

    return status && a->why_error == status && a->why[0] ? a->why : kelpie_error_text(answer);
}

/* Remembers what was wrong with a write that failed: the class may pass the error on. */
static int report(struct kelpie_actor *actor, int error, struct bytes key, struct bytes value)
{
    struct actors *a = actor->actors;
    char quoted[2 * WHY_SIZE];

    if (!error)
        return 0;
    a->why_error = error;
    actor_state_why(&actor->values, key, value, a->why, sizeof a->why);
    if (error == KELPIE_E_STATE_FULL) {
        SOMETIMES("state-full");
        log_warn(&a->env->log, "actor_state_full", "%s why=%s", ACT_FIELDS(actor),
                 log_quote(a->why, quoted, sizeof quoted));
    }
    return error;
}

int kelpie_state_put(struct kelpie_actor *actor, const void *key, size_t key_len, const void *value,
                     size_t value_len)
{
    struct bytes k = bytes_of(key, key_len), v = bytes_of(value, value_len);

    if (actor->read_only)
        return refuse_write(actor);
    if (!is_bytes(key, key_len) || !is_bytes(value, value_len))
        return KELPIE_E_INVALID;
    return report(actor, actor_state_put(&actor->values, k, v), k, v);
}

int kelpie_state_delete(struct kelpie_actor *actor, const void *key, size_t key_len)
{
    struct bytes k = bytes_of(key, key_len);

    if (actor->read_only)
        return refuse_write(actor);
    if (!is_bytes(key, key_len))
        return KELPIE_E_INVALID;
    return report(actor, actor_state_delete(&actor->values, k), k, bytes_of(NULL, 0));
}

bool kelpie_state_next(struct kelpie_actor *actor, const void *after, size_t after_len,
                       const uint8_t **key, size_t *key_len, const uint8_t **value,
                       size_t *value_len)
{
    struct bytes k, v;

    if (!is_bytes(after, after_len) ||
        !actor_state_next(&actor->values, view_of(actor), bytes_of(after, after_len), &k, &v))
        return false;
    *key = k.data;
    *key_len = k.len;
    *value = v.data;
    *value_len = v.len;
    return true;
}

int kelpie_reply(struct kelpie_actor *actor, const void *body, size_t len)
{
    if (!is_bytes(body, len))
        return KELPIE_E_INVALID;
    if (len > KELPIE_REPLY_MAX)
        return KELPIE_E_TOO_LARGE;
    /* In activate and deactivate there is nobody to reply to. */
    if (!actor->current || !actor->in_receive)
        return 0;
    actor->current->failed = false;
    buf_clear(&actor->current->reply);
    buf_append(&actor->current->reply, body, len);
    return 0;
}

int kelpie_fail(struct kelpie_actor *actor, const char *code, const char *sentence)
{
    struct invocation *inv = actor->in_receive ? actor->current : NULL;

    if (!inv || !code || !domain_code_valid(bytes_of_str(code))) {
        log_warn(&actor->actors->env->log, "actor_fail_refused", "%s why=\"%s\"", ACT_FIELDS(actor),
                 inv ? "the code of a domain error is 1 to 64 of a-z, 0-9, '_' and '-'"
                     : "a domain error answers a message, and there is none");
        return KELPIE_E_HANDLER_FAILED;
    }
    inv->failed = true;
    buf_clear(&inv->reply);
    domain_error_encode(&inv->reply, code, sentence);
    return KELPIE_E_DOMAIN;
}

int kelpie_reply_text(struct kelpie_actor *actor, const char *text)
{
    return text ? kelpie_reply(actor, text, strlen(text)) : KELPIE_E_INVALID;
}

void kelpie_log(struct kelpie_actor *actor, const char *text)
{
    char quoted[512];

    log_info(&actor->actors->env->log, "actor", "%s text=%s", ACT_FIELDS(actor),
             log_quote(text ? text : "", quoted, sizeof quoted));
}

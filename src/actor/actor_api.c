/* What a class may call from its callbacks (kelpie/kelpie.h). */
#include "actor/activation.h"

#include "base/mark.h"

const char *kelpie_actor_type(const struct kelpie_actor *actor)
{
    return act_type(actor);
}

const char *kelpie_actor_id(const struct kelpie_actor *actor)
{
    return act_id(actor);
}

void kelpie_actor_set_data(struct kelpie_actor *actor, void *data)
{
    actor->data = data;
}

void *kelpie_actor_data(const struct kelpie_actor *actor)
{
    return actor->data;
}

bool kelpie_state_get(struct kelpie_actor *actor, const void *key, size_t key_len,
                      const uint8_t **value, size_t *value_len)
{
    struct bytes v;

    if (!actor_state_get(&actor->values, bytes_of(key, key_len), &v))
        return false;
    *value = v.data;
    *value_len = v.len;
    return true;
}

static int refuse_write(const struct kelpie_actor *actor)
{
    log_warn(&actor->actors->env->log, "actor_write_refused",
             "type=%s id=%s why=\"state cannot be written in deactivate\"", act_type(actor),
             act_id(actor));
    return KELPIE_E_REFUSED;
}

static int report_full(const struct kelpie_actor *actor, int error)
{
    if (error == KELPIE_E_STATE_FULL) {
        SOMETIMES("state-full");
        log_warn(&actor->actors->env->log, "actor_state_full",
                 "type=%s id=%s keys=%zu bytes=%zu keys_max=%u bytes_max=%u value_max=%u",
                 act_type(actor), act_id(actor), actor->values.keys, actor->values.bytes,
                 KELPIE_STATE_KEYS_MAX, KELPIE_STATE_BYTES_MAX, KELPIE_STATE_VALUE_MAX);
    }
    return error;
}

int kelpie_state_put(struct kelpie_actor *actor, const void *key, size_t key_len, const void *value,
                     size_t value_len)
{
    if (actor->read_only)
        return refuse_write(actor);
    return report_full(
        actor, actor_state_put(&actor->values, bytes_of(key, key_len), bytes_of(value, value_len)));
}

int kelpie_state_delete(struct kelpie_actor *actor, const void *key, size_t key_len)
{
    if (actor->read_only)
        return refuse_write(actor);
    return report_full(actor, actor_state_delete(&actor->values, bytes_of(key, key_len)));
}

bool kelpie_state_next(struct kelpie_actor *actor, const void *after, size_t after_len,
                       const uint8_t **key, size_t *key_len, const uint8_t **value,
                       size_t *value_len)
{
    struct bytes k, v;

    if (!actor_state_next(&actor->values, bytes_of(after, after_len), &k, &v))
        return false;
    *key = k.data;
    *key_len = k.len;
    *value = v.data;
    *value_len = v.len;
    return true;
}

int kelpie_reply(struct kelpie_actor *actor, const void *body, size_t len)
{
    if (len > KELPIE_REPLY_MAX)
        return KELPIE_E_TOO_LARGE;
    /* In activate and deactivate there is nobody to reply to. */
    if (!actor->current || !actor->in_receive)
        return 0;
    buf_clear(&actor->current->reply);
    buf_append(&actor->current->reply, body, len);
    return 0;
}

int kelpie_reply_text(struct kelpie_actor *actor, const char *text)
{
    return kelpie_reply(actor, text, strlen(text));
}

void kelpie_log(struct kelpie_actor *actor, const char *text)
{
    char quoted[512];

    log_info(&actor->actors->env->log, "actor", "type=%s id=%s text=%s", act_type(actor),
             act_id(actor), log_quote(text, quoted, sizeof quoted));
}

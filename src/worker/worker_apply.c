#include "worker/worker_apply.h"

#include "kelpie/error.h"

static int write_state(struct kelpie_actor *actor, const struct worker_result *r)
{
    int error = 0;

    for (size_t i = 0; !error && i < r->delete_count; i++)
        error = kelpie_state_delete(actor, r->deletes[i].data, r->deletes[i].len);
    for (size_t i = 0; !error && i < r->put_count; i++)
        error = kelpie_state_put(actor, r->puts[i].key.data, r->puts[i].key.len,
                                 r->puts[i].value.data, r->puts[i].value.len);
    return error;
}

static int send_all(struct kelpie_actor *actor, const struct worker_result *r)
{
    int error = 0;

    for (size_t i = 0; !error && i < r->unsend_count; i++)
        error = kelpie_unsend(actor, r->unsends[i]);
    for (size_t i = 0; !error && i < r->send_count; i++) {
        const struct worker_send *s = &r->sends[i];
        const struct kelpie_send_options o = {
            .after_ms = s->after_ms, .every_ms = s->every_ms, .name = s->name};
        error = kelpie_send(actor, s->type, s->id, s->method, s->body.data, s->body.len, &o);
    }
    return error;
}

static int call_all(struct kelpie_actor *actor, const struct worker_result *r,
                    kelpie_call_fn answered, void *const args[])
{
    int error = 0;

    for (size_t i = 0; !error && i < r->call_count; i++) {
        const struct worker_call *c = &r->calls[i];
        error = kelpie_call(actor, c->type, c->id, c->method, c->body.data, c->body.len,
                            c->deadline_ms, answered, args[i]);
    }
    return error ? error : KELPIE_PENDING;
}

int worker_apply(struct kelpie_actor *actor, const struct worker_result *r, kelpie_call_fn answered,
                 void *const args[])
{
    int error;

    if (r->status == KELPIE_E_DOMAIN)
        return kelpie_fail(actor, r->code, r->sentence);
    if (r->status) {
        error = r->sentence ? kelpie_reply_text(actor, r->sentence) : 0;
        return error ? error : r->status;
    }
    error = write_state(actor, r);
    if (!error)
        error = send_all(actor, r);
    if (!error && r->erase)
        error = kelpie_erase(actor);
    if (!error && r->call_count > 0)
        return call_all(actor, r, answered, args);
    if (!error && r->has_reply)
        error = kelpie_reply(actor, r->reply.data, r->reply.len);
    return error;
}

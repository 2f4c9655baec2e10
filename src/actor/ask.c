/* What this node is asked from outside: a call, or a message to send. */
#include "actor/actor_call.h"

void actors_call(struct actors *a, const char *type, const char *id, const char *method,
                 const char *request_id, uint64_t age_ms, struct bytes body, uint32_t deadline_ms,
                 actor_call_fn *done, void *arg)
{
    struct call_ask ask = {.type = type,
                           .id = id,
                           .method = method,
                           .request_id = request_id,
                           .age_ms = age_ms,
                           .body = body,
                           .deadline_ms = deadline_ms};

    (void)call_start(a, &ask, done, arg);
}

void actors_send(struct actors *a, const char *type, const char *id, const char *method,
                 const char *request_id, uint64_t age_ms, struct bytes body, uint64_t after_ms,
                 uint32_t deadline_ms, actor_call_fn *done, void *arg)
{
    struct call_ask ask = {.type = type,
                           .id = id,
                           .method = method,
                           .request_id = request_id,
                           .age_ms = age_ms,
                           .body = body,
                           .deadline_ms = deadline_ms,
                           .send = true,
                           .after_ms = after_ms};

    (void)call_start(a, &ask, done, arg);
}

/* The built-in class "echo": every method returns the body. It keeps no state. */
#include "actor/actor.h"

static int receive(struct kelpie_actor *actor, const struct kelpie_message *m)
{
    return kelpie_reply(actor, m->body, m->body_len);
}

const struct kelpie_class kelpie_class_echo = {
    .abi = KELPIE_ABI_VERSION,
    .size = sizeof(struct kelpie_class),
    .type = "echo",
    .placement = KELPIE_PLACE_LEAST_LOADED,
    .receive = receive,
};

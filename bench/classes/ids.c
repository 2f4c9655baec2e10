/* An actor class for bench/ids: `add` counts, `get` tells. It remembers requests for an hour, and is passivated as
 * soon as nobody asks. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <kelpie/kelpie.h>

static int receive(struct kelpie_actor *actor, const struct kelpie_message *m)
{
    unsigned long long count = 0;
    const uint8_t *value = NULL;
    size_t len = 0;
    char text[24];

    if (kelpie_state_get(actor, "n", 1, &value, &len) && len == sizeof count)
        memcpy(&count, value, sizeof count);
    if (strcmp(m->method, "add") == 0) {
        count++;
        return kelpie_state_put(actor, "n", 1, &count, sizeof count);
    }
    (void)snprintf(text, sizeof text, "%llu", count);
    return kelpie_reply_text(actor, text);
}

static const struct kelpie_method methods[] = {{.name = "get", .flags = KELPIE_METHOD_READ},
                                               {.name = NULL}};

static const struct kelpie_class ids = {
    .abi = KELPIE_ABI_VERSION,
    .size = sizeof(struct kelpie_class),
    .type = "ids",
    .idle_ms = 200,
    .receive = receive,
    .remember_ms = 3600 * 1000,
    .methods = methods,
};

const struct kelpie_class *const kelpie_classes[] = {&ids, NULL};

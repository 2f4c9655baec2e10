/*
 * An actor class for benches, whose callbacks take as long as they are told: `work` as many
 * milliseconds as its body says, `deactivate` as many as stand in front of the '-' of its id ("50-7").
 */
#include <stdlib.h>
#include <time.h>

#include <kelpie/kelpie.h>

#define MS_MAX 1000
#define BODY_SIZE 8

static void take_ms(long ms)
{
    struct timespec t = {.tv_sec = ms / 1000, .tv_nsec = ms % 1000 * 1000000};

    if (ms > 0 && ms <= MS_MAX)
        (void)nanosleep(&t, NULL);
}

static int receive(struct kelpie_actor *actor, const struct kelpie_message *m)
{
    char body[BODY_SIZE] = "";

    for (size_t i = 0; i < m->body_len && i < BODY_SIZE - 1; i++)
        body[i] = (char)((const unsigned char *)m->body)[i];
    take_ms(strtol(body, NULL, 10));
    return kelpie_reply_text(actor, "done");
}

static void deactivate(struct kelpie_actor *actor)
{
    take_ms(strtol(kelpie_actor_id(actor), NULL, 10));
}

static const struct kelpie_class busy = {
    .abi = KELPIE_ABI_VERSION,
    .size = sizeof(struct kelpie_class),
    .type = "busy",
    .placement = KELPIE_PLACE_LEAST_LOADED,
    .idle_ms = 2000,
    .receive = receive,
    .deactivate = deactivate,
};

const struct kelpie_class *const kelpie_classes[] = {&busy, NULL};

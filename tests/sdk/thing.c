/* A class that uses all of kelpie.h, and does what a class should not; of the tests. */
#include <kelpie/kelpie.h>

#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static int activate(struct kelpie_actor *actor)
{
    int *count = kelpie_actor_alloc(actor, sizeof *count);

    kelpie_actor_set_data(actor, count);
    return kelpie_state_put(actor, "activated", 9, "1", 1);
}

static void on_second(struct kelpie_actor *actor, void *arg, int status, const uint8_t *reply,
                      size_t reply_len)
{
    char text[128];

    (void)snprintf(text, sizeof text, "%s %d %.*s", (const char *)arg, status, (int)reply_len,
                   (const char *)reply);
    if (strcmp(kelpie_turn_message(actor)->method, "passes") == 0) {
        (void)kelpie_finish(actor, status);
        return;
    }
    (void)kelpie_reply_text(actor, text);
    (void)kelpie_finish(actor, 0);
}

static void on_first(struct kelpie_actor *actor, void *arg, int status, const uint8_t *reply,
                     size_t reply_len)
{
    char *copy = kelpie_turn_alloc(actor, reply_len + 1);

    (void)arg;
    if (status || !copy) {
        (void)kelpie_finish(actor, status);
        return;
    }
    memcpy(copy, reply, reply_len);
    (void)kelpie_state_put(actor, "after", 5, reply, reply_len);
    (void)kelpie_call(actor, "b", "2", "n", "", 0, 70, on_second, copy);
}

static int state(struct kelpie_actor *actor, const struct kelpie_message *m)
{
    if (strcmp(m->method, "put") == 0) {
        (void)kelpie_state_delete(actor, "a", 1);
        return kelpie_state_put(actor, "b", 1, m->body, m->body_len);
    }
    if (strcmp(m->method, "put_raw") == 0)
        return kelpie_state_put(actor, "\0", 1, "\xff", 1);
    if (strcmp(m->method, "too_long") == 0)
        return kelpie_state_put(actor, m->body, 97, "", 0);
    if (strcmp(m->method, "erase") == 0)
        return kelpie_erase(actor);
    if (strcmp(m->method, "get") == 0) {
        const uint8_t *value = NULL;
        size_t len = 0;
        (void)kelpie_state_get(actor, "b", 1, &value, &len);
        return kelpie_reply(actor, value, len);
    }
    if (strcmp(m->method, "writing_read") == 0)
        return kelpie_state_put(actor, "a", 1, "", 0);
    return KELPIE_E_UNKNOWN_METHOD;
}

static int misbehave(struct kelpie_actor *actor, const struct kelpie_message *m)
{
    if (strcmp(m->method, "spins") == 0)
        for (volatile int i = 0;; i++)
            ;
    if (strcmp(m->method, "crashes") == 0)
        (void)raise(SIGSEGV);
    if (strcmp(m->method, "exits") == 0)
        exit(0);
    if (strcmp(m->method, "forks") == 0) {
        (void)fork();
        return kelpie_reply_text(actor, "forked");
    }
    if (strcmp(m->method, "prints") == 0) {
        for (int i = 0; i < 1000; i++)
            (void)printf("nobody reads this, and it holds nothing up\n");
        (void)fflush(stdout);
        return kelpie_reply_text(actor, "printed");
    }
    if (strcmp(m->method, "leaks") == 0)
        for (;;) {
            void *volatile p = malloc(16u << 20); /* volatile: else nothing is allocated */
            if (!p)
                abort();
        }
    if (strcmp(m->method, "closes") == 0)
        for (int fd = 0; fd < 1024; fd++)
            (void)close(fd);
    if (strcmp(m->method, "sleeps") == 0) {
        (void)usleep((unsigned)atoi((const char *)m->body) * 1000u);
        return kelpie_reply_text(actor, "slept");
    }
    if (strcmp(m->method, "waits") == 0) {
        char path[256];
        (void)snprintf(path, sizeof path, "%.*s", (int)m->body_len, (const char *)m->body);
        while (access(path, F_OK) != 0)
            (void)usleep(5000);
        return kelpie_reply_text(actor, "went");
    }
    return state(actor, m);
}

static int receive(struct kelpie_actor *actor, const struct kelpie_message *m)
{
    const struct kelpie_send_options later = {.after_ms = 10, .every_ms = 200, .name = "n"};
    char text[256];

    ++*(int *)kelpie_actor_data(actor);
    if (strcmp(m->method, "echo") == 0)
        return kelpie_reply(actor, m->body, m->body_len);
    if (strcmp(m->method, "count") == 0) {
        (void)snprintf(text, sizeof text, "%d", *(int *)kelpie_actor_data(actor));
        return kelpie_reply_text(actor, text);
    }
    if (strcmp(m->method, "sends") == 0) {
        (void)kelpie_send(actor, "thing", "y", "echo", "1", 1, NULL);
        (void)kelpie_send(actor, "thing", "y", "echo", "\xff", 1, &later);
        return kelpie_unsend(actor, "m");
    }
    if (strcmp(m->method, "whose") == 0) {
        (void)snprintf(text, sizeof text, "%s %s %u %u %u", m->sender_type, m->sender_id,
                       (unsigned)m->due_ms, (unsigned)m->missed, (unsigned)m->attempt);
        return kelpie_reply_text(actor, text);
    }
    if (strcmp(m->method, "fails") == 0) {
        (void)kelpie_state_put(actor, "a", 1, "1", 1);
        return kelpie_fail(actor, "sold_out", "no seat");
    }
    if (strcmp(m->method, "says") == 0) {
        (void)kelpie_reply_text(actor, "nothing here");
        return KELPIE_E_NOT_FOUND;
    }
    if (strcmp(m->method, "calls") == 0 || strcmp(m->method, "passes") == 0) {
        (void)kelpie_state_put(actor, "before", 6, "1", 1);
        int err = kelpie_call(actor, "a", "1", "m", m->body, m->body_len, 0, on_first, NULL);
        return err ? err : KELPIE_PENDING;
    }
    if (strcmp(m->method, "cycle") == 0)
        return kelpie_call(actor, "thing", "x", "m", "", 0, 0, on_first, NULL);
    if (strcmp(m->method, "pends") == 0)
        return KELPIE_PENDING;
    return misbehave(actor, m);
}

static const struct kelpie_method methods[] = {
    {.name = "get", .flags = KELPIE_METHOD_READ},
    {.name = "writing_read", .flags = KELPIE_METHOD_READ},
    {.name = "sleeps", .flags = KELPIE_METHOD_BLOCKS},
    {.name = "waits", .flags = KELPIE_METHOD_BLOCKS},
    {.name = NULL}};

static const struct kelpie_class thing = {
    .abi = KELPIE_ABI_VERSION,
    .size = sizeof(struct kelpie_class),
    .type = "thing",
    .activate = activate,
    .receive = receive,
    .version = 2,
    .remember_ms = 9000,
    .methods = methods,
    .turn_ms = 1000,
    .placement = KELPIE_PLACE_ROUND_ROBIN,
    .expire_after_ms = 3600000,
};

const struct kelpie_class *const kelpie_classes[] = {&thing, NULL};

/*
 * An actor class for benches of messages. "pass TO" sends one to mail/TO; "plan AT N FROM" sends N that are due at AT
 * (ms since 1970), to the actors FROM, FROM+1, …; "note" counts, and how late it comes. "seen" tells: how many,
 * the greatest lateness, and how many were later than LATE_MS.
 * "ask TO" has that actor add 1 in a call, and adds 1 itself; "once" adds 1.
 */
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <kelpie/kelpie.h>

#define LATE_MS 200

struct seen {
    unsigned long long count, worst_ms, late;
};

static struct seen get(struct kelpie_actor *actor)
{
    struct seen s = {0};
    const uint8_t *value = NULL;
    size_t len = 0;

    if (kelpie_state_get(actor, "seen", 4, &value, &len) && len == sizeof s)
        memcpy(&s, value, len);
    return s;
}

static int note(struct kelpie_actor *actor, const struct kelpie_message *m, unsigned long long at)
{
    struct seen s = get(actor);
    unsigned long long now = kelpie_now_ms(actor), due = m->due_ms ? m->due_ms : at;
    unsigned long long late = due && now > due ? now - due : 0;

    s.count++;
    s.late += late > LATE_MS;
    s.worst_ms = late > s.worst_ms ? late : s.worst_ms;
    return kelpie_state_put(actor, "seen", 4, &s, sizeof s);
}

static int plan(struct kelpie_actor *actor, const char *text)
{
    unsigned long long at = 0, now = kelpie_now_ms(actor);
    unsigned count = 0, from = 0;
    int error = 0;

    if (sscanf(text, "%llu %u %u", &at, &count, &from) != 3)
        return KELPIE_E_INVALID;
    for (unsigned i = 0; i < count && !error; i++) {
        const struct kelpie_send_options o = {.after_ms = at > now ? at - now : 0};
        char to[16];
        (void)snprintf(to, sizeof to, "%u", from + i);
        error = kelpie_send(actor, "mail", to, "note", "", 0, &o);
    }
    return error;
}

static void answered(struct kelpie_actor *actor, void *arg, int status, const uint8_t *reply,
                     size_t len)
{
    struct kelpie_message now = {.due_ms = 0};

    (void)arg, (void)reply, (void)len;
    (void)kelpie_finish(actor, status ? status : note(actor, &now, 0));
}

static int receive(struct kelpie_actor *actor, const struct kelpie_message *m)
{
    char text[128], at[24];
    int len = (int)(m->body_len < sizeof text - 1 ? m->body_len : sizeof text - 1);

    (void)snprintf(text, sizeof text, "%.*s", len, (const char *)m->body);
    if (strcmp(m->method, "note") == 0 || strcmp(m->method, "once") == 0)
        return note(actor, m, strtoull(text, NULL, 10));
    if (strcmp(m->method, "pass") == 0) {
        (void)snprintf(at, sizeof at, "%llu", (unsigned long long)kelpie_now_ms(actor));
        return kelpie_send(actor, "mail", text, "note", at, strlen(at), NULL);
    }
    if (strcmp(m->method, "plan") == 0)
        return plan(actor, text);
    if (strcmp(m->method, "ask") == 0) {
        int error = kelpie_call(actor, "mail", text, "once", "", 0, 0, answered, NULL);
        return error ? error : KELPIE_PENDING;
    }
    if (strcmp(m->method, "seen") != 0)
        return KELPIE_E_UNKNOWN_METHOD;
    struct seen s = get(actor);
    (void)snprintf(text, sizeof text, "%llu %llu %llu", s.count, s.worst_ms, s.late);
    return kelpie_reply_text(actor, text);
}

static const struct kelpie_class mail = {
    .abi = KELPIE_ABI_VERSION,
    .size = sizeof(struct kelpie_class),
    .type = "mail",
    .placement = KELPIE_PLACE_LEAST_LOADED,
    .receive = receive,
};

const struct kelpie_class *const kelpie_classes[] = {&mail, NULL};

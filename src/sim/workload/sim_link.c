/* The class "link". */
#include <stdio.h>
#include <string.h>

#include "actor/activation.h"
#include "sim/workload/sim_chains_link.h"

#define BODY_MAX 96
#define FAILS_IN 8

struct turn {
    struct link_asked asked;
    unsigned open;
    int status; /* of the first call that failed */
};

static uint64_t number_at(struct kelpie_actor *actor, const char *key)
{
    const uint8_t *value;
    uint64_t v = 0;
    size_t len;

    if (!kelpie_state_get(actor, key, strlen(key), &value, &len))
        return 0;
    for (size_t i = 0; i < len; i++)
        v = v * 10 + (uint64_t)(value[i] - '0');
    return v;
}

static int raise(struct kelpie_actor *actor, const char *key)
{
    char text[24];

    (void)snprintf(text, sizeof text, "%llu", (unsigned long long)number_at(actor, key) + 1);
    return kelpie_state_put(actor, key, strlen(key), text, strlen(text));
}

static bool parse(const struct kelpie_message *m, struct link_asked *out)
{
    char text[BODY_MAX];
    unsigned long long first;

    *out = (struct link_asked){0};
    if (m->body_len >= sizeof text)
        return false;
    memcpy(text, m->body, m->body_len);
    text[m->body_len] = '\0';
    if (sscanf(text, "%u %llu %u %8s %u", &out->number, &first, &out->kind, out->path,
               &out->place) != 5)
        return false;
    out->first_ns = first;
    return out->place < strlen(out->path);
}

static int reply_path(struct kelpie_actor *actor, const struct link_asked *asked)
{
    return kelpie_reply_text(actor, asked->path + asked->place);
}

static void answered(struct kelpie_actor *actor, void *arg, int status, const uint8_t *reply,
                     size_t len)
{
    const struct process *p = actor->actors->env->clock.ctx;
    struct turn *t = arg;

    (void)reply, (void)len;
    t->open--;
    if (status && !t->status)
        t->status = status;
    if (t->open > 0)
        return;
    /* Though those that it called have done what they were asked. One that is not finished has failed too. */
    if (!t->status && !p->world->calm && world_below(p->world, STREAM_LINK, FAILS_IN) == 0) {
        if (world_below(p->world, STREAM_LINK, FAILS_IN) == 0)
            return;
        t->status = KELPIE_E_HANDLER_FAILED;
    }
    if (!t->status)
        t->status = reply_path(actor, &t->asked);
    (void)kelpie_finish(actor, t->status);
}

/* What is told to the next is the same whenever this turn runs. */
static int call(struct kelpie_actor *actor, struct turn *t, unsigned place)
{
    char body[BODY_MAX], to[2] = {t->asked.path[place], '\0'};
    int status;

    (void)snprintf(body, sizeof body, "%u %llu %u %s %u", t->asked.number,
                   (unsigned long long)t->asked.first_ns, t->asked.kind, t->asked.path, place);
    status = kelpie_call(actor, "link", to, "go", body, strlen(body), 0, answered, t);
    t->open += status == 0;
    check_link_calls(actor, &t->asked, place, number_at(actor, LINK_COUNT) - 1, status);
    return status;
}

static int go(struct kelpie_actor *actor, const struct kelpie_message *m)
{
    struct turn *t = kelpie_turn_alloc(actor, sizeof *t);
    char mark[16];
    int status = 0;

    if (!parse(m, &t->asked))
        return KELPIE_E_INVALID;
    check_link_asked(actor, &t->asked);
    (void)snprintf(mark, sizeof mark, "%c%05u", LINK_MARK, t->asked.number);
    status = raise(actor, mark);
    if (!status)
        status = raise(actor, LINK_COUNT);
    if (status)
        return status;
    if (t->asked.kind == CHAIN_FAN && t->asked.place > 0)
        return reply_path(actor, &t->asked);
    unsigned last = t->asked.kind == CHAIN_FAN ? CHAIN_PATH_MAX : t->asked.place + 1;
    for (unsigned i = t->asked.place + 1; !status && i <= last && t->asked.path[i]; i++)
        status = call(actor, t, i);
    return status ? status : t->open ? KELPIE_PENDING : reply_path(actor, &t->asked);
}

static int receive(struct kelpie_actor *actor, const struct kelpie_message *m)
{
    if (strcmp(m->method, "go") == 0)
        return go(actor, m);
    return kelpie_reply_text(actor, "here");
}

const struct kelpie_class sim_class_link = {
    .abi = KELPIE_ABI_VERSION,
    .size = sizeof(struct kelpie_class),
    .type = "link",
    .placement = KELPIE_PLACE_LEAST_LOADED,
    .receive = receive,
};

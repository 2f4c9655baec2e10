/*
 * The class "post". Its state: "n" how many messages it has applied; "s" and a letter, how many it has sent
 * at once to that post; "g" and a number, that this request was sent and has come; "r" and a letter, the number of the last that came from there; "t" and a letter,
 * the period of that post's that it is told of, and when the next is due.
 */
#include <stdio.h>
#include <string.h>

#include "actor/activation.h"
#include "sim/workload/sim_posts_link.h"

#define BODY_MAX 64
#define FAILS_IN 8
#define REFUSED_IN 24
#define NAMES 3
#define FLOOD 24
#define FLOOD_IN 3
#define PERIOD_NAME "p"

static struct world *world_of(const struct kelpie_actor *actor)
{
    const struct process *p = actor->actors->env->clock.ctx;

    return p->world;
}

static uint64_t get(struct kelpie_actor *actor, const char *key)
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

static int put(struct kelpie_actor *actor, const char *key, uint64_t v)
{
    char text[24];

    (void)snprintf(text, sizeof text, "%llu", (unsigned long long)v);
    return kelpie_state_put(actor, key, strlen(key), text, strlen(text));
}

/* "s" and the letter. */
struct letter_key {
    char text[3];
};
static struct letter_key of(char what, char letter)
{
    return (struct letter_key){{what, letter, '\0'}};
}

/* ---- sending */

static char draw_post(struct kelpie_actor *actor, struct rng *r, bool other)
{
    unsigned posts = world_of(actor)->config.posts;
    char at = (char)('a' + rng_below(r, posts));

    if (other && at == kelpie_actor_id(actor)[0])
        at = (char)('a' + ((unsigned)(at - 'a') + 1) % posts);
    return at;
}

static int hop(struct kelpie_actor *actor, struct rng *r, char letter, unsigned hops)
{
    const struct letter_key key = of('s', letter);
    uint64_t number = get(actor, key.text) + 1;
    const char to[2] = {letter, '\0'};
    unsigned refused = rng_below(r, REFUSED_IN) == 0;
    uint64_t seed = rng_below(r, 1u << 30);
    char body[BODY_MAX];

    (void)snprintf(body, sizeof body, "%llu %u %u %llu", (unsigned long long)number, hops, refused,
                   (unsigned long long)seed);
    int error = kelpie_send(actor, "post", to, "hop", body, strlen(body), NULL);
    return error ? error : put(actor, key.text, number);
}

static int send_named(struct kelpie_actor *actor, struct rng *r)
{
    const char to[2] = {draw_post(actor, r, true), '\0'};
    char name[3] = {'x', (char)('0' + rng_below(r, NAMES)), '\0'};
    uint64_t wide = rng_below(r, 2) ? 60 : 4000;
    const struct kelpie_send_options o = {.after_ms = rng_below(r, wide), .name = name};

    return kelpie_send(actor, "post", to, "named", "", 0, &o);
}

static int unsend_named(struct kelpie_actor *actor, struct rng *r)
{
    char name[3] = {'x', (char)('0' + rng_below(r, NAMES)), '\0'};

    return kelpie_unsend(actor, name);
}

static int send_period(struct kelpie_actor *actor, struct rng *r)
{
    const char to[2] = {draw_post(actor, r, true), '\0'};
    uint64_t epoch = get(actor, "e") + 1;
    const struct kelpie_send_options o = {.every_ms = 200 + rng_below(r, 3000),
                                          .name = PERIOD_NAME};
    char body[BODY_MAX];

    if (rng_below(r, 3) == 0)
        return kelpie_unsend(actor, PERIOD_NAME);
    (void)snprintf(body, sizeof body, "%llu %llu", (unsigned long long)epoch,
                   (unsigned long long)o.every_ms);
    int error = kelpie_send(actor, "post", to, "tick", body, strlen(body), &o);
    return error ? error : put(actor, "e", epoch);
}

static int fan(struct kelpie_actor *actor, struct rng *r)
{
    int error = 0;

    for (unsigned i = 0; i < world_of(actor)->config.posts && !error; i++)
        error = hop(actor, r, (char)('a' + i), 0);
    return error;
}

/* More than its receiver takes in hand at once. */
static int flood(struct kelpie_actor *actor, struct rng *r)
{
    char to = draw_post(actor, r, false);
    int error = 0;

    for (unsigned i = 0; i < FLOOD && !error; i++)
        error = hop(actor, r, to, 0);
    return error;
}

/* What the request with that number asks for is the same whenever it runs. */
static int go(struct kelpie_actor *actor, const struct kelpie_message *m)
{
    struct rng r;
    unsigned number = 0;
    int error = 0;
    char text[24];

    (void)snprintf(text, sizeof text, "%.*s", (int)m->body_len, (const char *)m->body);
    (void)sscanf(text, "%u", &number);
    rng_seed(&r, world_of(actor)->config.seed, number);
    for (uint64_t acts = 1 + rng_below(&r, 4); acts > 0 && !error; acts--) {
        switch (rng_below(&r, 8)) {
        case 0:
            error = rng_below(&r, FLOOD_IN) == 0 ? flood(actor, &r) : fan(actor, &r);
            break;
        case 1:
        case 2:
            error = send_named(actor, &r);
            break;
        case 3:
            error = unsend_named(actor, &r);
            break;
        case 4:
            error = send_period(actor, &r);
            break;
        default: {
            unsigned hops = (unsigned)rng_below(&r, 4);
            error = hop(actor, &r, draw_post(actor, &r, false), hops);
        }
        }
    }
    return error;
}

/* ---- what comes */

static bool fails(const struct kelpie_actor *actor)
{
    struct world *w = world_of(actor);

    return !w->calm && world_below(w, STREAM_POST, FAILS_IN) == 0;
}

static int on_hop(struct kelpie_actor *actor, const struct kelpie_message *m)
{
    unsigned long long number = 0, seed = 0;
    unsigned hops = 0, refused = 0;
    const struct letter_key key = of('r', m->sender_id[0]);
    struct rng r;
    char text[BODY_MAX];

    (void)snprintf(text, sizeof text, "%.*s", (int)m->body_len, (const char *)m->body);
    (void)COMPARE(world_of(actor), CHECK_ORDER_KEPT,
                  sscanf(text, "%llu %u %u %llu", &number, &hops, &refused, &seed) == 4 &&
                      number > get(actor, key.text),
                  "post/%s is given message '%s' of post/%s, after its %llu",
                  kelpie_actor_id(actor), text, m->sender_id,
                  (unsigned long long)get(actor, key.text));
    if (refused)
        return KELPIE_E_INVALID;
    int error = put(actor, key.text, number);
    rng_seed(&r, seed, 1);
    if (!error && hops > 0)
        error = hop(actor, &r, draw_post(actor, &r, false), hops - 1);
    return error;
}

static int on_tick(struct kelpie_actor *actor, const struct kelpie_message *m)
{
    unsigned long long epoch = 0, every = 0;
    const struct letter_key of_epoch = of('t', m->sender_id[0]), of_due = of('d', m->sender_id[0]);
    struct world *w = world_of(actor);
    char text[BODY_MAX];

    (void)snprintf(text, sizeof text, "%.*s", (int)m->body_len, (const char *)m->body);
    (void)sscanf(text, "%llu %llu", &epoch, &every);
    if (get(actor, of_epoch.text) == epoch &&
        w->posts->dead_ticks[kelpie_actor_id(actor)[0] - 'a'] == 0)
        (void)COMPARE(w, CHECK_PERIODS, get(actor, of_due.text) == m->due_ms,
                      "post/%s is told of period %llu of post/%s for %llu, and it was due at %llu",
                      kelpie_actor_id(actor), epoch, m->sender_id, (unsigned long long)m->due_ms,
                      (unsigned long long)get(actor, of_due.text));
    int error = put(actor, of_epoch.text, epoch);
    return error ? error : put(actor, of_due.text, m->due_ms + every * (m->missed + 1));
}

/* What a client has sent, under an id: it comes once, however often that was repeated. */
static int on_sent(struct kelpie_actor *actor, const struct kelpie_message *m)
{
    char key[2 + BODY_MAX];

    (void)snprintf(key, sizeof key, "g%.*s", (int)m->body_len, (const char *)m->body);
    (void)COMPARE(world_of(actor), CHECK_MESSAGE_ONCE, get(actor, key) == 0,
                  "post/%s is given what request %s sent a second time", kelpie_actor_id(actor),
                  key);
    int error = put(actor, key, 1);
    return error ? error : go(actor, m);
}

static int receive(struct kelpie_actor *actor, const struct kelpie_message *m)
{
    int error = 0;

    if (!m->sender_id)
        return go(actor, m);
    if (strcmp(m->method, "hop") == 0)
        error = on_hop(actor, m);
    else if (strcmp(m->method, "tick") == 0)
        error = on_tick(actor, m);
    else if (strcmp(m->method, "go") == 0)
        error = on_sent(actor, m);
    if (!error)
        error = put(actor, POST_COUNT, get(actor, POST_COUNT) + 1);
    return !error && fails(actor) ? KELPIE_E_HANDLER_FAILED : error;
}

const struct kelpie_class sim_class_post = {
    .abi = KELPIE_ABI_VERSION,
    .size = sizeof(struct kelpie_class),
    .type = "post",
    .placement = KELPIE_PLACE_LEAST_LOADED,
    .receive = receive,
};

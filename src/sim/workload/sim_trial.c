#include "sim/workload/sim_trial.h"

#include <stdio.h>
#include <string.h>

#include "actor/activation.h"
#include "sim/checkers/checks.h"
#include "sim/workload/sim_workload.h"

/*
 * The state: "n" the counter, "a" how many activations have written, "by" which attempt of the last
 * request it was, "v" the version of the class that wrote it, "sum" the number of the other
 * keys and of their bytes, and fillers, whose keys begin with 'f'. All of them are put in one
 * message, so a state whose sum does not fit is one of which a part got lost, or landed alone.
 */

#define DIGITS 10
#define SUM_SIZE 32
#define FILLER 'f'
#define NOT_A_HANDLERS KELPIE_E_STORE_FULL
#define ACTIVATE_FAILS_IN 4
#define SLOW_IN 16 /* unless the run says otherwise */

struct trial {
    uint64_t activations; /* with this one */
};

struct asked {
    unsigned amount, what, size;
};

static struct process *process_of(const struct kelpie_actor *actor)
{
    return actor->actors->env->clock.ctx;
}

static bool expect(const struct kelpie_actor *actor, bool ok, const char *what)
{
    struct world *w = process_of(actor)->world;

    return COMPARE(w, CHECK_STATE_IS_WHOLE, ok, "%s/%s: %s", kelpie_actor_type(actor),
                   kelpie_actor_id(actor), what);
}

/* Runs for a while; the world goes on meanwhile. Where nothing else goes wrong it does so always. */
static void take_time(const struct kelpie_actor *actor)
{
    struct process *p = process_of(actor);
    struct world *w = p->world;

    bool only = w->config.faults == 1ull << FAULT_ACTOR_SLOW;
    uint32_t in = w->config.slow_in ? w->config.slow_in : SLOW_IN;

    if (world_fault(w, FAULT_ACTOR_SLOW, STREAM_TRIAL, 1, only ? 1 : in))
        process_pause(p, (1 + world_below(w, STREAM_TRIAL, w->config.slow_handler_ms)) * NS_PER_MS);
}

/* ---- numbers of a fixed size, so that the counter fits in a full state */

static uint64_t get(const struct kelpie_actor *actor, const char *key)
{
    const uint8_t *value;
    uint64_t v = 0;
    size_t len;

    if (!kelpie_state_get((struct kelpie_actor *)actor, key, strlen(key), &value, &len))
        return 0;
    for (size_t i = 0; i < len; i++)
        v = v * 10 + (uint64_t)(value[i] - '0');
    return v;
}

static int put(struct kelpie_actor *actor, const char *key, uint64_t v)
{
    char text[DIGITS + 12];

    (void)snprintf(text, sizeof text, "%0*llu", DIGITS, (unsigned long long)v);
    return kelpie_state_put(actor, key, strlen(key), text, DIGITS);
}

/* ---- the sum */

struct size {
    size_t keys, bytes; /* of all keys */
    char sum[SUM_SIZE];
};

static struct size measure(struct kelpie_actor *actor)
{
    struct size s = {0};
    char after[KELPIE_STATE_KEY_MAX];
    const uint8_t *key, *value;
    size_t after_len = 0, key_len, value_len, other_keys = 0, other_bytes = 0;

    while (kelpie_state_next(actor, after, after_len, &key, &key_len, &value, &value_len)) {
        s.keys++;
        s.bytes += key_len + value_len;
        if (key_len != 3 || memcmp(key, "sum", 3) != 0) {
            other_keys++;
            other_bytes += key_len + value_len;
        }
        memcpy(after, key, key_len);
        after_len = key_len;
    }
    (void)snprintf(s.sum, sizeof s.sum, "%06zu %09zu", other_keys, other_bytes);
    return s;
}

static bool is_whole(struct kelpie_actor *actor)
{
    const struct size s = measure(actor);
    const uint8_t *value;
    size_t len;

    if (!kelpie_state_get(actor, "sum", 3, &value, &len))
        return s.keys == 0;
    return len == strlen(s.sum) && memcmp(value, s.sum, len) == 0;
}

/* There is always room for it: it has its full size from the first activation on. */
static void put_sum(struct kelpie_actor *actor)
{
    const struct size s = measure(actor);

    (void)expect(actor, kelpie_state_put(actor, "sum", 3, s.sum, strlen(s.sum)) == 0,
                 "a value cannot be replaced by one of its size");
}

/* ---- growing */

static size_t filler_key(char out[KELPIE_STATE_KEY_MAX + 1], unsigned i)
{
    return (size_t)snprintf(out, KELPIE_STATE_KEY_MAX + 1, "%c%05u", FILLER, i);
}

static int put_filler(struct kelpie_actor *actor, unsigned i, size_t value_len)
{
    static const uint8_t filling[KELPIE_STATE_VALUE_MAX + 1];
    char key[KELPIE_STATE_KEY_MAX + 1];
    size_t key_len = filler_key(key, i);

    return kelpie_state_put(actor, key, key_len, filling, value_len);
}

static void drop_fillers(struct kelpie_actor *actor)
{
    static const char before[] = {FILLER - 1, '~'};
    const uint8_t *key, *value;
    size_t key_len, value_len;

    while (kelpie_state_next(actor, before, sizeof before, &key, &key_len, &value, &value_len) &&
           key[0] == FILLER) {
        char copy[KELPIE_STATE_KEY_MAX];
        memcpy(copy, key, key_len);
        (void)expect(actor, kelpie_state_delete(actor, copy, key_len) == 0,
                     "a key cannot be deleted");
    }
}

static void grow_wide(struct kelpie_actor *actor)
{
    char key[KELPIE_STATE_KEY_MAX + 1];

    drop_fillers(actor);
    memset(key, FILLER, sizeof key);
    (void)expect(actor, put_filler(actor, 0, KELPIE_STATE_VALUE_MAX) == 0,
                 "a value of the greatest size is refused");
    (void)expect(actor, put_filler(actor, 1, KELPIE_STATE_VALUE_MAX + 1) == KELPIE_E_STATE_FULL,
                 "a value over the bound is not state_full");
    (void)expect(actor, kelpie_state_put(actor, key, KELPIE_STATE_KEY_MAX, "", 0) == 0,
                 "a key of the greatest size is refused");
    (void)expect(actor,
                 kelpie_state_put(actor, key, sizeof key, "", 0) == KELPIE_E_INVALID &&
                     kelpie_state_put(actor, key, 0, "", 0) == KELPIE_E_INVALID,
                 "a key that is too long, or empty, is not invalid");
}

static void grow_many(struct kelpie_actor *actor)
{
    unsigned i = 0;

    drop_fillers(actor);
    for (size_t keys = measure(actor).keys; keys < KELPIE_STATE_KEYS_MAX; keys++, i++)
        (void)expect(actor, put_filler(actor, i, 1) == 0, "a key below the bound is refused");
    (void)expect(actor, put_filler(actor, i, 1) == KELPIE_E_STATE_FULL,
                 "one key more than there may be is not state_full");
}

static void grow_heavy(struct kelpie_actor *actor)
{
    char key[KELPIE_STATE_KEY_MAX + 1];
    unsigned i = 0;

    drop_fillers(actor);
    size_t room = KELPIE_STATE_BYTES_MAX - measure(actor).bytes;
    while (room > 0) {
        size_t key_len = filler_key(key, i);
        size_t len =
            room - key_len < KELPIE_STATE_VALUE_MAX ? room - key_len : KELPIE_STATE_VALUE_MAX;
        /* The last one must fit too. */
        if (room > key_len + len && room - key_len - len < 2 * key_len)
            len -= 2 * key_len;
        (void)expect(actor, put_filler(actor, i++, len) == 0, "bytes below the bound are refused");
        room -= key_len + len;
    }
    (void)expect(actor, put_filler(actor, i, 0) == KELPIE_E_STATE_FULL,
                 "bytes over the bound are not state_full");
}

static void grow(struct kelpie_actor *actor, unsigned what)
{
    if (what == TRIAL_WIDE)
        grow_wide(actor);
    else if (what == TRIAL_MANY)
        grow_many(actor);
    else if (what == TRIAL_HEAVY)
        grow_heavy(actor);
    else if (what == TRIAL_LEAN)
        drop_fillers(actor);
}

/* ---- messages */

static int say(struct kelpie_actor *actor, uint64_t v, size_t size)
{
    struct mem mem = actor->actors->env->mem;
    char text[24];
    struct buf reply;
    int error;

    (void)snprintf(text, sizeof text, "%llu", (unsigned long long)v);
    buf_init(&reply, mem);
    buf_append_bytes(&reply, bytes_of_str(text));
    while (reply.len < size)
        buf_append_u8(&reply, '.');
    error = kelpie_reply(actor, reply.data, reply.len);
    if (size > KELPIE_REPLY_MAX) {
        (void)expect(actor, error == KELPIE_E_TOO_LARGE, "a reply over the bound is not too_large");
        error = kelpie_reply_text(actor, text);
    }
    buf_deinit(&reply);
    return error;
}

static bool parse(const struct kelpie_message *m, struct asked *out)
{
    char text[40];

    *out = (struct asked){0};
    if (m->body_len >= sizeof text)
        return false;
    memcpy(text, m->body, m->body_len);
    text[m->body_len] = '\0';
    return sscanf(text, "%u %u %u", &out->amount, &out->what, &out->size) == 3 &&
           out->what < TRIAL_COUNT;
}

static int result(struct kelpie_actor *actor, unsigned what)
{
    switch (what) {
    case TRIAL_FAIL:
        return KELPIE_E_HANDLER_FAILED;
    case TRIAL_FAIL_ODDLY:
        return NOT_A_HANDLERS;
    case TRIAL_INVALID:
        return KELPIE_E_INVALID;
    case TRIAL_NO_METHOD:
        return KELPIE_E_UNKNOWN_METHOD;
    case TRIAL_REFUSE:
        return kelpie_fail(actor, TRIAL_REFUSAL, "as it was asked to");
    default:
        return 0;
    }
}

static int receive(struct kelpie_actor *actor, const struct kelpie_message *m)
{
    const struct trial *t = kelpie_actor_data(actor);
    struct asked asked;

    if (!expect(actor, parse(m, &asked), "a message is not what was sent"))
        return KELPIE_E_INVALID;
    (void)expect(actor, is_whole(actor), "the state is not whole when a message comes");
    (void)expect(actor, get(actor, "a") == t->activations,
                 "what activate wrote is not there when a message comes");
    take_time(actor);
    (void)expect(actor, get(actor, "v") == actor->class->version,
                 "the state is not of the class's version when a message comes");
    if (m->flags & KELPIE_METHOD_READ)
        (void)expect(actor, put(actor, "n", 0) == KELPIE_E_REFUSED, "a read may write");
    if (asked.what == TRIAL_REFUSE_IF && strcmp(m->method, "add") == 0 && get(actor, "n") % 2 == 0)
        return kelpie_fail(actor, TRIAL_REFUSAL, "the counter is even");
    uint64_t v = get(actor, "n") + asked.amount;
    if (strcmp(m->method, "add") == 0) {
        int error = put(actor, "n", v);
        if (!error)
            error = put(actor, TRIAL_ATTEMPT, workload_attempt(process_of(actor)->world, actor));
        (void)expect(actor, error == 0, "a number cannot be replaced by one of its size");
        grow(actor, asked.what);
        put_sum(actor);
    }
    int error = say(actor, v, asked.size);
    take_time(actor);
    return error ? error : result(actor, asked.what);
}

/* What an older version wrote, and no newer one. */
static int upgrade(struct kelpie_actor *actor, uint32_t from)
{
    (void)expect(actor, get(actor, "v") == from && from < actor->class->version,
                 "an upgrade is not from the version that wrote the state");
    (void)expect(actor, put(actor, "v", actor->class->version) == 0, "upgrade cannot write");
    put_sum(actor);
    return 0;
}

static int activate(struct kelpie_actor *actor)
{
    struct process *p = process_of(actor);
    struct trial *t = kelpie_actor_alloc(actor, sizeof *t);
    static const int errors[] = {KELPIE_E_HANDLER_FAILED, KELPIE_E_LIMIT, 7};

    const uint8_t *value;
    size_t len;

    (void)expect(actor, is_whole(actor), "the state is not whole when the actor is activated");
    if (kelpie_state_get(actor, "v", 1, &value, &len))
        (void)expect(actor, get(actor, "v") == actor->class->version,
                     "the class is given the state of another version");
    take_time(actor);
    kelpie_actor_set_data(actor, t);
    t->activations = get(actor, "a") + 1;
    int error = put(actor, "a", t->activations);
    if (!error)
        error = put(actor, "v", actor->class->version);
    if (!error)
        error = put(actor, "n", get(actor, "n"));
    if (!error)
        error = put(actor, TRIAL_ATTEMPT, get(actor, TRIAL_ATTEMPT));
    (void)expect(actor, error == 0, "activate cannot write");
    put_sum(actor);
    if (world_fault(p->world, FAULT_ACTOR_FAILS, STREAM_TRIAL, 1, ACTIVATE_FAILS_IN))
        return errors[world_below(p->world, STREAM_TRIAL, ARRAY_LEN(errors))];
    return 0;
}

static void deactivate(struct kelpie_actor *actor)
{
    (void)expect(actor, is_whole(actor), "the state is not whole when the actor is deactivated");
    (void)expect(actor, put(actor, "late", 1) == KELPIE_E_REFUSED, "deactivate may write");
    take_time(actor);
}

static const struct kelpie_method methods[] = {{.name = "read", .flags = KELPIE_METHOD_READ},
                                               {.name = NULL}};

const struct kelpie_class sim_class_trial = {
    .abi = KELPIE_ABI_VERSION,
    .size = sizeof(struct kelpie_class),
    .type = "trial",
    .placement = KELPIE_PLACE_LEAST_LOADED,
    .remember_ms = TRIAL_REMEMBER_MS,
    .activate = activate,
    .receive = receive,
    .deactivate = deactivate,
    .version = 1,
    .methods = methods,
    .upgrade = upgrade,
};

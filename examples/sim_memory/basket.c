/*
 * A basket that counts what is put into it, for docs/testing-your-actors.md: the class, and a workload for
 * `kelpie-sim`. Built with -DBUG it keeps the count in memory that does not begin with the activation: what a
 * commit failed to make true stays there.
 *
 *   put      body: a number   -> how many there are now
 *   count    body: empty      -> how many there are
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <kelpie/kelpie.h>
#include <kelpie/sim.h>

#define TEXT_SIZE 24
#define BASKETS 3

/* ---- the class */

#ifdef BUG
static long remembered[BASKETS]; /* of all activations that this process ever had */
#endif

static long number_of(const uint8_t *data, size_t len)
{
    char text[TEXT_SIZE] = "";

    if (len < sizeof text && len > 0)
        memcpy(text, data, len);
    return strtol(text, NULL, 10);
}

static long count(struct kelpie_actor *actor)
{
    const uint8_t *value;
    size_t len;

#ifdef BUG
    long known = remembered[number_of((const uint8_t *)kelpie_actor_id(actor), 1)];
    if (known)
        return known;
#endif
    return kelpie_state_get(actor, "count", 5, &value, &len) ? number_of(value, len) : 0;
}

static int receive(struct kelpie_actor *actor, const struct kelpie_message *m)
{
    char text[TEXT_SIZE];
    long n = count(actor);
    int error = 0;

    if (strcmp(m->method, "put") == 0) {
        n += number_of(m->body, m->body_len);
        (void)snprintf(text, sizeof text, "%ld", n);
        error = kelpie_state_put(actor, "count", 5, text, strlen(text));
#ifdef BUG
        remembered[number_of((const uint8_t *)kelpie_actor_id(actor), 1)] = n;
#endif
    } else if (strcmp(m->method, "count") != 0) {
        return KELPIE_E_UNKNOWN_METHOD;
    }
    (void)snprintf(text, sizeof text, "%ld", n);
    return error ? error : kelpie_reply_text(actor, text);
}

static const struct kelpie_class basket = {
    .abi = KELPIE_ABI_VERSION,
    .size = sizeof(struct kelpie_class),
    .type = "basket",
    .receive = receive,
};

const struct kelpie_class *const kelpie_classes[] = {&basket, NULL};

/* ---- what clients ask, and what must hold: nothing is lost, nothing is there that nobody put in */

static long surely[BASKETS], perhaps[BASKETS]; /* put in: acknowledged; nobody knows */

static void ask(struct kelpie_sim *sim, unsigned client)
{
    const char id[] = {(char)('0' + kelpie_sim_below(sim, BASKETS)), '\0'};
    const char body[] = {(char)('1' + kelpie_sim_below(sim, 9)), '\0'};

    (void)client;
    kelpie_sim_ask(sim, "basket", id, "put", body, 1);
}

static void answered(struct kelpie_sim *sim, const struct kelpie_sim_answer *a)
{
    int at = a->id[0] - '0';
    long n = number_of(a->reply, a->reply_len);

    if (a->client == KELPIE_SIM_AT_END)
        kelpie_sim_expect(sim, n >= surely[at] && n <= surely[at] + perhaps[at],
                          "basket %d has %ld; %ld were put in, and perhaps %ld more", at, n,
                          surely[at], perhaps[at]);
    else if (a->applied == KELPIE_APPLIED_YES)
        surely[at] += number_of(a->body, a->body_len);
    else if (a->applied == KELPIE_APPLIED_UNKNOWN)
        perhaps[at] += number_of(a->body, a->body_len);
}

static void ask_at_end(struct kelpie_sim *sim, unsigned number)
{
    const char id[] = {(char)('0' + number), '\0'};

    if (number < BASKETS)
        kelpie_sim_ask(sim, "basket", id, "count", "", 0);
}

const struct kelpie_sim_workload kelpie_sim_workload = {
    .abi = KELPIE_SIM_VERSION,
    .size = sizeof(struct kelpie_sim_workload),
    .ask = ask,
    .answered = answered,
    .ask_at_end = ask_at_end,
};

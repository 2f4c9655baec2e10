/*
 * A worked example of calls between actors: accounts that pay each other.
 *
 *   deposit   body: an amount        -> the new balance
 *   balance   body: empty            -> the balance
 *   pay       body: "AMOUNT TO"      -> the new balance, when the account TO has the amount
 *
 * `pay` is one turn that stays open while it waits for another actor. It takes the amount off this
 * account, calls `deposit` of the other, and finishes with what that was answered. What it took off is
 * committed when it finishes, as a whole, or never: a payment to an account that refuses it changes
 * nothing here.
 *
 * The two accounts are two actors, and there is no transaction over both. A node that dies between the
 * deposit there and the commit here leaves the money on both. So whoever got no answer asks again, with
 * the same request id: the turn runs once more, its `deposit` has the same id as before and is applied
 * once, and the payment is whole. A payment has happened when it was acknowledged.
 *
 * See README.md in this folder for how to build and try it.
 */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <kelpie/kelpie.h>

#define BALANCE "balance"
#define AMOUNT_MAX 1000000000
#define TEXT_SIZE 256
/* An account that pays takes no deposit until it is done. Some that pay each other at the same time would wait for
 * each other until their callers give up: so nobody waits for longer than this, and the error names them. */
#define DEPOSIT_MS 500

static int refuse(struct kelpie_actor *actor, int error, const char *sentence)
{
    int too_large = kelpie_reply_text(actor, sentence);

    return too_large ? too_large : error;
}

static int64_t balance(struct kelpie_actor *actor)
{
    const uint8_t *value;
    size_t len;
    char text[24] = "";

    if (kelpie_state_get(actor, BALANCE, strlen(BALANCE), &value, &len) && len < sizeof text)
        memcpy(text, value, len);
    return strtoll(text, NULL, 10);
}

static int reply_balance(struct kelpie_actor *actor)
{
    char text[24];

    (void)snprintf(text, sizeof text, "%" PRId64, balance(actor));
    return kelpie_reply_text(actor, text);
}

static int set_balance(struct kelpie_actor *actor, int64_t value)
{
    char text[24];

    (void)snprintf(text, sizeof text, "%" PRId64, value);
    return kelpie_state_put(actor, BALANCE, strlen(BALANCE), text, strlen(text));
}

/* The body as a string, cut where it would be too long. */
static void text_of(const struct kelpie_message *m, char text[TEXT_SIZE])
{
    size_t len = m->body_len < TEXT_SIZE ? m->body_len : TEXT_SIZE - 1;

    memcpy(text, m->body, len);
    text[len] = '\0';
}

static int64_t amount_of(const char *text, char **rest)
{
    int64_t amount = strtoll(text, rest, 10);

    return amount > 0 && amount <= AMOUNT_MAX ? amount : 0;
}

static int deposit(struct kelpie_actor *actor, const struct kelpie_message *m)
{
    char text[TEXT_SIZE], *rest;
    int64_t amount;
    int error;

    text_of(m, text);
    amount = amount_of(text, &rest);
    if (amount == 0 || *rest)
        return refuse(actor, KELPIE_E_INVALID, "deposit takes an amount, 1 to 1000000000");
    error = set_balance(actor, balance(actor) + amount);
    return error ? error : reply_balance(actor);
}

/* The other account has it, or does not. Whatever it says, the turn ends with that: with an error all that
 * it changed is taken back. */
static void deposited(struct kelpie_actor *actor, void *arg, int status, const uint8_t *reply,
                      size_t reply_len)
{
    (void)arg;
    (void)reply;
    (void)reply_len;
    if (!status)
        status = reply_balance(actor);
    (void)kelpie_finish(actor, status);
}

static int pay(struct kelpie_actor *actor, const struct kelpie_message *m)
{
    char text[TEXT_SIZE], digits[24], *to;
    int64_t amount;
    int error;

    text_of(m, text);
    amount = amount_of(text, &to);
    if (amount == 0 || *to != ' ' || !to[1])
        return refuse(actor, KELPIE_E_INVALID, "pay takes \"AMOUNT TO\"");
    to++;
    if (balance(actor) < amount)
        return refuse(actor, KELPIE_E_REFUSED, "the account does not have so much");
    error = set_balance(actor, balance(actor) - amount);
    (void)snprintf(digits, sizeof digits, "%" PRId64, amount);
    if (!error)
        error = kelpie_call(actor, kelpie_actor_type(actor), to, "deposit", digits, strlen(digits),
                            DEPOSIT_MS, deposited, NULL);
    return error ? error : KELPIE_PENDING;
}

static int receive(struct kelpie_actor *actor, const struct kelpie_message *message)
{
    if (strcmp(message->method, "deposit") == 0)
        return deposit(actor, message);
    if (strcmp(message->method, "pay") == 0)
        return pay(actor, message);
    if (strcmp(message->method, "balance") == 0)
        return reply_balance(actor);
    return refuse(actor, KELPIE_E_UNKNOWN_METHOD,
                  "an account has the methods deposit, pay and balance");
}

static const struct kelpie_class account = {
    .abi = KELPIE_ABI_VERSION,
    .size = sizeof(struct kelpie_class),
    .type = "account",
    .placement = KELPIE_PLACE_LEAST_LOADED,
    .receive = receive,
};

/* What `kelpied --actors` looks for. */
const struct kelpie_class *const kelpie_classes[] = {&account, NULL};

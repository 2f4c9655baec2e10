#include <stdio.h>
#include <stdlib.h>

#include "kelpie/error.h"
#include "sim/workload/sim_workload_link.h"

/*
 * What clients may be told. Each add of a positive amount makes a value that no other add makes, so
 * a value told for two requests means that one of them was lost; a request is told the same value
 * however often it is repeated; and nobody is told a value lower than one that was told to somebody
 * before the request was first sent.
 */

#define VALUES_MAX (1u << 26)

static bool parse_value(struct bytes reply, uint64_t *value, size_t len)
{
    *value = 0;
    if (reply.len < len || (reply.len > len && len > 0))
        return false;
    while (len > 0 && reply.len > 0 && reply.data[reply.len - 1] == '.')
        reply.len--;
    if (reply.len == 0 || reply.len > 19)
        return false;
    for (size_t i = 0; i < reply.len; i++) {
        if (reply.data[i] < '0' || reply.data[i] > '9')
            return false;
        *value = *value * 10 + (uint64_t)(reply.data[i] - '0');
    }
    return true;
}

static uint32_t *value_slot(struct sim_actor *a, uint64_t value)
{
    CHECK(value < VALUES_MAX);
    if (value >= a->value_cap) {
        size_t cap = (size_t)value * 2 + 64;
        a->by_value = realloc(a->by_value, cap * sizeof *a->by_value);
        CHECK(a->by_value);
        memset(a->by_value + a->value_cap, 0, (cap - a->value_cap) * sizeof *a->by_value);
        a->value_cap = cap;
    }
    return &a->by_value[value];
}

static bool check_add(struct world *w, struct sim_op *op, uint64_t value)
{
    struct sim_actor *a = op->actor;
    uint32_t *slot = value_slot(a, value);

    if (!COMPARE(w, CHECK_REPLIES, *slot == 0 || *slot == op->serial,
                 "%s/%s told request %s the value %llu that it had told request number %u", a->type,
                 a->id, op->request_id, (unsigned long long)value, *slot))
        return false;
    if (!COMPARE(w, CHECK_REPLIES, !op->answered || op->value == value,
                 "%s/%s told request %s first %llu, then %llu", a->type, a->id, op->request_id,
                 (unsigned long long)op->value, (unsigned long long)value))
        return false;
    *slot = op->serial;
    if (!op->answered)
        a->acknowledged += op->amount;
    return true;
}

/* Trials write which of a request's attempts applied it. Of others that is not to be seen, but all the
 * attempts that had begun cannot have been told that it was none of them. */
static bool check_told_no(struct world *w, const struct sim_op *op)
{
    bool lied = op->applied_by < 64 && op->told_no >> op->applied_by & 1u;

    return COMPARE(
        w, CHECK_APPLIED, op->open > 0 && !lied,
        "%s/%s applied request %s by its attempt %u (0: not known), and %s was told that "
        "it was not applied",
        op->actor->type, op->actor->id, op->request_id, op->applied_by,
        lied ? "that" : "each of them");
}

bool check_outcome(struct world *w, struct sim_op *op, unsigned attempt, bool late, int status)
{
    enum kelpie_applied applied = kelpie_error_applied(status);

    if (applied == KELPIE_APPLIED_YES && op->kind == OP_ADD)
        return COMPARE(w, CHECK_APPLIED, op->applied,
                       "%s/%s told request %s that it was applied, and it was not", op->actor->type,
                       op->actor->id, op->request_id);
    if (applied != KELPIE_APPLIED_NO || late)
        return true;
    CHECK(op->open > 0);
    op->open--;
    if (attempt < 64)
        op->told_no |= 1ull << attempt;
    return !op->applied || check_told_no(w, op);
}

void check_applied(struct world *w, struct sim_op *op, unsigned by)
{
    op->applied = true;
    op->applied_by = by;
    if (COMPARE(w, CHECK_APPLIED, op->kind == OP_ADD,
                "%s/%s applied request %s, which adds nothing", op->actor->type, op->actor->id,
                op->request_id))
        (void)check_told_no(w, op);
}

/* What nodes may hold a request for, on top of the window, before it is too late without an age. */
#define HELD_AT_LEAST_NS (15 * NS_PER_S)

/* Nothing but slow callbacks: nodes hold requests in mailboxes alone, which the horizon waits for. */
static bool only_mailboxes_hold(const struct world *w)
{
    return !(w->config.faults & ~(1ull << FAULT_ACTOR_SLOW | 1ull << FAULT_LATE_REPEATS));
}

void check_too_late(struct world *w, const struct attempt *a)
{
    struct sim_op *op = a->op;
    bool held = op->ages && only_mailboxes_hold(w);
    uint64_t since = op->ages ? op->first_ns : a->sent_ns;
    uint64_t until = held ? a->sent_ns : w->now_ns;
    uint64_t promised = op->ages ? actor_window_ns(op->actor) : HELD_AT_LEAST_NS;

    op->too_late = true;
    /* Without an age it is as old as the window of the node that has it, which the others have not kept to. */
    if (!op->ages && w->config.windows && op->actor->trial)
        return;
    COMPARE(w, CHECK_WRONGED, until >= since + promised,
            "%s/%s told request %s that it is too late, %.3f s after it was first asked (%s)",
            op->actor->type, op->actor->id, op->request_id,
            (double)(w->now_ns - op->first_ns) / 1e9, op->ages ? "and said so" : "and said no age");
}

void check_other(struct world *w, const struct attempt *a, int status)
{
    bool passes = kelpie_error_retry(status) || status == KELPIE_E_TOO_LATE ||
                  status == KELPIE_E_STORE_CORRUPT || status == KELPIE_E_STORE_FOREIGN;

    COMPARE(w, CHECK_REPLIES,
            status == KELPIE_E_REQUEST_ID_REUSED || passes ||
                ((status == 0 || status == KELPIE_E_UNKNOWN_METHOD) && !a->answered),
            "%s/%s answered something else under the id of request %s with %s", a->op->actor->type,
            a->op->actor->id, a->op->request_id, status ? kelpie_error_name(status) : "a reply");
}

void check_refused(struct world *w, struct sim_op *op, int status)
{
    op->refused = true;
    COMPARE(w, CHECK_APPLIED,
            status == KELPIE_E_DOMAIN && !op->applied &&
                (op->may_refuse || (op->kind == OP_FAIL && op->expect == KELPIE_E_DOMAIN)),
            "%s/%s remembers request %s as refused with %s, %s", op->actor->type, op->actor->id,
            op->request_id, kelpie_error_name(status),
            op->applied ? "and had applied it" : "which its handler does not say");
}

bool check_error(struct world *w, struct sim_op *op, int status, struct bytes why)
{
    struct sim_actor *a = op->actor;

    if (status == KELPIE_E_REQUEST_ID_REUSED && op->crossed)
        return true;
    /* A domain error is for good: it left when it was committed, and nothing else was or will be. */
    if (status == KELPIE_E_DOMAIN &&
        !COMPARE(w, CHECK_APPLIED, op->refused && !op->applied,
                 "%s/%s told request %s that it is refused, %s", a->type, a->id, op->request_id,
                 op->applied ? "and had applied it" : "and remembers no such thing"))
        return false;
    if (status == KELPIE_E_DOMAIN && op->may_refuse) {
        op->answered = true;
        return true;
    }
    if (op->kind == OP_FAIL && status == op->expect) {
        op->answered = true;
        return true;
    }
    /* A reply that is too long to be kept is told once; whoever asks again learns that it was done. */
    if (status == KELPIE_E_APPLIED_NO_REPLY && op->kind == OP_ADD &&
        op->reply_len > REPLY_KEPT_MAX) {
        if (!op->answered)
            a->acknowledged += op->amount;
        op->answered = true;
        return true;
    }
    bool reported =
        status == KELPIE_E_STORE_CORRUPT && (w->met[FAULT_CORRUPTION] > 0 || w->met[FAULT_ROT] > 0);
    /* A node that lived on is told so by those of the new epoch, until it ends. */
    reported |= status == KELPIE_E_STORE_FOREIGN && w->met[FAULT_RESTORE] > 0;
    return COMPARE(w, CHECK_REPLIES, kelpie_error_retry(status) || reported,
                   "%s/%s answered request %s with %s: %.*s", a->type, a->id, op->request_id,
                   kelpie_error_name(status), (int)why.len, (const char *)why.data);
}

bool check_reply(struct world *w, struct sim_op *op, struct bytes reply)
{
    struct sim_actor *a = op->actor;
    uint64_t value, least;

    if (!COMPARE(w, CHECK_REPLIES, op->kind != OP_FAIL,
                 "%s/%s acknowledged request %s, whose handler fails with %s", a->type, a->id,
                 op->request_id, kelpie_error_name(op->expect)))
        return false;
    if (!COMPARE(w, CHECK_APPLIED, !op->refused,
                 "%s/%s acknowledged request %s, and had refused it for good", a->type, a->id,
                 op->request_id))
        return false;
    if (op->kind == OP_ECHO) {
        bool same = bytes_equal(reply, bytes_of_str(op->body));
        op->answered = true;
        return COMPARE(w, CHECK_REPLIES, same, "%s/%s answered %zu bytes to '%s'", a->type, a->id,
                       reply.len, op->body);
    }
    if (!COMPARE(w, CHECK_REPLIES, parse_value(reply, &value, op->reply_len),
                 "%s/%s answered '%.*s'", a->type, a->id, (int)(reply.len > 40 ? 40 : reply.len),
                 (const char *)reply.data))
        return false;
    least = op->floor + (op->kind == OP_ADD ? op->amount : 0);
    if (!COMPARE(w, CHECK_REPLIES, value >= least && value <= a->issued,
                 "%s/%s told request %s (%s %llu) the value %llu: not in %llu .. %llu", a->type,
                 a->id, op->request_id, op->kind == OP_ADD ? "add" : "get",
                 (unsigned long long)op->amount, (unsigned long long)value,
                 (unsigned long long)least, (unsigned long long)a->issued))
        return false;
    if (op->kind == OP_ADD && !check_add(w, op, value))
        return false;
    op->value = value;
    op->answered = true;
    if (value > a->floor)
        a->floor = value;
    return true;
}

void check_final(struct world *w, const struct sim_op *op)
{
    const struct sim_actor *a = op->actor;

    if (op->kind != OP_GET)
        return;
    COMPARE(w, CHECK_DURABLE, op->value >= op->acknowledged && op->value <= a->issued,
            "%s/%s is %llu at the end: %llu were acknowledged, %llu asked for", a->type, a->id,
            (unsigned long long)op->value, (unsigned long long)op->acknowledged,
            (unsigned long long)a->issued);
}

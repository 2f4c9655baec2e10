#include "sim/checkers/linear.h"

#include <stdlib.h>
#include <string.h>

#include "base/check.h"

/*
 * Adds are positive, so the counter only grows, and an answer says in which state its request took
 * place: an add that answers v at v - amount, a get that answers v at v. So the answered requests
 * come in the order of their values, the add that makes v before the gets that read it, and these
 * among themselves as they were asked. What remains: between two neighbours of that order with a gap of
 * g lie unanswered adds that sum to g. Unanswered adds of one amount are alike but for the moment
 * they were asked; taking the earliest first loses nothing. So a state of the search is how many
 * of each amount have been taken, together with the place in the order.
 */

#define TABLE_MIN 64

struct step {
    size_t op; /* in the caller's list */
    uint64_t asked, answered;
    uint64_t before, after; /* the counter */
    uint64_t deadline;      /* the earliest answer of this step and all later ones */
};

/* Unanswered adds of one amount by the time they were asked. */
struct open_adds {
    uint64_t *asked;
    size_t count;
};

struct taken {
    uint32_t at; /* place in the order */
    uint32_t count[LINEAR_AMOUNT_MAX + 1];
};

struct search {
    struct step *steps;
    size_t step_count;
    struct open_adds open[LINEAR_AMOUNT_MAX + 1];
    struct taken *table; /* states seen, by open addressing; at + 1, 0: free */
    size_t table_size, seen;
    uint64_t states_max;
    size_t furthest;
};

static int compare_steps(const void *a, const void *b)
{
    const struct step *x = a, *y = b;

    if (x->after != y->after)
        return x->after < y->after ? -1 : 1;
    if (x->before != y->before) /* the add before those who read it */
        return x->before < y->before ? -1 : 1;
    if (x->asked != y->asked)
        return x->asked < y->asked ? -1 : 1;
    return x->op < y->op ? -1 : x->op > y->op;
}

static int compare_times(const void *a, const void *b)
{
    uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;
    return x < y ? -1 : x > y;
}

static void *allocate(size_t count, size_t size)
{
    void *p = calloc(count + 1, size);
    CHECK(p);
    return p;
}

static void sort_in(struct search *s, const struct linear_op *ops, size_t count)
{
    for (unsigned a = 1; a <= LINEAR_AMOUNT_MAX; a++)
        s->open[a].asked = allocate(count, sizeof(uint64_t));
    s->steps = allocate(count, sizeof *s->steps);
    for (size_t i = 0; i < count; i++) {
        const struct linear_op *op = &ops[i];
        CHECK(op->amount <= LINEAR_AMOUNT_MAX && op->asked < op->answered);
        if (op->answered != LINEAR_OPEN)
            s->steps[s->step_count++] = (struct step){
                .op = i,
                .asked = op->asked,
                .answered = op->answered,
                .before = op->value - (op->amount < op->value ? op->amount : op->value),
                .after = op->value,
            };
        else if (op->amount > 0)
            s->open[op->amount].asked[s->open[op->amount].count++] = op->asked;
    }
    qsort(s->steps, s->step_count, sizeof *s->steps, compare_steps);
    for (unsigned a = 1; a <= LINEAR_AMOUNT_MAX; a++)
        qsort(s->open[a].asked, s->open[a].count, sizeof(uint64_t), compare_times);
    uint64_t deadline = LINEAR_OPEN;
    for (size_t i = s->step_count; i-- > 0;) {
        if (s->steps[i].answered < deadline)
            deadline = s->steps[i].answered;
        s->steps[i].deadline = deadline;
    }
}

/* What no unanswered request can mend: an add that answers less than it added, two adds that made
 * the same value or overlap, an answer that came before something with a lower value was asked. */
static bool order_holds(struct search *s, const struct linear_op *ops, size_t *wrong)
{
    uint64_t state = 0, asked = 0;
    size_t latest = 0; /* of those so far, asked last */

    for (size_t i = 0; i < s->step_count; i++) {
        const struct step *step = &s->steps[i];
        *wrong = step->op;
        if (ops[step->op].amount > step->after || step->before < state)
            return false;
        if (step->asked > asked) {
            asked = step->asked;
            latest = step->op;
        }
        *wrong = latest;
        if (step->deadline < asked)
            return false;
        state = step->after;
    }
    return true;
}

static uint64_t hash_of(const struct taken *t)
{
    uint64_t h = t->at * 0x9e3779b97f4a7c15u;
    for (unsigned a = 1; a <= LINEAR_AMOUNT_MAX; a++)
        h = (h ^ t->count[a]) * 0x100000001b3u;
    return h ^ h >> 29;
}

static struct taken *slot_of(struct taken *table, size_t size, const struct taken *t)
{
    size_t i = hash_of(t) & (size - 1);
    while (table[i].at != 0 && memcmp(&table[i], t, sizeof *t) != 0)
        i = (i + 1) & (size - 1);
    return &table[i];
}

static void grow(struct search *s)
{
    size_t size = s->table_size ? s->table_size * 2 : TABLE_MIN;
    struct taken *table = allocate(size, sizeof *table);

    for (size_t i = 0; i < s->table_size; i++)
        if (s->table[i].at != 0)
            *slot_of(table, size, &s->table[i]) = s->table[i];
    free(s->table);
    s->table = table;
    s->table_size = size;
}

/* False when that state was looked at before. */
static bool first_time(struct search *s, const struct taken *t)
{
    if (s->seen * 2 >= s->table_size)
        grow(s);
    struct taken *slot = slot_of(s->table, s->table_size, t);
    if (slot->at != 0)
        return false;
    *slot = *t;
    s->seen++;
    return true;
}

/* One state on the stack: the steps before `t.at - 1` are done, the counter stands at `state`, and
 * the next unanswered add to try is one of `next`. */
struct frame {
    struct taken t;
    uint64_t state;
    unsigned next;
};

/* Goes on through steps that need no unanswered add. */
static void run_on(struct search *s, struct frame *f)
{
    while (f->t.at - 1 < s->step_count && s->steps[f->t.at - 1].before == f->state)
        f->state = s->steps[f->t.at++ - 1].after;
    if (f->t.at - 1 > s->furthest)
        s->furthest = f->t.at - 1;
}

/* The next state after `f` that was not looked at, or false when there is none. */
static bool branch(struct search *s, struct frame *f, struct frame *out)
{
    const struct step *to = &s->steps[f->t.at - 1];

    for (; f->next <= LINEAR_AMOUNT_MAX; f->next++) {
        unsigned a = f->next;
        const struct open_adds *open = &s->open[a];
        uint32_t used = f->t.count[a];
        if (used >= open->count || f->state + a > to->before)
            continue;
        /* It was asked before the last moment at which it must have happened. */
        if (open->asked[used] > to->deadline)
            continue;
        *out = *f;
        out->t.count[a]++;
        out->state += a;
        out->next = 1;
        run_on(s, out);
        if (first_time(s, &out->t)) {
            f->next++;
            return true;
        }
    }
    return false;
}

static enum linear_verdict search(struct search *s)
{
    size_t depth = 0, cap = 64;
    struct frame *stack = allocate(cap, sizeof *stack);
    enum linear_verdict verdict = LINEAR_VIOLATION;

    stack[0] = (struct frame){.t = {.at = 1}, .next = 1};
    run_on(s, &stack[0]);
    (void)first_time(s, &stack[0].t);
    for (;;) {
        if (stack[depth].t.at - 1 == s->step_count) {
            verdict = LINEAR_OK;
            break;
        }
        if (s->seen > s->states_max) {
            verdict = LINEAR_NOT_CHECKED;
            break;
        }
        if (depth + 1 == cap) {
            cap *= 2;
            stack = realloc(stack, (cap + 1) * sizeof *stack);
            CHECK(stack);
        }
        if (branch(s, &stack[depth], &stack[depth + 1]))
            depth++;
        else if (depth-- == 0)
            break;
    }
    free(stack);
    return verdict;
}

struct linear_result linear_check(const struct linear_op *ops, size_t count, uint64_t states_max)
{
    struct search s = {.states_max = states_max};
    struct linear_result r = {.verdict = LINEAR_VIOLATION};

    CHECK(count < UINT32_MAX);
    sort_in(&s, ops, count);
    if (order_holds(&s, ops, &r.op)) {
        r.verdict = search(&s);
        r.op = s.furthest < s.step_count ? s.steps[s.furthest].op : 0;
    }
    r.states = s.seen;
    for (unsigned a = 1; a <= LINEAR_AMOUNT_MAX; a++)
        free(s.open[a].asked);
    free(s.steps);
    free(s.table);
    return r;
}

#include "bin/kelpie_sim/sim_compare.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "bin/kelpie_sim/sim_again.h"
#include "kelpie/error.h"

#define EVENT_WORD " event="
#define RANGE_SIZE 64

struct pair {
    struct again_run run[2];
    struct again_hashes hashes[2];
};

/* ---- the two histories, line by line */

struct lines {
    struct again again;
    FILE *in;
    char line[COMPARE_LINE_MAX];
};

static int lines_open(struct lines *l, const struct again_run *r)
{
    int err = again_start(r, &l->again);
    if (err)
        return err;
    l->in = fdopen(l->again.fd, "r");
    CHECK(l->in);
    return 0;
}

static void lines_close(struct lines *l)
{
    l->again.fd = dup(l->again.fd); /* the stream closes its own */
    (void)fclose(l->in);
    again_stop(&l->again);
}

/* The next line that is an event; empty at the end. */
static const char *next_event(struct lines *l)
{
    while (fgets(l->line, sizeof l->line, l->in)) {
        l->line[strcspn(l->line, "\n")] = '\0';
        if (strstr(l->line, EVENT_WORD))
            return l->line;
    }
    l->line[0] = '\0';
    return l->line;
}

static const char *or_none(const char *line)
{
    return *line ? line : "(its history ends before)";
}

/* The first event of the two histories that differs. */
struct difference {
    bool found;
    char before[COMPARE_LINE_MAX], line[2][COMPARE_LINE_MAX];
};

static int find_difference(const struct pair *pair, uint64_t from, uint64_t to,
                           struct difference *out)
{
    struct lines side[2] = {{.in = NULL}, {.in = NULL}};
    struct again_run runs[2] = {pair->run[0], pair->run[1]};
    char range[RANGE_SIZE];

    *out = (struct difference){.found = false};
    (void)snprintf(range, sizeof range, "%llu..%llu", (unsigned long long)from,
                   (unsigned long long)to);
    runs[0].events = runs[1].events = range;
    int err = lines_open(&side[0], &runs[0]);
    if (err)
        return err;
    err = lines_open(&side[1], &runs[1]);
    while (!err && !out->found) {
        const char *a = next_event(&side[0]), *b = next_event(&side[1]);
        out->found = strcmp(a, b) != 0;
        memcpy(out->found ? out->line[0] : out->before, a, COMPARE_LINE_MAX);
        memcpy(out->line[1], b, COMPARE_LINE_MAX);
        if (!*a)
            break;
    }
    lines_close(&side[0]);
    if (!err)
        lines_close(&side[1]);
    return err;
}

/* Up to 2^(i-1) events the hashes are the same, so the difference is found among few. A run that
 * depends on its memory may differ elsewhere each time: then all events are looked at. */
static int name_event(const struct pair *pair, unsigned i, struct buf *out)
{
    struct difference d;
    uint64_t from = i ? 1ull << (i - 1) : 1;
    int err = find_difference(pair, from, 1ull << i, &d);

    if (!err && (!d.found || !d.before[0]))
        err = find_difference(pair, 1, UINT64_MAX, &d);
    if (err)
        return err;
    if (!d.found) {
        buf_appendf(out, "a second time they are the same\n");
        return 0;
    }
    buf_appendf(out, "the same before: %s\n", d.before[0] ? d.before : "(nothing)");
    buf_appendf(out, "here:            %s\nthere:           %s\n", or_none(d.line[0]),
                or_none(d.line[1]));
    return 0;
}

/* ---- one seed */

static int run_both(struct pair *p, char *why, size_t why_size)
{
    for (unsigned i = 0; i < 2; i++) {
        struct again a;
        int err = again_start(&p->run[i], &a);
        if (err) {
            (void)snprintf(why, why_size, "cannot start a process: %s", strerror(errno));
            return err;
        }
        if (!again_finish(&a, &p->hashes[i])) {
            (void)snprintf(why, why_size, "%s did not run seed %llu%s", p->run[i].program,
                           (unsigned long long)p->run[i].seed, p->run[i].overrides);
            return KELPIE_E_IO;
        }
    }
    return 0;
}

static bool equal(struct hash128 a, struct hash128 b)
{
    return a.hi == b.hi && a.lo == b.lo;
}

static int compare_seed(struct pair *p, struct compare_result *out, char *why, size_t why_size)
{
    const struct again_hashes *a = &p->hashes[0], *b = &p->hashes[1];
    char hash[2][33];
    unsigned i = 0;
    int err = run_both(p, why, why_size);

    if (err)
        return err;
    out->seeds++;
    if (equal(a->trace, b->trace) && a->events == b->events)
        return 0;
    out->differ++;
    hash128_to_text(a->trace, hash[0]);
    hash128_to_text(b->trace, hash[1]);
    buf_appendf(&out->text, "seed %llu: here hash %s of %llu events, there %s of %llu\n",
                (unsigned long long)p->run[0].seed, hash[0], (unsigned long long)a->events, hash[1],
                (unsigned long long)b->events);
    while (i < a->prefixes && i < b->prefixes && equal(a->prefix[i], b->prefix[i]))
        i++;
    err = name_event(p, i, &out->text);
    if (err)
        (void)snprintf(why, why_size, "cannot start a process: %s", strerror(errno));
    return err;
}

int sim_compare(uint64_t first, uint64_t last, const char *with, const char *overrides,
                struct mem mem, struct compare_result *out, char *why, size_t why_size)
{
    int err = 0;

    *out = (struct compare_result){0};
    buf_init(&out->text, mem);
    for (uint64_t seed = first; seed <= last && !err; seed++) {
        struct pair p = {
            .run = {{.program = AGAIN_SELF, .seed = seed, .overrides = overrides},
                    {.program = with, .seed = seed, .overrides = overrides, .disturbed = true}}};
        err = compare_seed(&p, out, why, why_size);
    }
    return err;
}

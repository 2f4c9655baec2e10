/*
 * The rules of the store core as a table of little scripts. Each step is one line:
 *
 *   T get K | T range B E [LIMIT] | T snap K | T snaprange B E   add to what T reads
 *   T read             read all of it in one snapshot
 *   T sees TEXT        the rows read: "k=v k=v", reads separated by "|", "+" where the limit cut
 *   T put K V | T del K | T delr B E                             add to what T writes
 *   T queue            queue the commit          T cancel    take it back
 *   T is STATUS        its outcome (error names; "none": not completed)
 *   T commit STATUS    queue, flush, is
 *   flush              flush the core
 *   watch W K T        watch K for changes after T's snapshot; watch W K = N: after version N
 *   unwatch W          W fired | W silent
 *   map MODE           the map is: ok, full (refuses puts), torn (a commit's outcome is unknown)
 *   restart            a new core on the same map
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#include "kelpie/error.h"
#include "store/core.h"
#include "store/heap_mem.h"
#include "store/omap_memory.h"
#include "store/store_limits.h"
#include "store/store_results.h"

#define TXNS 8
#define PARTS 16

struct script_txn {
    struct store_read reads[PARTS];
    struct store_write writes[PARTS];
    struct store_req req;
    struct key_range conflicts[STORE_READS_MAX];
    struct core_commit commit;
    int status; /* 1: not completed */
};

struct script_watch {
    struct core_watch core;
    int fired;
};

struct script {
    struct mem mem;
    struct omap_memory *memory;
    struct omap_ops ops;
    struct core *core;
    struct core_options options;
    const char *mode;
    struct script_txn txns[TXNS];
    struct script_watch watches[TXNS];
    char *text; /* the words of the steps live here */
    const char *name;
    const char *step;
};

static struct script *current;

static int faulty_put(void *ctx, struct bytes key, struct bytes value)
{
    if (!strcmp(current->mode, "full"))
        return KELPIE_E_STORE_FULL;
    return omap_memory_map(ctx).ops->put(ctx, key, value);
}

static int faulty_commit(void *ctx)
{
    int err = omap_memory_map(ctx).ops->batch_commit(ctx);
    return !strcmp(current->mode, "torn") ? KELPIE_E_UNKNOWN_RESULT : err;
}

static void script_open(struct script *s)
{
    struct omap map = omap_memory_map(s->memory);
    s->ops = *map.ops;
    s->ops.put = faulty_put;
    s->ops.batch_commit = faulty_commit;
    map.ops = &s->ops;
    assert_int_equal(core_new(s->mem, map, &s->options, &s->core), 0);
}

static void script_fail(const struct script *s, const char *what, const char *got)
{
    fail_msg("%s: at \"%s\": %s %s", s->name, s->step, what, got);
}

static void on_commit(struct core_commit *c, int status)
{
    struct script_txn *t = c->arg;
    t->status = status;
}

static void on_watch(struct core_watch *w)
{
    struct script_watch *sw = w->arg;
    sw->fired++;
}

static void script_free_txn(struct script *s, struct script_txn *t)
{
    mem_free(s->mem, t->req.results);
    memset(t, 0, sizeof(*t));
}

static void script_read(struct script *s, struct script_txn *t)
{
    struct results_builder b;
    results_builder_init(&b, s->mem);
    struct core_sink sink = results_builder_sink(&b);
    mem_free(s->mem, t->req.results);
    t->req.results = NULL;
    t->req.reads = t->reads;
    t->status = core_read(s->core, t->reads, t->req.read_count, &sink, &t->req.read_version);
    if (!t->status)
        t->req.results = results_builder_finish(&b);
    results_builder_deinit(&b);
}

static void script_sees(struct script *s, struct script_txn *t, const char *want)
{
    char got[512] = "";
    size_t at = 0;
    for (size_t i = 0; i < t->req.read_count; i++) {
        const struct store_result *r = &t->req.results[i];
        at += (size_t)snprintf(got + at, sizeof(got) - at, "%s", i ? "|" : "");
        for (size_t j = 0; j < r->count; j++)
            at += (size_t)snprintf(got + at, sizeof(got) - at, "%s%.*s=%.*s", j ? " " : "",
                                   (int)r->rows[j].key.len, (const char *)r->rows[j].key.data,
                                   (int)r->rows[j].value.len, (const char *)r->rows[j].value.data);
        if (r->more)
            at += (size_t)snprintf(got + at, sizeof(got) - at, "+");
    }
    if (strcmp(got, want) != 0)
        script_fail(s, "saw", got);
}

static void script_queue(struct script *s, struct script_txn *t)
{
    t->req.reads = t->reads;
    t->commit = (struct core_commit){
        .conflicts = t->conflicts,
        .conflict_count = core_conflicts(&t->req, t->conflicts),
        .writes = t->writes,
        .write_count = t->req.write_count,
        .read_version = t->req.read_version,
        .fn = on_commit,
        .arg = t,
    };
    t->status = 1;
    core_enqueue(s->core, &t->commit);
}

static void script_is(struct script *s, const struct script_txn *t, const char *want)
{
    const char *got = t->status == 1 ? "none" : kelpie_error_name(t->status);
    if (strcmp(got, want) != 0)
        script_fail(s, "it is", got);
}

/* "get K" and the like, without the transaction. */
static bool script_part(struct script_txn *t, char **w, int words)
{
    struct bytes a = bytes_of_str(words > 2 ? w[2] : "");
    struct bytes b = bytes_of_str(words > 3 ? w[3] : "");
    struct store_read *r = &t->reads[t->req.read_count];
    struct store_write *wr = &t->writes[t->req.write_count];
    bool snap = !strncmp(w[1], "snap", 4);
    if (!strcmp(w[1], "get") || !strcmp(w[1], "snap"))
        *r = (struct store_read){.key = a, .snapshot = snap};
    else if (!strcmp(w[1], "range") || !strcmp(w[1], "snaprange"))
        *r = (struct store_read){
            .key = a, .end = b, .limit = words > 4 ? (uint32_t)atoi(w[4]) : 0, .snapshot = snap};
    else if (!strcmp(w[1], "put"))
        *wr = (struct store_write){.kind = STORE_PUT, .key = a, .value = b};
    else if (!strcmp(w[1], "del"))
        *wr = (struct store_write){.kind = STORE_DELETE, .key = a};
    else if (!strcmp(w[1], "delr"))
        *wr = (struct store_write){.kind = STORE_DELETE_RANGE, .key = a, .value = b};
    else
        return false;
    if (w[1][0] == 'g' || w[1][0] == 'r' || w[1][0] == 's')
        t->req.read_count++;
    else
        t->req.write_count++;
    return true;
}

static void script_txn_step(struct script *s, struct script_txn *t, char **w, int words)
{
    if (!strcmp(w[1], "read")) {
        script_read(s, t);
    } else if (!strcmp(w[1], "sees")) {
        script_sees(s, t, strstr(s->step, "sees ") ? strstr(s->step, "sees ") + 5 : "");
    } else if (!strcmp(w[1], "queue")) {
        script_queue(s, t);
    } else if (!strcmp(w[1], "cancel")) {
        core_cancel(s->core, &t->commit);
    } else if (!strcmp(w[1], "is")) {
        script_is(s, t, w[2]);
    } else if (!strcmp(w[1], "commit")) {
        script_queue(s, t);
        script_is(s, t, "none");
        core_flush(s->core);
        script_is(s, t, w[2]);
    } else if (!strcmp(w[1], "fired") || !strcmp(w[1], "silent")) {
        const struct script_watch *sw = &s->watches[w[0][1] - '0'];
        if (sw->fired != !strcmp(w[1], "fired"))
            script_fail(s, "the watch is", sw->fired ? "fired" : "silent");
    } else if (!script_part(t, w, words)) {
        script_fail(s, "unknown step", w[1]);
    }
}

static void script_watch(struct script *s, char **w, int words)
{
    struct script_watch *sw = &s->watches[w[1][1] - '0'];
    core_unwatch(s->core, &sw->core);
    *sw = (struct script_watch){.fired = 0};
    sw->core = (struct core_watch){.key = bytes_of_str(w[2]), .fn = on_watch, .arg = sw};
    sw->core.since_version =
        words > 4 ? strtoull(w[4], NULL, 10) : s->txns[w[3][0] - 'A'].req.read_version;
    core_watch(s->core, &sw->core);
}

static void script_step(struct script *s, char *line)
{
    char *w[8];
    int words = 0;
    char *save = NULL;
    for (char *p = strtok_r(line, " ", &save); p && words < 8; p = strtok_r(NULL, " ", &save))
        w[words++] = p;
    if (words == 0)
        return;
    if (!strcmp(w[0], "flush")) {
        core_flush(s->core);
    } else if (!strcmp(w[0], "map")) {
        s->mode = w[1];
    } else if (!strcmp(w[0], "restart")) {
        for (int i = 0; i < TXNS; i++)
            core_unwatch(s->core, &s->watches[i].core);
        core_free(s->core);
        script_open(s);
    } else if (!strcmp(w[0], "watch")) {
        script_watch(s, w, words);
    } else if (!strcmp(w[0], "unwatch")) {
        core_unwatch(s->core, &s->watches[w[1][1] - '0'].core);
    } else {
        script_txn_step(s, &s->txns[w[0][0] == 'W' ? 0 : w[0][0] - 'A'], w, words);
    }
}

static void script_run(const char *name, const char *steps, struct core_options options)
{
    struct script s = {.mem = test_mem(), .mode = "ok", .name = name, .options = options};
    current = &s;
    s.memory = omap_memory_new(s.mem, 0);
    script_open(&s);
    size_t size = strlen(steps) + 1;
    s.text = malloc(size);
    char *shown = malloc(size);
    memcpy(s.text, steps, size);
    memcpy(shown, steps, size);
    for (char *p = s.text; p;) {
        char *end = strchr(p, '\n');
        char *show = shown + (p - s.text);
        if (end) {
            *end = '\0';
            shown[end - s.text] = '\0';
        }
        s.step = show + strspn(show, " ");
        script_step(&s, p);
        p = end ? end + 1 : NULL;
    }
    for (int i = 0; i < TXNS; i++)
        script_free_txn(&s, &s.txns[i]);
    core_free(s.core);
    omap_memory_free(s.memory);
    free(s.text);
    free(shown);
    assert_int_equal(test_mem_used(), 0);
}

static const struct {
    const char *name;
    const char *steps;
} rules[] = {
    {"what is committed is read", "A put k 1\nA commit ok\nB get k\nB read\nB sees k=1"},
    {"a missing row is no row", "A get k\nA read\nA sees "},
    {"nothing is seen before the flush",
     "A put k 1\nA queue\nB get k\nB read\nB sees \nflush\nA is ok\nB read\nB sees k=1"},
    {"a deleted row is gone",
     "A put k 1\nA commit ok\nB del k\nB commit ok\nC get k\nC read\nC sees "},
    {"deleting what is not there is fine", "A del k\nA commit ok"},
    {"writes of one commit apply in order",
     "A put k 1\nA del k\nA put k 2\nA put l 1\nA delr l m\nA commit ok\n"
     "B range a z\nB read\nB sees k=2"},
    {"a range is sorted and half open", "A put b 1\nA put a 1\nA put d 1\nA put c 1\nA commit ok\n"
                                        "B range a d\nB read\nB sees a=1 b=1 c=1"},
    {"a limit cuts and says so",
     "A put a 1\nA put b 1\nA put c 1\nA commit ok\n"
     "B range a z 2\nB range a z 4\nB range a z 3\nB read\nB sees a=1 b=1+|a=1 b=1 c=1|a=1 b=1 c=1+"},
    {"all reads of a transaction are one snapshot",
     "A put a 1\nA put b 1\nA commit ok\nB get a\nB get b\nB read\nB sees a=1|b=1"},

    {"a changed row conflicts",
     "A get k\nA read\nB put k 1\nB commit ok\nA put x 1\nA commit conflict\n"
     "C get x\nC read\nC sees "},
    {"a row that came to be conflicts",
     "A get k\nA read\nB put k 1\nB commit ok\nA put k 2\nA commit conflict"},
    {"a deleted row conflicts",
     "C put k 1\nC commit ok\nA get k\nA read\nB del k\nB commit ok\nA put x 1\nA commit conflict"},
    {"another row does not", "A get k\nA read\nB put l 1\nB commit ok\nA put k 1\nA commit ok"},
    {"a snapshot read does not",
     "A snap k\nA read\nB put k 1\nB commit ok\nA put x 1\nA commit ok"},
    {"a blind write does not",
     "A get k\nA read\nA put k 1\nB put k 2\nB commit ok\nC put k 3\nC commit ok\nA commit conflict"},
    {"one's own commit conflicts when it is sent again",
     "A get k\nA read\nA put k 1\nA commit ok\nA commit conflict"},
    {"the loser reads again and passes",
     "A get k\nA read\nB put k 1\nB commit ok\nA put k 2\nA commit conflict\nA read\nA commit ok"},
    {"lost update: of two in one batch the second fails",
     "A get k\nA read\nB get k\nB read\nA put k 1\nB put k 2\nA queue\nB queue\nflush\n"
     "A is ok\nB is conflict"},
    {"write skew: of two in one batch the second fails",
     "A get a\nA get b\nA read\nB get a\nB get b\nB read\nA put a 1\nB put b 1\n"
     "A queue\nB queue\nflush\nA is ok\nB is conflict"},
    {"phantom: a row inside a range that was read",
     "A range a m\nA read\nB put c 1\nB commit ok\nA put x 1\nA commit conflict"},
    {"a row at the end of the range is outside",
     "A range a m\nA read\nB put m 1\nB commit ok\nA put x 1\nA commit ok"},
    {"a row at the beginning of the range is inside",
     "A range a m\nA read\nB put a 1\nB commit ok\nA put x 1\nA commit conflict"},
    {"a limit cuts the conflict too: beyond is free",
     "C put a 1\nC put b 1\nC put c 1\nC commit ok\n"
     "A range a z 2\nA read\nB put c 2\nB commit ok\nA put x 1\nA commit ok"},
    {"the last row read is still inside",
     "C put a 1\nC put b 1\nC put c 1\nC commit ok\n"
     "A range a z 2\nA read\nB put b 2\nB commit ok\nA put x 1\nA commit conflict"},
    {"a limit that cut nothing leaves the whole range",
     "C put a 1\nC commit ok\n"
     "A range a z 2\nA read\nB put c 2\nB commit ok\nA put x 1\nA commit conflict"},
    {"a range deletion conflicts with a row in it, there or not",
     "A get k\nA read\nB delr a z\nB commit ok\nA put x 1\nA commit conflict"},
    {"a range deletion conflicts with a range that it meets",
     "A range a f\nA read\nB delr e z\nB commit ok\nA put x 1\nA commit conflict"},
    {"a range deletion does not reach its end",
     "A get z\nA range z zz\nA read\nB delr a z\nB commit ok\nA put x 1\nA commit ok"},
    {"an empty range deletion does nothing",
     "A put k 1\nA commit ok\nB delr z a\nB commit ok\nC get k\nC read\nC sees k=1"},
    {"a commit without writes validates only",
     "A get k\nA read\nA commit ok\nB put k 1\nB commit ok\nA commit conflict"},
    {"a blind write needs no version", "A put k 1\nA commit ok\nB put k 2\nB commit ok"},

    {"a cancelled commit leaves no trace",
     "A put k 1\nA queue\nA cancel\nflush\nA is none\nB get k\nB read\nB sees "},
    {"cancelling twice is harmless", "A put k 1\nA queue\nA cancel\nA cancel\nflush\nA is none"},

    {"a full disk fails its batch and nothing else",
     "A put k 1\nA commit ok\nmap full\nB put k 2\nB queue\nC put l 2\nC queue\nflush\n"
     "B is store_full\nC is store_full\nmap ok\nD get k\nD range l m\nD read\nD sees k=1|\n"
     "E put k 3\nE commit ok"},
    {"what failed on a full disk conflicts with nothing",
     "A get k\nA read\nmap full\nB put k 1\nB commit store_full\nmap ok\nA put x 1\nA commit ok"},
    {"what failed on a full disk fires no watch",
     "A get k\nA read\nwatch W0 k A\nmap full\nB put k 1\nB commit store_full\nW0 silent\n"
     "map ok\nB commit ok\nW0 fired"},
    {"deleting still works on a full disk",
     "A put k 1\nA commit ok\nmap full\nB del k\nB commit ok\nC get k\nC read\nC sees "},
    {"an unknown outcome ends the core",
     "A put k 1\nmap torn\nA commit unknown_result\nmap ok\nB put l 1\nB commit store_unavailable\n"
     "C get k\nC read\nC is store_unavailable\nrestart\nC read\nC sees k=1"},

    {"a new core does not know what was read before it",
     "A put k 1\nA commit ok\nB get k\nB read\nrestart\nB put k 2\nB commit too_old\n"
     "B read\nB sees k=1\nB commit ok"},
    {"unless nothing was ever committed", "B get k\nB read\nrestart\nB put k 2\nB commit ok"},
    {"versions grow over restarts",
     "A put k 1\nA commit ok\nrestart\nB get k\nB read\nC put k 2\nC commit ok\nrestart\n"
     "B put k 3\nB commit too_old"},
    {"a failed first batch reserves nothing wrongly",
     "A put k 1\nA commit ok\nrestart\nB get k\nB read\nmap full\nC put k 2\nC commit store_full\n"
     "map ok\nrestart\nB put k 3\nB commit ok"},

    {"a watch fires on a change",
     "A get k\nA read\nwatch W0 k A\nflush\nW0 silent\nB put k 1\nB commit ok\nW0 fired"},
    {"not on another row", "A get k\nA read\nwatch W0 k A\nB put l 1\nB commit ok\nW0 silent"},
    {"a watch fires on a deletion",
     "A get k\nA read\nwatch W0 k A\nB del k\nB commit ok\nW0 fired"},
    {"a watch fires on a range deletion",
     "A get k\nA read\nwatch W0 k A\nwatch W1 z A\nB delr a z\nB commit ok\nW0 fired\nW1 silent"},
    {"a watch set too late fires at once",
     "A get k\nA read\nB put k 1\nB commit ok\nwatch W0 k A\nW0 silent\nflush\nW0 fired"},
    {"a watch set after a newer read waits",
     "B put k 1\nB commit ok\nA get k\nA read\nwatch W0 k A\nflush\nW0 silent"},
    {"a watch with a version from before a restart fires",
     "B put k 1\nB commit ok\nA get k\nA read\nrestart\nwatch W0 k A\nflush\nW0 fired"},
    {"a watch with a version from the future fires", "watch W0 k = 99999\nflush\nW0 fired"},
    {"a conflict fires no watch",
     "A get k\nA read\nwatch W0 k A\nB put k 1\nB commit ok\nwatch W1 l A\n"
     "A put l 1\nA commit conflict\nW1 silent"},
    {"several watches on one key",
     "A get k\nA read\nwatch W0 k A\nwatch W1 k A\nunwatch W0\nB put k 1\nB commit ok\n"
     "W0 silent\nW1 fired"},
    {"a due watch can be taken back",
     "A get k\nA read\nB put k 1\nB commit ok\nwatch W0 k A\nunwatch W0\nflush\nW0 silent"},
};

static void test_rules(void **state)
{
    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(rules); i++)
        script_run(rules[i].name, rules[i].steps, (struct core_options){.recent_max = 0});
}

/* The window of recent writes is bounded: who read before it is too old, never wrong. */
static void test_window(void **state)
{
    (void)state;
    const struct core_options small = {.recent_max = 2};
    script_run(
        "in the window",
        "A get k\nA read\nB put a 1\nB commit ok\nC put b 1\nC commit ok\nA put x 1\nA commit ok",
        small);
    script_run("out of the window",
               "A get k\nA read\nB put a 1\nB put b 1\nB commit ok\nC put c 1\nC commit ok\n"
               "A put x 1\nA commit too_old\nA read\nA commit ok",
               small);
    script_run("a row written again and again takes one place",
               "A get k\nA read\nB put a 1\nB commit ok\nB commit ok\nB commit ok\nB commit ok\n"
               "A put x 1\nA commit ok",
               small);
    script_run(
        "a watch older than the window fires",
        "A get k\nA read\nB put a 1\nB put b 1\nB put c 1\nB commit ok\nwatch W0 k A\nflush\n"
        "W0 fired",
        small);
    script_run("too many watches fire",
               "A get k\nA read\nwatch W0 k A\nwatch W1 k A\nflush\nW0 silent\nW1 fired",
               (struct core_options){.watches_max = 1});
    script_run(
        "more commits than one batch takes",
        "A get a\nA read\nA put a 1\nA queue\nB put b 1\nB queue\nC get a\nC get b\nC put c 1\n"
        "C queue\nD get a\nD queue\nflush\nA is ok\nB is ok\nC is too_old\nD is too_old",
        (struct core_options){.batch_max = 1});
}

static void count_commit(struct core_commit *c, int status)
{
    (void)status;
    int *count = c->arg;
    ++*count;
}

static void test_bounds(void **state)
{
    (void)state;
    static uint8_t data[STORE_VALUE_MAX + 1];
    struct bytes key = bytes_of(data, STORE_KEY_MAX), value = bytes_of(data, STORE_VALUE_MAX);
    struct store_write w[STORE_WRITES_MAX + 1];
    for (size_t i = 0; i < ARRAY_LEN(w); i++)
        w[i] = (struct store_write){.kind = STORE_PUT, .key = bytes_of(data, 1)};
    assert_int_equal(store_check_writes(w, STORE_WRITES_MAX), 0);
    assert_int_equal(store_check_writes(w, STORE_WRITES_MAX + 1), KELPIE_E_LIMIT);
    w[0].key = key;
    w[0].value = value;
    assert_int_equal(store_check_writes(w, 1), 0);
    w[0].key.len++;
    assert_int_equal(store_check_writes(w, 1), KELPIE_E_LIMIT);
    w[0].key = key;
    w[0].value.len++;
    assert_int_equal(store_check_writes(w, 1), KELPIE_E_LIMIT);
    w[0].value = value;
    w[0].key.len = 0;
    assert_int_equal(store_check_writes(w, 1), KELPIE_E_LIMIT);
    size_t fit = STORE_WRITE_BYTES_MAX / (STORE_KEY_MAX + STORE_VALUE_MAX);
    for (size_t i = 0; i <= fit; i++)
        w[i] = (struct store_write){.kind = STORE_PUT, .key = key, .value = value};
    assert_int_equal(store_check_writes(w, fit), 0);
    assert_int_equal(store_check_writes(w, fit + 1), KELPIE_E_LIMIT);
    struct store_read r = {.key = key, .end = bytes_of(data, STORE_KEY_MAX + 1)};
    assert_int_equal(store_check_reads(&r, 1), 0);
    r.end.len++;
    assert_int_equal(store_check_reads(&r, 1), KELPIE_E_LIMIT);
    r.end.len = 0;
    assert_int_equal(store_check_reads(&r, 1), 0);
    r.key.len++;
    assert_int_equal(store_check_reads(&r, 1), KELPIE_E_LIMIT);
    r.key.len = 0;
    assert_int_equal(store_check_reads(&r, 1), KELPIE_E_LIMIT);
}

/* A queue over its bound completes with LIMIT, each exactly once. */
static void test_queue_bound(void **state)
{
    (void)state;
    struct mem mem = test_mem();
    struct omap_memory *memory = omap_memory_new(mem, 0);
    struct core *core;
    assert_int_equal(core_new(mem, omap_memory_map(memory), NULL, &core), 0);
    size_t n = CORE_QUEUE_MAX + 10;
    struct core_commit *commits = calloc(n, sizeof(*commits));
    const struct store_write w = {.kind = STORE_PUT, .key = bytes_of_str("k")};
    int count = 0;
    for (size_t i = 0; i < n; i++) {
        commits[i] =
            (struct core_commit){.writes = &w, .write_count = 1, .fn = count_commit, .arg = &count};
        core_enqueue(core, &commits[i]);
    }
    assert_int_equal(core_flush(core), n);
    assert_int_equal(count, n);
    for (size_t i = 0; i < n; i++)
        assert_int_equal(commits[i].status, i < CORE_QUEUE_MAX ? 0 : KELPIE_E_LIMIT);
    free(commits);
    core_free(core);
    omap_memory_free(memory);
    assert_int_equal(test_mem_used(), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_rules),
        cmocka_unit_test(test_window),
        cmocka_unit_test(test_bounds),
        cmocka_unit_test(test_queue_bound),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

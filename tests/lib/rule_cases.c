#include "lib/rule_cases.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#include "base/crc32c.h"
#include "base/tuple.h"
#include "kelpie/error.h"
#include "record/keys.h"

static void run(struct rig *r, const struct rule_case *c, rule_start_fn *start)
{
    start(r, c);
    assert_false(r->done);
    rig_run(r);
    assert_int_equal(r->completions, 1);
}

static void fail_case(const struct rule_case *c, const char *what, const char *got)
{
    print_error("case \"%s\": %s: got \"%s\", expected \"%s\"\n", c->name, what, got, c->expect);
    fail();
}

static void check_outcome(struct rig *r, const struct rule_case *c)
{
    char text[RIG_TEXT_MAX];
    if (r->status != c->status)
        fail_case(c, "status", r->status ? kelpie_error_name(r->status) : "ok");
    (void)rig_written(r, text);
    if (c->status == 0 && strcmp(text, c->expect) != 0)
        fail_case(c, "written", text);
    if (c->status && text[0])
        fail_case(c, "written though refused", text);
    if (c->status && !strstr(r->reason, c->expect))
        fail_case(c, "reason", r->reason);
    if (c->status == 0 && r->committed != (c->expect[0] != '\0'))
        fail_case(c, "committed", r->committed ? "yes" : "no");
}

static void run_plain(const struct rule_case *c, rule_start_fn *start, char all[RIG_TEXT_MAX])
{
    struct rig r;
    rig_init(&r);
    rig_scene(&r, c->scene);
    run(&r, c, start);
    check_outcome(&r, c);
    (void)rig_all(&r, all);
    rig_free(&r);
}

static void run_with_fate(const struct rule_case *c, rule_start_fn *start, const char *all,
                          enum rig_fate fate, bool rewrites)
{
    const enum rig_fate fates[] = {fate, RIG_OK};
    bool happened = fate == RIG_UNKNOWN_DONE || fate == RIG_SILENT_DONE;
    char text[RIG_TEXT_MAX];
    struct rig r;
    rig_init(&r);
    rig_scene(&r, c->scene);
    r.commit_fates = fates;
    run(&r, c, start);
    (void)rig_all(&r, text);
    if (r.status != 0)
        fail_case(c, "status after a first attempt", kelpie_error_name(r.status));
    if (!rewrites && strcmp(text, all) != 0)
        fail_case(c, "rows after a second attempt", text);
    assert_int_equal(r.commits, happened && !rewrites ? 1 : 2);
    rig_free(&r);
}

static void flip_value(struct rig_row *row)
{
    row->value[row->len / 2] ^= 0x10;
}

/* The same record with a version that nobody knows and a right checksum. */
static void newer_value(struct rig *r, struct rig_row *row)
{
    struct buf scratch, body;
    struct bytes key = key_bytes(&row->key);
    buf_init(&scratch, r->env.mem);
    buf_init(&body, r->env.mem);
    struct tuple_reader elements = tuple_reader_of(bytes_of(row->value, row->len), &scratch);
    struct tuple_item element;
    size_t end = 0; /* of what is before the last element, the checksum */
    while (elements.rest.len > 0) {
        end = row->len - elements.rest.len;
        assert_true(tuple_next(&elements, &element));
    }
    buf_append(&body, row->value, end);
    assert_true(body.data[1] <= RECORD_VERSION);
    body.data[1] = RECORD_VERSION + 1;
    tuple_pack_uint(&body, crc32c_extend(crc32c(key), buf_bytes(&body)));
    rig_put(r, row->key, buf_bytes(&body));
    buf_deinit(&body);
    buf_deinit(&scratch);
}

/* A heartbeat or a probe: its owner writes it anew, and others know its bytes again. */
static bool is_own_signs(const struct rig_row *row)
{
    struct key_parts parts;
    struct keyspace ks;
    assert_int_equal(keyspace_init(&ks, "kelpie"), 0);
    return key_parse(&ks, key_bytes(&row->key), &parts) == 0 &&
           (parts.family == KEY_HEARTBEAT || parts.family == KEY_PROBE ||
            parts.family == KEY_TYPES);
}

static bool run_damaged(const struct rule_case *c, rule_start_fn *start, size_t row, bool newer)
{
    int expected = newer ? KELPIE_E_STORE_NEWER : KELPIE_E_STORE_CORRUPT;
    char text[RIG_TEXT_MAX];
    struct rig r;
    bool found;
    rig_init(&r);
    rig_scene(&r, c->scene);
    bool signs = is_own_signs(&r.rows[row]);
    if (newer)
        newer_value(&r, &r.rows[row]);
    else
        flip_value(&r.rows[row]);
    run(&r, c, start);
    found = r.status == expected;
    if (!found && !newer && signs) {
        /* What was refused is not done for it, but that the owner writes it anew; what was done may
         * wait for that. */
        bool alone = !strchr(rig_written(&r, text), ' ') && strpbrk(text, "~:");
        if (c->status && !alone)
            assert_int_equal(r.status, c->status);
    } else if (found) {
        assert_string_equal(rig_written(&r, text), "");
        assert_non_null(strstr(r.reason, "the record at (\"kelpie\""));
    } else {
        check_outcome(&r, c);
    }
    rig_free(&r);
    return found;
}

size_t rule_corruption_found(const struct rule_case *c, rule_start_fn *start)
{
    size_t found = 0, rows;
    struct rig r;
    rig_init(&r);
    rig_scene(&r, c->scene);
    rows = r.row_count;
    for (size_t i = 0; i < rows; i++) {
        bool corrupt = run_damaged(c, start, i, false), newer = run_damaged(c, start, i, true);
        assert_true(corrupt == newer || is_own_signs(&r.rows[i]));
        found += newer;
    }
    rig_free(&r);
    return found;
}

void rule_cases_run(const struct rule_case *cases, size_t count, rule_start_fn *start,
                    bool rewrites)
{
    static const enum rig_fate fates[] = {RIG_CONFLICT,    RIG_TOO_OLD,     RIG_UNKNOWN_NOT,
                                          RIG_UNAVAILABLE, RIG_SILENT,      RIG_FULL,
                                          RIG_SILENT_DONE, RIG_UNKNOWN_DONE};
    for (size_t i = 0; i < count; i++) {
        const struct rule_case *c = &cases[i];
        char all[RIG_TEXT_MAX];
        run_plain(c, start, all);
        for (size_t k = 0; c->status == 0 && c->expect[0] && k < ARRAY_LEN(fates); k++)
            run_with_fate(c, start, all, fates[k], rewrites);
        if (c->status == 0 || c->status == KELPIE_E_REFUSED)
            (void)rule_corruption_found(c, start);
    }
}

static const char *touched; /* by the hook below; tests run one at a time */

static void touch_now(struct rig *r)
{
    rig_touch(r, touched);
}

static unsigned commits_when_touched(const struct rule_case *c, rule_start_fn *start,
                                     const char *name)
{
    struct rig r;
    rig_init(&r);
    rig_scene(&r, c->scene);
    touched = name;
    r.before_commit = touch_now;
    run(&r, c, start);
    assert_int_equal(r.status, 0);
    unsigned commits = r.commits;
    rig_free(&r);
    return commits;
}

static void conflict_list(const struct rule_case *c, rule_start_fn *start, const char *names,
                          unsigned commits)
{
    char name[NODE_ID_MAX + 1];
    while (*names) {
        size_t len = strcspn(names, " ");
        (void)snprintf(name, sizeof(name), "%.*s", (int)len, names);
        if (commits_when_touched(c, start, name) != commits) {
            print_error("case \"%s\": row \"%s\" %s\n", c->name, name,
                        commits == 1 ? "conflicts" : "does not conflict");
            fail();
        }
        names += len;
        names += strspn(names, " ");
    }
}

void rule_conflicts(const struct rule_case *c, rule_start_fn *start, const char *with,
                    const char *without)
{
    conflict_list(c, start, with, 2);
    conflict_list(c, start, without, 1);
}

/* The checkers of calls between actors: when they speak, and when they must not. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include <cmocka.h>

#include "kelpie/error.h"
#include "sim/sim_rig.h"
#include "sim/workload/sim_chains_link.h"

struct fixture {
    struct rig r;
    struct chain *c;
};

static void begin(struct fixture *f, enum chain_kind kind, const char *path)
{
    struct sim_config config = rig_config();

    config.links = 4;
    rig_begin(&f->r, &config);
    f->r.w.chains = chains_new(&f->r.w);
    f->c = &f->r.w.chains->all[f->r.w.chains->count++];
    *f->c = (struct chain){.kind = kind, .unsure = 1};
    (void)snprintf(f->c->path, sizeof f->c->path, "%s", path);
}

static void end(struct fixture *f)
{
    chains_free(f->r.w.chains);
    f->r.w.chains = NULL;
    rig_end(&f->r);
}

/* What was just done breaks that; NULL: nothing. */
static void breaks(struct fixture *f, const char *check)
{
    struct world *w = &f->r.w;

    if (!check && w->violation_count > 0)
        fail_msg("%s: %s", w->violations[0].check, w->violations[0].text);
    if (check) {
        assert_int_equal(w->violation_count, 1);
        assert_string_equal(w->violations[0].check, check);
    }
    w->violation_count = 0;
    w->stop = false;
}

static void marks(struct fixture *f, const char *link, const char *times, const char *check)
{
    chains_row(&f->r.w, link, bytes_of_str("c00000"), bytes_of_str(times));
    breaks(f, check);
}

static void answers(struct fixture *f, int status, const char *reply, const char *check)
{
    (void)check_chain_answer(&f->r.w, f->c, false, status, bytes_of_str(reply));
    breaks(f, check);
}

static void test_a_path_from_its_end(void **state)
{
    struct fixture f;

    (void)state;
    begin(&f, CHAIN_WALK, "abc");
    answers(&f, 0, "abc", "ChainIsWhole");
    marks(&f, "c", "1", NULL);
    marks(&f, "a", "1", "ChainIsWhole");
    marks(&f, "b", "1", NULL);
    marks(&f, "d", "1", NULL); /* not of it */
    answers(&f, 0, "abc", NULL);
    answers(&f, 0, "abd", "RepliesInOrder");
    marks(&f, "c", "1", NULL); /* written as a whole */
    marks(&f, "c", "2", "AppliedOnce");
    end(&f);
}

static void test_a_fan(void **state)
{
    struct fixture f;

    (void)state;
    begin(&f, CHAIN_FAN, "abc");
    marks(&f, "b", "1", NULL);
    marks(&f, "a", "1", "ChainIsWhole");
    marks(&f, "c", "1", NULL);
    answers(&f, 0, "abc", NULL);
    end(&f);
}

static void test_a_path_that_comes_back(void **state)
{
    struct fixture f;

    (void)state;
    begin(&f, CHAIN_CYCLE, "aba");
    answers(&f, KELPIE_E_CALL_CYCLE, "", NULL);
    f.c->unsure = 1;
    answers(&f, 0, "aba", "ChainIsWhole");
    marks(&f, "a", "1", "ChainIsWhole");
    end(&f);
    begin(&f, CHAIN_WALK, "ab");
    answers(&f, KELPIE_E_CALL_CYCLE, "", "RepliesInOrder");
    end(&f);
}

static void test_what_attempts_are_told(void **state)
{
    struct fixture f;

    (void)state;
    begin(&f, CHAIN_WALK, "ab");
    answers(&f, KELPIE_E_TIMEOUT, "", NULL);
    marks(&f, "b", "1", NULL);
    marks(&f, "a", "1", "AppliedIsTrue");
    f.c->unsure = 1;
    answers(&f, KELPIE_E_UNAVAILABLE, "", "AppliedIsTrue");
    answers(&f, KELPIE_E_UNKNOWN_RESULT, "", NULL);
    answers(&f, KELPIE_E_REQUEST_ID_REUSED, "", "RepliesInOrder");
    end(&f);
}

static void test_what_was_before_the_store_was_set_back(void **state)
{
    struct fixture f;

    (void)state;
    begin(&f, CHAIN_WALK, "ab");
    chains_set_back(&f.r.w);
    marks(&f, "a", "2", NULL);
    answers(&f, 0, "x", NULL);
    end(&f);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_a_path_from_its_end),
        cmocka_unit_test(test_a_fan),
        cmocka_unit_test(test_a_path_that_comes_back),
        cmocka_unit_test(test_what_attempts_are_told),
        cmocka_unit_test(test_what_was_before_the_store_was_set_back),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}

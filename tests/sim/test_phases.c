#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "base/mark.h"
#include "sim/run/sim_run.h"

static void run(struct sim_result *out, const char *faults)
{
    struct sim_config c;
    char why[256];

    sim_config_draw(&c, 7);
    assert_int_equal(sim_faults_parse(faults, &c.faults, why, sizeof why), 0);
    c.duration_ms = 20000;
    assert_int_equal(sim_config_check(&c, why, sizeof why), 0);
    sim_run(&c, out);
    assert_int_equal(out->violation_count, 0);
}

/* A strike counts once for a phase; what lasts counts for as long; what is off counts nothing. */
static void test_pairs(void **state)
{
    static struct sim_result r;

    (void)state;
    run(&r, "crash,freeze");
    assert_true(r.faults[FAULT_CRASH] > 0 && r.faults[FAULT_FREEZE] > 0);
    for (unsigned p = 0; p < PHASE_COUNT; p++) {
        assert_true(r.pairs[FAULT_CRASH][p] <= r.faults[FAULT_CRASH]);
        assert_int_equal(r.pairs[FAULT_PARTITION][p], 0);
    }
    assert_true(r.pairs[FAULT_FREEZE][PHASE_VIEW] > r.faults[FAULT_FREEZE]);
    run(&r, "none");
    for (unsigned f = 0; f < FAULT_COUNT; f++)
        for (unsigned p = 0; p < PHASE_COUNT; p++)
            assert_int_equal(r.pairs[f][p], 0);
}

static bool passed(const struct sim_result *r, const char *name)
{
    for (size_t i = 0; i < marks_count(); i++)
        if (strcmp(mark_at(i)->name, name) == 0)
            return coverage_has_mark(&r->marks, i);
    fail_msg("there is no mark '%s'", name);
    return false;
}

/* Each run has its own marks. */
static void test_marks(void **state)
{
    static struct sim_result r;

    (void)state;
    if (marks_count() == 0)
        skip();
    run(&r, "crash,freeze");
    assert_true(passed(&r, "joined-as-founder") && passed(&r, "lease-lapsed"));
    run(&r, "none");
    assert_true(passed(&r, "joined-as-founder"));
    assert_false(passed(&r, "lease-lapsed"));
}

/* The table names marks that there are, each once, with its reason. */
static void test_rare(void **state)
{
    (void)state;
    if (marks_count() == 0)
        skip();
    for (size_t i = 0; sim_rare_mark(i); i++) {
        unsigned found = 0;
        for (size_t k = 0; k < marks_count(); k++)
            found += strcmp(mark_at(k)->name, sim_rare_mark(i)) == 0;
        if (found != 1)
            fail_msg("'%s' is %u marks", sim_rare_mark(i), found);
        assert_true(strlen(sim_mark_rare(sim_rare_mark(i))) > 10);
    }
    assert_null(sim_mark_rare("joined-as-founder"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_pairs),
        cmocka_unit_test(test_marks),
        cmocka_unit_test(test_rare),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}

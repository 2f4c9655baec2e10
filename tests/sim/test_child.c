/* A run in a process of its own says what it has to tell, or how it ended and why. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "bin/kelpie_sim/sim_child.h"

struct told {
    char blob[4000];
    int number;
};

static void tells(void *arg, int record)
{
    struct told t = {.number = *(int *)arg};
    (void)fprintf(stderr, "a word that nobody needs\n");
    sim_child_tell(record, &t, sizeof t);
}

static void breaks(void *arg, int record)
{
    (void)record;
    CHECK(*(int *)arg == 2);
}

static void babbles_and_breaks(void *arg, int record)
{
    for (int i = 0; i < 100000; i++)
        (void)fprintf(stderr, "line %d\n", i);
    breaks(arg, record);
}

static void ends(void *arg, int record)
{
    (void)record;
    _exit(*(int *)arg);
}

static bool take(void (*run)(void *, int), struct told *out, char why[256])
{
    struct sim_child c;
    int one = 1, status;

    assert_int_equal(sim_child_start(&c, run, &one), 0);
    while (waitpid(c.pid, &status, 0) < 0)
        assert_int_equal(errno, EINTR);
    return sim_child_take(&c, status, out, sizeof *out, why, 256);
}

static void test_tells(void **state)
{
    struct told t;
    char why[256];
    (void)state;
    assert_true(take(tells, &t, why));
    assert_int_equal(t.number, 1);
}

static void test_failed_check(void **state)
{
    struct told t;
    char why[256];
    (void)state;
    assert_false(take(breaks, &t, why));
    assert_non_null(strstr(why, "tests/sim/test_child.c:"));
    assert_non_null(strstr(why,
                           "check failed: *(int *)arg == 2; the simulator's process ended with "
                           "signal 6"));
    assert_true(why[0] != '.');
    assert_false(take(babbles_and_breaks, &t, why));
    assert_non_null(strstr(why, "check failed: *(int *)arg == 2; "));
}

static void test_ends_without_a_word(void **state)
{
    struct told t;
    char why[256];
    (void)state;
    assert_false(take(ends, &t, why));
    assert_string_equal(why, "the simulator's process ended with status 1");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_tells),
        cmocka_unit_test(test_failed_check),
        cmocka_unit_test(test_ends_without_a_word),
    };
    return cmocka_run_group_tests_name("child", tests, NULL, NULL);
}

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "base/mark.h"

static void pass(bool also_the_other)
{
    SOMETIMES("test-mark-passed");
    if (also_the_other)
        SOMETIMES("test-mark-not-passed");
}

static const struct mark *find(const char *name, unsigned *times)
{
    const struct mark *found = NULL;

    *times = 0;
    for (size_t i = 0; i < marks_count(); i++) {
        if (strcmp(mark_at(i)->name, name) != 0)
            continue;
        found = mark_at(i);
        ++*times;
    }
    return found;
}

/* What was linked is known before it is passed, and only what was passed says so. */
static void test_passing(void **state)
{
    const struct mark *passed, *other;
    unsigned times;

    (void)state;
    if (marks_count() == 0)
        skip();
    passed = find("test-mark-passed", &times);
    assert_int_equal(times, 1);
    other = find("test-mark-not-passed", &times);
    assert_int_equal(times, 1);
    marks_clear();
    assert_false(passed->passed);
    pass(false);
    assert_true(passed->passed);
    assert_false(other->passed);
    pass(true);
    assert_true(other->passed);
    marks_clear();
    assert_false(passed->passed || other->passed);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_passing)};

    return cmocka_run_group_tests(tests, NULL, NULL);
}

/* The wall clock by which messages are due: the median of what others' clocks say. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include <cmocka.h>

#include "actor/activation.h"

static void the_median_is_in_the_middle(void **state)
{
    static const struct {
        int64_t apart[4];
        size_t count;
        int64_t median;
    } cases[] = {
        {{0}, 1, 0},           {{0, 9}, 2, 0},           {{0, -9}, 2, -9},
        {{0, 9, 5}, 3, 5},     {{0, -9, -5}, 3, -5},     {{0, -9, 5}, 3, 0},
        {{0, 9, 5, 7}, 4, 5},  {{0, -9, -5, -7}, 4, -7}, {{0, 9, -5, 7}, 4, 0},
        {{7, 7, 0, -1}, 4, 0},
    };

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        int64_t apart[4];
        memcpy(apart, cases[i].apart, sizeof apart);
        assert_int_equal(wall_median(apart, cases[i].count), cases[i].median);
        for (size_t k = 1; k < cases[i].count; k++)
            assert_true(apart[k - 1] <= apart[k]);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(the_median_is_in_the_middle)};
    return cmocka_run_group_tests_name("wall", tests, NULL, NULL);
}

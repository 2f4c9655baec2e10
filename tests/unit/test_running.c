/* The page that says what runs: whole or not at all, and strings that end, whatever is written there. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "kelpie/kelpie.h"
#include "loop/running_page.h"
#include "record/keys.h"
#include "record/records.h"

_Static_assert(RUNNING_TYPE_SIZE == ACTOR_TYPE_MAX + 1, "a type");
_Static_assert(RUNNING_ID_SIZE == ACTOR_ID_MAX + 1, "an id");
_Static_assert(RUNNING_METHOD_SIZE == KELPIE_METHOD_MAX + 1, "a method");
_Static_assert(RUNNING_REQUEST_SIZE == REQUEST_ID_MAX + 1, "a request id");

static const struct running deposit = {.since_ns = 7,
                                       .callback = "receive",
                                       .type = "account",
                                       .id = "a/1",
                                       .method = "deposit",
                                       .request_id = "r-1"};

static void write_page(struct running_page *page, const struct running *what)
{
    struct running_told told = running_page_told(page);

    if (what)
        told.begin(told.ctx, what);
    else
        told.end(told.ctx);
}

static void test_says_what_runs_while_it_does(void **state)
{
    static struct running_page page;
    struct running seen;

    (void)state;
    assert_false(running_page_read(&page, &seen));
    write_page(&page, &deposit);
    assert_true(running_page_read(&page, &seen));
    assert_memory_equal(&seen, &deposit, sizeof seen);
    write_page(&page, NULL);
    assert_false(running_page_read(&page, &seen));
}

/* Its writer died in the middle. */
static void test_half_written_says_nothing(void **state)
{
    static struct running_page page;
    struct running seen;

    (void)state;
    write_page(&page, &deposit);
    page.changes++;
    assert_false(running_page_read(&page, &seen));
    write_page(&page, &deposit);
    assert_true(running_page_read(&page, &seen));
}

static void test_strings_end(void **state)
{
    static struct running_page page;
    struct running seen;

    (void)state;
    write_page(&page, &deposit);
    memset(&page.now, 'x', sizeof page.now);
    assert_true(running_page_read(&page, &seen));
    assert_int_equal(strlen(seen.callback), sizeof seen.callback - 1);
    assert_int_equal(strlen(seen.type), sizeof seen.type - 1);
    assert_int_equal(strlen(seen.id), sizeof seen.id - 1);
    assert_int_equal(strlen(seen.method), sizeof seen.method - 1);
    assert_int_equal(strlen(seen.request_id), sizeof seen.request_id - 1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_says_what_runs_while_it_does),
        cmocka_unit_test(test_half_written_says_nothing),
        cmocka_unit_test(test_strings_end),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

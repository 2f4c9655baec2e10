#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/buf.h"
#include "base/map.h"
#include "base/rng.h"
#include "support/test_dies.h"
#include "support/test_mem.h"

static void fail_check(void *arg)
{
    CHECK(arg == (void *)fail_check);
}

static void test_says_what_and_where(void **state)
{
    (void)state;
    char out[256];
    assert_true(test_dies_with(fail_check, NULL, out, sizeof(out)));
    assert_non_null(strstr(out, "test_check.c:"));
    assert_non_null(strstr(out, "check failed: arg == (void *)fail_check\n"));
}

static void long_check(void *arg)
{
    char expr[2000];
    (void)arg;
    memset(expr, 'e', sizeof(expr));
    expr[sizeof(expr) - 1] = '\0';
    check_failed(expr, "file.c", 7);
}

static void test_long_text_is_cut(void **state)
{
    (void)state;
    char out[4000];
    assert_true(test_dies_with(long_check, NULL, out, sizeof(out)));
    assert_int_equal(strncmp(out, "file.c:7: check failed: eee", 27), 0);
    assert_non_null(strstr(out, "e\n"));
}

static void pass_check(void *arg)
{
    CHECK(arg == NULL);
}

static void test_true_goes_on(void **state)
{
    (void)state;
    assert_false(test_dies(pass_check, NULL));
}

/* --- what the other parts assert --- */

static void overflow(void *arg)
{
    struct test_mem t = {0};
    (void)arg;
    mem_zalloc(test_mem(&t), SIZE_MAX / 2, 3);
}

static void consume_too_much(void *arg)
{
    struct test_mem t = {0};
    struct buf b;
    (void)arg;
    buf_init(&b, test_mem(&t));
    buf_append_u16(&b, 1);
    buf_consume(&b, 3);
}

static void append_itself(void *arg)
{
    struct test_mem t = {0};
    struct buf b;
    (void)arg;
    buf_init(&b, test_mem(&t));
    buf_append_u16(&b, 1);
    buf_append(&b, b.data + 1, 1);
}

static void over_the_bound(void *arg)
{
    struct test_mem t = {0};
    struct buf b;
    (void)arg;
    buf_init(&b, test_mem(&t));
    buf_append_u8(&b, 1);
    buf_reserve(&b, BUF_LEN_MAX);
}

static void remove_stranger(void *arg)
{
    struct map m;
    struct map_node in, out = {0};
    (void)arg;
    map_init(&m);
    if (!map_insert(&m, &in, bytes_of_str("a")))
        map_remove(&m, &out);
}

static void below_nothing(void *arg)
{
    struct rng r;
    (void)arg;
    rng_seed(&r, 1, 1);
    rng_below(&r, 0);
}

static void test_bugs_are_caught(void **state)
{
    (void)state;
    assert_true(test_dies(overflow, NULL));
    assert_true(test_dies(consume_too_much, NULL));
    assert_true(test_dies(append_itself, NULL));
    assert_true(test_dies(over_the_bound, NULL));
    assert_true(test_dies(remove_stranger, NULL));
    assert_true(test_dies(below_nothing, NULL));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_says_what_and_where),
        cmocka_unit_test(test_long_text_is_cut),
        cmocka_unit_test(test_true_goes_on),
        cmocka_unit_test(test_bugs_are_caught),
    };
    return cmocka_run_group_tests_name("check", tests, NULL, NULL);
}

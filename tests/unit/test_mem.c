#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <string.h>

#include "support/test_mem.h"

static void test_zeroed(void **state)
{
    (void)state;
    struct test_mem t = {0};
    struct mem mem = test_mem(&t);
    uint64_t *a = MEM_NEW_ARRAY(mem, uint64_t, 100);
    for (size_t i = 0; i < 100; i++)
        assert_int_equal(a[i], 0);
    mem_free(mem, a);
    assert_int_equal(t.held, 0);
}

static void test_size_zero(void **state)
{
    (void)state;
    struct test_mem t = {0};
    struct mem mem = test_mem(&t);
    void *all[] = {mem_alloc(mem, 0), mem_zalloc(mem, 0, 8), mem_zalloc(mem, 8, 0),
                   mem_dup(mem, NULL, 0), mem_resize(mem, NULL, 0)};
    for (size_t i = 0; i < ARRAY_LEN(all); i++)
        assert_non_null(all[i]);
    assert_int_equal(t.held, ARRAY_LEN(all));
    for (size_t i = 0; i < ARRAY_LEN(all); i++)
        mem_free(mem, all[i]);
    assert_int_equal(t.held, 0);
}

static void test_copies(void **state)
{
    (void)state;
    struct test_mem t = {0};
    struct mem mem = test_mem(&t);
    char *s = mem_strndup(mem, "kelpie-node", 6);
    assert_string_equal(s, "kelpie");
    s = mem_resize(mem, s, 1000);
    assert_string_equal(s, "kelpie");
    char *empty = mem_strndup(mem, NULL, 0);
    assert_string_equal(empty, "");
    uint8_t *d = mem_dup(mem, "a\0b", 3);
    assert_memory_equal(d, "a\0b", 3);
    mem_free(mem, s);
    mem_free(mem, empty);
    mem_free(mem, d);
    mem_free(mem, NULL);
    assert_int_equal(t.held, 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_zeroed),
        cmocka_unit_test(test_size_zero),
        cmocka_unit_test(test_copies),
    };
    return cmocka_run_group_tests_name("mem", tests, NULL, NULL);
}

/* The times of the protocol: their bounds, each with its sentence, and the window. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#include "cluster/timing.h"
#include "env/clock.h"
#include "kelpie/error.h"

/* lease, heartbeat, rpc time-out, forget after, drain deadline, quarantine; NULL: allowed. */
static const struct {
    struct timing t;
    const char *why;
} rows[] = {
    {{2000, 300, 500, 3600000, 30000, 60000, 64}, NULL},
    {{10000, 1000, 500, 3600000, 30000, 60000, 64}, NULL},
    {{30, 10, 30, 30, 30, 60000, 64}, NULL},
    {{600000, 200000, 600000, 600000, 600000, 60000, 64}, NULL},
    {{2000, 666, 500, 3600000, 30000, 60000, 64}, NULL},
    {{2000, 667, 500, 3600000, 30000, 60000, 64},
     "heartbeat-ms is 667, but it must be at most a third of lease-ms"},
    {{2000, 9, 500, 3600000, 30000, 60000, 64}, "heartbeat-ms is 9, but it must be at least 10"},
    {{2000, 0, 500, 3600000, 30000, 60000, 64}, "heartbeat-ms is 0, but it must be at least 10"},
    {{600001, 300, 500, 3600000, 30000, 60000, 64},
     "lease-ms is 600001, but it must be at most 600000"},
    {{UINT32_MAX, 300, 500, UINT32_MAX, UINT32_MAX, 60000, 64},
     "lease-ms is 4294967295, but it must be at most 600000"},
    {{0, 300, 500, 3600000, 30000, 60000, 64},
     "heartbeat-ms is 300, but it must be at most a third of lease-ms"},
    {{2000, 300, 0, 3600000, 30000, 60000, 64},
     "rpc-timeout-ms is 0, but it must be between 1 and lease-ms"},
    {{2000, 300, 2001, 3600000, 30000, 60000, 64},
     "rpc-timeout-ms is 2001, but it must be between 1 and lease-ms"},
    {{2000, 300, 500, 1999, 30000, 60000, 64},
     "forget-after-ms is 1999, but it must be at least lease-ms"},
    {{2000, 300, 500, 3600000, 1999, 60000, 64},
     "drain-deadline-ms is 1999, but it must be at least lease-ms"},
    {{2000, 300, 500, 3600000, 30000, 0, 64}, "quarantine-ms is 0, but it must be at least 1"},
};

static void bounds(void **state)
{
    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        char why[200] = "";
        assert_int_equal(timing_check(&rows[i].t, why, sizeof(why)),
                         rows[i].why ? KELPIE_E_INVALID : 0);
        assert_string_equal(why, rows[i].why ? rows[i].why : "");
    }
}

static void defaults_are_allowed(void **state)
{
    struct timing t = timing_default();
    char why[200];
    (void)state;
    assert_int_equal(timing_check(&t, why, sizeof(why)), 0);
    assert_int_equal(t.lease_ms, 2000);
    assert_int_equal(t.heartbeat_ms, 300);
    assert_int_equal(timing_lease_ns(&t), 2000 * NS_PER_MS);
    assert_int_equal(timing_window_ns(&t), 2120 * NS_PER_MS);
}

static void windows(void **state)
{
    static const struct {
        uint32_t lease_ms;
        uint64_t window_us;
    } table[] = {{30, 130300}, {2000, 2120000}, {10000, 10200000}, {600000, 606100000}};
    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(table); i++)
        assert_int_equal(window_of_lease_ns(table[i].lease_ms), table[i].window_us * 1000);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(bounds),
        cmocka_unit_test(defaults_are_allowed),
        cmocka_unit_test(windows),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

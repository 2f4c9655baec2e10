/* What a sweep begins first: the runs that take longest. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "sim/world/sim_config.h"

static void longer_runs_weigh_more(void **state)
{
    struct sim_config c, more;

    (void)state;
    for (uint64_t seed = 1; seed <= 50; seed++) {
        sim_config_draw(&c, seed);
        assert_true(sim_config_weight(&c) > 0);
        more = c;
        more.duration_ms *= 10;
        assert_true(sim_config_weight(&more) > 9 * sim_config_weight(&c));
        more = c;
        more.clients += 10;
        assert_true(sim_config_weight(&more) > sim_config_weight(&c));
        more = c;
        more.think_ms = 1;
        more.clients = SIM_CLIENTS_MAX;
        more.timing.heartbeat_ms = 1;
        assert_true(sim_config_weight(&more) > sim_config_weight(&c));
        more.actors = 0; /* nobody calls */
        assert_int_equal(sim_config_weight(&more), more.nodes * more.duration_ms);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(longer_runs_weigh_more),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}

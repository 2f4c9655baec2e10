#include "cluster/timing.h"

#include <stdio.h>

#include "env/clock.h"
#include "kelpie/error.h"

#define HEARTBEAT_MS_MIN 10
#define LEASE_MS_MAX 600000
#define HEARTBEATS_A_LEASE_MIN 3
#define LEFT_KEPT 64
#define QUARANTINE_MS (60 * 1000)

struct timing timing_default(void)
{
    return (struct timing){.lease_ms = 2000,
                           .heartbeat_ms = 300,
                           .rpc_timeout_ms = 500,
                           .forget_after_ms = 3600 * 1000,
                           .drain_deadline_ms = 30 * 1000,
                           .quarantine_ms = QUARANTINE_MS,
                           .left_kept = LEFT_KEPT};
}

struct timing timing_fdb(void)
{
    struct timing t = timing_default();

    t.lease_ms = 10000;
    t.heartbeat_ms = 1000;
    return t;
}

static int bad(char *why, size_t why_size, const char *option, uint32_t value, const char *bound)
{
    (void)snprintf(why, why_size, "%s is %u, but it must be %s", option, value, bound);
    return KELPIE_E_INVALID;
}

int timing_check(const struct timing *t, char *why, size_t why_size)
{
    if (t->heartbeat_ms < HEARTBEAT_MS_MIN)
        return bad(why, why_size, "heartbeat-ms", t->heartbeat_ms, "at least 10");
    if (t->lease_ms > LEASE_MS_MAX)
        return bad(why, why_size, "lease-ms", t->lease_ms, "at most 600000");
    if (t->heartbeat_ms > t->lease_ms / HEARTBEATS_A_LEASE_MIN)
        return bad(why, why_size, "heartbeat-ms", t->heartbeat_ms, "at most a third of lease-ms");
    if (t->rpc_timeout_ms == 0 || t->rpc_timeout_ms > t->lease_ms)
        return bad(why, why_size, "rpc-timeout-ms", t->rpc_timeout_ms, "between 1 and lease-ms");
    if (t->forget_after_ms < t->lease_ms)
        return bad(why, why_size, "forget-after-ms", t->forget_after_ms, "at least lease-ms");
    if (t->drain_deadline_ms < t->lease_ms)
        return bad(why, why_size, "drain-deadline-ms", t->drain_deadline_ms, "at least lease-ms");
    if (t->quarantine_ms == 0)
        return bad(why, why_size, "quarantine-ms", t->quarantine_ms, "at least 1");
    return 0;
}

uint64_t timing_lease_ns(const struct timing *t)
{
    return t->lease_ms * NS_PER_MS;
}

uint64_t timing_window_ns(const struct timing *t)
{
    return window_of_lease_ns(t->lease_ms);
}

uint64_t window_of_lease_ns(uint32_t lease_ms)
{
    uint64_t lease_ns = lease_ms * NS_PER_MS;
    return lease_ns + lease_ns * DRIFT_PERCENT / 100 + WINDOW_MARGIN_MS * NS_PER_MS;
}

#include "env/cap.h"

void cap_reached(struct cap *cap, const struct env *env)
{
    uint64_t now = env_now_ns(env);

    cap->reached++;
    if (cap->told_ns && now - cap->told_ns < CAP_TELL_NS)
        return;
    cap->told_ns = now;
    if (cap->bound)
        log_warn(&env->log, "limit_reached", "limit=%s bound=%llu times=%llu", cap->name,
                 (unsigned long long)cap->bound, (unsigned long long)cap->reached);
    else
        log_warn(&env->log, "limit_reached", "limit=%s times=%llu", cap->name,
                 (unsigned long long)cap->reached);
}

/*
 * How old a request is, at most (docs/adr/0017-turns.md). Whoever holds it raises its age by the time
 * that it held it, by its own clock. What a connection between nodes holds is bounded by an echo: a
 * request carries what the receiver's clock said in the last answer that the sender had from it, and
 * it cannot have been sent before that. No clocks of two machines are compared.
 */
#include "actor/activation.h"
#include "base/mark.h"
#include "base/mutant.h"

uint64_t class_window_ms(const struct kelpie_class *class)
{
    return class->remember_ms ? class->remember_ms : REMEMBER_MS_DEFAULT;
}

uint64_t invocation_age_ms(const struct kelpie_actor *act, const struct invocation *inv)
{
    uint64_t held_ns = env_now_ns(act->actors->env) - inv->arrived_ns;
    uint64_t age = inv->age_ms;

    if (!MUTANT("mailboxage"))
        age += (held_ns + NS_PER_MS - 1) / NS_PER_MS;
    return inv->age_known ? age : age + class_window_ms(act->class);
}

struct peer_clock {
    struct map_node node; /* by boot id */
    struct uuid boot;
    uint64_t clock_ns;
};

static struct peer_clock *find(const struct actors *a, const struct uuid *boot)
{
    return MAP_ENTRY(map_find(&a->peer_clocks, bytes_of(boot->b, sizeof boot->b)),
                     struct peer_clock, node);
}

void peer_clocks_free(struct actors *a)
{
    struct map_node *n;

    while ((n = map_first(&a->peer_clocks))) {
        struct peer_clock *p = MAP_ENTRY(n, struct peer_clock, node);
        map_remove(&a->peer_clocks, n);
        mem_free(a->env->mem, p);
    }
}

void peer_clock_learn(struct actors *a, struct uuid boot, uint64_t clock_ns)
{
    struct peer_clock *p = find(a, &boot);

    if (!p) {
        /* Whoever is forgotten is asked once more. */
        if (a->peer_clocks.count >= PEER_CLOCKS_MAX)
            peer_clocks_free(a);
        p = MEM_NEW(a->env->mem, struct peer_clock);
        p->boot = boot;
        (void)map_insert(&a->peer_clocks, &p->node, bytes_of(p->boot.b, sizeof p->boot.b));
    }
    if (clock_ns > p->clock_ns)
        p->clock_ns = clock_ns;
}

uint64_t peer_clock(const struct actors *a, struct uuid boot)
{
    const struct peer_clock *p = find(a, &boot);

    return p ? p->clock_ns : 0;
}

#include "bare_load.h"

#include <string.h>

#define SPARE_S 30 /* the attack is ended before it ends by itself */

void bare_load_init(struct bare_load *l, struct bench_loop *b, const char *dir)
{
    l->server = bare_server_start(l->http, l->raw, dir);
    CHECK(l->server > 0);
    l->client = http_client_new(b->loop, b->mem, l->http);
    honest_init(&l->honest, b, &l->client, 1, HONEST_COUNTERS_MAX);
}

void bare_load_deinit(struct bare_load *l)
{
    attack_stop(l->server);
    http_client_free(l->client);
    honest_deinit(&l->honest);
}

bool bare_load_attack(struct bare_load *l, const struct attack *attack, bool is_raw,
                      unsigned settle_ms, unsigned ms)
{
    volatile struct attack_counts *counts = attack_counts_new();
    struct attack a = *attack;
    pid_t pid;

    CHECK(counts);
    memset(a.addrs, 0, sizeof a.addrs);
    a.addrs[0] = is_raw ? l->raw : l->http;
    pid = attack_start(&a, ms / 1000 + SPARE_S, counts);
    honest_start(&l->honest);
    (void)bench_sleep(l->honest.b, settle_ms);
    honest_measure(&l->honest, true);
    (void)bench_sleep(l->honest.b, ms);
    honest_measure(&l->honest, false);
    attack_stop(pid);
    return honest_stop(&l->honest);
}

/* The bare server of attack.h and its honest clients: what the nodes of bench/siege are measured beside. */
#ifndef KELPIE_BENCH_LIB_BARE_LOAD_H
#define KELPIE_BENCH_LIB_BARE_LOAD_H

#include "attack.h"
#include "honest.h"

struct bare_load {
    char http[NET_ADDR_SIZE], raw[NET_ADDR_SIZE];
    pid_t server;
    struct http_client *client;
    struct honest honest;
};

/* `dir` as for bare_server_start. Ends the program when there is no server. */
void bare_load_init(struct bare_load *l, struct bench_loop *b, const char *dir);
void bare_load_deinit(struct bare_load *l);
/* Attacks it, and takes down for `ms`, after `settle_ms`, what the honest ones are answered. `is_raw`: the
 * attack is for the listener that speaks no HTTP. False when they are not answered in the end. */
bool bare_load_attack(struct bare_load *l, const struct attack *attack, bool is_raw,
                      unsigned settle_ms, unsigned ms);

#endif

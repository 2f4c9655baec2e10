/* What attackers ask for over HTTP: each writes request `n` of connection `c` and returns its length. */
#ifndef KELPIE_BENCH_LIB_ATTACK_REQUESTS_H
#define KELPIE_BENCH_LIB_ATTACK_REQUESTS_H

#include "attack.h"

size_t ask_path(char *out, const char *path);
size_t ask_list(char *out, unsigned c, uint64_t n);
size_t ask_events(char *out, unsigned c, uint64_t n);
size_t ask_150_ms(char *out, unsigned c, uint64_t n);
size_t ask_6_ms(char *out, unsigned c, uint64_t n);
size_t ask_slow_end(char *out, unsigned c, uint64_t n);
size_t ask_nonsense(char *out, unsigned c, uint64_t n);
size_t ask_half(char *out, unsigned c, uint64_t n);
size_t ask_large(char *out, unsigned c, uint64_t n);

/* Sends it on a connection of its own, and waits: the status of the answer's first line; 0: none in time. */
int ask_status(const char *addr, const char *request, unsigned ms);

#endif

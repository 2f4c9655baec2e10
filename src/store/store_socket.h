/*
 * The client of an embedded store: a `struct store` that speaks to the store process of a directory
 * over its socket, starts that process when there is none, and kills it when it has been silent for
 * a lease.
 *
 * Nothing waits. One descriptor, the same for the life of the client, is readable whenever there is
 * something to do: the caller's loop then calls store_socket_ready(). (It is an epoll descriptor
 * with the socket and the pipe of a starting process in it.) Time comes from the timers of the env.
 * Requests of one turn of the loop go out in one system call.
 *
 * When the connection breaks, reads complete with STORE_UNAVAILABLE, commits that were sent with
 * UNKNOWN_RESULT, and watches fire. Reads asked for meanwhile wait for the next connection for up to
 * SOCKET_WAIT_MS; commits complete with STORE_UNAVAILABLE and watches fire, as their versions are of
 * the connection before. All on the loop's thread.
 */
#ifndef KELPIE_STORE_STORE_SOCKET_H
#define KELPIE_STORE_STORE_SOCKET_H

#include "base/log.h"
#include "env/clock.h"
#include "env/random.h"
#include "env/store.h"
#include "env/timer.h"

#define SOCKET_REQUESTS_MAX 65536          /* requests and watches under way; more: LIMIT, fired */
#define SOCKET_OUT_MAX (64u * 1024 * 1024) /* bytes not yet written; more: STORE_UNAVAILABLE */
#define SOCKET_READ_CHUNK (256u * 1024)
#define SOCKET_WAIT_MS 200
#define SOCKET_RETRY_MS_MIN 2
#define SOCKET_RETRY_MS_MAX 500
#define SOCKET_LEASE_MS 2000
#define SOCKET_PINGS_PER_LEASE 4

struct store_socket;

/* What it needs of the env; copied. */
struct store_socket_env {
    struct mem mem;
    struct clock clock;
    struct timers timers;
    struct random random;
    struct log log;
};

struct store_socket_options {
    const char *dir;            /* absolute, prepared (store_dir_prepare); copied */
    const char *executable;     /* what to start; NULL: /proc/self/exe; copied */
    bool knows_copies;          /* also connects to a store that is a copy: no node does */
    unsigned lease_ms;          /* silent for so long: killed; 0: SOCKET_LEASE_MS */
    unsigned idle_ms;           /* the process ends without clients; 0: its default */
    unsigned long long map_max; /* bound of the store's file; 0: its default */
    const char *node_id; /* for the log of the process; borrowed until it is closed; NULL: none */
    bool log_json;       /* how that log is written */
};

/* Returns 0, or KELPIE_E_IO with errno. Connects in the background. */
int store_socket_new(const struct store_socket_env *env, const struct store_socket_options *o,
                     struct store_socket **out) MUST_USE;
/* Completes what is under way (reads STORE_UNAVAILABLE, commits sent UNKNOWN_RESULT) and fires the
 * armed watches, all in this call; what these callbacks ask for is dropped. Then frees it. Not to
 * be called from a completion. */
void store_socket_free(struct store_socket *s);
/* The table for env->store; valid until store_socket_free. */
struct store store_socket_store(struct store_socket *s);

/* For the loop: call store_socket_ready(s) whenever the descriptor is readable. Completions run
 * inside it. */
int store_socket_fd(const struct store_socket *s);
void store_socket_ready(void *s);

/* Waits, without a loop, until it is connected; for a program that starts. Returns 0, or an error
 * with a sentence: what the store process said when it could not start, or that it took more than
 * `timeout_ms`. */
int store_socket_wait(struct store_socket *s, unsigned timeout_ms, char *error,
                      size_t error_size) MUST_USE;
bool store_socket_connected(const struct store_socket *s);
/* Why there is no connection, as a sentence; "" when there is one or nothing is known yet. */
const char *store_socket_problem(const struct store_socket *s);

/* How often, for metrics and tests. */
struct store_socket_stats {
    uint64_t connects;
    uint64_t starts;
    uint64_t kills;
};
struct store_socket_stats store_socket_stats(const struct store_socket *s);

#endif

/* TCP sockets as this project wants them: numeric addresses, non-blocking, close-on-exec, no
 * Nagle; and a listener that survives running out of descriptors. */
#ifndef KELPIE_LOOP_TCP_SOCKET_H
#define KELPIE_LOOP_TCP_SOCKET_H

#include "env/net.h"
#include "loop/loop.h"

struct event;
struct sockaddr;
struct tcp_listener;

/* A new connection: `fd` is the receiver's to close; `from` is where it came from. */
typedef void tcp_accept_fn(void *arg, int fd, const char *from);

/* Listens on `addr` ("127.0.0.1:7101", "[::1]:7101", "localhost:7101"; port 0: any). On failure
 * returns NULL with a sentence in `why` that names the address and the cause. */
struct tcp_listener *tcp_listen(struct loop *loop, struct mem mem, const char *addr,
                                tcp_accept_fn *fn, void *arg, char *why, size_t why_size);
/* On a descriptor that listens already, and which it takes over; `takes` (NULL: everybody) says of each connection
 * whether it is taken, or closed. `addr` is what tcp_listener_addr says. */
struct tcp_listener *tcp_listen_on(struct loop *loop, struct mem mem, int fd, const char *addr,
                                   bool (*takes)(int fd), tcp_accept_fn *fn, void *arg, char *why,
                                   size_t why_size);
/* `fn` runs with the listener's `arg` when the system has no descriptor (or memory) for a connection that
 * waits. True: it has given one back, and the connection is asked for again; else that is a little later. */
void tcp_listener_on_no_files(struct tcp_listener *l, bool (*fn)(void *arg));
/* Closes those connections that wait to be accepted, unread. */
void tcp_listener_drop_waiting(struct tcp_listener *l);
/* Accepts nothing for so long; what comes waits in the system's queue. */
void tcp_listener_rest(struct tcp_listener *l, uint64_t ns);
void tcp_listener_free(struct tcp_listener *l);
/* The address really listened on. */
const char *tcp_listener_addr(const struct tcp_listener *l);

/* A listening descriptor, close-on-exec and non-blocking, for whoever accepts himself; `bound` is the
 * address really listened on. -1 with a sentence in `why`. */
int tcp_listen_open(const char *addr, char bound[NET_ADDR_SIZE], char *why,
                    size_t why_size) MUST_USE;

/* Cuts "127.0.0.1:7101", "[::1]:7101" or "localhost:7101" into a numeric host (without brackets) and
 * a port. Returns 0 or KELPIE_E_INVALID. */
int tcp_addr_split(const char *addr, char host[NET_ADDR_SIZE], uint16_t *port) MUST_USE;
/* What tcp_connect sets on its sockets: no Nagle, and a bound on unacknowledged data. */
void tcp_set_outgoing(int fd);
/* Begins to connect. Returns a descriptor that becomes writable when it is connected or failed (ask
 * tcp_connect_result), or KELPIE_E_INVALID (no such address) or KELPIE_E_UNREACHABLE. */
int tcp_connect(const char *addr) MUST_USE;
/* 0 or KELPIE_E_UNREACHABLE. */
int tcp_connect_result(int fd) MUST_USE;

/* Outcome of a read or write that must not be confused with a length. */
#define TCP_AGAIN (-1)  /* nothing now */
#define TCP_CLOSED (-2) /* end of stream, or an error */

long tcp_read(int fd, void *to, size_t size) MUST_USE;
long tcp_write(int fd, const void *from, size_t len) MUST_USE;

#endif

/*
 * Serves a store core to the clients of one listening Unix socket. Part of the store process.
 *
 * A turn reads from every client that has sent something, answers reads, queues commits; then
 * flushes the core once, so all that came in one turn shares one sync; then writes all answers. No
 * client can hold up another: nothing here waits for one, what waits to be written to it is
 * bounded, and it is not read from while much is waiting.
 */
#ifndef KELPIE_STORE_STORE_SERVER_H
#define KELPIE_STORE_STORE_SERVER_H

#include "base/log.h"
#include "base/mem.h"
#include "store/core.h"

#define SERVER_CLIENTS_MAX 1024
#define SERVER_CLIENT_WATCHES_MAX 10000    /* one more fires at once */
#define SERVER_READ_CHUNK (256u * 1024)    /* read from a client in one turn */
#define SERVER_OUT_HIGH (1024u * 1024)     /* above it a client's requests wait */
#define SERVER_OUT_MAX (32u * 1024 * 1024) /* above it the client is dropped */
#define SERVER_HELLO_MS_MAX 5000           /* time to say hello */

struct store_server;

/* `listen_fd` (-1: none) and `core` are borrowed. Returns NULL with errno set. */
struct store_server *store_server_new(struct mem mem, const struct log *log, struct core *core,
                                      int listen_fd);
/* Drops all clients. */
void store_server_free(struct store_server *s);
/* Takes over a connected, non-blocking stream socket. */
void store_server_adopt(struct store_server *s, int fd);
/* Waits up to `timeout_ms` for something to do, and does it. Returns 0, or KELPIE_E_IO when the
 * system refuses to wait. */
int store_server_turn(struct store_server *s, int timeout_ms) MUST_USE;
/* Clients that have said hello. */
size_t store_server_clients(const struct store_server *s);

#endif

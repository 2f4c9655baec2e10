/*
 * The requests of one client that are under way at the store process: encoded on one side, answers
 * completed on the other. Knows nothing of sockets. Part of store_socket.
 */
#ifndef KELPIE_STORE_STORE_SESSION_H
#define KELPIE_STORE_STORE_SESSION_H

#include "base/buf.h"
#include "env/store.h"
#include "store/store_protocol.h"

struct session {
    struct mem mem;
    struct buf out; /* frames to be written */
    size_t out_at;  /* written so far */
    size_t request_max;
    size_t used; /* requests and watches under way */
    size_t out_max;
    bool up;      /* requests go out */
    bool closing; /* nothing new is taken */

    struct slot **chunks;
    size_t chunk_count;
    struct list free;
    struct list sent;     /* in order */
    struct list waiting;  /* reads, for the next connection */
    struct list deferred; /* complete at the next session_run_deferred */
};

void session_init(struct session *s, struct mem mem, size_t request_max, size_t out_max);
/* Everything must have been completed (session_close). */
void session_deinit(struct session *s);

/* The operations of env/store.h. `now_ns` is when a waiting read began to wait. */
void session_read(struct session *s, struct store_req *req, uint64_t now_ns);
void session_commit(struct session *s, struct store_req *req);
void session_cancel(struct session *s, struct store_req *req);
void session_watch(struct session *s, struct store_watch *w);
void session_unwatch(struct session *s, struct store_watch *w);

/* The connection is up: reads that waited go out. */
void session_up(struct session *s);
/* The connection is gone: what was sent completes, now. */
void session_down(struct session *s);
/* Completes the reads that have waited since `before_ns` or longer. Returns true and when the next
 * one began if there are more. */
bool session_expire(struct session *s, uint64_t before_ns, uint64_t *next_ns);
/* Completes what could not be sent at all. */
void session_run_deferred(struct session *s);
bool session_has_deferred(const struct session *s);
/* Takes nothing more, and completes everything. */
void session_close(struct session *s);
/* An answer: ROWS, COMMITTED, FIRED. Returns 0 or KELPIE_E_PROTOCOL. */
int session_answer(struct session *s, const struct store_frame *f) MUST_USE;

#endif

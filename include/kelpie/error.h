/*
 * Every error of Kelpie: code, name on the wire, HTTP status, whether the same request id may be
 * sent again, one sentence. Functions return 0 or one of these; names and numbers are stable.
 */
#ifndef KELPIE_ERROR_H
#define KELPIE_ERROR_H

/* X(number, NAME, "name", http_status, retry, "sentence")
 * retry: 1 = the same request id may be sent again (nothing was done, or a repeat is recognised),
 *        0 = sending it again cannot help. */
#define KELPIE_ERRORS(X)                                                                           \
    X(1, INVALID, "invalid", 400, 0, "the request is malformed")                                   \
    X(2, TOO_LARGE, "too_large", 413, 0, "the body is over its limit")                             \
    X(3, NOT_FOUND, "not_found", 404, 0, "there is nothing under this path or id")                 \
    X(4, UNKNOWN_TYPE, "unknown_type", 404, 1, "no active node hosts actors of this type")         \
    X(5, UNKNOWN_METHOD, "unknown_method", 404, 0, "the actor's class has no such method")         \
    X(6, METHOD_NOT_ALLOWED, "method_not_allowed", 405, 0, "this path does not take this method")  \
    X(7, REFUSED, "refused", 409, 0, "the cluster's state does not allow this")                    \
    X(8, HANDLER_FAILED, "handler_failed", 500, 1,                                                 \
      "the actor's handler failed; its state is as before")                                        \
    X(9, STATE_FULL, "state_full", 507, 0, "the actor's state would exceed its bound")             \
    X(10, MAILBOX_FULL, "mailbox_full", 429, 1, "the actor's mailbox is full")                     \
    X(11, NODE_FULL, "node_full", 503, 1, "no active node has room for another activation")        \
    X(12, UNAVAILABLE, "unavailable", 503, 1, "this node may not act now; ask another or wait")    \
    X(13, UNREACHABLE, "unreachable", 503, 1, "the node that hosts the actor cannot be reached")   \
    X(14, UNKNOWN_RESULT, "unknown_result", 504, 1,                                                \
      "the deadline passed; whether the request was applied is not known")                         \
    X(15, TIMEOUT, "timeout", 504, 1, "the deadline passed before the request was applied")        \
    X(16, APPLIED_NO_REPLY, "applied_reply_not_kept", 200, 0,                                      \
      "the request was applied before; its reply was too long to be kept")                         \
    X(17, NOT_HERE, "not_here", 503, 1, "the actor does not run on this node")                     \
    X(18, CANCELLED, "cancelled", 503, 1, "the operation was cancelled")                           \
    X(19, CONFLICT, "conflict", 503, 1, "the transaction met another one")                         \
    X(20, TOO_OLD, "too_old", 503, 1, "the transaction's read version is too old")                 \
    X(21, STORE_UNAVAILABLE, "store_unavailable", 503, 1, "the store does not answer")             \
    X(22, STORE_FULL, "store_full", 507, 1, "the store's disk is full")                            \
    X(23, STORE_CORRUPT, "store_corrupt", 500, 0, "a stored record fails its checksum")            \
    X(24, STORE_NEWER, "store_newer", 500, 0, "the store was written by a newer version")          \
    X(25, STORE_FOREIGN, "store_foreign", 409, 0, "the store or peer belongs to another cluster")  \
    X(26, PROTOCOL, "protocol", 400, 0, "a frame is malformed")                                    \
    X(27, VERSION, "version", 400, 0, "the peer speaks another protocol version")                  \
    X(28, LIMIT, "limit", 503, 1, "a bound was reached")                                           \
    X(29, IO, "io", 500, 0, "the system refused an operation")                                     \
    X(30, ALIVE, "alive", 409, 0, "a live node has this id")

enum kelpie_error {
    KELPIE_OK = 0,
#define KELPIE_ERROR_ENUM(num, NAME, name, http, retry, text) KELPIE_E_##NAME = -(num),
    KELPIE_ERRORS(KELPIE_ERROR_ENUM)
#undef KELPIE_ERROR_ENUM
};

/* "ok", the name of a code, or "unknown_error". Static storage. */
const char *kelpie_error_name(int code);
/* The sentence of a code. Static storage. */
const char *kelpie_error_text(int code);
/* 200 for 0, else the status of the table; 500 for a code that is not in it. */
int kelpie_error_http(int code);
/* 1 when the same request id may be sent again. */
int kelpie_error_retry(int code);
/* The code of a name, or 0 when there is none. */
int kelpie_error_from_name(const char *name);

#endif

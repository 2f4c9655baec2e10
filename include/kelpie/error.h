/*
 * Every error of Kelpie: code, name on the wire, HTTP status, whether the same request id may be
 * sent again, whether the request was applied, one sentence. Functions return 0 or one of these;
 * names and numbers are stable.
 */
#ifndef KELPIE_ERROR_H
#define KELPIE_ERROR_H

#ifdef __cplusplus
extern "C" {
#endif

/* X(number, NAME, "name", http_status, retry, applied, "sentence")
 * retry:   1 = the same request id may be sent again (nothing was done, or a repeat is recognised),
 *          0 = sending it again cannot help.
 * applied: NO = what was asked for was not done by this request, and will not be; UNKNOWN = nobody
 *          knows; YES = it was done. It speaks of the one request that is answered so, with all the
 *          attempts that a node made for it: an earlier request with the same id may have been
 *          applied. */
#define KELPIE_ERRORS(X)                                                                           \
    X(1, INVALID, "invalid", 400, 0, NO, "the request is malformed")                               \
    X(2, TOO_LARGE, "too_large", 413, 0, NO, "the body is over its limit")                         \
    X(3, NOT_FOUND, "not_found", 404, 0, NO, "there is nothing under this path or id")             \
    X(4, UNKNOWN_TYPE, "unknown_type", 404, 1, NO, "no active node hosts actors of this type")     \
    X(5, UNKNOWN_METHOD, "unknown_method", 404, 0, NO, "the actor's class has no such method")     \
    X(6, METHOD_NOT_ALLOWED, "method_not_allowed", 405, 0, NO,                                     \
      "this path does not take this method")                                                       \
    X(7, REFUSED, "refused", 409, 0, NO, "the cluster's state does not allow this")                \
    X(8, HANDLER_FAILED, "handler_failed", 500, 1, NO,                                             \
      "the actor's handler failed; its state is as before")                                        \
    X(9, STATE_FULL, "state_full", 507, 0, NO, "the actor's state would exceed its bound")         \
    X(10, MAILBOX_FULL, "mailbox_full", 429, 1, NO, "the actor's mailbox is full")                 \
    X(11, NODE_FULL, "node_full", 503, 1, NO, "no active node has room for another activation")    \
    X(12, UNAVAILABLE, "unavailable", 503, 1, NO,                                                  \
      "this node may not act now; ask another or wait")                                            \
    X(13, UNREACHABLE, "unreachable", 503, 1, UNKNOWN,                                             \
      "the node that hosts the actor cannot be reached")                                           \
    X(14, UNKNOWN_RESULT, "unknown_result", 504, 1, UNKNOWN,                                       \
      "the deadline passed; whether the request was applied is not known")                         \
    X(15, TIMEOUT, "timeout", 504, 1, NO, "the deadline passed before the request was applied")    \
    X(16, APPLIED_NO_REPLY, "applied_reply_not_kept", 200, 0, YES,                                 \
      "the request was applied before; its reply was too long to be kept")                         \
    X(17, NOT_HERE, "not_here", 503, 1, NO, "the actor does not run on this node")                 \
    X(18, CANCELLED, "cancelled", 503, 1, UNKNOWN, "the operation was cancelled")                  \
    X(19, CONFLICT, "conflict", 503, 1, NO, "the transaction met another one")                     \
    X(20, TOO_OLD, "too_old", 503, 1, NO, "the transaction's read version is too old")             \
    X(21, STORE_UNAVAILABLE, "store_unavailable", 503, 1, NO, "the store does not answer")         \
    X(22, STORE_FULL, "store_full", 507, 1, NO, "the store's disk is full")                        \
    X(23, STORE_CORRUPT, "store_corrupt", 500, 0, NO, "a stored record fails its checksum")        \
    X(24, STORE_NEWER, "store_newer", 500, 0, NO, "the store was written by a newer version")      \
    X(25, STORE_FOREIGN, "store_foreign", 409, 0, NO,                                              \
      "the store or peer belongs to another cluster")                                              \
    X(26, PROTOCOL, "protocol", 400, 0, NO, "a frame is malformed")                                \
    X(27, VERSION, "version", 400, 0, NO, "the peer speaks another protocol version")              \
    X(28, LIMIT, "limit", 503, 1, NO, "a bound was reached")                                       \
    X(29, IO, "io", 500, 0, UNKNOWN, "the system refused an operation")                            \
    X(30, ALIVE, "alive", 409, 0, NO, "a live node has this id")                                   \
    X(31, FORBIDDEN, "forbidden", 403, 0, NO, "this is not done for who asks so")                  \
    X(32, TOO_LATE, "too_late", 409, 0, UNKNOWN,                                                   \
      "the request is older than what the actor remembers; it did nothing now, but an earlier "    \
      "attempt may have been applied")                                                             \
    X(33, REQUEST_ID_REUSED, "request_id_reused", 409, 0, NO,                                      \
      "the request id was used for another request: other caller, method or body")                 \
    X(34, TOO_MANY, "too_many", 429, 1, NO,                                                        \
      "the actor remembers as many young requests as it can")                                      \
    X(35, CALL_CYCLE, "call_cycle", 409, 0, NO,                                                    \
      "the call would come back to an actor that waits for it")                                    \
    X(36, CALL_DEPTH, "call_depth", 409, 0, NO,                                                    \
      "as many actors wait for each other as may; this call would be one more")                    \
    X(37, DOMAIN, "domain_error", 422, 0, NO, "the actor refuses what was asked for")              \
    X(38, CLASS_OLDER, "class_older", 503, 1, NO,                                                  \
      "the actor's state was written by a newer version of its class than any active node has")    \
    X(39, POISONED, "poisoned", 503, 0, NO,                                                        \
      "what was called ended processes of nodes; it is not run for a while")

/* Numbers are 1 to this. */
#define KELPIE_ERROR_ONE(num, NAME, name, http, retry, applied, text) +1
enum { KELPIE_ERROR_MAX = 0 KELPIE_ERRORS(KELPIE_ERROR_ONE) };
#undef KELPIE_ERROR_ONE

enum kelpie_applied {
    KELPIE_APPLIED_NO,
    KELPIE_APPLIED_UNKNOWN,
    KELPIE_APPLIED_YES,
};

enum kelpie_error {
    KELPIE_OK = 0,
#define KELPIE_ERROR_ENUM(num, NAME, name, http, retry, applied, text) KELPIE_E_##NAME = -(num),
    KELPIE_ERRORS(KELPIE_ERROR_ENUM)
#undef KELPIE_ERROR_ENUM
};

/* What a program exports to shared objects, and they to it. */
#pragma GCC visibility push(default)

/* "ok", the name of a code, or "unknown_error". Static storage. */
const char *kelpie_error_name(int code);
/* The sentence of a code. Static storage. */
const char *kelpie_error_text(int code);
/* 200 for 0, else the status of the table; 500 for a code that is not in it. */
int kelpie_error_http(int code);
/* 1 when the same request id may be sent again. */
int kelpie_error_retry(int code);
/* Whether a request that is answered with this code was applied: YES for 0, UNKNOWN for a code that
 * is not in the table. */
enum kelpie_applied kelpie_error_applied(int code);
/* "no", "unknown" or "yes". Static storage. */
const char *kelpie_applied_name(enum kelpie_applied applied);
/* The code of a name, or 0 when there is none. */
int kelpie_error_from_name(const char *name);

#pragma GCC visibility pop

#ifdef __cplusplus
}
#endif

#endif

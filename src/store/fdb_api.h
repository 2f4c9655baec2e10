/*
 * The functions of the FoundationDB client library that the driver uses, as a table: filled from
 * the library at run time (fdb_library.h), or by a simulated library. Taken is only what the
 * libraries of 7.1, 7.3 and later all have, by the C interface at API version 710 or newer.
 */
#ifndef KELPIE_STORE_FDB_API_H
#define KELPIE_STORE_FDB_API_H

#include <stdbool.h>
#include <stdint.h>

#define FDB_API_VERSION_WANTED 730
#define FDB_API_VERSION_MIN 710

struct fdb_future;
struct fdb_database;
struct fdb_transaction;

/* Runs once for each future, on the network thread or inside the call that set it; also after the
 * future was destroyed. */
typedef void fdb_callback(struct fdb_future *future, void *arg);

/* The library lays these out in units of 4 bytes, and aligns them to nothing: they lie in its memory
 * next to keys and values. */
#pragma pack(push, 1)
struct fdb_key_value {
    const uint8_t *key;
    int key_length;
    const uint8_t *value;
    int value_length;
};
#pragma pack(pop)
_Static_assert(sizeof(struct fdb_key_value) == 24, "the library's layout");

enum fdb_error {
    FDB_TIMED_OUT = 1004,
    FDB_TOO_OLD = 1007,
    FDB_FUTURE_VERSION = 1009,
    FDB_NOT_COMMITTED = 1020,
    FDB_COMMIT_UNKNOWN_RESULT = 1021,
    FDB_TRANSACTION_CANCELLED = 1025,
    FDB_TRANSACTION_TIMED_OUT = 1031,
    FDB_TOO_MANY_WATCHES = 1032,
    FDB_PROCESS_BEHIND = 1037,
    FDB_DATABASE_LOCKED = 1038,
    FDB_CLUSTER_VERSION_CHANGED = 1039,
    FDB_PROXY_MEMORY_LIMIT = 1042,
    FDB_BATCH_THROTTLED = 1051,
    FDB_GRV_MEMORY_LIMIT = 1078,
    FDB_OPERATION_CANCELLED = 1101,
    FDB_TAG_THROTTLED = 1213,
    FDB_KEY_OUTSIDE_LEGAL_RANGE = 2004,
    FDB_USED_DURING_COMMIT = 2017,
    FDB_TRANSACTION_TOO_LARGE = 2101,
    FDB_KEY_TOO_LARGE = 2102,
    FDB_VALUE_TOO_LARGE = 2103,
    FDB_CONNECTION_STRING_INVALID = 2104,
};

enum fdb_predicate {
    FDB_RETRYABLE = 50000,
    FDB_MAYBE_COMMITTED = 50001,
    FDB_RETRYABLE_NOT_COMMITTED = 50002,
};

/* Options of a database that hold for each of its transactions. A number is 8 bytes, little
 * endian. */
enum fdb_database_option {
    FDB_OPTION_MAX_WATCHES = 20,
    FDB_OPTION_TIMEOUT_MS = 500,
    FDB_OPTION_RETRY_LIMIT = 501,
    FDB_OPTION_MAX_RETRY_DELAY_MS = 502,
    FDB_OPTION_SIZE_LIMIT = 503,
};

enum fdb_streaming_mode { FDB_WANT_ALL = -2, FDB_EXACT = 0 };

struct fdb_api {
    int (*get_max_api_version)(void);
    int (*select_api_version_impl)(int runtime_version, int header_version);
    int (*setup_network)(void);
    int (*run_network)(void);
    int (*stop_network)(void);

    const char *(*get_error)(int error);
    int (*error_predicate)(int predicate, int error);
    int (*create_database)(const char *cluster_file, struct fdb_database **out);
    void (*database_destroy)(struct fdb_database *db);
    int (*database_set_option)(struct fdb_database *db, int option, const uint8_t *value,
                               int length);
    int (*database_create_transaction)(struct fdb_database *db, struct fdb_transaction **out);

    void (*transaction_destroy)(struct fdb_transaction *tr);
    void (*transaction_set_read_version)(struct fdb_transaction *tr, int64_t version);
    struct fdb_future *(*transaction_get_read_version)(struct fdb_transaction *tr);
    struct fdb_future *(*transaction_get)(struct fdb_transaction *tr, const uint8_t *key,
                                          int key_length, int snapshot);
    /* Two key selectors (key, or_equal, offset); both bounds of a batch in rows and bytes, 0: none. */
    struct fdb_future *(*transaction_get_range)(struct fdb_transaction *tr, const uint8_t *begin,
                                                int begin_length, int begin_or_equal,
                                                int begin_offset, const uint8_t *end,
                                                int end_length, int end_or_equal, int end_offset,
                                                int limit, int target_bytes, int mode,
                                                int iteration, int snapshot, int reverse);
    void (*transaction_set)(struct fdb_transaction *tr, const uint8_t *key, int key_length,
                            const uint8_t *value, int value_length);
    void (*transaction_clear)(struct fdb_transaction *tr, const uint8_t *key, int key_length);
    void (*transaction_clear_range)(struct fdb_transaction *tr, const uint8_t *begin,
                                    int begin_length, const uint8_t *end, int end_length);
    struct fdb_future *(*transaction_watch)(struct fdb_transaction *tr, const uint8_t *key,
                                            int key_length);
    struct fdb_future *(*transaction_commit)(struct fdb_transaction *tr);
    int (*transaction_get_committed_version)(struct fdb_transaction *tr, int64_t *out);
    struct fdb_future *(*transaction_get_versionstamp)(struct fdb_transaction *tr);
    struct fdb_future *(*transaction_on_error)(struct fdb_transaction *tr, int error);

    void (*future_destroy)(struct fdb_future *f);
    int (*future_is_ready)(struct fdb_future *f);
    int (*future_set_callback)(struct fdb_future *f, fdb_callback *fn, void *arg);
    int (*future_get_error)(struct fdb_future *f);
    int (*future_get_int64)(struct fdb_future *f, int64_t *out);
    int (*future_get_key)(struct fdb_future *f, const uint8_t **key, int *length);
    int (*future_get_value)(struct fdb_future *f, int *present, const uint8_t **value, int *length);
    int (*future_get_keyvalue_array)(struct fdb_future *f, const struct fdb_key_value **rows,
                                     int *count, int *more);
};

#endif

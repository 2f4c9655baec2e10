#include "base/check.h"
#include "sim/stores/sim_fdb_internal.h"

enum kind { NOT_COMMITTED, MAYBE, OTHER };

static const struct {
    int error;
    enum kind kind;
    const char *text;
} errors[] = {
    {FDB_TIMED_OUT, OTHER, "Operation timed out"},
    {FDB_TOO_OLD, NOT_COMMITTED, "Transaction is too old"},
    {FDB_FUTURE_VERSION, NOT_COMMITTED, "Request for future version"},
    {FDB_NOT_COMMITTED, NOT_COMMITTED, "Transaction conflicted with another"},
    {FDB_COMMIT_UNKNOWN_RESULT, MAYBE, "Transaction may or may not have committed"},
    {FDB_TRANSACTION_CANCELLED, OTHER, "Transaction was cancelled"},
    {FDB_TRANSACTION_TIMED_OUT, OTHER, "Transaction timed out"},
    {FDB_TOO_MANY_WATCHES, OTHER, "Too many watches"},
    {FDB_PROCESS_BEHIND, NOT_COMMITTED, "Storage is behind"},
    {FDB_DATABASE_LOCKED, NOT_COMMITTED, "Database is locked"},
    {FDB_CLUSTER_VERSION_CHANGED, MAYBE, "Cluster was upgraded"},
    {FDB_PROXY_MEMORY_LIMIT, NOT_COMMITTED, "Commit proxy is out of memory"},
    {FDB_BATCH_THROTTLED, NOT_COMMITTED, "Batch priority is throttled"},
    {FDB_GRV_MEMORY_LIMIT, NOT_COMMITTED, "Read version proxy is out of memory"},
    {FDB_OPERATION_CANCELLED, OTHER, "Operation was cancelled"},
    {FDB_TAG_THROTTLED, NOT_COMMITTED, "Tag is throttled"},
    {SIM_FDB_HOT_SHARD, NOT_COMMITTED, "Transaction is throttled for a hot shard"},
    {SIM_FDB_RANGE_LOCKED, NOT_COMMITTED, "Transaction writes to a locked range"},
    {FDB_KEY_OUTSIDE_LEGAL_RANGE, OTHER, "Key is outside the legal range"},
    {FDB_USED_DURING_COMMIT, OTHER, "Transaction was used while it commits"},
    {FDB_TRANSACTION_TOO_LARGE, OTHER, "Transaction is too large"},
    {FDB_KEY_TOO_LARGE, OTHER, "Key is too large"},
    {FDB_VALUE_TOO_LARGE, OTHER, "Value is too large"},
};

const char *sim_fdb_error_text(int error)
{
    for (size_t i = 0; i < ARRAY_LEN(errors); i++)
        if (errors[i].error == error)
            return errors[i].text;
    return error ? "Another error" : "Success";
}

int sim_fdb_error_predicate(int predicate, int error)
{
    enum kind kind = OTHER;
    for (size_t i = 0; i < ARRAY_LEN(errors); i++)
        if (errors[i].error == error)
            kind = errors[i].kind;
    if (predicate == FDB_MAYBE_COMMITTED)
        return kind == MAYBE;
    if (predicate == FDB_RETRYABLE_NOT_COMMITTED)
        return kind == NOT_COMMITTED;
    return predicate == FDB_RETRYABLE && kind != OTHER;
}

#include "store/store_limits.h"

#include "kelpie/error.h"

int store_check_key(struct bytes key)
{
    return key.len >= 1 && key.len <= STORE_KEY_MAX ? 0 : KELPIE_E_LIMIT;
}

int store_check_reads(const struct store_read *reads, size_t count)
{
    if (count > STORE_READS_MAX)
        return KELPIE_E_LIMIT;
    for (size_t i = 0; i < count; i++) {
        /* A range may begin at the empty key, and its end may be one byte longer than a key: the
         * key that follows the longest one. */
        bool range = reads[i].end.len > 0;
        if (!range && store_check_key(reads[i].key))
            return KELPIE_E_LIMIT;
        if (reads[i].key.len > STORE_KEY_MAX + 1 || reads[i].end.len > STORE_KEY_MAX + 1)
            return KELPIE_E_LIMIT;
    }
    return 0;
}

int store_check_writes(const struct store_write *writes, size_t count)
{
    if (count > STORE_WRITES_MAX)
        return KELPIE_E_LIMIT;
    size_t total = 0;
    for (size_t i = 0; i < count; i++) {
        const struct store_write *w = &writes[i];
        if (w->kind == STORE_DELETE_RANGE) {
            if (w->key.len > STORE_KEY_MAX + 1 || w->value.len > STORE_KEY_MAX + 1)
                return KELPIE_E_LIMIT;
        } else if (store_check_key(w->key)) {
            return KELPIE_E_LIMIT;
        }
        if (w->kind == STORE_PUT && w->value.len > STORE_VALUE_MAX)
            return KELPIE_E_LIMIT;
        total += w->key.len + (w->kind == STORE_DELETE ? 0 : w->value.len);
    }
    return total <= STORE_WRITE_BYTES_MAX ? 0 : KELPIE_E_LIMIT;
}

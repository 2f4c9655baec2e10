/*
 * Rows from anywhere. The first byte chooses the family of the key, the rest is the value, as it is
 * and with a right checksum in place of its last element, so that what is behind the checksum is
 * reached. What is accepted is encoded again to the same bytes.
 */
#include "base/crc32c.h"
#include "base/tuple.h"
#include "kelpie/error.h"
#include "lib/record_samples.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void try_row(enum key_family family, struct bytes key, struct bytes value)
{
    struct buf scratch;
    struct buf again;
    struct buf text;
    struct keyspace ks = sample_space("kelpie");
    buf_init(&scratch, sample_mem());
    buf_init(&again, sample_mem());
    buf_init(&text, sample_mem());
    int rc = record_get(family, key, value, &scratch, &again);
    CHECK(rc == 0 || rc == KELPIE_E_STORE_CORRUPT || rc == KELPIE_E_STORE_NEWER);
    CHECK(rc != 0 || bytes_equal(buf_bytes(&again), value));
    /* What can be decoded, or is newer, can be verified. */
    int verified = record_verify(key, value);
    CHECK(verified == rc || (verified == 0 && rc == KELPIE_E_STORE_CORRUPT));
    record_to_text(&ks, key, value, &text);
    CHECK(text.len > 0);
    buf_deinit(&text);
    buf_deinit(&again);
    buf_deinit(&scratch);
}

/* The value's elements but the last, which a corpus of real values has as the checksum. */
static struct bytes body_of(struct bytes value)
{
    struct buf scratch;
    struct tuple_item item;
    buf_init(&scratch, sample_mem());
    struct tuple_reader r = tuple_reader_of(value, &scratch);
    size_t end = value.len;
    for (;;) {
        size_t at = value.len - r.rest.len;
        if (!tuple_next(&r, &item))
            break;
        end = at;
    }
    bool whole = r.ok;
    buf_deinit(&scratch);
    return whole ? bytes_of(value.data, end) : value;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (size == 0)
        return 0;
    enum key_family family = (enum key_family)(KEY_FORMAT + data[0] % (KEY_FAMILY_COUNT - 1));
    struct key key = sample_key(family);
    struct bytes value = bytes_of(data + 1, size - 1);
    struct key_parts parts;
    struct keyspace ks = sample_space("kelpie");
    struct buf sealed;

    try_row(family, key_bytes(&key), value);
    buf_init(&sealed, sample_mem());
    buf_append_bytes(&sealed, body_of(value));
    uint32_t sum = crc32c_extend(crc32c(key_bytes(&key)), buf_bytes(&sealed));
    tuple_pack_uint(&sealed, sum);
    try_row(family, key_bytes(&key), buf_bytes(&sealed));
    buf_deinit(&sealed);

    /* The same bytes as a key. */
    if (key_parse(&ks, value, &parts) == 0) {
        struct key again = key_of_parts(&ks, &parts);
        CHECK(bytes_equal(key_bytes(&again), value));
    }
    return 0;
}

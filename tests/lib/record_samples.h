/* Rows that the tests of keys, records and the fuzz target share. */
#ifndef KELPIE_TESTS_RECORD_SAMPLES_H
#define KELPIE_TESTS_RECORD_SAMPLES_H

#include "record/records.h"

/* Memory of the C library, counted. */
struct mem sample_mem(void);
size_t sample_mem_held(void);

/* The keyspace under "kelpie", or another one. */
struct keyspace sample_space(const char *prefix);

/* Numbers at which their packed form changes. */
extern const uint64_t sample_numbers[];
#define SAMPLE_NUMBERS 20

/* Keys of every family in ascending order; ids are prefixes of each other on purpose. Returns how
 * many. */
#define SAMPLE_KEYS_MAX 140
size_t sample_keys(const struct keyspace *ks, struct key out[SAMPLE_KEYS_MAX]);

/* The key that the parts name: what key_parse() must invert. */
struct key key_of_parts(const struct keyspace *ks, const struct key_parts *parts);

struct record_sample {
    const char *name;
    enum key_family family;
    const void *record;
    const char *hex;  /* of the value under sample_key(family), or NULL */
    const char *text; /* of the row without its key, or NULL */
};

/* One plain example of each record comes first, in the order of the families, then extremes. */
#define RECORD_SAMPLES_MAX 70
size_t record_samples(struct record_sample out[RECORD_SAMPLES_MAX]);
struct key sample_key(enum key_family family);
/* Encodes a record of this family. */
void record_put(enum key_family family, const void *record, struct bytes key, struct buf *out);
/* Decodes, and encodes again what was decoded. */
int record_get(enum key_family family, struct bytes key, struct bytes value, struct buf *scratch,
               struct buf *again);

#endif

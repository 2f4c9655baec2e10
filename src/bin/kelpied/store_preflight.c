#include "bin/kelpied/store_preflight.h"

#include <stdio.h>
#include <stdlib.h>

#include "bin/shared/store_scan.h"
#include "kelpie/error.h"
#include "record/records.h"

#define POINTS 4

struct preflight {
    struct key keys[POINTS];
    int error;
    struct key bad;
    uint64_t format;
};

static void look_at(struct preflight *p, struct bytes key, struct bytes value)
{
    if (p->error || key.len > sizeof(p->bad.data))
        return;
    p->error = record_verify(key, value);
    p->bad.len = key.len;
    memcpy(p->bad.data, key.data, key.len);
}

/* A store whose format was raised: records of that version may come at any time. */
static void look_at_format(struct preflight *p, struct bytes value)
{
    struct format_record format;
    struct buf none = {0};
    if (p->error || format_record_decode(key_bytes(&p->keys[0]), value, &none, &format))
        return; /* said before */
    p->format = format.version;
    p->error = format.version > RECORD_VERSION ? KELPIE_E_STORE_NEWER : 0;
}

static void look(struct scan *s, void *arg)
{
    struct preflight *p = arg;
    struct store_result nodes = rule_rows(&s->txn, POINTS);
    struct bytes value;
    for (size_t i = 0; i < POINTS; i++)
        if (rule_row(&s->txn, i, &value))
            look_at(p, key_bytes(&p->keys[i]), value);
    if (rule_row(&s->txn, 0, &value))
        look_at_format(p, value);
    for (size_t i = 0; i < nodes.count; i++)
        look_at(p, nodes.rows[i].key, nodes.rows[i].value);
}

static void explain(struct scan *s, const struct preflight *p, const char *url, char *why,
                    size_t why_size)
{
    struct buf text;
    if (p->format > RECORD_VERSION) {
        (void)snprintf(why, why_size,
                       "store %s has format %llu, but this kelpied reads up to %d; use a newer one",
                       url, (unsigned long long)p->format, RECORD_VERSION);
        return;
    }
    buf_init(&text, s->world->env.mem);
    key_to_text(&s->ks, key_bytes(&p->bad), &text);
    (void)snprintf(
        why, why_size, "store %s: the record %.*s %s", url, (int)text.len, (const char *)text.data,
        p->error == KELPIE_E_STORE_NEWER ? "was written by a newer version of kelpied; use that one"
                                         : "is corrupt; kelpie store check says what else is");
    buf_deinit(&text);
}

int store_preflight(struct world_bind *world, const struct keyspace *ks, const char *url, char *why,
                    size_t why_size)
{
    struct key_range nodes = keys_nodes(ks);
    struct preflight p = {
        .keys = {key_format(ks), key_view(ks), key_primary(ks), key_term(ks)},
    };
    struct scan *s = calloc(1, sizeof(*s));
    CHECK(s != NULL);
    scan_init(s, world, ks);
    scan_begin(s, NULL, NULL);
    for (size_t i = 0; i < POINTS; i++)
        (void)txn_read(&s->txn, key_bytes(&p.keys[i]), true);
    (void)txn_read_range(&s->txn, key_bytes(&nodes.begin), key_bytes(&nodes.end), NODES_MAX, true);
    int err = scan_run(s, look, &p);
    if (err)
        (void)snprintf(why, why_size, "store %s cannot be read: %s", url, s->reason);
    else if (p.error)
        explain(s, &p, url, why, why_size);
    free(s);
    return err ? err : p.error;
}

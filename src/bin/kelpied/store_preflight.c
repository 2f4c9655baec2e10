#include "bin/kelpied/store_preflight.h"

#include <stdio.h>
#include <stdlib.h>

#include "bin/shared/store_scan.h"
#include "kelpie/error.h"
#include "record/records.h"

#define POINTS 5

enum { POINT_FORMAT, POINT_FOUNDED };

struct preflight {
    struct key keys[POINTS];
    int error;
    struct key bad;
    uint64_t format;
    struct uuid home;
    bool is_there;       /* a cluster */
    struct uuid founded; /* its founding id */
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
    p->is_there = true;
    p->founded = format.cluster_id;
    p->format = format.version;
    if (format.version > RECORD_VERSION)
        p->error = KELPIE_E_STORE_NEWER;
    else if (format.version < FORMAT_MIN)
        p->error = KELPIE_E_REFUSED;
}

static void look_at_founded(struct preflight *p, struct bytes value)
{
    struct founded_record founded;
    struct buf none = {0};
    if (!p->error &&
        founded_record_decode(key_bytes(&p->keys[POINT_FOUNDED]), value, &none, &founded) == 0)
        p->founded = founded.cluster_id;
}

/* The rule of NodeJoin, before there is a node: so that whoever starts it is told. */
static bool is_home(const struct preflight *p)
{
    return uuid_is_zero(p->home) || (p->is_there && uuid_equal(p->home, p->founded));
}

static void look(struct scan *s, void *arg)
{
    struct preflight *p = arg;
    struct store_result nodes = rule_rows(&s->txn, POINTS);
    struct bytes value;
    for (size_t i = 0; i < POINTS; i++)
        if (rule_row(&s->txn, i, &value))
            look_at(p, key_bytes(&p->keys[i]), value);
    if (rule_row(&s->txn, POINT_FORMAT, &value))
        look_at_format(p, value);
    if (rule_row(&s->txn, POINT_FOUNDED, &value))
        look_at_founded(p, value);
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
    if (p->error == KELPIE_E_REFUSED) {
        (void)snprintf(why, why_size,
                       "store %s has format %llu, and this kelpied needs %d: stop all nodes, then "
                       "kelpie store format --raise",
                       url, (unsigned long long)p->format, FORMAT_MIN);
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

static void explain_home(const struct preflight *p, const struct keyspace *ks, const char *url,
                         char *why, size_t why_size)
{
    char home[UUID_TEXT_SIZE], other[UUID_TEXT_SIZE];
    uuid_to_text(p->home, home);
    uuid_to_text(p->founded, other);
    if (p->is_there)
        (void)snprintf(
            why, why_size,
            "this node is of cluster %s (as its data directory says), but store %s holds "
            "cluster %s under the prefix '%s': correct --store or --prefix, give it "
            "another --data-dir, or start it with --found-new",
            home, url, other, ks->prefix);
    else
        (void)snprintf(
            why, why_size,
            "this node is of cluster %s (as its data directory says), but store %s holds "
            "no cluster under the prefix '%s': put its store back, or start it with "
            "--found-new to found a new one",
            home, url, ks->prefix);
}

int store_preflight(struct world_bind *world, const struct keyspace *ks, const char *url,
                    struct uuid home, char *why, size_t why_size)
{
    struct key_range nodes = keys_nodes(ks);
    struct preflight p = {
        .keys = {key_format(ks), key_founded(ks), key_view(ks), key_primary(ks), key_term(ks)},
        .home = home,
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
    else if (!is_home(&p))
        explain_home(&p, ks, url, why, why_size);
    free(s);
    if (err || p.error)
        return err ? err : p.error;
    return is_home(&p) ? 0 : KELPIE_E_STORE_FOREIGN;
}

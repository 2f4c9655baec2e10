#include "base/hash128.h"
#include "base/mark.h"
#include "base/mutant.h"
#include "cluster/rules.h"
#include "kelpie/error.h"

bool life_is(const struct node_record *r, const struct life *l)
{
    return r->incarnation == l->incarnation && uuid_equal(r->boot, l->boot);
}

struct life life_of_row(const char *node_id, const struct node_record *r)
{
    struct life l = {.incarnation = r->incarnation, .boot = r->boot};
    (void)memcpy(l.node_id, node_id, strlen(node_id) + 1);
    return l;
}

bool primary_is(const struct primary_record *p, const char *node_id, const struct node_record *r)
{
    return !p->vacant && strcmp(p->node_id, node_id) == 0 && p->incarnation == r->incarnation &&
           uuid_equal(p->boot, r->boot);
}

enum verdict primary_holds(struct rule_ctx *ctx, size_t primary_read, size_t self_read,
                           const struct life *self, uint64_t term)
{
    struct primary_record primary;
    struct node_record own;
    if (load_primary(ctx, primary_read, &primary) < 0 || load_node(ctx, self_read, &own) < 0)
        return RULE_REFUSE;
    if (!life_is(&own, self) || own.state != NODE_ACTIVE ||
        !primary_is(&primary, self->node_id, &own) || primary.term != term) {
        SOMETIMES("stale-primary-refused");
        return rule_refuse(ctx, "this node is not the primary of term %llu any more",
                           (unsigned long long)term);
    }
    return RULE_COMMIT;
}

int load_home(struct rule_ctx *ctx, size_t format_read, size_t founded_read, struct uuid *home)
{
    struct format_record format;
    struct founded_record founded;
    int found = load_format(ctx, format_read, &format);
    int restored = load_founded(ctx, founded_read, &founded);
    *home = (struct uuid){0};
    if (found > 0)
        *home = restored > 0 ? founded.cluster_id : format.cluster_id;
    return restored < 0 ? restored : found;
}

void member_hash(const char *node_id, uint64_t incarnation, uint64_t *hi, uint64_t *lo)
{
    struct hash128 h = hash128_start();
    hash128_bytes(&h, bytes_of_str(node_id));
    hash128_u64(&h, incarnation);
    h = hash128_value(&h);
    *hi = h.hi;
    *lo = h.lo;
}

uint64_t write_view(struct rule_ctx *ctx, const struct keyspace *ks, const struct view_record *view,
                    enum view_change_kind kind, const char *id, const struct node_record *r)
{
    struct view_record next = *view;
    uint64_t hi, lo;
    member_hash(id, r->incarnation, &hi, &lo);
    if (!MUTANT("viewnumber"))
        next.number++;
    if (kind == VIEW_ADD) {
        next.count++;
        next.hash_hi += hi;
        next.hash_lo += lo;
    } else {
        struct key key = key_view(ks);
        if (next.count == 0) /* nothing is committed: the transaction ends with that error */
            (void)rule_corrupt(ctx, KELPIE_E_STORE_CORRUPT, key_bytes(&key));
        next.count--;
        next.hash_hi -= hi;
        if (!MUTANT("viewhash"))
            next.hash_lo -= lo;
    }
    struct view_change_record change = {
        .kind = kind, .incarnation = r->incarnation, .boot = r->boot};
    memcpy(change.node_id, id, strlen(id) + 1);
    memcpy(change.addr, r->addr, sizeof(change.addr));
    struct key view_key = key_view(ks), change_key = key_view_change(ks, next.number);
    store_view(ctx, &view_key, &next);
    if (!MUTANT("viewchange"))
        store_view_change(ctx, &change_key, &change);
    return next.number;
}

void write_fail(struct rule_ctx *ctx, const struct keyspace *ks, const struct view_record *view,
                const char *id, struct node_record *r)
{
    bool in_view = r->state == NODE_ACTIVE;
    state_move(&r->state, NODE_FAILED, false);
    if (in_view && !MUTANT("inview")) {
        uint64_t gone = write_view(ctx, ks, view, VIEW_REMOVE, id, r);
        r->gone_view = MUTANT("goneview") ? r->gone_view : gone;
    }
    struct key key = key_node(ks, id);
    store_node(ctx, &key, r);
}

bool other_epoch(const struct format_record *format, struct uuid known)
{
    return !uuid_is_zero(known) && !uuid_equal(known, format->cluster_id) && !MUTANT("sameepoch");
}

void write_vacant(struct rule_ctx *ctx, const struct keyspace *ks, struct primary_record *p)
{
    p->vacant = true;
    struct key key = key_primary(ks);
    store_primary(ctx, &key, p);
}

const struct silence *silence_find(const struct silences *s, const char *node_id)
{
    for (size_t i = 0; i < s->count; i++)
        if (strcmp(s->items[i].life.node_id, node_id) == 0)
            return &s->items[i];
    return NULL;
}

int still_silent(const struct heartbeat_record *h, const struct silence *s)
{
    /* Whose bytes are unchanged nobody has written; what they say is not asked. */
    if (h->damaged || s->damaged)
        return h->damaged && s->damaged && h->counter == s->counter;
    return h->incarnation == s->life.incarnation && uuid_equal(h->boot, s->life.boot) &&
           h->counter == s->counter;
}

/* Room for the other reads of a rule. */
#define SILENT_READS_MAX (STORE_READS_MAX - 16)

void read_heartbeats(struct txn *t, const struct keyspace *ks, const struct silences *silent)
{
    bool one_by_one = silent->count <= SILENT_READS_MAX;
    read_range(t, keys_heartbeats(ks), 0, one_by_one);
    for (size_t i = 0; one_by_one && i < silent->count; i++)
        read_key(t, key_heartbeat(ks, silent->items[i].life.node_id));
}

static bool excused(const struct silences *silent, const char *id, const struct node_record *r,
                    const struct heartbeat_record *h)
{
    const struct silence *s = silence_find(silent, id);
    return s && life_is(r, &s->life) && (still_silent(h, s) || MUTANT("excuse")) &&
           !MUTANT("noexcuse");
}

int acked_by_all(struct rule_ctx *ctx, const struct keyspace *ks, size_t nodes_read,
                 size_t heartbeats_read, const struct silences *silent, uint64_t gone)
{
    char id[NODE_ID_MAX + 1];
    struct node_record r;
    struct heartbeat_record h;
    size_t at = 0;
    int more;
    while ((more = next_node(ctx, ks, nodes_read, &at, id, &r)) > 0) {
        if (r.state != NODE_ACTIVE && !(MUTANT("waitdead") && r.state == NODE_FAILED))
            continue;
        int found = find_heartbeat(ctx, ks, heartbeats_read, id, &h);
        if (found < 0)
            return found;
        bool acked =
            found && h.incarnation == r.incarnation && uuid_equal(h.boot, r.boot) && h.ack >= gone;
        if (!acked && !excused(silent, id, &r, &h)) {
            SOMETIMES("view-not-acknowledged-yet");
            (void)rule_refuse(ctx, "node %s has not acknowledged view %llu yet", id,
                              (unsigned long long)gone);
            return 0;
        }
    }
    return more < 0 ? more : 1;
}

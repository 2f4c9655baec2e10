#include "bin/kelpie/store_check.h"

#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>

#include "bin/kelpie/store_check_heads.h"
#include "cluster/views.h"
#include "kelpie/error.h"

#define PAIR_ROWS 32     /* rows of a page whose counterparts are read with them */
#define PAIR_TRIES_MAX 5 /* a page that changes while it is looked at is read again */

struct check {
    struct scan *scan;
    const struct keyspace *ks;
    check_problem_fn *fn;
    void *arg;
    struct check_counts *counts;
    struct buf scratch, text;
    struct heads heads;
    uint32_t shards; /* as the format says */
};

static void problem(struct check *c, struct bytes key, const char *fmt, ...) PRINTF_LIKE(3, 4);
static void problem(struct check *c, struct bytes key, const char *fmt, ...)
{
    char what[512];
    va_list ap;
    va_start(ap, fmt);
    (void)vsnprintf(what, sizeof(what), fmt, ap);
    va_end(ap);
    buf_clear(&c->text);
    key_to_text(c->ks, key, &c->text);
    buf_append_u8(&c->text, 0);
    c->counts->problems++;
    c->fn(c->arg, (const char *)c->text.data, what);
}

/* ---- each record by itself ---- */

static int decode(struct check *c, enum key_family family, const struct store_row *row)
{
    union {
        struct format_record format;
        struct node_record node;
        struct heartbeat_record heartbeat;
        struct probe_record probe;
        struct view_record view;
        struct primary_record primary;
        struct term_record term;
        struct incarnation_floor_record incarnation_floor;
        struct founded_record founded;
        struct view_change_record view_change;
        struct placement_record placement;
        struct by_node_record by_node;
        struct migration_record migration;
        struct types_record types;
        struct generation_floor_record generation_floor;
        struct state_record state;
        struct head_record head;
        struct remembered_record remembered;
        struct request_record request;
        struct message_record message;
        struct poison_record poison;
        struct due_record due;
        struct named_record named;
    } r;
    buf_clear(&c->scratch);
#define DECODE(FAMILY, member, type)                                                               \
    case FAMILY:                                                                                   \
        return type##_record_decode(row->key, row->value, &c->scratch, &r.member)
    switch (family) {
        DECODE(KEY_FORMAT, format, format);
        DECODE(KEY_NODE, node, node);
        DECODE(KEY_HEARTBEAT, heartbeat, heartbeat);
        DECODE(KEY_PROBE, probe, probe);
        DECODE(KEY_VIEW, view, view);
        DECODE(KEY_PRIMARY, primary, primary);
        DECODE(KEY_TERM, term, term);
        DECODE(KEY_INCARNATION_FLOOR, incarnation_floor, incarnation_floor);
        DECODE(KEY_FOUNDED, founded, founded);
        DECODE(KEY_VIEW_CHANGE, view_change, view_change);
        DECODE(KEY_ACTOR, placement, placement);
        DECODE(KEY_BY_NODE, by_node, by_node);
        DECODE(KEY_MIGRATION, migration, migration);
        DECODE(KEY_TYPES, types, types);
        DECODE(KEY_GENERATION_FLOOR, generation_floor, generation_floor);
        DECODE(KEY_STATE, state, state);
        DECODE(KEY_HEAD, head, head);
        DECODE(KEY_REMEMBERED, remembered, remembered);
        DECODE(KEY_REQUEST_SLOT, request, request);
        DECODE(KEY_INBOX, message, message);
        DECODE(KEY_LATER, message, message);
        DECODE(KEY_POISON, poison, poison);
        DECODE(KEY_DUE, due, due);
        DECODE(KEY_NAMED, named, named);
        DECODE(KEY_DEAD, message, message);
    case KEY_FAMILY_COUNT:
    case KEY_UNKNOWN:
        break;
    }
#undef DECODE
    return KELPIE_E_STORE_CORRUPT;
}

/* The format comes before all messages; where it cannot be read there are as many as ever. */
static void learn_shards(struct check *c, const struct store_row *row)
{
    struct format_record r;
    buf_clear(&c->scratch);
    if (format_record_decode(row->key, row->value, &c->scratch, &r) == 0 && r.shards > 0)
        c->shards = r.shards;
}

/* In another shard nobody looks for it, and its receiver neither. */
static void check_shard(struct check *c, const struct key_parts *parts, const struct store_row *row)
{
    uint32_t shard = actor_shard(parts->type, parts->id, c->shards);
    if (parts->shard != shard)
        problem(c, row->key, "its shard is %u, that of its receiver %u", parts->shard, shard);
}

static void check_row(void *arg, const struct store_row *row)
{
    struct check *c = arg;
    struct key_parts parts;
    c->counts->records++;
    if (key_parse(c->ks, row->key, &parts)) {
        problem(c, row->key, "no record has such a key");
        return;
    }
    c->counts->nodes += parts.family == KEY_NODE;
    c->counts->actors += parts.family == KEY_ACTOR;
    heads_row(&c->heads, &parts, row);
    if (parts.family == KEY_FORMAT)
        learn_shards(c, row);
    else if (parts.family == KEY_INBOX || parts.family == KEY_DUE)
        check_shard(c, &parts, row);
    int err = record_verify(row->key, row->value);
    if (!err)
        err = decode(c, parts.family, row);
    else if (err == KELPIE_E_STORE_CORRUPT) {
        problem(c, row->key, "the checksum is wrong");
        return;
    }
    if (err == KELPIE_E_STORE_NEWER)
        problem(c, row->key, "the record was written by a newer version");
    else if (err)
        problem(c, row->key, "the record is malformed");
}

/* ---- the view against the nodes ---- */

enum { VIEW_NODES, VIEW_ROW, VIEW_CHANGES, VIEW_PRIMARY, VIEW_TERM, VIEW_FORMAT };

/* The Active nodes of the node rows, as a view, and how many have ever joined: a supervisor leaves a
 * row of a process that died before. False: a row is not readable (found already). */
static bool active_nodes(struct check *c, struct view *v, size_t *joined)
{
    struct store_result rows = rule_rows(&c->scan->txn, VIEW_NODES);
    for (size_t i = 0; i < rows.count; i++) {
        struct node_record r;
        struct key_parts parts;
        buf_clear(&c->scratch);
        if (key_parse(c->ks, rows.rows[i].key, &parts) ||
            node_record_decode(rows.rows[i].key, rows.rows[i].value, &c->scratch, &r))
            return false;
        *joined += r.incarnation > 0;
        if (r.state != NODE_ACTIVE)
            continue;
        struct member m = {.incarnation = r.incarnation, .boot = r.boot};
        memcpy(m.node_id, parts.node_id, sizeof(m.node_id));
        view_add(v, &m, c->scan->world->env.mem);
    }
    return true;
}

static void check_changes(struct check *c, const struct view_record *view)
{
    struct store_result rows = rule_rows(&c->scan->txn, VIEW_CHANGES);
    uint64_t last = 0;
    for (size_t i = 0; i < rows.count; i++) {
        struct key_parts parts;
        if (key_parse(c->ks, rows.rows[i].key, &parts))
            continue;
        if (parts.number > view->number)
            problem(c, rows.rows[i].key, "the view's number is only %" PRIu64, view->number);
        if (last && parts.number != last + 1)
            problem(c, rows.rows[i].key, "the change before is number %" PRIu64, last);
        last = parts.number;
    }
    if (last && last < view->number) {
        struct key key = key_view(c->ks);
        problem(c, key_bytes(&key),
                "the view's number is %" PRIu64 ", the last change has %" PRIu64, view->number,
                last);
    }
}

static void check_primary(struct check *c, const struct view *active)
{
    const struct txn *t = &c->scan->txn;
    struct key key = key_primary(c->ks), term_key = key_term(c->ks);
    struct primary_record p;
    struct term_record term = {0};
    struct bytes value;
    buf_clear(&c->scratch);
    if (!rule_row(t, VIEW_PRIMARY, &value) ||
        primary_record_decode(key_bytes(&key), value, &c->scratch, &p))
        return;
    if (rule_row(t, VIEW_TERM, &value) &&
        term_record_decode(key_bytes(&term_key), value, &c->scratch, &term))
        return;
    if (p.term > term.term)
        problem(c, key_bytes(&key), "its term %" PRIu64 " is beyond the last election's, %" PRIu64,
                p.term, term.term);
    const struct member *m = p.vacant ? NULL : view_find(active, p.node_id);
    if (m && m->incarnation < p.incarnation)
        problem(c, key_bytes(&key), "node %s has only come to incarnation %" PRIu64, p.node_id,
                m->incarnation);
}

/* The founder writes all four with its own row; none is ever deleted. */
static void check_present(struct check *c, size_t joined)
{
    const struct txn *t = &c->scan->txn;
    const struct {
        size_t read;
        struct key key;
        const char *what;
    } rows[] = {{VIEW_FORMAT, key_format(c->ks), "format"},
                {VIEW_ROW, key_view(c->ks), "view"},
                {VIEW_PRIMARY, key_primary(c->ks), "row of a primary"},
                {VIEW_TERM, key_term(c->ks), "term"}};
    struct bytes value;
    for (size_t i = 0; joined > 0 && i < ARRAY_LEN(rows); i++)
        if (!rule_row(t, rows[i].read, &value))
            problem(c, key_bytes(&rows[i].key), "there is no %s, but %zu nodes have joined",
                    rows[i].what, joined);
}

/* A record of a version that is known, which says that there are others. */
static void check_format(struct check *c)
{
    struct key key = key_format(c->ks);
    struct format_record format;
    struct bytes value;
    buf_clear(&c->scratch);
    if (!rule_row(&c->scan->txn, VIEW_FORMAT, &value) ||
        format_record_decode(key_bytes(&key), value, &c->scratch, &format))
        return;
    if (format.version > RECORD_VERSION)
        problem(c, key_bytes(&key), "the store has format %" PRIu64 ", this program reads up to %d",
                format.version, RECORD_VERSION);
}

static void look_at_view(struct scan *s, void *arg)
{
    struct check *c = arg;
    struct key key = key_view(c->ks);
    struct view_record view;
    struct bytes value;
    struct view active;
    buf_clear(&c->scratch);
    view_init(&active);
    size_t joined = 0;
    bool is_there = rule_row(&s->txn, VIEW_ROW, &value);
    bool is_read = active_nodes(c, &active, &joined);
    check_present(c, joined);
    check_format(c);
    if (is_there && is_read &&
        view_record_decode(key_bytes(&key), value, &c->scratch, &view) == 0) {
        if (view.count != active.count)
            problem(c, key_bytes(&key), "it counts %" PRIu64 " members, but %zu nodes are Active",
                    view.count, active.count);
        else if (!view_matches(&active, &view))
            problem(c, key_bytes(&key), "its hash is not that of the Active nodes");
        check_changes(c, &view);
        check_primary(c, &active);
    }
    view_clear(&active, s->world->env.mem);
}

static void read_range(struct scan *s, struct key_range range)
{
    (void)txn_read_range(&s->txn, key_bytes(&range.begin), key_bytes(&range.end), 0, true);
}

static int check_view(struct check *c)
{
    struct scan *s = c->scan;
    struct key view = key_view(c->ks), primary = key_primary(c->ks), term = key_term(c->ks);
    struct key format = key_format(c->ks);
    scan_begin(s, NULL, NULL);
    read_range(s, keys_nodes(c->ks));
    (void)txn_read(&s->txn, key_bytes(&view), true);
    read_range(s, keys_view_changes_after(c->ks, 0));
    (void)txn_read(&s->txn, key_bytes(&primary), true);
    (void)txn_read(&s->txn, key_bytes(&term), true);
    (void)txn_read(&s->txn, key_bytes(&format), true);
    return scan_run(s, look_at_view, c);
}

/* ---- rows and their counterparts: by-node rows and placements, messages and what leads to them ---- */

/* Rows whose counterparts are looked for. */
enum pair_kind {
    PAIR_BY_NODE, /* the placement */
    PAIR_ACTOR,   /* the by-node row */
    PAIR_DUE,     /* of a message with a time: the pointer to it */
    PAIR_NAMED,   /* of a message with a name: where its sender says that it is */
    PAIR_SENDER,  /* of a message: the head row of its sender, which counts what it sent */
    PAIR_HEAD,    /* of a placement: the actor's head row */
};

/* One page, read in one snapshot with the counterpart of each of its rows. */
struct pairs {
    struct check *check;
    struct key_range range; /* what is still to be read */
    enum pair_kind kind;    /* the page's rows */
    size_t asked;           /* rows whose counterparts were asked for; SIZE_MAX: not yet */
    struct key rows[PAIR_ROWS];
    struct key counterparts[PAIR_ROWS]; /* len 0: there is to be none */
    bool more, changed;
};

static struct message_at message_at_of(const struct key_parts *parts)
{
    return (struct message_at){.due_ms = parts->due_ms,
                               .sender = parts->hash,
                               .generation = parts->generation,
                               .number = parts->number};
}

static bool counterpart_of_message(struct pairs *p, const struct store_row *row,
                                   const struct key_parts *parts, struct key *out)
{
    struct check *c = p->check;
    const struct message_at at = message_at_of(parts);
    struct message_record m;
    if (p->kind == PAIR_DUE) {
        *out = key_due(c->ks, actor_shard(parts->type, parts->id, c->shards), parts->type,
                       parts->id, &at);
        return true;
    }
    buf_clear(&c->scratch);
    if (message_record_decode(row->key, row->value, &c->scratch, &m))
        return false;
    if (p->kind == PAIR_SENDER) {
        *out = key_head(c->ks, m.sender_type, m.sender_id);
        return true;
    }
    if (m.name_len == 0)
        return false;
    *out = key_named(c->ks, m.sender_type, m.sender_id, bytes_of(m.name, m.name_len));
    return true;
}

/* The key of the row that belongs to this one. False: there is none to look for. */
static bool counterpart(struct pairs *p, const struct store_row *row, struct key *out)
{
    struct check *c = p->check;
    struct key_parts parts;
    struct placement_record r;
    if (key_parse(c->ks, row->key, &parts))
        return false;
    if (p->kind == PAIR_DUE || p->kind == PAIR_NAMED || p->kind == PAIR_SENDER)
        return counterpart_of_message(p, row, &parts, out);
    if (p->kind == PAIR_HEAD) {
        *out = key_head(c->ks, parts.type, parts.id);
        return true;
    }
    if (p->kind == PAIR_BY_NODE) {
        *out = key_actor(c->ks, parts.type, parts.id);
        return true;
    }
    buf_clear(&c->scratch);
    if (placement_record_decode(row->key, row->value, &c->scratch, &r) || !r.placed)
        return false;
    *out = key_by_node(c->ks, r.node_id, r.incarnation, parts.type, parts.id);
    return true;
}

static enum verdict pairs_rule(struct rule_ctx *ctx, void *arg)
{
    struct pairs *p = arg;
    struct store_result page = rule_rows(ctx->txn, 0);
    if (p->asked != SIZE_MAX && rule_read_count(ctx) > 1)
        return RULE_DONE;
    p->asked = 0;
    for (size_t i = 0; i < page.count && i < PAIR_ROWS; i++) {
        struct key *row = &p->rows[p->asked];
        row->len = page.rows[i].key.len;
        memcpy(row->data, page.rows[i].key.data, row->len);
        if (counterpart(p, &page.rows[i], &p->counterparts[p->asked])) {
            (void)rule_more(ctx, key_bytes(&p->counterparts[p->asked]), true);
            p->asked++;
        }
    }
    return p->asked ? RULE_MORE : RULE_DONE;
}

/* The placement at `key` (value: of the read) against its by-node row. */
static void check_pair(struct check *c, struct bytes by_node_key, struct bytes by_node_value,
                       bool has_by_node, struct bytes actor_key, struct bytes actor_value,
                       bool has_actor)
{
    struct key_parts parts;
    struct placement_record p = {0};
    struct by_node_record b = {0};
    buf_clear(&c->scratch);
    /* What cannot be read was found before. */
    if (key_parse(c->ks, by_node_key, &parts) ||
        (has_actor && placement_record_decode(actor_key, actor_value, &c->scratch, &p)) ||
        (has_by_node && by_node_record_decode(by_node_key, by_node_value, &c->scratch, &b)))
        return;
    bool is_here = has_actor && p.placed && strcmp(p.node_id, parts.node_id) == 0 &&
                   p.incarnation == parts.number;
    if (!has_by_node)
        problem(c, actor_key, "node %s has no by-node row for it", p.node_id);
    else if (!has_actor)
        problem(c, by_node_key, "the actor has no placement");
    else if (!is_here)
        problem(c, by_node_key,
                "the actor is placed elsewhere (node '%s', incarnation %" PRIu64 ")", p.node_id,
                p.incarnation);
    else if (b.generation != p.generation)
        problem(c, by_node_key, "its generation is %" PRIu64 ", that of the placement %" PRIu64,
                b.generation, p.generation);
}

/* A pointer, or a name, without its message says nothing: its receiver was erased. */
static void check_message_pair(const struct pairs *p, const struct store_row *row,
                               struct bytes other, bool has, struct bytes value)
{
    struct check *c = p->check;
    struct named_record n;
    struct key_parts parts;
    buf_clear(&c->scratch);
    if (p->kind == PAIR_DUE && !has)
        problem(c, row->key, "there is no pointer to it under due");
    if (p->kind == PAIR_DUE)
        return;
    if (!has) {
        problem(c, row->key, "its sender knows no message of its name");
        return;
    }
    if (key_parse(c->ks, row->key, &parts) || named_record_decode(other, value, &c->scratch, &n))
        return; /* found already */
    if (strcmp(n.type, parts.type) != 0 || strcmp(n.id, parts.id) != 0 ||
        n.at.due_ms != parts.due_ms || n.at.generation != parts.generation ||
        n.at.number != parts.number)
        problem(c, row->key, "its sender has another message of its name");
}

/* A row against a head row: a message against that of its sender, a placement against that of its actor. Who has
 * none has never committed, or was swept since, and counts anew in a later generation. */
static void check_head_pair(const struct pairs *p, const struct store_row *row, struct bytes other,
                            bool has, struct bytes value)
{
    struct check *c = p->check;
    struct head_record h;
    struct placement_record r;
    struct key_parts parts;
    buf_clear(&c->scratch);
    if (!has || key_parse(c->ks, row->key, &parts) ||
        head_record_decode(other, value, &c->scratch, &h))
        return;
    if (p->kind == PAIR_HEAD) {
        if (placement_record_decode(row->key, row->value, &c->scratch, &r) == 0 &&
            h.generation > r.generation)
            problem(c, row->key,
                    "its generation is %" PRIu64 ", but the actor has committed in %" PRIu64,
                    r.generation, h.generation);
    } else if (parts.generation > h.generation) {
        problem(c, row->key,
                "it was sent in generation %" PRIu64 ", but its sender has come to %" PRIu64,
                parts.generation, h.generation);
    } else if (parts.generation == h.generation && parts.number > h.sent) {
        problem(c, row->key, "its number is %" PRIu64 ", but its sender has sent %" PRIu64,
                parts.number, h.sent);
    }
}

static void look_at_pairs(struct scan *s, void *arg)
{
    struct pairs *p = arg;
    struct store_result page = rule_rows(&s->txn, 0);
    size_t at = 0;
    for (size_t i = 0; i < page.count && !p->changed; i++) {
        const struct store_row *row = &page.rows[i];
        struct key other;
        if (!counterpart(p, row, &other))
            continue;
        /* The page may have changed since its counterparts were asked for. */
        p->changed =
            at >= p->asked || !bytes_equal(key_bytes(&other), key_bytes(&p->counterparts[at]));
        if (p->changed)
            break;
        struct bytes value = {0};
        bool has = rule_row(&s->txn, 1 + at, &value);
        if (p->kind == PAIR_DUE || p->kind == PAIR_NAMED)
            check_message_pair(p, row, key_bytes(&other), has, value);
        else if (p->kind == PAIR_SENDER || p->kind == PAIR_HEAD)
            check_head_pair(p, row, key_bytes(&other), has, value);
        else if (p->kind == PAIR_BY_NODE)
            check_pair(p->check, row->key, row->value, true, key_bytes(&other), value, has);
        else if (!has)
            check_pair(p->check, key_bytes(&other), value, false, row->key, row->value, true);
        at++;
    }
    p->more = page.more && page.count > 0;
    if (p->changed || !p->more)
        return;
    struct bytes last = page.rows[page.count - 1].key;
    memcpy(p->range.begin.data, last.data, last.len);
    p->range.begin.data[last.len] = 0;
    p->range.begin.len = last.len + 1;
}

static int check_pairs(struct check *c, struct key_range range, enum pair_kind kind)
{
    struct pairs p = {.check = c, .range = range, .kind = kind};
    struct scan *s = c->scan;
    unsigned tries = 0;
    int err = 0;
    do {
        p.asked = SIZE_MAX;
        p.changed = p.more = false;
        scan_begin(s, pairs_rule, &p);
        (void)txn_read_range(&s->txn, key_bytes(&p.range.begin), key_bytes(&p.range.end), PAIR_ROWS,
                             true);
        err = scan_run(s, look_at_pairs, &p);
        tries = p.changed ? tries + 1 : 0;
    } while (!err && (p.more || p.changed) && tries < PAIR_TRIES_MAX);
    return err;
}

static int check_all_pairs(struct check *c)
{
    const struct {
        struct key_range range;
        enum pair_kind kind;
    } all[] = {
        {keys_by_node_all(c->ks), PAIR_BY_NODE}, {keys_actors(c->ks), PAIR_ACTOR},
        {keys_actors(c->ks), PAIR_HEAD},         {keys_later_all(c->ks), PAIR_DUE},
        {keys_later_all(c->ks), PAIR_NAMED},     {keys_inbox_all(c->ks), PAIR_SENDER},
        {keys_later_all(c->ks), PAIR_SENDER},    {keys_dead_all(c->ks), PAIR_SENDER},
    };
    int err = 0;
    for (size_t i = 0; !err && i < ARRAY_LEN(all); i++)
        err = check_pairs(c, all[i].range, all[i].kind);
    return err;
}

/* ---- the whole ---- */

static void on_wrong_head(void *arg, struct bytes key, const char *what)
{
    problem(arg, key, "%s", what);
}

int store_check(struct scan *s, check_problem_fn *fn, void *arg, struct check_counts *counts)
{
    struct check c = {
        .scan = s, .ks = &s->ks, .fn = fn, .arg = arg, .counts = counts, .shards = SHARDS_DEFAULT};
    memset(counts, 0, sizeof(*counts));
    buf_init(&c.scratch, s->world->env.mem);
    buf_init(&c.text, s->world->env.mem);
    heads_init(&c.heads, s);
    int err = scan_range(s, keys_all(c.ks), check_row, &c);
    if (!err)
        err = heads_check(&c.heads, on_wrong_head, &c);
    if (!err)
        err = check_view(&c);
    if (!err)
        err = check_all_pairs(&c);
    heads_deinit(&c.heads);
    buf_deinit(&c.scratch);
    buf_deinit(&c.text);
    return err;
}

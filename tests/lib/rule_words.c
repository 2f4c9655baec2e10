/* The rig's words: rows from scenes, and scenes from rows. */
#include <stdarg.h>
#include <stdio.h>

#include "lib/rule_rig.h"

static const char state_letters[] = "LJAVF"; /* in the order of enum node_state */

/* ---- words: reading */

struct uuid rig_boot(const char *id, unsigned n)
{
    struct uuid u = {{0}};
    for (size_t i = 0; i < 8 && id[i]; i++)
        u.b[i] = (uint8_t)id[i];
    u.b[15] = (uint8_t)n;
    return u;
}

static uint64_t number(const char **at)
{
    char *end;
    uint64_t v = strtoull(*at, &end, 10);
    CHECK(end != *at);
    *at = end;
    return v;
}

static bool take(const char **at, char c)
{
    if (**at != c)
        return false;
    (*at)++;
    return true;
}

/* "2" or "2b1": incarnation and boot. */
static void take_life(const char **at, struct life *l)
{
    l->incarnation = number(at);
    unsigned boot = take(at, 'b') ? (unsigned)number(at) : (unsigned)l->incarnation;
    l->boot = rig_boot(l->node_id, boot);
}

static size_t take_id(const char **at, char id[NODE_ID_MAX + 1], const char *until)
{
    size_t len = strcspn(*at, until);
    CHECK(len <= NODE_ID_MAX);
    memcpy(id, *at, len);
    id[len] = '\0';
    *at += len;
    return len;
}

struct life rig_life(const char *word)
{
    struct life l = {.incarnation = 0};
    (void)take_id(&word, l.node_id, "0123456789");
    take_life(&word, &l);
    return l;
}

size_t rig_silences(const char *words, struct silence *out, size_t max)
{
    size_t count = 0;
    while (*words) {
        CHECK(count < max);
        struct silence *s = &out[count++];
        memset(s, 0, sizeof(*s));
        (void)take_id(&words, s->life.node_id, "0123456789");
        take_life(&words, &s->life);
        s->counter = take(&words, '~') ? number(&words) : 0;
        words += strspn(words, " ");
    }
    return count;
}

#define RIG_PUT(r, name, k, record)                                                                \
    do {                                                                                           \
        struct key key_ = (k);                                                                     \
        struct buf value_;                                                                         \
        buf_init(&value_, (r)->env.mem);                                                           \
        name##_record_encode((record), key_bytes(&key_), &value_);                                 \
        rig_put((r), key_, buf_bytes(&value_));                                                    \
        buf_deinit(&value_);                                                                       \
    } while (0)

#define RIG_DECODER(name)                                                                          \
    static bool name##_of(struct rig *r, const struct rig_row *row, struct name##_record *out)     \
    {                                                                                              \
        struct buf scratch;                                                                        \
        memset(out, 0, sizeof(*out));                                                              \
        if (!row || row->deleted)                                                                  \
            return false;                                                                          \
        buf_init(&scratch, r->env.mem);                                                            \
        int err = name##_record_decode(key_bytes(&row->key), bytes_of(row->value, row->len),       \
                                       &scratch, out);                                             \
        buf_deinit(&scratch);                                                                      \
        return err == 0;                                                                           \
    }

RIG_DECODER(node)
RIG_DECODER(heartbeat)
RIG_DECODER(view)
RIG_DECODER(view_change)
RIG_DECODER(primary)
RIG_DECODER(term)
RIG_DECODER(format)
RIG_DECODER(probe)
RIG_DECODER(incarnation_floor)
RIG_DECODER(founded)
RIG_DECODER(generation_floor)
RIG_DECODER(types)

static struct life life_of(struct rig *r, const char *id)
{
    struct key key = key_node(&r->ks, id);
    struct node_record n;
    (void)node_of(r, rig_find(r, key_bytes(&key)), &n);
    struct life l = {.incarnation = n.incarnation, .boot = n.boot};
    (void)snprintf(l.node_id, sizeof(l.node_id), "%s", id);
    return l;
}

static void scene_node(struct rig *r, const char *word)
{
    struct node_record n = {.lease_ms = 2000, .format_max = RECORD_VERSION};
    struct life l;
    (void)take_id(&word, l.node_id, "=");
    CHECK(take(&word, '='));
    const char *letter = strchr(state_letters, *word++);
    CHECK(letter);
    n.state = (enum node_state)(letter - state_letters);
    take_life(&word, &l);
    n.incarnation = l.incarnation;
    n.boot = l.boot;
    n.gone_view = take(&word, '@') ? number(&word) : 0;
    n.touched = take(&word, '^') ? number(&word) : 0;
    n.flagged = take(&word, '!');
    if (take(&word, ':'))
        n.format_max = (uint32_t)number(&word);
    CHECK(*word == '\0');
    (void)snprintf(n.addr, sizeof(n.addr), "at-%.32s", l.node_id);
    RIG_PUT(r, node, key_node(&r->ks, l.node_id), &n);
}

static void scene_heartbeat(struct rig *r, const char *word)
{
    char id[NODE_ID_MAX + 1];
    (void)take_id(&word, id, "~");
    struct life l = life_of(r, id);
    CHECK(take(&word, '~'));
    struct heartbeat_record h = {.counter = number(&word)};
    h.ack = take(&word, '/') ? number(&word) : 0;
    if (take(&word, '#'))
        take_life(&word, &l);
    while (take(&word, '>')) {
        CHECK(h.unreachable_count < UNREACHABLE_MAX);
        struct unreachable_peer *u = &h.unreachable[h.unreachable_count++];
        (void)take_id(&word, u->node_id, "0123456789");
        u->incarnation = number(&word);
    }
    CHECK(*word == '\0');
    h.incarnation = l.incarnation;
    h.boot = l.boot;
    RIG_PUT(r, heartbeat, key_heartbeat(&r->ks, id), &h);
}

static void scene_view(struct rig *r, const char *word)
{
    struct view_record v = {.number = number(&word)};
    for (size_t i = 0; i < r->row_count; i++) {
        struct key_parts parts;
        struct node_record n;
        uint64_t hi, lo;
        CHECK(key_parse(&r->ks, key_bytes(&r->rows[i].key), &parts) == 0);
        if (parts.family != KEY_NODE || !node_of(r, &r->rows[i], &n) || n.state != NODE_ACTIVE)
            continue;
        member_hash(parts.node_id, n.incarnation, &hi, &lo);
        v.count++;
        v.hash_hi += hi;
        v.hash_lo += lo;
    }
    if (take(&word, '('))
        v.count = number(&word);
    RIG_PUT(r, view, key_view(&r->ks), &v);
}

static void scene_primary(struct rig *r, const char *word)
{
    struct primary_record p = {.vacant = *word == '-'};
    struct life l;
    (void)take_id(&word, l.node_id, "#/");
    if (!p.vacant) {
        l = life_of(r, l.node_id);
        memcpy(p.node_id, l.node_id, sizeof(p.node_id));
    }
    if (take(&word, '#'))
        take_life(&word, &l);
    CHECK(take(&word, '/'));
    if (!p.vacant) {
        p.incarnation = l.incarnation;
        p.boot = l.boot;
    }
    p.term = number(&word);
    RIG_PUT(r, primary, key_primary(&r->ks), &p);
}

static void scene_change(struct rig *r, const char *word)
{
    struct view_change_record c = {.kind = *word == '+' ? VIEW_ADD : VIEW_REMOVE};
    word++;
    (void)take_id(&word, c.node_id, "0123456789");
    struct life l = life_of(r, c.node_id);
    c.incarnation = l.incarnation;
    c.boot = l.boot;
    RIG_PUT(r, view_change, key_view_change(&r->ks, number(&word)), &c);
}

static void scene_probe(struct rig *r, const char *word)
{
    struct life l;
    (void)take_id(&word, l.node_id, "=");
    CHECK(take(&word, '='));
    struct probe_record p = {.counter = number(&word)};
    CHECK(take(&word, 'b'));
    p.boot = rig_boot(l.node_id, (unsigned)number(&word));
    RIG_PUT(r, probe, key_probe(&r->ks, l.node_id), &p);
}

static void scene_types(struct rig *r, const char *word)
{
    char id[NODE_ID_MAX + 1];
    (void)take_id(&word, id, "=");
    struct life l = life_of(r, id);
    CHECK(take(&word, '='));
    struct types_record t = {.number = number(&word)};
    if (take(&word, '#'))
        take_life(&word, &l);
    while (take(&word, '>')) {
        CHECK(t.count < CLASS_COUNT_MAX);
        struct hosted_type *h = &t.types[t.count++];
        size_t len = strcspn(word, ".");
        CHECK(len <= ACTOR_TYPE_MAX);
        memcpy(h->type, word, len);
        word += len + 1;
        h->version = (uint32_t)number(&word);
    }
    CHECK(*word == '\0');
    t.incarnation = l.incarnation;
    t.boot = l.boot;
    RIG_PUT(r, types, key_types(&r->ks, id), &t);
}

static void scene_placed(struct rig *r, const char *id)
{
    struct by_node_record b = {.generation = 1};
    struct life l = life_of(r, id);
    RIG_PUT(r, by_node, key_by_node(&r->ks, id, l.incarnation, "counter", "x"), &b);
}

static const char *after(const char *word, const char *prefix)
{
    size_t len = strlen(prefix);
    return strncmp(word, prefix, len) == 0 ? word + len : NULL;
}

static void scene_word(struct rig *r, const char *word)
{
    const char *rest;
    if ((rest = after(word, "view="))) {
        scene_view(r, rest);
    } else if ((rest = after(word, "primary="))) {
        scene_primary(r, rest);
    } else if ((rest = after(word, "term="))) {
        struct term_record t = {.term = number(&rest)};
        RIG_PUT(r, term, key_term(&r->ks), &t);
    } else if ((rest = after(word, "format="))) {
        struct format_record f = {.version = number(&rest), .cluster_id = rig_boot("format", 1)};
        RIG_PUT(r, format, key_format(&r->ks), &f);
    } else if ((rest = after(word, "floor="))) {
        struct incarnation_floor_record f = {.incarnation = number(&rest)};
        RIG_PUT(r, incarnation_floor, key_incarnation_floor(&r->ks), &f);
    } else if ((rest = after(word, "generations="))) {
        struct generation_floor_record f = {.generation = number(&rest)};
        RIG_PUT(r, generation_floor, key_generation_floor(&r->ks), &f);
    } else if ((rest = after(word, "founded="))) {
        struct founded_record f = {.cluster_id = rig_boot(rest, 1)};
        RIG_PUT(r, founded, key_founded(&r->ks), &f);
    } else if ((rest = after(word, "types:"))) {
        scene_types(r, rest);
    } else if ((rest = after(word, "placed:"))) {
        scene_placed(r, rest);
    } else if ((rest = after(word, "probe:"))) {
        scene_probe(r, rest);
    } else if (*word == '+' || *word == '-') {
        scene_change(r, word);
    } else if (strchr(word, '~')) {
        scene_heartbeat(r, word);
    } else {
        scene_node(r, word);
    }
}

void rig_scene(struct rig *r, const char *words)
{
    char word[NODE_ID_MAX + 64];
    while (*words) {
        size_t len = strcspn(words, " ");
        CHECK(len < sizeof(word));
        memcpy(word, words, len);
        word[len] = '\0';
        scene_word(r, word);
        words += len;
        words += strspn(words, " ");
    }
}

static struct key key_by_word(const struct rig *r, const char *name)
{
    const struct {
        const char *name;
        struct key key;
    } fixed[] = {{"view", key_view(&r->ks)},
                 {"primary", key_primary(&r->ks)},
                 {"term", key_term(&r->ks)},
                 {"format", key_format(&r->ks)},
                 {"floor", key_incarnation_floor(&r->ks)},
                 {"generations", key_generation_floor(&r->ks)},
                 {"founded", key_founded(&r->ks)}};
    for (size_t i = 0; i < ARRAY_LEN(fixed); i++)
        if (strcmp(fixed[i].name, name) == 0)
            return fixed[i].key;
    if (name[0] == '~')
        return key_heartbeat(&r->ks, name + 1);
    if (after(name, "placed:"))
        return key_by_node(&r->ks, after(name, "placed:"),
                           life_of((struct rig *)(uintptr_t)r, after(name, "placed:")).incarnation,
                           "counter", "x");
    if (after(name, "types:"))
        return key_types(&r->ks, after(name, "types:"));
    if (after(name, "probe:"))
        return key_probe(&r->ks, after(name, "probe:"));
    if (name[0] == '+')
        return key_view_change(&r->ks, strtoull(name + 1, NULL, 10));
    return key_node(&r->ks, name);
}

struct rig_row *rig_row(struct rig *r, const char *name)
{
    struct key key = key_by_word(r, name);
    return rig_find(r, key_bytes(&key));
}

void rig_touch(struct rig *r, const char *name)
{
    struct rig_row *row = rig_row(r, name);
    CHECK(row);
    row->version = ++r->version;
}

/* ---- words: writing */

struct words {
    char *out;
    size_t len;
};

static void say(struct words *w, const char *fmt, ...) PRINTF_LIKE(2, 3);
static void say(struct words *w, const char *fmt, ...)
{
    va_list ap;
    va_start(ap, fmt);
    int n = vsnprintf(w->out + w->len, RIG_TEXT_MAX - w->len, fmt, ap);
    va_end(ap);
    CHECK(n >= 0 && (size_t)n < RIG_TEXT_MAX - w->len);
    w->len += (size_t)n;
}

#define LLU(v) ((unsigned long long)(v))

static void say_life(struct words *w, uint64_t incarnation, struct uuid boot)
{
    say(w, "%llu", LLU(incarnation));
    if (boot.b[15] != incarnation)
        say(w, "b%u", boot.b[15]);
}

static void say_node(struct words *w, const char *id, const struct node_record *n)
{
    say(w, "%s=%c", id, state_letters[n->state]);
    say_life(w, n->incarnation, n->boot);
    if (n->gone_view)
        say(w, "@%llu", LLU(n->gone_view));
    if (n->touched)
        say(w, "^%llu", LLU(n->touched));
    if (n->flagged)
        say(w, "!");
    if (n->format_max > RECORD_VERSION)
        say(w, ":%u", n->format_max);
}

static void say_heartbeat(struct rig *r, struct words *w, const char *id,
                          const struct heartbeat_record *h)
{
    struct life l = life_of(r, id);
    say(w, "%s~%llu/%llu", id, LLU(h->counter), LLU(h->ack));
    if (h->incarnation != l.incarnation || !uuid_equal(h->boot, l.boot)) {
        say(w, "#");
        say_life(w, h->incarnation, h->boot);
    }
    for (uint32_t i = 0; i < h->unreachable_count; i++)
        say(w, ">%s%llu", h->unreachable[i].node_id, LLU(h->unreachable[i].incarnation));
}

static void say_types(struct rig *r, struct words *w, const char *id, const struct types_record *t)
{
    struct life l = life_of(r, id);
    say(w, "types:%s=%llu", id, LLU(t->number));
    if (t->incarnation != l.incarnation || !uuid_equal(t->boot, l.boot)) {
        say(w, "#");
        say_life(w, t->incarnation, t->boot);
    }
    for (uint32_t i = 0; i < t->count; i++)
        say(w, ">%s.%u", t->types[i].type, t->types[i].version);
}

static void say_primary(struct rig *r, struct words *w, const struct primary_record *p)
{
    if (p->vacant) {
        say(w, "primary=-/%llu", LLU(p->term));
        return;
    }
    struct life l = life_of(r, p->node_id);
    say(w, "primary=%s", p->node_id);
    if (p->incarnation != l.incarnation || !uuid_equal(p->boot, l.boot)) {
        say(w, "#");
        say_life(w, p->incarnation, p->boot);
    }
    say(w, "/%llu", LLU(p->term));
}

union any_record {
    struct node_record node;
    struct heartbeat_record heartbeat;
    struct view_record view;
    struct view_change_record change;
    struct primary_record primary;
    struct term_record term;
    struct format_record format;
    struct probe_record probe;
    struct incarnation_floor_record floor;
    struct founded_record founded;
    struct generation_floor_record generations;
    struct types_record types;
};

static void say_row(struct rig *r, struct words *w, const struct rig_row *row)
{
    union any_record u;
    struct key_parts parts;
    CHECK(key_parse(&r->ks, key_bytes(&row->key), &parts) == 0);
    if (w->len)
        say(w, " ");
    if (row->deleted && parts.node_id[0])
        say(w, "gone:%s%s",
            parts.family == KEY_HEARTBEAT ? "~"
            : parts.family == KEY_PROBE   ? "?"
            : parts.family == KEY_TYPES   ? "types:"
                                          : "",
            parts.node_id);
    else if (row->deleted)
        say(w, "gone:%llu", LLU(parts.number));
    else if (parts.family == KEY_NODE && node_of(r, row, &u.node))
        say_node(w, parts.node_id, &u.node);
    else if (parts.family == KEY_HEARTBEAT && heartbeat_of(r, row, &u.heartbeat))
        say_heartbeat(r, w, parts.node_id, &u.heartbeat);
    else if (parts.family == KEY_TYPES && types_of(r, row, &u.types))
        say_types(r, w, parts.node_id, &u.types);
    else if (parts.family == KEY_VIEW && view_of(r, row, &u.view))
        say(w, "view=%llu(%llu)", LLU(u.view.number), LLU(u.view.count));
    else if (parts.family == KEY_VIEW_CHANGE && view_change_of(r, row, &u.change))
        say(w, "%c%s%llu", u.change.kind == VIEW_ADD ? '+' : '-', u.change.node_id,
            LLU(parts.number));
    else if (parts.family == KEY_PRIMARY && primary_of(r, row, &u.primary))
        say_primary(r, w, &u.primary);
    else if (parts.family == KEY_TERM && term_of(r, row, &u.term))
        say(w, "term=%llu", LLU(u.term.term));
    else if (parts.family == KEY_INCARNATION_FLOOR && incarnation_floor_of(r, row, &u.floor))
        say(w, "floor=%llu", LLU(u.floor.incarnation));
    else if (parts.family == KEY_GENERATION_FLOOR && generation_floor_of(r, row, &u.generations))
        say(w, "generations=%llu", LLU(u.generations.generation));
    else if (parts.family == KEY_FOUNDED && founded_of(r, row, &u.founded))
        say(w, "founded=%.8s", (const char *)u.founded.cluster_id.b);
    else if (parts.family == KEY_FORMAT && format_of(r, row, &u.format))
        say(w, "format=%llu", LLU(u.format.version));
    else if (parts.family == KEY_PROBE && probe_of(r, row, &u.probe))
        say(w, "probe:%s=%llub%u", parts.node_id, LLU(u.probe.counter), u.probe.boot.b[15]);
    else
        say(w, "?%d", (int)parts.family);
}

static const char *words_of(struct rig *r, char out[RIG_TEXT_MAX], bool written_only)
{
    struct words w = {.out = out};
    out[0] = '\0';
    for (size_t i = 0; i < r->row_count; i++)
        if (r->rows[i].written || (!written_only && !r->rows[i].deleted))
            say_row(r, &w, &r->rows[i]);
    return out;
}

const char *rig_written(struct rig *r, char out[RIG_TEXT_MAX])
{
    return words_of(r, out, true);
}

const char *rig_all(struct rig *r, char out[RIG_TEXT_MAX])
{
    return words_of(r, out, false);
}

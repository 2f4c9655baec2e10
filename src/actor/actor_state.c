#include "actor/actor_state.h"

#include <stdio.h>

#include "kelpie/error.h"

/* What a store key can hold whatever the bytes are, and what the public header promises. */
#define KEY_LEN_MAX (KELPIE_STATE_KEY_MAX < STATE_KEY_MAX ? KELPIE_STATE_KEY_MAX : STATE_KEY_MAX)

struct state_entry {
    struct map_node node;
    struct list touched_link;
    struct list unsaved_link;
    struct list based_link;
    bool present; /* false: deleted, but the store still has it or the message may be taken back */
    bool unsaved;
    bool touched;
    bool aside; /* touched by the open turn, which waits: `old` is its own */
    /* As it is committed, when it differs from that or may. */
    bool based;
    bool base_present;
    uint8_t *base;
    size_t base_len;
    /* As before the message, when touched. */
    bool old_present;
    bool old_unsaved;
    uint8_t *value;
    size_t value_len;
    uint8_t *old_value;
    size_t old_value_len;
    size_t key_len;
    uint8_t key[];
};

void actor_state_init(struct actor_state *s, struct mem mem)
{
    *s = (struct actor_state){.mem = mem};
    map_init(&s->entries);
    list_init(&s->touched);
    list_init(&s->aside);
    list_init(&s->unsaved);
    list_init(&s->based);
}

static void entry_free(struct actor_state *s, struct state_entry *e)
{
    map_remove(&s->entries, &e->node);
    list_remove(&e->touched_link);
    list_remove(&e->unsaved_link);
    list_remove(&e->based_link);
    mem_free(s->mem, e->base);
    mem_free(s->mem, e->value);
    mem_free(s->mem, e->old_value);
    mem_free(s->mem, e);
}

void actor_state_deinit(struct actor_state *s)
{
    struct map_node *n;

    while ((n = map_first(&s->entries)))
        entry_free(s, MAP_ENTRY(n, struct state_entry, node));
    s->keys = s->bytes = s->unsaved_count = s->touched_count = 0;
    s->sum = 0;
}

static struct state_entry *find(const struct actor_state *s, struct bytes key)
{
    return MAP_ENTRY(map_find(&s->entries, key), struct state_entry, node);
}

static struct state_entry *entry_new(struct actor_state *s, struct bytes key)
{
    struct state_entry *e = mem_zalloc(s->mem, 1, sizeof *e + key.len);

    e->key_len = key.len;
    memcpy(e->key, key.data, key.len);
    list_init(&e->touched_link);
    list_init(&e->unsaved_link);
    list_init(&e->based_link);
    CHECK(!map_insert(&s->entries, &e->node, bytes_of(e->key, e->key_len)));
    return e;
}

static void set_unsaved(struct actor_state *s, struct state_entry *e, bool unsaved)
{
    if (e->unsaved == unsaved)
        return;
    e->unsaved = unsaved;
    if (unsaved) {
        list_append(&s->unsaved, &e->unsaved_link);
        s->unsaved_count++;
    } else {
        list_remove(&e->unsaved_link);
        s->unsaved_count--;
    }
}

static void count_in(struct actor_state *s, const struct state_entry *e)
{
    if (e->present) {
        s->sum += row_sum(bytes_of(e->key, e->key_len), bytes_of(e->value, e->value_len));
        s->keys++;
        s->bytes += e->key_len + e->value_len;
    }
}

static void count_out(struct actor_state *s, const struct state_entry *e)
{
    if (e->present) {
        s->sum -= row_sum(bytes_of(e->key, e->key_len), bytes_of(e->value, e->value_len));
        s->keys--;
        s->bytes -= e->key_len + e->value_len;
    }
}

int actor_state_load(struct actor_state *s, struct bytes key, struct bytes value)
{
    struct state_entry *e;

    if (key.len == 0 || s->keys + 1 > KELPIE_STATE_KEYS_MAX ||
        s->bytes + key.len + value.len > KELPIE_STATE_BYTES_MAX || find(s, key))
        return KELPIE_E_STORE_CORRUPT;
    e = entry_new(s, key);
    e->value = mem_dup(s->mem, value.data, value.len);
    e->value_len = value.len;
    e->present = true;
    count_in(s, e);
    return 0;
}

/* The entry's value in that view; false: there is none. */
static bool shown(const struct state_entry *e, enum state_view view, struct bytes *value)
{
    if (view == STATE_COMMITTED && e->based) {
        *value = bytes_of(e->base, e->base_len);
        return e->base_present;
    }
    if (view == STATE_COMMITTED && e->touched && !e->aside) {
        *value = bytes_of(e->old_value, e->old_value_len);
        return e->old_present;
    }
    *value = bytes_of(e->value, e->value_len);
    return e->present;
}

bool actor_state_get(const struct actor_state *s, enum state_view view, struct bytes key,
                     struct bytes *value)
{
    const struct state_entry *e = find(s, key);
    struct bytes v;

    if (!e || !shown(e, view, &v))
        return false;
    *value = v;
    return true;
}

/* Remembers how the entry was before the message, the first time the message changes it. */
static void touch(struct actor_state *s, struct state_entry *e)
{
    if (e->touched)
        return;
    e->touched = true;
    e->old_present = e->present;
    e->old_unsaved = e->unsaved;
    e->old_value = e->value;
    e->old_value_len = e->value_len;
    e->value = NULL;
    e->value_len = 0;
    list_append(&s->touched, &e->touched_link);
    s->touched_count++;
}

/* Gives the entry another value (NULL: none), owned by it from now on. */
static void change(struct actor_state *s, struct state_entry *e, uint8_t *value, size_t len)
{
    count_out(s, e);
    touch(s, e);
    mem_free(s->mem, e->value);
    e->value = value;
    e->value_len = len;
    e->present = value != NULL;
    count_in(s, e);
    set_unsaved(s, e, true);
}

static bool has_room(const struct actor_state *s, const struct state_entry *e, struct bytes key,
                     struct bytes value)
{
    bool present = e && e->present;
    size_t keys = s->keys + (present ? 0 : 1);
    size_t bytes = s->bytes - (present ? e->key_len + e->value_len : 0) + key.len + value.len;
    size_t changes = s->touched_count + (e && e->touched ? 0 : 1);

    return keys <= KELPIE_STATE_KEYS_MAX && bytes <= KELPIE_STATE_BYTES_MAX &&
           value.len <= KELPIE_STATE_VALUE_MAX && changes <= KELPIE_STATE_CHANGES_MAX;
}

void actor_state_why(const struct actor_state *s, struct bytes key, struct bytes value, char *out,
                     size_t size)
{
    if (s->erased)
        (void)snprintf(out, size, "the message has erased the actor");
    else if (key.len == 0)
        (void)snprintf(out, size, "a state key is empty");
    else if (key.len > KEY_LEN_MAX)
        (void)snprintf(out, size, "a state key has %zu bytes; at most %d are allowed", key.len,
                       KEY_LEN_MAX);
    else if (value.len > KELPIE_STATE_VALUE_MAX)
        (void)snprintf(out, size, "a state value has %zu bytes; at most %u are allowed", value.len,
                       KELPIE_STATE_VALUE_MAX);
    else if (s->unsaved_count >= KELPIE_STATE_CHANGES_MAX)
        (void)snprintf(out, size, "more than %d keys of the state would change at once",
                       KELPIE_STATE_CHANGES_MAX);
    else if (s->keys >= KELPIE_STATE_KEYS_MAX &&
             !actor_state_get(s, STATE_AS_IT_WILL_BE, key, &value))
        (void)snprintf(out, size, "the state would have more than %d keys", KELPIE_STATE_KEYS_MAX);
    else
        (void)snprintf(out, size, "the state would have more than %u bytes",
                       KELPIE_STATE_BYTES_MAX);
}

void actor_state_erase(struct actor_state *s)
{
    for (struct map_node *n = map_first(&s->entries); n; n = map_next(n)) {
        struct state_entry *e = MAP_ENTRY(n, struct state_entry, node);
        if (e->present)
            change(s, e, NULL, 0);
    }
    s->erased = true;
}

int actor_state_put(struct actor_state *s, struct bytes key, struct bytes value)
{
    struct state_entry *e;

    if (s->erased)
        return KELPIE_E_REFUSED;

    if (key.len == 0 || key.len > KEY_LEN_MAX)
        return KELPIE_E_INVALID;
    e = find(s, key);
    if (!has_room(s, e, key, value))
        return KELPIE_E_STATE_FULL;
    if (!e)
        e = entry_new(s, key);
    change(s, e, mem_dup(s->mem, value.data, value.len), value.len);
    return 0;
}

int actor_state_delete(struct actor_state *s, struct bytes key)
{
    struct state_entry *e;

    if (key.len == 0 || key.len > KEY_LEN_MAX)
        return KELPIE_E_INVALID;
    e = find(s, key);
    if (!e || !e->present)
        return 0;
    if (!e->touched && s->touched_count >= KELPIE_STATE_CHANGES_MAX)
        return KELPIE_E_STATE_FULL;
    change(s, e, NULL, 0);
    return 0;
}

bool actor_state_next(const struct actor_state *s, enum state_view view, struct bytes after,
                      struct bytes *key, struct bytes *value)
{
    struct map_node *n = after.len ? map_after(&s->entries, after) : map_first(&s->entries);

    for (; n; n = map_next(n)) {
        const struct state_entry *e = MAP_ENTRY(n, const struct state_entry, node);
        struct bytes v;
        if (shown(e, view, &v)) {
            *key = bytes_of(e->key, e->key_len);
            *value = v;
            return true;
        }
    }
    return false;
}

/* Neither the store nor the callback that runs knows it. */
static bool is_nothing(const struct state_entry *e)
{
    return !e->present && !e->unsaved && !e->touched && !(e->based && e->base_present);
}

bool actor_state_touched(const struct actor_state *s)
{
    return !list_empty(&s->touched);
}

void actor_state_not_erased(struct actor_state *s)
{
    s->erased = false;
}

void actor_state_rollback(struct actor_state *s)
{
    struct list *l;

    while ((l = list_pop(&s->touched))) {
        struct state_entry *e = LIST_ENTRY(l, struct state_entry, touched_link);
        count_out(s, e);
        mem_free(s->mem, e->value);
        e->value = e->old_value;
        e->value_len = e->old_value_len;
        e->old_value = NULL;
        e->present = e->old_present;
        e->touched = false;
        set_unsaved(s, e, e->old_unsaved);
        count_in(s, e);
        if (is_nothing(e))
            entry_free(s, e);
    }
    s->touched_count = 0;
    s->erased = false;
}

static void drop_base(struct state_entry *e, struct mem mem)
{
    mem_free(mem, e->base);
    e->base = NULL;
    e->base_len = 0;
    e->based = e->base_present = false;
    list_remove(&e->based_link);
}

/* `base`: owned by it from now on. */
static void set_base(struct actor_state *s, struct state_entry *e, bool present, uint8_t *base,
                     size_t len)
{
    if (!e->based)
        list_append(&s->based, &e->based_link);
    mem_free(s->mem, e->base);
    e->based = true;
    e->base_present = present;
    e->base = base;
    e->base_len = len;
}

static void keep(struct actor_state *s, bool differs)
{
    struct list *l;

    while ((l = list_pop(&s->touched))) {
        struct state_entry *e = LIST_ENTRY(l, struct state_entry, touched_link);
        if (differs && !e->based)
            set_base(s, e, e->old_present, e->old_value, e->old_value_len);
        else
            mem_free(s->mem, e->old_value);
        e->old_value = NULL;
        e->touched = false;
    }
    s->touched_count = 0;
}

void actor_state_keep(struct actor_state *s)
{
    keep(s, true);
}

void actor_state_begin(struct actor_state *s)
{
    keep(s, false);
}

/* The value before the turn and its own change places. */
static void exchange(struct actor_state *s, struct state_entry *e)
{
    uint8_t *value = e->value;
    size_t len = e->value_len;
    bool present = e->present;

    count_out(s, e);
    e->value = e->old_value;
    e->value_len = e->old_value_len;
    e->present = e->old_present;
    e->old_value = value;
    e->old_value_len = len;
    e->old_present = present;
    count_in(s, e);
}

void actor_state_lay_aside(struct actor_state *s)
{
    struct list *l;

    while ((l = list_pop(&s->touched))) {
        struct state_entry *e = LIST_ENTRY(l, struct state_entry, touched_link);
        exchange(s, e);
        e->aside = true;
        set_unsaved(s, e, e->old_unsaved);
        list_append(&s->aside, l);
    }
    s->touched_count = 0;
    s->aside_erased = s->erased;
    s->erased = false;
}

void actor_state_take_up(struct actor_state *s)
{
    struct list *l;

    CHECK(list_empty(&s->touched));
    s->erased = s->aside_erased;
    while ((l = list_pop(&s->aside))) {
        struct state_entry *e = LIST_ENTRY(l, struct state_entry, touched_link);
        exchange(s, e);
        e->aside = false;
        e->old_unsaved = e->unsaved; /* it may have been committed meanwhile */
        set_unsaved(s, e, true);
        list_append(&s->touched, l);
        s->touched_count++;
    }
}

static uint8_t *copy(uint8_t *at, const void *data, size_t len)
{
    if (len)
        memcpy(at, data, len);
    return at + len;
}

static void write_of(const struct state_entry *e, struct state_write *w, uint8_t **at)
{
    *w = (struct state_write){
        .key = bytes_of(*at, e->key_len),
        .value = bytes_of(*at + e->key_len, e->value_len),
        .present = e->present,
    };
    *at = copy(*at, e->key, e->key_len);
    *at = copy(*at, e->value, e->value_len);
}

static struct state_write *block_new(struct actor_state *s, size_t count, size_t bytes)
{
    return mem_alloc(s->mem, count * sizeof(struct state_write) + bytes);
}

static void take_whole(struct actor_state *s, struct state_write **block)
{
    struct state_write *w = *block = block_new(s, s->keys, s->bytes);
    uint8_t *at = (uint8_t *)(w + s->keys);

    for (struct map_node *n = map_first(&s->entries); n; n = map_next(n)) {
        const struct state_entry *e = MAP_ENTRY(n, const struct state_entry, node);
        if (e->present)
            write_of(e, w++, &at);
    }
}

static void take_changed(struct actor_state *s, struct state_write **block)
{
    struct state_write *w;
    size_t bytes = 0;
    uint8_t *at;

    LIST_FOREACH(l, &s->unsaved)
    {
        const struct state_entry *e = LIST_ENTRY(l, const struct state_entry, unsaved_link);
        bytes += e->key_len + e->value_len;
    }
    w = *block = block_new(s, s->unsaved_count, bytes);
    at = (uint8_t *)(w + s->unsaved_count);
    LIST_FOREACH(l, &s->unsaved)
    {
        write_of(LIST_ENTRY(l, const struct state_entry, unsaved_link), w++, &at);
    }
}

size_t actor_state_take(struct actor_state *s, struct state_write **block, bool *whole)
{
    size_t count;

    actor_state_keep(s);
    *whole = s->erased || s->unsaved_count > STATE_WRITES_MAX;
    s->erased = false;
    count = *whole ? s->keys : s->unsaved_count;
    if (*whole)
        take_whole(s, block);
    else
        take_changed(s, block);
    while (!list_empty(&s->unsaved)) {
        struct state_entry *e = LIST_ENTRY(s->unsaved.next, struct state_entry, unsaved_link);
        set_unsaved(s, e, false);
        if (is_nothing(e))
            entry_free(s, e);
    }
    return count;
}

/* It is committed with that value. */
static void rebase(struct actor_state *s, struct state_entry *e, bool present, struct bytes value)
{
    if (e->unsaved || e->touched) {
        set_base(s, e, present, present ? mem_dup(s->mem, value.data, value.len) : NULL, value.len);
        return;
    }
    if (e->based)
        drop_base(e, s->mem);
    if (is_nothing(e))
        entry_free(s, e);
}

void actor_state_committed(struct actor_state *s, const struct state_write *writes, size_t count,
                           bool whole)
{
    if (whole)
        LIST_FOREACH_SAFE(l, tmp, &s->based)
        {
            rebase(s, LIST_ENTRY(l, struct state_entry, based_link), false, bytes_of(NULL, 0));
        }
    for (size_t i = 0; i < count; i++) {
        struct state_entry *e = find(s, writes[i].key);
        if (e)
            rebase(s, e, writes[i].present, writes[i].value);
    }
}

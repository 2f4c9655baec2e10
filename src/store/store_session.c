#include "store/store_session.h"

#include "kelpie/error.h"
#include "store/core.h"
#include "store/store_limits.h"

#define SLOT_CHUNK 256
#define SLOT_ID_BITS 32

enum slot_kind { SLOT_FREE, SLOT_READ, SLOT_COMMIT, SLOT_WATCH };

struct slot {
    struct list link;
    uint32_t index;
    uint32_t generation; /* so that an answer to a cancelled request is not taken for another's */
    enum slot_kind kind;
    int status; /* of a deferred completion */
    uint64_t since_ns;
    struct store_req *req;
    struct store_watch *watch;
};

void session_init(struct session *s, struct mem mem, size_t request_max, size_t out_max)
{
    *s = (struct session){.mem = mem, .request_max = request_max, .out_max = out_max};
    buf_init(&s->out, mem);
    list_init(&s->free);
    list_init(&s->sent);
    list_init(&s->waiting);
    list_init(&s->deferred);
}

void session_deinit(struct session *s)
{
    CHECK(list_empty(&s->sent) && list_empty(&s->waiting) && list_empty(&s->deferred));
    for (size_t i = 0; i < s->chunk_count; i++)
        mem_free(s->mem, s->chunks[i]);
    mem_free(s->mem, s->chunks);
    buf_deinit(&s->out);
}

/* ---- slots */

static void slots_grow(struct session *s)
{
    s->chunks = mem_resize(s->mem, s->chunks, (s->chunk_count + 1) * sizeof(struct slot *));
    struct slot *chunk = MEM_NEW_ARRAY(s->mem, struct slot, SLOT_CHUNK);
    for (size_t i = 0; i < SLOT_CHUNK; i++) {
        chunk[i].index = (uint32_t)(s->chunk_count * SLOT_CHUNK + i);
        list_append(&s->free, &chunk[i].link);
    }
    s->chunks[s->chunk_count++] = chunk;
}

/* Always finds one. Over the bound its status says so: such a request is not sent, only told. */
static struct slot *slot_take(struct session *s, enum slot_kind kind)
{
    if (list_empty(&s->free))
        slots_grow(s);
    struct slot *slot = LIST_ENTRY(list_pop(&s->free), struct slot, link);
    slot->kind = kind;
    slot->generation++;
    slot->status = s->used++ < s->request_max ? 0 : KELPIE_E_LIMIT;
    return slot;
}

static void slot_free(struct session *s, struct slot *slot)
{
    CHECK(s->used > 0);
    s->used--;
    slot->kind = SLOT_FREE;
    slot->req = NULL;
    slot->watch = NULL;
    list_remove(&slot->link);
    list_append(&s->free, &slot->link);
}

static uint64_t slot_id(const struct slot *slot)
{
    return (uint64_t)slot->generation << SLOT_ID_BITS | slot->index;
}

static struct slot *slot_of_id(const struct session *s, uint64_t id, enum slot_kind kind)
{
    size_t index = (uint32_t)id;
    if (index >= s->chunk_count * SLOT_CHUNK)
        return NULL;
    struct slot *slot = &s->chunks[index / SLOT_CHUNK][index % SLOT_CHUNK];
    return slot->kind == kind && slot_id(slot) == id ? slot : NULL;
}

static void slot_complete(struct session *s, struct slot *slot, int status)
{
    struct store_req *req = slot->req;
    struct store_watch *w = slot->watch;
    slot_free(s, slot);
    if (req) {
        req->backend = NULL;
        req->fn(req, status);
    } else {
        w->backend = NULL;
        w->armed = false;
        w->fn(w);
    }
}

static void slot_move(struct slot *slot, struct list *to)
{
    list_remove(&slot->link);
    list_append(to, &slot->link);
}

static void slot_defer(struct session *s, struct slot *slot, int status)
{
    slot->status = status;
    slot_move(slot, &s->deferred);
}

static bool session_has_room(const struct session *s)
{
    return s->out.len - s->out_at < s->out_max;
}

/* ---- requests */

static struct slot *req_start(struct session *s, struct store_req *req, enum slot_kind kind)
{
    CHECK(req->fn && !req->backend);
    struct slot *slot = slot_take(s, kind);
    slot->req = req;
    req->backend = slot;
    req->id = slot_id(slot);
    return slot;
}

static void read_send(struct session *s, struct slot *slot)
{
    const struct store_req *req = slot->req;
    if (!session_has_room(s)) {
        slot_defer(s, slot, KELPIE_E_STORE_UNAVAILABLE);
        return;
    }
    store_encode_read(&s->out, slot_id(slot), req->reads, req->read_count);
    slot_move(slot, &s->sent);
}

void session_read(struct session *s, struct store_req *req, uint64_t now_ns)
{
    if (s->closing)
        return;
    CHECK(!req->results);
    struct slot *slot = req_start(s, req, SLOT_READ);
    if (!slot->status)
        slot->status = store_check_reads(req->reads, req->read_count);
    slot->since_ns = now_ns;
    if (slot->status)
        slot_defer(s, slot, slot->status);
    else if (s->up)
        read_send(s, slot);
    else
        slot_move(slot, &s->waiting);
}

void session_commit(struct session *s, struct store_req *req)
{
    if (s->closing)
        return;
    struct slot *slot = req_start(s, req, SLOT_COMMIT);
    if (!slot->status)
        slot->status = store_check_writes(req->writes, req->write_count);
    if (!slot->status && (!s->up || !session_has_room(s)))
        slot->status = KELPIE_E_STORE_UNAVAILABLE;
    if (slot->status) {
        slot_defer(s, slot, slot->status);
        return;
    }
    struct key_range ranges[STORE_READS_MAX];
    size_t count = core_conflicts(req, ranges);
    store_encode_commit(&s->out, slot_id(slot), req->read_version, ranges, count, req->writes,
                        req->write_count);
    slot_move(slot, &s->sent);
}

void session_cancel(struct session *s, struct store_req *req)
{
    struct slot *slot = req->backend;
    if (!slot)
        return;
    CHECK(slot->req == req);
    req->backend = NULL;
    slot_free(s, slot);
}

void session_watch(struct session *s, struct store_watch *w)
{
    if (s->closing)
        return;
    CHECK(w->fn && !w->armed);
    struct slot *slot = slot_take(s, SLOT_WATCH);
    bool fire = slot->status || !s->up || !session_has_room(s) || store_check_key(w->key) != 0;
    slot->watch = w;
    w->backend = slot;
    w->armed = true;
    w->id = slot_id(slot);
    if (fire) {
        slot_defer(s, slot, 0);
        return;
    }
    store_encode_watch(&s->out, w->id, w->since_version, w->key);
    slot_move(slot, &s->sent);
}

void session_unwatch(struct session *s, struct store_watch *w)
{
    struct slot *slot = w->backend;
    if (!w->armed || !slot)
        return;
    CHECK(slot->watch == w);
    if (s->up)
        store_encode_unwatch(&s->out, slot_id(slot));
    w->armed = false;
    w->backend = NULL;
    slot_free(s, slot);
}

/* ---- the connection comes and goes */

void session_up(struct session *s)
{
    s->up = true;
    struct list all;
    list_init(&all);
    struct list *item;
    while ((item = list_pop(&s->waiting)))
        list_append(&all, item);
    while ((item = list_pop(&all)))
        read_send(s, LIST_ENTRY(item, struct slot, link));
}

static int slot_lost_status(const struct slot *slot)
{
    return slot->kind == SLOT_COMMIT ? KELPIE_E_UNKNOWN_RESULT : KELPIE_E_STORE_UNAVAILABLE;
}

void session_down(struct session *s)
{
    s->up = false;
    s->out_at = 0;
    buf_clear(&s->out);
    /* What a completion asks for now waits or is deferred, so this ends. */
    while (!list_empty(&s->sent)) {
        struct slot *slot = LIST_ENTRY(s->sent.next, struct slot, link);
        slot_complete(s, slot, slot_lost_status(slot));
    }
}

bool session_expire(struct session *s, uint64_t before_ns, uint64_t *next_ns)
{
    while (!list_empty(&s->waiting)) {
        struct slot *slot = LIST_ENTRY(s->waiting.next, struct slot, link);
        if (slot->since_ns > before_ns) {
            *next_ns = slot->since_ns;
            return true;
        }
        slot_complete(s, slot, KELPIE_E_STORE_UNAVAILABLE);
    }
    return false;
}

bool session_has_deferred(const struct session *s)
{
    return !list_empty(&s->deferred);
}

void session_run_deferred(struct session *s)
{
    /* What completions defer is for the next time. */
    size_t n = 0;
    LIST_FOREACH(it, &s->deferred)
    n++;
    for (; n > 0 && !list_empty(&s->deferred); n--) {
        struct slot *slot = LIST_ENTRY(s->deferred.next, struct slot, link);
        slot_complete(s, slot, slot->status);
    }
}

void session_close(struct session *s)
{
    s->closing = true;
    session_down(s);
    while (!list_empty(&s->waiting))
        slot_complete(s, LIST_ENTRY(s->waiting.next, struct slot, link),
                      KELPIE_E_STORE_UNAVAILABLE);
    while (!list_empty(&s->deferred)) {
        struct slot *slot = LIST_ENTRY(s->deferred.next, struct slot, link);
        slot_complete(s, slot, slot->status);
    }
}

/* ---- answers */

static int answer_rows(struct session *s, struct bytes body)
{
    struct store_rows_msg msg;
    int err = store_decode_rows(body, s->mem, &msg);
    if (err)
        return err;
    struct slot *slot = slot_of_id(s, msg.id, SLOT_READ);
    if (!slot) { /* cancelled */
        mem_free(s->mem, msg.results);
        return 0;
    }
    struct store_req *req = slot->req;
    if (!msg.status && msg.result_count != req->read_count) {
        mem_free(s->mem, msg.results);
        return KELPIE_E_PROTOCOL;
    }
    if (!msg.status) {
        req->read_version = msg.version;
        req->results = msg.results;
    }
    slot_complete(s, slot, msg.status);
    return 0;
}

static int answer_committed(struct session *s, struct bytes body)
{
    uint64_t id, version;
    int status;
    int err = store_decode_committed(body, &id, &status, &version);
    if (err)
        return err;
    struct slot *slot = slot_of_id(s, id, SLOT_COMMIT);
    if (!slot)
        return 0;
    if (!status)
        slot->req->commit_version = version;
    slot_complete(s, slot, status);
    return 0;
}

static int answer_fired(struct session *s, struct bytes body)
{
    uint64_t id;
    int err = store_decode_number(body, &id);
    if (err)
        return err;
    struct slot *slot = slot_of_id(s, id, SLOT_WATCH);
    if (slot)
        slot_complete(s, slot, 0);
    return 0;
}

int session_answer(struct session *s, const struct store_frame *f)
{
    switch (f->type) {
    case STORE_MSG_ROWS:
        return answer_rows(s, f->body);
    case STORE_MSG_COMMITTED:
        return answer_committed(s, f->body);
    case STORE_MSG_FIRED:
        return answer_fired(s, f->body);
    default:
        return KELPIE_E_PROTOCOL;
    }
}

/*
 * What an activation has in hand of its inbox, and a message's turn (docs/adr/0018-messages.md; spec:
 * RunMessage). A nudge says only that there may be something: rows are read, their turns run through the
 * output gate, and the commit with their effects deletes them.
 */
#include "actor/activation.h"
#include "actor/chain.h"
#include "actor/class_methods.h"
#include "base/hash128.h"
#include "base/mark.h"
#include "base/mutant.h"

struct inbox_read {
    struct actors *actors;
    struct kelpie_actor *act; /* NULL: nobody waits */
    char type[ACTOR_TYPE_MAX + 1];
    char id[ACTOR_ID_MAX + 1];
    struct txn txn;
};

#define AGAIN_AFTER_FAILED_READ_MS 100

/* ---- in hand */

static void message_hold(struct message *m)
{
    m->refs++;
}

void message_release(struct message *m)
{
    CHECK(m->refs > 0);
    if (--m->refs == 0)
        mem_free(m->mem, m);
}

static void leave_hand(struct inbox *in, struct message *m)
{
    list_remove(&m->link);
    in->count--;
    message_release(m);
}

static void leave_mailbox(struct kelpie_actor *act, struct invocation *inv)
{
    list_remove(&inv->link);
    act->mailbox_count--;
    act->mail_count--;
}

static bool same_place(const struct message_at *a, const struct message_at *b)
{
    return a->due_ms == b->due_ms && a->generation == b->generation && a->number == b->number &&
           uuid_equal(a->sender, b->sender);
}

static bool has_in_hand(const struct inbox *in, const struct message_at *at)
{
    LIST_FOREACH(l, &in->hand)
    {
        if (same_place(&LIST_ENTRY(l, const struct message, link)->taken.at, at))
            return true;
    }
    return false;
}

static bool is_ordered_from(const struct message *m, const struct uuid *sender)
{
    return m->taken.at.due_ms == 0 && uuid_equal(m->taken.at.sender, *sender);
}

/* So many of that sender; SIZE_MAX: one of them has failed, and the others wait for it. */
static size_t in_hand_of(const struct inbox *in, const struct uuid *sender)
{
    size_t count = 0;

    LIST_FOREACH(l, &in->hand)
    {
        const struct message *m = LIST_ENTRY(l, const struct message, link);
        if (!is_ordered_from(m, sender))
            continue;
        if (m->failed && !MUTANT("orderlost"))
            return SIZE_MAX;
        count += !m->gone;
    }
    return count;
}

/* ---- the inbox */

static void on_again(void *arg)
{
    struct kelpie_actor *act = arg;

    act->inbox->dirty = true;
    inbox_poke(act);
}

static struct inbox *inbox_get(struct kelpie_actor *act)
{
    if (!act->inbox) {
        act->inbox = MEM_NEW(act->actors->env->mem, struct inbox);
        list_init(&act->inbox->hand);
        timer_init(&act->inbox->again, act->actors->env->timers, "inbox_again", on_again, act);
    }
    return act->inbox;
}

void inbox_free(struct kelpie_actor *act)
{
    struct inbox *in = act->inbox;

    if (!in)
        return;
    /* They are of this inbox, and would run beside those that are read again. */
    LIST_FOREACH_SAFE(l, tmp, &act->mailbox)
    {
        struct invocation *inv = LIST_ENTRY(l, struct invocation, link);
        if (inv->kind != INVOKE_MESSAGE)
            continue;
        leave_mailbox(act, inv);
        invocation_answer(act->actors, inv, 0, bytes_of(NULL, 0), NULL);
    }
    act->inbox = NULL;
    timer_stop(&in->again);
    if (in->read) {
        in->read->act = NULL;
        txn_cancel(&in->read->txn);
    }
    while (!list_empty(&in->hand))
        leave_hand(in, LIST_ENTRY(in->hand.next, struct message, link));
    mem_free(act->actors->env->mem, in);
}

/* Not before that long; sooner, if that was said before. */
static void read_again_in(struct kelpie_actor *act, uint64_t delay_ms)
{
    struct inbox *in = inbox_get(act);
    uint64_t due_ns = env_now_ns(act->actors->env) + delay_ms * NS_PER_MS;

    if (in->again.armed && in->again_ns <= due_ns)
        return;
    in->again_ns = due_ns;
    timer_start(&in->again, delay_ms * NS_PER_MS);
}

void inbox_note(struct kelpie_actor *act, uint64_t until_ms)
{
    struct inbox *in = inbox_get(act);

    in->dirty = true;
    if (until_ms > in->until_ms)
        in->until_ms = until_ms;
    inbox_poke(act);
}

/* ---- reading */

/* Still to be waited for, after an attempt that failed. Longer than it can be, and a clock has jumped. */
static uint64_t held_back_ms(const struct kelpie_actor *act, const struct message_record *r)
{
    uint64_t now = actors_wall_ms(act->actors);
    uint64_t left = r->again_ms > now ? r->again_ms - now : 0;

    return left <= MESSAGE_BACKOFF_MAX_MS ? left : 0;
}

static struct message *message_new(struct kelpie_actor *act, const struct message_at *at,
                                   const struct message_record *r)
{
    struct mem mem = act->actors->env->mem;
    struct message *m = mem_zalloc(mem, 1, sizeof *m + r->body.len);

    m->mem = mem;
    m->refs = 1;
    m->record = *r;
    if (r->body.len)
        memcpy(m->body, r->body.data, r->body.len);
    m->record.body = bytes_of(m->body, r->body.len);
    m->taken.at = *at;
    m->taken.record = &m->record;
    list_append(&act->inbox->hand, &m->link);
    act->inbox->count++;
    return m;
}

/* Its turn comes with the others in the mailbox. */
static void deliver(struct kelpie_actor *act, struct message *m)
{
    struct invocation *inv = mem_zalloc(act->actors->env->mem, 1, sizeof *inv);
    struct hash128 h = hash128_start();

    list_init(&inv->link);
    list_init(&inv->followers);
    list_init(&inv->sends);
    buf_init(&inv->reply, act->actors->env->mem);
    inv->kind = INVOKE_MESSAGE;
    inv->deadline_ns = UINT64_MAX;
    inv->arrived_ns = env_now_ns(act->actors->env);
    memcpy(inv->type, act_type(act), strlen(act_type(act)));
    memcpy(inv->id, act_id(act), strlen(act_id(act)));
    memcpy(inv->method, m->record.method, sizeof inv->method);
    hash128_bytes(&h, bytes_of(m->taken.at.sender.b, sizeof m->taken.at.sender.b));
    hash128_u64(&h, m->taken.at.generation);
    hash128_u64(&h, m->taken.at.number);
    hash128_u64(&h, m->record.due_ms);
    h = hash128_value(&h);
    for (unsigned i = 0; i < 8; i++) {
        inv->hash.b[i] = (uint8_t)(h.hi >> (8 * i));
        inv->hash.b[8 + i] = (uint8_t)(h.lo >> (8 * i));
    }
    message_origin(inv->hash, 0, inv->request_id);
    inv->mail = m;
    message_hold(m);
    list_append(&act->mailbox, &inv->link);
    act->mailbox_count++;
    act->mail_count++;
}

/* The row in hand; NULL: it is not to be had, which is told. */
static struct message *take_row(struct kelpie_actor *act, const struct store_row *row,
                                const struct message_at *at, struct buf *scratch)
{
    struct message_record r;

    buf_clear(scratch);
    if (message_record_decode(row->key, row->value, scratch, &r)) {
        SOMETIMES("message-cannot-be-read");
        (*act->actors->env->corrupt)++;
        log_error(&act->actors->env->log, "message_corrupt", "%s", ACT_FIELDS(act));
        return NULL;
    }
    return message_new(act, at, &r);
}

/* One page of the inbox: of each sender some, in order. */
struct page {
    struct message *found[INBOX_PAGE];
    size_t turn[INBOX_PAGE]; /* among those of its sender */
    size_t count;
    struct uuid sender; /* of the rows that are looked at */
    bool any, pass;     /* the rest of its rows are passed by */
    size_t of_sender;
};

static void look_at_row(struct kelpie_actor *act, struct page *p, const struct store_row *row,
                        struct buf *scratch)
{
    struct inbox *in = act->inbox;
    struct key_parts parts;
    struct message *m;

    if (key_parse(act->actors->ks, row->key, &parts) || parts.family != KEY_INBOX)
        return;
    if (!p->any || !uuid_equal(p->sender, parts.hash)) {
        p->any = true;
        p->sender = parts.hash;
        p->of_sender = in_hand_of(in, &parts.hash);
        p->pass = p->of_sender == SIZE_MAX;
    }
    const struct message_at at = {
        .sender = parts.hash, .generation = parts.generation, .number = parts.number};
    if (p->pass || has_in_hand(in, &at))
        return;
    if (p->of_sender >= INBOX_A_SENDER || in->count >= INBOX_IN_HAND_MAX) {
        p->pass = in->rest = true;
        return;
    }
    m = take_row(act, row, &at, scratch);
    if (!m) {
        p->pass = true;
        return;
    }
    uint64_t wait_ms = held_back_ms(act, &m->record);
    if (wait_ms == 0)
        wait_ms = quarantine_wait_ms(act, m->record.method);
    if (wait_ms > 0 && !MUTANT("orderlost")) {
        SOMETIMES("message-held-back");
        read_again_in(act, wait_ms);
        leave_hand(in, m);
        p->pass = true;
        return;
    }
    p->found[p->count] = m;
    p->turn[p->count++] = p->of_sender++;
}

static size_t take_ordered(struct kelpie_actor *act, struct store_result rows, struct buf *scratch)
{
    struct inbox *in = act->inbox;
    struct page p = {.count = 0};

    for (size_t i = 0; i < rows.count; i++)
        look_at_row(act, &p, &rows.rows[i], scratch);
    for (size_t turn = 0; turn < INBOX_A_SENDER; turn++)
        for (size_t i = 0; i < p.count; i++)
            if (p.turn[i] == turn)
                deliver(act, p.found[i]);
    in->cursor.len = 0;
    if (rows.more && p.any) {
        struct actor_ref ref = act_ref(act);
        uint32_t shard = actor_shard(ref.type, ref.id, cluster_shards(act->actors->cluster));
        SOMETIMES("inbox-read-by-pages");
        in->cursor = keys_inbox_from(ref.ks, shard, ref.type, ref.id, p.sender).end;
        in->rest |= !p.pass;
        in->dirty = true;
    } else {
        in->dirty |= in->rest;
    }
    return p.count;
}

static size_t take_due(struct kelpie_actor *act, struct store_result rows, struct buf *scratch)
{
    struct inbox *in = act->inbox;
    size_t count = 0;

    in->dirty |= rows.more;
    for (size_t i = 0; i < rows.count; i++) {
        struct key_parts parts;
        if (key_parse(act->actors->ks, rows.rows[i].key, &parts) || parts.family != KEY_LATER)
            continue;
        const struct message_at at = {.due_ms = parts.due_ms,
                                      .sender = parts.hash,
                                      .generation = parts.generation,
                                      .number = parts.number};
        if (has_in_hand(in, &at))
            continue;
        if (in->count >= INBOX_IN_HAND_MAX) {
            in->dirty = true;
            break;
        }
        struct message *m = take_row(act, &rows.rows[i], &at, scratch);
        uint64_t wait_ms = m ? quarantine_wait_ms(act, m->record.method) : 0;
        if (wait_ms > 0) {
            read_again_in(act, wait_ms);
            leave_hand(in, m);
        } else if (m) {
            deliver(act, m);
            count++;
        }
    }
    return count;
}

static void forget_gone(struct inbox *in)
{
    LIST_FOREACH_SAFE(l, tmp, &in->hand)
    {
        struct message *m = LIST_ENTRY(l, struct message, link);
        if (m->gone)
            leave_hand(in, m);
    }
}

static void take_rows(struct kelpie_actor *act, const struct txn *txn)
{
    struct inbox *in = act->inbox;
    struct buf scratch;
    size_t count;

    buf_init(&scratch, act->actors->env->mem);
    count = take_ordered(act, rule_rows(txn, INBOX_READ_ORDERED), &scratch);
    count += take_due(act, rule_rows(txn, INBOX_READ_DUE), &scratch);
    buf_deinit(&scratch);
    forget_gone(in);
    if (count > 0)
        gate_go_on(act);
    if (count > 0 || in->cursor.len > 0)
        inbox_poke(act);
    else if (in->dirty && in->count == 0)
        read_again_in(act, AGAIN_AFTER_FAILED_READ_MS);
}

static bool is_running(const struct kelpie_actor *act)
{
    return act->state == ACT_IDLE || act->state == ACT_COMMITTING;
}

static void on_read(struct txn *txn, int status)
{
    struct inbox_read *read = txn->arg;
    struct actors *a = read->actors;
    struct kelpie_actor *act = read->act;

    a->inbox_reads--;
    if (act) {
        act_hold(act);
        act->inbox->read = NULL;
        if (status == 0 && is_running(act) && !act->inbox->alone) {
            take_rows(act, txn);
        } else {
            forget_gone(act->inbox);
            act->inbox->dirty = true;
            if (!act->inbox->alone)
                read_again_in(act, AGAIN_AFTER_FAILED_READ_MS);
        }
        act_release(act);
    }
    mem_free(a->env->mem, read);
}

void inbox_poke(struct kelpie_actor *act)
{
    struct actors *a = act->actors;
    struct inbox *in = act->inbox;
    struct inbox_read *read;
    struct key_range range;
    struct actor_ref ref = {.ks = a->ks};

    if (!in || !in->dirty || in->read || in->alone || in->count > INBOX_LOW || act_leaves(act) ||
        a->closed || !is_running(act))
        return;
    read = MEM_NEW(a->env->mem, struct inbox_read);
    read->actors = a;
    read->act = act;
    memcpy(read->type, act_type(act), strlen(act_type(act)));
    memcpy(read->id, act_id(act), strlen(act_id(act)));
    ref.type = read->type;
    ref.id = read->id;
    range = keys_inbox(a->ks, actor_shard(ref.type, ref.id, cluster_shards(a->cluster)), ref.type,
                       ref.id);
    if (in->cursor.len > 0)
        range.begin = in->cursor;
    else
        in->rest = false;
    in->dirty = false;
    in->read = read;
    a->inbox_reads++;
    read_inbox_txn(&read->txn, a->env, &ref, &range, in->until_ms, on_read, read);
    read->txn.fail_fast = true;
    txn_start(&read->txn);
}

/* ---- turns */

/* Those behind it, of its sender, or all: they are read again. */
static void put_back(struct kelpie_actor *act, const struct message *of)
{
    struct inbox *in = act->inbox;

    LIST_FOREACH_SAFE(l, tmp, &act->mailbox)
    {
        struct invocation *inv = LIST_ENTRY(l, struct invocation, link);
        if (!inv->mail || (of && !is_ordered_from(inv->mail, &of->taken.at.sender)))
            continue;
        SOMETIMES("messages-put-back");
        leave_mailbox(act, inv);
        leave_hand(in, inv->mail);
        invocation_answer(act->actors, inv, 0, bytes_of(NULL, 0), NULL);
        in->dirty = true;
    }
}

static uint64_t backoff_ms(uint32_t attempts)
{
    uint64_t ms = MESSAGE_BACKOFF_MIN_MS;

    while (attempts-- > 1 && ms < MESSAGE_BACKOFF_MAX_MS)
        ms *= 2;
    return ms < MESSAGE_BACKOFF_MAX_MS ? ms : MESSAGE_BACKOFF_MAX_MS;
}

/* What is certainly past when it runs: no clock that is ahead counts, only what a nudge has said. */
static uint64_t past_ms(const struct kelpie_actor *act, const struct message *m)
{
    uint64_t now = actors_wall_ms(act->actors);

    if (now > act->inbox->until_ms)
        now = act->inbox->until_ms;
    return now > m->record.due_ms ? now : m->record.due_ms;
}

static void next_period(struct message *m)
{
    struct commit_taken *t = &m->taken;
    uint64_t step = m->record.every_ms * (MUTANT("doubleperiod") ? 2 : 1);

    t->again = true;
    t->again_record = m->record;
    t->again_record.due_ms += step * (m->missed + 1);
    t->again_record.attempts = 0;
    t->again_record.error = 0;
    t->again_record.again_ms = 0;
    t->again_record.tried = 0;
    t->again_at = t->at;
    t->again_at.due_ms = t->again_record.due_ms;
}

static void try_again(struct kelpie_actor *act, struct message *m, int error)
{
    struct commit_taken *t = &m->taken;

    t->again = m->failed = true;
    t->again_record = m->record;
    t->again_record.attempts = t->attempts;
    t->again_record.error = error;
    t->again_record.tried = 0;
    t->again_record.again_ms = actors_wall_ms(act->actors) + backoff_ms(t->attempts);
    t->again_at = t->at;
    if (t->at.due_ms)
        t->again_at.due_ms = t->again_record.again_ms;
    else if (!MUTANT("orderlost"))
        put_back(act, m);
}

static void bury(struct message *m, int error)
{
    SOMETIMES("dead-letter");
    m->taken.dead = true;
    m->taken.error = error;
    if (m->record.every_ms)
        next_period(m);
}

/* A refusal stays one however often it is asked; a failure may pass. */
static void decide(struct kelpie_actor *act, struct message *m, int status, bool unreached)
{
    m->taken.attempts = m->record.attempts + (status != 0 && !unreached);
    if (status == 0) {
        if (m->record.every_ms)
            next_period(m);
    } else if (!kelpie_error_retry(status) || m->taken.attempts >= MESSAGE_ATTEMPTS_MAX) {
        bury(m, status);
    } else {
        SOMETIMES("message-failed");
        try_again(act, m, status);
    }
}

/* ---- a message that may be what ends processes */

/* The first of an activation, and older than it should be: whoever had it before may have died of it. */
static bool is_suspect(const struct kelpie_actor *act, const struct message *m)
{
    const struct message_record *r = &m->record;
    uint64_t now = actors_wall_ms(act->actors),
             due = r->due_ms > r->sent_ms ? r->due_ms : r->sent_ms;

    if (r->again_ms > due)
        due = r->again_ms;
    return act->inbox->turns == 0 && r->tried != act->generation &&
           (r->tried > 0 || (now > due ? now - due : due - now) > MESSAGE_SUSPECT_MS);
}

/* It is noted that it is being tried, before it runs, and it runs by itself: so the attempt counts if
 * the process dies of it. */
static void note_trial(struct kelpie_actor *act, struct invocation *inv)
{
    struct message *m = inv->mail;
    struct commit_taken *t = &m->taken;

    SOMETIMES("message-tried-by-itself");
    t->attempts = m->record.attempts + (m->record.tried > 0);
    if (t->attempts >= MESSAGE_ATTEMPTS_MAX) {
        SOMETIMES("message-whose-processes-died");
        bury(m, KELPIE_E_HANDLER_FAILED);
    } else {
        t->again = true;
        t->again_record = m->record;
        t->again_record.attempts = t->attempts;
        t->again_record.tried = act->generation;
        t->again_at = t->at;
        act->inbox->alone = m;
        put_back(act, NULL);
    }
    inv->wrote = true;
    gate_turn_done(act, inv);
}

/* A turn that is committed before this one, or with it, has withdrawn it or sent another one of its name. (Had
 * it flown already, the commit of this turn would be void.) */
static bool is_withdrawn(const struct kelpie_actor *act, const struct message *m)
{
    if (m->record.name_len == 0 ||
        !uuid_equal(m->taken.at.sender, actor_hash(act_type(act), act_id(act))))
        return false;
    LIST_FOREACH(l, &act->pending)
    {
        if (sends_name(LIST_ENTRY(l, const struct invocation, link), &m->record))
            return true;
    }
    return false;
}

/* Its row stands until that turn is committed: the next read does not bring it again. */
static void pass_by(struct kelpie_actor *act, struct invocation *inv)
{
    struct inbox *in = act->inbox;

    inv->mail->gone = true;
    if (in->alone == inv->mail) {
        in->alone = NULL;
        in->dirty = true;
    }
    act_answer(act, inv, 0, bytes_of(NULL, 0));
    inbox_poke(act);
}

/* Its method came to be poisoned after it was read: its row stays as it is, and is read again. */
static void hold_back(struct kelpie_actor *act, struct invocation *inv)
{
    struct inbox *in = act->inbox;
    struct message *m = inv->mail;

    put_back(act, m);
    if (in->alone == m)
        in->alone = NULL;
    read_again_in(act, quarantine_wait_ms(act, inv->method));
    leave_hand(in, m);
    act_answer(act, inv, 0, bytes_of(NULL, 0));
}

bool message_begins(struct kelpie_actor *act, struct invocation *inv)
{
    struct message *m = inv->mail;
    uint64_t every = m->record.every_ms;

    if (is_withdrawn(act, m)) {
        pass_by(act, inv);
        return false;
    }
    if (quarantine_wait_ms(act, inv->method) > 0) {
        hold_back(act, inv);
        return false;
    }
    if (is_suspect(act, m)) {
        act->inbox->turns++;
        note_trial(act, inv);
        return false;
    }
    act->inbox->turns++;
    if (class_method_flags(act->class, m->record.method) & KELPIE_METHOD_READ) {
        inv->status = KELPIE_E_REFUSED;
        message_ends(act, inv);
        return false;
    }
    m->missed = every ? (past_ms(act, m) - m->record.due_ms) / every : 0;
    if (m->missed)
        SOMETIMES("period-missed");
    message_origin(inv->hash, m->record.attempts + 1, inv->request_id);
    inv->deadline_ns = env_now_ns(act->actors->env) + MESSAGE_TURN_NS;
    return true;
}

void message_ends(struct kelpie_actor *act, struct invocation *inv)
{
    decide(act, inv->mail, inv->status, inv->unreached);
    buf_clear(&inv->reply);
    inv->status = 0;
    inv->wrote = true;
    gate_turn_done(act, inv);
}

/* ---- its commit has landed */

/* It is noted: now it runs. */
static void run_alone(struct kelpie_actor *act, struct message *m)
{
    m->record.attempts = m->taken.again_record.attempts;
    m->record.tried = act->generation;
    m->taken.again = false;
    deliver(act, m);
    gate_go_on(act);
}

void inbox_landed(struct kelpie_actor *act, struct message *m)
{
    struct inbox *in = act->inbox;

    CHECK(in);
    if (in->alone == m && m->taken.again && m->record.tried != act->generation) {
        run_alone(act, m);
        return;
    }
    if (in->alone == m) {
        in->alone = NULL;
        in->dirty = true;
    }
    if (m->failed && m->taken.at.due_ms == 0) {
        read_again_in(act, held_back_ms(act, &m->taken.again_record));
    }
    /* What is being read may have it as it was: it stays known, and its sender held back if it failed. */
    if (in->read)
        m->gone = true;
    else
        leave_hand(in, m);
}

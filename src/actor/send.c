/* What a turn sends, and what its commit does with messages (docs/adr/0018-messages.md). */
#include <stdarg.h>
#include <stdio.h>

#include "actor/activation.h"
#include "actor/class_methods.h"
#include "base/mark.h"
#include "base/mutant.h"

_Static_assert(STATE_WRITES_MAX + BATCH_ROWS_MAX + FORGET_BUCKETS_MAX + 3 <= STORE_WRITES_MAX,
               "a batch fits into one transaction");
_Static_assert(TURN_ROWS_MAX + BATCH_TURNS_MAX <= BATCH_ROWS_MAX &&
                   TURN_READS_MAX < BATCH_READS_MAX,
               "a turn joins a batch");
_Static_assert(KELPIE_MESSAGE_BODY_MAX <= MESSAGE_BODY_MAX &&
                   KELPIE_MESSAGE_NAME_MAX <= MESSAGE_NAME_MAX &&
                   KELPIE_METHOD_MAX <= MESSAGE_METHOD_MAX,
               "what is sent fits into a row");

/* ---- kelpie_send */

static int refuse(struct kelpie_actor *act, int error, const char *fmt, ...) PRINTF_LIKE(3, 4);
static int refuse(struct kelpie_actor *act, int error, const char *fmt, ...)
{
    struct actors *a = act->actors;
    va_list ap;

    va_start(ap, fmt);
    (void)vsnprintf(a->why, sizeof a->why, fmt, ap);
    va_end(ap);
    a->why_error = error;
    return error;
}

static bool in_turn(const struct kelpie_actor *act)
{
    return act->current && act->in_receive && !act->read_only;
}

#define NO_TURN "messages are sent in receive only"

static int check_text(struct kelpie_actor *act, const char *what, const char *text, size_t max)
{
    char why[sizeof act->actors->why];
    int error = text ? id_check(what, bytes_of_str(text), max, why, sizeof why) : KELPIE_E_INVALID;

    if (!text)
        return refuse(act, error, "%s is NULL", what);
    return error ? refuse(act, error, "%s", why) : 0;
}

static int check_options(struct kelpie_actor *act, const struct kelpie_send_options *o)
{
    if (o->after_ms > KELPIE_SEND_DELAY_MS_MAX || o->every_ms > KELPIE_SEND_DELAY_MS_MAX)
        return refuse(act, KELPIE_E_INVALID, "a delay or period is over %llu ms",
                      (unsigned long long)KELPIE_SEND_DELAY_MS_MAX);
    if (o->every_ms > 0 && o->every_ms < KELPIE_SEND_PERIOD_MS_MIN)
        return refuse(act, KELPIE_E_INVALID, "a period is under %u ms", KELPIE_SEND_PERIOD_MS_MIN);
    if (o->every_ms > 0 && !o->name)
        return refuse(act, KELPIE_E_INVALID, "a message with a period needs a name");
    return o->name ? check_text(act, "the message's name", o->name, KELPIE_MESSAGE_NAME_MAX) : 0;
}

static int check_bounds(struct kelpie_actor *act, const struct kelpie_send_options *o, size_t len)
{
    const struct invocation *inv = act->current;
    bool named = o && o->name;

    if (inv->send_count >= KELPIE_SENDS_MAX)
        return refuse(act, KELPIE_E_TOO_LARGE, "a turn sends at most %d messages",
                      KELPIE_SENDS_MAX);
    if (named && inv->send_names >= KELPIE_SEND_NAMES_MAX)
        return refuse(act, KELPIE_E_TOO_LARGE, "a turn uses at most %d names of messages",
                      KELPIE_SEND_NAMES_MAX);
    if (len > KELPIE_MESSAGE_BODY_MAX)
        return refuse(act, KELPIE_E_TOO_LARGE, "a message has %zu bytes; at most %u are allowed",
                      len, KELPIE_MESSAGE_BODY_MAX);
    if (inv->send_bytes + len > KELPIE_SEND_BYTES_MAX)
        return refuse(act, KELPIE_E_TOO_LARGE, "a turn's messages have at most %u bytes together",
                      KELPIE_SEND_BYTES_MAX);
    return 0;
}

static struct send *add(struct kelpie_actor *act, const char *name, size_t body_len)
{
    struct invocation *inv = act->current;
    struct send *s = mem_zalloc(act->actors->env->mem, 1, sizeof *s + body_len);
    struct message_record *r = &s->sent.record;

    memcpy(r->sender_type, act_type(act), strlen(act_type(act)));
    memcpy(r->sender_id, act_id(act), strlen(act_id(act)));
    if (name) {
        r->name_len = strlen(name);
        memcpy(r->name, name, r->name_len);
        inv->send_names++;
    }
    r->sent_ms = actors_wall_ms(act->actors);
    inv->send_count++;
    inv->send_bytes += body_len;
    list_append(&inv->sends, &s->link);
    return s;
}

/* It would have no effect. As far as this node knows the receiver's class; its node knows for certain. */
static bool is_read(const struct actors *a, const char *type, const char *method)
{
    const struct kelpie_class *class = actors_class(a, type);

    return class && (class_method_flags(class, method) & KELPIE_METHOD_READ) != 0;
}

int kelpie_send(struct kelpie_actor *actor, const char *type, const char *id, const char *method,
                const void *body, size_t len, const struct kelpie_send_options *options)
{
    const struct kelpie_send_options now = {0}, *o = options ? options : &now;
    struct send *s;
    int error;

    if (!in_turn(actor))
        return refuse(actor, KELPIE_E_REFUSED, NO_TURN);
    if (!body && len)
        return refuse(actor, KELPIE_E_INVALID, "a message's body is NULL");
    error = check_text(actor, "actor type", type, ACTOR_TYPE_MAX);
    if (!error)
        error = check_text(actor, "actor id", id, ACTOR_ID_MAX);
    if (!error)
        error = check_text(actor, "method", method, KELPIE_METHOD_MAX);
    if (!error)
        error = check_options(actor, o);
    if (!error)
        error = check_bounds(actor, o, len);
    if (error)
        return error;
    if (is_read(actor->actors, type, method))
        return refuse(actor, KELPIE_E_REFUSED,
                      "%s of %s is declared as a read: it is called, not sent", method, type);
    if (crowds_refuse(actor->actors, type, id)) {
        SOMETIMES("send-refused-by-a-full-inbox");
        return MUTANT("fulllost")
                   ? 0
                   : refuse(actor, KELPIE_E_MAILBOX_FULL,
                            "too many messages wait for %s/%s, or lie with its dead letters", type,
                            id);
    }
    s = add(actor, o->name, len);
    memcpy(s->sent.type, type, strlen(type));
    memcpy(s->sent.id, id, strlen(id));
    memcpy(s->sent.record.method, method, strlen(method));
    if (len)
        memcpy(s->body, body, len);
    s->sent.record.body = bytes_of(s->body, len);
    s->sent.record.every_ms = o->every_ms;
    s->after_ms = o->after_ms || !o->every_ms ? o->after_ms : o->every_ms;
    if (s->after_ms > 0 || o->name)
        s->sent.record.due_ms = s->sent.record.sent_ms + s->after_ms;
    s->sent.at.due_ms = s->sent.record.due_ms;
    return 0;
}

int kelpie_unsend(struct kelpie_actor *actor, const char *name)
{
    const struct kelpie_send_options o = {.name = name};
    int error;

    if (!in_turn(actor))
        return refuse(actor, KELPIE_E_REFUSED, NO_TURN);
    error = check_text(actor, "the message's name", name, KELPIE_MESSAGE_NAME_MAX);
    if (!error)
        error = check_bounds(actor, &o, 0);
    if (!error)
        add(actor, name, 0)->sent.withdraw = true;
    return error;
}

void sends_drop(struct actors *a, struct invocation *inv)
{
    struct list *l;

    while ((l = list_pop(&inv->sends)))
        mem_free(a->env->mem, LIST_ENTRY(l, struct send, link));
    inv->send_count = inv->send_names = inv->send_bytes = 0;
}

/* ---- what they add to a batch */

static size_t send_rows(const struct send *s)
{
    if (s->sent.record.name_len)
        return 5;
    return s->sent.at.due_ms ? 2 : 1;
}

void batch_cost_add(struct batch_cost *c, const struct invocation *inv)
{
    const struct message *m = inv->mail;

    LIST_FOREACH(l, &inv->sends)
    {
        c->rows += send_rows(LIST_ENTRY(l, const struct send, link));
    }
    c->reads += inv->send_names;
    c->bytes += inv->send_bytes;
    if (!m)
        return;
    c->reads++;
    c->rows += m->taken.at.due_ms ? 6 : 2;
    if (m->taken.again || m->taken.dead)
        c->bytes += m->record.body.len;
}

bool batch_cost_lets(const struct batch_cost *c, size_t turns)
{
    return turns + c->rows + TURN_ROWS_MAX < BATCH_ROWS_MAX &&
           c->reads + TURN_READS_MAX <= BATCH_READS_MAX && c->bytes < BATCH_SEND_BYTES_MAX;
}

/* ---- with the commit */

static bool same_name(const struct message_record *a, const struct message_record *b)
{
    return a->name_len > 0 && a->name_len == b->name_len &&
           memcmp(a->name, b->name, a->name_len) == 0;
}

bool sends_name(const struct invocation *inv, const struct message_record *of)
{
    LIST_FOREACH(l, &inv->sends)
    {
        if (same_name(&LIST_ENTRY(l, const struct send, link)->sent.record, of))
            return true;
    }
    return false;
}

/* Of those of one name in a batch only the last has ever been. */
static void drop_same_name(struct act_op *op, const struct send *s)
{
    LIST_FOREACH_SAFE(l, tmp, &op->sends)
    {
        struct send *earlier = LIST_ENTRY(l, struct send, link);
        if (!same_name(&earlier->sent.record, &s->sent.record))
            continue;
        list_remove(&earlier->link);
        op->args.commit.messages.sent_count--;
        mem_free(op->actors->env->mem, earlier);
    }
}

static void take_sends(struct act_op *op, struct invocation *inv)
{
    struct list *l;

    while ((l = list_pop(&inv->sends))) {
        struct send *s = LIST_ENTRY(l, struct send, link);
        drop_same_name(op, s);
        list_append(&op->sends, &s->link);
        op->args.commit.messages.sent_count++;
    }
    inv->send_count = inv->send_names = inv->send_bytes = 0;
}

static void number_sends(struct kelpie_actor *act, struct act_op *op)
{
    struct commit_messages *m = &op->args.commit.messages;
    uint64_t number = act->memory.head.sent;
    size_t i = 0;

    op->sent = MEM_NEW_ARRAY(act->actors->env->mem, struct commit_sent *, m->sent_count + 1);
    LIST_FOREACH(l, &op->sends)
    {
        struct send *s = LIST_ENTRY(l, struct send, link);
        s->sent.at.sender = actor_hash(act_type(act), act_id(act));
        s->sent.at.generation = act->generation;
        s->sent.at.number = s->sent.withdraw ? 0 : ++number;
        op->sent[i++] = &s->sent;
    }
    m->sent = op->sent;
    op->sent_number = number;
}

void messages_take(struct kelpie_actor *act, struct act_op *op)
{
    struct commit_messages *m = &op->args.commit.messages;

    m->shards = cluster_shards(act->actors->cluster);
    op->taken = MEM_NEW_ARRAY(act->actors->env->mem, struct commit_taken *, act->flying_count + 1);
    m->taken = op->taken;
    LIST_FOREACH(l, &act->flying)
    {
        struct invocation *inv = LIST_ENTRY(l, struct invocation, link);
        take_sends(op, inv);
        if (inv->mail) {
            op->taken[m->taken_count++] = &inv->mail->taken;
            inv->mail = NULL; /* the commit holds it from now on */
        }
    }
    number_sends(act, op);
}

static struct message *message_of(struct commit_taken *t)
{
    return LIST_ENTRY(t, struct message, taken);
}

void messages_free(struct act_op *op)
{
    struct mem mem = op->actors->env->mem;
    struct list *l;

    for (size_t i = 0; op->taken && i < op->args.commit.messages.taken_count; i++)
        message_release(message_of(op->taken[i]));
    while (op->kind == OP_COMMIT && (l = list_pop(&op->sends)))
        mem_free(mem, LIST_ENTRY(l, struct send, link));
    mem_free(mem, op->taken);
    mem_free(mem, op->sent);
    op->taken = NULL;
    op->sent = NULL;
}

static void tell_receiver(struct kelpie_actor *act, const struct commit_sent *s, uint64_t now_ms)
{
    struct actors *a = act->actors;
    uint64_t due_ms = s->at.due_ms;

    if (s->withdraw)
        return;
    if (due_ms > now_ms) {
        if (due_ms - now_ms <= SHARDS_AHEAD_MS)
            nudge_in(a, s->type, s->id, due_ms - now_ms, due_ms);
    } else if (strcmp(s->type, act_type(act)) == 0 && strcmp(s->id, act_id(act)) == 0) {
        inbox_note(act, due_ms);
    } else {
        nudge_now(a, s->type, s->id, due_ms);
    }
}

void messages_landed(struct kelpie_actor *act, struct act_op *op)
{
    const struct commit_messages *m = &op->args.commit.messages;
    uint64_t now_ms = actors_wall_ms(act->actors);

    act->actors->stats.messages_sent += m->sent_count;
    act->actors->stats.messages_done += m->taken_count;
    for (size_t i = 0; i < m->taken_count; i++)
        act->actors->stats.dead_letters += m->taken[i]->dead;
    for (size_t i = 0; i < m->taken_count; i++)
        inbox_landed(act, message_of(m->taken[i]));
    for (size_t i = 0; i < m->sent_count; i++)
        tell_receiver(act, m->sent[i], now_ms);
    if (m->taken_count > 0)
        inbox_poke(act);
}

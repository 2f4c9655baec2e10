/* Bringing an activation to life (spec: Activate), also after taking it back (spec: AbortMove). */
#include <stdio.h>

#include "actor/activation.h"
#include "base/mark.h"
#include "base/mutant.h"
#include "base/tuple.h"

static int load_row(struct kelpie_actor *act, struct store_row row, struct buf *scratch)
{
    struct key_parts parts;
    struct state_record state;
    struct request_record slot;
    int error = key_parse(act->actors->ks, row.key, &parts);

    if (error)
        return KELPIE_E_STORE_CORRUPT;
    buf_clear(scratch);
    switch (parts.family) {
    case KEY_HEAD: /* the rule has read it */
        return 0;
    case KEY_STATE:
        error = state_record_decode(row.key, row.value, scratch, &state);
        return error
                   ? error
                   : actor_state_load(&act->values, bytes_of(parts.state_key, parts.state_key_len),
                                      state.value);
    case KEY_REQUEST_SLOT:
        error = request_record_decode(row.key, row.value, scratch, &slot);
        if (!error)
            remember_slot(&act->memory, &slot);
        return error;
    default:
        return KELPIE_E_STORE_CORRUPT;
    }
}

/* Rows of state, or request slots; `text` says which one is wrong. */
static int load_rows(struct kelpie_actor *act, struct store_result rows, char *text, size_t size)
{
    struct buf scratch;
    int error = 0;

    if (rows.more) {
        (void)snprintf(text, size, "the actor has more than %zu rows", rows.count);
        return KELPIE_E_STORE_CORRUPT;
    }
    buf_init(&scratch, act->actors->env->mem);
    for (size_t i = 0; i < rows.count && !error; i++) {
        error = load_row(act, rows.rows[i], &scratch);
        if (error) {
            buf_clear(&scratch);
            tuple_to_text(rows.rows[i].key, &scratch);
            (void)snprintf(text, size, "the record at %.*s cannot be loaded", (int)scratch.len,
                           (const char *)scratch.data);
        }
    }
    buf_deinit(&scratch);
    return error;
}

/* What was loaded is what the last commit left: a row may be gone whose key was damaged. */
static int check_sums(struct kelpie_actor *act, const struct load_args *args, char *text,
                      size_t size)
{
    if (!args->has_head || MUTANT("nosums") ||
        (args->head.rows == act->values.keys && args->head.sum == act->values.sum))
        return 0;
    (*act->actors->env->corrupt)++;
    (void)snprintf(
        text, size,
        "the state of %s/%s is not whole: %zu rows, %llu by its head row, or their sums differ",
        act_type(act), act_id(act), act->values.keys, (unsigned long long)args->head.rows);
    return KELPIE_E_STORE_CORRUPT;
}

static int load_all(struct kelpie_actor *act, const struct load_args *args, const struct txn *txn,
                    char *text, size_t size)
{
    int error;

    act->memory.ids_max = act->actors->remembered_max;
    remember_begin(&act->memory, args->has_head ? &args->head : NULL, class_window_ms(act->class),
                   env_now_ns(act->actors->env));
    error = load_rows(act, rule_rows(txn, LOAD_READ_STATE), text, size);
    if (!error)
        error = check_sums(act, args, text, size);
    if (!error && args->has_slots) {
        SOMETIMES("actor-of-format-1");
        error = load_rows(act, rule_rows(txn, LOAD_READ_SLOTS), text, size);
    }
    return error;
}

/* An older version of the class wrote what was loaded. */
static bool is_of_older(const struct kelpie_actor *act)
{
    return act->values.keys > 0 && act->memory.head.class_version < act->class->version;
}

/* A newer one did. */
static bool is_of_newer(const struct kelpie_actor *act)
{
    return act->values.keys > 0 && act->memory.head.class_version > act->class->version;
}

/* `upgrade` if the state is of an older version, then `activate`. */
static int begin(struct kelpie_actor *act)
{
    uint32_t from = act->memory.head.class_version;
    int error = 0;

    act->actors->why_error = 0;
    if (is_of_older(act) && act->class->upgrade) {
        SOMETIMES("state-upgraded");
        act_callback_begins(act, "upgrade", NULL);
        error = act->class->upgrade(act, from);
        act_callback_ends(act);
        quarantine_returned(act, "upgrade", "");
    }
    if (!error && act->class->activate) {
        act_callback_begins(act, "activate", NULL);
        error = act->class->activate(act);
        act_callback_ends(act);
        quarantine_returned(act, "activate", "");
    }
    return error;
}

/* The state is there: the class's callbacks, then the messages that wait. */
void act_activate(struct kelpie_actor *act)
{
    struct actors *a = act->actors;
    int error;

    CHECK(act->state == ACT_LOADING && act->loaded);
    if (!act_may_go_on(act))
        return;
    if (act_leaves(act) && !act->taken_back && !act->nothing) {
        SOMETIMES("loaded-into-a-drain");
        act_set_state(act, ACT_STOPPING);
        act_free_memory(act);
        act_stop_placement(act, STOP_HAND_OVER);
        return;
    }
    CHECK(!act->current);
    if (act->nothing && act->nothing_begun) {
        act_read_nothing(act);
        return;
    }
    error = begin(act);
    if (error) {
        SOMETIMES("activate-failed");
        log_warn(&a->env->log, "actor_activate_failed", "%s error=%s", ACT_FIELDS(act),
                 kelpie_error_name(error));
        act_drop(act, error < 0 ? error : KELPIE_E_HANDLER_FAILED, NULL,
                 a->why_error == error ? a->why : "the actor's class failed to activate it");
        return;
    }
    if (!MUTANT("dropactivate"))
        actor_state_begin(&act->values);
    if (act->nothing) {
        act->nothing_begun = true;
        act_read_nothing(act);
        return;
    }
    act_set_state(act, ACT_IDLE);
    act->has_run = true;
    act_count_memory(act);
    a->stats.activated++;
    act_saw(a, (struct act_sight){SEEN_BEGAN, .act = act});
    inbox_poke(act);
    act_go_on(act);
}

/* Its state is of a newer version of the class: another node must have it. The placement is released,
 * and whoever waits looks for one that does. */
static void leave_to_newer(struct kelpie_actor *act, const struct placement_record *placement)
{
    SOMETIMES("state-of-a-newer-class");
    log_warn(&act->actors->env->log, "actor_class_older", "%s stored=%u here=%u", ACT_FIELDS(act),
             act->memory.head.class_version, act->class->version);
    act->generation = placement->generation;
    act->stop_answer = KELPIE_E_CLASS_OLDER;
    act_set_state(act, ACT_STOPPING);
    act_free_memory(act);
    act_stop_placement(act, STOP_RELEASE);
}

static void load_failed(struct kelpie_actor *act, const struct load_args *args, int status,
                        const char *why)
{
    struct actors *a = act->actors;
    struct placement hint = {.record = args->placement};

    if (status == KELPIE_E_REFUSED && reads_of_nothing(act, args)) {
        remember_begin(&act->memory, NULL, class_window_ms(act->class), env_now_ns(a->env));
        act->nothing = act->loaded = true;
        act_run_later(act);
        return;
    }
    if (status == KELPIE_E_REFUSED) {
        act_drop(act, KELPIE_E_NOT_HERE, &hint, "");
        return;
    }
    if (status == KELPIE_E_STORE_CORRUPT || status == KELPIE_E_STORE_NEWER) {
        char why_quoted[TXN_REASON_SIZE * 2];
        SOMETIMES("state-cannot-be-loaded");
        log_error(&a->env->log, "actor_load_failed", "%s error=%s why=%s", ACT_FIELDS(act),
                  kelpie_error_name(status), log_quote(why, why_quoted, sizeof why_quoted));
        act_drop(act, status, NULL, why);
        return;
    }
    act_drop(act, KELPIE_E_UNAVAILABLE, NULL, "the actor's state could not be read");
}

/* It is left alone, and whoever waits is told so. */
static bool is_poisoned(struct kelpie_actor *act, struct act_op *op, int status)
{
    bool comes_to_life =
        status == 0 || (status == KELPIE_E_REFUSED && reads_of_nothing(act, &op->args.load));
    char why[WHY_SIZE];

    if (!comes_to_life)
        return false;
    quarantine_take(act, rule_rows(&op->txn, LOAD_READ_POISON));
    if (!quarantine_of_all(act, why, sizeof why))
        return false;
    act_drop(act, KELPIE_E_POISONED, NULL, why);
    return true;
}

static void on_loaded(struct txn *txn, int status)
{
    struct act_op *op = txn->arg;
    struct kelpie_actor *act = op->act;
    char why[TXN_REASON_SIZE];

    if (act_op_end(op, status))
        return;
    CHECK(act->state == ACT_LOADING);
    (void)snprintf(why, sizeof why, "%s", txn->reason);
    if (is_poisoned(act, op, status)) {
        act_op_free(op);
        return;
    }
    if (status == 0)
        status = load_all(act, &op->args.load, txn, why, sizeof why);
    if (status) {
        load_failed(act, &op->args.load, status, why);
    } else if (is_of_newer(act) && !MUTANT("newerstate")) {
        leave_to_newer(act, &op->args.load.placement);
    } else if (act_may_go_on(act)) {
        act->generation = op->args.load.placement.generation;
        act->loaded = true;
        if (op->args.load.has_mail)
            inbox_note(act, 0);
        act_run_later(act);
    }
    act_op_free(op);
}

void act_load(struct kelpie_actor *act)
{
    act_load_in(act, 0);
}

void act_load_in(struct kelpie_actor *act, uint64_t delay_ns)
{
    struct actors *a = act->actors;
    struct act_op *op = act_op_new(act, OP_LOAD);

    CHECK(act->state == ACT_LOADING);
    reads_flight_over(act);
    act->incarnation = cluster_incarnation(a->cluster);
    op->args.load = (struct load_args){
        .ref = act_ref(act), .self = actors_self(a), .shards = cluster_shards(a->cluster)};
    load_txn(&op->txn, a->env, &op->args.load, on_loaded, op);
    txn_start_in(&op->txn, delay_ns);
}

static void on_taken_back(struct txn *txn, int status)
{
    struct act_op *op = txn->arg;
    struct kelpie_actor *act = op->act;
    struct actors *a = op->actors;

    if (act_op_end(op, status))
        return;
    if (status == 0) {
        if (act_may_go_on(act))
            act_load(act);
    } else if (status == KELPIE_E_REFUSED) {
        struct placement hint = {.record = op->args.own.result.record};
        act_drop(act, KELPIE_E_NOT_HERE, &hint, "");
    } else if (status == KELPIE_E_UNKNOWN_RESULT || status == KELPIE_E_CANCELLED ||
               status == KELPIE_E_TIMEOUT) {
        struct list waiting;

        SOMETIMES("taking-back-is-unsettled-too");
        list_init(&waiting);
        act_set_state(act, ACT_UNSETTLED);
        mailbox_take_all(act, &waiting);
        invocations_answer_all(a, &waiting, KELPIE_E_UNAVAILABLE, "", NULL);
    } else {
        act_drop(act, status, NULL, txn->reason);
    }
    act_op_free(op);
}

void act_take_back(struct kelpie_actor *act)
{
    struct actors *a = act->actors;
    struct act_op *op;

    CHECK(act->state == ACT_UNSETTLED && act->generation > 0);
    act_set_state(act, ACT_LOADING);
    /* The planted mistake: back as it was, although its hand-over may still land. */
    if (MUTANT("takeback")) {
        act->taken_back = true;
        act_load(act);
        return;
    }
    op = act_op_new(act, OP_ABORT);
    op->args.own = (struct own_args){
        .ref = act_ref(act),
        .self = actors_self(a),
        .generation = act->generation,
    };
    abort_txn(&op->txn, a->env, &op->args.own, on_taken_back, op);
    txn_start(&op->txn);
}

/* Where an actor is placed, as the store says now. */
#include "actor/activation.h"

struct locate {
    struct actors *actors;
    struct place_op op;
    actor_locate_fn *done;
    void *arg;
    struct timer timer;
    int status;
};

static void finish(struct locate *l, int status, const struct placement_record *p)
{
    struct actors *a = l->actors;
    actor_locate_fn *done = l->done;
    void *arg = l->arg;

    done(arg, status, p);
    a->locates--;
    mem_free(a->env->mem, l);
}

static void on_placed(struct place_op *op, int status)
{
    struct locate *l = op->arg;

    /* A void placement is shown too, as long as there is a row. */
    if (status == KELPIE_E_NOT_FOUND && op->result.record.generation > 0)
        status = 0;
    finish(l, status, status ? NULL : &op->result.record);
}

static void on_timer(void *arg)
{
    struct locate *l = arg;

    finish(l, l->status, NULL);
}

void actors_locate(struct actors *a, const char *type, const char *id, actor_locate_fn *done,
                   void *arg)
{
    struct locate *l = MEM_NEW(a->env->mem, struct locate);
    char why[1];
    int error = id_check("actor type", bytes_of_str(type), ACTOR_TYPE_MAX, why, sizeof why);

    l->actors = a;
    l->done = done;
    l->arg = arg;
    a->locates++;
    if (!error)
        error = id_check("actor id", bytes_of_str(id), ACTOR_ID_MAX, why, sizeof why);
    if (!error && a->closed)
        error = KELPIE_E_UNAVAILABLE;
    if (error) {
        l->status = error;
        timer_init(&l->timer, a->env->timers, "actors_locate", on_timer, l);
        timer_start(&l->timer, 0);
        return;
    }
    memcpy(l->op.type, type, strlen(type));
    memcpy(l->op.id, id, strlen(id));
    l->op.done = on_placed;
    l->op.arg = l;
    l->op.give_up_ns = FIND_GIVE_UP_NS;
    place_start(&l->op, a->env, a->ks);
}

#include "bin/kelpie_sim/sim_code.h"

#include <dlfcn.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "bin/kelpie_sim/sim_options.h"
#include "bin/shared/actors_load.h"
#include "bin/shared/object_file.h"
#include "kelpie/error.h"

#define WHY_SIZE 512
#define WORKLOAD_SYMBOL "kelpie_sim_workload"

struct object {
    const char *file;
    struct bytes bytes;
};

static void load(const struct object *o, struct object_copy *copy)
{
    char why[WHY_SIZE];

    if (object_load(o->file, o->bytes, copy, why, sizeof why))
        bad_usage("%s", why);
}

static void open_object(struct object *o, const char *file)
{
    char why[WHY_SIZE];

    o->file = file;
    if (object_read(file, &o->bytes, why, sizeof why))
        bad_usage("%s", why);
}

/* ---- a copy in each life */

struct object_life {
    struct object_copy copy;
    struct class_list list; /* behind our own */
};

static struct object_life *object_life_new(const struct object *o)
{
    struct object_life *l = calloc(1, sizeof *l);
    char why[WHY_SIZE];

    CHECK(l);
    load(o, &l->copy);
    class_list_init(&l->list);
    if (class_list_take(&l->list, o->file, l->copy.handle, why, sizeof why))
        bad_usage("%s", why);
    return l;
}

static size_t own_classes(void)
{
    struct class_list own;

    class_list_init(&own);
    return own.count;
}

static const struct kelpie_class *const *object_begin(void *ctx, void **life)
{
    struct object_life *l = object_life_new(ctx);

    *life = l;
    return l->list.classes + own_classes();
}

static void object_end(void *ctx, void *life)
{
    struct object_life *l = life;

    (void)ctx;
    object_unload(&l->copy);
    free(l);
}

static void open_actors(const char *file, struct object *o, struct sim_users_source *out)
{
    struct object_life *l;
    size_t own = own_classes();

    open_object(o, file);
    l = object_life_new(o);
    for (size_t i = own; i < l->list.count; i++) {
        if (out->type_count == SIM_USER_TYPES_MAX)
            bad_usage("%s has more than %d classes", file, SIM_USER_TYPES_MAX);
        out->types[out->type_count++] = l->list.classes[i]->type; /* it stays loaded */
    }
    out->begin = object_begin;
    out->end = object_end;
    out->ctx = o;
}

/* ---- the workload */

static const struct kelpie_sim_workload *open_workload(const char *file)
{
    struct object o;
    struct object_copy copy;

    open_object(&o, file);
    load(&o, &copy);
    const struct kelpie_sim_workload *work = dlsym(copy.handle, WORKLOAD_SYMBOL);
    if (!work)
        bad_usage("%s has no symbol " WORKLOAD_SYMBOL
                  ": it is no workload (see kelpie/sim.h, or give --workload FILE.json)",
                  file);
    if (work->abi != KELPIE_SIM_VERSION || work->size < sizeof *work)
        bad_usage("%s: the workload was built for version %u of kelpie/sim.h, this program has %d",
                  file, work->abi, KELPIE_SIM_VERSION);
    if (!work->ask)
        bad_usage("%s: the workload has no ask function", file);
    return work;
}

static bool is_json(const char *file)
{
    size_t len = strlen(file);

    return len > 5 && strcmp(file + len - 5, ".json") == 0;
}

static void on_fault(const char *sentence)
{
    bad_usage("%s", sentence);
}

static void check_types(const struct sim_users_source *s)
{
    static const char *const taken[] = {"counter", "echo",  "link", "post",
                                        "session", "visit", "trial"};

    for (size_t i = 0; i < s->type_count; i++)
        for (size_t k = 0; k < ARRAY_LEN(taken); k++)
            if (strcmp(s->types[i], taken[k]) == 0)
                bad_usage("the type '%s' is one of the simulator's own", taken[k]);
}

const struct sim_users_source *code_open(const struct code_options *o)
{
    static struct sim_users_source source;
    static struct object object;

    if (o->actors && o->worker)
        bad_usage("--actors FILE and --worker are two kinds of the same: give one of them");
    if (!o->actors && !o->worker) {
        if (o->workload)
            bad_usage("--workload needs --actors FILE or --worker");
        return NULL;
    }
    (void)signal(SIGPIPE, SIG_IGN);
    source.fault = on_fault;
    if (o->actors)
        open_actors(o->actors, &object, &source);
    else
        worker_open(o->worker, o->limit_s, &source);
    check_types(&source);
    if (o->worker && !o->workload)
        bad_usage("--worker needs --workload FILE");
    if (o->workload && is_json(o->workload)) {
        source.workload = workload_json_open(o->workload, &source);
        workload_json_try(&source);
    } else {
        source.workload = open_workload(o->workload ? o->workload : o->actors);
    }
    return &source;
}

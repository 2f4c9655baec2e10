/*
 * kelpie-worker: runs the classes of one shared object for a node, in a process of its own, so that what they do
 * costs the turns under way here and nothing else. kelpied starts it (docs/adr/0026-worker-processes.md); others
 * write workers in any language (docs/workers.md).
 */
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <unistd.h>

#include "bin/kelpie_worker/worker_slots.h"
#include "bin/shared/actors_load.h"
#include "bin/shared/object_file.h"
#include "bin/shared/process_begin.h"
#include "bin/shared/trusted_file.h"
#include "bin/shared/world_bind.h"
#include "loop/logsink.h"
#include "loop/loop.h"

#define WHY 1024

/* A child that a class forks has none of this process's connections. */
static void in_child(void)
{
    process_close_others(-1);
}

static int load(const char *file, struct class_list *list, char *why, size_t why_size)
{
    static struct object_copy copy;
    struct bytes object;
    int err = file_trusted(file, -1, why, why_size);

    if (!err)
        err = object_read(file, &object, why, why_size);
    if (err)
        return err;
    err = object_load(file, object, &copy, why, why_size);
    free((void *)(uintptr_t)object.data);
    return err ? err : class_list_take(list, file, copy.handle, why, why_size);
}

/* Copies, with all members that this program knows; the built-in classes are the node's own. */
static size_t own_classes(const struct class_list *list, const struct kelpie_class **own)
{
    static struct kelpie_class rooms[CLASS_COUNT_MAX];
    struct class_list built_in;
    size_t count = 0;

    class_list_init(&built_in);
    for (size_t i = built_in.count; i < list->count; i++, count++) {
        const struct kelpie_class *given = list->classes[i];
        memcpy(&rooms[count], given, given->size < sizeof *given ? given->size : sizeof *given);
        own[count] = &rooms[count];
    }
    return count;
}

/* The protocol does not say of a state which version wrote it. */
static int check_upgrade(const char *file, const struct kelpie_class *const *classes, size_t count,
                         char *why, size_t why_size)
{
    for (size_t i = 0; i < count; i++) {
        if (!classes[i]->upgrade)
            continue;
        (void)snprintf(why, why_size,
                       "%s: class %s has an upgrade, which workers cannot have yet; "
                       "--actors-in-node FILE loads it into the node",
                       file, classes[i]->type);
        return KELPIE_E_INVALID;
    }
    return 0;
}

int main(int argc, char **argv)
{
    static struct class_list list;
    static struct logsink sink;
    static struct log log;
    static struct worker_options o;
    static const struct kelpie_class *classes[CLASS_COUNT_MAX];
    char why[WHY] = "", quoted[2 * WHY];

    process_begin(ROLE_COMMAND);
    if (argc < WORKER_PROCESS_WORDS) {
        say(WORKER_PROGRAM,
            "this runs actor classes for kelpied, which starts it: kelpied --actors FILE");
        return 2;
    }
    (void)signal(SIGPIPE, SIG_IGN);
    sink = (struct logsink){
        .fd = STDERR_FILENO, .json = strcmp(argv[7], "json") == 0, .program = "worker"};
    (void)snprintf(sink.node_id, sizeof sink.node_id, "%s", argv[5]);
    if (logsink_open(&sink))
        return 3;
    log = logsink_log(&sink, (enum log_level)atoi(argv[6]));
    o = (struct worker_options){.socket = argv[4], .log = &log, .tell_fd = atoi(argv[1])};
    o.pages = mmap(NULL, WORKER_SLOTS_MAX * sizeof *o.pages, PROT_READ | PROT_WRITE, MAP_SHARED,
                   atoi(argv[2]), 0);
    CHECK(o.pages != MAP_FAILED);
    (void)close(atoi(argv[2]));
    struct env env = {.mem = loop_mem()};
    struct loop *loop = loop_new();
    CHECK(loop != NULL);
    loop_fill_env(loop, &env);
    o.worker = random_uuid(env.random);
    loop_free(loop);
    CHECK(pthread_atfork(NULL, NULL, in_child) == 0);
    class_list_init(&list);
    int err = load(argv[3], &list, why, sizeof why);
    o.classes = classes;
    o.class_count = own_classes(&list, classes);
    if (!err)
        err = check_upgrade(argv[3], o.classes, o.class_count, why, sizeof why);
    if (err) {
        log_error(&log, "worker_cannot_run", "file=%s why=%s", argv[3],
                  log_quote(why, quoted, sizeof quoted));
        logsink_close(&sink);
        return 1;
    }
    worker_slots_run(&o);
}

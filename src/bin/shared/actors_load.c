#include "bin/shared/actors_load.h"

#include <dlfcn.h>
#include <stdio.h>
#include <string.h>

#include "actor/actor.h"
#include "bin/shared/trusted_file.h"

#define CLASS_SIZE_MAX 4096 /* more members than any version will have */
#define SYMBOL "kelpie_classes"
#define PATH_SIZE 4098

void class_list_init(struct class_list *l)
{
    memset(l, 0, sizeof(*l));
    l->classes[l->count++] = &kelpie_class_counter;
    l->classes[l->count++] = &kelpie_class_echo;
}

static int check_methods(const char *file, const struct kelpie_class *class, char *why,
                         size_t why_size)
{
    char fault[256];
    size_t count = 0;
    for (const struct kelpie_method *m = class->methods; m && m->name; m++) {
        if (++count > KELPIE_METHODS_MAX) {
            (void)snprintf(why, why_size, "%s: class %s declares more than %d methods", file,
                           class->type, KELPIE_METHODS_MAX);
            return KELPIE_E_INVALID;
        }
        int err =
            id_check("method", bytes_of_str(m->name), KELPIE_METHOD_MAX, fault, sizeof(fault));
        if (err) {
            (void)snprintf(why, why_size, "%s: class %s: %s", file, class->type, fault);
            return err;
        }
        if ((m->flags & ~(KELPIE_METHOD_READ | KELPIE_METHOD_BLOCKS)) || m->reserved) {
            (void)snprintf(
                why, why_size,
                "%s: method %s of class %s has flags %#x, of which this program does not "
                "know all",
                file, m->name, class->type, m->flags);
            return KELPIE_E_INVALID;
        }
    }
    return 0;
}

/* A member that this program does not know, and that is set, asks for what it cannot do. */
static bool asks_for_more(const struct kelpie_class *class)
{
    const unsigned char *bytes = (const unsigned char *)class;
    for (size_t i = sizeof *class; i < class->size; i++)
        if (bytes[i] != 0)
            return true;
    return false;
}

/* Those beyond the first version's; what a class does not have is as if it were 0. */
static int check_members(const char *file, const struct kelpie_class *given, char *why,
                         size_t why_size)
{
    struct kelpie_class class = {.abi = 0};
    memcpy(&class, given, given->size < sizeof class ? given->size : sizeof class);
    if (asks_for_more(given)) {
        (void)snprintf(
            why, why_size,
            "%s: class %s was built for a newer kelpie.h and uses what this program does "
            "not have; run a newer kelpied",
            file, class.type);
        return KELPIE_E_INVALID;
    }
    if (class.remember_ms > REMEMBER_MS_MAX) {
        (void)snprintf(why, why_size,
                       "%s: a class remembers requests for %u ms; at most %d, a day, "
                       "are allowed",
                       file, class.remember_ms, REMEMBER_MS_MAX);
        return KELPIE_E_INVALID;
    }
    return check_methods(file, &class, why, why_size);
}

static int check_class(const char *file, const struct kelpie_class *class, char *why,
                       size_t why_size)
{
    char what[ACTOR_TYPE_MAX + 200], fault[256];
    if (class->abi != KELPIE_ABI_VERSION) {
        (void)snprintf(why, why_size,
                       "%s: a class was built for interface version %u, this program has version "
                       "%d; build it again with this program's kelpie.h",
                       file, class->abi, KELPIE_ABI_VERSION);
        return KELPIE_E_INVALID;
    }
    if (class->size < KELPIE_CLASS_SIZE_MIN || class->size > CLASS_SIZE_MAX) {
        (void)snprintf(why, why_size,
                       "%s: a class says that it has %u bytes; set its size to "
                       "sizeof(struct kelpie_class)",
                       file, class->size);
        return KELPIE_E_INVALID;
    }
    (void)snprintf(what, sizeof(what), "actor type");
    int err = class->type
                  ? id_check(what, bytes_of_str(class->type), ACTOR_TYPE_MAX, fault, sizeof(fault))
                  : KELPIE_E_INVALID;
    if (err) {
        (void)snprintf(why, why_size, "%s: %s", file, class->type ? fault : "a class has no type");
        return err;
    }
    if (!class->receive) {
        (void)snprintf(why, why_size, "%s: class %s has no receive function", file, class->type);
        return KELPIE_E_INVALID;
    }
    return check_members(file, class, why, why_size);
}

int class_list_add(struct class_list *l, const char *file, const struct kelpie_class *class,
                   char *why, size_t why_size)
{
    int err = check_class(file, class, why, why_size);
    if (err)
        return err;
    for (size_t i = 0; i < l->count; i++) {
        if (strcmp(l->classes[i]->type, class->type) == 0) {
            (void)snprintf(why, why_size, "%s: there is a class of type %s already", file,
                           class->type);
            return KELPIE_E_INVALID;
        }
    }
    if (l->count == CLASS_COUNT_MAX) {
        (void)snprintf(why, why_size, "%s: more than %d classes, the built-in ones included", file,
                       CLASS_COUNT_MAX);
        return KELPIE_E_INVALID;
    }
    l->classes[l->count++] = class;
    l->classes[l->count] = NULL;
    return 0;
}

int class_list_take(struct class_list *l, const char *file, void *object, char *why,
                    size_t why_size)
{
    size_t before = l->count;
    int err = 0;
    const struct kelpie_class *const *classes =
        (const struct kelpie_class *const *)dlsym(object, SYMBOL);
    if (!classes) {
        (void)snprintf(why, why_size, "%s has no symbol " SYMBOL ": it is no file of actor classes",
                       file);
        return KELPIE_E_INVALID;
    }
    for (; !err && *classes; classes++)
        err = class_list_add(l, file, *classes, why, why_size);
    if (!err && l->count == before) {
        (void)snprintf(why, why_size, "%s: " SYMBOL " is empty", file);
        err = KELPIE_E_INVALID;
    }
    return err;
}

/* A node has one thread for all. */
static int check_waits(const struct class_list *l, size_t from, const char *file, char *why,
                       size_t why_size)
{
    for (size_t i = from; i < l->count; i++) {
        const struct kelpie_method *m = l->classes[i]->size > offsetof(struct kelpie_class, methods)
                                            ? l->classes[i]->methods
                                            : NULL;
        for (; m && m->name; m++) {
            if (!(m->flags & KELPIE_METHOD_BLOCKS))
                continue;
            (void)snprintf(why, why_size,
                           "%s: method %s of class %s blocks, and would hold up the whole node; "
                           "run it with --actors",
                           file, m->name, l->classes[i]->type);
            return KELPIE_E_INVALID;
        }
    }
    return 0;
}

int class_list_load(struct class_list *l, const char *file, char *why, size_t why_size)
{
    char here[PATH_SIZE];
    int err = file_trusted(file, -1, why, why_size);
    if (err)
        return err;
    /* A name alone would be looked for where the system's libraries are. */
    (void)snprintf(here, sizeof(here), "%s%s", strchr(file, '/') ? "" : "./", file);
    void *object = dlopen(here, RTLD_NOW | RTLD_LOCAL | ACTORS_OWN_NAMES_FIRST);
    if (!object) {
        (void)snprintf(why, why_size, "actor classes cannot be loaded: %s", dlerror());
        return KELPIE_E_INVALID;
    }
    size_t before = l->count;
    err = class_list_take(l, file, object, why, why_size);
    return err ? err : check_waits(l, before, file, why, why_size);
}

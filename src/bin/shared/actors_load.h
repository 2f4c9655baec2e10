/* Actor classes of a node: the built-in ones, and those of shared objects. */
#ifndef KELPIE_BIN_ACTORS_LOAD_H
#define KELPIE_BIN_ACTORS_LOAD_H

#include "kelpie/kelpie.h"
#include "record/records.h"

/* For dlopen(). A class that brings a function which some library of ours has too means its own. Sanitizers replace
 * functions for everybody, and refuse this. */
#if defined(__SANITIZE_ADDRESS__)
#define ACTORS_OWN_NAMES_FIRST 0
#elif defined(__has_feature)
#if __has_feature(address_sanitizer)
#define ACTORS_OWN_NAMES_FIRST 0
#endif
#endif
#ifndef ACTORS_OWN_NAMES_FIRST
#define ACTORS_OWN_NAMES_FIRST RTLD_DEEPBIND
#endif

struct class_list {
    const struct kelpie_class *classes[CLASS_COUNT_MAX + 1]; /* ends with NULL */
    size_t count;
};

/* The built-in classes. */
void class_list_init(struct class_list *l);
/* Adds the classes of a shared object, which stays loaded. Returns 0, or KELPIE_E_INVALID with a
 * sentence: no such file, one that others may write, no symbol kelpie_classes, another interface version, a type that is empty,
 * too long, not UTF-8 or taken, too many classes, a method that blocks. */
int class_list_load(struct class_list *l, const char *file, char *why, size_t why_size) MUST_USE;
/* Adds the classes of an object that is loaded (dlopen's handle); the same errors. */
int class_list_take(struct class_list *l, const char *file, void *object, char *why,
                    size_t why_size) MUST_USE;
/* Adds one class; `file` is for the sentence. */
int class_list_add(struct class_list *l, const char *file, const struct kelpie_class *class,
                   char *why, size_t why_size) MUST_USE;

#endif

/* What a class declares of its methods. */
#ifndef KELPIE_ACTOR_CLASS_METHODS_H
#define KELPIE_ACTOR_CLASS_METHODS_H

#include "kelpie/kelpie.h"

/* The method's flags (KELPIE_METHOD_...); 0: nothing is declared of it. */
uint32_t class_method_flags(const struct kelpie_class *class, const char *method);

#endif

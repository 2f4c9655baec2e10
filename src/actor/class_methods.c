#include "actor/class_methods.h"

#include <string.h>

uint32_t class_method_flags(const struct kelpie_class *class, const char *method)
{
    for (const struct kelpie_method *m = class->methods; m && m->name; m++)
        if (strcmp(m->name, method) == 0)
            return m->flags;
    return 0;
}

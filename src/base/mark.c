#include "base/mark.h"

#include <stdint.h>

#include "base/check.h"

#ifdef KELPIE_MARKS

/* The linker's names for the ends of the section; weak, for a program without a single mark. */
extern struct mark __start_kelpie_marks[] __attribute__((weak, visibility("hidden")));
extern struct mark __stop_kelpie_marks[] __attribute__((weak, visibility("hidden")));

size_t marks_count(void)
{
    return ((uintptr_t)__stop_kelpie_marks - (uintptr_t)__start_kelpie_marks) / sizeof(struct mark);
}

const struct mark *mark_at(size_t i)
{
    CHECK(i < marks_count());
    return &__start_kelpie_marks[i];
}

void marks_clear(void)
{
    for (size_t i = 0; i < marks_count(); i++)
        __start_kelpie_marks[i].passed = false;
}

#else

size_t marks_count(void)
{
    return 0;
}

const struct mark *mark_at(size_t i)
{
    (void)i;
    UNREACHABLE("this build has no marks");
}

void marks_clear(void)
{
}

#endif

#include "base/mark.h"

#include "base/check.h"

#ifdef KELPIE_MARKS

/* The linker's names for the ends of the section; weak, for a program without a single mark. */
extern struct mark __start_kelpie_marks[] __attribute__((weak));
extern struct mark __stop_kelpie_marks[] __attribute__((weak));

size_t marks_count(void)
{
    return (size_t)(__stop_kelpie_marks - __start_kelpie_marks);
}

const struct mark *mark_at(size_t i)
{
    CHECK(i < marks_count());
    return &__start_kelpie_marks[i];
}

void marks_clear(void)
{
    for (struct mark *m = __start_kelpie_marks; m < __stop_kelpie_marks; m++)
        m->passed = false;
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

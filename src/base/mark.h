/*
 * Marks: SOMETIMES("name") stands where a run has to come by now and then, if the simulator is to
 * be trusted. A sweep counts in how many of its runs each was passed, and one that was passed in
 * none fails a long sweep (docs/simulation.md).
 *
 * A build with KELPIE_MARKS (-Dmarks; release builds have none) keeps one flag for each mark, in a
 * section of the program of its own, so that the list of all marks is what was linked. Passing one
 * stores a constant. The flags belong to the process, not to a node; but a node never reads them,
 * so that none learns of another by them.
 */
#ifndef KELPIE_BASE_MARK_H
#define KELPIE_BASE_MARK_H

#include <stdbool.h>
#include <stddef.h>

struct mark {
    const char *name; /* words with hyphens; no other mark of the program has it (scripts/lint) */
    bool passed;
};

#ifdef KELPIE_MARKS
#define SOMETIMES(mark_name)                                                                       \
    do {                                                                                           \
        static struct mark mark_here                                                               \
            __attribute__((section("kelpie_marks"), used)) = {.name = (mark_name)};                \
        __atomic_store_n(&mark_here.passed, true, __ATOMIC_RELAXED);                               \
    } while (0)
#else
#define SOMETIMES(mark_name) ((void)0)
#endif

/* How many marks this program has; 0 in a build without them. */
size_t marks_count(void);
/* The i-th, in an order that one program keeps. */
const struct mark *mark_at(size_t i);
/* None was passed. */
void marks_clear(void);

#endif

/* The page of memory on which a node says what runs, and its supervisor reads it. */
#ifndef KELPIE_LOOP_RUNNING_PAGE_H
#define KELPIE_LOOP_RUNNING_PAGE_H

#include <stdbool.h>

#include "env/running.h"

/* All zero: nothing runs. In memory that processes share: written by one thread of one process, read by any other process. */
struct running_page {
    _Atomic uint32_t changes; /* odd: being written */
    uint32_t runs;
    struct running now;
};

/* For `running` of the env of the process that writes the page. */
struct running_told running_page_told(struct running_page *page);
/* False when nothing runs, or what does changes as often as it is looked at. The page is the other process's,
 * and that may have written anything: the strings end, nothing else is promised. */
bool running_page_read(const struct running_page *page, struct running *out);

#endif

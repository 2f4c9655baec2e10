/* Files of kelpie-sim: written as a whole or not at all. */
#ifndef KELPIE_BIN_SIM_PAGE_FILE_H
#define KELPIE_BIN_SIM_PAGE_FILE_H

#include "sim/report/sim_page.h"

/* Whether `path` can be written: it is no folder or device, and a file can be made beside it.
 * Returns 0, or KELPIE_E_IO with errno. */
int file_can_be_written(const char *path) MUST_USE;
/* The page of a recorded run, at `path`. Likewise. */
int page_save(const char *path, const struct record *r, const struct sim_config *config,
              const struct sim_result *result, const char *reproduce, struct mem mem) MUST_USE;
/* `text`, at `path`. Likewise. */
int text_save(const char *path, struct bytes text) MUST_USE;

#endif

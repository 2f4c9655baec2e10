/* A recorded run as one page that needs nothing else: report.html with the data put in. */
#ifndef KELPIE_SIM_SIM_PAGE_H
#define KELPIE_SIM_SIM_PAGE_H

#include <stdio.h>

#include "base/buf.h"
#include "sim/report/sim_record.h"
#include "sim/run/sim_run.h"

/* Writes to `out`, which stays the caller's. Returns 0, or KELPIE_E_IO. */
int page_write(FILE *out, const struct record *r, const struct sim_config *config,
               const struct sim_result *result, const char *reproduce, struct mem mem) MUST_USE;

/* report.html, embedded by the build. */
extern const char page_template[];
extern const size_t page_template_len;

#endif

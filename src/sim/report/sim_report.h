/* What a run or a sweep says at its end, as text and as JSON. */
#ifndef KELPIE_SIM_REPORT_H
#define KELPIE_SIM_REPORT_H

#include "base/buf.h"
#include "sim/run/sim_run.h"

/* The line that repeats a run: `overrides` are the options beside the seed, as given. */
void report_reproduce(uint64_t seed, const char *overrides, struct buf *out);

/* `reproduce`: the line that repeats it. */
void report_run_text(const struct sim_config *config, const struct sim_result *r,
                     const char *reproduce, struct buf *out);
void report_run_json(const struct sim_config *config, const struct sim_result *r,
                     const char *reproduce, struct buf *out);

/* "text" with quotes and escapes. */
void report_json_string(struct buf *out, const char *text);
/* `"name":value,` */
void report_json_u64(struct buf *out, const char *name, uint64_t value);

#endif

/* What kelpie-sim says to --help. */
#ifndef KELPIE_BIN_SIM_USAGE_H
#define KELPIE_BIN_SIM_USAGE_H

extern const char usage_all[];
extern const char usage_common[]; /* after run, sweep, shrink */
extern const char usage_run[];
extern const char usage_sweep[];
extern const char usage_shrink[];
extern const char usage_compare[];
extern const char usage_replay[];

#endif

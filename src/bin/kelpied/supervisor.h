/*
 * The supervisor: runs the node as its child, declares it dead the moment it is, starts it again,
 * and kills it when it gives no sign of life.
 */
#ifndef KELPIE_BIN_SUPERVISOR_H
#define KELPIE_BIN_SUPERVISOR_H

#include "bin/kelpied/exit_status.h"
#include "bin/shared/config.h"

#define RESTART_MS_MIN 100
#define RESTART_MS_MAX 5000
#define HEALTHY_MS 30000       /* after so long the next restart is at once again */
#define FIRST_SIGN_MS 30000    /* until the first sign of life */
#define LEASES_WITHOUT_SIGN 2  /* between two */
#define LOOKS_A_LEASE 10       /* at what the child runs; what takes longer than one is told */
#define LOOK_AGAIN_TIMES 4     /* and again each time that it has taken so much longer */
#define DECLARE_AT_END_MS 5000 /* how long the supervisor's own end waits for the store */

enum exit_status supervisor_main(const struct config *config);

#endif

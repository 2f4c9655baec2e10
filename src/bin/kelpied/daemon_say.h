/* Why a daemon does not run, or no longer: a sentence, or a line of the log where that is JSON. */
#ifndef KELPIE_BIN_DAEMON_SAY_H
#define KELPIE_BIN_DAEMON_SAY_H

#include "base/check.h"
#include "bin/shared/config.h"

/* On standard error: "kelpied: SENTENCE", or with --log-format json an event `cannot_run`. Waits a
 * moment for somebody who does not read, then says nothing. */
void daemon_say(const struct config *config, const char *fmt, ...) PRINTF_LIKE(2, 3);

#endif

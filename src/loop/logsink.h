/*
 * The log's production sink: one line an event on a descriptor, `key=value` or JSON, bounded for each
 * event and source, written by a thread of its own (log_writer.h). What libraries say, and a process's
 * last words, go the same way.
 */
#ifndef KELPIE_LOOP_LOGSINK_H
#define KELPIE_LOOP_LOGSINK_H

#include <stdbool.h>

#include "base/log.h"

#define LOG_FLUSH_MS 250 /* what the end of a process waits for a log that nobody may read */

struct logsink {
    int fd;
    bool json;
    char node_id[129]; /* empty: no node field */
    const char *program;
    struct logsink_state *state; /* of logsink_open() */
};

/* Makes the log writable. `sink` stays where it is until logsink_close(). Returns 0, or KELPIE_E_IO
 * when the system refuses a thread. The first one of a process that is open also takes what libevent
 * says, and the process's last words. */
int logsink_open(struct logsink *sink) MUST_USE;
/* Writes what waits, for LOG_FLUSH_MS at most. Harmless on a zeroed one. */
void logsink_close(struct logsink *sink);
/* The same, before an end that passes nothing by. */
void logsink_flush(struct logsink *sink);
/* From any thread. `sink` is open as long as the log is used. */
struct log logsink_log(struct logsink *sink, enum log_level min);

#endif

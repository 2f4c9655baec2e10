/* The log's production sink: one line an event on a descriptor, `key=value` or JSON. */
#ifndef KELPIE_LOOP_LOGSINK_H
#define KELPIE_LOOP_LOGSINK_H

#include <stdbool.h>

#include "base/log.h"

struct logsink {
    int fd;
    bool json;
    char node_id[129]; /* empty: no node field */
    const char *program;
};

/* `sink` stays valid as long as the log is used. */
struct log logsink_log(struct logsink *sink, enum log_level min);

#endif

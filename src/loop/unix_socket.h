/* A listening Unix socket: a file that only the node's user and group can connect to. */
#ifndef KELPIE_LOOP_UNIX_SOCKET_H
#define KELPIE_LOOP_UNIX_SOCKET_H

#include <stdbool.h>
#include <stddef.h>

#include "base/check.h"

#define UNIX_PATH_MAX_LEN 107 /* the system's bound, without the NUL */

/* Listens at `path`, with mode 0660. A socket at which nobody listens any more is replaced. Returns a descriptor,
 * close-on-exec and non-blocking, or -1 with a sentence in `why`: the path is too long, somebody listens there (then
 * *taken too), the file is no socket, or what the system says. */
int unix_listen_open(const char *path, bool *taken, char *why, size_t why_size) MUST_USE;
/* Connects, blocking; -1 with errno. */
int unix_connect(const char *path) MUST_USE;
/* Whether the process at the other end is root's, of this process's user, or in its group. What is not is told so in
 * HTTP. */
bool unix_peer_may(int fd);

#endif

/*
 * Starting and killing the store process, seen from a client. Nothing here waits: what the started
 * process has to say is read from a pipe when it is there.
 */
#ifndef KELPIE_STORE_STORE_START_H
#define KELPIE_STORE_STORE_START_H

#include <sys/types.h>

#include "store/store_dir.h"

enum store_start_state {
    STORE_START_NONE,    /* nothing was started, or it is over */
    STORE_START_RUNNING, /* started, has not said anything yet */
};

/* What a started process said when it had finished starting. */
enum store_start_outcome {
    STORE_START_PENDING,
    STORE_START_OK,
    STORE_START_BUSY,   /* another process holds the lock: see holder */
    STORE_START_FAILED, /* see error and sentence */
};

struct store_starter {
    enum store_start_state state;
    int fd; /* its standard output, -1 when there is none; readable when it said something */
    pid_t pid;
    pid_t holder;
    int error;
    char sentence[STORE_ERROR_MAX];
    char line[STORE_ERROR_MAX + 32];
    size_t line_len;
};

struct store_start_options {
    const char *executable;     /* NULL: /proc/self/exe */
    const char *dir;            /* absolute */
    unsigned idle_ms;           /* 0: the default of the process */
    unsigned long long map_max; /* 0: the default of the process */
    const char *node_id;        /* who starts it, for its log; NULL: no node */
    bool log_json;
};

void store_starter_init(struct store_starter *s);
/* Gives up on what was started (it goes on by itself). */
void store_starter_deinit(struct store_starter *s);
/* Starts one; the starter must be idle. Returns 0, or KELPIE_E_IO with s->sentence. */
int store_starter_start(struct store_starter *s, const struct store_start_options *o) MUST_USE;
/* Reads what there is to read. Any outcome but PENDING ends it (fd is closed and -1 again). */
enum store_start_outcome store_starter_poll(struct store_starter *s);

/* Kills the store process at the other end of a connected socket, which must still be open there:
 * that proves that the pid is still its. Returns 0, or -1 with errno. */
int store_kill_peer(int socket_fd);
/* Kills the process that holds the directory's lock if that is `holder`. Returns 0, or -1 with errno
 * (ESRCH: it is not). */
int store_kill_holder(int dir_fd, pid_t holder);

#endif

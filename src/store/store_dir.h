/*
 * The directory of an embedded store: what it must be like, and the names in it. Used by the store
 * process and by its clients. System calls; any thread.
 *
 *   data.mdb, lock.mdb   the LMDB environment
 *   lock                 locked by the store process for its life
 *   socket               where it listens
 *   store.log            what it has to say; store.log.1 is the one before
 */
#ifndef KELPIE_STORE_STORE_DIR_H
#define KELPIE_STORE_STORE_DIR_H

#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>

#include "base/check.h"

#define STORE_PATH_MAX 4096
#define STORE_ERROR_MAX 1024 /* room for a sentence; a longer one is cut */
#define STORE_LOCK_FILE "lock"
#define STORE_SOCKET_FILE "socket"
#define STORE_LOG_FILE "store.log"

/* Makes a sentence, cut to `size` bytes. */
void store_sentence(char *out, size_t size, const char *fmt, ...) PRINTF_LIKE(3, 4);

/* Opens the directory and checks what is open: a directory of this user or of root, that nobody else may
 * enter but a group that this process is of, on no network filesystem. What is then done in it goes through
 * the descriptor (*fd, the caller's), so what was checked is what is used, whatever becomes of the name.
 * Returns 0, or KELPIE_E_IO, KELPIE_E_INVALID with a sentence. */
int store_dir_open(const char *dir, int *fd, char *error, size_t error_size) MUST_USE;
/* The same, and makes the directory (not its parents) when it is not there, with mode 0700. Writes its
 * absolute path to `out` (STORE_PATH_MAX bytes). `fd` may be NULL. Also KELPIE_E_STORE_FULL. */
int store_dir_prepare(const char *dir, char *out, int *fd, char *error, size_t error_size) MUST_USE;
/* A path that leads through an open directory. */
#define STORE_FD_PATH_MAX 32
void store_fd_path(int fd, char out[STORE_FD_PATH_MAX]);
/* The name of the network filesystem with this statfs magic, or NULL when it is none known. */
const char *store_fs_network(long magic);

/* Opens the lock file, makes it if need be. Returns the descriptor, or -1 with errno. */
int store_lock_open(int dir_fd);
/* Takes the lock for the life of the process (it is gone when the process is, also when that is
 * killed). 0; 1 when another process has it, then *holder is its pid (0 if unknown); -1 with errno. */
int store_lock_take(int lock_fd, pid_t *holder);
/* The pid of the process that holds the lock; 0 when none does, -1 with errno. */
pid_t store_lock_holder(int lock_fd);

/* Connects (non-blocking) or binds to the socket in the directory, however long its path is.
 * Returns the descriptor, or -1 with errno. */
int store_socket_connect(int dir_fd);
int store_socket_listen(int dir_fd);

#endif

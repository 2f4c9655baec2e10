/*
 * The store process: the one process that has an embedded store's files open. Started by whichever
 * client finds none (store_start.h), by running its own program again with a hidden argument:
 *
 *   PROGRAM --store-process DIR [--idle-ms N] [--map-max BYTES] [--node-id ID] [--log-format text|json]
 *
 * It detaches itself (a session of its own, parent gone, working directory /, no inherited
 * descriptors), takes the lock of the directory, opens the files, listens, and ends when it has had
 * no client for a while. The node in its lines is the one that started it. It tells its starter on standard output, in one line, "ok", "busy PID"
 * (another one holds the lock) or "error CODE SENTENCE".
 */
#ifndef KELPIE_STORE_STORE_PROCESS_H
#define KELPIE_STORE_STORE_PROCESS_H

#define STORE_PROCESS_ARGUMENT "--store-process"
#define STORE_IDLE_MS 10000
#define STORE_LOG_BYTES_MAX (1024 * 1024) /* a larger log is put aside, in the place of the last */
#define STORE_LOCK_WAIT_MS 200            /* for a process that is just ending */

/* What a program's main() does when argv[1] is STORE_PROCESS_ARGUMENT. Returns the exit status. */
int store_process_main(int argc, char **argv);

#endif

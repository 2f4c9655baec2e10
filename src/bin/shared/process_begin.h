/*
 * What every process of ours begins and ends with, whoever started it and with whatever mask, actions,
 * descriptors, limits and name. docs/adr/0016-processes.md has the reasons.
 */
#ifndef KELPIE_BIN_PROCESS_BEGIN_H
#define KELPIE_BIN_PROCESS_BEGIN_H

#include <stdbool.h>
#include <sys/types.h>

/* Their names, as `ps` shows them: at most 15 characters. */
#define PROCESS_NODE_NAME "kelpied-node"
#define PROCESS_STORE_NAME "kelpie-store"

enum process_role {
    ROLE_COMMAND,    /* ends with its terminal, as commands do */
    ROLE_SUPERVISOR, /* or a node without one: told to end by SIGTERM and SIGINT */
    ROLE_NODE,       /* of a supervisor, which alone tells it to end */
    ROLE_STORE,
};

/*
 * The first thing in main(). The signal mask is empty and every action the default, but: SIGPIPE and
 * SIGXFSZ are errors of the write; HUP, USR1, USR2, ALRM and their like end no daemon, TERM and INT no
 * node that has a supervisor. A standard descriptor that is closed is /dev/null. Commands keep what
 * they were called as, nodes and stores are named, in a session of their own.
 */
void process_begin(enum process_role role);
/* Closes every descriptor beyond the standard ones but `keep` (-1: none). */
void process_close_others(int keep);
/* Of signals: those that the kernel sends for what a process does itself; they end it, also where they are ignored. */
bool process_is_fault(int signum);
/* As many open files as `wanted`, if the system allows it. Returns how many there may be. */
unsigned process_allow_files(unsigned wanted);
/* For process 1, to whom every orphan goes: waits for all that have ended, but for `but`, whose own
 * parent asks how it ended. */
void process_reap(pid_t but);
/* main() of a store's process (store/store_process.h). */
int process_store_main(int argc, char **argv);
/* Writes what was printed. False when it cannot be, which process_end() says. */
bool process_flush(void);
/* The last thing in main(): what it gives back instead of `status`. What could not be written on
 * standard output is said, and then the status is not 0. A reader that is gone needs no sentence. */
int process_end(const char *program, int status);

#endif

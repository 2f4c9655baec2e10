/* What a worker process and who watches it tell each other. */
#ifndef KELPIE_BIN_WORKER_PAGE_H
#define KELPIE_BIN_WORKER_PAGE_H

#include "loop/running_page.h"

#define WORKER_PROGRAM "kelpie-worker"
/* kelpie-worker FD PAGES_FD FILE SOCKET NODE_ID LOG_LEVEL LOG_FORMAT */
#define WORKER_PROCESS_WORDS 8

#define WORKER_SLOTS_ASKING 4 /* that ask for work at a time */
#define WORKER_SLOTS_MAX 64
#define WORKER_STACK_BYTES (2u * 1024 * 1024)
#define WORKER_CALLBACK_MS 30000u /* that one may take, where its class says nothing else */

/* A byte each: */
#define WORKER_SAYS_REGISTERED 'r' /* the node has taken its types */
#define WORKER_SAYS_LOST 'l'       /* the node is gone, or refuses it */

/* Of one slot; written there, read outside. */
struct worker_page {
    struct running_page running;
    _Atomic uint32_t limit_ms; /* that what runs may take */
};

#endif

/*
 * --replace: this node takes the place of another, which is gone for good. Once it acts it has the other
 * struck off the voters: by the living primary (Forget), else by itself (ForceForget), each with its own
 * conditions; again and again until the row says Left, and it says what it waits for. For src/node only.
 */
#ifndef KELPIE_NODE_REPLACE_H
#define KELPIE_NODE_REPLACE_H

#include "node/node.h"

#define REPLACE_LOOK_MS                                                                            \
    1000 /* at first; while it has to wait, twice as long each time, at most a lease */
#define REPLACE_TELL_MS 10000 /* until it says again what it waits for */

struct replace;

/* `node_id`: 1 to NODE_ID_MAX bytes; copied. */
struct replace *replace_new(struct node *n, const char *node_id);
void replace_start(struct replace *r);
/* Nothing is begun any more; what is under way completes with the node's own. NULL: nothing. */
void replace_stop(struct replace *r);
void replace_free(struct replace *r);

#endif

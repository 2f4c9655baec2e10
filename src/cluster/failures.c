/*
 * Every failure that this node has declared is told once: who, by whom, why. Where nobody said what became of the
 * transaction, the rows do, as soon as they are read.
 */
#include "base/mark.h"
#include "cluster/cluster_internal.h"
#include "kelpie/error.h"

void emit_failed(struct cluster *c, const struct life *who, const char *why)
{
    char id[ID_QUOTED_SIZE], by[ID_QUOTED_SIZE], reason[WHY_QUOTED_SIZE];
    cluster_tell(c, LOG_WARN, "node_failed", "who=%s incarnation=%llu by=%s reason=%s",
                 quote_id(who->node_id, id), (unsigned long long)who->incarnation,
                 quote_id(c->config.node_id, by), quote_why(why, reason));
}

/* One more than there may be takes the oldest's place. */
static void remember(struct cluster *c, const struct life *who, const char *why)
{
    struct untold *u = c->untold;
    if (c->untold_count == UNTOLD_MAX) {
        memmove(u, u + 1, (UNTOLD_MAX - 1) * sizeof(*u));
        c->untold_count--;
    }
    u[c->untold_count++] = (struct untold){.who = *who, .why = why};
    SOMETIMES("failure-told-by-the-rows");
}

void failure_settled(struct cluster *c, const struct txn *t, int status, const struct life *who,
                     const char *why)
{
    if (who->node_id[0] == '\0')
        return;
    if (status == 0 && (t->committed || t->unknown_pending))
        emit_failed(c, who, why);
    else if (status == KELPIE_E_UNKNOWN_RESULT || (status && t->unknown_pending))
        remember(c, who, why);
}

/* Failed, or gone on since: then that life is over, and this node is one that was about to end it. */
void failures_look(struct cluster *c)
{
    size_t kept = 0;
    for (size_t i = 0; i < c->untold_count; i++) {
        const struct untold *u = &c->untold[i];
        const struct known_node *k = known_find(c, u->who.node_id);
        bool same = k && k->life.incarnation == u->who.incarnation;
        if (same && state_is_living(k->state))
            c->untold[kept++] = *u; /* it may land yet */
        else
            emit_failed(c, &u->who, u->why);
    }
    c->untold_count = kept;
}

/* Requests to the simulated FoundationDB, for the page: each request's completion goes by way of
 * here, and what lands after its request has ended is told too. */
#include <stdlib.h>

#include "kelpie/error.h"
#include "sim/stores/sim_fdb_store.h"

struct fdb_asked {
    struct list link;
    struct fdb_client *client;
    struct store_req *req;
    store_req_fn *fn;
    void *arg;
    bool commit;
    uint64_t sent_ns, landed_ns;
    const char *action;
};

static void add_line(struct world *w, const struct fdb_asked *a, const struct process *p,
                     int status)
{
    const struct store_req *req = a->req;
    struct record_line l = {.kind = a->commit ? LINE_COMMIT : LINE_READ,
                            .from_ns = a->sent_ns,
                            .at_ns = a->landed_ns,
                            .node = (uint8_t)p->node,
                            .slot = (uint8_t)p->slot,
                            .end = status == 0                         ? END_OK
                                   : status == KELPIE_E_UNKNOWN_RESULT ? END_UNKNOWN
                                                                       : END_ERROR,
                            .status = status};
    struct bytes key = {0};

    if (a->commit && req->write_count > 0)
        key = req->writes[0].key;
    else if (req->read_count > 0)
        key = req->reads[0].key;
    if (!a->commit && status == 0)
        l.at_ns = w->now_ns;
    record_request(w, &l, a->action, key);
}

static void asked_free(struct fdb_asked *a)
{
    list_remove(&a->link);
    free(a);
}

static void on_done(struct store_req *req, int status)
{
    struct fdb_asked *a = req->arg;

    add_line(a->client->p->world, a, a->client->p, status);
    req->fn = a->fn;
    req->arg = a->arg;
    asked_free(a);
    req->fn(req, status);
}

void fdb_record_ask(struct fdb_client *c, struct store_req *req, bool commit)
{
    struct fdb_asked *a = calloc(1, sizeof *a);

    CHECK(a);
    *a = (struct fdb_asked){.client = c,
                            .req = req,
                            .fn = req->fn,
                            .arg = req->arg,
                            .commit = commit,
                            .sent_ns = c->p->world->now_ns,
                            .action = record_action(c->p, req)};
    list_append(&c->asked, &a->link);
    req->fn = on_done;
    req->arg = a;
}

void fdb_record_cancel(struct fdb_client *c, const struct store_req *req)
{
    LIST_FOREACH_SAFE(it, tmp, &c->asked)
    {
        struct fdb_asked *a = LIST_ENTRY(it, struct fdb_asked, link);
        if (a->req != req)
            continue;
        a->req->fn = a->fn;
        a->req->arg = a->arg;
        asked_free(a);
    }
}

void fdb_record_end(struct fdb_client *c)
{
    while (!list_empty(&c->asked))
        asked_free(LIST_ENTRY(c->asked.next, struct fdb_asked, link));
}

/* The request that the commit belongs to, when it is still waited for. */
static struct fdb_asked *find_asked(struct world *w, const struct fdb_note *note)
{
    LIST_FOREACH(it, &w->processes)
    {
        const struct process *p = LIST_ENTRY(it, struct process, link);
        if (p->life != note->seen.life)
            continue;
        const struct fdb_client *c = p->store_client;
        LIST_FOREACH(at, &c->asked)
        {
            struct fdb_asked *a = LIST_ENTRY(at, struct fdb_asked, link);
            if (a->req == note->req && a->sent_ns == note->seen.sent_ns)
                return a;
        }
    }
    return NULL;
}

void fdb_record_landed(struct world *w, const struct fdb_note *note)
{
    struct fdb_asked *a = find_asked(w, note);
    struct record_line late = {.kind = LINE_COMMIT,
                               .from_ns = note->seen.sent_ns,
                               .at_ns = w->now_ns,
                               .node = (uint8_t)note->seen.node,
                               .slot = (uint8_t)note->seen.slot,
                               .end = END_LATE};
    if (a)
        a->landed_ns = w->now_ns;
    else
        record_request(w, &late, note->seen.action, (struct bytes){0});
}

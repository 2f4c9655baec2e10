#include "sim/sim_rows.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

struct batch batch_of(struct rig *r, struct process *p)
{
    return (struct batch){.r = r, .p = p};
}

struct buf *row(struct batch *b, struct key key)
{
    assert_true(b->count < ROWS_MAX);
    b->keys[b->count] = key;
    buf_init(&b->values[b->count], b->p->env.mem);
    return &b->values[b->count++];
}

void commits(struct batch *b, const char *check)
{
    struct world *w = &b->r->w;
    unsigned before = w->violation_count;

    for (size_t i = 0; i < b->count; i++)
        b->writes[i] = (struct store_write){.kind = b->values[i].len ? STORE_PUT : STORE_DELETE,
                                            .key = key_bytes(&b->keys[i]),
                                            .value = buf_bytes(&b->values[i])};
    (void)rig_commit(b->r, b->p, b->writes, b->count);
    w->stop = false;
    world_run(w, w->now_ns + NS_PER_MS);
    if (!check) {
        if (w->violation_count > before)
            fail_msg("%s: %s", w->violations[before].check, w->violations[before].text);
    } else {
        assert_true(w->violation_count > before);
        assert_string_equal(w->violations[before].check, check);
    }
    w->stop = false;
    w->violation_count = 0;
    for (size_t i = 0; i < b->count; i++)
        buf_deinit(&b->values[i]);
    b->count = 0;
}

void add_member(struct view_record *v, const char *id, uint64_t incarnation)
{
    uint64_t hi, lo;
    shadow_member_hash(id, incarnation, &hi, &lo);
    v->number++;
    v->count++;
    v->hash_hi += hi;
    v->hash_lo += lo;
}

static struct view_record found(struct rig *r, struct process *p)
{
    struct batch b = batch_of(r, p);
    struct view_record v = {0};

    add_member(&v, "n1", 1);
    PUT(&b, node_record, key_node(KS, "n1"), .state = NODE_ACTIVE, .incarnation = 1,
        .boot = p->boot);
    PUT(&b, view_record, key_view(KS), .number = v.number, .count = v.count, .hash_hi = v.hash_hi,
        .hash_lo = v.hash_lo);
    PUT(&b, primary_record, key_primary(KS), .node_id = "n1", .incarnation = 1, .boot = p->boot,
        .term = 1);
    PUT(&b, term_record, key_term(KS), .term = 1);
    commits(&b, NULL);
    return v;
}

void begin(struct fixture *f)
{
    struct sim_config c = rig_config();
    rig_begin(&f->r, &c);
    f->p = rig_process(&f->r, 0);
    f->v = found(&f->r, f->p);
}

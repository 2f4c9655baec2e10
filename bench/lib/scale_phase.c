#include "scale_phase.h"

#include <string.h>

void phase_begin(struct phase *p, struct scale_world *s, const char *name, size_t subject)
{
    const struct scale_node *primary = scale_primary(s);

    meter_reset(&s->meter);
    *p = (struct phase){.name = name, .subject = subject, .begin_ns = s->w.now_ns, .ok = true};
    p->primary_at = primary ? primary->number : PHASE_NOBODY;
    p->term_at = primary ? primary->primary_term : 0;
    p->view_at = scale_view(s);
}

static void group_add(struct phase_group *g, const struct meter_counts *c)
{
    g->nodes++;
    meter_add(&g->sum, c);
    if (c->rows > g->rows_max)
        g->rows_max = c->rows;
    if (c->frames > g->frames_max)
        g->frames_max = c->frames;
}

static void look_at_views(struct phase *p, const struct scale_world *s)
{
    for (size_t i = 0; i < s->node_count; i++) {
        const struct scale_node *n = &s->nodes[i];
        if (!n->p)
            continue;
        double view_ms = n->view_ns > p->begin_ns ? (double)(n->view_ns - p->begin_ns) / 1e6 : 0;
        double primary_ms =
            n->primary_ns > p->begin_ns ? (double)(n->primary_ns - p->begin_ns) / 1e6 : 0;
        if (view_ms > p->view_ms)
            p->view_ms = view_ms;
        if (primary_ms > p->primary_ms && n->primary_term != p->term_at)
            p->primary_ms = primary_ms;
    }
}

static double rows_of_a_heartbeat(const struct scale_world *s)
{
    struct meter_counts c = meter_action(&s->meter, "SendHeartbeat");
    return c.transactions ? (double)c.rows / (double)c.transactions : 0;
}

void phase_end(struct phase *p, struct scale_world *s)
{
    static const char *const fails[] = {"DeclareDead", "MarkNodeFailed", "MarkDeadAll",
                                        "ElectPrimary"};
    const struct scale_node *primary = scale_primary(s);
    size_t primary_now = primary ? primary->number : PHASE_NOBODY;

    p->seconds = (double)(s->w.now_ns - p->begin_ns) / 1e9;
    p->running = scale_running(s);
    for (size_t i = 0; i < s->node_count; i++) {
        const struct meter_counts *c = &s->meter.nodes[i].all;
        meter_add(&p->all, c);
        if (i == primary_now || i == p->primary_at)
            group_add(&p->primary, c);
        else if (i == p->subject)
            group_add(&p->about, c);
        else if (s->nodes[i].p)
            group_add(&p->ordinary, c);
    }
    look_at_views(p, s);
    p->beat_rows = rows_of_a_heartbeat(s);
    for (size_t i = 0; i < ARRAY_LEN(fails); i++) {
        struct meter_counts c = meter_action(&s->meter, fails[i]);
        p->failing += c.committed;
        if (c.committed && c.rows_written / c.committed > p->failing_rows_max)
            p->failing_rows_max = c.rows_written / c.committed;
    }
}

double phase_rate(const struct phase_group *g, uint64_t count, double seconds)
{
    return g->nodes ? (double)count / (double)g->nodes / seconds : 0;
}

double phase_beyond(const struct phase_group *g, uint64_t count, double seconds,
                    const struct phase_group *rest, uint64_t rest_count, double rest_seconds)
{
    if (!g->nodes)
        return 0;
    return (phase_rate(g, count, seconds) - phase_rate(rest, rest_count, rest_seconds)) * seconds;
}

static json_t *counts_json(const struct meter_counts *c)
{
    return json_pack("{sI sI sI sI sI sI sI sI sI sI}", "transactions", c->transactions,
                     "read_rounds", c->read_rounds, "rows", c->rows, "bytes_read", c->bytes_read,
                     "committed", c->committed, "conflicts", c->conflicts, "rows_written",
                     c->rows_written, "bytes_written", c->bytes_written, "frames", c->frames,
                     "frame_bytes", c->frame_bytes);
}

/* Of one node on average: per second, and what is beyond rest. */
static json_t *group_json(const struct phase_group *g, double seconds,
                          const struct phase_group *rest, double rest_seconds)
{
    const struct meter_counts *c = &g->sum, *r = &rest->sum;
    uint64_t bytes = c->bytes_read + c->bytes_written;
    uint64_t rest_bytes = r->bytes_read + r->bytes_written;
    json_t *o = json_pack(
        "{sI so s{sf sf sf sf sf}}", "nodes", (json_int_t)g->nodes, "sum", counts_json(c),
        "per_second", "transactions", phase_rate(g, c->transactions, seconds), "rows",
        phase_rate(g, c->rows, seconds), "bytes_read", phase_rate(g, c->bytes_read, seconds),
        "bytes_written", phase_rate(g, c->bytes_written, seconds), "frames",
        phase_rate(g, c->frames, seconds));

    CHECK(o);
    (void)json_object_set_new(o, "rows_max", json_integer((json_int_t)g->rows_max));
    (void)json_object_set_new(o, "frames_max", json_integer((json_int_t)g->frames_max));
    if (rest_seconds > 0)
        (void)json_object_set_new(
            o, "beyond_rest",
            json_pack(
                "{sf sf sf sf}", "transactions",
                phase_beyond(g, c->transactions, seconds, rest, r->transactions, rest_seconds),
                "rows", phase_beyond(g, c->rows, seconds, rest, r->rows, rest_seconds), "bytes",
                phase_beyond(g, bytes, seconds, rest, rest_bytes, rest_seconds), "frames",
                phase_beyond(g, c->frames, seconds, rest, r->frames, rest_seconds)));
    return o;
}

static json_t *actions_json(const struct scale_world *s)
{
    json_t *o = json_object();

    for (size_t a = 0; a < s->meter.action_count; a++) {
        struct meter_counts c = meter_action(&s->meter, s->meter.actions[a]);
        if (c.transactions + c.read_rounds + c.commits + c.committed > 0)
            (void)json_object_set_new(o, s->meter.actions[a], counts_json(&c));
    }
    return o;
}

json_t *phase_json(const struct phase *p, const struct phase *rest, const struct scale_world *s)
{
    static const struct phase none = {0};
    const struct phase *r = rest ? rest : &none;
    json_t *o = json_pack("{ss ss sI sI sb sf sI}", "bench", "scale", "phase", p->name, "nodes",
                          (json_int_t)p->running, "placements", (json_int_t)s->placements, "ok",
                          (int)p->ok, "seconds", p->seconds, "actors", (json_int_t)p->actors);

    CHECK(o);
    (void)json_object_set_new(o, "view_ms", json_real(p->view_ms));
    (void)json_object_set_new(o, "primary_ms", json_real(p->primary_ms));
    (void)json_object_set_new(o, "replaced_ms", json_real(p->replaced_ms));
    (void)json_object_set_new(o, "failing", json_integer((json_int_t)p->failing));
    (void)json_object_set_new(o, "failing_rows", json_integer((json_int_t)p->failing_rows_max));
    (void)json_object_set_new(o, "total", counts_json(&p->all));
    (void)json_object_set_new(o, "ordinary",
                              group_json(&p->ordinary, p->seconds, &r->ordinary, r->seconds));
    (void)json_object_set_new(o, "primary",
                              group_json(&p->primary, p->seconds, &r->primary, r->seconds));
    (void)json_object_set_new(o, "about", group_json(&p->about, p->seconds, &none.about, 0));
    (void)json_object_set_new(o, "actions", actions_json(s));
    return o;
}

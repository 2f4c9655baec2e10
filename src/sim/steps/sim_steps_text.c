/* Steps as text: one JSON object a line, or a TLA+ module. */
#include "sim/steps/sim_steps_link.h"

void steps_count(const struct steps *s, uint64_t counts[STEP_ACTION_COUNT])
{
    memset(counts, 0, STEP_ACTION_COUNT * sizeof *counts);
    for (size_t i = 0; i < s->count; i++)
        counts[s->lines[i].action] += s->lines[i].live && !s->lines[i].implied;
}

size_t steps_lines(const struct steps *s)
{
    size_t n = 0;

    for (size_t i = 0; i < s->count; i++)
        n += s->lines[i].live;
    return n;
}

bool steps_cut_short(const struct steps *s)
{
    return s->full;
}

/* ---- JSON */

/* Number + 1. */
static void json_node(struct buf *out, uint32_t node)
{
    if (node)
        buf_appendf(out, "\"n%u\"", node);
    else
        buf_appendf(out, "null");
}

static void json_set(struct buf *out, uint32_t set)
{
    const char *sep = "";

    buf_appendf(out, "[");
    for (unsigned n = 0; n < SIM_NODES_MAX; n++) {
        if (!(set >> n & 1u))
            continue;
        buf_appendf(out, "%s\"n%u\"", sep, n + 1);
        sep = ",";
    }
    buf_appendf(out, "]");
}

static void json_process(const struct steps *s, const struct step_node *n, struct buf *out)
{
    const char *sep = "";

    buf_appendf(out,
                ",\"me\":{\"state\":\"%s\",\"incarnation\":%u},\"view\":{\"number\":%u,"
                "\"members\":",
                node_state_name(n->me), n->me_incarnation, n->view);
    json_set(out, n->members);
    buf_appendf(out, "},\"claim\":%u,\"lease\":%s,\"runs\":{", n->claim,
                n->lease ? "true" : "false");
    for (unsigned a = 0; a < s->actors; a++) {
        if (!n->runs[a])
            continue;
        buf_appendf(out, "%s\"a%u\":%u", sep, a, n->runs[a]);
        sep = ",";
    }
    buf_appendf(out, "}");
}

static void json_state(const struct steps *s, const struct step *l, struct buf *out)
{
    buf_appendf(out, "\"state\":{\"view\":{\"number\":%u,\"members\":", l->store.view);
    json_set(out, l->store.members);
    buf_appendf(out, "},\"primary\":{\"node\":");
    json_node(out, l->store.primary);
    buf_appendf(out, ",\"incarnation\":%u,\"term\":%u},\"actors\":{", l->store.primary_incarnation,
                l->store.term);
    for (unsigned a = 0; a < s->actors; a++) {
        const struct step_place *p = &l->store.place[a];
        buf_appendf(out, "%s\"a%u\":{\"node\":", a ? "," : "", a);
        json_node(out, p->node);
        buf_appendf(out, ",\"incarnation\":%u,\"generation\":%u}", p->incarnation, p->generation);
    }
    buf_appendf(out, "},\"nodes\":{");
    for (unsigned i = 0; i < s->w->config.nodes; i++) {
        const struct step_node *n = &l->nodes[i];
        buf_appendf(out,
                    "%s\"n%u\":{\"state\":\"%s\",\"incarnation\":%u,\"ack\":%u,\"gone\":%u,"
                    "\"known\":%s",
                    i ? "," : "", i + 1, node_state_name(n->state), n->incarnation, n->ack, n->gone,
                    n->known ? "true" : "false");
        if (n->known)
            json_process(s, n, out);
        buf_appendf(out, "}");
    }
    buf_appendf(out, "}}");
}

void steps_to_ndjson(const struct steps *s, struct buf *out)
{
    uint64_t number = 0;

    for (size_t i = 0; i < s->count; i++) {
        const struct step *l = &s->lines[i];
        if (!l->live)
            continue;
        buf_appendf(out, "{\"step\":%llu,\"at_ms\":%.6f,\"action\":\"%s\",\"node\":",
                    (unsigned long long)++number, (double)l->at_ns / (double)NS_PER_MS,
                    step_name(l->action));
        json_node(out, l->node);
        if (l->other) {
            buf_appendf(out, ",\"other\":");
            json_node(out, l->other);
        }
        if (l->actor)
            buf_appendf(out, ",\"actor\":\"a%u\"", l->actor - 1);
        if (l->number)
            buf_appendf(out, ",\"number\":%u", l->number);
        if (l->with) {
            buf_appendf(out, ",\"with\":");
            json_set(out, l->with);
        }
        if (l->implied)
            buf_appendf(out, ",\"implied\":true");
        buf_appendf(out, ",");
        json_state(s, l, out);
        buf_appendf(out, "}\n");
    }
}

/* ---- TLA+: the fields are explained in spec/Trace.tla */

static void tla_set(struct buf *out, uint32_t set)
{
    const char *sep = "";

    buf_appendf(out, "{");
    for (unsigned n = 0; n < SIM_NODES_MAX; n++) {
        if (!(set >> n & 1u))
            continue;
        buf_appendf(out, "%s\"n%u\"", sep, n + 1);
        sep = ",";
    }
    buf_appendf(out, "}");
}

static void tla_node(struct buf *out, uint32_t node)
{
    if (node)
        buf_appendf(out, "\"n%u\"", node);
    else
        buf_appendf(out, "\"none\"");
}

static void tla_process(const struct steps *s, const struct step_node *n, struct buf *out)
{
    buf_appendf(out, "\"%s\",%u,%u,", node_state_name(n->me), n->me_incarnation, n->view);
    tla_set(out, n->members);
    buf_appendf(out, ",%u,%s", n->claim, n->lease ? "TRUE" : "FALSE");
    for (unsigned a = 0; a < s->actors; a++)
        buf_appendf(out, ",%u", n->runs[a]);
}

static void tla_state(const struct steps *s, const struct step *l, struct buf *out)
{
    buf_appendf(out, "v|-><<%u,", l->store.view);
    tla_set(out, l->store.members);
    buf_appendf(out, ">>,p|-><<");
    tla_node(out, l->store.primary);
    buf_appendf(out, ",%u,%u>>,pl|-><<", l->store.primary_incarnation, l->store.term);
    for (unsigned a = 0; a < s->actors; a++) {
        const struct step_place *p = &l->store.place[a];
        buf_appendf(out, "%s<<", a ? "," : "");
        tla_node(out, p->node);
        buf_appendf(out, ",%u,%u>>", p->incarnation, p->generation);
    }
    buf_appendf(out, ">>,ty|-><<");
    for (unsigned i = 0; i < s->w->config.nodes; i++)
        buf_appendf(out, "%s%s", i ? "," : "", l->nodes[i].hosts ? "TRUE" : "FALSE");
    buf_appendf(out, ">>,s|-><<");
    for (unsigned i = 0; i < s->w->config.nodes; i++) {
        const struct step_node *n = &l->nodes[i];
        buf_appendf(out, "%s<<\"%s\",%u,%u,%u>>", i ? "," : "", node_state_name(n->state),
                    n->incarnation, n->ack, n->gone);
    }
    buf_appendf(out, ">>,b|-><<");
    for (unsigned i = 0; i < s->w->config.nodes; i++) {
        buf_appendf(out, "%s<<", i ? "," : "");
        if (l->nodes[i].known)
            tla_process(s, &l->nodes[i], out);
        buf_appendf(out, ">>");
    }
    buf_appendf(out, ">>");
}

static void tla_names(struct buf *out, const char *name, char letter, unsigned first,
                      unsigned count)
{
    buf_appendf(out, "%s == <<", name);
    for (unsigned i = 0; i < count; i++)
        buf_appendf(out, "%s\"%c%u\"", i ? ", " : "", letter, first + i);
    buf_appendf(out, ">>\n");
}

/* The greatest of each that occurs: the bounds of the search. */
static void tla_bounds(const struct steps *s, struct buf *out)
{
    uint32_t generation = 0, incarnation = 0;
    const struct step *last = s->count ? &s->lines[s->count - 1] : NULL;

    for (unsigned a = 0; last && a < s->actors; a++)
        if (last->store.place[a].generation > generation)
            generation = last->store.place[a].generation;
    for (unsigned n = 0; last && n < s->w->config.nodes; n++)
        if (last->nodes[n].incarnation > incarnation)
            incarnation = last->nodes[n].incarnation;
    buf_appendf(out,
                "TraceMaxTerm == %u\nTraceMaxView == %u\nTraceMaxGen == %u\nTraceMaxInc == %u\n",
                (last ? last->store.term : 0) + 1, (last ? last->store.view : 0) + 1,
                generation + 1, incarnation + 1);
}

void steps_to_tla(const struct steps *s, struct buf *out)
{
    const char *sep = "";
    uint64_t number = 0;

    buf_appendf(out, "---- MODULE TraceData ----\n\\* The steps of one run of kelpie-sim, for "
                     "Trace.tla.\nEXTENDS Integers\n");
    tla_names(out, "TraceNodeNames", 'n', 1, s->w->config.nodes);
    tla_names(out, "TraceActorNames", 'a', 0, s->actors);
    tla_bounds(s, out);
    buf_appendf(out, "TraceTyped == %s\n", s->w->config.types_ms ? "TRUE" : "FALSE");
    buf_appendf(out, "Trace == <<\n");
    for (size_t i = 0; i < s->count; i++) {
        const struct step *l = &s->lines[i];
        if (!l->live)
            continue;
        buf_appendf(out, "%s[i|->%llu,a|->\"%s\",n|->", sep, (unsigned long long)++number,
                    step_name(l->action));
        sep = ",\n";
        tla_node(out, l->node);
        buf_appendf(out, ",m|->");
        tla_node(out, l->other);
        if (l->actor)
            buf_appendf(out, ",x|->\"a%u\"", l->actor - 1);
        else
            buf_appendf(out, ",x|->\"none\"");
        buf_appendf(out, ",k|->%u,w|->", l->number);
        tla_set(out, l->with);
        buf_appendf(out, ",");
        tla_state(s, l, out);
        buf_appendf(out, "]");
    }
    buf_appendf(out, "\n>>\n====\n");
}

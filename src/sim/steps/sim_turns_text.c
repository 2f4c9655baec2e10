/* Turns as a TLA+ module: the fields are explained in spec/TurnsTrace.tla. */
#include "sim/steps/sim_turns_link.h"

static void pairs(const struct turns *t, const struct turn_line *l, struct buf *out)
{
    for (size_t i = 0; i < l->pair_count; i++) {
        const struct turn_pair *p = &t->pairs[l->pairs + i];
        buf_appendf(out, "%s<<%u,%llu>>", i ? "," : "", p->number, (unsigned long long)p->value);
    }
}

void turns_to_tla(const struct turns *t, struct buf *out)
{
    buf_appendf(out,
                "---- MODULE TurnsData ----\n\\* The turns of %s/%s in one run of kelpie-sim, for "
                "TurnsTrace.tla.\nEXTENDS Integers\n"
                "TraceIds == 1..%u\nTraceMaxGen == %u\nTraceW == %llu\nTrace == <<\n",
                t->type, t->id, t->id_count, t->generation + 1,
                (unsigned long long)(t->window_ms == UINT64_MAX ? 1000 : t->window_ms));
    for (size_t i = 0; i < t->count; i++) {
        const struct turn_line *l = &t->lines[i];
        buf_appendf(out,
                    "%s[i|->%zu,a|->\"%s\",t|->%llu,g|->%u,x|->%u,n|->%llu,own|->%llu,hor|->%llu,"
                    "age|->%llu,so|->%llu,o|->\"%s\",y|->%s,s|->{",
                    i ? ",\n" : "", i + 1, turn_name(l->action), (unsigned long long)l->at_ms,
                    l->generation, l->number, (unsigned long long)l->commit,
                    (unsigned long long)l->own_ms, (unsigned long long)l->horizon_ms,
                    (unsigned long long)l->age_ms, (unsigned long long)l->socket_ms, l->outcome,
                    l->yes ? "TRUE" : "FALSE");
        pairs(t, l, out);
        buf_appendf(out, "}]");
    }
    buf_appendf(out, "\n>>\n====\n");
}

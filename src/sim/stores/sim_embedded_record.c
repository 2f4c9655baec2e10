#include "kelpie/error.h"
#include "sim/report/sim_record.h"
#include "sim/stores/sim_embedded.h"

static enum record_end end_of(int status, enum record_end good)
{
    if (status == 0)
        return good;
    return status == KELPIE_E_UNKNOWN_RESULT ? END_UNKNOWN : END_ERROR;
}

void store_record(const struct embedded_store *s, const struct sim_msg *m, enum record_end good)
{
    bool commit = m->seen.write_count > 0;
    struct record_line l = {.kind = commit ? LINE_COMMIT : LINE_READ,
                            .from_ns = m->seen.sent_ns,
                            .at_ns = m->landed_ns,
                            .node = (uint8_t)m->seen.node,
                            .slot = (uint8_t)m->seen.slot,
                            .end = (uint8_t)end_of(m->status, good),
                            .status = m->status};
    struct bytes key = {0};

    if (!s->w->record)
        return;
    if (commit && m->seen.writes)
        key = m->seen.writes[0].key;
    else if (!commit && m->read_count > 0)
        key = m->reads[0].key;
    record_request(s->w, &l, m->seen.action, key);
}

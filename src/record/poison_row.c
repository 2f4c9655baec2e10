#include "record/record_value.h"
#include "record/records.h"

void poison_record_encode(const struct poison_record *r, struct bytes key, struct buf *out)
{
    value_begin_at(out, 2);
    tuple_pack_uint(out, r->deaths);
    tuple_pack_uint(out, r->died_ms);
    tuple_pack_uint(out, r->until_ms);
    tuple_pack_uuid(out, r->boot);
    value_pack_text(out, r->callback, 1, CALLBACK_NAME_MAX);
    value_pack_text(out, r->request_id, 0, REQUEST_ID_MAX);
    value_end(key, out);
}

int poison_record_decode(struct bytes key, struct bytes value, struct buf *scratch,
                         struct poison_record *r)
{
    struct tuple_reader f;
    int rc = value_open_at(key, value, scratch, &f, 2);
    if (rc)
        return rc;
    r->deaths = value_take_u32(&f);
    r->died_ms = tuple_next_uint(&f);
    r->until_ms = tuple_next_uint(&f);
    r->boot = tuple_next_uuid(&f);
    value_take_text(&f, r->callback, 1, CALLBACK_NAME_MAX);
    value_take_text(&f, r->request_id, 0, REQUEST_ID_MAX);
    return value_close(&f);
}

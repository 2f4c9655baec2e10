/* Bytes in the JSON of workers: text as it is, anything else in base64 under the name with "64" behind it. */
#ifndef KELPIE_HTTP_WORKER_TEXT_H
#define KELPIE_HTTP_WORKER_TEXT_H

#include <jansson.h>

#include "base/buf.h"

/* UTF-8 without NUL. */
bool worker_is_text(struct bytes b);
json_t *worker_text_json(struct bytes text);
json_t *worker_base64_json(struct bytes b, struct mem mem);
void worker_set_bytes(json_t *o, const char *name, const char *name64, struct bytes b,
                      struct mem mem);
/* Appends it to `out`, and takes it over. */
void worker_write_json(json_t *o, struct buf *out);

#endif

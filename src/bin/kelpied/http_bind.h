/* The API behind the HTTP server. */
#ifndef KELPIE_BIN_HTTP_BIND_H
#define KELPIE_BIN_HTTP_BIND_H

#include "http/api.h"
#include "loop/http_server.h"

/* The server's handler: hands the exchange to the API that *arg (a struct api **) points to; while
 * that is NULL, answers "unavailable". */
void http_bind_handle(void *arg, struct http_exchange *ex);
/* Likewise, of the node's own Unix socket. */
void http_bind_handle_local(void *arg, struct http_exchange *ex);
/* The server's on_read, with the same `arg`. */
void http_bind_read(void *arg);
/* For api_config.metrics; `arg` is the server. */
void http_bind_metrics(void *arg, struct buf *out);

#endif

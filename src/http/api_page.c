/* GET /: one plain page for a person with a browser. */
#include "http/api_internal.h"

static const char page_head[] =
    "<!doctype html>\n<html lang=\"en\"><head><meta charset=\"utf-8\">"
    "<meta name=\"viewport\" content=\"width=device-width\"><title>Kelpie</title>\n"
    "<style>body{font:16px/1.5 system-ui,sans-serif;max-width:44rem;margin:2rem auto;"
    "padding:0 1rem}code,td:first-child{font-family:ui-monospace,monospace}"
    "td{padding:.15rem 1rem .15rem 0;vertical-align:top}</style></head><body>\n";

static const char page_links[] =
    "<table>\n"
    "<tr><td><a href=\"/v1/status\">/v1/status</a></td><td>this node</td></tr>\n"
    "<tr><td><a href=\"/v1/nodes\">/v1/nodes</a></td><td>every node</td></tr>\n"
    "<tr><td><a href=\"/v1/view\">/v1/view</a></td><td>the active nodes</td></tr>\n"
    "<tr><td><a href=\"/v1/primary\">/v1/primary</a></td><td>the primary</td></tr>\n"
    "<tr><td><a href=\"/v1/actors\">/v1/actors</a></td><td>actors and where they are</td></tr>\n"
    "<tr><td><a href=\"/v1/messages\">/v1/messages</a></td><td>dead letters</td></tr>\n"
    "<tr><td><a href=\"/v1/events\">/v1/events</a></td><td>what happens, as it happens</td></tr>\n"
    "<tr><td><a href=\"/metrics\">/metrics</a></td><td>for Prometheus</td></tr>\n"
    "<tr><td><a href=\"/livez\">/livez</a>, <a href=\"/readyz\">/readyz</a></td>"
    "<td>for whoever watches processes</td></tr>\n"
    "</table>\n"
    "<p>Call an actor:</p>\n"
    "<pre>curl -X POST -d 1 http://HOST:PORT/v1/actors/counter/hello/add</pre>\n"
    "<p>The whole API is in <code>docs/http-api.md</code>; the command is <code>kelpie</code>.</p>"
    "\n</body></html>\n";

static void append_escaped(struct buf *out, const char *text)
{
    for (; *text; text++) {
        switch (*text) {
        case '<':
            buf_appendf(out, "&lt;");
            break;
        case '>':
            buf_appendf(out, "&gt;");
            break;
        case '&':
            buf_appendf(out, "&amp;");
            break;
        case '"':
            buf_appendf(out, "&quot;");
            break;
        default:
            buf_append_u8(out, (uint8_t)*text);
        }
    }
}

void api_page(struct api *api, const struct api_request *req, const struct path *path)
{
    struct cluster *c = node_cluster(api->node);
    struct buf out;
    (void)path;
    buf_init(&out, api->env->mem);
    buf_append_bytes(&out, bytes_of_str(page_head));
    buf_appendf(&out, "<h1>Kelpie node ");
    append_escaped(&out, cluster_config_of(c)->node_id);
    buf_appendf(&out, "</h1>\n<p>%s%s, %zu active nodes, version %s.</p>\n",
                node_state_name(cluster_state(c)), cluster_claim(c) ? ", primary" : "",
                cluster_view(c)->count, api->config.version);
    buf_append_bytes(&out, bytes_of_str(page_links));
    api_reply(api, req, 200, "text/html; charset=utf-8", buf_bytes(&out));
    buf_deinit(&out);
}

/* The HTTP server and client in one loop, with a handler that does what its path says. */
#ifndef KELPIE_INTEGRATION_HTTP_SCENE_H
#define KELPIE_INTEGRATION_HTTP_SCENE_H

#include "base/buf.h"
#include "loop/http_client.h"
#include "loop/http_server.h"

struct scene {
    struct loop *loop;
    const char *refuses_events;         /* with this body, and 503 */
    struct http_server_options options; /* for the next scene_open_server */
    struct http_server *server;
    struct http_client *client;
    struct timer deadline;
    bool timed_out;
    size_t waiting; /* answers until the loop stops */

    /* What the server saw. */
    size_t handled;
    char path[128];
    char query[128];
    char request_id[64];
    size_t body_len;
    uint64_t held_ns;
    struct http_exchange *held[600]; /* "/hold": answered later */
    size_t held_count;
    size_t handled_at_hold; /* how many, with the last of these */
    size_t closed;
    size_t refused_chunks;
    struct timer tick;
    size_t ticks;

    /* What the client saw. */
    size_t answers;
    int error;
    int status;
    char body[4096];
    size_t answer_len;
    size_t chunks;
    struct buf streamed;
    bool stood_still; /* the server's next on_read drops what is unread */
};

http_handler_fn scene_handle;
int scene_setup(void **state);
int scene_teardown(void **state);
/* Fails the test where it cannot. */
void scene_open_server(struct scene *s, const char *addr);
void scene_run(struct scene *s, uint64_t ns);
/* Runs until that many answers more have come. */
void scene_await(struct scene *s, size_t answers);
/* Notes the answer for scene_await. */
void scene_on_answer(void *arg, const struct http_response *r);
void scene_send(struct scene *s, const char *method, const char *path, const char *id,
                struct bytes body);
/* Sends, and waits for the answer. */
void scene_request(struct scene *s, const char *method, const char *path, struct bytes body);

/* ---- without the client ---- */

#define RAW_PATIENCE_MS 5000

/* A connection to the server. */
int raw_open(struct scene *s);
/* Sends `step` bytes in each turn of the loop, as far as the other side takes them. */
void raw_send(struct scene *s, int fd, struct bytes text, size_t step);
/* Sends `text`; `out` is what comes until `until` is in it (NULL: until the end comes). */
void raw_talk(struct scene *s, int fd, struct bytes text, const char *until, char *out,
              size_t size);

#endif

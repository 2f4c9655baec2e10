/* The HTTP API on whole nodes in a small world: requests in, answers out, no sockets. */
#ifndef KELPIE_TESTS_API_RIG_H
#define KELPIE_TESTS_API_RIG_H

#include "http/api.h"
#include "lib/small_world.h"

#define API_RIG_TEXT_SIZE (512u * 1024)
#define API_RIG_WAIT_MS 20000

extern const struct kelpie_class *const api_rig_classes[];

/* One exchange: what the client sent, and what it got. */
struct api_client {
    const char *query_name, *query_value;
    const char *header_name, *header_value;
    const char *host, *origin;
    bool is_page;   /* it cannot send Kelpie-Request */
    size_t waiting; /* what of a stream it has not taken */
    bool answered, streaming, ended;
    int status;
    char type[64];
    char headers[1024]; /* name: value lines */
    char *body;         /* API_RIG_TEXT_SIZE */
    size_t len;
    void (*on_close)(void *arg);
    void *on_close_arg;
    bool is_slow;            /* chunks are refused */
    bool goes_away_in_chunk; /* the client is found gone while it is written to */
};

struct api_rig {
    struct small_world *w;
    struct small_node *n;
    struct api *api;
    struct api_client c;
};

/* For cmocka: a world with one node, n1, which is Active. */
int api_rig_set_up(void **state);
int api_rig_set_up_with(void **state, const struct kelpie_class *const *classes);
int api_rig_tear_down(void **state);
#define API_TEST(fn) cmocka_unit_test_setup_teardown(fn, api_rig_set_up, api_rig_tear_down)

/* As it was made, but for the memory of the body. */
void api_client_clear(struct api_client *c);
/* Sends it and does not wait. What the client has set beside the answer stays. */
void api_send(struct api_rig *f, struct api_client *c, const char *method, const char *path,
              struct bytes body);
/* Sends it from the rig's own client and waits for the answer. */
void api_ask(struct api_rig *f, const char *method, const char *path, const char *body);
/* GET is answered with 200 and has that in it; a request is refused with that error and sentence. */
void api_says(struct api_rig *f, const char *path, const char *what);
void api_refused(struct api_rig *f, const char *method, const char *path, int error,
                 const char *what);

#endif

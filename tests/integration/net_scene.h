/* Two ends of net_tcp.h in one loop, over real sockets, and strangers. */
#ifndef KELPIE_TESTS_NET_SCENE_H
#define KELPIE_TESTS_NET_SCENE_H

#include "loop/net_tcp.h"

struct scene;

struct end {
    struct scene *scene;
    struct net_tcp *tcp;
    struct net net;
    char addr[NET_ADDR_SIZE];
    size_t frames;
    size_t bytes;
    char last[64];
    size_t downs;
    char down_addr[NET_ADDR_SIZE];
    size_t bads;
    int bad_error;
    enum net_standing standing; /* of most frames; "member" and "rubbish" say it themselves */
    struct net_conn conn;       /* that the last frame came on */
    char answered_from[NET_ADDR_SIZE];
    bool answers; /* everything that comes */
    uint64_t burn_ns;
};

struct scene {
    struct loop *loop;
    struct log log;
    struct timer deadline, poll;
    bool timed_out;
    bool (*until)(struct scene *s);
    struct buf scratch;
    struct end ends[2];
};

int net_scene_setup(void **state);
int net_scene_teardown(void **state);
void open_end(struct scene *s, struct end *e, const char *addr);
/* Until a frame or another event makes it true; or (_seen) once a millisecond looks. */
void run_until(struct scene *s, bool (*until)(struct scene *s));
void run_until_seen(struct scene *s, bool (*until)(struct scene *s));
void run_for(struct scene *s, uint64_t ns);
int send_text(struct scene *s, size_t from, const char *addr, const char *text) MUST_USE;
bool one_got_one(struct scene *s);

/* A stranger's socket, connected to the second end. */
int stranger(struct scene *s);
void say(struct scene *s, int fd, const char *text);
bool is_closed(int fd);

#endif

#include "bin/kelpied/node_socket.h"

#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "bin/shared/world_bind.h"

int node_socket_open(struct node_socket *s, const struct config *c, char *why, size_t why_size)
{
    char path[CONFIG_PATH_MAX + NODE_ID_MAX + 32];
    bool taken;
    int fd;

    if (make_directories(c->data_dir, why, why_size))
        return -1;
    (void)snprintf(path, sizeof path, "%s/" NODE_SOCKET, c->data_dir);
    fd = unix_listen_open(path, &taken, why, why_size);
    if (fd < 0 && taken) {
        (void)snprintf(path, sizeof path, "%s/kelpied-%s.sock", c->data_dir, c->node_id);
        fd = unix_listen_open(path, &taken, why, why_size);
    }
    if (fd >= 0)
        memcpy(s->path, path, strlen(path) + 1);
    return fd;
}

void node_socket_remove(const struct node_socket *s)
{
    if (s->path[0])
        (void)unlink(s->path);
}

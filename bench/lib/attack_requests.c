#include "attack_requests.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <unistd.h>

#include "loop/tcp_socket.h"

static size_t post(char *out, const char *type, const char *method, const char *id,
                   const char *body)
{
    return (size_t)snprintf(out, ATTACK_REQUEST_MAX,
                            "POST /v1/actors/%s/%s/%s HTTP/1.1\r\nHost: 127.0.0.1\r\n"
                            "Kelpie-Request: 1\r\nContent-Length: %zu\r\n\r\n%s",
                            type, id, method, strlen(body), body);
}

size_t ask_path(char *out, const char *path)
{
    return (size_t)snprintf(out, ATTACK_REQUEST_MAX, "GET %s HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n",
                            path);
}

size_t ask_list(char *out, unsigned c, uint64_t n)
{
    (void)c;
    (void)n;
    return ask_path(out, "/v1/actors?limit=1000");
}

size_t ask_events(char *out, unsigned c, uint64_t n)
{
    (void)c;
    (void)n;
    return ask_path(out, "/v1/events");
}

static size_t ask_busy(char *out, unsigned c, const char *ms)
{
    char id[32];

    (void)snprintf(id, sizeof id, "0-%u", c);
    return post(out, "busy", "work", id, ms);
}

size_t ask_150_ms(char *out, unsigned c, uint64_t n)
{
    (void)n;
    return ask_busy(out, c, "150");
}

size_t ask_6_ms(char *out, unsigned c, uint64_t n)
{
    (void)n;
    return ask_busy(out, c, "6");
}

/* Each actor is asked for a while, then left to be passivated. */
size_t ask_slow_end(char *out, unsigned c, uint64_t n)
{
    char id[32];

    (void)snprintf(id, sizeof id, "50-%u-%llu", c, (unsigned long long)n / 200);
    return post(out, "busy", "work", id, "0");
}

size_t ask_nonsense(char *out, unsigned c, uint64_t n)
{
    char id[48];

    (void)snprintf(id, sizeof id, "nonsense-%u-%llu", c, (unsigned long long)n);
    return post(out, "counter", "get", id, "");
}

size_t ask_half(char *out, unsigned c, uint64_t n)
{
    (void)n;
    return (size_t)snprintf(out, ATTACK_REQUEST_MAX,
                            "POST /v1/actors/echo/half-%u/echo HTTP/1.1\r\nHost: 127.0.0.1\r\n"
                            "Content-Length: 1048576\r\n\r\n",
                            c);
}

/* About 300 KB of answer. */
size_t ask_large(char *out, unsigned c, uint64_t n)
{
    (void)c;
    (void)n;
    return ask_path(out, "/v1/actors?limit=1000&type=counter");
}

int ask_status(const char *addr, const char *request, unsigned ms)
{
    struct timeval wait = {.tv_sec = ms / 1000, .tv_usec = ms % 1000 * 1000};
    char line[64] = "";
    int fd = tcp_connect(addr);
    ssize_t n;

    if (fd < 0)
        return 0;
    (void)fcntl(fd, F_SETFL, 0);
    (void)setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &wait, sizeof wait);
    (void)setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &wait, sizeof wait);
    n = send(fd, request, strlen(request), MSG_NOSIGNAL);
    if (n > 0)
        n = recv(fd, line, sizeof line - 1, 0);
    (void)close(fd);
    return n > 12 ? (int)strtol(line + 9, NULL, 10) : 0;
}

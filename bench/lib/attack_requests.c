#include "attack_requests.h"

#include <stdio.h>
#include <string.h>

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

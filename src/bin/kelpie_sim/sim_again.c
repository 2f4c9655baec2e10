#include "bin/kelpie_sim/sim_again.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/check.h"
#include "bin/kelpie_sim/sim_options.h"
#include "kelpie/error.h"

/* What disturbs malloc(): the byte that it writes into what it hands out, and no cache of a thread's
 * own, so that addresses come in another order. */
static const char *const disturbances[][2] = {
    {"MALLOC_PERTURB_", "165"},
    {"GLIBC_TUNABLES", "glibc.malloc.tcache_count=0"},
};

#define ARGS_MAX (10 + 2 * (SETS_MAX + 8))
#define TEXT_MAX 65536

bool shell_quote(const char *value, char *out, size_t size)
{
    bool plain = *value && strspn(value, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ"
                                         "0123456789_-./,:=@%+") == strlen(value);
    size_t n = 0;

    if (plain)
        return (size_t)snprintf(out, size, "%s", value) < size;
    if (size < 3)
        return false;
    out[n++] = '\'';
    for (; *value && n + 6 < size; value++) {
        const char *as = *value == '\'' ? "'\\''" : NULL;
        if (as)
            n += (size_t)snprintf(out + n, size - n, "%s", as);
        else
            out[n++] = *value;
    }
    out[n++] = '\'';
    out[n] = '\0';
    return *value == '\0';
}

char *shell_word(char **rest)
{
    char *at = *rest + strspn(*rest, " "), *word = at, *to = at;
    bool quoted = false;

    if (!*at)
        return NULL;
    for (; *at && (quoted || *at != ' '); at++) {
        if (*at == '\'')
            quoted = !quoted;
        else if (*at == '\\' && !quoted && at[1])
            *to++ = *++at;
        else
            *to++ = *at;
    }
    *rest = *at ? at + 1 : at;
    *to = '\0';
    return word;
}

static _Noreturn void child(const struct again_run *r, int fd)
{
    char seed[24], overrides[OVERRIDES_MAX], *rest = overrides, *word;
    char run[] = "run", option[] = "--seed", name[] = "kelpie-sim";
    char format[] = "-w", json[] = "json", events[] = "--events", range[64];
    char *argv[ARGS_MAX] = {name, run, option, seed};
    size_t n = 4;
    int null = open("/dev/null", O_WRONLY | O_CLOEXEC);

    (void)snprintf(seed, sizeof seed, "%llu", (unsigned long long)r->seed);
    (void)snprintf(overrides, sizeof overrides, "%s", r->overrides);
    (void)snprintf(range, sizeof range, "%s", r->events ? r->events : "");
    argv[n++] = r->events ? events : format;
    argv[n++] = r->events ? range : json;
    while (n + 1 < ARGS_MAX && (word = shell_word(&rest)))
        argv[n++] = word;
    if (dup2(fd, STDOUT_FILENO) < 0 || (null >= 0 && dup2(null, STDERR_FILENO) < 0))
        _exit(127);
    for (size_t i = 0; i < ARRAY_LEN(disturbances); i++)
        if (r->disturbed && setenv(disturbances[i][0], disturbances[i][1], 1))
            _exit(127);
    (void)execv(r->program, argv);
    _exit(127);
}

int again_start(const struct again_run *r, struct again *out)
{
    int ends[2];

    if (pipe2(ends, O_CLOEXEC))
        return KELPIE_E_IO;
    pid_t pid = fork();
    if (pid == 0)
        child(r, ends[1]);
    (void)close(ends[1]);
    if (pid < 0) {
        (void)close(ends[0]);
        return KELPIE_E_IO;
    }
    *out = (struct again){.pid = pid, .fd = ends[0]};
    return 0;
}

/* ---- what it printed */

static bool take_hash(const char *text, struct hash128 *out)
{
    uint64_t words[2] = {0, 0};

    for (unsigned i = 0; i < 32; i++) {
        const char *digits = "0123456789abcdef", *at = text[i] ? strchr(digits, text[i]) : NULL;
        if (!at)
            return false;
        words[i / 16] = words[i / 16] << 4 | (uint64_t)(at - digits);
    }
    *out = (struct hash128){.hi = words[0], .lo = words[1]};
    return true;
}

static const char *field(const char *json, const char *name)
{
    const char *at = strstr(json, name);
    return at ? at + strlen(name) : NULL;
}

static bool parse(const char *json, struct again_hashes *out)
{
    const char *trace = field(json, "\"trace_hash\":\""), *events = field(json, "\"events\":");
    const char *at = field(json, "\"prefixes\":[");

    *out = (struct again_hashes){0};
    if (!trace || !events || !at || !take_hash(trace, &out->trace))
        return false;
    out->events = strtoull(events, NULL, 10);
    while (*at == '"' && out->prefixes < PREFIX_HASHES) {
        if (!take_hash(at + 1, &out->prefix[out->prefixes++]))
            return false;
        at += 34;
        at += *at == ',';
    }
    return true;
}

static void wait_for(struct again *a)
{
    int status;

    (void)close(a->fd);
    while (waitpid(a->pid, &status, 0) < 0 && errno == EINTR)
        ;
    a->pid = 0;
}

bool again_finish(struct again *a, struct again_hashes *out)
{
    char *text = malloc(TEXT_MAX);
    size_t len = 0;

    CHECK(text);
    for (;;) {
        ssize_t n = read(a->fd, text + len, TEXT_MAX - 1 - len);
        if (n < 0 && errno == EINTR)
            continue;
        if (n <= 0)
            break;
        len += (size_t)n;
    }
    text[len] = '\0';
    wait_for(a);
    bool parsed = parse(text, out);
    free(text);
    return parsed;
}

void again_stop(struct again *a)
{
    if (!a->pid)
        return;
    (void)kill(a->pid, SIGKILL);
    wait_for(a);
}

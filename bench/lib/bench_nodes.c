#include "bench_nodes.h"

#include <arpa/inet.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <ftw.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "base/check.h"

/* Below the ports that the system gives to outgoing connections, so that a node that is started
 * anew finds its port free. */
#define PORT_FIRST 12000
#define PORT_COUNT 18000
#define ARGS_MAX 48

_Noreturn static void fail(const char *what, const char *which)
{
    (void)fprintf(stderr, "bench: %s %s: %s\n", what, which, strerror(errno));
    exit(1);
}

/* ---- directory, program, ports ---- */

static void find_program(char *out, const char *given)
{
    char self[BENCH_PATH_MAX - 32];
    ssize_t len;
    char *slash;

    if (given) {
        (void)snprintf(out, BENCH_PATH_MAX, "%s", given);
    } else {
        len = readlink("/proc/self/exe", self, sizeof self - 1);
        self[len > 0 ? len : 0] = '\0';
        slash = strrchr(self, '/');
        if (slash)
            *slash = '\0';
        (void)snprintf(out, BENCH_PATH_MAX, "%s/../kelpied", self);
    }
    if (access(out, X_OK))
        fail("there is no program", out);
}

static bool port_is_free(int port)
{
    struct sockaddr_in sa = {.sin_family = AF_INET,
                             .sin_port = htons((uint16_t)port),
                             .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    bool is_free = fd >= 0 && bind(fd, (struct sockaddr *)&sa, sizeof sa) == 0;

    if (fd >= 0)
        (void)close(fd);
    return is_free;
}

static int next_port(int *port)
{
    for (int tries = 0; tries < PORT_COUNT; tries++) {
        *port = PORT_FIRST + (*port + 1 - PORT_FIRST) % PORT_COUNT;
        if (port_is_free(*port))
            return *port;
    }
    fail("there is no free port on", "127.0.0.1");
}

void bench_nodes_init(struct bench_nodes *n, struct bench_loop *b, size_t count, const char *parent,
                      const char *program)
{
    int port = PORT_FIRST + (int)(clock_wall_ms(b->clock) % PORT_COUNT);

    CHECK(count > 0 && count <= BENCH_NODES_MAX);
    memset(n, 0, sizeof *n);
    n->b = b;
    n->count = count;
    n->supervised = true;
    find_program(n->program, program);
    if (!parent)
        parent = getenv("TMPDIR");
    (void)snprintf(n->dir, sizeof n->dir, "%s/kelpie-bench-XXXXXX", parent ? parent : "/tmp");
    if (!mkdtemp(n->dir))
        fail("cannot make the directory", n->dir);
    /* Whatever loses its parent becomes a child of this process, and is found at the end. */
    if (prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0))
        fail("cannot become", "subreaper");
    for (size_t i = 0; i < count; i++) {
        struct bench_node *node = &n->node[i];

        node->nodes = n;
        (void)snprintf(node->id, sizeof node->id, "n%zu", i + 1);
        (void)snprintf(node->http, sizeof node->http, "127.0.0.1:%d", next_port(&port));
        (void)snprintf(node->rpc, sizeof node->rpc, "127.0.0.1:%d", next_port(&port));
        node->client = http_client_new(b->loop, b->mem, node->http);
    }
}

/* ---- the end of processes ---- */

void bench_nodes_reap(struct bench_nodes *n)
{
    pid_t pid;
    int status;

    while ((pid = waitpid(-1, &status, WNOHANG)) > 0) {
        for (size_t i = 0; i < n->count; i++) {
            if (n->node[i].pid == pid) {
                n->node[i].pid = 0;
                n->node[i].exit_status = status;
            }
        }
    }
}

static pid_t parent_of(const char *pid)
{
    char path[64], text[512];
    const char *at;
    FILE *f;
    size_t len;

    (void)snprintf(path, sizeof path, "/proc/%.16s/stat", pid);
    f = fopen(path, "re");
    if (!f)
        return 0;
    len = fread(text, 1, sizeof text - 1, f);
    (void)fclose(f);
    text[len] = '\0';
    at = strrchr(text, ')'); /* of the name, which may hold anything */
    if (!at || strlen(at) < 5)
        return 0;
    return (pid_t)strtol(at + 4, NULL, 10);
}

/* Kills the children of this process; theirs become ours and are next. Returns how many. */
static size_t kill_children(void)
{
    DIR *proc = opendir("/proc");
    const struct dirent *entry;
    size_t count = 0;

    if (!proc)
        return 0;
    while ((entry = readdir(proc))) {
        pid_t pid = (pid_t)strtol(entry->d_name, NULL, 10);

        if (pid > 0 && parent_of(entry->d_name) == getpid()) {
            (void)kill(pid, SIGKILL);
            (void)waitpid(pid, NULL, 0);
            count++;
        }
    }
    (void)closedir(proc);
    return count;
}

static int remove_entry(const char *path, const struct stat *st, int flag, struct FTW *ftw)
{
    (void)st;
    (void)flag;
    (void)ftw;
    (void)remove(path);
    return 0;
}

void bench_nodes_deinit(struct bench_nodes *n, bool keep)
{
    for (size_t i = 0; i < n->count; i++) {
        http_client_free(n->node[i].client);
        n->node[i].client = NULL;
    }
    while (kill_children() > 0)
        continue;
    if (keep)
        (void)fprintf(stderr, "bench: kept %s\n", n->dir);
    else
        (void)nftw(n->dir, remove_entry, 16, FTW_DEPTH | FTW_PHYS);
}

static bool has_ended(void *arg)
{
    struct bench_node *node = arg;

    bench_nodes_reap(node->nodes);
    return node->pid == 0;
}

bool bench_node_wait_end(struct bench_node *node, uint64_t timeout_ms)
{
    return bench_wait(node->nodes->b, has_ended, node, timeout_ms);
}

/* ---- starting ---- */

_Noreturn static void run_node(const struct bench_nodes *n, const struct bench_node *node,
                               pid_t parent)
{
    char store[BENCH_PATH_MAX + 16], log[BENCH_PATH_MAX + 32];
    const char *args[ARGS_MAX] = {n->program, "--node-id",    node->id, "--data-dir",
                                  n->dir,     "--store",      store,    "--listen",
                                  node->http, "--rpc-listen", node->rpc};
    size_t count = 11;
    sigset_t none;
    int fd;

    (void)snprintf(store, sizeof store, "lmdb:%s/store", n->dir);
    (void)snprintf(log, sizeof log, "%s/%s.log", n->dir, node->id);
    if (!n->supervised)
        args[count++] = "--no-supervisor";
    for (size_t i = 0; n->options && n->options[i] && count + 1 < ARGS_MAX; i++)
        args[count++] = n->options[i];
    /* Its own group: a Ctrl-C is for the bench, which then ends its nodes. */
    (void)setpgid(0, 0);
    (void)prctl(PR_SET_PDEATHSIG, SIGKILL);
    (void)sigemptyset(&none);
    (void)sigprocmask(SIG_SETMASK, &none, NULL);
    fd = open(log, O_WRONLY | O_CREAT | O_APPEND, 0600);
    if (getppid() != parent || fd < 0 || dup2(fd, STDOUT_FILENO) < 0 || dup2(fd, STDERR_FILENO) < 0)
        _exit(126);
    (void)execv(n->program, (char *const *)(uintptr_t)args);
    _exit(127);
}

bool bench_node_start(struct bench_nodes *n, size_t i)
{
    struct bench_node *node = &n->node[i];
    pid_t parent = getpid();
    pid_t pid;

    CHECK(node->pid == 0);
    pid = fork();
    if (pid == 0)
        run_node(n, node, parent);
    if (pid < 0) {
        (void)fprintf(stderr, "bench: cannot fork: %s\n", strerror(errno));
        return false;
    }
    node->pid = pid;
    return true;
}

bool bench_nodes_start(struct bench_nodes *n)
{
    for (size_t i = 0; i < n->count; i++) {
        if (!bench_node_start(n, i))
            return false;
    }
    return true;
}

/* ---- how they are ---- */

static bool refresh(struct bench_node *node, bool *is_ready)
{
    json_t *status = bench_get(node->nodes->b, node->client, "/v1/status");
    const char *state = json_string_value(json_object_get(status, "state"));
    const json_t *view = json_object_get(status, "view");
    size_t members = json_array_size(json_object_get(view, "members"));
    bool ok = state != NULL;

    if (ok) {
        node->process = (pid_t)json_integer_value(json_object_get(status, "pid"));
        node->incarnation = json_integer_value(json_object_get(status, "incarnation"));
        node->activations = json_integer_value(json_object_get(status, "activations"));
        *is_ready = strcmp(state, "Active") == 0 && members == node->nodes->count &&
                    json_is_true(json_object_get(status, "acting")) &&
                    json_is_object(json_object_get(status, "primary"));
    }
    json_decref(status);
    return ok;
}

int bench_node_refresh(struct bench_node *node)
{
    bool is_ready;

    return refresh(node, &is_ready) ? 0 : -1;
}

static bool all_ready(struct bench_nodes *n)
{
    for (size_t i = 0; i < n->count; i++) {
        bool is_ready = false;

        if (!refresh(&n->node[i], &is_ready) || !is_ready)
            return false;
    }
    return true;
}

bool bench_nodes_ready(struct bench_nodes *n)
{
    uint64_t end = bench_now_ns(n->b) + BENCH_READY_MS * NS_PER_MS;

    while (bench_now_ns(n->b) < end) {
        bench_nodes_reap(n);
        for (size_t i = 0; i < n->count; i++) {
            if (n->node[i].pid == 0) {
                (void)fprintf(stderr, "bench: node %s has ended, wait status %d; see %s/%s.log\n",
                              n->node[i].id, n->node[i].exit_status, n->dir, n->node[i].id);
                return false;
            }
        }
        if (all_ready(n))
            return true;
        if (!bench_sleep(n->b, 20))
            return false;
    }
    (void)fprintf(stderr, "bench: the nodes were not all Active within %d ms; see %s\n",
                  BENCH_READY_MS, n->dir);
    return false;
}

bool bench_nodes_idle(struct bench_nodes *n)
{
    uint64_t end = bench_now_ns(n->b) + BENCH_READY_MS * NS_PER_MS;
    long long active = 1;

    while (active > 0 && bench_now_ns(n->b) < end) {
        if (!bench_sleep(n->b, 50))
            return false;
        active = 0;
        for (size_t i = 0; i < n->count; i++)
            active += bench_node_refresh(&n->node[i]) ? 1 : n->node[i].activations;
    }
    if (active > 0)
        (void)fprintf(stderr, "bench: the actors were not all passivated within %d ms\n",
                      BENCH_READY_MS);
    return active == 0 && bench_sleep(n->b, BENCH_HEARTBEAT_MS);
}

int bench_nodes_primary(struct bench_nodes *n)
{
    for (size_t i = 0; i < n->count; i++) {
        json_t *answer = bench_get(n->b, n->node[i].client, "/v1/primary");
        const char *id =
            json_string_value(json_object_get(json_object_get(answer, "primary"), "node"));
        int found = -1;

        for (size_t k = 0; id && k < n->count; k++) {
            if (strcmp(id, n->node[k].id) == 0)
                found = (int)k;
        }
        json_decref(answer);
        if (found >= 0)
            return found;
    }
    return -1;
}

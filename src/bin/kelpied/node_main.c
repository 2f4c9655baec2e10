#include "bin/kelpied/node_main.h"

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/statvfs.h>
#include <unistd.h>

#include "base/log_line.h"
#include "base/printable.h"
#include "bin/kelpied/daemon_say.h"
#include "bin/kelpied/descriptors.h"
#include "bin/kelpied/home_file.h"
#include "bin/kelpied/http_bind.h"
#include "bin/kelpied/node_socket.h"
#include "bin/kelpied/store_preflight.h"
#include "bin/kelpied/worker_children.h"
#include "bin/shared/actors_load.h"
#include "bin/shared/process_begin.h"
#include "bin/shared/world_bind.h"
#include "kelpie/error.h"
#include "loop/fork_guard.h"
#include "loop/http_server.h"
#include "loop/log_writer.h"
#include "loop/net_tcp.h"
#include "node/node.h"

#define PROGRAM "kelpied"
#define PENDING_POLL_MS 5
#define PENDING_WAIT_MS 2000 /* for answers that are still due when the node has left */

struct node_process {
    const struct config *config;
    struct node_origin origin;
    struct world_bind world;
    struct log_writer *output; /* standard output, which nobody may read either */
    struct class_list classes;
    struct uuid home; /* as DATA/cluster says */
    struct descriptors descriptors;
    struct net_tcp *net;
    struct http_server *http, *local; /* for everybody, and on the node's own socket */
    struct node_socket socket;
    struct api *api;
    struct node *node;
    struct timer deadline;
    struct timer pending_timer;
    uint64_t closing_since_ns, told_ns;
    struct worker_children *workers; /* where there is no supervisor to have them */
    bool leaving, closing, was_ready;
    bool acts;        /* it has begun to */
    bool workers_due; /* the node is not ready before they have registered, or failed */
    enum exit_status status;
};

/* ---- the end ---- */

static void on_closed(void *arg)
{
    struct node_process *p = arg;
    loop_stop(p->world.loop);
}

/* Answers that are under way get out before the node is closed. */
static void on_pending_timer(void *arg)
{
    struct node_process *p = arg;
    uint64_t waited = env_now_ns(&p->world.env) - p->closing_since_ns;
    if (http_server_pending(p->http) + http_server_pending(p->local) > 0 &&
        waited < PENDING_WAIT_MS * NS_PER_MS) {
        timer_start(&p->pending_timer, PENDING_POLL_MS * NS_PER_MS);
        return;
    }
    api_close_streams(p->api);
    node_close(p->node, on_closed, p);
}

static void begin_close(struct node_process *p, enum exit_status status)
{
    if (p->closing)
        return;
    p->closing = true;
    p->status = status;
    p->closing_since_ns = env_now_ns(&p->world.env);
    http_server_drain(p->http);
    node_socket_remove(&p->socket);
    http_server_drain(p->local);
    hub_close(node_hub(p->node));
    timer_start(&p->pending_timer, 0);
}

static void tell_supervisor(const struct node_origin *origin, char byte)
{
    /* When nobody reads, what is there already says as much as another byte would. */
    if (origin->life_fd >= 0 && write(origin->life_fd, &byte, 1) < 0)
        return;
}

/* Ends now: the node has not left, its supervisor declares it dead. */
_Noreturn static void end_at_once(struct node_process *p, const char *why)
{
    log_warn(&p->world.env.log, "ended_before_leaving", "reason=\"%s\"", why);
    logsink_flush(&p->world.sink);
    tell_supervisor(&p->origin, NODE_SAYS_STATUS + EXIT_STATUS_FORCED);
    _exit(p->origin.supervisor_pid ? EXIT_STATUS_FORCED : EXIT_STATUS_FAILED);
}

static void on_deadline(void *arg)
{
    end_at_once(arg, "the drain deadline has passed");
}

static void leave(struct node_process *p)
{
    char why[CONFIG_WHY_SIZE] = "";
    p->leaving = true;
    log_info(&p->world.env.log, "asked_to_leave", "deadline_ms=%u",
             p->config->timing.drain_deadline_ms);
    timer_start(&p->deadline, p->config->timing.drain_deadline_ms * NS_PER_MS);
    if (node_leave(p->node, true, why, sizeof(why)))
        end_at_once(p, why);
}

/* Only a node that has no supervisor is told to end by signals. */
static void on_terminate(void *arg)
{
    struct node_process *p = arg;
    uint64_t now_ns = env_now_ns(&p->world.env);
    if (!p->leaving) {
        p->told_ns = now_ns;
        leave(p);
    } else if (now_ns - p->told_ns >= FORCE_AFTER_MS * NS_PER_MS) {
        end_at_once(p, "a second signal to end");
    }
}

static void tell_ready(struct node_process *p);

static void on_workers(void *arg)
{
    struct node_process *p = arg;
    p->workers_due = false;
    if (p->acts && !p->was_ready)
        tell_ready(p);
}

static void on_child(void *arg)
{
    worker_children_reap(((struct node_process *)arg)->workers);
    if (getpid() == 1)
        process_reap(0);
}

static void on_supervisor(void *arg)
{
    struct node_process *p = arg;
    char byte = 0;
    ssize_t n = read(p->origin.life_fd, &byte, 1);
    if (n == 1 && byte == NODE_TOLD_TO_END && !p->leaving)
        leave(p);
    else if (n == 1 && byte == NODE_TOLD_WORKERS)
        on_workers(p);
    else if (n == 0) /* it has ended, and the kernel is about to end this process */
        (void)!loop_on_readable(p->world.loop, p->origin.life_fd, NULL, NULL);
}

static int hear_of_the_end(struct node_process *p)
{
    struct loop *loop = p->world.loop;
    if (p->origin.life_fd >= 0)
        return loop_on_readable(loop, p->origin.life_fd, on_supervisor, p);
    int err = getpid() == 1 || p->workers ? loop_on_signal(loop, SIGCHLD, on_child, p) : 0;
    if (!err)
        err = loop_on_signal(loop, SIGTERM, on_terminate, p);
    return err ? err : loop_on_signal(loop, SIGINT, on_terminate, p);
}

/* ---- what the node says ---- */

/* A memory store ends with the node, and its cluster too. */
static bool is_kept(const struct config *c)
{
    return strcmp(c->store_url, "memory:") != 0;
}

static void on_left(void *arg)
{
    begin_close(arg, EXIT_STATUS_OK);
}

static void on_twin(void *arg, const char *addr)
{
    struct node_process *p = arg;
    if (p->closing)
        return;
    begin_close(p, EXIT_STATUS_FAILED);
    daemon_say(p->config, "node id %s is alive at %s; stop it or choose another --node-id",
               p->config->node_id, addr);
}

static void on_other_epoch(void *arg)
{
    if (!((struct node_process *)arg)->closing)
        begin_close(arg, EXIT_STATUS_EPOCH);
}

/* What cannot be written is said, and the node goes on: it is of its cluster all the same, only its next
 * process would not know. */
static void on_at_home(void *arg, struct uuid home)
{
    struct node_process *p = arg;
    char why[CONFIG_WHY_SIZE], quoted[2 * CONFIG_WHY_SIZE];
    if (!is_kept(p->config) || uuid_equal(home, p->home))
        return;
    p->home = home;
    if (home_file_write(p->config->data_dir, home, why, sizeof(why)))
        log_error(&p->world.env.log, "cluster_not_noted", "why=%s",
                  log_quote(why, quoted, sizeof(quoted)));
}

static void on_drop_clients(void *arg)
{
    struct node_process *p = arg;
    http_server_drop_unread(p->http);
    http_server_drop_unread(p->local);
}

static void on_alive(void *arg)
{
    tell_supervisor(&((struct node_process *)arg)->origin, NODE_SAYS_ALIVE);
}

static void tell_ready(struct node_process *p)
{
    const struct config *c = p->config;
    const char *http = http_server_addr(p->http), *rpc = net_tcp_addr(p->net);
    char line[LOG_TEXT_MAX], id[PRINTABLE_FACTOR * NODE_ID_MAX + 1], url[LOG_TEXT_MAX / 2];
    p->was_ready = true;
    log_info(&p->world.env.log, "ready", "http=%s rpc=%s store=%s socket=%s", http, rpc,
             c->store_url, p->socket.path);
    (void)snprintf(line, sizeof(line), PROGRAM ": node %s ready http=%s rpc=%s store=%s\n",
                   printable(c->node_id, id, sizeof(id)), http, rpc,
                   printable(c->store_url, url, sizeof(url)));
    log_writer_put(p->output, line, strlen(line));
}

static void on_event(void *arg, uint64_t seq, enum log_level level, const char *name,
                     const char *fields)
{
    struct node_process *p = arg;
    if (p->api)
        api_event(p->api, seq, level, name, fields);
    if (strcmp(name, "resumed") == 0)
        p->acts = true;
    if (!p->was_ready && p->acts && !p->workers_due)
        tell_ready(p);
    /* Asked to leave from outside: the deadline is the same. */
    if (strcmp(name, "leaving") == 0 && !p->deadline.armed)
        timer_start(&p->deadline, p->config->timing.drain_deadline_ms * NS_PER_MS);
}

/* What the file system of an embedded store has left for a process that is not root. */
static uint64_t on_store_room(void *arg)
{
    static const char lmdb[] = "lmdb:";
    const struct node_process *p = arg;
    struct statvfs room;
    const char *url = p->config->store_url;
    if (strncmp(url, lmdb, sizeof(lmdb) - 1) != 0 || statvfs(url + sizeof(lmdb) - 1, &room))
        return UINT64_MAX;
    return (uint64_t)room.f_bavail * room.f_frsize;
}

static const struct node_events process_events = {
    .left = on_left,
    .twin = on_twin,
    .other_epoch = on_other_epoch,
    .at_home = on_at_home,
    .alive = on_alive,
    .drop_clients = on_drop_clients,
    .event = on_event,
    .store_room = on_store_room,
};

/* ---- the start ---- */

static int open_local(struct node_process *p, char *why, size_t why_size)
{
    struct http_server_options local = {.addr = NODE_SOCKET,
                                        .listener =
                                            node_socket_open(&p->socket, p->config, why, why_size),
                                        .body_max = HTTP_BODY_MAX_LOCAL,
                                        .fn = http_bind_handle_local,
                                        .on_read = http_bind_read,
                                        .arg = &p->api,
                                        .log = &p->world.env.log,
                                        .connections_max = p->descriptors.local,
                                        .is_vital = api_is_vital};
    if (local.listener >= 0)
        p->local = http_server_new(p->world.loop, p->world.env.mem, &local, why, why_size);
    return p->local ? 0 : KELPIE_E_IO;
}

static int open_sockets(struct node_process *p, char *why, size_t why_size)
{
    struct env *env = &p->world.env;
    p->net = net_tcp_new(p->world.loop, env->mem, &env->log, p->config->rpc_listen, why, why_size);
    if (!p->net)
        return KELPIE_E_IO;
    net_tcp_limit(p->net, p->descriptors.rpc_outgoing, p->descriptors.rpc_incoming);
    env->net = net_tcp_net(p->net);
    struct http_server_options http = {.addr = p->config->listen,
                                       .fn = http_bind_handle,
                                       .on_read = http_bind_read,
                                       .arg = &p->api,
                                       .log = &env->log,
                                       .connections_max = p->descriptors.http,
                                       .is_vital = api_is_vital};
    p->http = http_server_new(p->world.loop, env->mem, &http, why, why_size);
    return p->http ? open_local(p, why, why_size) : KELPIE_E_IO;
}

static void make_node(struct node_process *p)
{
    const struct config *c = p->config;
    struct node_config nc = {
        .cluster = {.ks = c->keyspace,
                    .boot = p->origin.boot,
                    .home = p->home,
                    .timing = c->timing},
        .actors = {.classes = p->classes.classes,
                   .activations_max = c->activations_max,
                   .idle_ms = c->idle_ms},
    };
    struct api_config ac = {
        .version = KELPIE_VERSION,
        .store_url = c->store_url,
        .http_addr = http_server_addr(p->http),
        .pid = getpid(),
        .supervisor_pid = p->origin.supervisor_pid,
        .workers_due = &p->workers_due,
        .metrics = http_bind_metrics,
        .arg = p->http,
    };
    memcpy(nc.cluster.node_id, c->node_id, sizeof(c->node_id));
    memcpy(nc.replaces, c->replaces, sizeof(c->replaces));
    (void)snprintf(nc.cluster.addr, sizeof(nc.cluster.addr), "%s", net_tcp_addr(p->net));
    (void)snprintf(nc.cluster.http_addr, sizeof(nc.cluster.http_addr), "%s",
                   http_server_addr(p->http));
    p->node = node_new(&p->world.env, &nc, &process_events, p);
    p->api = api_new(p->node, &ac);
}

/* Its supervisor has them, or else it has them itself. */
static int have_workers(struct node_process *p, char *why, size_t why_size)
{
    const struct config *c = p->config;
    p->workers_due = c->actor_count > 0;
    if (p->origin.page)
        memcpy(p->origin.page->socket, p->socket.path, sizeof(p->socket.path));
    if (p->origin.page || !p->workers_due)
        return 0;
    p->workers = worker_children_new(c, &p->world.env, p->world.loop, on_workers, p, why, why_size);
    if (!p->workers)
        return KELPIE_E_INVALID;
    worker_children_node(p->workers, p->socket.path);
    return 0;
}

static const struct log_writer_ops no_ops = {0};

static enum exit_status start(struct node_process *p, char *why, size_t why_size)
{
    const struct config *c = p->config;
    struct world_options o = {
        .program = PROGRAM,
        .node_id = c->node_id,
        .log_json = c->log_json,
        .log_level = c->log_level,
        .store_url = c->store_url,
        .lease_ms = c->timing.lease_ms,
        .fdb_library = c->fdb_library,
        .wait_for_store = c->wait_for_store,
        .wait_option = "--wait-for-store",
    };
    class_list_init(&p->classes);
    for (size_t i = 0; i < c->in_node_count; i++)
        if (class_list_load(&p->classes, c->in_node[i], why, why_size))
            return EXIT_STATUS_FAILED;
    if ((is_kept(c) && home_file_read(c->data_dir, &p->home, why, why_size)) ||
        world_bind_init(&p->world, &o, why, why_size))
        return EXIT_STATUS_REFUSED;
    if (p->origin.page)
        p->world.env.running = running_page_told(&p->origin.page->running);
    p->descriptors = descriptors_allow(&p->world.env.log);
    fork_guard_install();
    p->output = log_writer_new(STDOUT_FILENO, &no_ops, NULL);
    if (!p->output) {
        (void)snprintf(why, why_size, "the system refuses a thread: %s", strerror(errno));
        return EXIT_STATUS_REFUSED;
    }
    if (store_preflight(&p->world, &c->keyspace, c->store_url, p->home, why, why_size) ||
        open_sockets(p, why, why_size))
        return EXIT_STATUS_REFUSED;
    if (have_workers(p, why, why_size))
        return EXIT_STATUS_FAILED;
    if (hear_of_the_end(p)) {
        (void)snprintf(why, why_size, "the system refuses to tell of signals");
        return EXIT_STATUS_REFUSED;
    }
    if (uuid_is_zero(p->origin.boot))
        p->origin.boot = random_uuid(p->world.env.random);
    timer_init(&p->deadline, p->world.env.timers, "drain_deadline", on_deadline, p);
    timer_init(&p->pending_timer, p->world.env.timers, "pending", on_pending_timer, p);
    make_node(p);
    return EXIT_STATUS_OK;
}

static void finish(struct node_process *p)
{
    worker_children_free(p->workers);
    if (p->node) {
        timer_stop(&p->deadline);
        timer_stop(&p->pending_timer);
        api_free(p->api);
        p->api = NULL;
        node_free(p->node);
    }
    http_server_free(p->http);
    http_server_free(p->local);
    if (p->net)
        net_tcp_free(p->net);
    (void)log_writer_free(p->output, LOG_FLUSH_MS);
    world_bind_deinit(&p->world);
}

enum exit_status node_main(const struct config *config, const struct node_origin *origin)
{
    char why[CONFIG_WHY_SIZE] = "";
    struct node_process *p = calloc(1, sizeof(*p));
    CHECK(p != NULL);
    p->config = config;
    p->origin = *origin;
    p->status = start(p, why, sizeof(why));
    if (p->status == EXIT_STATUS_OK) {
        node_start(p->node);
        loop_run(p->world.loop);
    } else {
        daemon_say(config, "%s", why);
    }
    enum exit_status status = p->status;
    finish(p);
    free(p);
    return status;
}

/* The kernel kills this process when the one that started it ends, whatever ends it. */
static bool die_with_supervisor(pid_t supervisor)
{
    return prctl(PR_SET_PDEATHSIG, SIGKILL) == 0 && getppid() == supervisor;
}

/* It stays for the life of the process. */
static struct node_page *page_of(int fd)
{
    void *at = mmap(NULL, sizeof(struct node_page), PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
    return at == MAP_FAILED ? NULL : at;
}

enum exit_status node_process_main(int argc, char **argv)
{
    char why[CONFIG_WHY_SIZE];
    struct node_origin origin = {.life_fd = -1};
    if (argc < NODE_PROCESS_WORDS || uuid_from_text(argv[4], &origin.boot)) {
        say(PROGRAM, "%s is for supervisors", NODE_PROCESS_ARGUMENT);
        return EXIT_STATUS_USAGE;
    }
    origin.life_fd = atoi(argv[2]);
    origin.supervisor_pid = (pid_t)atol(argv[5]);
    origin.page = page_of(atoi(argv[3]));
    process_close_others(origin.life_fd);
    if (!die_with_supervisor(origin.supervisor_pid))
        return EXIT_STATUS_FAILED;
    struct config *config = calloc(1, sizeof(*config));
    CHECK(config != NULL);
    enum exit_status status = EXIT_STATUS_USAGE;
    if (config_load(config, argc - NODE_PROCESS_WORDS, argv + NODE_PROCESS_WORDS, true, why,
                    sizeof(why)))
        daemon_say(config, "%s", why);
    else
        status = node_main(config, &origin);
    tell_supervisor(&origin, (char)(NODE_SAYS_STATUS + (int)status));
    config_free(config);
    free(config);
    return status;
}

/* GET /metrics: Prometheus text, version 0.0.4. */
#include <inttypes.h>

#include "http/api_internal.h"

static void family(struct buf *out, const char *name, const char *type, const char *help)
{
    buf_appendf(out, "# HELP kelpie_%s %s\n# TYPE kelpie_%s %s\n", name, help, name, type);
}

static void gauge(struct buf *out, const char *name, uint64_t value, const char *help)
{
    family(out, name, "gauge", help);
    buf_appendf(out, "kelpie_%s %" PRIu64 "\n", name, value);
}

static void counter(struct buf *out, const char *name, uint64_t value, const char *help)
{
    family(out, name, "counter", help);
    buf_appendf(out, "kelpie_%s %" PRIu64 "\n", name, value);
}

static void seconds(struct buf *out, const char *name, uint64_t ns, const char *help)
{
    family(out, name, "gauge", help);
    buf_appendf(out, "kelpie_%s %llu.%03llu\n", name, ns / NS_PER_S, ns % NS_PER_S / NS_PER_MS);
}

/* A label's value: backslash, quote and line feed are escaped. */
void api_metric_label(struct buf *out, const char *value)
{
    buf_append_u8(out, '"');
    for (; *value; value++) {
        if (*value == '"' || *value == '\\')
            buf_append_u8(out, '\\');
        if (*value == '\n')
            buf_appendf(out, "\\n");
        else
            buf_append_u8(out, (uint8_t)*value);
    }
    buf_append_u8(out, '"');
}

static void node_metrics(struct api *api, struct buf *out)
{
    struct cluster *c = node_cluster(api->node);
    enum node_state state = cluster_state(c);
    family(out, "info", "gauge", "Version and node id.");
    buf_appendf(out, "kelpie_info{version=");
    api_metric_label(out, api->config.version);
    buf_appendf(out, ",node=");
    api_metric_label(out, cluster_config_of(c)->node_id);
    buf_appendf(out, "} 1\n");
    family(out, "node_state", "gauge", "1 for the state that the node is in.");
    for (enum node_state s = NODE_LEFT; s <= NODE_FAILED; s++)
        buf_appendf(out, "kelpie_node_state{state=\"%s\"} %d\n", node_state_name(s), s == state);
    gauge(out, "acting", cluster_may_act(c), "1 while the node may act.");
    gauge(out, "is_primary", cluster_claim(c) != 0, "1 while the node claims a term.");
    gauge(out, "term", cluster_claim(c), "The term that the node claims, else 0.");
    gauge(out, "incarnation", cluster_incarnation(c), "Which start of the node this is.");
    gauge(out, "view_number", cluster_view(c)->number, "Number of the view that it holds.");
    gauge(out, "view_members", cluster_view(c)->count, "Active nodes in that view.");
    seconds(out, "lease_left_seconds", cluster_lease_left_ns(c), "What is left of the lease.");
    seconds(out, "uptime_seconds", env_now_ns(api->env) - api->started_ns,
            "Since the process started.");
}

static void cluster_metrics(const struct cluster_stats *s, struct buf *out)
{
    counter(out, "heartbeats_total", s->heartbeats, "Heartbeats committed.");
    counter(out, "heartbeat_retries_total", s->heartbeat_retries, "Heartbeats tried again.");
    counter(out, "elections_tried_total", s->elections_tried, "Elections tried.");
    counter(out, "elections_won_total", s->elections_won, "Elections won.");
    counter(out, "step_downs_total", s->step_downs, "Times it stepped down as primary.");
    counter(out, "suspends_total", s->suspends, "Times its lease ran out.");
    counter(out, "joins_total", s->joins, "Times it became Active.");
    counter(out, "failures_declared_total", s->failures_declared, "Nodes that it declared failed.");
    counter(out, "nodes_flagged_total", s->nodes_flagged,
            "Nodes that it flagged: most others could not reach them.");
    counter(out, "view_changes_total", s->view_changes_seen, "Views taken.");
}

static void actor_metrics(const struct actors_stats *s, struct buf *out)
{
    gauge(out, "activations", s->activations, "Actors active on this node.");
    gauge(out, "activation_bytes", s->memory_bytes, "Memory of activations, roughly.");
    counter(out, "activated_total", s->activated, "Activations begun.");
    counter(out, "deactivated_total", s->deactivated, "Activations ended in an orderly way.");
    counter(out, "suspended_activations_total", s->suspended,
            "Activations dropped because the lease ran out.");
    family(out, "calls_total", "counter", "Calls to actors by where they went.");
    buf_appendf(out, "kelpie_calls_total{path=\"local\"} %" PRIu64 "\n", s->calls_local);
    buf_appendf(out, "kelpie_calls_total{path=\"forwarded\"} %" PRIu64 "\n", s->calls_forwarded);
    buf_appendf(out, "kelpie_calls_total{path=\"received\"} %" PRIu64 "\n", s->calls_received);
    counter(out, "call_replays_total", s->replays, "Repeated request ids answered again.");
    counter(out, "call_retries_total", s->retries, "Attempts of calls after the first.");
    counter(out, "commits_total", s->commits, "Commits of actors, each of one message or more.");
    counter(out, "commit_conflicts_total", s->commit_conflicts, "Commits that met another.");
    counter(out, "fenced_total", s->fenced, "Commits refused because the placement was newer.");
    counter(out, "placements_total", s->placements, "Actors placed by this node.");
    counter(out, "migrations_total", s->migrations, "Actors handed over.");
    counter(out, "messages_sent_total", s->messages_sent,
            "Messages between actors that were sent.");
    counter(out, "messages_done_total", s->messages_done,
            "Turns of messages, those that failed and come again too.");
    counter(out, "dead_letters_total", s->dead_letters, "Messages that are tried no more.");
    counter(out, "poisoned_total", s->poisoned,
            "Turns and activations refused because they ended processes.");
    gauge(out, "poisoned", s->poison_held,
          "What ends processes and is not run now, as the primary last saw; 0 on other nodes.");
    counter(out, "erased_total", s->erased, "Actors erased.");
    counter(out, "too_late_total", s->too_late, "Requests older than what their actor remembers.");
    counter(out, "swept_total", s->swept, "Placements of dead incarnations cleared.");
}

static void store_metrics(struct api *api, struct buf *out)
{
    const struct store_news *news = node_env(api->node)->store_news;
    struct cluster *c = node_cluster(api->node);
    struct health_report h;
    uint64_t room = cluster_store_room(c);
    cluster_health(c, &h);
    gauge(out, "store_connected", news->answered_ns > news->failed_ns,
          "1 while the store answers what it was asked last.");
    gauge(out, "store_full", cluster_store_full(c), "1 while the store has no room left.");
    counter(out, "store_full_total", news->full_count, "Commits refused for want of room.");
    if (room != UINT64_MAX)
        gauge(out, "store_free_bytes", room, "Free where the embedded store lies.");
    gauge(out, "primary_missing", h.primary_missing, "1 while no living primary is known.");
    gauge(out, "majority_missing", h.majority_missing, "1 while there is no majority.");
}

static void cap_metric(const struct cap *cap, struct buf *out)
{
    buf_appendf(out, "kelpie_limit_reached_total{limit=\"%s\"} %" PRIu64 "\n", cap->name,
                cap->reached);
}

static void cap_metrics(struct api *api, struct buf *out)
{
    const struct cap *caps = actors_caps(node_actors(api->node));
    family(out, "limit_reached_total", "counter",
           "Times that something was refused, or had to go, because a bound was reached.");
    for (size_t i = 0; i < ACTORS_CAP_COUNT; i++)
        cap_metric(&caps[i], out);
    cap_metric(&api->actor_lists.cap, out);
    cap_metric(&api->node_lists.cap, out);
    cap_metric(&api->message_lists.cap, out);
    cap_metric(&api->streams_cap, out);
    cap_metric(&node_rpc(api->node)->calls_cap, out);
    cap_metric(&node_rpc(api->node)->queue_cap, out);
    cap_metric(node_admin_cap(api->node), out);
}

static void net_metrics(struct net_counts n, struct buf *out)
{
    gauge(out, "rpc_connections_dialled", n.outgoing, "Connections to nodes that it dialled.");
    gauge(out, "rpc_connections_accepted", n.incoming, "Connections that others dialled.");
    gauge(out, "rpc_connections_members", n.members, "Of those accepted, from known nodes.");
    gauge(out, "rpc_queued_bytes", n.bytes_queued, "Bytes waiting to be sent to nodes.");
    counter(out, "rpc_sent_bytes_total", n.bytes_sent, "Bytes sent to nodes.");
    counter(out, "rpc_received_bytes_total", n.bytes_received, "Bytes received from nodes.");
    counter(out, "rpc_answers_gone_total", n.answers_gone, "Answers whose connection was gone.");
    counter(out, "rpc_answers_dropped_total", n.answers_dropped,
            "Answers dropped because too much was waiting.");
    family(out, "rpc_closed_total", "counter", "Connections closed by this node, by reason.");
    buf_appendf(out, "kelpie_rpc_closed_total{why=\"full\"} %" PRIu64 "\n", n.closed_full);
    buf_appendf(out, "kelpie_rpc_closed_total{why=\"refused\"} %" PRIu64 "\n", n.closed_refused);
    buf_appendf(out, "kelpie_rpc_closed_total{why=\"late\"} %" PRIu64 "\n", n.closed_late);
}

static void rpc_metrics(struct api *api, struct buf *out)
{
    store_metrics(api, out);
    counter(out, "corrupt_records_total", *node_env(api->node)->corrupt,
            "Times that a stored record failed its checksum.");
    struct rpc *rpc = node_rpc(api->node);
    counter(out, "rpc_sent_total", rpc->sent, "Messages sent to nodes.");
    counter(out, "rpc_received_total", rpc->received, "Messages received from nodes.");
    counter(out, "rpc_dropped_total", rpc->dropped, "Messages dropped.");
    counter(out, "rpc_refused_total", rpc->refused,
            "Messages received that are nonsense, or not meant for this node.");
    gauge(out, "rpc_outstanding", rpc_outstanding(rpc), "Calls to nodes under way.");
    net_metrics(net_counts(api->env->net), out);
    family(out, "http_requests_total", "counter", "HTTP requests answered, by status class.");
    for (unsigned i = 2; i < API_STATUS_CLASSES; i++)
        buf_appendf(out, "kelpie_http_requests_total{code=\"%uxx\"} %" PRIu64 "\n", i,
                    api->answers[i]);
    gauge(out, "event_streams", api->stream_count, "Event streams open.");
}

void api_metrics(struct api *api, const struct api_request *req, const struct path *path)
{
    struct buf out;
    (void)path;
    buf_init(&out, api->env->mem);
    node_metrics(api, &out);
    cluster_metrics(cluster_stats(node_cluster(api->node)), &out);
    actor_metrics(actors_stats(node_actors(api->node)), &out);
    api_worker_metrics(api, &out);
    rpc_metrics(api, &out);
    if (api->config.metrics)
        api->config.metrics(api->config.arg, &out);
    cap_metrics(api, &out);
    api_reply(api, req, 200, "text/plain; version=0.0.4; charset=utf-8", buf_bytes(&out));
    buf_deinit(&out);
}

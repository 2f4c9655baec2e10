/* A workload as a JSON file (docs/testing-your-actors.md): calls with weights and bodies, ids, and what the answers of
 * the end must add up to. */
#include <errno.h>
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "bin/kelpie_sim/sim_code.h"
#include "bin/kelpie_sim/sim_options.h"
#include "kelpie/error.h"
#include "record/keys.h"
#include "record/records.h"
#include "sim/run/sim_run.h"

#define WORKLOAD_BYTES_MAX (1024 * 1024)
#define CALLS_MAX 64
#define ENDS_MAX 64
#define IDS_MAX 256 /* of one type */
#define BODY_MAX 4096
#define NUMBER_MAX 1000000000000ll

struct ids {
    const char *type;
    const char *names[IDS_MAX];
    size_t count;
};

struct call {
    const struct ids *ids;
    const char *method, *body;
    unsigned weight;
    bool adds_body;
    long long adds;
};

struct ending {
    const struct ids *ids;
    const char *method;
    bool sums, sums_added, has_least, has_most;
    long long sum, least, most;
    long long total; /* of this run */
};

struct workload_file {
    const char *file;
    struct ids ids[SIM_USER_TYPES_MAX + 2];
    size_t type_count;
    struct call calls[CALLS_MAX];
    size_t call_count;
    unsigned weights;
    struct ending ends[ENDS_MAX];
    size_t end_count;
    /* Of this run. */
    unsigned under_way[KELPIE_SIM_CLIENTS_MAX]; /* what each client has asked */
    long long adds[KELPIE_SIM_CLIENTS_MAX];
    long long added, unknown_less, unknown_more;
    unsigned at_end, at_id; /* the question that is asked */
    bool tries;             /* each call is asked once */
    size_t tried;
};

#define COMPLAIN(f, ...)                                                                           \
    do {                                                                                           \
        char text_[320];                                                                           \
        (void)snprintf(text_, sizeof text_, __VA_ARGS__);                                          \
        bad_usage("%s: %s", (f)->file, text_);                                                     \
    } while (0)

/* ---- reading it */

static void known_members(const struct workload_file *f, const char *what, json_t *o,
                          const char *const *known)
{
    const char *name;
    json_t *value;

    if (!json_is_object(o))
        COMPLAIN(f, "%s is no object", what);
    json_object_foreach(o, name, value)
    {
        size_t i = 0;
        while (known[i] && strcmp(known[i], name) != 0)
            i++;
        if (!known[i])
            COMPLAIN(f, "%s has the member '%.60s', which is not known", what, name);
    }
}

static const char *text_of(const struct workload_file *f, const char *what, json_t *o,
                           const char *name, size_t max)
{
    const char *text = json_string_value(json_object_get(o, name));
    char why[256];

    if (!text)
        COMPLAIN(f, "%s has no '%s'", what, name);
    if (id_check(name, bytes_of_str(text), max, why, sizeof why))
        COMPLAIN(f, "%s: %.200s", what, why);
    return text;
}

static long long number_of(const struct workload_file *f, const char *what, json_t *value)
{
    if (!json_is_integer(value) || json_integer_value(value) > NUMBER_MAX ||
        json_integer_value(value) < -NUMBER_MAX)
        COMPLAIN(f, "%s is no whole number, or over %lld", what, NUMBER_MAX);
    return json_integer_value(value);
}

static const struct ids *ids_of(const struct workload_file *f, const char *what, const char *type)
{
    for (size_t i = 0; i < f->type_count; i++)
        if (strcmp(f->ids[i].type, type) == 0)
            return &f->ids[i];
    COMPLAIN(f, "%s: 'actors' has no ids of the type '%.64s'", what, type);
    return NULL;
}

static bool is_there(const struct sim_users_source *s, const char *type)
{
    for (size_t i = 0; i < s->type_count; i++)
        if (strcmp(s->types[i], type) == 0)
            return true;
    return strcmp(type, "counter") == 0 || strcmp(type, "echo") == 0;
}

static void read_ids(struct workload_file *f, json_t *actors, const struct sim_users_source *s)
{
    const char *type;
    json_t *list, *value;
    char why[256];
    size_t i;

    if (!json_is_object(actors) || json_object_size(actors) == 0)
        COMPLAIN(f, "'actors' is no object with a list of ids for each type");
    json_object_foreach(actors, type, list)
    {
        struct ids *ids = &f->ids[f->type_count];
        if (!is_there(s, type))
            COMPLAIN(f, "'actors': there is no class of the type '%.64s'", type);
        if (!json_is_array(list) || json_array_size(list) == 0 || json_array_size(list) > IDS_MAX)
            COMPLAIN(f, "'actors': '%s' is no list of 1 to %d ids", type, IDS_MAX);
        f->type_count++;
        ids->type = type;
        json_array_foreach(list, i, value)
        {
            if (!json_is_string(value))
                COMPLAIN(f, "'actors': an id of '%s' is no text", type);
            if (id_check("an id", bytes_of_str(json_string_value(value)), ACTOR_ID_MAX, why,
                         sizeof why))
                COMPLAIN(f, "'actors': %.200s", why);
            ids->names[ids->count++] = json_string_value(value);
        }
    }
}

/* One placeholder of a body: "{1..9}", or "{purse}". Returns what is behind it. */
static const char *placeholder(const struct workload_file *f, const char *at, long long *least,
                               long long *most, const struct ids **ids)
{
    char name[ACTOR_TYPE_MAX + 1];
    int used = 0;

    *ids = NULL;
    if (sscanf(at, "{%lld..%lld}%n", least, most, &used) == 2 && used > 0) {
        if (*least > *most || *most > NUMBER_MAX || *least < -NUMBER_MAX)
            COMPLAIN(f, "a body: '%.40s' is no range", at);
        return at + used;
    }
    size_t len = strcspn(at, "}");
    if (!at[len] || len < 2 || len - 1 > ACTOR_TYPE_MAX)
        COMPLAIN(f, "a body: '%.40s' is neither {A..B} nor {TYPE}", at);
    memcpy(name, at + 1, len - 1);
    name[len - 1] = '\0';
    *ids = ids_of(f, "a body", name);
    return at + len + 1;
}

static void check_body(const struct workload_file *f, const char *body)
{
    const struct ids *ids;
    long long least, most;

    while ((body = strchr(body, '{')))
        body = placeholder(f, body, &least, &most, &ids);
}

static void read_call(struct workload_file *f, json_t *o)
{
    static const char *const known[] = {"type", "method", "body", "weight", "adds", NULL};
    struct call *c = &f->calls[f->call_count++];
    json_t *body = json_object_get(o, "body"), *weight = json_object_get(o, "weight");
    json_t *adds = json_object_get(o, "adds");

    known_members(f, "a call", o, known);
    c->ids = ids_of(f, "a call", text_of(f, "a call", o, "type", ACTOR_TYPE_MAX));
    c->method = text_of(f, "a call", o, "method", KELPIE_METHOD_MAX);
    if (body && (!json_is_string(body) || json_string_length(body) > BODY_MAX / 2))
        COMPLAIN(f, "a body is no text of at most %d bytes", BODY_MAX / 2);
    c->body = body ? json_string_value(body) : "";
    check_body(f, c->body);
    long long w = weight ? number_of(f, "a weight", weight) : 1;
    if (w < 0 || w > 1000000)
        COMPLAIN(f, "a weight must be 0 to 1000000");
    c->weight = (unsigned)w;
    f->weights += c->weight;
    c->adds_body = json_is_string(adds) && strcmp(json_string_value(adds), "body") == 0;
    if (adds && !c->adds_body)
        c->adds = number_of(f, "'adds' (a number, or \"body\")", adds);
}

static void read_end(struct workload_file *f, json_t *o)
{
    static const char *const known[] = {"type", "method", "sum", "least", "most", NULL};
    struct ending *e = &f->ends[f->end_count++];
    json_t *sum = json_object_get(o, "sum"), *least = json_object_get(o, "least");
    json_t *most = json_object_get(o, "most");

    known_members(f, "an end", o, known);
    e->ids = ids_of(f, "an end", text_of(f, "an end", o, "type", ACTOR_TYPE_MAX));
    e->method = text_of(f, "an end", o, "method", KELPIE_METHOD_MAX);
    e->sums = sum != NULL;
    e->sums_added = json_is_string(sum) && strcmp(json_string_value(sum), "added") == 0;
    if (sum && !e->sums_added)
        e->sum = number_of(f, "'sum' (a number, or \"added\")", sum);
    e->has_least = least != NULL;
    e->least = least ? number_of(f, "'least'", least) : 0;
    e->has_most = most != NULL;
    e->most = most ? number_of(f, "'most'", most) : 0;
    if (!sum && !least && !most)
        COMPLAIN(f, "an end has none of 'sum', 'least', 'most': it checks nothing");
}

static void read_each(struct workload_file *f, json_t *root, const char *name, size_t max,
                      void (*read)(struct workload_file *f, json_t *o))
{
    json_t *list = json_object_get(root, name), *o;
    size_t i;

    if (!json_is_array(list) || json_array_size(list) == 0 || json_array_size(list) > max)
        COMPLAIN(f, "'%s' is no list of 1 to %zu", name, max);
    json_array_foreach(list, i, o)
    {
        read(f, o);
    }
}

static json_t *load(const char *file)
{
    static char text[WORKLOAD_BYTES_MAX + 1];
    json_error_t error;
    FILE *in = fopen(file, "rb");
    size_t len = in ? fread(text, 1, sizeof text, in) : 0;

    if (!in || ferror(in))
        bad_usage("%s cannot be read: %s", file, strerror(errno));
    (void)fclose(in);
    if (len > WORKLOAD_BYTES_MAX)
        bad_usage("%s is longer than %d bytes", file, WORKLOAD_BYTES_MAX);
    json_t *root = json_loadb(text, len, JSON_REJECT_DUPLICATES, &error);
    if (!root)
        bad_usage("%s is no JSON: line %d: %s", file, error.line, error.text);
    return root;
}

/* ---- a run */

static void begin(struct kelpie_sim *sim)
{
    struct workload_file *f = kelpie_sim_arg(sim);

    f->added = f->unknown_less = f->unknown_more = 0;
    f->at_end = f->at_id = 0;
    for (size_t i = 0; i < f->end_count; i++)
        f->ends[i].total = 0;
}

/* Another one than those before it, if there are enough. */
static const char *draw_id(struct kelpie_sim *sim, const struct ids *ids, const char *const *used,
                           size_t used_count)
{
    const char *id = ids->names[kelpie_sim_below(sim, ids->count)];

    for (size_t tries = 0, i = 0; i < used_count && tries < 2 * ids->count; i++) {
        if (strcmp(used[i], id) != 0)
            continue;
        id = ids->names[kelpie_sim_below(sim, ids->count)];
        tries++;
        i = (size_t)-1; /* from the beginning */
    }
    return id;
}

static void ask_call(struct kelpie_sim *sim, unsigned client, unsigned number)
{
    struct workload_file *f = kelpie_sim_arg(sim);
    const struct call *c = &f->calls[number];
    const char *used[16], *at = c->body;
    char body[BODY_MAX];
    size_t used_count = 0, len = 0;

    used[used_count++] = draw_id(sim, c->ids, NULL, 0);
    while (*at && len + ACTOR_ID_MAX + 24 < sizeof body) {
        const struct ids *ids;
        long long least, most;
        if (*at != '{') {
            body[len++] = *at++;
            continue;
        }
        at = placeholder(f, at, &least, &most, &ids);
        if (ids) {
            const char *id = draw_id(sim, ids, used, used_count);
            if (used_count < ARRAY_LEN(used))
                used[used_count++] = id;
            len += (size_t)snprintf(body + len, sizeof body - len, "%s", id);
        } else {
            long long v = least + (long long)kelpie_sim_below(sim, (uint64_t)(most - least) + 1);
            len += (size_t)snprintf(body + len, sizeof body - len, "%lld", v);
        }
    }
    body[len] = '\0';
    f->under_way[client] = number;
    f->adds[client] = c->adds_body ? strtoll(body, NULL, 10) : c->adds;
    kelpie_sim_ask(sim, c->ids->type, used[0], c->method, body, len);
}

static void ask(struct kelpie_sim *sim, unsigned client)
{
    const struct workload_file *f = kelpie_sim_arg(sim);
    uint64_t at = f->tries ? 0 : kelpie_sim_below(sim, f->weights);
    unsigned number = 0;

    if (f->tries) {
        if (client == 0 && f->tried < f->call_count)
            ask_call(sim, client, (unsigned)f->tried);
        return;
    }
    while (at >= f->calls[number].weight)
        at -= f->calls[number++].weight;
    ask_call(sim, client, number);
}

static void ask_at_end(struct kelpie_sim *sim, unsigned number)
{
    const struct workload_file *f = kelpie_sim_arg(sim);

    (void)number;
    if (f->at_end == f->end_count)
        return;
    const struct ending *e = &f->ends[f->at_end];
    kelpie_sim_ask(sim, e->ids->type, e->ids->names[f->at_id], e->method, "", 0);
}

static void take_end(struct kelpie_sim *sim, struct workload_file *f,
                     const struct kelpie_sim_answer *a)
{
    struct ending *e = &f->ends[f->at_end];
    char text[32], *end = text;
    size_t len = a->reply_len < sizeof text ? a->reply_len : 0;

    if (len)
        memcpy(text, a->reply, len);
    text[len] = '\0';
    long long v = strtoll(text, &end, 10);
    kelpie_sim_expect(sim,
                      a->status == 0 && len > 0 && !*end && v <= NUMBER_MAX && v >= -NUMBER_MAX,
                      "%s/%s %s: the answer is %s '%.*s', not a number", a->type, a->id, a->method,
                      kelpie_error_name(a->status), (int)(a->reply_len < 60 ? a->reply_len : 60),
                      a->reply ? (const char *)a->reply : "");
    if (e->has_least)
        kelpie_sim_expect(sim, v >= e->least, "%s/%s %s is %lld, less than %lld", a->type, a->id,
                          a->method, v, e->least);
    if (e->has_most)
        kelpie_sim_expect(sim, v <= e->most, "%s/%s %s is %lld, more than %lld", a->type, a->id,
                          a->method, v, e->most);
    e->total += v;
    if (++f->at_id < e->ids->count)
        return;
    f->at_id = 0;
    f->at_end++;
}

static void answered(struct kelpie_sim *sim, const struct kelpie_sim_answer *a)
{
    struct workload_file *f = kelpie_sim_arg(sim);

    if (a->status == KELPIE_E_UNKNOWN_METHOD)
        bad_usage("%s: the class '%s' says that it has no method '%s'", f->file, a->type,
                  a->method);
    if (a->client == KELPIE_SIM_AT_END) {
        take_end(sim, f, a);
        return;
    }
    f->tried++;
    long long v = f->adds[a->client];
    if (a->applied == KELPIE_APPLIED_YES)
        f->added += v;
    else if (a->applied == KELPIE_APPLIED_UNKNOWN && v < 0)
        f->unknown_less += v;
    else if (a->applied == KELPIE_APPLIED_UNKNOWN)
        f->unknown_more += v;
}

static void at_end(struct kelpie_sim *sim)
{
    const struct workload_file *f = kelpie_sim_arg(sim);

    for (size_t i = 0; i < f->end_count; i++) {
        const struct ending *e = &f->ends[i];
        if (e->sums && !e->sums_added)
            kelpie_sim_expect(sim, e->total == e->sum,
                              "the sum of %s over all %s is %lld, not %lld", e->method,
                              e->ids->type, e->total, e->sum);
        if (e->sums_added)
            kelpie_sim_expect(
                sim,
                e->total >= f->added + f->unknown_less && e->total <= f->added + f->unknown_more,
                "the sum of %s over all %s is %lld; %lld was added, and %lld to %lld "
                "of which nobody knows",
                e->method, e->ids->type, e->total, f->added, f->unknown_less, f->unknown_more);
    }
}

static struct workload_file the_file;
static const struct kelpie_sim_workload json_workload = {
    .abi = KELPIE_SIM_VERSION,
    .size = sizeof(struct kelpie_sim_workload),
    .arg = &the_file,
    .begin = begin,
    .ask = ask,
    .answered = answered,
    .ask_at_end = ask_at_end,
    .at_end = at_end,
};

const struct kelpie_sim_workload *workload_json_open(const char *file,
                                                     const struct sim_users_source *types)
{
    static const char *const known[] = {"actors", "calls", "end", NULL};
    struct workload_file *f = &the_file;
    json_t *root = load(file); /* it stays: names are borrowed from it */

    *f = (struct workload_file){.file = file};
    known_members(f, "it", root, known);
    read_ids(f, json_object_get(root, "actors"), types);
    read_each(f, root, "calls", CALLS_MAX, read_call);
    read_each(f, root, "end", ENDS_MAX, read_end);
    if (f->weights == 0)
        COMPLAIN(f, "all weights are 0");
    return &json_workload;
}

/* In a process of its own, which says what is wrong: one node, no faults. */
static _Noreturn void try_it(const struct sim_users_source *source)
{
    struct sim_config c;
    struct sim_result r;

    sim_config_draw(&c, 1);
    sim_config_draw_users(&c);
    c.nodes = c.users = 1;
    c.dead_for_good = c.guests = c.successors = c.actors = c.clients = 0;
    c.faults = 0;
    c.think_ms = 1;
    c.duration_ms = 3000;
    c.users_source = source;
    the_file.tries = true;
    sim_run(&c, &r);
    _exit(0);
}

void workload_json_try(const struct sim_users_source *source)
{
    int status = 0;
    pid_t pid = fork();

    if (pid == 0)
        try_it(source);
    if (pid < 0)
        bad_usage("cannot start a process: %s", strerror(errno));
    while (waitpid(pid, &status, 0) < 0 && errno == EINTR)
        ;
    if (WIFEXITED(status) && WEXITSTATUS(status) == EXIT_USAGE)
        exit(EXIT_USAGE); /* it has said why */
    if (status)
        bad_usage(
            "the classes end the simulator's process (%s %d) when each call of %s is made once",
            WIFSIGNALED(status) ? "signal" : "status",
            WIFSIGNALED(status) ? WTERMSIG(status) : WEXITSTATUS(status), the_file.file);
}

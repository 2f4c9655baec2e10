#include "bin/shared/world_bind.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/printable.h"
#include "bin/shared/trusted_file.h"
#include "kelpie/error.h"
#include "store/fdb_library.h"

void say(const char *program, const char *fmt, ...)
{
    char line[SAY_SIZE], shown[PRINTABLE_FACTOR * SAY_SIZE];
    va_list ap;
    va_start(ap, fmt);
    (void)vsnprintf(line, sizeof(line), fmt, ap);
    va_end(ap);
    (void)fprintf(stderr, "%s: %s\n", program, printable(line, shown, sizeof(shown)));
}

int make_directories(const char *path, char *why, size_t why_size)
{
    char part[4096];
    size_t len = strlen(path);
    CHECK(len < sizeof(part));
    memcpy(part, path, len + 1);
    for (size_t i = 1; i <= len; i++) {
        if (part[i] != '/' && part[i] != '\0')
            continue;
        part[i] = '\0';
        if (mkdir(part, 0700) && errno != EEXIST) {
            (void)snprintf(why, why_size, "directory %s cannot be made: %s", part, strerror(errno));
            return KELPIE_E_IO;
        }
        part[i] = path[i];
    }
    return 0;
}

static int bind_store(struct world_bind *w, const struct world_options *o, char *why,
                      size_t why_size)
{
    struct store_open_options options = {.lease_ms = o->lease_ms,
                                         .node_id = w->sink.node_id,
                                         .log_json = o->log_json,
                                         .fdb_library = o->fdb_library,
                                         .wait_for_store = o->wait_for_store,
                                         .wait_option = o->wait_option,
                                         .knows_copies = o->knows_copies,
                                         .only_reads = o->only_reads};
    int err = o->fdb_library && strchr(o->fdb_library, '/')
                  ? file_trusted(o->fdb_library, -1, why, why_size)
                  : 0;
    if (err)
        return err;
    err = store_open(o->store_url, &w->env, &options, &w->store, why, why_size);
    if (err)
        return err;
    w->env.store = store_handle_store(w->store);
    int fd = store_handle_fd(w->store);
    err = fd >= 0 ? loop_on_readable(w->loop, fd, store_handle_ready, w->store) : 0;
    if (err)
        (void)snprintf(why, why_size, "the loop does not take the store: %s",
                       kelpie_error_text(err));
    return err;
}

int world_bind_init(struct world_bind *w, const struct world_options *o, char *why, size_t why_size)
{
    memset(w, 0, sizeof(*w));
    w->loop = loop_new();
    if (!w->loop) {
        (void)snprintf(why, why_size, "the system refuses an event loop: %s", strerror(errno));
        return KELPIE_E_IO;
    }
    loop_fill_env(w->loop, &w->env);
    w->sink = (struct logsink){.fd = STDERR_FILENO, .json = o->log_json, .program = o->program};
    (void)snprintf(w->sink.node_id, sizeof(w->sink.node_id), "%s", o->node_id);
    if (logsink_open(&w->sink)) {
        (void)snprintf(why, why_size, "the system refuses a thread: %s", strerror(errno));
        return KELPIE_E_IO;
    }
    w->env.log = logsink_log(&w->sink, o->log_level);
    int err = o->store_url ? bind_store(w, o, why, why_size) : 0;
    env_init(&w->env);
    return err;
}

void world_bind_deinit(struct world_bind *w)
{
    if (w->store) {
        int fd = store_handle_fd(w->store);
        if (fd >= 0 && loop_on_readable(w->loop, fd, NULL, NULL))
            say("kelpie", "the loop does not let go of the store");
        store_close(w->store);
    }
    fdb_library_stop();
    loop_free(w->loop);
    logsink_close(&w->sink);
    memset(w, 0, sizeof(*w));
}

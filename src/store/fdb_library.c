#include "store/fdb_library.h"

#include <dlfcn.h>
#include <pthread.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>

#include "kelpie/error.h"
#include "store/store_dir.h"

/* One for the process: that is how the library is made. */
static struct {
    struct fdb_api api;
    void *handle;
    char path[STORE_PATH_MAX];
    pthread_t thread;
    bool running;
} library;

#define SYMBOL(name)                                                                               \
    {                                                                                              \
        "fdb_" #name, offsetof(struct fdb_api, name)                                               \
    }

static const struct {
    const char *name;
    size_t at;
} symbols[] = {
    SYMBOL(get_max_api_version),
    SYMBOL(select_api_version_impl),
    SYMBOL(setup_network),
    SYMBOL(run_network),
    SYMBOL(stop_network),
    SYMBOL(get_error),
    SYMBOL(error_predicate),
    SYMBOL(create_database),
    SYMBOL(database_destroy),
    SYMBOL(database_set_option),
    SYMBOL(database_create_transaction),
    SYMBOL(transaction_destroy),
    SYMBOL(transaction_set_read_version),
    SYMBOL(transaction_get_read_version),
    SYMBOL(transaction_get),
    SYMBOL(transaction_get_range),
    SYMBOL(transaction_set),
    SYMBOL(transaction_clear),
    SYMBOL(transaction_clear_range),
    SYMBOL(transaction_watch),
    SYMBOL(transaction_commit),
    SYMBOL(transaction_get_committed_version),
    SYMBOL(transaction_get_versionstamp),
    SYMBOL(transaction_on_error),
    SYMBOL(future_destroy),
    SYMBOL(future_is_ready),
    SYMBOL(future_set_callback),
    SYMBOL(future_get_error),
    SYMBOL(future_get_int64),
    SYMBOL(future_get_key),
    SYMBOL(future_get_value),
    SYMBOL(future_get_keyvalue_array),
};
_Static_assert(ARRAY_LEN(symbols) * sizeof(void (*)(void)) == sizeof(struct fdb_api),
               "every function of the table has a symbol");

static int library_load(const char *path, char *error, size_t error_size)
{
    void *handle = dlopen(path, RTLD_NOW | RTLD_LOCAL);
    if (!handle) {
        store_sentence(error, error_size,
                       "the FoundationDB client library '%s' cannot be loaded (%s); install the "
                       "package foundationdb-clients, or say where it is with --fdb-library PATH",
                       path, dlerror());
        return KELPIE_E_INVALID;
    }
    for (size_t i = 0; i < ARRAY_LEN(symbols); i++) {
        void *symbol = dlsym(handle, symbols[i].name);
        if (!symbol) {
            store_sentence(error, error_size,
                           "'%s' is no FoundationDB client library of version 7.1 or newer: it "
                           "lacks %s; name another with --fdb-library PATH",
                           path, symbols[i].name);
            dlclose(handle);
            return KELPIE_E_INVALID;
        }
        memcpy((char *)&library.api + symbols[i].at, &symbol, sizeof(symbol));
    }
    library.handle = handle;
    return 0;
}

static int library_select(const char *path, char *error, size_t error_size)
{
    int max = library.api.get_max_api_version();
    int version = max < FDB_API_VERSION_WANTED ? max : FDB_API_VERSION_WANTED;
    if (max < FDB_API_VERSION_MIN) {
        store_sentence(error, error_size,
                       "the FoundationDB client library '%s' is too old: it has API version %d, "
                       "and %d (FoundationDB 7.1) is needed; install a newer one, or name it with "
                       "--fdb-library PATH",
                       path, max, FDB_API_VERSION_MIN);
        return KELPIE_E_INVALID;
    }
    int err = library.api.select_api_version_impl(version, version);
    if (!err)
        err = library.api.setup_network();
    if (!err)
        return 0;
    store_sentence(error, error_size,
                   "the FoundationDB client library '%s' does not start: %s (error %d)", path,
                   library.api.get_error(err), err);
    return KELPIE_E_IO;
}

static void *network_main(void *arg)
{
    (void)arg;
    int err = library.api.run_network();
    return err ? &library : NULL;
}

/* Signals are for the loop's thread. */
static int network_start(const char *path, char *error, size_t error_size)
{
    sigset_t all, old;
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &old);
    int err = pthread_create(&library.thread, NULL, network_main, NULL);
    pthread_sigmask(SIG_SETMASK, &old, NULL);
    library.running = !err;
    if (!err)
        return 0;
    store_sentence(error, error_size, "the system refuses '%s' a thread for its network", path);
    return KELPIE_E_IO;
}

int fdb_library_open(const char *path, const struct fdb_api **out, char *error, size_t error_size)
{
    if (!path)
        path = FDB_LIBRARY_DEFAULT;
    *out = &library.api;
    if (library.handle && strcmp(library.path, path) == 0 && library.running)
        return 0;
    if (library.handle) {
        store_sentence(error, error_size,
                       "the process has loaded the FoundationDB client library '%s' already, and "
                       "cannot load '%s' too",
                       library.path, path);
        return KELPIE_E_INVALID;
    }
    int err = library_load(path, error, error_size);
    if (!err) {
        store_sentence(library.path, sizeof(library.path), "%s", path);
        err = library_select(path, error, error_size);
    }
    return err ? err : network_start(path, error, error_size);
}

void fdb_library_stop(void)
{
    if (!library.running)
        return;
    library.running = false;
    if (library.api.stop_network() == 0)
        pthread_join(library.thread, NULL);
}

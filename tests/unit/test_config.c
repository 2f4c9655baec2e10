/* What kelpied is told: precedence of flags, environment, file; every fault with its sentence; flags
 * for a child that mean the same. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include <cmocka.h>

#include "bin/shared/config.h"
#include "kelpie/error.h"

struct fixture {
    char dir[32];
    struct config config;
    char why[CONFIG_WHY_SIZE];
};

static int set_up(void **state)
{
    struct fixture *f = calloc(1, sizeof(*f));
    (void)snprintf(f->dir, sizeof(f->dir), "/tmp/kelpie-conf.XXXXXX");
    assert_non_null(mkdtemp(f->dir));
    assert_int_equal(setenv("KELPIE_DATA_DIR", f->dir, 1), 0);
    *state = f;
    return 0;
}

static int tear_down(void **state)
{
    static const char *const variables[] = {"KELPIE_DATA_DIR", "KELPIE_LEASE_MS", "KELPIE_ACTORS",
                                            "KELPIE_INSECURE", "KELPIE_NODE_ID"};
    struct fixture *f = *state;
    char path[64];
    for (size_t i = 0; i < ARRAY_LEN(variables); i++)
        (void)unsetenv(variables[i]);
    (void)snprintf(path, sizeof(path), "%s/kelpied.ini", f->dir);
    (void)unlink(path);
    (void)rmdir(f->dir);
    config_free(&f->config);
    free(f);
    return 0;
}

static void write_ini(struct fixture *f, const char *text)
{
    char path[64];
    (void)snprintf(path, sizeof(path), "%s/kelpied.ini", f->dir);
    FILE *file = fopen(path, "w");
    assert_non_null(file);
    assert_true(fputs(text, file) >= 0);
    assert_int_equal(fclose(file), 0);
}

/* Arguments end with NULL. */
static int load(struct fixture *f, const char *const *arguments)
{
    int count = 0;
    while (arguments[count])
        count++;
    config_free(&f->config);
    return config_load(&f->config, count, (char *const *)(uintptr_t)arguments, false, f->why,
                       sizeof(f->why));
}

static void loads(struct fixture *f, int status)
{
    if (status)
        fail_msg("%s", f->why);
}

static void refused(struct fixture *f, int status, const char *says)
{
    assert_int_equal(status, KELPIE_E_INVALID);
    if (!strstr(f->why, says))
        fail_msg("said: %s (wanted: %s)", f->why, says);
}

static void test_defaults(void **state)
{
    struct fixture *f = *state;
    char store[64];
    loads(f, load(f, (const char *const[]){NULL}));
    (void)snprintf(store, sizeof(store), "lmdb:%s/store", f->dir);
    assert_string_equal(f->config.store_url, store);
    assert_true(f->config.store_is_default);
    assert_string_equal(f->config.listen, "127.0.0.1:7400");
    assert_string_equal(f->config.rpc_listen, "127.0.0.1:7401");
    assert_string_equal(f->config.keyspace.prefix, "kelpie");
    assert_int_equal(f->config.timing.lease_ms, 2000);
    assert_int_equal(f->config.timing.heartbeat_ms, 300);
    assert_int_equal(f->config.log_level, LOG_INFO);
    assert_false(f->config.log_json);
    assert_false(f->config.no_supervisor);
    assert_int_equal(f->config.actor_count, 0);
    assert_true(f->config.node_id[0] != '\0');
}

static void test_precedence(void **state)
{
    struct fixture *f = *state;
    write_ini(f, "# a comment\n; another\n[kelpied]\n  lease-ms = 5000 \r\nnode-id=from file\n"
                 "insecure = on\n\n");
    loads(f, load(f, (const char *const[]){NULL}));
    assert_int_equal(f->config.timing.lease_ms, 5000);
    assert_string_equal(f->config.node_id, "from file");
    assert_true(f->config.insecure);

    assert_int_equal(setenv("KELPIE_LEASE_MS", "4000", 1), 0);
    assert_int_equal(setenv("KELPIE_INSECURE", "no", 1), 0);
    loads(f, load(f, (const char *const[]){NULL}));
    assert_int_equal(f->config.timing.lease_ms, 4000);
    assert_false(f->config.insecure);
    assert_string_equal(f->config.node_id, "from file");

    loads(f, load(f, (const char *const[]){"--lease-ms", "3000", "--node-id=n", NULL}));
    assert_int_equal(f->config.timing.lease_ms, 3000);
    assert_string_equal(f->config.node_id, "n");
    /* The last one counts. */
    loads(f, load(f, (const char *const[]){"--lease-ms", "3000", "--lease-ms=6000", NULL}));
    assert_int_equal(f->config.timing.lease_ms, 6000);
}

static void test_lists(void **state)
{
    struct fixture *f = *state;
    write_ini(f, "actors = a.so\nactors = b.so\n");
    loads(f, load(f, (const char *const[]){NULL}));
    assert_int_equal(f->config.actor_count, 2);
    assert_string_equal(f->config.actors[1], "b.so");
    assert_int_equal(setenv("KELPIE_ACTORS", "c.so:d.so:e.so", 1), 0);
    loads(f, load(f, (const char *const[]){NULL}));
    assert_int_equal(f->config.actor_count, 3);
    assert_string_equal(f->config.actors[2], "e.so");
    loads(f, load(f, (const char *const[]){"--actors", "f.so", NULL}));
    assert_int_equal(f->config.actor_count, 1);
    assert_string_equal(f->config.actors[0], "f.so");
}

struct fault {
    const char *arguments[4];
    const char *says;
};

static const struct fault faults[] = {
    {{"--leese-ms", "1"}, "unknown option --leese-ms; did you mean --lease-ms?"},
    {{"--xyzzy"}, "unknown option --xyzzy; --help lists them all"},
    {{"-x"}, "unknown option -x"},
    {{"--lease-ms"}, "--lease-ms needs a value: --lease-ms N"},
    {{"--lease-ms="}, "--lease-ms is '', but it must be a number"},
    {{"--lease-ms", "-5"}, "--lease-ms is '-5', but it must be a number"},
    {{"--lease-ms", "99999999999999999999"}, "but it must be a number from 1 to"},
    {{"--lease-ms", "100"}, "heartbeat-ms is 300, but it must be at most a third of lease-ms"},
    {{"--drain-deadline-ms", "1999"},
     "drain-deadline-ms is 1999, but it must be at least lease-ms"},
    {{"--insecure=maybe"}, "--insecure is 'maybe', but it must be yes or no"},
    {{"stray"}, "'stray' is not an option"},
    {{"--node-id="}, "node-id is empty"},
    {{"--node-id=a\xff"}, "is not UTF-8"},
    {{"--prefix="}, "--prefix is '', but it must be 1 to 16 bytes"},
    {{"--store", "lmdb:"}, "--store is 'lmdb:', but it must be lmdb:DIR, fdb[:FILE] or memory:"},
    {{"--store", "fdb:"}, "--store is 'fdb:'"},
    {{"--listen", ":80"}, "--listen is ':80', but it must be HOST:PORT"},
    {{"--listen", "127.0.0.1:"}, "must be HOST:PORT"},
    {{"--listen", "127.0.0.1:65536"}, "must be HOST:PORT"},
    {{"--listen", "127.0.0.1:http"}, "must be HOST:PORT"},
    {{"--listen", "192.0.2.1:80"}, "which is not loopback"},
    {{"--listen", "127.example.org:80"}, "which is not loopback"},
    {{"--rpc-listen", "[::]:80", "--insecure"}, "need an address of this machine"},
    {{"--log-level", "trace"}, "it must be one of: debug, info, warn, error"},
    {{"--log-format", "xml"}, "it must be one of: text, json"},
    {{"--data-dir", ""}, "data-dir is empty"},
    {{"--idle-ms", "1"}, "--idle-ms is '1', but it must be a number from 100 to"},
    {{"--config", "/nonexistent.ini"}, "cannot be read: No such file or directory"},
};

static void test_faults(void **state)
{
    struct fixture *f = *state;
    for (size_t i = 0; i < ARRAY_LEN(faults); i++)
        refused(f, load(f, faults[i].arguments), faults[i].says);
}

static void test_ini_faults(void **state)
{
    struct fixture *f = *state;
    const char *const none[] = {NULL};
    write_ini(f, "\nnode-ID = x\n");
    refused(f, load(f, none),
            "kelpied.ini:2: there is no option 'node-ID'; did you mean 'node-id'?");
    write_ini(f, "idle-ms = 500\nidle-ms = 600\n");
    refused(f, load(f, none), "kelpied.ini:2: idle-ms is given again, after line 1");
    write_ini(f, "[nodes]\n");
    refused(f, load(f, none),
            "kelpied.ini:1: section [nodes] is unknown; the only one is [kelpied]");
    write_ini(f, "[kelpied]\nno-supervisor\n");
    refused(f, load(f, none), "kelpied.ini:2: 'no-supervisor' is not of the form name = value");
    write_ini(f, "lease-ms = soon\n");
    refused(f, load(f, none), "kelpied.ini:1: lease-ms is 'soon', but it must be a number");
    /* What a flag overrides is not looked at. */
    loads(f, load(f, (const char *const[]){"--lease-ms=2000", NULL}));
}

static void test_addresses(void **state)
{
    static const char *const local[] = {"127.0.0.1:0", "127.1.2.3:80", "[::1]:7400",
                                        "localhost:65535"};
    struct fixture *f = *state;
    bool loopback;
    for (size_t i = 0; i < ARRAY_LEN(local); i++) {
        assert_int_equal(config_check_addr("x", local[i], &loopback, f->why, sizeof(f->why)), 0);
        assert_true(loopback);
    }
    assert_int_equal(config_check_addr("x", "0.0.0.0:1", &loopback, f->why, sizeof(f->why)), 0);
    assert_false(loopback);
    loads(f, load(f, (const char *const[]){"--listen", "0.0.0.0:80", "--insecure", NULL}));
}

/* What a supervisor hands to its node is the same configuration. */
static void test_flags_for_the_child(void **state)
{
    struct fixture *f = *state;
    char text[8192];
    char *argv[OPTIONS_MAX + OPTION_LIST_MAX];
    struct config child;
    write_ini(f, "lease-ms = 3000\nactors = a b.so\nactors = c.so\nlog-format = json\n");
    assert_int_equal(setenv("KELPIE_NODE_ID", "from, environment", 1), 0);
    loads(f, load(f, (const char *const[]){"--heartbeat-ms", "200", "--insecure", NULL}));
    size_t count = config_flags(&f->config, text, sizeof(text), argv, ARRAY_LEN(argv));
    (void)unsetenv("KELPIE_NODE_ID");
    assert_int_equal(config_load(&child, (int)count, argv, true, f->why, sizeof(f->why)), 0);
    assert_string_equal(child.node_id, "from, environment");
    assert_string_equal(child.data_dir, f->config.data_dir);
    assert_string_equal(child.store_url, f->config.store_url);
    assert_memory_equal(&child.timing, &f->config.timing, sizeof(child.timing));
    assert_int_equal(child.timing.lease_ms, 3000);
    assert_int_equal(child.actor_count, 2);
    assert_string_equal(child.actors[0], "a b.so");
    assert_true(child.insecure);
    assert_true(child.log_json);
    config_free(&child);
}

static void test_nearest(void **state)
{
    static const char *const words[] = {"status", "node list", "events", NULL};
    (void)state;
    assert_string_equal(nearest_word(words, "stauts"), "status");
    assert_string_equal(nearest_word(words, "ev"), "events");
    assert_null(nearest_word(words, "frobnicate"));
    assert_null(nearest_word(words, ""));
    assert_string_equal(options_nearest(kelpied_options, "activation-max"), "activations-max");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_defaults, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_precedence, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_lists, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_faults, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_ini_faults, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_addresses, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_flags_for_the_child, set_up, tear_down),
        cmocka_unit_test(test_nearest),
    };
    return cmocka_run_group_tests_name("config", tests, NULL, NULL);
}

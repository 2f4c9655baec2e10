#include "store/load.h"

#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include "kelpie/error.h"
#include "store/poll_loop.h"
#include "store/store_dir.h"
#include "store/store_open.h"
#include "store/store_socket.h"

#define LOAD_RETRY_MS 5

struct loader {
    struct poll_loop loop;
    struct env env;
    struct store store;
    struct load_slot *slot;
    struct store_req req;
    struct store_read read;
    struct store_write write;
    struct timer again;
    char key[24];
    char value[24];
    uint64_t sent;    /* the value of the last commit sent */
    uint64_t last_ms; /* of the last acknowledgement */
    bool ended;
};

static void loader_next(void *arg)
{
    struct loader *l = arg;
    l->store.ops->read(l->store.ctx, &l->req);
}

static void loader_again(struct loader *l)
{
    timer_start(&l->again, LOAD_RETRY_MS * NS_PER_MS);
}

static void loader_acknowledged(struct loader *l, uint64_t value)
{
    uint64_t now = poll_loop_now_ms();
    if (value == l->slot->acknowledged)
        return;
    if (now - l->last_ms > l->slot->longest_ms)
        l->slot->longest_ms = now - l->last_ms;
    l->last_ms = now;
    l->slot->acknowledged = value;
}

static void loader_committed(struct store_req *req, int status);

static void loader_read(struct store_req *req, int status)
{
    struct loader *l = req->arg;
    if (status) {
        loader_again(l);
        return;
    }
    const struct store_result *r = &req->results[0];
    char text[24] = "0";
    if (r->count == 1 && r->rows[0].value.len < sizeof(text))
        memcpy(text, r->rows[0].value.data, r->rows[0].value.len);
    uint64_t value = strtoull(text, NULL, 10);
    l->store.ops->release(l->store.ctx, req);
    /* Nobody else writes the row: it has what was acknowledged, or what was sent last. */
    if (value != l->slot->acknowledged && value != l->sent)
        l->slot->failed = 1;
    loader_acknowledged(l, value);
    if (l->slot->stop) {
        l->ended = true;
        return;
    }
    l->sent = value + 1;
    l->slot->attempted = l->sent;
    snprintf(l->value, sizeof(l->value), "%llu", (unsigned long long)l->sent);
    l->write.value = bytes_of_str(l->value);
    req->fn = loader_committed;
    l->store.ops->commit(l->store.ctx, req);
}

static void loader_committed(struct store_req *req, int status)
{
    struct loader *l = req->arg;
    req->fn = loader_read;
    if (status == 0)
        loader_acknowledged(l, l->sent);
    else if (status == KELPIE_E_UNKNOWN_RESULT)
        l->slot->unknown++;
    else
        l->sent = l->slot->acknowledged; /* refused: it is nowhere, now or later */
    if (status == 0)
        loader_next(l);
    else
        loader_again(l);
}

static void load_child(struct load_slot *slot, int index, const char *dir, unsigned lease_ms)
{
    static struct loader loader;
    struct loader *l = &loader;
    poll_loop_init(&l->loop, &l->env, (uint64_t)index + ((uint64_t)getpid() << 8));
    char url[512], error[1024];
    store_sentence(url, sizeof(url), "lmdb:%s", dir);
    const struct store_open_options o = {.lease_ms = lease_ms, .idle_ms = 2000, .open_ms = 20000};
    struct store_handle *h;
    if (store_open(url, &l->env, &o, &h, error, sizeof(error))) {
        fprintf(stderr, "load: %s\n", error);
        slot->failed = 1;
        return;
    }
    l->store = store_handle_store(h);
    l->slot = slot;
    snprintf(l->key, sizeof(l->key), "load/%d", index);
    l->read = (struct store_read){.key = bytes_of_str(l->key)};
    l->write = (struct store_write){.kind = STORE_PUT, .key = bytes_of_str(l->key)};
    l->req = (struct store_req){.reads = &l->read,
                                .read_count = 1,
                                .writes = &l->write,
                                .write_count = 1,
                                .fn = loader_read,
                                .arg = l};
    timer_init(&l->again, l->env.timers, "again", loader_next, l);
    poll_loop_add(&l->loop, store_handle_fd(h), store_handle_ready, h);
    l->last_ms = poll_loop_now_ms();
    loader_next(l);
    while (!l->ended)
        poll_loop_once(&l->loop, 100);
    store_close(h);
    slot->stopped = 1;
}

void load_start(struct load *l, const char *dir, int count, unsigned lease_ms)
{
    CHECK(count <= LOAD_MAX);
    l->count = count;
    l->slots = mmap(NULL, LOAD_MAX * sizeof(*l->slots), PROT_READ | PROT_WRITE,
                    MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    CHECK(l->slots != MAP_FAILED);
    for (int i = 0; i < count; i++) {
        l->pids[i] = fork();
        CHECK(l->pids[i] >= 0);
        if (l->pids[i] == 0) {
            (void)prctl(PR_SET_PDEATHSIG, SIGKILL); /* a test that fails leaves nobody behind */
            load_child(&l->slots[i], i, dir, lease_ms);
            _exit(l->slots[i].failed ? 1 : 0);
        }
    }
}

int load_progress(struct load *l, uint64_t more, int except, unsigned timeout_ms)
{
    uint64_t end = poll_loop_now_ms() + timeout_ms, goal[LOAD_MAX];
    for (int i = 0; i < l->count; i++)
        goal[i] = l->slots[i].acknowledged + more;
    for (int i = 0; i < l->count; i++) {
        while (i != except && l->slots[i].acknowledged < goal[i]) {
            if (poll_loop_now_ms() > end || l->slots[i].failed)
                return -1;
            usleep(1000);
        }
    }
    return 0;
}

void load_reset_longest(struct load *l)
{
    for (int i = 0; i < l->count; i++)
        l->slots[i].longest_ms = 0;
}

int load_stop(struct load *l)
{
    int bad = 0;
    for (int i = 0; i < l->count; i++)
        l->slots[i].stop = 1;
    for (int i = 0; i < l->count; i++) {
        int status = 1;
        uint64_t end = poll_loop_now_ms() + 20000;
        while (waitpid(l->pids[i], &status, WNOHANG) == 0) {
            if (poll_loop_now_ms() > end)
                kill(l->pids[i], SIGKILL);
            usleep(1000);
        }
        bad |= status != 0 || !l->slots[i].stopped || l->slots[i].failed;
    }
    return bad ? -1 : 0;
}

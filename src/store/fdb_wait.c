#include "store/fdb_wait.h"

void fdb_mail_init(struct fdb_mail *mail, struct mem mem, const struct fdb_api *api,
                   struct fdb_wake wake)
{
    *mail = (struct fdb_mail){.mem = mem, .api = api, .wake = wake};
    atomic_init(&mail->stack, NULL);
    atomic_init(&mail->pushing, 0);
}

bool fdb_mail_idle(const struct fdb_mail *mail)
{
    return mail->waiting == 0 && atomic_load(&mail->pushing) == 0;
}

/* On any thread. Whoever takes the wait may free it as soon as it lies on the stack, and the mail
 * once nothing waits and nobody is in here. The future may be gone. */
static void wait_push(struct fdb_wait *w)
{
    struct fdb_mail *mail = w->mail;
    atomic_fetch_add(&mail->pushing, 1);
    struct fdb_wait *top = atomic_load_explicit(&mail->stack, memory_order_relaxed);
    do
        w->below = top;
    while (!atomic_compare_exchange_weak_explicit(&mail->stack, &top, w, memory_order_release,
                                                  memory_order_relaxed));
    if (!top)
        mail->wake.wake(mail->wake.ctx);
    atomic_fetch_sub(&mail->pushing, 1);
}

static void wait_called(struct fdb_future *future, void *arg)
{
    (void)future;
    wait_push(arg);
}

struct fdb_wait *fdb_wait_new(struct fdb_mail *mail, struct fdb_future *future, fdb_wait_fn *fn,
                              void *arg)
{
    struct fdb_wait *w = MEM_NEW(mail->mem, struct fdb_wait);
    w->mail = mail;
    w->future = future;
    w->fn = fn;
    w->arg = arg;
    mail->waiting++;
    int err = mail->api->future_set_callback(future, wait_called, w);
    if (err) { /* no callback will come */
        w->error = err;
        wait_push(w);
    }
    return w;
}

void fdb_wait_drop(struct fdb_wait *w)
{
    if (!w)
        return;
    struct fdb_mail *mail = w->mail;
    struct fdb_future *future = w->future;
    w->future = NULL;
    w->fn = NULL;
    if (w->called)
        mem_free(mail->mem, w);
    mail->api->future_destroy(future);
}

void fdb_mail_take(struct fdb_mail *mail)
{
    struct fdb_wait *top = atomic_exchange_explicit(&mail->stack, NULL, memory_order_acquire);
    struct fdb_wait *first = NULL;
    while (top) {
        struct fdb_wait *below = top->below;
        top->below = first;
        first = top;
        top = below;
    }
    while (first) {
        struct fdb_wait *w = first;
        first = w->below;
        mail->waiting--;
        w->called = true;
        if (!w->fn) {
            mem_free(mail->mem, w);
            continue;
        }
        if (!w->error)
            w->error = mail->api->future_get_error(w->future);
        w->fn(w);
    }
}

#include "loop/running_page.h"

#include <stdatomic.h>
#include <string.h>

#define READ_TRIES 8

static void write_page(struct running_page *page, const struct running *what)
{
    uint32_t n = atomic_load_explicit(&page->changes, memory_order_relaxed);

    atomic_store_explicit(&page->changes, n | 1u, memory_order_relaxed);
    atomic_thread_fence(memory_order_release);
    page->runs = what != NULL;
    if (what)
        page->now = *what;
    atomic_store_explicit(&page->changes, (n | 1u) + 1, memory_order_release);
}

static void begin(void *ctx, const struct running *what)
{
    write_page(ctx, what);
}

static void end(void *ctx)
{
    write_page(ctx, NULL);
}

struct running_told running_page_told(struct running_page *page)
{
    return (struct running_told){.begin = begin, .end = end, .ctx = page};
}

static void end_strings(struct running *r)
{
    r->callback[sizeof r->callback - 1] = '\0';
    r->type[sizeof r->type - 1] = '\0';
    r->id[sizeof r->id - 1] = '\0';
    r->method[sizeof r->method - 1] = '\0';
    r->request_id[sizeof r->request_id - 1] = '\0';
}

bool running_page_read(const struct running_page *page, struct running *out)
{
    for (int i = 0; i < READ_TRIES; i++) {
        uint32_t before = atomic_load_explicit(&page->changes, memory_order_acquire), after;
        uint32_t runs = page->runs;
        memcpy(out, &page->now, sizeof *out);
        atomic_thread_fence(memory_order_acquire);
        after = atomic_load_explicit(&page->changes, memory_order_relaxed);
        if (before != after || before % 2 == 1)
            continue;
        end_strings(out);
        return runs != 0;
    }
    return false;
}

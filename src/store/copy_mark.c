#include "store/copy_mark.h"

#include <stdio.h>

static void copy_row(void *arg, size_t index, struct bytes key, struct bytes value)
{
    size_t begin = sizeof(STORE_COPY_BEGIN) - 1;
    (void)index;
    (void)value;
    if (key.len < begin + 2)
        return;
    (void)snprintf(
        arg, COPY_WHY_SIZE,
        "it is a copy that \"kelpie store backup\" made; stop all nodes and run \"kelpie "
        "store restored --prefix %.*s\" first",
        (int)(key.len - begin - 2), (const char *)key.data + begin + 1);
}

static void copy_end(void *arg, size_t index, bool more)
{
    (void)arg;
    (void)index;
    (void)more;
}

int copy_mark_find(struct core *core, char why[COPY_WHY_SIZE])
{
    static const char begin[] = STORE_COPY_BEGIN, end[] = STORE_COPY_BEGIN "\xff";
    const struct store_read read = {.key = bytes_of(begin, sizeof(begin) - 1),
                                    .end = bytes_of(end, sizeof(end) - 1),
                                    .limit = 1};
    const struct core_sink sink = {.row = copy_row, .end = copy_end, .arg = why};
    uint64_t version;
    why[0] = '\0';
    return core_read(core, &read, 1, &sink, &version);
}

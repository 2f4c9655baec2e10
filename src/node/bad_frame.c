#include "node/bad_frame.h"

#include "kelpie/error.h"

#define WHY_SIZE 256

static struct bad_told *told_of(struct bad_frames *b, int error)
{
    for (size_t i = 0; i + 1 < BAD_KINDS; i++) {
        struct bad_told *t = &b->told[i];
        if (!t->told || t->error == error)
            return t;
    }
    return &b->told[BAD_KINDS - 1];
}

void bad_frame_tell(struct bad_frames *b, const struct env *env, const char *from, int error,
                    const char *why)
{
    struct bad_told *t = told_of(b, error);
    uint64_t now = env_now_ns(env);
    char quoted[WHY_SIZE];
    char addr[4 * NET_ADDR_SIZE + 3];
    if (t->told && now - t->at_ns < BAD_TELL_MS * NS_PER_MS) {
        t->more++;
        return;
    }
    log_warn(&env->log, "bad_frame", "from=%s error=%s untold=%llu why=%s",
             log_quote(from, addr, sizeof(addr)), kelpie_error_name(error),
             (unsigned long long)t->more, log_quote(why, quoted, sizeof(quoted)));
    *t = (struct bad_told){.error = error, .told = true, .at_ns = now};
}

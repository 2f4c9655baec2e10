/* Frames that are nonsense, or for somebody else: told in the log, however many strangers send. */
#ifndef KELPIE_NODE_BAD_FRAME_H
#define KELPIE_NODE_BAD_FRAME_H

#include "env/env.h"

#define BAD_KINDS 4
#define BAD_TELL_MS 10000 /* until the same kind is told again */

struct bad_frames {
    struct bad_told {
        int error;
        bool told;
        uint64_t at_ns;
        uint64_t more; /* since then */
    } told[BAD_KINDS];
};

/* One line a kind and BAD_TELL_MS: the next line, and the metric, say how many there were. */
void bad_frame_tell(struct bad_frames *b, const struct env *env, const char *from, int error,
                    const char *why);

#endif

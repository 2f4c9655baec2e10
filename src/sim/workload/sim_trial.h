/*
 * The class "trial": a counter that tries its node. By what a message asks for it fails after it has
 * written, fills its state to the bounds and beyond, answers with replies of any size; by the
 * world's dice its activation fails and its callbacks run for longer than a lease. It knows what
 * its state has to be, and says so when it is not (StateIsWhole).
 */
#ifndef KELPIE_SIM_TRIAL_H
#define KELPIE_SIM_TRIAL_H

#include "kelpie/kelpie.h"

extern const struct kelpie_class sim_class_trial;
#define TRIAL_VERSIONS_MAX 16

/* The code of its domain errors. */
#define TRIAL_REFUSAL "even"

/* The key of the number of the attempt that was applied last. */
#define TRIAL_ATTEMPT "by"

#define TRIAL_REMEMBER_MS 1000
#define TRIAL_REMEMBER_LONG_MS 20000 /* where nodes differ */

/* What a message asks for: the body is "<amount> <what> <size>". */
enum trial_what {
    TRIAL_NOTHING,
    TRIAL_FAIL,       /* writes, then KELPIE_E_HANDLER_FAILED */
    TRIAL_FAIL_ODDLY, /* writes, then a code that no handler may give */
    TRIAL_INVALID,    /* writes, then KELPIE_E_INVALID */
    TRIAL_NO_METHOD,  /* writes, then KELPIE_E_UNKNOWN_METHOD */
    TRIAL_REFUSE,     /* writes, then a domain error */
    TRIAL_REFUSE_IF,  /* a domain error if the counter is even: else it adds */
    TRIAL_LONG_REPLY, /* the value, padded with dots to `size` */
    TRIAL_WIDE,       /* values and keys at their bounds */
    TRIAL_MANY,       /* as many keys as there may be */
    TRIAL_HEAVY,      /* as many bytes as there may be */
    TRIAL_LEAN,       /* all of that is gone */
    TRIAL_COUNT
};

#endif

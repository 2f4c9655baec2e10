/*
 * A domain error on its way: KELPIE_E_DOMAIN with a body of code, NUL, sentence. It travels and is
 * remembered like a reply.
 */
#ifndef KELPIE_ACTOR_DOMAIN_ERROR_H
#define KELPIE_ACTOR_DOMAIN_ERROR_H

#include "base/buf.h"
#include "kelpie/kelpie.h"

/* 1 to KELPIE_FAIL_CODE_MAX of a-z, 0-9, '_' and '-'. */
bool domain_code_valid(struct bytes code);
/* Appends it. `code` is valid; a longer sentence than KELPIE_FAIL_TEXT_MAX is cut where a character ends. */
void domain_error_encode(struct buf *out, const char *code, const char *sentence);
/* Copies of both, NUL-terminated. */
struct domain_error {
    char code[KELPIE_FAIL_CODE_MAX + 1];
    char text[KELPIE_FAIL_TEXT_MAX + 1];
};
/* False when the body is none, as a stranger or a damaged row may send. */
bool domain_error_decode(struct bytes body, struct domain_error *out) MUST_USE;

#endif

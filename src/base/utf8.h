/* Well-formed UTF-8 (RFC 3629): no overlong forms, no surrogates, nothing above U+10FFFF. */
#ifndef KELPIE_BASE_UTF8_H
#define KELPIE_BASE_UTF8_H

#include "base/bytes.h"

/* The length (1 to 4) of the well-formed character at the start of `s`, or 0 when there is none. */
size_t utf8_char_len(struct bytes s);
/* The well-formed character of `len` bytes at the start of `s` does not show but acts, on a terminal or on who reads:
 * controls of both sets, DEL, what turns the direction of text or splits a line. */
bool utf8_steers(struct bytes s, size_t len);
/* Well-formed UTF-8 without NUL. */
bool utf8_valid(struct bytes s);

#endif

/* Text from outside for a person's terminal. */
#ifndef KELPIE_BASE_PRINTABLE_H
#define KELPIE_BASE_PRINTABLE_H

#include <stddef.h>

/* The most that printable() makes of one byte. */
#define PRINTABLE_FACTOR 4

/* Copies `s`: what could steer a terminal (control characters of both sets, DEL, what turns the
 * direction of text or splits a line) and bytes that are no UTF-8 become \xNN. Cut at a whole character to
 * `size` bytes with the NUL. Returns out. */
const char *printable(const char *s, char *out, size_t size);

#endif

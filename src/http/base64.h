/* Bytes as text (RFC 4648, with padding), for JSON. */
#ifndef KELPIE_HTTP_BASE64_H
#define KELPIE_HTTP_BASE64_H

#include "base/buf.h"

/* Bytes that so many characters stand for, at most. */
#define BASE64_DECODED_MAX(len) ((len) / 4 * 3)

void base64_append(struct buf *out, struct bytes data);
/* Writes BASE64_DECODED_MAX(len) bytes at most. Returns how many, or -1: that is no base64. */
long base64_decode(const char *text, size_t len, uint8_t *out);

#endif

/* CRC-32C (Castagnoli), as in RFC 3720 appendix B.4. */
#ifndef KELPIE_BASE_CRC32C_H
#define KELPIE_BASE_CRC32C_H

#include "base/bytes.h"

uint32_t crc32c(struct bytes bytes);
/* Continues a checksum: crc32c_extend(crc32c(a), b) == crc32c(a followed by b). */
uint32_t crc32c_extend(uint32_t crc, struct bytes bytes);
/* The same without special instructions of the processor: for machines that have none, and for
 * tests. */
uint32_t crc32c_extend_portable(uint32_t crc, struct bytes bytes);

#endif

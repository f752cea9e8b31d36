/* SPDX-License-Identifier: Apache-2.0 */
/* CRC-32C (Castagnoli, RFC 3720 appendix B.4), by ISA-L, which uses what the processor has. */
#ifndef FORMAT_CRC32C_H
#define FORMAT_CRC32C_H

#include <stddef.h>
#include <stdint.h>

/* Continue a checksum (begin with 0) over `size` more bytes. */
uint32_t crc32c(uint32_t checksum, const void *data, size_t size);

#endif

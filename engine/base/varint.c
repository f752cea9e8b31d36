/* SPDX-License-Identifier: Apache-2.0 */
/* The rare varints: of three bytes and more, and those at the very end of the bytes. */
#include "varint.h"

struct varint32 varint32_read_long(const uint8_t *at, const uint8_t *end)
{
    const struct varint32 malformed = {NULL, 0};
    uint32_t value = 0;
    for (unsigned shift = 0; at < end; shift += 7) {
        uint8_t byte = *at++;
        if (shift == 28 && byte > 0x0f)
            return malformed; /* a sixth byte follows, or bits that a uint32_t has no place for */
        value |= (uint32_t)(byte & 0x7f) << shift;
        if (byte < 0x80)
            return (struct varint32){at, unzigzag32(value)};
    }
    return malformed;
}

struct varint64 varint64_read_long(const uint8_t *at, const uint8_t *end)
{
    const struct varint64 malformed = {NULL, 0};
    uint64_t value = 0;
    for (unsigned shift = 0; at < end; shift += 7) {
        uint8_t byte = *at++;
        if (shift == 63 && byte > 0x01)
            return malformed;
        value |= (uint64_t)(byte & 0x7f) << shift;
        if (byte < 0x80)
            return (struct varint64){at, unzigzag64(value)};
    }
    return malformed;
}

/* SPDX-License-Identifier: Apache-2.0 */
/* The rare varints: of three bytes and more, and those at the very end of the bytes. */
#include "varint.h"

const uint8_t *varint32_read_long(const uint8_t *at, const uint8_t *end, int32_t *ret_value)
{
    uint32_t value = 0;
    for (unsigned shift = 0; shift < 7 * VARINT32_BYTES_MAX; shift += 7) {
        if (at == end)
            return NULL;
        uint8_t byte = *at++;
        if (shift == 28 && byte > 0x0f)
            return NULL; /* a sixth byte follows, or bits that a uint32_t has no place for */
        value |= (uint32_t)(byte & 0x7f) << shift;
        if (byte < 0x80) {
            *ret_value = unzigzag32(value);
            return at;
        }
    }
    return NULL;
}

const uint8_t *varint64_read_long(const uint8_t *at, const uint8_t *end, int64_t *ret_value)
{
    uint64_t value = 0;
    for (unsigned shift = 0; shift < 7 * VARINT64_BYTES_MAX; shift += 7) {
        if (at == end)
            return NULL;
        uint8_t byte = *at++;
        if (shift == 63 && byte > 0x01)
            return NULL;
        value |= (uint64_t)(byte & 0x7f) << shift;
        if (byte < 0x80) {
            *ret_value = unzigzag64(value);
            return at;
        }
    }
    return NULL;
}

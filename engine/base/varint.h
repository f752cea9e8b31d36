/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Kafka's signed varints (zigzag, base 128, as in Protocol Buffers): what records inside a batch are
 * made of. Reading never goes beyond `end` and refuses what is longer than the type.
 */
#ifndef BASE_VARINT_H
#define BASE_VARINT_H

#include <stddef.h>
#include <stdint.h>

#define VARINT32_BYTES_MAX 5
#define VARINT64_BYTES_MAX 10

/* The rest of a varint of more than one byte; NULL where it is cut short or too long. */
const uint8_t *varint32_read_long(const uint8_t *at, const uint8_t *end, int32_t *ret_value);
const uint8_t *varint64_read(const uint8_t *at, const uint8_t *end, int64_t *ret_value);

/* Returns the byte after the varint, or NULL. One byte is the common case, so it is inlined. */
static inline const uint8_t *varint32_read(const uint8_t *at, const uint8_t *end,
                                           int32_t *ret_value)
{
    if (__builtin_expect(at < end && *at < 0x80, 1)) {
        *ret_value = (int32_t)(*at >> 1) ^ -(int32_t)(*at & 1);
        return at + 1;
    }
    return varint32_read_long(at, end, ret_value);
}

/* Write, and return the byte after. `to` has room for VARINT..._BYTES_MAX. */
uint8_t *varint32_write(uint8_t *to, int32_t value);
uint8_t *varint64_write(uint8_t *to, int64_t value);

/* Bytes that the value takes. */
size_t varint32_size(int32_t value);
size_t varint64_size(int64_t value);

#endif

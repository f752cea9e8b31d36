/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Kafka's signed varints (zigzag, base 128, as in Protocol Buffers): what records inside a batch
 * are made of. Reading never goes beyond `end` and refuses what is longer than the type; it takes
 * forms that are longer than need be, as Kafka does. Writing makes the shortest.
 */
#ifndef BASE_VARINT_H
#define BASE_VARINT_H

#include <stddef.h>
#include <stdint.h>

#define VARINT32_BYTES_MAX 5
#define VARINT64_BYTES_MAX 10

/* Zigzag: small absolute values become small. */
static inline uint32_t zigzag32(int32_t value)
{
    return ((uint32_t)value << 1) ^ (uint32_t)(value >> 31);
}

static inline uint64_t zigzag64(int64_t value)
{
    return ((uint64_t)value << 1) ^ (uint64_t)(value >> 63);
}

static inline int32_t unzigzag32(uint32_t value)
{
    return (int32_t)((value >> 1) ^ -(value & 1));
}

static inline int64_t unzigzag64(uint64_t value)
{
    return (int64_t)((value >> 1) ^ -(value & 1));
}

/* A varint of any length; `next` is NULL where it is cut short or too long. By value, so that what
 * a caller reads into can live in a register. */
struct varint32 {
    const uint8_t *next;
    int32_t value;
};
struct varint64 {
    const uint8_t *next;
    int64_t value;
};
struct varint32 varint32_read_long(const uint8_t *at, const uint8_t *end);
struct varint64 varint64_read_long(const uint8_t *at, const uint8_t *end);

/*
 * Return the byte after the varint, or NULL and leave the value as it was. One and two bytes (-8192
 * to 8191) are nearly all that there is, so these are inlined.
 */
static inline __attribute__((always_inline)) const uint8_t *varint32_read(const uint8_t *at,
                                                                          const uint8_t *end,
                                                                          int32_t *ret_value)
{
    if (__builtin_expect(end - at >= 2, 1)) {
        if (__builtin_expect(at[0] < 0x80, 1)) {
            *ret_value = unzigzag32(at[0]);
            return at + 1;
        }
        if (__builtin_expect(at[1] < 0x80, 1)) {
            *ret_value = unzigzag32((at[0] & 0x7fu) | ((uint32_t)at[1] << 7));
            return at + 2;
        }
    }
    struct varint32 read = varint32_read_long(at, end);
    if (read.next != NULL)
        *ret_value = read.value;
    return read.next;
}

static inline __attribute__((always_inline)) const uint8_t *varint64_read(const uint8_t *at,
                                                                          const uint8_t *end,
                                                                          int64_t *ret_value)
{
    if (__builtin_expect(end - at >= 2, 1)) {
        if (__builtin_expect(at[0] < 0x80, 1)) {
            *ret_value = unzigzag64(at[0]);
            return at + 1;
        }
        if (__builtin_expect(at[1] < 0x80, 1)) {
            *ret_value = unzigzag64((at[0] & 0x7fu) | ((uint64_t)at[1] << 7));
            return at + 2;
        }
    }
    struct varint64 read = varint64_read_long(at, end);
    if (read.next != NULL)
        *ret_value = read.value;
    return read.next;
}

/* Write, and return the byte after. `to` has room for VARINT..._BYTES_MAX. */
static inline uint8_t *varint32_write(uint8_t *to, int32_t value)
{
    uint32_t rest = zigzag32(value);
    while (rest >= 0x80) {
        *to++ = (uint8_t)(rest | 0x80);
        rest >>= 7;
    }
    *to++ = (uint8_t)rest;
    return to;
}

static inline uint8_t *varint64_write(uint8_t *to, int64_t value)
{
    uint64_t rest = zigzag64(value);
    while (rest >= 0x80) {
        *to++ = (uint8_t)(rest | 0x80);
        rest >>= 7;
    }
    *to++ = (uint8_t)rest;
    return to;
}

/* Bytes that the value takes: its significant bits (at least one) by seven, rounded up. */
static inline size_t varint32_size(int32_t value)
{
    uint32_t bits = 32 - (uint32_t)__builtin_clz(zigzag32(value) | 1);
    return (bits * 9 + 64) / 64;
}

static inline size_t varint64_size(int64_t value)
{
    uint32_t bits = 64 - (uint32_t)__builtin_clzll(zigzag64(value) | 1);
    return (bits * 9 + 64) / 64;
}

#endif

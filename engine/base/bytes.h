/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Integers in byte strings. Kafka's formats are big-endian, the store's own are little-endian; each
 * load and store says which. Pointers need no alignment. Also the explicit-endian types that
 * on-disk structures are made of, which cannot be mixed up with plain integers.
 */
#ifndef BASE_BYTES_H
#define BASE_BYTES_H

#include <endian.h>
#include <stdint.h>
#include <string.h>

#define BYTES_ACCESS(bits, order)                                                                  \
    static inline uint##bits##_t load_##order##bits(const void *from)                              \
    {                                                                                              \
        uint##bits##_t raw;                                                                        \
        memcpy(&raw, from, sizeof(raw));                                                           \
        return order##bits##toh(raw);                                                              \
    }                                                                                              \
    static inline void store_##order##bits(void *to, uint##bits##_t value)                         \
    {                                                                                              \
        uint##bits##_t raw = hto##order##bits(value);                                              \
        memcpy(to, &raw, sizeof(raw));                                                             \
    }

BYTES_ACCESS(16, be)
BYTES_ACCESS(32, be)
BYTES_ACCESS(64, be)
BYTES_ACCESS(16, le)
BYTES_ACCESS(32, le)
BYTES_ACCESS(64, le)
#undef BYTES_ACCESS

/* Fields of on-disk structures: little-endian, unaligned. */
struct le16 {
    uint8_t bytes[2];
};
struct le32 {
    uint8_t bytes[4];
};
struct le64 {
    uint8_t bytes[8];
};

#define BYTES_FIELD(bits)                                                                          \
    static inline uint##bits##_t le##bits##_get(struct le##bits field)                             \
    {                                                                                              \
        return load_le##bits(field.bytes);                                                         \
    }                                                                                              \
    static inline struct le##bits le##bits##_of(uint##bits##_t value)                              \
    {                                                                                              \
        struct le##bits field;                                                                     \
        store_le##bits(field.bytes, value);                                                        \
        return field;                                                                              \
    }

BYTES_FIELD(16)
BYTES_FIELD(32)
BYTES_FIELD(64)
#undef BYTES_FIELD

#endif

/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The innermost step of everything that walks records: take one apart, with every length checked
 * against the bytes that are there. Inlined into each of its loops, as a call and a filled
 * structure would cost as much as the work. Private to the format layer.
 *
 *     length          varint, of what follows
 *     attributes      1 byte, unused: any value is taken, as Kafka takes it
 *     timestamp delta varint (64 bits)
 *     offset delta    varint
 *     key             varint length, -1 for null, and bytes
 *     value           the same
 *     headers         varint count; each: name (varint length, bytes), value (as key)
 */
#ifndef FORMAT_RECORD_PARSE_H
#define FORMAT_RECORD_PARSE_H

#include "check.h"
#include "varint.h"

struct record_fields {
    int64_t timestamp_delta_ms;
    int32_t offset_delta;
    int32_t key_size;   /* -1: null */
    int32_t value_size; /* -1: null */
    int32_t header_count;
    const uint8_t *key;
    const uint8_t *value;
    const uint8_t *headers; /* after their count, up to the record's end */
};

/* Smallest record: seven fields of one byte each. */
#define RECORD_BYTES_MIN 7

/* A byte string: length, or -1 for null, and bytes. Returns what follows it, or NULL. */
static inline const uint8_t *field_parse(const uint8_t *at, const uint8_t *end,
                                         const uint8_t **ret_bytes, int32_t *ret_size)
{
    int32_t size = -1;
    at = varint32_read(at, end, &size);
    if (UNLIKELY(at == NULL || size < -1 || size > end - at))
        return NULL;
    *ret_bytes = at;
    *ret_size = size;
    return at + (size > 0 ? size : 0);
}

/*
 * Take the record at `at` apart. Returns the byte after it, or NULL where it is malformed or goes
 * beyond `end`. Of the headers only the count is looked at: that it is possible at all, and that
 * there are no bytes where there are no headers.
 */
static inline __attribute__((always_inline)) const uint8_t *record_parse(
    const uint8_t *at, const uint8_t *end, struct record_fields *fields)
{
    /* The next record's place depends on this length alone: the processor can begin there while the
     * fields of this one are still looked at. */
    int32_t size = 0;
    at = varint32_read(at, end, &size);
    if (UNLIKELY(at == NULL || size < RECORD_BYTES_MIN - 1 || size > end - at))
        return NULL;
    end = at + size;

    at = varint64_read(at + 1, end, &fields->timestamp_delta_ms);
    if (UNLIKELY(at == NULL))
        return NULL;
    at = varint32_read(at, end, &fields->offset_delta);
    if (UNLIKELY(at == NULL))
        return NULL;
    at = field_parse(at, end, &fields->key, &fields->key_size);
    if (UNLIKELY(at == NULL))
        return NULL;
    at = field_parse(at, end, &fields->value, &fields->value_size);
    if (UNLIKELY(at == NULL || at == end))
        return NULL;
    if (LIKELY(*at == 0)) { /* no headers: this must be the last byte */
        fields->header_count = 0;
        fields->headers = end;
        return LIKELY(at + 1 == end) ? end : NULL;
    }
    at = varint32_read(at, end, &fields->header_count);
    /* A header takes two bytes at least. */
    if (UNLIKELY(at == NULL || fields->header_count <= 0 || fields->header_count > (end - at) / 2))
        return NULL;
    fields->headers = at;
    return end;
}

#endif

/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Records one by one: the iterator, the encoding, and the walk over a record's headers. Reading
 * checks every length against the bytes that are there, so that it is safe on any bytes; whether
 * the records are those that their batch promises is for batch_check().
 */
#include "record.h"

#include "compression.h"
#include "public.h"
#include "record_parse.h"

#include <errno.h>
#include <string.h>

void record_iterator_init(struct record_iterator *iterator, const struct batch_header *header,
                          const void *records, size_t size)
{
    iterator->at = records;
    iterator->end = iterator->at + size;
    iterator->base_offset = header->base_offset;
    iterator->base_timestamp_ms = header->base_timestamp_ms;
    iterator->append_timestamp_ms = header->max_timestamp_ms;
    iterator->remaining = header->record_count;
    iterator->log_append_time = (header->attributes & BATCH_LOG_APPEND_TIME) != 0;
}

int record_iterator_begin(struct record_iterator *iterator, const struct batch_header *header,
                          const void *batch, size_t size, struct decompressor *decompressor)
{
    const void *records = (const uint8_t *)batch + BATCH_HEADER_BYTES;
    size -= BATCH_HEADER_BYTES;
    /* A batch without records may have a codec, and has nothing to decompress. */
    int result = size > 0 ? decompress(decompressor, header->attributes & BATCH_CODEC_MASK, records,
                                       size, BECK_BATCH_BYTES_LIMIT, &records, &size)
                          : 0;
    if (result == 0)
        record_iterator_init(iterator, header, records, size);
    return result;
}

int record_next(struct record_iterator *iterator, struct beck_record *ret_record)
{
    if (UNLIKELY(iterator->remaining <= 0))
        return iterator->at == iterator->end ? 0 : -EBADMSG;

    struct record_fields fields;
    const uint8_t *next = record_parse(iterator->at, iterator->end, &fields);
    if (UNLIKELY(next == NULL || fields.offset_delta < 0))
        return -EBADMSG;
    int64_t offset;
    int64_t timestamp_ms;
    if (UNLIKELY(__builtin_add_overflow(iterator->base_offset, fields.offset_delta, &offset) ||
                 __builtin_add_overflow(iterator->base_timestamp_ms, fields.timestamp_delta_ms,
                                        &timestamp_ms)))
        return -EBADMSG;

    ret_record->offset = offset;
    ret_record->timestamp_ms =
        iterator->log_append_time ? iterator->append_timestamp_ms : timestamp_ms;
    ret_record->key = fields.key_size < 0 ? NULL : fields.key;
    ret_record->value = fields.value_size < 0 ? NULL : fields.value;
    ret_record->headers = fields.headers;
    ret_record->key_size = fields.key_size;
    ret_record->value_size = fields.value_size;
    ret_record->headers_size = (uint32_t)(next - fields.headers);
    ret_record->header_count = (uint32_t)fields.header_count;
    ret_record->log_append_time = iterator->log_append_time;
    iterator->at = next;
    iterator->remaining--;
    return 1;
}

static inline size_t present(int32_t size)
{
    return size > 0 ? (size_t)size : 0;
}

size_t record_bytes_max(const struct beck_record *record)
{
    /* length, attributes, timestamp, offset, and the lengths of key, value and headers */
    return 5 * VARINT32_BYTES_MAX + VARINT64_BYTES_MAX + 1 + present(record->key_size) +
           present(record->value_size) + record->headers_size;
}

static inline uint8_t *field_write(uint8_t *to, const void *bytes, int32_t size)
{
    to = varint32_write(to, size);
    if (size > 0) {
        memcpy(to, bytes, (size_t)size);
        to += size;
    }
    return to;
}

ssize_t record_write(uint8_t *to, size_t room, const struct beck_record *record,
                     int32_t offset_delta, int64_t timestamp_delta_ms)
{
    if (UNLIKELY(record->key_size < -1 || record->value_size < -1 ||
                 record->header_count > INT32_MAX))
        return -EINVAL;
    size_t size = 1 + varint64_size(timestamp_delta_ms) + varint32_size(offset_delta) +
                  varint32_size(record->key_size) + present(record->key_size) +
                  varint32_size(record->value_size) + present(record->value_size) +
                  varint32_size((int32_t)record->header_count) + record->headers_size;
    if (UNLIKELY(size > INT32_MAX - VARINT32_BYTES_MAX))
        return -EMSGSIZE;
    size_t whole = varint32_size((int32_t)size) + size;
    if (whole > room)
        return -EMSGSIZE;

    /* Each varint is written in its exact size, so nothing goes beyond `whole`. */
    uint8_t *at = varint32_write(to, (int32_t)size);
    *at++ = 0; /* attributes */
    at = varint64_write(at, timestamp_delta_ms);
    at = varint32_write(at, offset_delta);
    at = field_write(at, record->key, record->key_size);
    at = field_write(at, record->value, record->value_size);
    at = varint32_write(at, (int32_t)record->header_count);
    if (record->headers_size > 0)
        memcpy(at, record->headers, record->headers_size);
    return (ssize_t)whole;
}

BECK_PUBLIC int beck_header_next(const struct beck_record *record, size_t *position,
                                 struct beck_header *ret_header)
{
    if (*position >= record->headers_size)
        return *position == record->headers_size ? 0 : -EBADMSG;
    const uint8_t *begin = record->headers;
    const uint8_t *end = begin + record->headers_size;
    const uint8_t *name = NULL;
    const uint8_t *value = NULL;
    int32_t name_size = -1;
    int32_t value_size = -1;

    const uint8_t *at = field_parse(begin + *position, end, &name, &name_size);
    if (at == NULL || name_size < 0)
        return -EBADMSG;
    at = field_parse(at, end, &value, &value_size);
    if (at == NULL)
        return -EBADMSG;
    ret_header->name = (const char *)name;
    ret_header->name_size = name_size;
    ret_header->value = value_size < 0 ? NULL : value;
    ret_header->value_size = value_size;
    *position = (size_t)(at - begin);
    return 1;
}

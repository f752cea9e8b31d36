/* SPDX-License-Identifier: Apache-2.0
 *
 * Writes Kafka's primitive types into a buffer that grows, and frames around them. Every byte comes
 * from extend(), which is the one place that grows the buffer and that stops after an error.
 *
 * Records that lie in a file are not copied: their length is written, and an attachment says where
 * in the output their bytes belong. A frame's length counts them.
 */
#include "codec/wire.h"

#include <assert.h>
#include <endian.h>
#include <errno.h>
#include <stdlib.h>

#define FIRST_BUFFER_BYTES ((size_t)1024)
#define FIRST_ATTACHMENTS  ((size_t)8)
#define FRAME_LENGTH_BYTES 4

/* The longest unsigned varint of 32 bits. */
#define UVARINT_MAX_BYTES 5

void kafka_writer_init(struct kafka_writer *writer)
{
    *writer = (struct kafka_writer){0};
}

void kafka_writer_done(struct kafka_writer *writer)
{
    free(writer->data);
    free(writer->attachments);
    kafka_writer_init(writer);
}

void kafka_writer_reset(struct kafka_writer *writer)
{
    struct kafka_writer kept = {
        .data = writer->data,
        .capacity = writer->capacity,
        .attachments = writer->attachments,
        .attachments_capacity = writer->attachments_capacity,
    };
    *writer = kept;
    if (writer->capacity > KAFKA_WRITER_KEEP_BYTES) {
        free(writer->data);
        writer->data = NULL;
        writer->capacity = 0;
    }
    if (writer->attachments_capacity * sizeof(*writer->attachments) > KAFKA_WRITER_KEEP_BYTES) {
        free(writer->attachments);
        writer->attachments = NULL;
        writer->attachments_capacity = 0;
    }
}

void kafka_writer_fail(struct kafka_writer *writer, int error)
{
    if (!writer->error)
        writer->error = error;
}

/* Makes room for `size` bytes more. */
static int reserve(struct kafka_writer *writer, size_t size)
{
    size_t needed;
    if (__builtin_add_overflow(writer->size, size, &needed))
        return -EMSGSIZE;
    if (needed <= writer->capacity)
        return 0;
    size_t capacity = writer->capacity ? writer->capacity : FIRST_BUFFER_BYTES;
    while (capacity < needed) {
        if (__builtin_mul_overflow(capacity, (size_t)2, &capacity))
            return -EMSGSIZE;
    }
    uint8_t *data = realloc(writer->data, capacity);
    if (!data)
        return -ENOMEM;
    writer->data = data;
    writer->capacity = capacity;
    return 0;
}

/* Room for `size` bytes at the end of the output, or NULL. */
static uint8_t *extend(struct kafka_writer *writer, size_t size)
{
    if (writer->error)
        return NULL;
    int r = reserve(writer, size);
    if (r < 0) {
        kafka_writer_fail(writer, r);
        return NULL;
    }
    uint8_t *bytes = writer->data + writer->size;
    writer->size += size;
    return bytes;
}

static void append(struct kafka_writer *writer, const void *data, size_t size)
{
    uint8_t *bytes = size > 0 ? extend(writer, size) : NULL;
    if (bytes)
        memcpy(bytes, data, size);
}

/* ---- Frames ---- */

void kafka_writer_frame_begin(struct kafka_writer *writer)
{
    assert(!writer->error);
    writer->frame_offset = writer->size;
    writer->frame_attachments_count = writer->attachments_count;
    writer->frame_attached_bytes = writer->attached_bytes;
    kafka_write_int32(writer, 0);
}

int kafka_writer_frame_end(struct kafka_writer *writer)
{
    uint64_t length = 0;
    if (!writer->error) {
        length = writer->size - writer->frame_offset - FRAME_LENGTH_BYTES + writer->attached_bytes -
                 writer->frame_attached_bytes;
        if (length > INT32_MAX)
            kafka_writer_fail(writer, -EMSGSIZE);
    }
    if (writer->error) {
        int error = writer->error;
        kafka_writer_frame_abort(writer);
        return error;
    }
    uint32_t prefix = htobe32((uint32_t)length);
    memcpy(writer->data + writer->frame_offset, &prefix, sizeof(prefix));
    return 0;
}

void kafka_writer_frame_abort(struct kafka_writer *writer)
{
    writer->size = writer->frame_offset;
    writer->attachments_count = writer->frame_attachments_count;
    writer->attached_bytes = writer->frame_attached_bytes;
    writer->error = 0;
}

static void attach(struct kafka_writer *writer, const struct kafka_records *records)
{
    if (writer->error)
        return;
    if (writer->attachments_count == writer->attachments_capacity) {
        size_t capacity =
            writer->attachments_capacity ? writer->attachments_capacity * 2 : FIRST_ATTACHMENTS;
        struct kafka_attachment *grown =
            reallocarray(writer->attachments, capacity, sizeof(*grown));
        if (!grown) {
            kafka_writer_fail(writer, -ENOMEM);
            return;
        }
        writer->attachments = grown;
        writer->attachments_capacity = capacity;
    }
    writer->attachments[writer->attachments_count++] = (struct kafka_attachment){
        .offset = writer->size,
        .fd = records->fd,
        .position = records->position,
        .size = records->size,
        .owner = records->owner,
    };
    writer->attached_bytes += records->size;
}

/* ---- Numbers ---- */

void kafka_write_int8(struct kafka_writer *writer, int8_t value)
{
    append(writer, &value, sizeof(value));
}

void kafka_write_bool(struct kafka_writer *writer, bool value)
{
    kafka_write_int8(writer, value ? 1 : 0);
}

void kafka_write_uint16(struct kafka_writer *writer, uint16_t value)
{
    value = htobe16(value);
    append(writer, &value, sizeof(value));
}

void kafka_write_uint32(struct kafka_writer *writer, uint32_t value)
{
    value = htobe32(value);
    append(writer, &value, sizeof(value));
}

static void write_uint64(struct kafka_writer *writer, uint64_t value)
{
    value = htobe64(value);
    append(writer, &value, sizeof(value));
}

void kafka_write_int16(struct kafka_writer *writer, int16_t value)
{
    kafka_write_uint16(writer, (uint16_t)value);
}

void kafka_write_int32(struct kafka_writer *writer, int32_t value)
{
    kafka_write_uint32(writer, (uint32_t)value);
}

void kafka_write_int64(struct kafka_writer *writer, int64_t value)
{
    write_uint64(writer, (uint64_t)value);
}

void kafka_write_float64(struct kafka_writer *writer, double value)
{
    uint64_t bits;
    memcpy(&bits, &value, sizeof(bits));
    write_uint64(writer, bits);
}

/* Fills in the varint and returns how long it is. */
static size_t put_uvarint(uint8_t bytes[static UVARINT_MAX_BYTES], uint32_t value)
{
    size_t size = 0;
    while (value >= 0x80) {
        bytes[size++] = (uint8_t)(value | 0x80);
        value >>= 7;
    }
    bytes[size++] = (uint8_t)value;
    return size;
}

void kafka_write_uvarint(struct kafka_writer *writer, uint32_t value)
{
    uint8_t bytes[UVARINT_MAX_BYTES];
    append(writer, bytes, put_uvarint(bytes, value));
}

void kafka_write_uuid(struct kafka_writer *writer, const struct kafka_uuid *value)
{
    append(writer, value->bytes, sizeof(value->bytes));
}

/* ---- What has a length ---- */

/* A length as it stands before bytes, records and arrays: 32 bits, or compact. */
static void write_length(struct kafka_writer *writer, uint32_t length, bool null)
{
    if (length > INT32_MAX)
        kafka_writer_fail(writer, -EMSGSIZE);
    else if (writer->flexible)
        kafka_write_uvarint(writer, null ? 0 : length + 1);
    else
        kafka_write_int32(writer, null ? -1 : (int32_t)length);
}

void kafka_write_string(struct kafka_writer *writer, struct kafka_string value, bool nullable)
{
    if (!writer->flexible) {
        kafka_write_classic_string(writer, value, nullable);
        return;
    }
    uint32_t length = value.data ? value.length : 0;
    if (length > KAFKA_STRING_MAX_BYTES)
        kafka_writer_fail(writer, -EMSGSIZE);
    write_length(writer, length, !value.data && nullable);
    append(writer, value.data, length);
}

void kafka_write_classic_string(struct kafka_writer *writer, struct kafka_string value,
                                bool nullable)
{
    uint32_t length = value.data ? value.length : 0;
    if (length > KAFKA_STRING_MAX_BYTES)
        kafka_writer_fail(writer, -EMSGSIZE);
    kafka_write_int16(writer, !value.data && nullable ? -1 : (int16_t)length);
    append(writer, value.data, length);
}

void kafka_write_bytes(struct kafka_writer *writer, struct kafka_bytes value, bool nullable)
{
    uint32_t length = value.data ? value.length : 0;
    write_length(writer, length, !value.data && nullable);
    append(writer, value.data, length);
}

void kafka_write_records(struct kafka_writer *writer, const struct kafka_records *value,
                         bool nullable)
{
    bool null = value->source == KAFKA_RECORDS_NULL;
    uint32_t size = null ? 0 : value->size;
    write_length(writer, size, null && nullable);
    if (value->source == KAFKA_RECORDS_FILE && size > 0)
        attach(writer, value);
    else if (size > 0)
        append(writer, value->data, size);
}

void kafka_write_array(struct kafka_writer *writer, uint32_t count, bool null)
{
    assert(!null || count == 0);
    write_length(writer, count, null);
}

void kafka_write_present(struct kafka_writer *writer, bool present)
{
    kafka_write_int8(writer, present ? 1 : -1);
}

/* ---- Tagged fields ---- */

/* Most values are shorter than 128 bytes, so one byte is left for the size; a longer value is moved
 * when its size is known. */
size_t kafka_write_tag_begin(struct kafka_writer *writer, uint32_t number)
{
    kafka_write_uvarint(writer, number);
    kafka_write_int8(writer, 0);
    return writer->size;
}

void kafka_write_tag_end(struct kafka_writer *writer, size_t start)
{
    if (writer->error)
        return;
    size_t size = writer->size - start;
    if (size > INT32_MAX) {
        kafka_writer_fail(writer, -EMSGSIZE);
        return;
    }
    uint8_t prefix[UVARINT_MAX_BYTES];
    size_t prefix_size = put_uvarint(prefix, (uint32_t)size);
    if (prefix_size > 1 && !extend(writer, prefix_size - 1))
        return;
    memmove(writer->data + start + prefix_size - 1, writer->data + start, size);
    memcpy(writer->data + start - 1, prefix, prefix_size);
}

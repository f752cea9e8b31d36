/* SPDX-License-Identifier: Apache-2.0
 *
 * Reads Kafka's primitive types. Every byte is taken by take(), which is the one place that
 * compares with the end; every length goes through read_length(), which compares it with what is
 * left before anyone allocates or points. After an error the reader stands at its end, so that
 * nothing more can be taken.
 */
#include "codec/wire.h"

#include <endian.h>
#include <errno.h>

void kafka_reader_init(struct kafka_reader *reader, const void *data, size_t size)
{
    const uint8_t *bytes = data ? data : (const uint8_t *)"";
    *reader = (struct kafka_reader){.at = bytes, .end = bytes + size};
}

void kafka_reader_fail(struct kafka_reader *reader, int error)
{
    if (!reader->error)
        reader->error = error;
    reader->at = reader->end;
}

/* The next `size` bytes, or NULL if there are fewer. */
static const uint8_t *take(struct kafka_reader *reader, size_t size)
{
    if (reader->error || size > kafka_reader_left(reader)) {
        kafka_reader_fail(reader, -EBADMSG);
        return NULL;
    }
    const uint8_t *bytes = reader->at;
    reader->at += size;
    return bytes;
}

/* ---- Numbers ---- */

int8_t kafka_read_int8(struct kafka_reader *reader)
{
    const uint8_t *bytes = take(reader, 1);
    return bytes ? (int8_t)*bytes : 0;
}

bool kafka_read_bool(struct kafka_reader *reader)
{
    return kafka_read_int8(reader) != 0;
}

uint16_t kafka_read_uint16(struct kafka_reader *reader)
{
    uint16_t value = 0;
    const uint8_t *bytes = take(reader, sizeof(value));
    if (bytes)
        memcpy(&value, bytes, sizeof(value));
    return be16toh(value);
}

uint32_t kafka_read_uint32(struct kafka_reader *reader)
{
    uint32_t value = 0;
    const uint8_t *bytes = take(reader, sizeof(value));
    if (bytes)
        memcpy(&value, bytes, sizeof(value));
    return be32toh(value);
}

static uint64_t read_uint64(struct kafka_reader *reader)
{
    uint64_t value = 0;
    const uint8_t *bytes = take(reader, sizeof(value));
    if (bytes)
        memcpy(&value, bytes, sizeof(value));
    return be64toh(value);
}

int16_t kafka_read_int16(struct kafka_reader *reader)
{
    return (int16_t)kafka_read_uint16(reader);
}

int32_t kafka_read_int32(struct kafka_reader *reader)
{
    return (int32_t)kafka_read_uint32(reader);
}

int64_t kafka_read_int64(struct kafka_reader *reader)
{
    return (int64_t)read_uint64(reader);
}

double kafka_read_float64(struct kafka_reader *reader)
{
    uint64_t bits = read_uint64(reader);
    double value;
    memcpy(&value, &bits, sizeof(value));
    return value;
}

uint32_t kafka_read_uvarint(struct kafka_reader *reader)
{
    uint64_t value = 0;
    for (unsigned shift = 0; shift < 35; shift += 7) {
        const uint8_t *byte = take(reader, 1);
        if (!byte)
            return 0;
        value |= (uint64_t)(*byte & 0x7f) << shift;
        if (*byte & 0x80)
            continue;
        if (value > UINT32_MAX)
            break;
        return (uint32_t)value;
    }
    kafka_reader_fail(reader, -EBADMSG);
    return 0;
}

struct kafka_uuid kafka_read_uuid(struct kafka_reader *reader)
{
    struct kafka_uuid uuid = {{0}};
    const uint8_t *bytes = take(reader, sizeof(uuid.bytes));
    if (bytes)
        memcpy(uuid.bytes, bytes, sizeof(uuid.bytes));
    return uuid;
}

/* ---- What has a length ---- */

enum length_width {
    LENGTH_16,
    LENGTH_32,
    LENGTH_COMPACT, /* an unsigned varint, one more than the length; 0 is null */
};

static int64_t read_raw_length(struct kafka_reader *reader, enum length_width width)
{
    switch (width) {
    case LENGTH_16:
        return kafka_read_int16(reader);
    case LENGTH_32:
        return kafka_read_int32(reader);
    case LENGTH_COMPACT:
        return (int64_t)kafka_read_uvarint(reader) - 1;
    }
    return -1;
}

/* Reads the length of something that takes at least `least_bytes` (not 0) for each unit of it.
 * False for null and on errors, which `nullable` tells apart. */
static bool read_length(struct kafka_reader *reader, enum length_width width, bool nullable,
                        size_t least_bytes, uint32_t *ret)
{
    int64_t length = read_raw_length(reader, width);
    if (reader->error)
        return false;
    if (length == -1 && nullable)
        return false;
    if (length < 0 || (uint64_t)length > kafka_reader_left(reader) / least_bytes) {
        kafka_reader_fail(reader, -EBADMSG);
        return false;
    }
    *ret = (uint32_t)length;
    return true;
}

static struct kafka_string read_string(struct kafka_reader *reader, enum length_width width,
                                       bool nullable)
{
    struct kafka_string string = {0};
    uint32_t length;
    if (!read_length(reader, width, nullable, 1, &length))
        return string;
    if (length > KAFKA_STRING_MAX_BYTES) {
        kafka_reader_fail(reader, -EBADMSG);
        return string;
    }
    string.data = (const char *)take(reader, length);
    string.length = length;
    return string;
}

struct kafka_string kafka_read_string(struct kafka_reader *reader, bool nullable)
{
    return read_string(reader, reader->flexible ? LENGTH_COMPACT : LENGTH_16, nullable);
}

struct kafka_string kafka_read_classic_string(struct kafka_reader *reader, bool nullable)
{
    return read_string(reader, LENGTH_16, nullable);
}

struct kafka_bytes kafka_read_bytes(struct kafka_reader *reader, bool nullable)
{
    enum length_width width = reader->flexible ? LENGTH_COMPACT : LENGTH_32;
    struct kafka_bytes bytes = {0};
    uint32_t length;
    if (!read_length(reader, width, nullable, 1, &length))
        return bytes;
    bytes.data = take(reader, length);
    bytes.length = length;
    return bytes;
}

struct kafka_records kafka_read_records(struct kafka_reader *reader, bool nullable)
{
    struct kafka_bytes bytes = kafka_read_bytes(reader, nullable);
    if (!bytes.data)
        return (struct kafka_records){.source = KAFKA_RECORDS_NULL};
    return kafka_records_of_memory(bytes.data, bytes.length);
}

/* ---- What takes memory ---- */

static void *allocate(struct kafka_reader *reader, size_t count, size_t size)
{
    void *memory = kafka_arena_alloc(reader->arena, count, size);
    if (!memory)
        kafka_reader_fail(reader, -errno);
    return memory;
}

void *kafka_read_nullable(struct kafka_reader *reader, size_t size)
{
    bool present = kafka_read_int8(reader) >= 0;
    if (reader->error || !present)
        return NULL;
    return allocate(reader, 1, size);
}

void *kafka_read_array(struct kafka_reader *reader, bool nullable, size_t least_bytes,
                       size_t element_size, uint32_t *ret_count)
{
    enum length_width width = reader->flexible ? LENGTH_COMPACT : LENGTH_32;
    uint32_t count = 0;
    *ret_count = 0;
    if (!read_length(reader, width, nullable, least_bytes, &count))
        return NULL;
    void *array = allocate(reader, count, element_size);
    if (array)
        *ret_count = count;
    return array;
}

/* ---- Tagged fields ---- */

struct kafka_tag_section kafka_read_tag_section(struct kafka_reader *reader)
{
    return (struct kafka_tag_section){.left = kafka_read_uvarint(reader), .last_number = -1};
}

bool kafka_read_tag_begin(struct kafka_reader *reader, struct kafka_tag_section *section,
                          struct kafka_tag *ret)
{
    if (reader->error || section->left == 0)
        return false;
    section->left--;
    uint32_t number = kafka_read_uvarint(reader);
    uint32_t size = kafka_read_uvarint(reader);
    if (reader->error)
        return false;
    if (number <= section->last_number || size > kafka_reader_left(reader)) {
        kafka_reader_fail(reader, -EBADMSG);
        return false;
    }
    section->last_number = number;
    *ret = (struct kafka_tag){.number = number, .outer_end = reader->end};
    reader->end = reader->at + size;
    return true;
}

void kafka_read_tag_skip(struct kafka_reader *reader)
{
    reader->at = reader->end;
}

void kafka_read_tag_end(struct kafka_reader *reader, const struct kafka_tag *tag)
{
    bool complete = reader->at == reader->end;
    reader->end = tag->outer_end;
    if (!complete || reader->error)
        kafka_reader_fail(reader, -EBADMSG);
}

void kafka_read_tags_unknown(struct kafka_reader *reader)
{
    struct kafka_tag_section section = kafka_read_tag_section(reader);
    struct kafka_tag tag;
    while (kafka_read_tag_begin(reader, &section, &tag)) {
        kafka_read_tag_skip(reader);
        kafka_read_tag_end(reader, &tag);
    }
}

/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The batch header: reading, writing and its CRC. What a header says about the records behind it is
 * looked at by batch_check().
 */
#include "batch.h"

#include "bytes.h"
#include "check.h"
#include "crc32c.h"
#include "report.h"

#include <errno.h>
#include <inttypes.h>

/* The smallest length that any of Kafka's formats has: a record of format v0 without key and value.
 */
#define LENGTH_MIN_ANY 14
#define LENGTH_MIN     (BATCH_HEADER_BYTES - BATCH_LENGTH_END)

int batch_header_read(const void *data, size_t available, struct batch_header *ret_header,
                      struct beck_error *error)
{
    if (available < BATCH_HEADER_BYTES)
        return report(error, -ENODATA, "%zu bytes are not a batch header of %d", available,
                      BATCH_HEADER_BYTES);
    const uint8_t *at = data;
    struct batch_header header = {
        .base_offset = (int64_t)load_be64(at),
        .length = (int32_t)load_be32(at + 8),
        .leader_epoch = (int32_t)load_be32(at + 12),
        .magic = (int8_t)at[16],
        .crc = load_be32(at + 17),
        .attributes = load_be16(at + 21),
        .last_offset_delta = (int32_t)load_be32(at + 23),
        .base_timestamp_ms = (int64_t)load_be64(at + 27),
        .max_timestamp_ms = (int64_t)load_be64(at + 35),
        .producer_id = (int64_t)load_be64(at + 43),
        .producer_epoch = (int16_t)load_be16(at + 51),
        .base_sequence = (int32_t)load_be32(at + 53),
        .record_count = (int32_t)load_be32(at + 57),
    };
    if (UNLIKELY(header.length < LENGTH_MIN_ANY))
        return report_at(error, -EBADMSG, 8, "a batch length of %" PRId32 " cannot be",
                         header.length);
    if (UNLIKELY(header.magic != BATCH_MAGIC))
        return report_at(error, -EPROTONOSUPPORT, 16, "batch format v%d is not supported, only v%d",
                         header.magic, BATCH_MAGIC);
    if (UNLIKELY(header.length < LENGTH_MIN || header.length > INT32_MAX - BATCH_LENGTH_END))
        return report_at(error, -EBADMSG, 8, "a batch length of %" PRId32 " cannot be",
                         header.length);
    if (UNLIKELY(header.base_offset < 0))
        return report_at(error, -EBADMSG, 0, "a base offset of %" PRId64 " cannot be",
                         header.base_offset);
    if (UNLIKELY(header.last_offset_delta < 0 ||
                 header.base_offset > INT64_MAX - 1 - header.last_offset_delta))
        return report_at(error, -EBADMSG, 23,
                         "a last offset of %" PRId64 " + %" PRId32 " cannot be", header.base_offset,
                         header.last_offset_delta);
    if (UNLIKELY(header.record_count < 0))
        return report_at(error, -EBADMSG, 57, "a record count of %" PRId32 " cannot be",
                         header.record_count);
    *ret_header = header;
    return 0;
}

void batch_header_write(void *to, const struct batch_header *header)
{
    uint8_t *at = to;
    store_be64(at, (uint64_t)header->base_offset);
    store_be32(at + 8, (uint32_t)header->length);
    store_be32(at + 12, (uint32_t)header->leader_epoch);
    at[16] = (uint8_t)header->magic;
    store_be32(at + 17, header->crc);
    store_be16(at + 21, header->attributes);
    store_be32(at + 23, (uint32_t)header->last_offset_delta);
    store_be64(at + 27, (uint64_t)header->base_timestamp_ms);
    store_be64(at + 35, (uint64_t)header->max_timestamp_ms);
    store_be64(at + 43, (uint64_t)header->producer_id);
    store_be16(at + 51, (uint16_t)header->producer_epoch);
    store_be32(at + 53, (uint32_t)header->base_sequence);
    store_be32(at + 57, (uint32_t)header->record_count);
}

uint32_t batch_crc(const void *batch, size_t size)
{
    CHECK(size >= BATCH_HEADER_BYTES);
    return crc32c(0, (const uint8_t *)batch + BATCH_CRC_BEGIN, size - BATCH_CRC_BEGIN);
}

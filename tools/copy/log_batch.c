/* SPDX-License-Identifier: Apache-2.0 */
/* Batches for copies. */
#include "log_batch.h"

#include "bytes.h"
#include "compression.h"
#include "record.h"

#include <errno.h>
#include <stdlib.h>

enum {
    FULL_BYTES = 1 << 20, /* before compression: as large as a topic takes by default */
    CRC_AT = 17,
};

int log_batch_init(struct log_batch *batch, enum beck_compression compression)
{
    *batch = (struct log_batch){.compression = compression};
    return compression == BECK_COMPRESSION_NONE ? 0
                                                : compressor_new(compression, &batch->compressor);
}

void log_batch_done(struct log_batch *batch)
{
    batch->compressor = compressor_free(batch->compressor);
    free(batch->buffer);
    batch->buffer = NULL;
}

/* ---- records ------------------------------------------------------------------------------ */

static void begin(struct log_batch *batch, const struct beck_record *record)
{
    batch->used = BATCH_HEADER_BYTES;
    batch->header = (struct batch_header){
        .base_offset = record->offset,
        .magic = BATCH_MAGIC,
        .attributes = record->log_append_time ? BATCH_LOG_APPEND_TIME : 0,
        .last_offset_delta = -1,
        .base_timestamp_ms = record->timestamp_ms,
        .max_timestamp_ms = record->timestamp_ms,
        .producer_id = -1,
        .producer_epoch = -1,
        .base_sequence = -1,
    };
}

/* May the record stand behind those that the batch has? */
static int check_place(const struct log_batch *batch, const struct beck_record *record)
{
    const struct batch_header *header = &batch->header;
    int64_t delta_ms;

    if (record->offset < batch_next_offset(header))
        return -EINVAL;
    if (record->offset - header->base_offset > INT32_MAX - 1 ||
        record->log_append_time != ((header->attributes & BATCH_LOG_APPEND_TIME) != 0) ||
        (record->log_append_time && record->timestamp_ms != header->max_timestamp_ms) ||
        __builtin_sub_overflow(record->timestamp_ms, header->base_timestamp_ms, &delta_ms))
        return -EMSGSIZE;
    return 0;
}

static int reserve(struct log_batch *batch, size_t size)
{
    if (size <= batch->capacity)
        return 0;
    size_t capacity = size > FULL_BYTES ? size : FULL_BYTES;
    uint8_t *larger = realloc(batch->buffer, capacity);
    if (larger == NULL)
        return -ENOMEM;
    batch->buffer = larger;
    batch->capacity = capacity;
    return 0;
}

int log_batch_add(struct log_batch *batch, const struct beck_record *record)
{
    size_t most = record_bytes_max(record);
    bool first = log_batch_is_empty(batch);

    if (first)
        begin(batch, record);
    int result = first ? 0 : check_place(batch, record);
    if (result == 0 && !first && batch->used + most > FULL_BYTES)
        result = -EMSGSIZE;
    if (result == 0)
        result = reserve(batch, batch->used + most);
    if (result < 0)
        return result;
    struct batch_header *header = &batch->header;
    int32_t delta = (int32_t)(record->offset - header->base_offset);
    ssize_t size = record_write(batch->buffer + batch->used, batch->capacity - batch->used, record,
                                delta, record->timestamp_ms - header->base_timestamp_ms);
    if (size < 0)
        return (int)size;
    batch->used += (size_t)size;
    header->last_offset_delta = delta;
    header->record_count++;
    if (record->timestamp_ms > header->max_timestamp_ms)
        header->max_timestamp_ms = record->timestamp_ms;
    return 0;
}

/* ---- whole batches ------------------------------------------------------------------------ */

static void seal(uint8_t *batch, struct batch_header *header)
{
    batch_header_write(batch, header);
    header->crc = batch_crc(batch, batch_bytes(header));
    store_be32(batch + CRC_AT, header->crc);
}

int log_batch_finish(struct log_batch *batch, const uint8_t **ret_bytes, size_t *ret_size)
{
    size_t records_size = batch->used - BATCH_HEADER_BYTES;
    const void *data;
    size_t size;

    if (batch->compressor != NULL) {
        int result = compress_all(batch->compressor, batch->buffer + BATCH_HEADER_BYTES,
                                  records_size, &data, &size);
        if (result < 0)
            return result;
        if (size < records_size) {
            memcpy(batch->buffer + BATCH_HEADER_BYTES, data, size);
            records_size = size;
            batch->header.attributes |= (uint16_t)batch->compression;
        }
    }
    if (BATCH_HEADER_BYTES + records_size > BECK_BATCH_BYTES_LIMIT)
        return -EMSGSIZE;
    batch->header.length = (int32_t)(BATCH_HEADER_BYTES + records_size - BATCH_LENGTH_END);
    seal(batch->buffer, &batch->header);
    batch->header.record_count = 0;
    *ret_bytes = batch->buffer;
    *ret_size = BATCH_HEADER_BYTES + records_size;
    return 0;
}

int64_t log_batch_fill(uint8_t *to, int64_t begin_offset, int64_t end)
{
    int64_t last_delta = end - begin_offset - 1;
    struct batch_header header = {
        .base_offset = begin_offset,
        .length = BATCH_HEADER_BYTES - BATCH_LENGTH_END,
        .magic = BATCH_MAGIC,
        .last_offset_delta = (int32_t)(last_delta < INT32_MAX ? last_delta : INT32_MAX - 1),
        .base_timestamp_ms = -1,
        .max_timestamp_ms = -1,
        .producer_id = -1,
        .producer_epoch = -1,
        .base_sequence = -1,
    };

    seal(to, &header);
    return batch_next_offset(&header);
}

void log_batch_make_plain(uint8_t *batch, struct batch_header *header, int64_t base_offset,
                          int32_t leader_epoch)
{
    bool sealed_already = header->producer_id == -1 && header->producer_epoch == -1 &&
                          header->base_sequence == -1 &&
                          (header->attributes & BATCH_TRANSACTIONAL) == 0;

    header->base_offset = base_offset;
    header->leader_epoch = leader_epoch;
    header->producer_id = -1;
    header->producer_epoch = -1;
    header->base_sequence = -1;
    header->attributes &= (uint16_t)~BATCH_TRANSACTIONAL;
    if (sealed_already) /* the CRC covers neither of the first two */
        batch_header_write(batch, header);
    else
        seal(batch, header);
}

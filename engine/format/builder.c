/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Building a batch. Records are encoded one after the other behind a gap for the header; finishing
 * compresses them, where asked, back into the same place, and fills the gap. One buffer, which
 * doubles until it has `max_bytes`, and nothing else: a builder that has grown allocates no more.
 *
 * The limit is of the batch before compression, as nobody can know how far the next record will
 * compress. A batch that compression does not make smaller is sent as it was: so no batch is larger
 * than its limit.
 */
#include "batch.h"
#include "beck.h"
#include "check.h"
#include "cleanup.h"
#include "compression.h"
#include "public.h"
#include "record.h"
#include "report.h"

#include <errno.h>
#include <string.h>
#include <time.h>

#define BUFFER_BYTES_MIN ((size_t)64 << 10)
#define RECORD_BYTES_MIN 7

struct beck_batch_builder {
    struct compressor *compressor; /* NULL: none */
    uint8_t *buffer;
    size_t capacity;
    size_t used; /* the header's gap and the records so far */
    size_t max_bytes;
    enum beck_compression compression;
    uint32_t count;
    int64_t
        now_ms; /* of this batch, asked for at the first record without a timestamp; 0: not yet */
    int64_t base_timestamp_ms;
    int64_t max_timestamp_ms;
    bool finished; /* `buffer` holds the batch of `used` bytes */
};

CLEANUP_DEFINE(struct beck_batch_builder, beck_batch_builder_free)

BECK_PUBLIC int beck_batch_builder_new(enum beck_compression compression, uint32_t max_bytes,
                                       struct beck_batch_builder **ret_builder,
                                       struct beck_error *error)
{
    if (max_bytes < BATCH_HEADER_BYTES + RECORD_BYTES_MIN)
        return report(error, -EINVAL, "a batch of at most %u bytes has no room for a record",
                      max_bytes);
    if (max_bytes > BECK_BATCH_BYTES_LIMIT)
        return report(error, -EMSGSIZE, "a batch of %u bytes is above the limit of %d", max_bytes,
                      BECK_BATCH_BYTES_LIMIT);
    _cleanup_(beck_batch_builder_freep) struct beck_batch_builder *builder =
        calloc(1, sizeof(*builder));
    if (builder == NULL)
        return report_errno(error, -ENOMEM, "cannot make a batch builder");
    if (compression != BECK_COMPRESSION_NONE) {
        int result = compressor_new(compression, &builder->compressor);
        if (result < 0)
            return report_errno(error, result, "cannot compress with %s",
                                codec_name((int)compression));
    }
    builder->compression = compression;
    builder->max_bytes = max_bytes;
    beck_batch_builder_reset(builder);
    *ret_builder = TAKE_POINTER(builder);
    return 0;
}

BECK_PUBLIC struct beck_batch_builder *beck_batch_builder_free(struct beck_batch_builder *builder)
{
    if (builder == NULL)
        return NULL;
    (void)compressor_free(builder->compressor);
    free(builder->buffer);
    free(builder);
    return NULL;
}

BECK_PUBLIC void beck_batch_builder_reset(struct beck_batch_builder *builder)
{
    builder->used = BATCH_HEADER_BYTES;
    builder->count = 0;
    builder->now_ms = 0;
    builder->finished = false;
}

BECK_PUBLIC uint32_t beck_batch_builder_count(const struct beck_batch_builder *builder)
{
    return builder->count;
}

/* ---- adding --------------------------------------------------------------------------------- */

/* The headers must be as many as they say, or the batch as a whole would be refused later. */
static __attribute__((noinline)) int check_headers(const struct beck_record *record)
{
    struct beck_header header;
    size_t position = 0;
    uint32_t count = 0;
    int result;
    while ((result = beck_header_next(record, &position, &header)) > 0)
        count++;
    return result < 0 || count != record->header_count ? -EINVAL : 0;
}

/* Twice the room, until there are `needed` bytes or the limit is reached. */
static __attribute__((noinline)) int grow(struct beck_batch_builder *builder, size_t needed)
{
    size_t capacity = builder->capacity < BUFFER_BYTES_MIN ? BUFFER_BYTES_MIN : builder->capacity;
    while (capacity < needed)
        capacity *= 2;
    if (capacity > builder->max_bytes)
        capacity = builder->max_bytes;
    if (capacity <= builder->capacity)
        return 0;
    uint8_t *buffer = realloc(builder->buffer, capacity);
    if (buffer == NULL)
        return -ENOMEM;
    builder->buffer = buffer;
    builder->capacity = capacity;
    return 0;
}

/* One clock reading serves the whole batch: its records came together. */
static int64_t now_ms(struct beck_batch_builder *builder)
{
    if (builder->now_ms == 0) {
        struct timespec now;
        (void)clock_gettime(CLOCK_REALTIME, &now);
        builder->now_ms = (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000;
    }
    return builder->now_ms;
}

BECK_PUBLIC int beck_batch_builder_add(struct beck_batch_builder *builder,
                                       const struct beck_record *record)
{
    if (UNLIKELY(builder->finished))
        return -EMSGSIZE;
    if (UNLIKELY(record->headers_size > 0 || record->header_count > 0) && check_headers(record) < 0)
        return -EINVAL;
    size_t needed = builder->used + record_bytes_max(record);
    if (UNLIKELY(needed > builder->capacity)) {
        int result = grow(builder, needed);
        if (result < 0)
            return result;
    }

    int64_t timestamp_ms = record->timestamp_ms > 0 ? record->timestamp_ms : now_ms(builder);
    bool first = builder->count == 0;
    int64_t base_ms = first ? timestamp_ms : builder->base_timestamp_ms;
    /* Both are positive, so their difference cannot overflow; nor can the count, as each record
     * takes bytes of a limit that an int32_t holds. */
    ssize_t size = record_write(builder->buffer + builder->used, builder->capacity - builder->used,
                                record, (int32_t)builder->count, timestamp_ms - base_ms);
    if (UNLIKELY(size < 0))
        return (int)size;
    if (first || timestamp_ms > builder->max_timestamp_ms)
        builder->max_timestamp_ms = timestamp_ms;
    builder->base_timestamp_ms = base_ms;
    builder->used += (size_t)size;
    builder->count++;
    return 0;
}

/* ---- finishing ------------------------------------------------------------------------------ */

/* Put the compressed records where the plain ones were, if they are smaller. */
static int compress_records(struct beck_batch_builder *builder, uint16_t *attributes)
{
    const void *data = NULL;
    size_t size = 0;
    uint8_t *records = builder->buffer + BATCH_HEADER_BYTES;
    size_t plain = builder->used - BATCH_HEADER_BYTES;
    int result = compress_all(builder->compressor, records, plain, &data, &size);
    if (result < 0)
        return result;
    if (size < plain) {
        memcpy(records, data, size);
        builder->used = BATCH_HEADER_BYTES + size;
        *attributes |= (uint16_t)builder->compression;
    }
    return 0;
}

BECK_PUBLIC int beck_batch_builder_finish(struct beck_batch_builder *builder,
                                          const void **ret_batch, size_t *ret_size,
                                          struct beck_error *error)
{
    if (builder->count == 0)
        return report(error, -ENODATA, "a batch needs a record");
    if (!builder->finished) {
        uint16_t attributes = 0;
        if (builder->compressor != NULL) {
            int result = compress_records(builder, &attributes);
            if (result < 0)
                return report_errno(error, result, "cannot compress a batch with %s",
                                    codec_name((int)builder->compression));
        }
        struct batch_header header = {
            .length = (int32_t)(builder->used - BATCH_LENGTH_END),
            .leader_epoch = -1,
            .magic = BATCH_MAGIC,
            .attributes = attributes,
            .last_offset_delta = (int32_t)(builder->count - 1),
            .base_timestamp_ms = builder->base_timestamp_ms,
            .max_timestamp_ms = builder->max_timestamp_ms,
            .producer_id = -1,
            .producer_epoch = -1,
            .base_sequence = -1,
            .record_count = (int32_t)builder->count,
        };
        /* The CRC covers what stands behind it, so the header is written first without. */
        batch_header_write(builder->buffer, &header);
        header.crc = batch_crc(builder->buffer, builder->used);
        batch_header_write(builder->buffer, &header);
        builder->finished = true;
    }
    *ret_batch = builder->buffer;
    *ret_size = builder->used;
    return 0;
}

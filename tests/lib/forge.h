/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Batches for tests, right or wrong in any place: fill in a header and records, change what is to
 * be wrong, and seal it with the length and CRC that it then should have.
 */
#ifndef TESTS_FORGE_H
#define TESTS_FORGE_H

#include "batch.h"
#include "compression.h"
#include "record.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

#define FORGE_BYTES 16384
#define FORGE_TIME  INT64_C(1763719200000)

struct forge {
    uint8_t bytes[FORGE_BYTES];
    size_t size;
    struct batch_header header;
};

/* An empty batch, right in all its fields for a producer but that it has no records. */
static inline void forge_begin(struct forge *forge)
{
    forge->size = BATCH_HEADER_BYTES;
    forge->header = (struct batch_header){
        .leader_epoch = -1,
        .magic = BATCH_MAGIC,
        .base_timestamp_ms = FORGE_TIME,
        .max_timestamp_ms = FORGE_TIME,
        .producer_id = -1,
        .producer_epoch = -1,
        .base_sequence = -1,
    };
}

static inline void forge_record(struct forge *forge, const struct beck_record *record,
                                int32_t offset_delta, int64_t timestamp_delta_ms)
{
    ssize_t size = record_write(forge->bytes + forge->size, FORGE_BYTES - forge->size, record,
                                offset_delta, timestamp_delta_ms);
    assert_true(size > 0);
    forge->size += (size_t)size;
    forge->header.record_count++;
    forge->header.last_offset_delta = offset_delta;
}

/* A record with this text as its value and nothing else, behind the last. */
static inline void forge_value(struct forge *forge, const char *value)
{
    const struct beck_record record = {
        .key_size = -1,
        .value = value,
        .value_size = value == NULL ? -1 : (int32_t)strlen(value),
    };
    forge_record(forge, &record, forge->header.record_count, 0);
}

/* Bytes as they are, for what should not be. */
static inline void forge_raw(struct forge *forge, const void *bytes, size_t size)
{
    assert_true(size <= FORGE_BYTES - forge->size);
    memcpy(forge->bytes + forge->size, bytes, size);
    forge->size += size;
}

/* One more record whose bytes are these, with their length before them. */
static inline void forge_raw_record(struct forge *forge, const void *bytes, size_t size)
{
    uint8_t length = (uint8_t)(2 * size);
    assert_true(size < 64);
    forge_raw(forge, &length, 1);
    forge_raw(forge, bytes, size);
    forge->header.last_offset_delta = forge->header.record_count++;
}

static inline void forge_compress(struct forge *forge, enum beck_compression codec)
{
    struct compressor *compressor = NULL;
    const void *data = NULL;
    size_t size = 0;
    assert_int_equal(compressor_new(codec, &compressor), 0);
    assert_int_equal(compress_all(compressor, forge->bytes + BATCH_HEADER_BYTES,
                                  forge->size - BATCH_HEADER_BYTES, &data, &size),
                     0);
    forge->size = BATCH_HEADER_BYTES;
    forge_raw(forge, data, size);
    forge->header.attributes |= (uint16_t)codec;
    (void)compressor_free(compressor);
}

/* Length and CRC over bytes that were changed by hand. */
static inline void forge_reseal(struct forge *forge)
{
    assert_int_equal(batch_header_read(forge->bytes, forge->size, &forge->header, NULL), 0);
    forge->header.length = (int32_t)(forge->size - BATCH_LENGTH_END);
    forge->header.crc = batch_crc(forge->bytes, forge->size);
    batch_header_write(forge->bytes, &forge->header);
}

static inline void forge_seal(struct forge *forge)
{
    forge->header.length = (int32_t)(forge->size - BATCH_LENGTH_END);
    batch_header_write(forge->bytes, &forge->header);
    forge->header.crc = batch_crc(forge->bytes, forge->size);
    batch_header_write(forge->bytes, &forge->header);
}

#endif

/* SPDX-License-Identifier: Apache-2.0 */
/* Keys are "key N"; a value begins with the key's number and goes on with what both determine. */
#include "keyed_log.h"

#include "partition.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define KEY_BYTES 16

struct keyed_log keyed_log;

void keyed_log_begin(struct keyed_log *log, uint32_t keys, uint32_t value_bytes, uint64_t seed)
{
    memset(log, 0, sizeof(*log));
    log->random = seed;
    log->keys = keys;
    log->value_bytes = value_bytes;
}

static int32_t make_key(char to[KEY_BYTES], uint32_t key)
{
    return (int32_t)snprintf(to, KEY_BYTES, "key %u", key);
}

/* A value's bytes, which its key and first eight bytes determine; half of them compress. */
static void make_value(uint8_t *to, size_t size, uint32_t key, uint64_t seed)
{
    uint64_t state = seed ^ key;
    memcpy(to, &seed, sizeof(seed));
    for (size_t i = 8; i < size; i++)
        to[i] = (uint8_t)(i / 8 % 2 == 0 ? random_next(&state) : 'a');
}

static void note(struct keyed_log *log, int64_t offset, uint32_t key, bool is_tombstone)
{
    assert_in_range(offset, 0, KEYED_RECORDS_MAX - 1);
    log->records[offset] =
        (struct keyed_record){.key = key, .is_there = true, .is_tombstone = is_tombstone};
    log->next_offset = offset + 1;
}

/* One batch on its way. */
struct batch {
    struct beck_batch_builder *builder;
    struct beck_error error;
    struct keyed_record records[512];
    uint32_t count;
    int64_t base_offset;
};

static void batch_begin(struct batch *batch, struct beck_partition *partition,
                        enum beck_compression codec)
{
    batch->count = 0;
    batch->base_offset = must_state(partition).next_offset;
    must(beck_batch_builder_new(codec, BECK_BATCH_BYTES_LIMIT, &batch->builder, &batch->error),
         &batch->error);
}

static void batch_add(struct keyed_log *log, struct batch *batch, uint32_t key, bool is_tombstone)
{
    char name[KEY_BYTES];
    uint8_t value[KEYED_VALUE_BYTES];
    struct beck_record record = {.key = name,
                                 .key_size = make_key(name, key),
                                 .value_size = -1,
                                 .timestamp_ms = FIXTURE_TIME + batch->base_offset + batch->count};
    if (!is_tombstone) {
        size_t size = 8 + random_below(&log->random, log->value_bytes - 7);
        make_value(value, size, key, random_next(&log->random));
        record.value = value;
        record.value_size = (int32_t)size;
    }
    assert_true(batch->count < 512);
    batch->records[batch->count++] = (struct keyed_record){key, true, is_tombstone};
    must(beck_batch_builder_add(batch->builder, &record), NULL);
}

static int64_t batch_end(struct keyed_log *log, struct batch *batch,
                         struct beck_partition *partition)
{
    struct beck_append_result result;
    const void *bytes;
    size_t size;
    must(beck_batch_builder_finish(batch->builder, &bytes, &size, &batch->error), &batch->error);
    must(beck_append(partition, bytes, size, BECK_ACKS_LEADER, &result, &batch->error),
         &batch->error);
    beck_batch_builder_free(batch->builder);
    assert_int_equal(result.base_offset, batch->base_offset);
    for (uint32_t i = 0; i < batch->count; i++)
        note(log, result.base_offset + i, batch->records[i].key, batch->records[i].is_tombstone);
    return result.base_offset;
}

void keyed_log_append(struct keyed_log *log, struct beck_partition *partition,
                      enum beck_compression codec, uint32_t count, uint32_t tombstones)
{
    struct batch batch;
    batch_begin(&batch, partition, codec);
    for (uint32_t i = 0; i < count; i++)
        batch_add(log, &batch, random_below(&log->random, log->keys),
                  tombstones > 0 && random_below(&log->random, tombstones) == 0);
    (void)batch_end(log, &batch, partition);
}

int64_t keyed_log_put(struct keyed_log *log, struct beck_partition *partition, uint32_t key,
                      bool is_tombstone)
{
    struct batch batch;
    batch_begin(&batch, partition, BECK_COMPRESSION_NONE);
    batch_add(log, &batch, key, is_tombstone);
    return batch_end(log, &batch, partition);
}

void keyed_log_put_all(struct keyed_log *log, struct beck_partition *partition,
                       const struct keyed_record *records, uint32_t count)
{
    struct batch batch;
    batch_begin(&batch, partition, BECK_COMPRESSION_NONE);
    for (uint32_t i = 0; i < count; i++)
        batch_add(log, &batch, records[i].key, records[i].is_tombstone);
    (void)batch_end(log, &batch, partition);
}

void keyed_log_fill(struct keyed_log *log, struct beck_partition *partition, uint64_t bytes,
                    uint32_t tombstones)
{
    uint64_t before = 0;
    uint64_t now = 0;
    uint32_t next_ms;
    struct beck_error error;
    must(beck_partition_disk_bytes(partition, &before, &error), &error);
    while (now < before + bytes) {
        for (int i = 0; i < 16; i++)
            keyed_log_append(log, partition, (enum beck_compression)random_below(&log->random, 5),
                             1 + random_below(&log->random, 40), tombstones);
        /* Segments are catalogued, so that they can be compacted, and rolls find room. */
        must(beck_store_maintain(partition->store, true, &next_ms, &error), &error);
        must(beck_partition_disk_bytes(partition, &now, &error), &error);
    }
}

bool keyed_record_is_right(const struct beck_record *record)
{
    uint8_t value[KEYED_VALUE_BYTES];
    char name[KEY_BYTES] = {0};
    unsigned key;
    if (record->timestamp_ms != FIXTURE_TIME + record->offset || record->key_size < 1 ||
        record->key_size >= KEY_BYTES)
        return false;
    memcpy(name, record->key, (size_t)record->key_size);
    if (sscanf(name, "key %u", &key) != 1)
        return false;
    if (record->value_size < 0)
        return true;
    if (record->value_size < 8 || record->value_size > KEYED_VALUE_BYTES)
        return false;
    uint64_t seed;
    memcpy(&seed, record->value, sizeof(seed));
    make_value(value, (size_t)record->value_size, key, seed);
    return memcmp(value, record->value, (size_t)record->value_size) == 0;
}

/* The offset of the last record of each key below an offset, or -1. */
static int64_t *last_offsets(const struct keyed_log *log, int64_t below)
{
    int64_t *last = malloc(log->keys * sizeof(*last));
    assert_non_null(last);
    for (uint32_t i = 0; i < log->keys; i++)
        last[i] = -1;
    for (int64_t i = 0; i < below; i++)
        if (log->records[i].is_there)
            last[log->records[i].key] = i;
    return last;
}

static void check_record(const struct keyed_log *log, const struct beck_record *record)
{
    char name[KEY_BYTES];
    assert_in_range(record->offset, 0, log->next_offset - 1);
    const struct keyed_record *appended = &log->records[record->offset];
    assert_true(appended->is_there);
    assert_int_equal(record->key_size, make_key(name, appended->key));
    assert_memory_equal(record->key, name, (size_t)record->key_size);
    assert_int_equal(record->value_size < 0, appended->is_tombstone);
    assert_true(keyed_record_is_right(record));
}

struct keyed_found keyed_log_check(const struct keyed_log *log, struct beck_partition *partition,
                                   int64_t clean_to)
{
    struct keyed_found found = {0};
    struct beck_reader *reader = NULL;
    struct beck_record record;
    struct beck_error error;
    int64_t *last = last_offsets(log, log->next_offset);
    int64_t *last_clean = last_offsets(log, clean_to);
    int64_t previous = -1;
    int64_t log_start = must_state(partition).log_start_offset;
    must(beck_reader_new(partition, BECK_READ_UNCOMMITTED, &reader, &error), &error);
    must(beck_reader_seek(reader, log_start, &error), &error);
    while (must(beck_reader_next(reader, &record, &error), &error) == 1) {
        assert_true(record.offset > previous);
        previous = record.offset;
        check_record(log, &record);
        uint32_t key = log->records[record.offset].key;
        found.records++;
        if (record.offset < clean_to) {
            found.obsolete += record.offset != last_clean[key];
            found.tombstones += record.value_size < 0;
        }
        if (record.offset == last[key])
            last[key] = -1;
    }
    beck_reader_free(reader);
    for (uint32_t i = 0; i < log->keys; i++)
        if (last[i] >= log_start && !log->records[last[i]].is_tombstone)
            fail_msg("key %u: its last record, at offset %lld, is missing", i, (long long)last[i]);
    free(last);
    free(last_clean);
    return found;
}

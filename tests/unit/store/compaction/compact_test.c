/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Compaction of a store's partitions: what stays, and what is said of it, held against a plain
 * array of what was appended. When: compact_when_test.c; being killed: compact_exchange_test.c.
 */
#include "batch.h"
#include "compact_fixture.h"
#include "forge.h"
#include "offset_map.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* ---- what stays ---------------------------------------------------------------------------- */

static void keeps_the_last_record_of_each_key(void **state)
{
    struct fixture *fixture = *state;
    for (int round = 0; round < 4; round++) {
        keyed_log_fill(keyed, fixture->partition, 4 * MIB, 10);
        must_clean(fixture, NOW);
        (void)check_clean(fixture);
    }
    /* 300 keys with 1,000 bytes each, about, and the active segment. */
    assert_true(disk_bytes(fixture) < 3 * MIB);
}

/* More keys than the map has room for: part by part. */
static void works_with_less_memory_than_the_keys_need(void **state)
{
    struct fixture *fixture = *state;
    keyed_log_begin(keyed, 3000, 500, 2);
    keyed_log_fill(keyed, fixture->partition, 5 * MIB, 0);
    must(clean_with(fixture, NOW, 500 * OFFSET_MAP_ENTRY_BYTES), &fixture->error);
    (void)check_clean(fixture);
}

static void a_reopened_store_has_the_same(void **state)
{
    struct fixture *fixture = *state;
    keyed_log_fill(keyed, fixture->partition, 4 * MIB, 10);
    must_clean(fixture, NOW);
    int64_t records = check_clean(fixture).records;
    fixture_reopen(fixture);
    assert_int_equal(check_clean(fixture).records, records);
}

/* What index.mdb says is all in the segments, holes or not. */
static void a_lost_index_is_made_again(void **state)
{
    struct fixture *fixture = *state;
    char path[PATH_MAX];
    keyed_log_fill(keyed, fixture->partition, 4 * MIB, 10);
    must_clean(fixture, NOW);
    int64_t records = check_clean(fixture).records;
    fixture_close(fixture);
    store_file(fixture, STORE_PATH_INDEX, path);
    assert_int_equal(remove(path), 0);
    fixture_open(fixture);
    assert_int_equal(keyed_log_check(keyed, fixture->partition, 0).records, records);
    assert_int_equal(verify_count(fixture->store, NULL), 0);
}

static void the_file_view_is_that_of_the_records(void **state)
{
    struct fixture *fixture = *state;
    keyed_log_fill(keyed, fixture->partition, 3 * MIB, 5);
    must_clean(fixture, NOW);
    check_view(fixture);
}

/* Ranges for sendfile, one after the other, have the same batches. */
static void ranges_have_all_batches(void **state)
{
    struct fixture *fixture = *state;
    static char buffer[300000];
    struct beck_range range;
    uint64_t bytes = 0;
    int64_t offset = 0;
    keyed_log_fill(keyed, fixture->partition, 3 * MIB, 5);
    must_clean(fixture, NOW);
    while (must(beck_read_range(fixture->partition, offset, sizeof(buffer), BECK_READ_UNCOMMITTED,
                                &range, &fixture->error),
                &fixture->error) == 0 &&
           range.size > 0) {
        assert_true(range.next_offset > offset);
        offset = range.next_offset;
        bytes += range.size;
        beck_range_release(&range);
    }
    assert_int_equal(bytes, disk_bytes(fixture));
}

static void times_are_found(void **state)
{
    struct fixture *fixture = *state;
    keyed_log_fill(keyed, fixture->partition, 3 * MIB, 5);
    must_clean(fixture, NOW);
    struct beck_reader *reader = NULL;
    struct beck_record record;
    struct beck_error *error = &fixture->error;
    must(beck_reader_new(fixture->partition, BECK_READ_UNCOMMITTED, &reader, error), error);
    for (int64_t at = 0; at < keyed->next_offset; at += 37) {
        int64_t offset;
        int64_t timestamp_ms;
        assert_int_equal(
            must(beck_offset_for_time(fixture->partition, FIXTURE_TIME + at, BECK_READ_UNCOMMITTED,
                                      &offset, &timestamp_ms, error),
                 error),
            1);
        must(beck_reader_seek(reader, at, error), error);
        assert_int_equal(must(beck_reader_next(reader, &record, error), error), 1);
        assert_int_equal(offset, record.offset);
    }
    beck_reader_free(reader);
}

/* ---- tombstones ---------------------------------------------------------------------------- */

static void tombstones_go_after_their_time(void **state)
{
    struct fixture *fixture = *state;
    keyed_log_fill(keyed, fixture->partition, 3 * MIB, 3);
    must_clean(fixture, NOW);
    int64_t first_end = cleaned_to(fixture);
    int64_t tombstones = check_clean(fixture).tombstones;
    assert_true(tombstones > 20);

    /* Not before: what was there, and is not obsolete, stays. */
    keyed->keys = 100;
    keyed_log_fill(keyed, fixture->partition, 2 * MIB, 0);
    must_clean(fixture, NOW + DAY_MS - 1);
    keyed->keys = 300;
    assert_true(keyed_log_check(keyed, fixture->partition, first_end).tombstones > 0);

    keyed->keys = 100;
    keyed_log_fill(keyed, fixture->partition, 2 * MIB, 0);
    must_clean(fixture, NOW + DAY_MS);
    keyed->keys = 300;
    assert_int_equal(keyed_log_check(keyed, fixture->partition, first_end).tombstones, 0);
    (void)check_clean(fixture);
}

/* ---- log starts ---------------------------------------------------------------------------- */

/* Within a segment, and within a batch: what is before is not seen, and all else is. */
static void a_log_may_begin_anywhere(void **state)
{
    struct fixture *fixture = *state;
    keyed_log_fill(keyed, fixture->partition, 5 * MIB, 10);
    for (int i = 0; i < 4; i++) {
        int64_t log_start = must_state(fixture->partition).log_start_offset;
        log_start += (keyed->next_offset - log_start) / 3;
        must_trim(fixture, log_start);
        keyed_log_fill(keyed, fixture->partition, MIB, 10);
        must_clean(fixture, NOW);
        (void)check_clean(fixture);
        check_view(fixture);
        assert_int_equal(must_state(fixture->partition).log_start_offset, log_start);
        fixture_reopen(fixture);
        (void)check_clean(fixture);
        check_view(fixture);
    }
}

/* After compaction an offset may be in no record: the log begins with the next one. */
static void a_compacted_log_is_trimmed(void **state)
{
    struct fixture *fixture = *state;
    keyed_log_fill(keyed, fixture->partition, 4 * MIB, 10);
    must_clean(fixture, NOW);
    for (int64_t at = 1; at < keyed->next_offset; at += keyed->next_offset / 7) {
        must_trim(fixture, at);
        (void)keyed_log_check(keyed, fixture->partition, cleaned_to(fixture));
        check_view(fixture);
        assert_int_equal(verify_count(fixture->store, NULL), 0);
    }
}

/* ---- files of the same size ---------------------------------------------------------------- */

/* Every key anew, as often as not, is as many bytes as before. */
static void a_segment_that_replaces_all_of_one_of_its_size_does(void **state)
{
    struct fixture *fixture = *state;
    keyed_log_begin(keyed, 100, 8, 1);
    for (int round = 0; round < 3; round++) {
        for (uint32_t key = 0; key < keyed->keys; key++)
            (void)keyed_log_put(keyed, fixture->partition, key, false);
        must_roll(fixture);
    }
    (void)keyed_log_put(keyed, fixture->partition, 0, false);
    must_clean(fixture, NOW);
    assert_int_equal(check_clean(fixture).records, keyed->keys + 1);
}

/* One batch: the first `obsolete` keys with values, and tombstones for some more. */
static void put_batch(struct fixture *fixture, uint32_t obsolete, uint32_t tombstones)
{
    struct keyed_record records[64];
    uint32_t count = 0;
    for (uint32_t i = 0; i < obsolete; i++)
        records[count++] = (struct keyed_record){.key = i};
    for (uint32_t i = 0; i < tombstones; i++)
        records[count++] = (struct keyed_record){.key = 10 + i, .is_tombstone = true};
    keyed_log_put_all(keyed, fixture->partition, records, count);
}

/* Three records go, of 20 bytes each; and 20 tombstones get timestamps that are 3 bytes longer. A
 * key that is deleted later must not have an old value again then. */
static void a_batch_that_keeps_its_size_loses_what_is_obsolete(void **state)
{
    struct fixture *fixture = *state;
    keyed_log_begin(keyed, 30, 8, 1);
    put_batch(fixture, 3, 20);
    must_roll(fixture);
    keyed->value_bytes = KEYED_VALUE_BYTES;
    for (int i = 0; i < 600; i++)
        (void)keyed_log_put(keyed, fixture->partition, 3, false);
    for (uint32_t key = 0; key < 3; key++)
        (void)keyed_log_put(keyed, fixture->partition, key, true);
    must_roll(fixture);
    (void)keyed_log_put(keyed, fixture->partition, 4, false);
    must_clean(fixture, NOW);
    (void)check_clean(fixture);
}

/* ---- producers ----------------------------------------------------------------------------- */

/* Append a record of key 1 as producer 7 would; returns its offset, and whether it was there. */
static int64_t produce(struct fixture *fixture, int32_t sequence, bool *ret_duplicate)
{
    struct beck_batch_builder *builder = NULL;
    struct beck_append_result result;
    struct beck_record record = {
        .key = "key 1", .key_size = 5, .value = "x", .value_size = 1, .timestamp_ms = FIXTURE_TIME};
    struct batch_header header;
    const void *built;
    uint8_t batch[256];
    size_t size;
    must(beck_batch_builder_new(BECK_COMPRESSION_NONE, 1000, &builder, NULL), NULL);
    must(beck_batch_builder_add(builder, &record), NULL);
    must(beck_batch_builder_finish(builder, &built, &size, NULL), NULL);
    assert_true(size <= sizeof(batch));
    memcpy(batch, built, size);
    beck_batch_builder_free(builder);
    must(batch_header_read(batch, size, &header, NULL), NULL);
    header.producer_id = 7;
    header.producer_epoch = 0;
    header.base_sequence = sequence;
    batch_header_write(batch, &header);
    header.crc = batch_crc(batch, size);
    batch_header_write(batch, &header);
    must(beck_append(fixture->partition, batch, size, BECK_ACKS_LEADER, &result, &fixture->error),
         &fixture->error);
    *ret_duplicate = result.duplicate;
    return result.base_offset;
}

/* Its records are obsolete, but not what is known of the producer, were index.mdb lost. */
static void the_last_batch_of_a_producer_stays(void **state)
{
    struct fixture *fixture = *state;
    char path[PATH_MAX];
    char bytes[4096];
    struct batch_header header;
    bool duplicate;
    for (int32_t i = 0; i < 3; i++)
        assert_int_equal(produce(fixture, i, &duplicate), i);
    keyed_log_fill(keyed, fixture->partition, 3 * MIB, 0);
    must_clean(fixture, NOW);
    assert_int_equal(verify_count(fixture->store, NULL), 0);
    assert_true(beck_read(fixture->partition, 0, bytes, sizeof(bytes), BECK_READ_UNCOMMITTED,
                          &fixture->error) >= BATCH_HEADER_BYTES);
    must(batch_header_read(bytes, sizeof(bytes), &header, NULL), NULL);
    assert_int_equal(header.producer_id, 7);
    assert_int_equal(header.base_offset, 2);
    assert_int_equal(header.base_sequence, 2);
    assert_int_equal(header.record_count, 0);

    fixture_close(fixture);
    store_file(fixture, STORE_PATH_INDEX, path);
    assert_int_equal(remove(path), 0);
    fixture_open(fixture);
    assert_int_equal(produce(fixture, 2, &duplicate), 2);
    assert_true(duplicate);
    assert_true(produce(fixture, 3, &duplicate) > 2);
    assert_false(duplicate);
}

/* ---- transactions -------------------------------------------------------------------------- */

static struct forge forge;

/* Add a batch with one record to a file: of a producer's transaction, where it is not -1. */
static void write_batch(const char *path, int64_t offset, const char *key, int64_t producer_id)
{
    const struct beck_record record = {
        .key = key, .key_size = 5, .value = "value", .value_size = 5};
    forge_begin(&forge);
    forge_record(&forge, &record, 0, 0);
    forge.header.base_offset = offset;
    forge.header.producer_id = producer_id;
    forge.header.producer_epoch = producer_id < 0 ? -1 : 0;
    forge.header.attributes = producer_id < 0 ? 0 : BATCH_TRANSACTIONAL;
    forge_seal(&forge);
    file_append(path, forge.bytes, forge.size);
}

static void write_marker(const char *path, int64_t offset, int64_t producer_id, uint8_t type)
{
    const uint8_t key[4] = {0, 0, 0, type};
    const struct beck_record record = {
        .key = key, .key_size = sizeof(key), .value = "\0\0\0\0\0", .value_size = 6};
    forge_begin(&forge);
    forge_record(&forge, &record, 0, 0);
    forge.header.base_offset = offset;
    forge.header.producer_id = producer_id;
    forge.header.producer_epoch = 0;
    forge.header.attributes = BATCH_TRANSACTIONAL | BATCH_CONTROL;
    forge_seal(&forge);
    file_append(path, forge.bytes, forge.size);
}

/* Segments of another broker, put into the folder: what was aborted makes nothing obsolete. */
static void records_of_aborted_transactions_go(void **state)
{
    struct fixture *fixture = *state;
    char folder[PATH_MAX];
    char first[PATH_MAX + 32];
    char second[PATH_MAX + 32];
    char buffer[4096];
    partition_folder(fixture, "t", 0, folder);
    fixture_close(fixture);
    (void)snprintf(first, sizeof(first), "%s/%020d.log", folder, 0);
    (void)snprintf(second, sizeof(second), "%s/%020d.log", folder, 5);
    (void)remove(first);
    write_batch(first, 0, "key 1", -1);
    write_batch(first, 1, "key 1", 7);
    write_marker(first, 2, 7, 0);
    write_batch(first, 3, "key 2", 7);
    write_marker(first, 4, 7, 1);
    write_batch(second, 5, "key 3", -1);
    store_file(fixture, STORE_PATH_INDEX, buffer);
    assert_int_equal(remove(buffer), 0);
    fixture_open(fixture);
    int64_t before = file_size(first);
    must_clean(fixture, NOW);
    assert_int_equal(cleaned_to(fixture), 5);
    assert_value(fixture->partition, 0, "value");
    assert_value(fixture->partition, 3, "value");
    /* One batch went; both markers stay: the one's time is not over, the other's records are there.
     */
    assert_true(file_size(first) < before);
    assert_int_equal(count_records(fixture->partition, 0), 3);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(keeps_the_last_record_of_each_key),
        TEST(works_with_less_memory_than_the_keys_need),
        TEST(a_reopened_store_has_the_same),
        TEST(a_lost_index_is_made_again),
        TEST(the_file_view_is_that_of_the_records),
        TEST(ranges_have_all_batches),
        TEST(times_are_found),
        TEST(tombstones_go_after_their_time),
        TEST(a_log_may_begin_anywhere),
        TEST(a_compacted_log_is_trimmed),
        TEST(the_last_batch_of_a_producer_stays),
        TEST(records_of_aborted_transactions_go),
        TEST(a_segment_that_replaces_all_of_one_of_its_size_does),
        TEST(a_batch_that_keeps_its_size_loses_what_is_obsolete),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

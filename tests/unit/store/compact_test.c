/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Compaction of a store's partitions, held against a plain array of what was appended. The clock is
 * the test's: a run is told when it begins.
 */
#include "append.h"
#include "batch.h"
#include "clean.h"
#include "cleanings.h"
#include "compact.h"
#include "fault_io.h"
#include "forge.h"
#include "keyed_log.h"
#include "offset_map.h"
#include "store.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#define MIB    (1u << 20)
#define NOW    (FIXTURE_TIME + 3600000)
#define DAY_MS INT64_C(86400000)

static struct keyed_log *const keyed = &keyed_log;

/* A topic "t" that is compacted, with segments of 1 MiB and this configuration more. */
static void create_topic(struct fixture *fixture, const char *policy, const char *config,
                         const char *value)
{
    const struct beck_config configs[] = {{"cleanup.policy", policy},
                                          {"segment.bytes", "1048576"},
                                          {"min.cleanable.dirty.ratio", "0"},
                                          {config, value}};
    const struct beck_topic_options options = {.configs = configs,
                                               .config_count = config != NULL ? 4 : 3};
    struct beck_topic topic;
    must(beck_topic_create(fixture->store, "t", &options, &topic, &fixture->error),
         &fixture->error);
    fixture->partition = must_open_partition(fixture->store, "t", 0);
}

static int setup_compacted(void **state)
{
    setup_store(state);
    create_topic(*state, "compact", NULL, NULL);
    keyed_log_begin(keyed, 300, 2000, 1);
    return 0;
}

static int clean_with(struct fixture *fixture, int64_t now_ms, size_t map_bytes)
{
    uint32_t next_ms;
    struct clean clean = {.store = fixture->store, .now_ms = now_ms, .map_bytes = map_bytes};
    return clean_run_with(&clean, &next_ms, &fixture->error);
}

static void must_clean(struct fixture *fixture, int64_t now_ms)
{
    must(clean_with(fixture, now_ms, COMPACT_MAP_BYTES), &fixture->error);
}

/* Up to where the log is clean; -1: it never was. */
static int64_t cleaned_to(struct fixture *fixture)
{
    struct beck_store *store = fixture->store;
    const struct beck_topic *topic = beck_partition_topic(fixture->partition);
    int64_t offset = -1;
    MDB_txn *txn;
    must(db_begin(&store->index, false, &txn, NULL), NULL);
    (void)cleaned_get(&store->index, txn, topic->number, 0, &offset);
    mdb_txn_abort(txn);
    return offset;
}

/* The base offset of the newest segment, which is not compacted. */
static int64_t active_begin(struct fixture *fixture)
{
    char path[PATH_MAX];
    segment_path(fixture, "t", 0, segment_count(fixture, "t", 0) - 1, path);
    return strtoll(strrchr(path, '/') + 1, NULL, 10);
}

static int count_files(struct fixture *fixture, const char *ending)
{
    char path[PATH_MAX];
    partition_folder(fixture, "t", 0, path);
    return folder_count(path, ending);
}

/* All that was complete is clean, and everything agrees. */
static struct keyed_found check_clean(struct fixture *fixture)
{
    int64_t clean_to = cleaned_to(fixture);
    assert_int_equal(clean_to, active_begin(fixture));
    struct keyed_found found = keyed_log_check(keyed, fixture->partition, clean_to);
    assert_int_equal(found.obsolete, 0);
    assert_int_equal(verify_count(fixture->store, NULL), 0);
    assert_int_equal(count_files(fixture, ".cleaned"), 0);
    return found;
}

static uint64_t disk_bytes(struct fixture *fixture)
{
    uint64_t bytes;
    must(beck_partition_disk_bytes(fixture->partition, &bytes, &fixture->error), &fixture->error);
    return bytes;
}

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

/* The file view is each record's value and a newline, from the log start on. */
static void check_view(struct fixture *fixture)
{
    struct beck_reader *reader = NULL;
    struct beck_record record;
    struct beck_error *error = &fixture->error;
    struct beck_partition_state partition = must_state(fixture->partition);
    size_t size = partition.view_bytes;
    char *view = malloc(size + 1);
    size_t at = 0;
    assert_non_null(view);
    must(beck_reader_new(fixture->partition, BECK_READ_COMMITTED, &reader, error), error);
    assert_int_equal(must(beck_reader_view(reader, 0, view, size + 1, error), error), size);
    must(beck_reader_seek(reader, partition.log_start_offset, error), error);
    while (must(beck_reader_next(reader, &record, error), error) == 1) {
        size_t value_size = record.value_size > 0 ? (size_t)record.value_size : 0;
        assert_true(at + value_size < size);
        assert_memory_equal(view + at, record.value, value_size);
        assert_int_equal(view[at + value_size], '\n');
        at += value_size + 1;
    }
    assert_int_equal(at, size);
    beck_reader_free(reader);
    free(view);
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

static void must_trim(struct fixture *fixture, int64_t offset)
{
    int64_t log_start;
    must(beck_trim(fixture->partition, offset, &log_start, &fixture->error), &fixture->error);
    assert_int_equal(log_start, offset);
}

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

/* ---- when, and what not -------------------------------------------------------------------- */

static void other_topics_are_left_alone(void **state)
{
    struct fixture *fixture = *state;
    create_topic(fixture, "delete", NULL, NULL);
    keyed_log_begin(keyed, 10, 2000, 1);
    keyed_log_fill(keyed, fixture->partition, 3 * MIB, 0);
    uint64_t before = disk_bytes(fixture);
    must_clean(fixture, NOW);
    assert_int_equal(disk_bytes(fixture), before);
    assert_int_equal(cleaned_to(fixture), -1);
}

static void compact_and_delete_compacts_too(void **state)
{
    struct fixture *fixture = *state;
    create_topic(fixture, "compact,delete", "retention.ms", "-1");
    keyed_log_begin(keyed, 10, 2000, 1);
    keyed_log_fill(keyed, fixture->partition, 3 * MIB, 0);
    must_clean(fixture, NOW);
    (void)check_clean(fixture);
}

static void the_active_segment_is_not_touched(void **state)
{
    struct fixture *fixture = *state;
    for (uint32_t i = 0; i < 20; i++)
        keyed_log_put(keyed, fixture->partition, 1, false);
    uint32_t next_ms;
    must(beck_store_maintain(fixture->store, true, &next_ms, &fixture->error), &fixture->error);
    must_clean(fixture, NOW);
    assert_int_equal(keyed_log_check(keyed, fixture->partition, 0).records, 20);
}

static void waits_until_enough_is_dirty(void **state)
{
    struct fixture *fixture = *state;
    create_topic(fixture, "compact", "min.cleanable.dirty.ratio", "0.5");
    keyed_log_begin(keyed, 5000, 2000, 1);
    keyed_log_fill(keyed, fixture->partition, 5 * MIB, 0);
    must_clean(fixture, NOW);
    int64_t first_end = cleaned_to(fixture);
    assert_true(first_end > 0);
    keyed_log_fill(keyed, fixture->partition, 2 * MIB, 0);
    must_clean(fixture, NOW);
    assert_int_equal(cleaned_to(fixture), first_end);
    keyed_log_fill(keyed, fixture->partition, 5 * MIB, 0);
    must_clean(fixture, NOW);
    (void)check_clean(fixture);
}

static void keeps_what_is_younger_than_the_lag(void **state)
{
    struct fixture *fixture = *state;
    create_topic(fixture, "compact", "min.compaction.lag.ms", "1000");
    keyed_log_begin(keyed, 10, 2000, 1);
    keyed_log_fill(keyed, fixture->partition, 4 * MIB, 0);
    /* A record's time is its offset's: those above 1,500 are too young at this time. */
    must_clean(fixture, FIXTURE_TIME + 2500);
    assert_in_range(cleaned_to(fixture), 1, 1501);
    struct keyed_found found = keyed_log_check(keyed, fixture->partition, cleaned_to(fixture));
    assert_int_equal(found.obsolete, 0);
    assert_true(found.records >= keyed->next_offset - 1500);
}

static void cleans_what_has_waited_long_enough_however_little_it_is(void **state)
{
    struct fixture *fixture = *state;
    const struct beck_config configs[] = {{"cleanup.policy", "compact"},
                                          {"segment.bytes", "1048576"},
                                          {"min.cleanable.dirty.ratio", "1"},
                                          {"max.compaction.lag.ms", "86400000"}};
    const struct beck_topic_options options = {.configs = configs, .config_count = 4};
    struct beck_topic topic;
    must(beck_topic_create(fixture->store, "t", &options, &topic, &fixture->error),
         &fixture->error);
    fixture->partition = must_open_partition(fixture->store, "t", 0);
    keyed_log_begin(keyed, 10, 2000, 1);
    keyed_log_fill(keyed, fixture->partition, 3 * MIB, 0);
    must_clean(fixture, FIXTURE_TIME + DAY_MS);
    assert_int_equal(cleaned_to(fixture), -1);
    must_clean(fixture, FIXTURE_TIME + DAY_MS + 41); /* the first batch's last record is so old */
    (void)check_clean(fixture);
}

static void small_segments_are_merged(void **state)
{
    struct fixture *fixture = *state;
    keyed_log_fill(keyed, fixture->partition, 8 * MIB, 0);
    int before = segment_count(fixture, "t", 0);
    assert_true(before >= 8);
    must_clean(fixture, NOW);
    keyed_log_fill(keyed, fixture->partition, 2 * MIB, 0);
    must_clean(fixture, NOW);
    assert_true(segment_count(fixture, "t", 0) <= 4);
    (void)check_clean(fixture);
}

/* ---- interruptions ------------------------------------------------------------------------- */

static bool stop_at_once(void *context)
{
    (void)context;
    return true;
}

static void stops_when_it_is_told_to(void **state)
{
    struct fixture *fixture = *state;
    uint32_t next_ms;
    keyed_log_fill(keyed, fixture->partition, 3 * MIB, 0);
    uint64_t before = disk_bytes(fixture);
    must(beck_store_clean(fixture->store, stop_at_once, NULL, &next_ms, &fixture->error),
         &fixture->error);
    assert_int_equal(disk_bytes(fixture), before);
    assert_int_equal(cleaned_to(fixture), -1);
    assert_int_equal(count_files(fixture, ".cleaned"), 0);
}

static bool delete_topic(void *context)
{
    struct fixture *fixture = context;
    int r = beck_topic_delete(fixture->store, "t", &fixture->error);
    assert_true(r == 0 || r == -ENOENT);
    return false;
}

static void a_topic_may_be_deleted_meanwhile(void **state)
{
    struct fixture *fixture = *state;
    uint32_t next_ms;
    keyed_log_fill(keyed, fixture->partition, 3 * MIB, 0);
    must(beck_store_clean(fixture->store, delete_topic, fixture, &next_ms, &fixture->error),
         &fixture->error);
    assert_int_equal(verify_count(fixture->store, NULL), 0);
}

static void a_damaged_segment_is_told_and_the_others_are_compacted(void **state)
{
    struct fixture *fixture = *state;
    char path[PATH_MAX];
    keyed_log_fill(keyed, fixture->partition, 3 * MIB, 0);
    const struct beck_config configs[] = {{"cleanup.policy", "compact"},
                                          {"segment.bytes", "1048576"},
                                          {"min.cleanable.dirty.ratio", "0"}};
    const struct beck_topic_options options = {.configs = configs, .config_count = 3};
    struct beck_topic topic;
    must(beck_topic_create(fixture->store, "u", &options, &topic, &fixture->error),
         &fixture->error);
    struct beck_partition *other = must_open_partition(fixture->store, "u", 0);
    keyed_log_begin(keyed, 300, 2000, 3);
    keyed_log_fill(keyed, other, 3 * MIB, 0);
    segment_path(fixture, "t", 0, 1, path);
    file_flip(path, 5000);
    uint64_t before = disk_bytes(fixture);
    assert_int_equal(clean_with(fixture, NOW, COMPACT_MAP_BYTES), -EBADMSG);
    int64_t begin = strtoll(strrchr(path, '/') + 1, NULL, 10);
    assert_int_equal(fixture->error.offset, begin);
    assert_string_equal(fixture->error.topic, "t");
    (void)clean_with(fixture, NOW, COMPACT_MAP_BYTES);
    assert_int_equal(disk_bytes(fixture), before);
    assert_true(keyed_log_check(keyed, other, 0).records < keyed->next_offset / 2);
    beck_partition_close(other);
}

/* ---- files of the same size ---------------------------------------------------------------- */

/* Close the active segment, and have it catalogued. */
static void must_roll(struct fixture *fixture)
{
    struct live_tail tail;
    uint32_t next_ms;
    must(partition_tail(fixture->partition, &tail, &fixture->error), &fixture->error);
    assert_int_equal(must(partition_roll(fixture->partition, &tail, &fixture->error), NULL), 1);
    must(beck_store_maintain(fixture->store, true, &next_ms, &fixture->error), &fixture->error);
}

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

/* ---- files that go ------------------------------------------------------------------------- */

/* Remove the segment, and die. */
static int die_removing(struct fault_io *fault, const struct fault_what *what)
{
    char path[2 * PATH_MAX];
    if (!fault_is(what, FAULT_REMOVE, ".log"))
        return 0;
    (void)snprintf(path, sizeof(path), "%s/%s", (const char *)fault->context, what->name);
    (void)unlink(path);
    (void)raise(SIGKILL);
    return 0;
}

static int open_and_die(struct fixture *fixture)
{
    struct fault_io fault;
    fault_io_init(&fault);
    fault.hook = die_removing;
    fault.context = fixture->path;
    (void)must_open_io(fixture->path, 0, &fault.io);
    return 0;
}

/* All that is left of the first segment is below the log start: opening removes it. */
static void killed_while_it_removes_what_is_below_the_log_start(void **state)
{
    struct fixture *fixture = *state;
    keyed_log_begin(keyed, 3, KEYED_VALUE_BYTES, 1);
    (void)keyed_log_put(keyed, fixture->partition, 0, false);
    for (int segment = 0; segment < 2; segment++) {
        for (int i = 0; i < 400; i++)
            (void)keyed_log_put(keyed, fixture->partition, 1, false);
        must_roll(fixture);
    }
    (void)keyed_log_put(keyed, fixture->partition, 2, false);
    must_trim(fixture, 5);
    must_clean(fixture, NOW);
    fixture_close(fixture);
    assert_int_equal(run_in_child(open_and_die, fixture), 128 + SIGKILL);
    fixture_open(fixture);
    (void)check_clean(fixture);
    assert_int_equal(must_state(fixture->partition).log_start_offset, 5);
}

/* ---- killed in the middle ------------------------------------------------------------------ */

static int die_before_rename(struct fault_io *fault, const struct fault_what *what)
{
    (void)fault;
    if (fault_is(what, FAULT_RENAME, ".cleaned"))
        (void)raise(SIGKILL);
    return 0;
}

static int die_after_rename(struct fault_io *fault, const struct fault_what *what)
{
    static bool is_renamed;
    (void)fault;
    if (is_renamed)
        (void)raise(SIGKILL);
    is_renamed = fault_is(what, FAULT_RENAME, ".cleaned");
    return 0;
}

static int (*die_at)(struct fault_io *fault, const struct fault_what *what);

static int compact_and_die(struct fixture *fixture)
{
    struct fault_io fault;
    fault_io_init(&fault);
    fault.hook = die_at;
    fixture->store = must_open_io(fixture->path, 0, &fault.io);
    fixture->partition = must_open_partition(fixture->store, "t", 0);
    (void)clean_with(fixture, NOW, COMPACT_MAP_BYTES);
    return 0;
}

/* Whoever compacts is killed there, while this process has the store open. */
static void compact_in_a_child_that_dies(struct fixture *fixture,
                                         int (*at)(struct fault_io *fault,
                                                   const struct fault_what *what))
{
    int status;
    /* The child must not have what this process has open. */
    fixture_close(fixture);
    fixture->store = must_open(fixture->path, 0);
    die_at = at;
    pid_t pid = fork();
    assert_true(pid >= 0);
    if (pid == 0)
        _exit(compact_and_die(fixture));
    assert_int_equal(waitpid(pid, &status, 0), pid);
    assert_true(WIFSIGNALED(status));
    fixture->partition = must_open_partition(fixture->store, "t", 0);
}

/* ---- the log start meanwhile --------------------------------------------------------------- */

/* The catalogue has the new segment, and the tail says where the log begins in the old one. */
static void the_view_is_right_before_the_exchange_is_told_of(void **state)
{
    struct fixture *fixture = *state;
    uint32_t next_ms;
    keyed_log_fill(keyed, fixture->partition, 3 * MIB, 10);
    must(beck_store_maintain(fixture->store, true, &next_ms, &fixture->error), &fixture->error);
    must_trim(fixture, 200);
    compact_in_a_child_that_dies(fixture, die_before_rename);
    check_view(fixture);
    must_trim(fixture, 230);
    check_view(fixture);
    must(beck_store_maintain(fixture->store, true, &next_ms, &fixture->error), &fixture->error);
    check_view(fixture);
    assert_int_equal(count_files(fixture, ".cleaned"), 0);
}

/* ---- an intent that is damaged ------------------------------------------------------------- */

static void damage_intent(struct fixture *fixture)
{
    struct db *index = &fixture->store->index;
    struct db_key key = db_key_partition(beck_partition_topic(fixture->partition)->number, 0);
    MDB_val k = {.mv_size = key.size, .mv_data = key.bytes};
    MDB_val v = {.mv_size = 7, .mv_data = (void *)(uintptr_t) "damaged"};
    MDB_txn *txn;
    must(db_begin(index, true, &txn, &fixture->error), &fixture->error);
    assert_int_equal(mdb_put(txn, index->dbis[INDEX_CLEANINGS], &k, &v, MDB_NOOVERWRITE),
                     MDB_KEYEXIST);
    assert_int_equal(mdb_put(txn, index->dbis[INDEX_CLEANINGS], &k, &v, 0), 0);
    must(db_commit(index, txn, &fixture->error), &fixture->error);
}

static void lose_intent(struct fixture *fixture,
                        int (*at)(struct fault_io *fault, const struct fault_what *what))
{
    uint32_t next_ms;
    keyed_log_fill(keyed, fixture->partition, 3 * MIB, 10);
    must(beck_store_maintain(fixture->store, true, &next_ms, &fixture->error), &fixture->error);
    compact_in_a_child_that_dies(fixture, at);
    damage_intent(fixture);
    must(beck_store_maintain(fixture->store, true, &next_ms, &fixture->error), &fixture->error);
    fixture_reopen(fixture);
    (void)keyed_log_check(keyed, fixture->partition, 0);
    assert_int_equal(verify_count(fixture->store, NULL), 0);
    assert_int_equal(count_files(fixture, ".cleaned"), 0);
    must_clean(fixture, NOW);
    (void)check_clean(fixture);
}

/* Who was killed between a checkpoint's commit and its end has left rolled segments in the slot
 * that are in the catalogue, too: once they are exchanged, no checkpoint may put them back. */
static void what_a_killed_checkpoint_left_does_not_come_back(void **state)
{
    struct fixture *fixture = *state;
    struct live_slot *slot;
    uint32_t next_ms;
    keyed_log_fill(keyed, fixture->partition, 3 * MIB, 0);
    slot = fixture->partition->slot;
    assert_true(atomic_load(&slot->rolled_end) >= 2);
    atomic_store(&slot->rolled_begin, atomic_load(&slot->rolled_end) - 2);
    must_clean(fixture, NOW);
    assert_int_equal(atomic_load(&slot->rolled_begin), atomic_load(&slot->rolled_end));
    (void)keyed_log_put(keyed, fixture->partition, 1, false);
    must(beck_store_maintain(fixture->store, true, &next_ms, &fixture->error), &fixture->error);
    (void)keyed_log_check(keyed, fixture->partition, cleaned_to(fixture));
    assert_int_equal(verify_count(fixture->store, NULL), 0);
}

static void a_damaged_intent_costs_nothing_before_the_new_file_has_its_name(void **state)
{
    lose_intent(*state, die_before_rename);
}

static void a_damaged_intent_costs_nothing_after_the_new_file_has_its_name(void **state)
{
    lose_intent(*state, die_after_rename);
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

#define TEST(name)           cmocka_unit_test_setup_teardown(name, setup_compacted, teardown)
#define TEST_ON(setup, name) cmocka_unit_test_setup_teardown(name, setup, teardown)

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
        TEST(killed_while_it_removes_what_is_below_the_log_start),
        TEST(the_last_batch_of_a_producer_stays),
        TEST(records_of_aborted_transactions_go),
        TEST_ON(setup_store, other_topics_are_left_alone),
        TEST_ON(setup_store, compact_and_delete_compacts_too),
        TEST(the_active_segment_is_not_touched),
        TEST_ON(setup_store, waits_until_enough_is_dirty),
        TEST_ON(setup_store, keeps_what_is_younger_than_the_lag),
        TEST_ON(setup_store, cleans_what_has_waited_long_enough_however_little_it_is),
        TEST(small_segments_are_merged),
        TEST(a_segment_that_replaces_all_of_one_of_its_size_does),
        TEST(a_batch_that_keeps_its_size_loses_what_is_obsolete),
        TEST(the_view_is_right_before_the_exchange_is_told_of),
        TEST(what_a_killed_checkpoint_left_does_not_come_back),
        TEST(a_damaged_intent_costs_nothing_before_the_new_file_has_its_name),
        TEST(a_damaged_intent_costs_nothing_after_the_new_file_has_its_name),
        TEST(stops_when_it_is_told_to),
        TEST(a_topic_may_be_deleted_meanwhile),
        TEST(a_damaged_segment_is_told_and_the_others_are_compacted),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What the tests of compaction share: a compacted topic "t" beside a plain array of what was
 * appended to it, runs by a clock that is the test's, and what has to be so after each.
 */
#ifndef TESTS_COMPACT_FIXTURE_H
#define TESTS_COMPACT_FIXTURE_H

#include "append.h"
#include "clean.h"
#include "cleanings.h"
#include "compact.h"
#include "keyed_log.h"
#include "store.h"

#include <limits.h>
#include <stdlib.h>
#include <string.h>

#define MIB    (1u << 20)
#define NOW    (FIXTURE_TIME + 3600000)
#define DAY_MS INT64_C(86400000)

static struct keyed_log *const keyed = &keyed_log;

/* A topic "t" that is compacted, with segments of 1 MiB and this configuration more. */
static inline void create_topic(struct fixture *fixture, const char *policy, const char *config,
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

static inline int setup_compacted(void **state)
{
    setup_store(state);
    create_topic(*state, "compact", NULL, NULL);
    keyed_log_begin(keyed, 300, 2000, 1);
    return 0;
}

static inline int clean_with(struct fixture *fixture, int64_t now_ms, size_t map_bytes)
{
    uint32_t next_ms;
    struct clean clean = {.store = fixture->store, .now_ms = now_ms, .map_bytes = map_bytes};
    return clean_run_with(&clean, &next_ms, &fixture->error);
}

static inline void must_clean(struct fixture *fixture, int64_t now_ms)
{
    must(clean_with(fixture, now_ms, COMPACT_MAP_BYTES), &fixture->error);
}

/* Up to where the log is clean; -1: it never was. */
static inline int64_t cleaned_to(struct fixture *fixture)
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
static inline int64_t active_begin(struct fixture *fixture)
{
    char path[PATH_MAX];
    segment_path(fixture, "t", 0, segment_count(fixture, "t", 0) - 1, path);
    return strtoll(strrchr(path, '/') + 1, NULL, 10);
}

static inline int count_files(struct fixture *fixture, const char *ending)
{
    char path[PATH_MAX];
    partition_folder(fixture, "t", 0, path);
    return folder_count(path, ending);
}

/* All that was complete is clean, and everything agrees. */
static inline struct keyed_found check_clean(struct fixture *fixture)
{
    int64_t clean_to = cleaned_to(fixture);
    assert_int_equal(clean_to, active_begin(fixture));
    struct keyed_found found = keyed_log_check(keyed, fixture->partition, clean_to);
    assert_int_equal(found.obsolete, 0);
    assert_int_equal(verify_count(fixture->store, NULL), 0);
    assert_int_equal(count_files(fixture, ".cleaned"), 0);
    return found;
}

static inline uint64_t disk_bytes(struct fixture *fixture)
{
    uint64_t bytes;
    must(beck_partition_disk_bytes(fixture->partition, &bytes, &fixture->error), &fixture->error);
    return bytes;
}
/* The file view is each record's value and a newline, from the log start on. */
static inline void check_view(struct fixture *fixture)
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

static inline void must_trim(struct fixture *fixture, int64_t offset)
{
    int64_t log_start;
    must(beck_trim(fixture->partition, offset, &log_start, &fixture->error), &fixture->error);
    assert_int_equal(log_start, offset);
}

/* Close the active segment, and have it catalogued. */
static inline void must_roll(struct fixture *fixture)
{
    struct live_tail tail;
    uint32_t next_ms;
    must(partition_tail(fixture->partition, &tail, &fixture->error), &fixture->error);
    assert_int_equal(must(partition_roll(fixture->partition, &tail, &fixture->error), NULL), 1);
    must(beck_store_maintain(fixture->store, true, &next_ms, &fixture->error), &fixture->error);
}

#define TEST(name)           cmocka_unit_test_setup_teardown(name, setup_compacted, teardown)
#define TEST_ON(setup, name) cmocka_unit_test_setup_teardown(name, setup, teardown)

#endif

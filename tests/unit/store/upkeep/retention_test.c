/* SPDX-License-Identifier: Apache-2.0 */
/* Retention: what goes by size and by age, what stays, and when a segment is rolled for it. */
#include "retention.h"
#include "store.h"
#include "store_fixture.h"

#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

static void append_large(struct beck_partition *partition, unsigned count)
{
    for (unsigned i = 0; i < count; i++)
        must_append_bytes(partition, 100000, i, BECK_ACKS_LEADER);
}

static void set(struct fixture *fixture, const char *name, const char *value)
{
    const struct beck_config_change change = {.name = name, .value = value};
    must(beck_topic_alter(fixture->store, "t", &change, 1, 0, &fixture->error), &fixture->error);
}

static void maintain(struct fixture *fixture)
{
    uint32_t next_ms;
    must(beck_store_maintain(fixture->store, true, &next_ms, &fixture->error), &fixture->error);
}

static int64_t log_start(struct fixture *fixture)
{
    return must_state(fixture->partition).log_start_offset;
}

/* ---- by size ------------------------------------------------------------------------------- */

static void the_oldest_segments_go_above_the_size(void **state)
{
    struct fixture *fixture = *state;
    append_large(fixture->partition, 45); /* segments from 0, 10, 20, 30 and 40 on */
    set(fixture, "retention.bytes", "2600000");
    maintain(fixture);
    assert_int_equal(log_start(fixture), 10);
    assert_int_equal(segment_count(fixture, "t", 0), 4);
}

static void a_segment_goes_only_where_the_rest_is_large_enough(void **state)
{
    struct fixture *fixture = *state;
    append_large(fixture->partition, 45);
    set(fixture, "retention.bytes", "3600000");
    maintain(fixture);
    assert_int_equal(log_start(fixture), 0);
}

static void the_newest_segment_goes_too_where_nothing_may_stay(void **state)
{
    struct fixture *fixture = *state;
    append_large(fixture->partition, 15);
    set(fixture, "retention.bytes", "0");
    maintain(fixture);
    assert_int_equal(log_start(fixture), 15);
    assert_int_equal(segment_count(fixture, "t", 0), 0);
    assert_int_equal(must_append(fixture->partition, "on", BECK_ACKS_ALL), 15);
    must(beck_sync(fixture->partition, 16, &fixture->error), &fixture->error);
    assert_value(fixture->partition, 15, "on");
    assert_int_equal(verify_count(fixture->store, NULL), 0);
}

static void an_emptied_log_is_found_again(void **state)
{
    struct fixture *fixture = *state;
    append_large(fixture->partition, 15);
    set(fixture, "retention.bytes", "0");
    maintain(fixture);
    fixture_reopen(fixture);
    assert_int_equal(log_start(fixture), 15);
    assert_int_equal(must_append(fixture->partition, "on", BECK_ACKS_LEADER), 15);
}

/* With no file left nothing but meta.mdb tells where the log goes on. */
static void an_emptied_log_is_found_again_without_an_index(void **state)
{
    struct fixture *fixture = *state;
    int64_t offset = -1;
    int64_t timestamp_ms = -1;
    char path[PATH_MAX];
    append_large(fixture->partition, 15);
    set(fixture, "retention.bytes", "0");
    maintain(fixture);
    fixture_close(fixture);
    store_file(fixture, STORE_PATH_INDEX, path);
    assert_int_equal(unlink(path), 0);
    fixture_open(fixture);
    assert_int_equal(
        beck_offset_of_max_time(fixture->partition, &offset, &timestamp_ms, &fixture->error), 0);
    assert_int_equal(must_append(fixture->partition, "on", BECK_ACKS_LEADER), 15);
    segment_path(fixture, "t", 0, 0, path);
    assert_string_equal(strrchr(path, '/'), "/00000000000000000015.log");
}

static void what_readers_do_not_see_yet_stays(void **state)
{
    struct fixture *fixture = *state;
    append_large(fixture->partition, 5);
    must_append(fixture->partition, "hidden", BECK_ACKS_ALL);
    set(fixture, "retention.bytes", "0");
    /* Without the checkpoint that comes before it: that would sync and show the record. */
    (void)live_lock(&live_store(&fixture->store->live)->maintenance);
    int r = retention_run(fixture->store, true, &fixture->error);
    live_unlock(&live_store(&fixture->store->live)->maintenance);
    must(r, &fixture->error);
    assert_int_equal(log_start(fixture), 0);
    assert_int_equal(count_records(fixture->partition, 0), 5);
}

/* ---- by age -------------------------------------------------------------------------------- */

static void segments_of_old_records_go(void **state)
{
    struct fixture *fixture = *state;
    int64_t now_ms = (int64_t)time(NULL) * 1000;
    must_append_at(fixture->partition, "old", now_ms - 7200000);
    append_large(fixture->partition, 10); /* the old record's segment has young ones, too */
    set(fixture, "retention.ms", "3600000");
    maintain(fixture);
    assert_int_equal(log_start(fixture), 0);
    assert_int_equal(count_records(fixture->partition, 0), 11);
}

static void a_log_whose_records_are_all_old_is_emptied(void **state)
{
    struct fixture *fixture = *state;
    int64_t now_ms = (int64_t)time(NULL) * 1000;
    must_append_at(fixture->partition, "old", now_ms - 7200000);
    must_append_at(fixture->partition, "older", now_ms - 9200000);
    set(fixture, "retention.ms", "3600000");
    maintain(fixture);
    assert_int_equal(log_start(fixture), 2);
    assert_int_equal(must_state(fixture->partition).view_bytes, 0);
}

static void records_of_the_future_stay(void **state)
{
    struct fixture *fixture = *state;
    int64_t now_ms = (int64_t)time(NULL) * 1000;
    must_append_at(fixture->partition, "future", now_ms + 1800000);
    set(fixture, "retention.ms", "0");
    maintain(fixture);
    assert_int_equal(log_start(fixture), 0);
}

static void no_time_is_too_long(void **state)
{
    struct fixture *fixture = *state;
    int64_t now_ms = (int64_t)time(NULL) * 1000;
    must_append_at(fixture->partition, "future", now_ms + 1800000);
    set(fixture, "retention.ms", "9223372036854775807");
    maintain(fixture);
    assert_int_equal(log_start(fixture), 0);
}

static void the_store_s_default_applies(void **state)
{
    struct fixture *fixture = *state;
    const struct beck_config_change change = {.name = "retention.ms", .value = "3600000"};
    must_append_at(fixture->partition, "old", FIXTURE_TIME);
    maintain(fixture);
    assert_int_equal(log_start(fixture), 0);
    must(beck_store_alter(fixture->store, &change, 1, 0, &fixture->error), &fixture->error);
    maintain(fixture);
    assert_int_equal(log_start(fixture), 1);
}

static void a_compacted_topic_keeps_its_records(void **state)
{
    struct fixture *fixture = *state;
    must_append_at(fixture->partition, "old", FIXTURE_TIME);
    set(fixture, "retention.ms", "3600000");
    set(fixture, "cleanup.policy", "compact");
    maintain(fixture);
    assert_int_equal(log_start(fixture), 0);
    set(fixture, "cleanup.policy", "compact,delete");
    maintain(fixture);
    assert_int_equal(log_start(fixture), 1);
}

/* ---- rolling ------------------------------------------------------------------------------- */

static void an_idle_segment_is_rolled_at_its_age(void **state)
{
    struct fixture *fixture = *state;
    struct beck_partition_state before;
    must_append(fixture->partition, "a", BECK_ACKS_LEADER);
    set(fixture, "segment.ms", "1");
    usleep(5000);
    before = must_state(fixture->partition);
    maintain(fixture);
    assert_int_equal(must_append(fixture->partition, "b", BECK_ACKS_LEADER), 1);
    assert_int_equal(segment_count(fixture, "t", 0), 2);
    assert_int_equal(count_records(fixture->partition, 0), 2);
    assert_int_equal(must_state(fixture->partition).view_bytes, before.view_bytes + 2);
    assert_int_equal(verify_count(fixture->store, NULL), 0);
}

static void an_empty_segment_is_not_rolled(void **state)
{
    struct fixture *fixture = *state;
    set(fixture, "segment.ms", "1");
    maintain(fixture);
    maintain(fixture);
    must_append(fixture->partition, "a", BECK_ACKS_LEADER);
    assert_int_equal(segment_count(fixture, "t", 0), 1);
}

/* ---- what nobody knows --------------------------------------------------------------------- */

static void a_folder_of_a_creation_that_died_goes(void **state)
{
    struct fixture *fixture = *state;
    char orphan[PATH_MAX];
    char path[PATH_MAX + 16];
    struct stat info;
    store_file(fixture, STORE_PATH_TOPICS "/0123456789abcdef0123456789abcdef", orphan);
    assert_int_equal(mkdir(orphan, 0755), 0);
    (void)snprintf(path, sizeof(path), "%s/topic", orphan);
    file_write(path, "beck-topic 1\n", 13);
    (void)snprintf(path, sizeof(path), "%s/0", orphan);
    assert_int_equal(mkdir(path, 0755), 0);
    fixture_reopen(fixture);
    assert_int_equal(stat(orphan, &info), -1);
    assert_int_equal(must_append(fixture->partition, "still here", BECK_ACKS_LEADER), 0);
}

static void a_folder_with_data_stays(void **state)
{
    struct fixture *fixture = *state;
    char orphan[PATH_MAX];
    char path[PATH_MAX + 32];
    struct stat info;
    store_file(fixture, STORE_PATH_TOPICS "/0123456789abcdef0123456789abcdef", orphan);
    assert_int_equal(mkdir(orphan, 0755), 0);
    (void)snprintf(path, sizeof(path), "%s/0", orphan);
    assert_int_equal(mkdir(path, 0755), 0);
    (void)snprintf(path, sizeof(path), "%s/0/00000000000000000000.log", orphan);
    file_write(path, "x", 1);
    fixture_reopen(fixture);
    assert_int_equal(stat(path, &info), 0);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup_small_segments, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(the_oldest_segments_go_above_the_size),
        TEST(a_segment_goes_only_where_the_rest_is_large_enough),
        TEST(the_newest_segment_goes_too_where_nothing_may_stay),
        TEST(an_emptied_log_is_found_again),
        TEST(an_emptied_log_is_found_again_without_an_index),
        TEST(what_readers_do_not_see_yet_stays),
        TEST(segments_of_old_records_go),
        TEST(a_log_whose_records_are_all_old_is_emptied),
        TEST(records_of_the_future_stay),
        TEST(no_time_is_too_long),
        TEST(the_store_s_default_applies),
        TEST(a_compacted_topic_keeps_its_records),
        TEST(an_idle_segment_is_rolled_at_its_age),
        TEST(an_empty_segment_is_not_rolled),
        TEST(a_folder_of_a_creation_that_died_goes),
        TEST(a_folder_with_data_stays),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

/* SPDX-License-Identifier: Apache-2.0 */
/*
 * When a partition is compacted, and up to where; what is left alone, and what ends a run.
 */
#include "compact_fixture.h"

#include <errno.h>
#include <stdlib.h>

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

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST_ON(setup_store, other_topics_are_left_alone),
        TEST_ON(setup_store, compact_and_delete_compacts_too),
        TEST(the_active_segment_is_not_touched),
        TEST_ON(setup_store, waits_until_enough_is_dirty),
        TEST_ON(setup_store, keeps_what_is_younger_than_the_lag),
        TEST_ON(setup_store, cleans_what_has_waited_long_enough_however_little_it_is),
        TEST(small_segments_are_merged),
        TEST(stops_when_it_is_told_to),
        TEST(a_topic_may_be_deleted_meanwhile),
        TEST(a_damaged_segment_is_told_and_the_others_are_compacted),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

/* SPDX-License-Identifier: Apache-2.0 */
/* What a topic's configuration asks of each record: a time near the clock's, and a key. */
#include "forge.h"
#include "store_fixture.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#define HOUR ((int64_t)3600000)

static struct forge forge;

static int64_t now_ms(void)
{
    return (int64_t)time(NULL) * 1000;
}

static struct beck_partition *open_with(struct fixture *f, const char *name, const char *value)
{
    static unsigned number;
    char topic[32];
    (void)snprintf(topic, sizeof(topic), "topic-%u", number++);
    must_create_topic(f->store, topic, 1, name, value);
    beck_partition_close(f->partition);
    return f->partition = must_open_partition(f->store, topic, 0);
}

/* Append records at these times; the header says what a lazy producer would say. */
static int append_times(struct fixture *f, enum beck_compression codec, int64_t first_ms,
                        int64_t second_ms, int64_t third_ms)
{
    const int64_t times[] = {first_ms, second_ms, third_ms};
    const struct beck_record record = {.key = "k", .key_size = 1, .value = "v", .value_size = 1};
    struct beck_append_result result;
    forge_begin(&forge);
    forge.header.base_timestamp_ms = first_ms;
    forge.header.max_timestamp_ms = first_ms;
    for (int i = 0; i < 3; i++)
        forge_record(&forge, &record, i, times[i] - first_ms);
    if (codec != BECK_COMPRESSION_NONE)
        forge_compress(&forge, codec);
    forge_seal(&forge);
    return beck_append(f->partition, forge.bytes, forge.size, BECK_ACKS_LEADER, &result, &f->error);
}

/* Times around now are taken, those two hours off refused by the sides that are limited. */
static void assert_limits(struct fixture *f, bool before, bool after)
{
    for (enum beck_compression codec = 0; codec <= BECK_COMPRESSION_ZSTD; codec++) {
        int64_t now = now_ms();
        int64_t next = must_state(f->partition).next_offset;
        must(append_times(f, codec, now, now - HOUR / 2, now + HOUR / 2), &f->error);
        int r = append_times(f, codec, now, now - 2 * HOUR, now);
        assert_int_equal(r, before ? -ETIME : 0);
        if (before)
            assert_int_equal(f->error.record, 1);
        r = append_times(f, codec, now, now, now + 2 * HOUR);
        assert_int_equal(r, after ? -ETIME : 0);
        if (after)
            assert_int_equal(f->error.record, 2);
        assert_int_equal(must_state(f->partition).next_offset - next, 9 - 3 * before - 3 * after);
    }
}

static void without_limits_any_time_is_taken(void **state)
{
    struct fixture *f = *state;
    (void)open_with(f, "message.timestamp.after.max.ms", "9223372036854775807");
    assert_limits(f, false, false);
    must(append_times(f, BECK_COMPRESSION_NONE, INT64_MIN + 1, 0, -1), &f->error);
    must(append_times(f, BECK_COMPRESSION_NONE, INT64_MAX, 0, 0), &f->error);
}

static void times_long_ago_are_refused(void **state)
{
    struct fixture *f = *state;
    (void)open_with(f, "message.timestamp.before.max.ms", "3600000");
    assert_limits(f, true, true);
    assert_int_equal(append_times(f, BECK_COMPRESSION_NONE, INT64_MIN + 1, 0, 0), -ETIME);
}

/* More than an hour, where nothing is set. */
static void times_far_ahead_are_refused(void **state)
{
    struct fixture *f = *state;
    assert_limits(f, false, true);
    assert_int_equal(append_times(f, BECK_COMPRESSION_NONE, INT64_MAX, 0, 0), -ETIME);
}

static void how_far_ahead_is_refused_can_be_set(void **state)
{
    struct fixture *f = *state;
    (void)open_with(f, "message.timestamp.after.max.ms", "36000000");
    assert_limits(f, false, false);
    assert_int_equal(append_times(f, BECK_COMPRESSION_NONE, now_ms() + 11 * HOUR, 0, 0), -ETIME);
}

static void the_older_name_limits_both_sides(void **state)
{
    struct fixture *f = *state;
    (void)open_with(f, "message.timestamp.difference.max.ms", "3600000");
    assert_limits(f, true, true);
}

static void a_newer_name_goes_before_the_older_one(void **state)
{
    struct fixture *f = *state;
    const struct beck_config configs[] = {{"message.timestamp.difference.max.ms", "3600000"},
                                          {"message.timestamp.before.max.ms", "36000000"}};
    const struct beck_topic_options options = {.configs = configs, .config_count = 2};
    struct beck_topic topic;
    must(beck_topic_create(f->store, "u", &options, &topic, &f->error), &f->error);
    beck_partition_close(f->partition);
    f->partition = must_open_partition(f->store, "u", 0);
    assert_limits(f, false, true);
}

static void a_record_without_a_time_is_in_time(void **state)
{
    struct fixture *f = *state;
    (void)open_with(f, "message.timestamp.difference.max.ms", "3600000");
    must(append_times(f, BECK_COMPRESSION_NONE, -1, -1, -1), &f->error);
    assert_int_equal(append_times(f, BECK_COMPRESSION_NONE, -1, -2, -1), -ETIME);
    assert_int_equal(f->error.record, 1);
}

static void with_log_append_time_no_time_is_refused(void **state)
{
    struct fixture *f = *state;
    const struct beck_config configs[] = {{"message.timestamp.difference.max.ms", "3600000"},
                                          {"message.timestamp.type", "LogAppendTime"}};
    const struct beck_topic_options options = {.configs = configs, .config_count = 2};
    struct beck_topic topic;
    must(beck_topic_create(f->store, "u", &options, &topic, &f->error), &f->error);
    beck_partition_close(f->partition);
    f->partition = must_open_partition(f->store, "u", 0);
    must(append_times(f, BECK_COMPRESSION_GZIP, 0, 0, 5000), &f->error);
}

/* ---- keys ---------------------------------------------------------------------------------- */

static int append_keys(struct fixture *f, enum beck_compression codec, int32_t second,
                       int32_t third)
{
    const int32_t sizes[] = {1, second, third};
    struct beck_append_result result;
    forge_begin(&forge);
    for (int i = 0; i < 3; i++) {
        struct beck_record record = {.key = "k", .key_size = sizes[i], .value_size = -1};
        forge_record(&forge, &record, i, 0);
    }
    if (codec != BECK_COMPRESSION_NONE)
        forge_compress(&forge, codec);
    forge_seal(&forge);
    return beck_append(f->partition, forge.bytes, forge.size, BECK_ACKS_LEADER, &result, &f->error);
}

static void a_compacted_topic_wants_keys(void **state)
{
    struct fixture *f = *state;
    (void)open_with(f, "cleanup.policy", "compact,delete");
    for (enum beck_compression codec = 0; codec <= BECK_COMPRESSION_ZSTD; codec++) {
        must(append_keys(f, codec, 0, 1), &f->error); /* an empty key is one */
        assert_int_equal(append_keys(f, codec, 0, -1), -ENOKEY);
        assert_int_equal(f->error.record, 2);
        assert_non_null(strstr(f->error.message, "record 2 of the batch has no key"));
        assert_int_equal(append_keys(f, codec, -1, -1), -ENOKEY);
        assert_int_equal(f->error.record, 1);
        assert_int_equal(must_state(f->partition).next_offset, 3 * ((int)codec + 1));
    }
}

static void all_records_that_are_kept_out_can_be_listed(void **state)
{
    struct fixture *f = *state;
    struct beck_refusal list[2];
    uint32_t count;
    (void)open_with(f, "cleanup.policy", "compact");
    for (enum beck_compression codec = 0; codec <= BECK_COMPRESSION_ZSTD; codec++) {
        assert_int_equal(append_keys(f, codec, -1, -1), -ENOKEY);
        must(
            beck_append_refusals(f->partition, forge.bytes, forge.size, list, 2, &count, &f->error),
            &f->error);
        assert_int_equal(count, 2);
        for (int i = 0; i < 2; i++) {
            assert_int_equal(list[i].record, i + 1);
            assert_int_equal(list[i].code, -ENOKEY);
        }
        list[1].record = 77;
        must(
            beck_append_refusals(f->partition, forge.bytes, forge.size, list, 1, &count, &f->error),
            &f->error);
        assert_int_equal(count, 2);
        assert_int_equal(list[1].record, 77);
    }
    forge.bytes[forge.size - 1] ^= 1;
    assert_int_equal(
        beck_append_refusals(f->partition, forge.bytes, forge.size, list, 2, &count, &f->error),
        -EBADMSG);
}

static void a_wrong_time_outweighs_a_missing_key(void **state)
{
    struct fixture *f = *state;
    const struct beck_config configs[] = {{"message.timestamp.before.max.ms", "1000"},
                                          {"cleanup.policy", "compact"}};
    const struct beck_topic_options options = {.configs = configs, .config_count = 2};
    struct beck_topic topic;
    struct beck_append_result result;
    struct beck_refusal list[4];
    uint32_t count;
    must(beck_topic_create(f->store, "u", &options, &topic, &f->error), &f->error);
    beck_partition_close(f->partition);
    f->partition = must_open_partition(f->store, "u", 0);
    int64_t now = now_ms();
    const struct beck_record no_key = {.key_size = -1, .value_size = -1};
    const struct beck_record key = {.key = "k", .key_size = 1, .value_size = -1};
    forge_begin(&forge);
    forge.header.base_timestamp_ms = now;
    forge.header.max_timestamp_ms = now;
    forge_record(&forge, &no_key, 0, 0);
    forge_record(&forge, &key, 1, -HOUR);
    forge_record(&forge, &no_key, 2, -HOUR);
    forge_seal(&forge);
    assert_int_equal(
        beck_append(f->partition, forge.bytes, forge.size, BECK_ACKS_LEADER, &result, &f->error),
        -ETIME);
    assert_int_equal(f->error.record, 1);
    must(beck_append_refusals(f->partition, forge.bytes, forge.size, list, 4, &count, &f->error),
         &f->error);
    assert_int_equal(count, 3);
    assert_int_equal(list[0].code, -ENOKEY);
    assert_int_equal(list[1].code, -ETIME);
    assert_int_equal(list[1].timestamp_ms, now - HOUR);
    assert_int_equal(list[2].code, -ENOKEY);
}

static void other_topics_do_not(void **state)
{
    struct fixture *f = *state;
    must(append_keys(f, BECK_COMPRESSION_NONE, -1, -1), &f->error);
}

static void a_malformed_record_is_named(void **state)
{
    struct fixture *f = *state;
    struct beck_append_result result;
    const struct beck_record record = {.key_size = -1, .value_size = -1};
    forge_begin(&forge);
    forge_record(&forge, &record, 0, 0);
    forge_record(&forge, &record, 7, 0);
    forge.header.last_offset_delta = 1;
    forge_seal(&forge);
    assert_int_equal(
        beck_append(f->partition, forge.bytes, forge.size, BECK_ACKS_LEADER, &result, &f->error),
        -EINVAL);
    assert_int_equal(f->error.record, 1);
    forge.bytes[20] ^= 1;
    assert_int_equal(
        beck_append(f->partition, forge.bytes, forge.size, BECK_ACKS_LEADER, &result, &f->error),
        -EBADMSG);
    assert_int_equal(f->error.record, -1);
}

#define TEST(function) cmocka_unit_test_setup_teardown(function, setup_partition, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(without_limits_any_time_is_taken),
        TEST(times_long_ago_are_refused),
        TEST(times_far_ahead_are_refused),
        TEST(how_far_ahead_is_refused_can_be_set),
        TEST(the_older_name_limits_both_sides),
        TEST(a_newer_name_goes_before_the_older_one),
        TEST(a_record_without_a_time_is_in_time),
        TEST(with_log_append_time_no_time_is_refused),
        TEST(a_compacted_topic_wants_keys),
        TEST(all_records_that_are_kept_out_can_be_listed),
        TEST(a_wrong_time_outweighs_a_missing_key),
        TEST(other_topics_do_not),
        TEST(a_malformed_record_is_named),
    };
    return cmocka_run_group_tests_name("store/rules", tests, NULL, NULL);
}

/* SPDX-License-Identifier: Apache-2.0 */
/* Finding records by time: the first that is not before one, and the first with the largest. */
#include "forge.h"
#include "store_fixture.h"

#include <string.h>
#include <unistd.h>

static struct forge forge;

/* One batch of records at these times. */
static void append_times(struct fixture *f, enum beck_compression codec, enum beck_acks acks,
                         const int64_t *times, int count)
{
    const struct beck_record record = {.key_size = -1, .value = "v", .value_size = 1};
    struct beck_append_result result;
    forge_begin(&forge);
    forge.header.base_timestamp_ms = times[0];
    forge.header.max_timestamp_ms = times[0];
    for (int i = 0; i < count; i++)
        forge_record(&forge, &record, i, times[i] - times[0]);
    if (codec != BECK_COMPRESSION_NONE)
        forge_compress(&forge, codec);
    forge_seal(&forge);
    must(beck_append(f->partition, forge.bytes, forge.size, acks, &result, &f->error), &f->error);
}

#define APPEND(f, ...)                                                                             \
    append_times(f, BECK_COMPRESSION_NONE, BECK_ACKS_LEADER, (const int64_t[]){__VA_ARGS__},       \
                 sizeof((const int64_t[]){__VA_ARGS__}) / sizeof(int64_t))

static void assert_time(struct fixture *f, int64_t time, int64_t offset, int64_t found)
{
    int64_t at = -1;
    int64_t found_ms = -1;
    int r = (int)must(
        beck_offset_for_time(f->partition, time, BECK_READ_UNCOMMITTED, &at, &found_ms, &f->error),
        &f->error);
    assert_int_equal(r, offset >= 0);
    assert_int_equal(at, offset);
    assert_int_equal(found_ms, found);
}

static void assert_max(struct fixture *f, int64_t offset, int64_t time)
{
    int64_t at = -1;
    int64_t found = -1;
    int r = (int)must(beck_offset_of_max_time(f->partition, &at, &found, &f->error), &f->error);
    assert_int_equal(r, offset >= 0);
    assert_int_equal(at, offset);
    assert_int_equal(found, time);
}

static void an_empty_partition_has_no_times(void **state)
{
    struct fixture *f = *state;
    assert_time(f, 0, -1, -1);
    assert_max(f, -1, -1);
}

static void the_first_of_the_largest_is_found(void **state)
{
    struct fixture *f = *state;
    APPEND(f, 10, 30, 20);
    APPEND(f, 30, 5);
    APPEND(f, 29);
    assert_max(f, 1, 30);
    assert_time(f, 11, 1, 30);
    assert_time(f, 31, -1, -1);
    assert_time(f, 0, 0, 10);
}

static void times_before_the_epoch_are_times(void **state)
{
    struct fixture *f = *state;
    APPEND(f, -500, -300, -400);
    assert_max(f, 1, -300);
    assert_time(f, -450, 1, -300);
}

static void a_record_inside_a_compressed_batch_is_found(void **state)
{
    struct fixture *f = *state;
    const int64_t times[] = {10, 40, 20, 40};
    for (enum beck_compression codec = 0; codec <= BECK_COMPRESSION_ZSTD; codec++) {
        append_times(f, codec, BECK_ACKS_LEADER, times, 4);
        assert_max(f, 1, 40);
    }
    assert_time(f, 15, 1, 40);
}

/* As Kafka has it, which does not look at what kind of batch it is. */
static void a_control_record_has_a_time(void **state)
{
    const uint8_t key[4] = {0, 0, 0, 1};
    const struct beck_record record = {
        .key = key, .key_size = sizeof(key), .value = "\0\0\0\0\0", .value_size = 6};
    struct fixture *f = *state;
    char path[PATH_MAX];
    APPEND(f, 10, 30);
    fixture_close(f);
    segment_path(f, "t", 0, 0, path);
    forge_begin(&forge);
    forge.header.base_timestamp_ms = forge.header.max_timestamp_ms = 50;
    forge_record(&forge, &record, 0, 0);
    forge.header.base_offset = 2;
    forge.header.producer_id = 7;
    forge.header.producer_epoch = 0;
    forge.header.attributes = BATCH_TRANSACTIONAL | BATCH_CONTROL;
    forge_seal(&forge);
    file_append(path, forge.bytes, forge.size);
    store_file(f, "index.mdb", path);
    assert_int_equal(unlink(path), 0);
    fixture_open(f);
    assert_max(f, 2, 50);
    assert_time(f, 31, 2, 50);
    assert_time(f, 51, -1, -1);
    assert_int_equal(count_records(f->partition, 0), 2);
    int64_t start;
    must(beck_trim(f->partition, 1, &start, &f->error), &f->error);
    assert_max(f, 2, 50);
}

/* What is not visible yet is not found, however large its time is. */
static void the_hidden_part_is_not_searched(void **state)
{
    struct fixture *f = *state;
    const int64_t late[] = {1000, 2000};
    APPEND(f, 10, 30);
    append_times(f, BECK_COMPRESSION_NONE, BECK_ACKS_ALL, late, 2);
    assert_int_equal(must_state(f->partition).high_watermark, 2);
    assert_max(f, 1, 30);
    assert_time(f, 500, -1, -1);
    must(beck_sync(f->partition, 4, &f->error), &f->error);
    assert_max(f, 3, 2000);
    assert_time(f, 500, 2, 1000);
}

static void nothing_visible_has_no_times(void **state)
{
    struct fixture *f = *state;
    const int64_t late[] = {1000};
    append_times(f, BECK_COMPRESSION_NONE, BECK_ACKS_ALL, late, 1);
    assert_max(f, -1, -1);
    assert_time(f, 0, -1, -1);
}

/* What was trimmed is not found, though its segment had the largest time, or its very batch. */
static void what_was_trimmed_is_not_found(void **state)
{
    struct fixture *f = *state;
    int64_t log_start;
    APPEND(f, 90, 80);
    APPEND(f, 70, 10, 60, 50);
    APPEND(f, 20);
    for (int64_t offset = 2; offset <= 7; offset++) {
        static const int64_t due[][2] = {{2, 70}, {4, 60}, {4, 60}, {5, 50}, {6, 20}, {-1, -1}};
        must(beck_trim(f->partition, offset, &log_start, &f->error), &f->error);
        assert_max(f, due[offset - 2][0], due[offset - 2][1]);
        assert_time(f, 0, offset < 7 ? offset : -1,
                    offset < 7 ? (int64_t[]){70, 10, 60, 50, 20}[offset - 2] : -1);
        assert_time(f, 71, -1, -1);
    }
}

/* With LogAppendTime all records of a batch have the time of the append. */
static void the_time_of_the_append_is_that_of_each_record(void **state)
{
    struct fixture *f = *state;
    const int64_t times[] = {10, 99999999999999, 20};
    must_create_topic(f->store, "log", 1, "message.timestamp.type", "LogAppendTime");
    beck_partition_close(f->partition);
    f->partition = must_open_partition(f->store, "log", 0);
    for (enum beck_compression codec = 0; codec <= BECK_COMPRESSION_ZSTD; codec++) {
        int64_t first = -1;
        int64_t first_ms = -1;
        append_times(f, codec, BECK_ACKS_LEADER, times, 3);
        assert_int_equal(must(beck_offset_for_time(f->partition, 1000, BECK_READ_UNCOMMITTED,
                                                   &first, &first_ms, &f->error),
                              &f->error),
                         1);
        assert_int_equal(first, 0);
        assert_true(first_ms > FIXTURE_TIME && first_ms < times[1]);
        assert_time(f, times[1], -1, -1);
        must(beck_offset_of_max_time(f->partition, &first, &first_ms, &f->error), &f->error);
        assert_int_equal(first % 3, 0);
        assert_true(first_ms < times[1]);
    }
}

#define TEST(function) cmocka_unit_test_setup_teardown(function, setup_partition, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(an_empty_partition_has_no_times),
        TEST(the_first_of_the_largest_is_found),
        TEST(times_before_the_epoch_are_times),
        TEST(a_record_inside_a_compressed_batch_is_found),
        TEST(a_control_record_has_a_time),
        TEST(the_hidden_part_is_not_searched),
        TEST(nothing_visible_has_no_times),
        TEST(what_was_trimmed_is_not_found),
        TEST(the_time_of_the_append_is_that_of_each_record),
    };
    return cmocka_run_group_tests_name("store/time", tests, NULL, NULL);
}

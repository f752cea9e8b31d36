/* SPDX-License-Identifier: Apache-2.0 */
/* The batch builder: its batches pass the check, its limits are exact, its memory is kept. */
#include "batch.h"
#include "compression.h"
#include "record.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include <cmocka.h>

#include "memory.h"

static struct beck_batch_builder *builder;
static struct beck_error error;
static struct batch_summary summary;

static void make(enum beck_compression compression, uint32_t max_bytes)
{
    builder = beck_batch_builder_free(builder);
    assert_int_equal(beck_batch_builder_new(compression, max_bytes, &builder, &error), 0);
}

static int add_text(const char *value)
{
    const struct beck_record record = {.timestamp_ms = 1000,
                                       .key_size = -1,
                                       .value = value,
                                       .value_size = value == NULL ? -1 : (int32_t)strlen(value)};
    return beck_batch_builder_add(builder, &record);
}

/* Finish, check as a broker would, and keep the summary. */
static size_t finish_and_check(void)
{
    const void *batch = NULL;
    size_t size = 0;
    struct decompressor *decompressor = NULL;
    assert_int_equal(beck_batch_builder_finish(builder, &batch, &size, &error), 0);
    assert_int_equal(decompressor_new(&decompressor), 0);
    assert_int_equal(
        batch_check(batch, size, BATCH_FROM_PRODUCER, decompressor, 1 << 24, &summary, &error), 0);
    (void)decompressor_free(decompressor);
    return size;
}

static void test_builds_a_batch_that_passes(void **state)
{
    (void)state;
    for (int codec = BECK_COMPRESSION_NONE; codec <= BECK_COMPRESSION_ZSTD; codec++) {
        make((enum beck_compression)codec, 1 << 20);
        for (int i = 0; i < 200; i++)
            assert_int_equal(add_text("a value, the same each time"), 0);
        assert_int_equal(beck_batch_builder_count(builder), 200);
        (void)finish_and_check();
        assert_int_equal(summary.header.record_count, 200);
        assert_int_equal(summary.header.attributes, codec);
        assert_int_equal(summary.view_bytes, 200 * 28);
    }
}

static void test_header_names_no_producer(void **state)
{
    (void)state;
    make(BECK_COMPRESSION_NONE, 1000);
    assert_int_equal(add_text("x"), 0);
    (void)finish_and_check();
    assert_int_equal(summary.header.base_offset, 0);
    assert_int_equal(summary.header.leader_epoch, -1);
    assert_int_equal(summary.header.producer_id, -1);
    assert_int_equal(summary.header.producer_epoch, -1);
    assert_int_equal(summary.header.base_sequence, -1);
}

static void test_keeps_all_of_a_record(void **state)
{
    (void)state;
    make(BECK_COMPRESSION_NONE, 1000);
    const struct beck_record written = {.offset = 999,
                                        .timestamp_ms = 5,
                                        .key = "k",
                                        .key_size = 1,
                                        .value_size = -1,
                                        .headers = "\2a\4bc",
                                        .headers_size = 5,
                                        .header_count = 1};
    assert_int_equal(add_text("first"), 0);
    assert_int_equal(beck_batch_builder_add(builder, &written), 0);
    const void *batch = NULL;
    size_t size = 0;
    assert_int_equal(beck_batch_builder_finish(builder, &batch, &size, &error), 0);
    struct batch_header header;
    struct record_iterator iterator;
    struct beck_record record;
    assert_int_equal(batch_header_read(batch, size, &header, NULL), 0);
    record_iterator_init(&iterator, &header, (const char *)batch + BATCH_HEADER_BYTES,
                         size - BATCH_HEADER_BYTES);
    assert_int_equal(record_next(&iterator, &record), 1);
    assert_int_equal(record_next(&iterator, &record), 1);
    assert_int_equal(record.offset, 1);
    assert_int_equal(record.timestamp_ms, 5);
    assert_int_equal(record.key_size, 1);
    assert_int_equal(record.value_size, -1);
    assert_int_equal(record.headers_size, 5);
    assert_memory_equal(record.headers, "\2a\4bc", 5);
}

static void test_timestamps_may_go_back(void **state)
{
    (void)state;
    make(BECK_COMPRESSION_NONE, 1000);
    static const int64_t times[] = {5000, INT64_MAX, 1, 7000};
    for (size_t i = 0; i < 4; i++)
        assert_int_equal(
            beck_batch_builder_add(
                builder,
                &(struct beck_record){.timestamp_ms = times[i], .key_size = -1, .value_size = -1}),
            0);
    (void)finish_and_check();
    assert_int_equal(summary.header.base_timestamp_ms, 5000);
    assert_int_equal(summary.header.max_timestamp_ms, INT64_MAX);
    assert_int_equal(summary.max_timestamp_ms, INT64_MAX);
    assert_int_equal(summary.max_timestamp_offset_delta, 1);
}

/* By the clock that the builder asks: time() may be a tick behind it, and so in another second. */
static int64_t now_ms(void)
{
    struct timespec now;
    assert_int_equal(clock_gettime(CLOCK_REALTIME, &now), 0);
    return (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

static void test_no_timestamp_means_now(void **state)
{
    (void)state;
    make(BECK_COMPRESSION_NONE, 1000);
    int64_t before = now_ms();
    static const int64_t times[] = {0, -1, INT64_MIN};
    for (size_t i = 0; i < 3; i++)
        assert_int_equal(
            beck_batch_builder_add(
                builder,
                &(struct beck_record){.timestamp_ms = times[i], .key_size = -1, .value_size = -1}),
            0);
    (void)finish_and_check();
    assert_in_range(summary.header.base_timestamp_ms, before, now_ms());
    assert_int_equal(summary.max_timestamp_ms, summary.header.base_timestamp_ms);
}

/* ---- limits ---- */

static void test_limit_is_exact(void **state)
{
    (void)state;
    /* header, and records of 7 fields and one byte of value */
    make(BECK_COMPRESSION_NONE, BATCH_HEADER_BYTES + 3 * 8);
    assert_int_equal(add_text("a"), 0);
    assert_int_equal(add_text("b"), 0);
    assert_int_equal(add_text("cc"), -EMSGSIZE);
    assert_int_equal(add_text("c"), 0);
    assert_int_equal(add_text(NULL), -EMSGSIZE);
    assert_int_equal(beck_batch_builder_count(builder), 3);
    assert_int_equal(finish_and_check(), BATCH_HEADER_BYTES + 3 * 8);
}

static void test_record_that_is_too_large_alone(void **state)
{
    (void)state;
    make(BECK_COMPRESSION_NONE, 100);
    char value[101];
    memset(value, 'v', 100);
    value[100] = '\0';
    assert_int_equal(add_text(value), -EMSGSIZE);
    assert_int_equal(beck_batch_builder_count(builder), 0);
    value[20] = '\0';
    assert_int_equal(add_text(value), 0);
}

static void test_limits_of_the_limit(void **state)
{
    (void)state;
    struct beck_batch_builder *none = NULL;
    assert_int_equal(beck_batch_builder_new(BECK_COMPRESSION_NONE, 67, &none, &error), -EINVAL);
    assert_int_equal(
        beck_batch_builder_new(BECK_COMPRESSION_NONE, BECK_BATCH_BYTES_LIMIT + 1, &none, &error),
        -EMSGSIZE);
    assert_int_equal(beck_batch_builder_new((enum beck_compression)5, 1000, &none, &error),
                     -EPROTONOSUPPORT);
    assert_null(none);
}

static void test_refuses_sizes_and_headers_that_are_wrong(void **state)
{
    (void)state;
    make(BECK_COMPRESSION_NONE, 1000);
    struct beck_record record = {.key_size = -2, .value_size = -1};
    assert_int_equal(beck_batch_builder_add(builder, &record), -EINVAL);
    record = (struct beck_record){.key_size = -1, .value_size = -1, .header_count = 1};
    assert_int_equal(beck_batch_builder_add(builder, &record), -EINVAL);
    record.headers = "\2a\4b";
    record.headers_size = 4;
    assert_int_equal(beck_batch_builder_add(builder, &record), -EINVAL);
    record.headers = "\2a\2b";
    record.header_count = 2;
    assert_int_equal(beck_batch_builder_add(builder, &record), -EINVAL);
    assert_int_equal(beck_batch_builder_count(builder), 0);
}

static void test_never_grows_by_compression(void **state)
{
    (void)state;
    for (int codec = BECK_COMPRESSION_NONE; codec <= BECK_COMPRESSION_ZSTD; codec++) {
        make((enum beck_compression)codec, 1000);
        assert_int_equal(add_text("x"), 0);
        assert_int_equal(finish_and_check(), BATCH_HEADER_BYTES + 8);
        assert_int_equal(summary.header.attributes, 0);
    }
}

/* ---- states ---- */

static void test_finish_needs_a_record(void **state)
{
    (void)state;
    make(BECK_COMPRESSION_NONE, 1000);
    const void *batch = NULL;
    size_t size = 0;
    assert_int_equal(beck_batch_builder_finish(builder, &batch, &size, &error), -ENODATA);
    assert_null(batch);
}

static void test_is_full_when_finished(void **state)
{
    (void)state;
    make(BECK_COMPRESSION_ZSTD, 1000);
    assert_int_equal(add_text("some text, some text, some text, some text, some text"), 0);
    size_t size = finish_and_check();
    assert_int_equal(add_text("x"), -EMSGSIZE);
    assert_int_equal(beck_batch_builder_count(builder), 1);
    assert_int_equal(finish_and_check(), size);
}

static void test_reset_begins_anew(void **state)
{
    (void)state;
    make(BECK_COMPRESSION_LZ4, 1000);
    assert_int_equal(add_text("first"), 0);
    (void)finish_and_check();
    beck_batch_builder_reset(builder);
    assert_int_equal(beck_batch_builder_count(builder), 0);
    assert_int_equal(add_text("se"), 0);
    assert_int_equal(add_text("co"), 0);
    (void)finish_and_check();
    assert_int_equal(summary.header.record_count, 2);
    assert_int_equal(summary.view_bytes, 6);
}

static void test_free_takes_null(void **state)
{
    (void)state;
    assert_null(beck_batch_builder_free(NULL));
}

/* ---- memory ---- */

/* A batch of nearly a MiB. Returns the first failure. */
static int build_large(void)
{
    static char value[1000];
    memset(value, 'v', sizeof(value) - 1);
    for (int i = 0; i < 1000; i++) {
        int result = add_text(value);
        if (result < 0)
            return result;
    }
    const void *batch = NULL;
    size_t size = 0;
    return beck_batch_builder_finish(builder, &batch, &size, &error);
}

static void test_allocates_nothing_once_it_has_grown(void **state)
{
    (void)state;
    for (int codec = BECK_COMPRESSION_NONE; codec <= BECK_COMPRESSION_ZSTD; codec++) {
        make((enum beck_compression)codec, 1 << 20);
        assert_int_equal(build_large(), 0);
        beck_batch_builder_reset(builder);
        memory_watch(0);
        assert_int_equal(build_large(), 0);
        assert_int_equal(memory_requests, 0);
    }
}

static void test_takes_no_more_than_its_limit(void **state)
{
    (void)state;
    memory_watch(0);
    make(BECK_COMPRESSION_NONE, 700000);
    assert_int_equal(build_large(), -EMSGSIZE);
    assert_int_equal(memory_largest, 700000);
}

static void test_each_failed_allocation_is_told(void **state)
{
    (void)state;
    for (int codec = BECK_COMPRESSION_NONE; codec <= BECK_COMPRESSION_ZSTD; codec++) {
        builder = beck_batch_builder_free(builder);
        int result = -ENOMEM;
        for (unsigned fail_at = 1; result < 0; fail_at++) {
            memory_watch(fail_at);
            result =
                beck_batch_builder_new((enum beck_compression)codec, 1 << 20, &builder, &error);
            if (result == 0)
                result = build_large();
            assert_true(result == 0 || result == -ENOMEM);
            if (result == 0)
                assert_true(fail_at > 3);
            builder = beck_batch_builder_free(builder);
        }
        memory_watch(0);
    }
}

static int end(void **state)
{
    (void)state;
    memory_watch(0);
    builder = beck_batch_builder_free(builder);
    return 0;
}

#define TEST(name) cmocka_unit_test_teardown(name, end)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(test_builds_a_batch_that_passes),
        TEST(test_header_names_no_producer),
        TEST(test_keeps_all_of_a_record),
        TEST(test_timestamps_may_go_back),
        TEST(test_no_timestamp_means_now),
        TEST(test_limit_is_exact),
        TEST(test_record_that_is_too_large_alone),
        TEST(test_limits_of_the_limit),
        TEST(test_refuses_sizes_and_headers_that_are_wrong),
        TEST(test_never_grows_by_compression),
        TEST(test_finish_needs_a_record),
        TEST(test_is_full_when_finished),
        TEST(test_reset_begins_anew),
        TEST(test_free_takes_null),
        TEST(test_allocates_nothing_once_it_has_grown),
        TEST(test_takes_no_more_than_its_limit),
        TEST(test_each_failed_allocation_is_told),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

/* SPDX-License-Identifier: Apache-2.0 */
/* Records one by one: reading, writing, headers. */
#include "record.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

static uint8_t bytes[4096];

static const struct beck_record full = {
    .key = "key",
    .key_size = 3,
    .value = "value",
    .value_size = 5,
    .headers = "\2a\4bc\0\1",
    .headers_size = 7,
    .header_count = 2,
};

static struct record_iterator iterate(const struct batch_header *header, size_t size)
{
    struct record_iterator iterator;
    record_iterator_init(&iterator, header, bytes, size);
    return iterator;
}

/* ---- writing ---- */

static void test_writes_the_documented_form(void **state)
{
    (void)state;
    ssize_t size = record_write(bytes, sizeof(bytes), &full, 1, -2);
    static const uint8_t expected[] = "\x2a\0\3\2\6key\x0avalue\4\2a\4bc\0\1";
    assert_int_equal(size, sizeof(expected) - 1);
    assert_memory_equal(bytes, expected, sizeof(expected) - 1);
}

static void test_needs_exactly_its_room(void **state)
{
    (void)state;
    ssize_t size = record_write(bytes, sizeof(bytes), &full, 1, -2);
    for (size_t room = 0; room < (size_t)size; room++) {
        uint8_t small[64];
        memset(small, 0xee, sizeof(small));
        assert_int_equal(record_write(small, room, &full, 1, -2), -EMSGSIZE);
        assert_int_equal(small[0], 0xee);
    }
    assert_int_equal(record_write(bytes, (size_t)size, &full, 1, -2), size);
}

static void test_foretells_the_most_that_it_needs(void **state)
{
    (void)state;
    size_t most = record_bytes_max(&full);
    ssize_t size = record_write(bytes, sizeof(bytes), &full, INT32_MIN, INT64_MIN);
    assert_true(size > 0 && (size_t)size <= most);
    const struct beck_record nulls = {.key_size = -1, .value_size = -1};
    size = record_write(bytes, sizeof(bytes), &nulls, INT32_MIN, INT64_MIN);
    assert_true(size > 0 && (size_t)size <= record_bytes_max(&nulls));
}

static void test_refuses_sizes_below_null(void **state)
{
    (void)state;
    struct beck_record record = {.key_size = -2, .value_size = -1};
    assert_int_equal(record_write(bytes, sizeof(bytes), &record, 0, 0), -EINVAL);
    record = (struct beck_record){.key_size = -1, .value_size = INT32_MIN};
    assert_int_equal(record_write(bytes, sizeof(bytes), &record, 0, 0), -EINVAL);
}

static void test_refuses_more_than_a_length_can_say(void **state)
{
    (void)state;
    const struct beck_record record = {
        .key = bytes, .key_size = INT32_MAX, .value = bytes, .value_size = INT32_MAX};
    assert_int_equal(record_write(bytes, SIZE_MAX, &record, 0, 0), -EMSGSIZE);
}

/* ---- reading ---- */

static void test_reads_what_was_written(void **state)
{
    (void)state;
    ssize_t size = record_write(bytes, sizeof(bytes), &full, 1, -2);
    const struct batch_header header = {
        .base_offset = 100, .base_timestamp_ms = 5000, .record_count = 1};
    struct record_iterator iterator = iterate(&header, (size_t)size);
    struct beck_record record;
    assert_int_equal(record_next(&iterator, &record), 1);
    assert_int_equal(record.offset, 101);
    assert_int_equal(record.timestamp_ms, 4998);
    assert_int_equal(record.key_size, 3);
    assert_memory_equal(record.key, "key", 3);
    assert_int_equal(record.value_size, 5);
    assert_memory_equal(record.value, "value", 5);
    assert_int_equal(record.header_count, 2);
    assert_int_equal(record.headers_size, 7);
    assert_memory_equal(record.headers, full.headers, 7);
    assert_false(record.log_append_time);
    assert_int_equal(record_next(&iterator, &record), 0);
    assert_int_equal(record_next(&iterator, &record), 0);
}

static void test_null_and_empty_stay_apart(void **state)
{
    (void)state;
    const struct beck_record written = {.key = "", .key_size = 0, .value_size = -1};
    ssize_t size = record_write(bytes, sizeof(bytes), &written, 0, 0);
    const struct batch_header header = {.record_count = 1};
    struct record_iterator iterator = iterate(&header, (size_t)size);
    struct beck_record record;
    assert_int_equal(record_next(&iterator, &record), 1);
    assert_int_equal(record.key_size, 0);
    assert_non_null(record.key);
    assert_int_equal(record.value_size, -1);
    assert_null(record.value);
}

static void test_log_append_time_is_of_all(void **state)
{
    (void)state;
    ssize_t size = record_write(bytes, sizeof(bytes), &full, 0, 7);
    const struct batch_header header = {.attributes = BATCH_LOG_APPEND_TIME,
                                        .base_timestamp_ms = 1,
                                        .max_timestamp_ms = 9999,
                                        .record_count = 1};
    struct record_iterator iterator = iterate(&header, (size_t)size);
    struct beck_record record;
    assert_int_equal(record_next(&iterator, &record), 1);
    assert_int_equal(record.timestamp_ms, 9999);
    assert_true(record.log_append_time);
}

static void test_no_records(void **state)
{
    (void)state;
    const struct batch_header header = {.record_count = 0};
    struct record_iterator iterator = iterate(&header, 0);
    struct beck_record record;
    assert_int_equal(record_next(&iterator, &record), 0);
    iterator = iterate(&header, 1);
    assert_int_equal(record_next(&iterator, &record), -EBADMSG);
}

static void test_malformed_stays_before_it(void **state)
{
    (void)state;
    ssize_t size = record_write(bytes, sizeof(bytes), &full, 0, 0);
    const struct batch_header header = {.record_count = 1};
    for (size_t cut = 0; cut < (size_t)size; cut++) {
        struct record_iterator iterator = iterate(&header, cut);
        struct beck_record record;
        assert_int_equal(record_next(&iterator, &record), -EBADMSG);
        assert_ptr_equal(iterator.at, bytes);
    }
}

static void test_offsets_and_times_beyond_64_bits(void **state)
{
    (void)state;
    ssize_t size = record_write(bytes, sizeof(bytes), &full, 2, 2);
    struct beck_record record;
    struct batch_header header = {.record_count = 1, .base_offset = INT64_MAX - 1};
    struct record_iterator iterator = iterate(&header, (size_t)size);
    assert_int_equal(record_next(&iterator, &record), -EBADMSG);
    header = (struct batch_header){.record_count = 1, .base_timestamp_ms = INT64_MAX - 1};
    iterator = iterate(&header, (size_t)size);
    assert_int_equal(record_next(&iterator, &record), -EBADMSG);
}

static void test_negative_offset_delta(void **state)
{
    (void)state;
    ssize_t size = record_write(bytes, sizeof(bytes), &full, -1, 0);
    const struct batch_header header = {.record_count = 1, .base_offset = 50};
    struct record_iterator iterator = iterate(&header, (size_t)size);
    struct beck_record record;
    assert_int_equal(record_next(&iterator, &record), -EBADMSG);
}

/* ---- headers ---- */

static void test_walks_headers(void **state)
{
    (void)state;
    struct beck_header header;
    size_t position = 0;
    assert_int_equal(beck_header_next(&full, &position, &header), 1);
    assert_int_equal(header.name_size, 1);
    assert_memory_equal(header.name, "a", 1);
    assert_int_equal(header.value_size, 2);
    assert_memory_equal(header.value, "bc", 2);
    assert_int_equal(beck_header_next(&full, &position, &header), 1);
    assert_int_equal(header.name_size, 0);
    assert_int_equal(header.value_size, -1);
    assert_null(header.value);
    assert_int_equal(beck_header_next(&full, &position, &header), 0);
    assert_int_equal(beck_header_next(&full, &position, &header), 0);
}

static void test_no_headers(void **state)
{
    (void)state;
    const struct beck_record record = {.key_size = -1, .value_size = -1};
    struct beck_header header;
    size_t position = 0;
    assert_int_equal(beck_header_next(&record, &position, &header), 0);
}

static void test_headers_that_are_damaged(void **state)
{
    (void)state;
    static const struct {
        const char *bytes;
        uint32_t size;
    } cases[] = {
        {"\1\0", 2},    /* a name that is null */
        {"\4a", 2},     /* a name beyond the end */
        {"\2a", 2},     /* no value */
        {"\2a\4b", 4},  /* a value beyond the end */
        {"\2a\3", 3},   /* a value below null */
        {"\x80", 1},    /* a length that is cut off */
        {"\2a\x80", 3}, /* the same of the value */
    };
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        const struct beck_record record = {
            .headers = cases[i].bytes, .headers_size = cases[i].size, .header_count = 1};
        struct beck_header header;
        size_t position = 0;
        assert_int_equal(beck_header_next(&record, &position, &header), -EBADMSG);
        assert_int_equal(position, 0);
    }
}

static void test_position_beyond_the_headers(void **state)
{
    (void)state;
    struct beck_header header;
    size_t position = full.headers_size + 1;
    assert_int_equal(beck_header_next(&full, &position, &header), -EBADMSG);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_writes_the_documented_form),
        cmocka_unit_test(test_needs_exactly_its_room),
        cmocka_unit_test(test_foretells_the_most_that_it_needs),
        cmocka_unit_test(test_refuses_sizes_below_null),
        cmocka_unit_test(test_refuses_more_than_a_length_can_say),
        cmocka_unit_test(test_reads_what_was_written),
        cmocka_unit_test(test_null_and_empty_stay_apart),
        cmocka_unit_test(test_log_append_time_is_of_all),
        cmocka_unit_test(test_no_records),
        cmocka_unit_test(test_malformed_stays_before_it),
        cmocka_unit_test(test_offsets_and_times_beyond_64_bits),
        cmocka_unit_test(test_negative_offset_delta),
        cmocka_unit_test(test_walks_headers),
        cmocka_unit_test(test_no_headers),
        cmocka_unit_test(test_headers_that_are_damaged),
        cmocka_unit_test(test_position_beyond_the_headers),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

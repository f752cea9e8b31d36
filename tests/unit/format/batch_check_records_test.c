/* SPDX-License-Identifier: Apache-2.0 */
/* Checking batches: each thing in their records that is refused, compressed or not, with its place.
 */
#include "batch_check_fixture.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

/* ---- records ---- */

static void test_refuses_fewer_records_than_counted(void **state)
{
    (void)state;
    three_records();
    forge.header.record_count = 4;
    forge.header.last_offset_delta = 3;
    char message[128];
    (void)snprintf(message, sizeof(message),
                   "record 3 of the batch, at byte %zu: missing, as the batch ends before its "
                   "record count",
                   forge.size);
    assert_refused(BATCH_FROM_PRODUCER, -EINVAL, (int64_t)forge.size, message);
}

static void test_refuses_more_records_than_counted(void **state)
{
    (void)state;
    forge_value(&forge, "value");
    size_t first = forge.size;
    forge_value(&forge, "more");
    forge.header.record_count = 1;
    forge.header.last_offset_delta = 0;
    char message[128];
    (void)snprintf(message, sizeof(message),
                   "record 1 of the batch, at byte %zu: bytes are left over behind the last record",
                   first);
    assert_refused(BATCH_FROM_PRODUCER, -EINVAL, (int64_t)first, message);
}

static void test_refuses_bytes_of_an_emptied_batch(void **state)
{
    (void)state;
    forge_raw(&forge, "x", 1);
    assert_int_equal(seal_and_check(BATCH_FROM_LOG), -EINVAL);
    assert_int_equal(error.byte, 61);
}

/* One record of these bytes, and what is said of it. The record begins at byte 61, its bytes at 62.
 */
static void assert_record_refused(const char *bytes, size_t size, int64_t byte, const char *what)
{
    char message[160];
    forge_begin(&forge);
    forge_raw_record(&forge, bytes, size);
    (void)snprintf(message, sizeof(message), "record 0 of the batch, at byte %d: %s", (int)byte,
                   what);
    assert_refused(BATCH_FROM_PRODUCER, -EINVAL, byte, message);
    assert_int_equal(check(BATCH_FROM_LOG), -EINVAL);
}

static void test_refuses_records_that_are_too_short(void **state)
{
    (void)state;
    assert_record_refused("\0\0\0\1\1", 5, 61, "it is too short to be one");
    assert_record_refused("", 0, 61, "it is too short to be one");
}

static void test_refuses_negative_record_lengths(void **state)
{
    (void)state;
    forge_raw(&forge, "\1\0\0\0\0\0\0\0", 8);
    forge.header.record_count = 1;
    assert_refused(BATCH_FROM_PRODUCER, -EINVAL, 61,
                   "record 0 of the batch, at byte 61: it is too short to be one");
}

static void test_refuses_records_beyond_the_batch(void **state)
{
    (void)state;
    forge_raw(&forge, "\x0e\0\0\0\1\1\0", 7);
    forge.header.record_count = 1;
    assert_refused(BATCH_FROM_PRODUCER, -EINVAL, 61,
                   "record 0 of the batch, at byte 61: it goes beyond the batch's end");
}

static void test_refuses_lengths_that_are_cut_off(void **state)
{
    (void)state;
    forge_raw(&forge, "\xff\xff", 2);
    forge.header.record_count = 1;
    assert_refused(BATCH_FROM_PRODUCER, -EINVAL, 61,
                   "record 0 of the batch, at byte 61: its length is cut off");
}

static void test_refuses_fields_that_are_cut_off(void **state)
{
    (void)state;
    assert_record_refused("\0\x80\x80\x80\x80\x80", 6, 63, "its timestamp is cut off");
    assert_record_refused("\0\0\x80\x80\x80\x80", 6, 64, "its offset is cut off");
    assert_record_refused("\0\0\0\x80\x80\x80", 6, 65, "the length of its key is cut off");
    assert_record_refused("\0\0\0\1\x80\x80", 6, 66, "the length of its value is cut off");
    assert_record_refused("\0\0\0\1\1\x80", 6, 67, "its header count is cut off");
    assert_record_refused("\0\0\0\1\2x", 6, 68, "its header count is cut off");
}

static void test_refuses_keys_and_values_beyond_the_record(void **state)
{
    (void)state;
    assert_record_refused("\0\0\0\6\1\0", 6, 65, "its key of 3 bytes goes beyond its end");
    assert_record_refused("\0\0\0\1\x14\0", 6, 66, "its value of 10 bytes goes beyond its end");
    assert_record_refused("\0\0\0\1\xfe\xff\xff\xff\x0f\0", 10, 66,
                          "its value of 2147483647 bytes goes beyond its end");
}

static void test_refuses_lengths_below_null(void **state)
{
    (void)state;
    assert_record_refused("\0\0\0\3\1\0", 6, 65, "its key has the length -2");
    assert_record_refused("\0\0\0\1\xff\xff\xff\xff\x0f\0", 10, 66,
                          "its value has the length -2147483648");
}

static void test_refuses_bytes_behind_the_last_field(void **state)
{
    (void)state;
    assert_record_refused("\0\0\0\1\1\0x", 7, 68, "bytes are left over behind its last field");
}

static void test_refuses_header_counts_that_cannot_be(void **state)
{
    (void)state;
    assert_record_refused("\0\0\0\1\1\1", 6, 67, "its header count is negative");
    assert_record_refused("\0\0\0\1\1\2", 6, 67, "its header count is more than it has room for");
    assert_record_refused("\0\0\0\1\1\4\0\1", 8, 67,
                          "its header count is more than it has room for");
}

static void test_refuses_headers_that_are_wrong(void **state)
{
    (void)state;
    assert_record_refused("\0\0\0\1\1\2\1\0", 8, 68, "its header's name has the length -1");
    assert_record_refused("\0\0\0\1\1\2\x08\0", 8, 68,
                          "its header's name of 4 bytes goes beyond its end");
    assert_record_refused("\0\0\0\1\1\2\2x\x04z", 10, 70,
                          "its header's value of 2 bytes goes beyond its end");
    assert_record_refused("\0\0\0\1\1\2\2x\3", 9, 70, "its header's value has the length -2");
    assert_record_refused("\0\0\0\1\1\2\0\1x", 9, 70, "bytes are left over behind its last header");
    assert_record_refused("\0\0\0\1\1\4\4xy\1", 10, 72,
                          "the length of its header's name is cut off");
}

static void test_refuses_offsets_of_producers_that_are_not_in_order(void **state)
{
    (void)state;
    const struct beck_record record = {.key_size = -1, .value_size = -1};
    forge_record(&forge, &record, 0, 0);
    forge_record(&forge, &record, 2, 0);
    forge.header.last_offset_delta = 1;
    assert_refused(BATCH_FROM_PRODUCER, -EINVAL, 68,
                   "record 1 of the batch, at byte 68: its offset delta is 2");
}

static void test_refuses_offsets_of_logs_that_do_not_rise(void **state)
{
    (void)state;
    const struct beck_record record = {.key_size = -1, .value_size = -1};
    static const int32_t second[] = {4, 3, -1, 10, INT32_MAX};
    for (size_t i = 0; i < sizeof(second) / sizeof(second[0]); i++) {
        forge_begin(&forge);
        forge_record(&forge, &record, 4, 0);
        forge_record(&forge, &record, second[i], 0);
        forge.header.last_offset_delta = 9;
        assert_int_equal(seal_and_check(BATCH_FROM_LOG), -EINVAL);
        assert_int_equal(error.byte, 68);
        assert_non_null(strstr(error.message, "does not rise"));
    }
}

static void test_refuses_timestamps_beyond_64_bits(void **state)
{
    (void)state;
    const struct beck_record record = {.key_size = -1, .value_size = -1};
    forge_record(&forge, &record, 0, INT64_MAX);
    assert_refused(BATCH_FROM_PRODUCER, -EINVAL, 61,
                   "record 0 of the batch, at byte 61: its timestamp is beyond 64 bits");
    forge_begin(&forge);
    forge.header.base_timestamp_ms = -2;
    forge_record(&forge, &record, 0, INT64_MIN);
    assert_int_equal(seal_and_check(BATCH_FROM_PRODUCER), -EINVAL);
}

/* ---- compressed records ---- */

static void test_names_places_in_decompressed_records(void **state)
{
    (void)state;
    forge_value(&forge, "value");
    forge_raw_record(&forge, "\0\0\2\3\1\0", 6);
    forge_compress(&forge, BECK_COMPRESSION_LZ4);
    assert_refused(
        BATCH_FROM_PRODUCER, -EINVAL, 61,
        "record 1 of the batch, at byte 77 when decompressed: its key has the length -2");
}

static void test_refuses_data_that_its_codec_does_not_know(void **state)
{
    (void)state;
    for (int codec = BECK_COMPRESSION_GZIP; codec <= BECK_COMPRESSION_ZSTD; codec++) {
        forge_begin(&forge);
        three_records();
        forge.header.attributes = (uint16_t)codec;
        assert_int_equal(seal_and_check(BATCH_FROM_PRODUCER), -EINVAL);
        assert_int_equal(error.byte, 61);
        assert_non_null(strstr(error.message, codec_name(codec)));
    }
}

static void test_refuses_what_grows_too_large(void **state)
{
    (void)state;
    for (int codec = BECK_COMPRESSION_GZIP; codec <= BECK_COMPRESSION_ZSTD; codec++) {
        forge_begin(&forge);
        three_records();
        size_t plain = forge.size - BATCH_HEADER_BYTES;
        forge_compress(&forge, (enum beck_compression)codec);
        forge_seal(&forge);
        assert_int_equal(batch_check(forge.bytes, forge.size, BATCH_FROM_PRODUCER, decompressor,
                                     plain - 1, &summary, &error),
                         -EMSGSIZE);
        assert_int_equal(batch_check(forge.bytes, forge.size, BATCH_FROM_PRODUCER, decompressor,
                                     plain, &summary, &error),
                         0);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(test_refuses_fewer_records_than_counted),
        TEST(test_refuses_more_records_than_counted),
        TEST(test_refuses_bytes_of_an_emptied_batch),
        TEST(test_refuses_records_that_are_too_short),
        TEST(test_refuses_negative_record_lengths),
        TEST(test_refuses_records_beyond_the_batch),
        TEST(test_refuses_lengths_that_are_cut_off),
        TEST(test_refuses_fields_that_are_cut_off),
        TEST(test_refuses_keys_and_values_beyond_the_record),
        TEST(test_refuses_lengths_below_null),
        TEST(test_refuses_bytes_behind_the_last_field),
        TEST(test_refuses_header_counts_that_cannot_be),
        TEST(test_refuses_headers_that_are_wrong),
        TEST(test_refuses_offsets_of_producers_that_are_not_in_order),
        TEST(test_refuses_offsets_of_logs_that_do_not_rise),
        TEST(test_refuses_timestamps_beyond_64_bits),
        TEST(test_names_places_in_decompressed_records),
        TEST(test_refuses_data_that_its_codec_does_not_know),
        TEST(test_refuses_what_grows_too_large),
    };
    return cmocka_run_group_tests(tests, group_begin, group_end);
}

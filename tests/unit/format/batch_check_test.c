/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Checking batches: what is taken, what is told of it, and each thing in a header that is refused,
 * with its place.
 */
#include "batch_check_fixture.h"

#include <errno.h>
#include <string.h>

/* ---- what is taken ---- */

static void test_takes_a_batch_from_a_producer(void **state)
{
    (void)state;
    three_records();
    assert_int_equal(seal_and_check(BATCH_FROM_PRODUCER), 0);
    assert_int_equal(summary.header.record_count, 3);
    assert_int_equal(summary.view_bytes, 6 + 1 + 1);
    assert_int_equal(summary.max_timestamp_ms, FORGE_TIME + 5);
    assert_int_equal(summary.max_timestamp_offset_delta, 1);
    assert_int_equal(summary.record_bytes, forge.size - BATCH_HEADER_BYTES);
}

static void test_takes_each_codec(void **state)
{
    (void)state;
    for (int codec = BECK_COMPRESSION_GZIP; codec <= BECK_COMPRESSION_ZSTD; codec++) {
        forge_begin(&forge);
        three_records();
        size_t plain = forge.size - BATCH_HEADER_BYTES;
        forge_compress(&forge, (enum beck_compression)codec);
        assert_int_equal(seal_and_check(BATCH_FROM_PRODUCER), 0);
        assert_int_equal(summary.view_bytes, 8);
        assert_int_equal(summary.record_bytes, plain);
    }
}

static void test_takes_headers(void **state)
{
    (void)state;
    const struct beck_record record = {.key_size = -1,
                                       .value_size = -1,
                                       .headers = "\2a\4bc\0\1",
                                       .headers_size = 7,
                                       .header_count = 2};
    forge_record(&forge, &record, 0, 0);
    assert_int_equal(seal_and_check(BATCH_FROM_PRODUCER), 0);
}

static void test_takes_a_batch_without_timestamps(void **state)
{
    (void)state;
    forge.header.base_timestamp_ms = -1;
    forge.header.max_timestamp_ms = -1;
    forge_value(&forge, "v");
    assert_int_equal(seal_and_check(BATCH_FROM_PRODUCER), 0);
    assert_int_equal(summary.max_timestamp_ms, -1);
    assert_int_equal(summary.max_timestamp_offset_delta, 0);
}

static void test_takes_a_max_timestamp_that_is_wrong(void **state)
{
    (void)state;
    three_records();
    forge.header.max_timestamp_ms = 1;
    assert_int_equal(seal_and_check(BATCH_FROM_PRODUCER), 0);
    assert_int_equal(summary.max_timestamp_ms, FORGE_TIME + 5);
}

static void test_takes_idempotent_and_transactional_batches(void **state)
{
    (void)state;
    three_records();
    forge.header.producer_id = 7;
    forge.header.producer_epoch = 0;
    forge.header.base_sequence = 0;
    assert_int_equal(seal_and_check(BATCH_FROM_PRODUCER), 0);
    forge.header.attributes |= BATCH_TRANSACTIONAL;
    assert_int_equal(seal_and_check(BATCH_FROM_PRODUCER), 0);
}

static void test_takes_any_leader_epoch(void **state)
{
    (void)state;
    three_records();
    forge.header.leader_epoch = INT32_MIN;
    assert_int_equal(seal_and_check(BATCH_FROM_PRODUCER), 0);
}

static void test_takes_any_record_attributes(void **state)
{
    (void)state;
    forge_raw_record(&forge, "\x7f\0\0\1\1\0", 6);
    assert_int_equal(seal_and_check(BATCH_FROM_PRODUCER), 0);
}

static void test_takes_holes_in_a_log(void **state)
{
    (void)state;
    forge.header.base_offset = 1000;
    forge_record(&forge, &(struct beck_record){.key_size = -1, .value_size = -1}, 3, 0);
    forge_record(&forge, &(struct beck_record){.key_size = -1, .value_size = -1}, 70, 9);
    forge.header.last_offset_delta = 99;
    assert_int_equal(seal_and_check(BATCH_FROM_LOG), 0);
    assert_int_equal(summary.max_timestamp_offset_delta, 70);
    assert_int_equal(batch_next_offset(&summary.header), 1100);
}

static void test_takes_an_emptied_batch_in_a_log(void **state)
{
    (void)state;
    forge.header.last_offset_delta = 5;
    for (int codec = BECK_COMPRESSION_NONE; codec <= BECK_COMPRESSION_ZSTD; codec++) {
        forge.header.attributes = (uint16_t)codec;
        assert_int_equal(seal_and_check(BATCH_FROM_LOG), 0);
        assert_int_equal(summary.view_bytes, 0);
        assert_int_equal(summary.max_timestamp_ms, FORGE_TIME);
        assert_int_equal(summary.max_timestamp_offset_delta, -1);
    }
}

static void test_control_batch_has_no_view(void **state)
{
    (void)state;
    forge.header.attributes = BATCH_CONTROL | BATCH_TRANSACTIONAL;
    forge.header.producer_id = 7;
    forge.header.producer_epoch = 0;
    const struct beck_record marker = {
        .key = "\0\0\0\1", .key_size = 4, .value = "\0\0\0\0\0\0", .value_size = 6};
    forge_record(&forge, &marker, 0, 0);
    assert_int_equal(seal_and_check(BATCH_FROM_LOG), 0);
    assert_int_equal(summary.view_bytes, 0);
}

static void test_log_append_time_is_the_headers(void **state)
{
    (void)state;
    forge.header.attributes = BATCH_LOG_APPEND_TIME;
    three_records();
    forge.header.max_timestamp_ms = FORGE_TIME + 1000;
    assert_int_equal(seal_and_check(BATCH_FROM_LOG), 0);
    assert_int_equal(summary.max_timestamp_ms, FORGE_TIME + 1000);
    assert_int_equal(summary.max_timestamp_offset_delta, 0);
}

static void test_first_of_equal_timestamps_counts(void **state)
{
    (void)state;
    for (int i = 0; i < 5; i++)
        forge_record(&forge, &(struct beck_record){.key_size = -1, .value_size = -1}, i, i / 2);
    assert_int_equal(seal_and_check(BATCH_FROM_PRODUCER), 0);
    assert_int_equal(summary.max_timestamp_offset_delta, 4);
    forge_record(&forge, &(struct beck_record){.key_size = -1, .value_size = -1}, 5, 2);
    assert_int_equal(seal_and_check(BATCH_FROM_PRODUCER), 0);
    assert_int_equal(summary.max_timestamp_offset_delta, 4);
}

static void test_needs_no_decompressor_for_plain_records(void **state)
{
    (void)state;
    three_records();
    forge_seal(&forge);
    assert_int_equal(
        batch_check(forge.bytes, forge.size, BATCH_FROM_PRODUCER, NULL, 0, &summary, NULL), 0);
}

/* ---- the header ---- */

static void test_refuses_another_length(void **state)
{
    (void)state;
    three_records();
    forge_seal(&forge);
    forge.size--;
    assert_int_equal(check(BATCH_FROM_PRODUCER), -EBADMSG);
    assert_int_equal(error.byte, 8);
    forge.size += 2;
    assert_int_equal(check(BATCH_FROM_PRODUCER), -EBADMSG);
}

static void test_refuses_less_than_a_header(void **state)
{
    (void)state;
    three_records();
    forge_seal(&forge);
    forge.size = 60;
    assert_int_equal(check(BATCH_FROM_PRODUCER), -EBADMSG);
    assert_string_equal(error.message, "the batch is cut off within its header, after 60 bytes");
    forge.size = 0;
    assert_int_equal(check(BATCH_FROM_PRODUCER), -EBADMSG);
}

static void test_names_older_formats_that_are_shorter(void **state)
{
    (void)state;
    forge_seal(&forge);
    forge.bytes[16] = 1;
    forge.size = 34;
    assert_int_equal(check(BATCH_FROM_PRODUCER), -EPROTONOSUPPORT);
    assert_string_equal(error.message, "batch format v1 is not supported, only v2");
}

static void test_refuses_a_wrong_crc(void **state)
{
    (void)state;
    three_records();
    forge_seal(&forge);
    forge.bytes[forge.size - 1] ^= 1;
    assert_int_equal(check(BATCH_FROM_PRODUCER), -EBADMSG);
    assert_int_equal(error.byte, 17);
    assert_non_null(strstr(error.message, "CRC"));
}

static void test_refuses_unknown_codecs(void **state)
{
    (void)state;
    three_records();
    for (uint16_t codec = 5; codec <= 7; codec++) {
        forge.header.attributes = codec;
        assert_int_equal(seal_and_check(BATCH_FROM_PRODUCER), -EPROTONOSUPPORT);
        assert_int_equal(seal_and_check(BATCH_FROM_LOG), -EPROTONOSUPPORT);
        assert_int_equal(error.byte, 21);
    }
}

static void test_refuses_unknown_attributes(void **state)
{
    (void)state;
    three_records();
    for (int bit = 7; bit < 16; bit++) {
        forge.header.attributes = (uint16_t)(1u << bit);
        assert_int_equal(seal_and_check(BATCH_FROM_PRODUCER), -EINVAL);
        assert_int_equal(seal_and_check(BATCH_FROM_LOG), -EINVAL);
        assert_int_equal(error.byte, 21);
    }
}

static void test_refuses_control_batches_of_producers(void **state)
{
    (void)state;
    three_records();
    forge.header.attributes = BATCH_CONTROL;
    assert_refused(BATCH_FROM_PRODUCER, -EINVAL, 21, "a producer may not write control batches");
}

static void test_refuses_log_append_time_of_producers(void **state)
{
    (void)state;
    three_records();
    forge.header.attributes = BATCH_LOG_APPEND_TIME;
    assert_refused(BATCH_FROM_PRODUCER, -EINVAL, 21,
                   "a producer may not set the timestamp type LogAppendTime");
}

static void test_refuses_delete_horizons_of_producers(void **state)
{
    (void)state;
    three_records();
    forge.header.attributes = BATCH_DELETE_HORIZON;
    assert_refused(BATCH_FROM_PRODUCER, -EINVAL, 21, "a producer may not set a delete horizon");
    assert_int_equal(check(BATCH_FROM_LOG), 0);
}

static void test_refuses_base_offsets_of_producers(void **state)
{
    (void)state;
    three_records();
    forge.header.base_offset = 12;
    assert_refused(BATCH_FROM_PRODUCER, -EINVAL, 0,
                   "a producer's batch has the base offset 12 instead of 0");
    assert_int_equal(check(BATCH_FROM_LOG), 0);
}

static void test_refuses_empty_batches_of_producers(void **state)
{
    (void)state;
    assert_refused(BATCH_FROM_PRODUCER, -EINVAL, 57, "a producer's batch has no records");
}

static void test_refuses_counts_that_do_not_match(void **state)
{
    (void)state;
    three_records();
    forge.header.last_offset_delta = 3;
    assert_refused(BATCH_FROM_PRODUCER, -EINVAL, 23,
                   "the last offset delta 3 does not match 3 records");
    forge.header.last_offset_delta = 1;
    assert_refused(BATCH_FROM_LOG, -EINVAL, 57,
                   "3 records are more than a last offset delta of 1 has room for");
}

static void test_refuses_transactions_without_a_producer(void **state)
{
    (void)state;
    three_records();
    forge.header.attributes = BATCH_TRANSACTIONAL;
    assert_refused(BATCH_FROM_PRODUCER, -EINVAL, 43, "a transactional batch without a producer id");
    assert_int_equal(check(BATCH_FROM_LOG), -EINVAL);
}

static void test_refuses_producers_that_cannot_be(void **state)
{
    (void)state;
    three_records();
    forge.header.producer_id = -2;
    assert_refused(BATCH_FROM_LOG, -EINVAL, 43, "a producer id of -2 cannot be");
    forge.header.producer_id = 7;
    forge.header.base_sequence = 0;
    assert_refused(BATCH_FROM_LOG, -EINVAL, 51, "producer id 7 with the epoch -1");
    forge.header.producer_epoch = 0;
    forge.header.base_sequence = -1;
    assert_refused(BATCH_FROM_PRODUCER, -EINVAL, 53, "producer id 7 with the sequence -1");
    assert_int_equal(check(BATCH_FROM_LOG), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(test_takes_a_batch_from_a_producer),
        TEST(test_takes_each_codec),
        TEST(test_takes_headers),
        TEST(test_takes_a_batch_without_timestamps),
        TEST(test_takes_a_max_timestamp_that_is_wrong),
        TEST(test_takes_idempotent_and_transactional_batches),
        TEST(test_takes_any_leader_epoch),
        TEST(test_takes_any_record_attributes),
        TEST(test_takes_holes_in_a_log),
        TEST(test_takes_an_emptied_batch_in_a_log),
        TEST(test_control_batch_has_no_view),
        TEST(test_log_append_time_is_the_headers),
        TEST(test_first_of_equal_timestamps_counts),
        TEST(test_needs_no_decompressor_for_plain_records),
        TEST(test_refuses_another_length),
        TEST(test_refuses_less_than_a_header),
        TEST(test_names_older_formats_that_are_shorter),
        TEST(test_refuses_a_wrong_crc),
        TEST(test_refuses_unknown_codecs),
        TEST(test_refuses_unknown_attributes),
        TEST(test_refuses_control_batches_of_producers),
        TEST(test_refuses_log_append_time_of_producers),
        TEST(test_refuses_delete_horizons_of_producers),
        TEST(test_refuses_base_offsets_of_producers),
        TEST(test_refuses_empty_batches_of_producers),
        TEST(test_refuses_counts_that_do_not_match),
        TEST(test_refuses_transactions_without_a_producer),
        TEST(test_refuses_producers_that_cannot_be),
    };
    return cmocka_run_group_tests(tests, group_begin, group_end);
}

/* SPDX-License-Identifier: Apache-2.0 */
/* Checking batches: what is taken, what is told of it, and each thing that is refused, with its
 * place. */
#include "batch.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "forge.h"

#define RECORD_BYTES_MAX ((size_t)1 << 20)

static struct forge forge;
static struct decompressor *decompressor;
static struct batch_summary summary;
static struct beck_error error;

static int begin(void **state)
{
    (void)state;
    forge_begin(&forge);
    memset(&summary, 0, sizeof(summary));
    return 0;
}

static int check(enum batch_rules rules)
{
    return batch_check(forge.bytes, forge.size, rules, decompressor, RECORD_BYTES_MAX, &summary,
                       &error);
}

static int seal_and_check(enum batch_rules rules)
{
    forge_seal(&forge);
    return check(rules);
}

/* Three records: a value, an empty one, a null; the second is the newest. */
static void three_records(void)
{
    forge_value(&forge, "value");
    forge_record(&forge, &(struct beck_record){.key = "k", .key_size = 1, .value = ""}, 1, 5);
    forge_value(&forge, NULL);
}

static void assert_refused(enum batch_rules rules, int code, int64_t byte, const char *message)
{
    assert_int_equal(seal_and_check(rules), code);
    assert_int_equal(error.code, code);
    assert_string_equal(error.message, message);
    assert_int_equal(error.byte, byte);
}

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

/* ---- every byte, every length ---- */

static void some_batch(int codec)
{
    forge_begin(&forge);
    three_records();
    const struct beck_record record = {.key = "key",
                                       .key_size = 3,
                                       .value = "some text, some text, some text, some text",
                                       .value_size = 42,
                                       .headers = "\2a\4bc\0\1",
                                       .headers_size = 7,
                                       .header_count = 2};
    forge_record(&forge, &record, 3, -100);
    if (codec != BECK_COMPRESSION_NONE)
        forge_compress(&forge, (enum beck_compression)codec);
    forge_seal(&forge);
    assert_int_equal(check(BATCH_FROM_PRODUCER), 0);
    assert_int_equal(check(BATCH_FROM_LOG), 0);
}

/* Base offset and leader epoch lie outside of the CRC: the log sets them. */
static bool free_in_a_log(size_t byte)
{
    return byte < 8 || (byte >= 12 && byte < 16);
}

static void test_every_bit_that_flips_is_found(void **state)
{
    (void)state;
    for (int codec = BECK_COMPRESSION_NONE; codec <= BECK_COMPRESSION_ZSTD; codec++) {
        some_batch(codec);
        for (size_t bit = 0; bit < 8 * forge.size; bit++) {
            size_t byte = bit / 8;
            forge.bytes[byte] ^= (uint8_t)(1u << bit % 8);
            bool epoch = byte >= 12 && byte < 16;
            assert_int_equal(check(BATCH_FROM_PRODUCER) == 0, epoch);
            int from_log = check(BATCH_FROM_LOG);
            if (free_in_a_log(byte))
                assert_true(from_log == 0 || bit == 7); /* 7: the base offset's sign */
            else
                assert_true(from_log < 0);
            forge.bytes[byte] ^= (uint8_t)(1u << bit % 8);
        }
    }
}

static void test_every_length_but_the_right_one_is_refused(void **state)
{
    (void)state;
    for (int codec = BECK_COMPRESSION_NONE; codec <= BECK_COMPRESSION_ZSTD; codec++) {
        some_batch(codec);
        for (size_t size = 0; size < forge.size; size++) {
            uint8_t *cut = malloc(size + 1); /* ends where the batch is cut */
            assert_non_null(cut);
            memcpy(cut + 1, forge.bytes, size);
            assert_int_equal(batch_check(cut + 1, size, BATCH_FROM_LOG, decompressor,
                                         RECORD_BYTES_MAX, &summary, &error),
                             -EBADMSG);
            free(cut);
        }
    }
}

/* The same with a length and CRC that go with what is left: then the records show it. */
static void test_every_cut_is_refused_when_it_is_sealed(void **state)
{
    (void)state;
    for (int codec = BECK_COMPRESSION_NONE; codec <= BECK_COMPRESSION_ZSTD; codec++) {
        some_batch(codec);
        size_t whole = forge.size;
        for (size_t size = BATCH_HEADER_BYTES; size < whole; size++) {
            forge.size = size;
            forge_reseal(&forge);
            assert_true(check(BATCH_FROM_PRODUCER) < 0);
            assert_true(check(BATCH_FROM_LOG) < 0);
        }
    }
}

/*
 * Random changes under a right CRC: whatever is taken can be walked to its end and gives what the
 * summary promised.
 */
static void walk_what_was_taken(void)
{
    const void *records = NULL;
    size_t size = 0;
    assert_int_equal(decompress(decompressor, summary.header.attributes & BATCH_CODEC_MASK,
                                forge.bytes + BATCH_HEADER_BYTES, forge.size - BATCH_HEADER_BYTES,
                                RECORD_BYTES_MAX, &records, &size),
                     0);
    struct record_iterator iterator;
    struct beck_record record;
    struct beck_header header;
    uint64_t view_bytes = 0;
    int32_t count = 0;
    record_iterator_init(&iterator, &summary.header, records, size);
    while (record_next(&iterator, &record) > 0) {
        size_t position = 0;
        uint32_t headers = 0;
        while (beck_header_next(&record, &position, &header) > 0)
            headers++;
        assert_int_equal(headers, record.header_count);
        view_bytes += (uint64_t)(record.value_size > 0 ? record.value_size : 0) + 1;
        count++;
    }
    assert_int_equal(record_next(&iterator, &record), 0);
    assert_int_equal(count, summary.header.record_count);
    if ((summary.header.attributes & BATCH_CONTROL) == 0)
        assert_int_equal(view_bytes, summary.view_bytes);
}

static void test_random_changes_do_no_harm(void **state)
{
    (void)state;
    uint32_t seed = 12345;
    unsigned taken = 0;
    for (int round = 0; round < 40000; round++) {
        some_batch(round % 5);
        for (unsigned change = 0; change <= (unsigned)round % 3; change++) {
            seed = seed * 1664525 + 1013904223;
            size_t at = BATCH_CRC_BEGIN + (seed >> 8) % (forge.size - BATCH_CRC_BEGIN);
            forge.bytes[at] = (uint8_t)(seed >> 16 ^ seed >> 3);
        }
        if (batch_header_read(forge.bytes, forge.size, &forge.header, NULL) < 0)
            continue;
        forge_reseal(&forge);
        if (check(round & 1 ? BATCH_FROM_PRODUCER : BATCH_FROM_LOG) == 0) {
            walk_what_was_taken();
            taken++;
        }
    }
    assert_true(taken > 1000); /* else this shows little */
}

static int group_begin(void **state)
{
    (void)state;
    return decompressor_new(&decompressor);
}

static int group_end(void **state)
{
    (void)state;
    decompressor = decompressor_free(decompressor);
    return 0;
}

#define TEST(name) cmocka_unit_test_setup(name, begin)

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
        TEST(test_every_bit_that_flips_is_found),
        TEST(test_every_length_but_the_right_one_is_refused),
        TEST(test_every_cut_is_refused_when_it_is_sealed),
        TEST(test_random_changes_do_no_harm),
    };
    return cmocka_run_group_tests(tests, group_begin, group_end);
}

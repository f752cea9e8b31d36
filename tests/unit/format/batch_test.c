/* SPDX-License-Identifier: Apache-2.0 */
/* The batch header: reading, writing, and what it refuses on its own. */
#include "batch.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

#include "forge.h"

static struct forge forge;

static int begin(void **state)
{
    (void)state;
    forge_begin(&forge);
    forge_value(&forge, "one");
    forge_value(&forge, "two");
    return 0;
}

static int read_sealed(struct beck_error *error)
{
    struct batch_header header;
    forge_seal(&forge);
    return batch_header_read(forge.bytes, forge.size, &header, error);
}

static void test_reads_what_was_written(void **state)
{
    (void)state;
    const struct batch_header written = {
        .base_offset = INT64_C(0x0102030405060708),
        .length = 0x11121314,
        .leader_epoch = 0x21222324,
        .magic = 2,
        .crc = 0xf1f2f3f4,
        .attributes = 0x3132,
        .last_offset_delta = 0x41424344,
        .base_timestamp_ms = INT64_C(0x5152535455565758),
        .max_timestamp_ms = INT64_C(-0x5152535455565758),
        .producer_id = INT64_C(0x6162636465666768),
        .producer_epoch = 0x7172,
        .base_sequence = -2,
        .record_count = 0x01020304,
    };
    struct batch_header read;
    batch_header_write(forge.bytes, &written);
    assert_int_equal(batch_header_read(forge.bytes, BATCH_HEADER_BYTES, &read, NULL), 0);
    uint8_t again[BATCH_HEADER_BYTES];
    batch_header_write(again, &read);
    assert_memory_equal(again, forge.bytes, sizeof(again));
    assert_int_equal(read.base_offset, written.base_offset);
    assert_int_equal(read.max_timestamp_ms, written.max_timestamp_ms);
    assert_int_equal(read.base_sequence, written.base_sequence);
    assert_int_equal(batch_bytes(&read), 0x11121314 + 12);
    assert_int_equal(batch_next_offset(&read), INT64_C(0x0102030405060708) + 0x41424344 + 1);
}

static void test_each_field_has_its_place(void **state)
{
    (void)state;
    uint8_t bytes[BATCH_HEADER_BYTES];
    const struct batch_header header = {
        .length = 49, .magic = 2, .record_count = 5, .crc = 0xaabbccdd};
    batch_header_write(bytes, &header);
    assert_int_equal(bytes[11], 49);
    assert_int_equal(bytes[16], 2);
    assert_int_equal(bytes[17], 0xaa);
    assert_int_equal(bytes[60], 5);
}

static void test_too_few_bytes(void **state)
{
    (void)state;
    struct beck_error error;
    struct batch_header header;
    forge_seal(&forge);
    assert_int_equal(batch_header_read(forge.bytes, BATCH_HEADER_BYTES - 1, &header, &error),
                     -ENODATA);
}

static void test_leaves_the_result_untouched_on_failure(void **state)
{
    (void)state;
    struct batch_header header = {.length = 4711};
    forge.header.magic = 3;
    forge_seal(&forge);
    assert_true(batch_header_read(forge.bytes, forge.size, &header, NULL) < 0);
    assert_int_equal(header.length, 4711);
}

static void test_zeros_are_damage(void **state)
{
    (void)state;
    struct beck_error error;
    struct batch_header header;
    const uint8_t zeros[BATCH_HEADER_BYTES] = {0};
    assert_int_equal(batch_header_read(zeros, sizeof(zeros), &header, &error), -EBADMSG);
    assert_int_equal(error.byte, 8);
}

static void test_older_and_newer_formats(void **state)
{
    (void)state;
    struct beck_error error;
    for (int magic = -128; magic < 128; magic++) {
        forge.header.magic = (int8_t)magic;
        assert_int_equal(read_sealed(&error), magic == 2 ? 0 : -EPROTONOSUPPORT);
        if (magic == 3) {
            assert_int_equal(error.byte, 16);
            assert_string_equal(error.message, "batch format v3 is not supported, only v2");
        }
    }
}

static void test_lengths_that_cannot_be(void **state)
{
    (void)state;
    struct beck_error error;
    struct batch_header header;
    static const int32_t wrong[] = {INT32_MIN, -1, 0, 13, 48, INT32_MAX - 11, INT32_MAX};
    for (size_t i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++) {
        forge.header.length = wrong[i];
        batch_header_write(forge.bytes, &forge.header);
        assert_int_equal(batch_header_read(forge.bytes, forge.size, &header, &error), -EBADMSG);
        assert_int_equal(error.byte, 8);
    }
    forge.header.length = 49;
    batch_header_write(forge.bytes, &forge.header);
    assert_int_equal(batch_header_read(forge.bytes, forge.size, &header, &error), 0);
}

static void test_negative_base_offset(void **state)
{
    (void)state;
    struct beck_error error;
    forge.header.base_offset = -1;
    assert_int_equal(read_sealed(&error), -EBADMSG);
    assert_int_equal(error.byte, 0);
}

static void test_negative_last_offset_delta(void **state)
{
    (void)state;
    struct beck_error error;
    forge.header.last_offset_delta = -1;
    assert_int_equal(read_sealed(&error), -EBADMSG);
    assert_int_equal(error.byte, 23);
}

static void test_last_offset_beyond_64_bits(void **state)
{
    (void)state;
    struct beck_error error;
    forge.header.base_offset = INT64_MAX - 1;
    assert_int_equal(read_sealed(&error), -EBADMSG);
    assert_int_equal(error.byte, 23);
    forge.header.base_offset = INT64_MAX - 2;
    assert_int_equal(read_sealed(&error), 0);
}

static void test_negative_record_count(void **state)
{
    (void)state;
    struct beck_error error;
    forge.header.record_count = -1;
    assert_int_equal(read_sealed(&error), -EBADMSG);
    assert_int_equal(error.byte, 57);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup(test_reads_what_was_written, begin),
        cmocka_unit_test_setup(test_each_field_has_its_place, begin),
        cmocka_unit_test_setup(test_too_few_bytes, begin),
        cmocka_unit_test_setup(test_leaves_the_result_untouched_on_failure, begin),
        cmocka_unit_test_setup(test_zeros_are_damage, begin),
        cmocka_unit_test_setup(test_older_and_newer_formats, begin),
        cmocka_unit_test_setup(test_lengths_that_cannot_be, begin),
        cmocka_unit_test_setup(test_negative_base_offset, begin),
        cmocka_unit_test_setup(test_negative_last_offset_delta, begin),
        cmocka_unit_test_setup(test_last_offset_beyond_64_bits, begin),
        cmocka_unit_test_setup(test_negative_record_count, begin),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

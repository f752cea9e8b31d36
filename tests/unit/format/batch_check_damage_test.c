/* SPDX-License-Identifier: Apache-2.0 */
/* Checking batches: whatever is changed in one, or cut off it, is found, or does no harm. */
#include "batch_check_fixture.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

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

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(test_every_bit_that_flips_is_found),
        TEST(test_every_length_but_the_right_one_is_refused),
        TEST(test_every_cut_is_refused_when_it_is_sealed),
        TEST(test_random_changes_do_no_harm),
    };
    return cmocka_run_group_tests(tests, group_begin, group_end);
}

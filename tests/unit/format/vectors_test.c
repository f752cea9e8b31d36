/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Batches that another client made (vectors/generate.py): each is taken, and its records in JSON
 * are what was written without our code.
 */
#include "batch.h"
#include "compression.h"
#include "record.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#define FILE_BYTES_MAX ((size_t)1 << 20)

static char *read_file(const char *name, size_t *ret_size)
{
    char path[512];
    (void)snprintf(path, sizeof(path), "%s/format/vectors/%s", UNIT_DIRECTORY, name);
    FILE *file = fopen(path, "r");
    if (file == NULL)
        fail_msg("cannot open %s", path);
    char *text = malloc(FILE_BYTES_MAX);
    assert_non_null(text);
    *ret_size = fread(text, 1, FILE_BYTES_MAX, file);
    assert_true(*ret_size > 0 && *ret_size < FILE_BYTES_MAX);
    (void)fclose(file);
    return text;
}

/* Hexadecimal digits with line ends between them, decoded in place. */
static size_t unhex(char *text, size_t size)
{
    static const char digits[] = "0123456789abcdef";
    size_t count = 0;
    for (size_t i = 0; i < size; i++) {
        if (text[i] == '\n')
            continue;
        const char *digit = strchr(digits, text[i]);
        assert_non_null(digit);
        unsigned value = (unsigned)(digit - digits);
        unsigned high = count % 2 == 0 ? 0 : (unsigned char)text[count / 2];
        text[count / 2] = (char)(high << 4 | value);
        count++;
    }
    assert_int_equal(count % 2, 0);
    return count / 2;
}

/* The batch passes as a producer's; its records are those of `expected_name`. Returns the summary.
 */
static struct batch_summary compare(const char *name, const char *expected_name, int codec)
{
    size_t size = 0;
    size_t expected_size = 0;
    char *batch = read_file(name, &size);
    char *expected = read_file(expected_name, &expected_size);
    char *got = malloc(FILE_BYTES_MAX);
    assert_non_null(got);
    size = unhex(batch, size);

    struct decompressor *decompressor = NULL;
    struct batch_summary summary;
    struct beck_error error = {0};
    assert_int_equal(decompressor_new(&decompressor), 0);
    if (batch_check(batch, size, BATCH_FROM_PRODUCER, decompressor, FILE_BYTES_MAX, &summary,
                    &error) < 0)
        fail_msg("%s: %s", name, error.message);
    assert_int_equal(summary.header.attributes & BATCH_CODEC_MASK, codec);

    const void *records = NULL;
    size_t records_size = 0;
    assert_int_equal(decompress(decompressor, codec, batch + BATCH_HEADER_BYTES,
                                size - BATCH_HEADER_BYTES, FILE_BYTES_MAX, &records, &records_size),
                     0);
    struct record_iterator iterator;
    struct beck_record record;
    record_iterator_init(&iterator, &summary.header, records, records_size);
    size_t used = 0;
    while (record_next(&iterator, &record) > 0) {
        ssize_t line = beck_record_json(&record, NULL, 0, got + used, FILE_BYTES_MAX - used);
        assert_true(line > 0);
        used += (size_t)line;
        assert_true(used <= FILE_BYTES_MAX);
    }
    assert_int_equal(used, expected_size);
    assert_memory_equal(got, expected, used);

    (void)decompressor_free(decompressor);
    free(batch);
    free(expected);
    free(got);
    return summary;
}

static void test_mixed_records(void **state)
{
    (void)state;
    (void)compare("mixed-none.hex", "mixed.jsonl", BECK_COMPRESSION_NONE);
    (void)compare("mixed-gzip.hex", "mixed.jsonl", BECK_COMPRESSION_GZIP);
    (void)compare("mixed-snappy.hex", "mixed.jsonl", BECK_COMPRESSION_SNAPPY);
    (void)compare("mixed-snappy_raw.hex", "mixed.jsonl", BECK_COMPRESSION_SNAPPY);
    (void)compare("mixed-lz4.hex", "mixed.jsonl", BECK_COMPRESSION_LZ4);
    (void)compare("mixed-zstd.hex", "mixed.jsonl", BECK_COMPRESSION_ZSTD);
}

static void test_many_records(void **state)
{
    (void)state;
    (void)compare("large-gzip.hex", "large.jsonl", BECK_COMPRESSION_GZIP);
    (void)compare("large-snappy.hex", "large.jsonl", BECK_COMPRESSION_SNAPPY);
    (void)compare("large-lz4.hex", "large.jsonl", BECK_COMPRESSION_LZ4);
    (void)compare("large-zstd.hex", "large.jsonl", BECK_COMPRESSION_ZSTD);
}

static void test_transactional_records(void **state)
{
    (void)state;
    struct batch_summary summary =
        compare("transactional-none.hex", "transactional.jsonl", BECK_COMPRESSION_NONE);
    assert_int_equal(summary.header.attributes, BATCH_TRANSACTIONAL);
    assert_int_equal(summary.header.producer_id, 4711);
    assert_int_equal(summary.header.producer_epoch, 3);
    assert_int_equal(summary.header.base_sequence, 2147483640);
}

static void test_summary(void **state)
{
    (void)state;
    struct batch_summary summary = compare("mixed-none.hex", "mixed.jsonl", BECK_COMPRESSION_NONE);
    assert_int_equal(summary.header.record_count, 13);
    assert_int_equal(summary.max_timestamp_ms, INT64_C(1763719200123) + 86400000);
    assert_int_equal(summary.max_timestamp_ms, summary.header.max_timestamp_ms);
    assert_int_equal(summary.max_timestamp_offset_delta, 7);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_mixed_records),
        cmocka_unit_test(test_many_records),
        cmocka_unit_test(test_transactional_records),
        cmocka_unit_test(test_summary),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

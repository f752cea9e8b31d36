/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The lossless JSON form, read back: whatever record the library prints, json_input takes apart
 * into the same record; and no line, however mangled, makes it read or write beyond the line. The
 * mutations are random but the same in each run.
 */
#include "json_input.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

enum { ROUNDS = 20000, BYTES_MAX = 40, LINE_BYTES = 4096 };

static uint64_t random_state = 4711;

static uint32_t next_random(uint32_t below)
{
    random_state = random_state * 6364136223846793005u + 1442695040888963407u;
    return (uint32_t)(random_state >> 33) % below;
}

/* Bytes of one of three kinds: any, ASCII with what JSON escapes, or UTF-8. */
static int32_t random_bytes(char *to)
{
    static const char *const pieces[] = {"a", "\"", "\\", "\n", "\x01", "\x7f", "ä", "€", "😀", "="};
    int32_t size = 0;

    if (next_random(6) == 0)
        return -1;
    bool any = next_random(3) == 0;
    for (uint32_t i = next_random(8); i > 0; i--) {
        if (any) {
            to[size++] = (char)next_random(256);
            continue;
        }
        const char *piece = pieces[next_random(sizeof(pieces) / sizeof(pieces[0]))];
        memcpy(to + size, piece, strlen(piece));
        size += (int32_t)strlen(piece);
    }
    return size;
}

struct sample {
    char key[BYTES_MAX];
    char value[BYTES_MAX];
    struct headers headers;
    struct beck_record record;
};

static void make_sample(struct sample *sample)
{
    char value[BYTES_MAX];

    headers_reset(&sample->headers);
    sample->record = (struct beck_record){
        .offset = next_random(1000),
        .timestamp_ms = 1 + next_random(1u << 31),
        .log_append_time = next_random(2) == 0,
        .key = sample->key,
        .value = sample->value,
        .key_size = random_bytes(sample->key),
        .value_size = random_bytes(sample->value),
    };
    for (uint32_t i = next_random(4); i > 0; i--) {
        int32_t size = random_bytes(value);
        assert_int_equal(headers_add(&sample->headers, "näme", 5, value, size), 0);
    }
    headers_give(&sample->headers, &sample->record);
}

static void assert_bytes_equal(const void *found, int32_t found_size, const void *wanted,
                               int32_t wanted_size)
{
    assert_int_equal(found_size, wanted_size);
    if (wanted_size > 0)
        assert_memory_equal(found, wanted, (size_t)wanted_size);
}

static void printed_records_come_back(void **state)
{
    struct sample sample = {0};
    struct headers headers = {0};
    struct beck_record found;
    char line[LINE_BYTES];
    int32_t partition;
    const char *wrong;

    (void)state;
    for (int i = 0; i < ROUNDS; i++) {
        make_sample(&sample);
        bool named = next_random(2) == 0;
        ssize_t size = beck_record_json(&sample.record, named ? "t" : NULL, 7, line, sizeof(line));
        assert_in_range(size, 1, LINE_BYTES);
        assert_int_equal(
            json_input_record(line, (size_t)size - 1, &headers, &found, &partition, &wrong), 0);
        assert_int_equal(partition, named ? 7 : -1);
        assert_int_equal(found.timestamp_ms, sample.record.timestamp_ms);
        assert_int_equal(found.offset, sample.record.offset);
        assert_int_equal(found.log_append_time, sample.record.log_append_time);
        assert_bytes_equal(found.key, found.key_size, sample.key, sample.record.key_size);
        assert_bytes_equal(found.value, found.value_size, sample.value, sample.record.value_size);
        assert_int_equal(found.header_count, sample.record.header_count);
        assert_bytes_equal(found.headers, (int32_t)found.headers_size, sample.record.headers,
                           (int32_t)sample.record.headers_size);
    }
    headers_done(&sample.headers);
    headers_done(&headers);
}

/* Change, cut or repeat some bytes. */
static size_t mangle(char *line, size_t size)
{
    static const char special[] = "\"\\{}[]:,u0n-9 \t=/";

    for (uint32_t i = 1 + next_random(4); i > 0 && size > 0; i--) {
        size_t at = next_random((uint32_t)size);
        switch (next_random(3)) {
        case 0:
            line[at] = special[next_random(sizeof(special) - 1)];
            break;
        case 1:
            line[at] = (char)next_random(256);
            break;
        default:
            size = at;
            break;
        }
    }
    return size;
}

static void mangled_lines_are_refused_or_taken(void **state)
{
    struct sample sample = {0};
    struct headers headers = {0};
    struct beck_record found;
    char printed[LINE_BYTES];
    int32_t partition;

    (void)state;
    for (int i = 0; i < ROUNDS; i++) {
        make_sample(&sample);
        ssize_t printed_size = beck_record_json(&sample.record, "t", 7, printed, sizeof(printed));
        assert_in_range(printed_size, 1, LINE_BYTES);
        size_t size = mangle(printed, (size_t)printed_size);
        /* Memory of exactly that size, so that the sanitizer sees a step beyond it. */
        char *line = malloc(size > 0 ? size : 1);
        assert_non_null(line);
        memcpy(line, printed, size);
        const char *wrong = NULL;
        int result = json_input_record(line, size, &headers, &found, &partition, &wrong);
        if (result != 0) {
            assert_int_equal(result, -EINVAL);
            assert_non_null(wrong);
        }
        free(line);
    }
    headers_done(&sample.headers);
    headers_done(&headers);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(printed_records_come_back),
        cmocka_unit_test(mangled_lines_are_refused_or_taken),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}

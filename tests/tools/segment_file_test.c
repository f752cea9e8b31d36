/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Walking segment files that are damaged in every way: the walk ends, its steps cover the file
 * without gaps, what it hands out as good is good, and what was not touched is found again. The
 * damage is random but the same in each run.
 */
#include "segment_file.h"

#include "bytes.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

enum { BATCHES = 8, RECORDS = 3, ROUNDS = 2000, FILE_BYTES_MAX = 16384 };

struct fixture {
    char path[64];
    uint8_t bytes[FILE_BYTES_MAX];
    size_t size;
    size_t positions[BATCHES + 1];
};

static uint64_t random_state = 42;

static uint32_t next_random(uint32_t below)
{
    random_state = random_state * 6364136223846793005u + 1442695040888963407u;
    return (uint32_t)(random_state >> 33) % below;
}

static void add_batch(struct fixture *fixture, int number)
{
    struct beck_batch_builder *builder = NULL;
    const void *batch;
    size_t size;
    char value[64];

    assert_int_equal(
        beck_batch_builder_new((enum beck_compression)(number % 5), 100000, &builder, NULL), 0);
    for (int i = 0; i < RECORDS; i++) {
        int length =
            snprintf(value, sizeof(value), "record %d of batch %d, and some more", i, number);
        struct beck_record record = {
            .key_size = -1, .value = value, .value_size = length, .timestamp_ms = 1000};
        assert_int_equal(beck_batch_builder_add(builder, &record), 0);
    }
    assert_int_equal(beck_batch_builder_finish(builder, &batch, &size, NULL), 0);
    assert_true(fixture->size + size <= FILE_BYTES_MAX);
    memcpy(fixture->bytes + fixture->size, batch, size);
    store_be64(fixture->bytes + fixture->size, (uint64_t)number * RECORDS);
    fixture->positions[number] = fixture->size;
    fixture->size += size;
    (void)beck_batch_builder_free(builder);
}

static int set_up(void **state)
{
    struct fixture *fixture = calloc(1, sizeof(*fixture));
    assert_non_null(fixture);
    (void)snprintf(fixture->path, sizeof(fixture->path), "/tmp/beck-segment-test-XXXXXX");
    int fd = mkstemp(fixture->path);
    assert_true(fd >= 0);
    assert_int_equal(close(fd), 0);
    for (int i = 0; i < BATCHES; i++)
        add_batch(fixture, i);
    fixture->positions[BATCHES] = fixture->size;
    *state = fixture;
    return 0;
}

static int tear_down(void **state)
{
    struct fixture *fixture = *state;

    (void)unlink(fixture->path);
    free(fixture);
    return 0;
}

static void save(const struct fixture *fixture, const uint8_t *bytes, size_t size)
{
    FILE *file = fopen(fixture->path, "wb");
    assert_non_null(file);
    assert_int_equal(fwrite(bytes, 1, size, file), size);
    assert_int_equal(fclose(file), 0);
}

/* Walk the file; steps have to join. Returns a mask of the batches found, and counts the damages.
 */
static unsigned walk(const struct fixture *fixture, size_t size, int *ret_damages)
{
    struct segment_file *file = NULL;
    struct segment_step step;
    struct beck_error error;
    uint64_t position = 0;
    unsigned found = 0;
    int result;

    *ret_damages = 0;
    assert_int_equal(segment_file_open(fixture->path, &file), 0);
    while ((result = segment_file_next(file, &step, &error)) != 0) {
        assert_int_equal(step.position, position);
        assert_true(step.size > 0);
        position += step.size;
        if (result == 1) {
            assert_int_equal(step.summary.header.record_count, RECORDS);
            found |= 1u << (step.summary.header.base_offset / RECORDS % 32);
        } else {
            assert_int_equal(result, -EBADMSG);
            assert_true(error.message[0] != '\0');
            (*ret_damages)++;
        }
    }
    assert_int_equal(position, size);
    (void)segment_file_close(file);
    return found;
}

static void a_sound_file_is_walked_whole(void **state)
{
    struct fixture *fixture = *state;
    int damages;

    save(fixture, fixture->bytes, fixture->size);
    assert_int_equal(walk(fixture, fixture->size, &damages), (1u << BATCHES) - 1);
    assert_int_equal(damages, 0);
}

static void one_flipped_byte_loses_one_batch(void **state)
{
    struct fixture *fixture = *state;
    uint8_t bytes[FILE_BYTES_MAX];
    int damages;

    for (int batch = 0; batch < BATCHES; batch++) {
        for (size_t at = fixture->positions[batch]; at < fixture->positions[batch + 1]; at++) {
            size_t field = at - fixture->positions[batch];
            memcpy(bytes, fixture->bytes, fixture->size);
            bytes[at] ^= 0x55;
            save(fixture, bytes, fixture->size);
            unsigned found = walk(fixture, fixture->size, &damages);
            if (field >= 12 && field < 16)
                continue; /* leader epoch: outside the CRC */
            if (field < 8 && batch == BATCHES - 1)
                continue; /* base offset: so is it, and none comes next that shows it */
            assert_int_equal(found, ((1u << BATCHES) - 1) & ~(1u << batch));
            assert_int_equal(damages, 1);
        }
    }
}

static void a_file_cut_anywhere_keeps_what_is_whole(void **state)
{
    struct fixture *fixture = *state;
    int damages;

    for (size_t size = 0; size <= fixture->size; size++) {
        int whole = 0;
        while (whole < BATCHES && fixture->positions[whole + 1] <= size)
            whole++;
        save(fixture, fixture->bytes, size);
        assert_int_equal(walk(fixture, size, &damages), (1u << whole) - 1);
        assert_int_equal(damages, fixture->positions[whole] == size ? 0 : 1);
    }
}

static void anything_ends(void **state)
{
    struct fixture *fixture = *state;
    uint8_t bytes[FILE_BYTES_MAX];
    int damages;

    for (int i = 0; i < ROUNDS; i++) {
        memcpy(bytes, fixture->bytes, fixture->size);
        for (uint32_t flips = 1 + next_random(20); flips > 0; flips--)
            bytes[next_random((uint32_t)fixture->size)] = (uint8_t)next_random(256);
        size_t size = fixture->size - next_random(200);
        save(fixture, bytes, size);
        (void)walk(fixture, size, &damages);
    }
}

static void what_is_no_file_is_refused(void **state)
{
    struct segment_file *file = NULL;

    (void)state;
    assert_int_equal(segment_file_open("/nonexistent/file.log", &file), -ENOENT);
    assert_int_equal(segment_file_open("/tmp", &file), -EISDIR);
    assert_int_equal(segment_file_open("/dev/null", &file), -EINVAL);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(a_sound_file_is_walked_whole, set_up, tear_down),
        cmocka_unit_test_setup_teardown(one_flipped_byte_loses_one_batch, set_up, tear_down),
        cmocka_unit_test_setup_teardown(a_file_cut_anywhere_keeps_what_is_whole, set_up, tear_down),
        cmocka_unit_test_setup_teardown(anything_ends, set_up, tear_down),
        cmocka_unit_test(what_is_no_file_is_refused),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}

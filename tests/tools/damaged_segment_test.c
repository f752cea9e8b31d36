/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The rest of a segment that is damaged: its end, and damage, are told from what cannot be read.
 * Linked with --wrap for pread.
 */
#include "damaged_segment.h"
#include "source.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>

#include <cmocka.h>

#include "store_fixture.h"

enum { FILE_BYTES = 1000, DAMAGED = 3 };

struct segment_fixture {
    char path[64];
    struct damaged_segment segment;
};

static bool reads_fail;

ssize_t __real_pread64(int fd, void *to, size_t size, off_t position);
ssize_t __wrap_pread64(int fd, void *to, size_t size, off_t position);

ssize_t __wrap_pread64(int fd, void *to, size_t size, off_t position)
{
    if (!reads_fail)
        return __real_pread64(fd, to, size, position);
    errno = EIO;
    return -1;
}

/* Opened with bytes that are no batch. */
static int set_up(void **state)
{
    static const char bytes[FILE_BYTES] = {1};
    struct segment_fixture *fixture = calloc(1, sizeof(*fixture));
    assert_non_null(fixture);
    (void)snprintf(fixture->path, sizeof(fixture->path), "/tmp/beck-segment-test-XXXXXX");
    int fd = mkstemp(fixture->path);
    assert_true(fd >= 0);
    assert_int_equal(write(fd, bytes, sizeof(bytes)), sizeof(bytes));
    assert_int_equal(close(fd), 0);
    assert_int_equal(segment_file_open(fixture->path, &fixture->segment.file), 0);
    fixture->segment.bytes = FILE_BYTES;
    *state = fixture;
    return 0;
}

static int tear_down(void **state)
{
    struct segment_fixture *fixture = *state;

    damaged_segment_done(&fixture->segment);
    (void)unlink(fixture->path);
    free(fixture);
    return 0;
}

static void damage_is_told_and_then_the_end(void **state)
{
    struct segment_fixture *fixture = *state;
    struct segment_step step;
    struct beck_error error;

    assert_int_equal(damaged_segment_next(&fixture->segment, &step, &error), -EBADMSG);
    assert_int_equal(step.size, FILE_BYTES);
    assert_int_equal(damaged_segment_next(&fixture->segment, &step, &error), 0);
    assert_null(fixture->segment.file);
}

static void bytes_behind_the_segment_are_no_damage(void **state)
{
    struct segment_fixture *fixture = *state;
    struct segment_step step;
    struct beck_error error;

    fixture->segment.bytes = 0;
    assert_int_equal(damaged_segment_next(&fixture->segment, &step, &error), 0);
}

static void what_cannot_be_read_is_not_the_end(void **state)
{
    struct segment_fixture *fixture = *state;
    struct segment_step step;
    struct beck_error error;

    assert_int_equal(truncate(fixture->path, 0), 0);
    assert_int_equal(damaged_segment_next(&fixture->segment, &step, &error), -ENODATA);
    assert_non_null(strstr(error.message, "cannot read"));
}

/* ---- in a store ---------------------------------------------------------------------------- */

/* Ten records, of which one is damaged. */
static int set_up_store(void **state)
{
    char path[PATH_MAX];

    if (setup_partition(state) < 0)
        return -1;
    struct fixture *fixture = *state;
    int64_t batch_bytes = fixture_leave_ten(fixture);
    segment_path(fixture, "t", 0, 0, path);
    file_flip(path, (DAMAGED + 1) * batch_bytes - 1);
    fixture_open(fixture);
    return 0;
}

/* Where the damage is. */
static int64_t damaged_byte(struct fixture *fixture)
{
    struct beck_range range;
    int64_t byte;

    assert_int_equal(beck_read_range(fixture->partition, DAMAGED, 1, BECK_READ_UNCOMMITTED, &range,
                                     &fixture->error),
                     -EBADMSG);
    byte = fixture->error.byte;
    assert_true(byte > 0);
    return byte;
}

static void what_is_behind_damage_can_be_had(void **state)
{
    struct fixture *fixture = *state;
    struct damaged_segment segment = {0};
    struct segment_step step;
    uint64_t skipped = 0;

    assert_int_equal(damaged_segment_begin(&segment, fixture->store, fixture->partition, DAMAGED,
                                           damaged_byte(fixture), &skipped, &fixture->error),
                     0);
    assert_true(skipped > 0);
    assert_int_equal(damaged_segment_next(&segment, &step, &fixture->error), 1);
    assert_int_equal(step.summary.header.base_offset, DAMAGED + 1);
    damaged_segment_done(&segment);
}

static void an_io_error_at_the_damage_is_told(void **state)
{
    struct fixture *fixture = *state;
    struct damaged_segment segment = {0};
    uint64_t skipped = 0;
    int64_t byte = damaged_byte(fixture);

    reads_fail = true;
    int result = damaged_segment_begin(&segment, fixture->store, fixture->partition, DAMAGED, byte,
                                       &skipped, &fixture->error);
    reads_fail = false;
    assert_int_equal(result, -EIO);
    assert_non_null(strstr(fixture->error.message, "cannot be read"));
    assert_null(segment.file);
}

/* Read to the first batch behind which there is something else to tell, or the end. */
static int read_batches(struct source_partition *partition, int *count, struct beck_error *error)
{
    struct source_batch batch;
    struct source_damage damage;
    int result;

    while ((result = source_next_batch(partition, &batch, &damage, error)) == 1)
        (*count)++;
    return result;
}

/* A file that cannot be opened is no reason to go on with the next one. */
static void a_source_stays_where_it_cannot_look(void **state)
{
    struct fixture *fixture = *state;
    const struct source_topic topic = {.name = "t", .partition_count = 1};
    struct source_partition *partition = NULL;
    struct source *source = NULL;
    struct rlimit limit;
    int count = 0;

    assert_int_equal(source_of_store(fixture->store, &source), 0);
    must(source_partition_open(source, &topic, 0, BECK_READ_UNCOMMITTED, &partition,
                               &fixture->error),
         &fixture->error);
    (void)damaged_byte(fixture); /* the engine has the file open */
    assert_int_equal(getrlimit(RLIMIT_NOFILE, &limit), 0);
    struct rlimit none = {.rlim_cur = 3, .rlim_max = limit.rlim_max};
    assert_int_equal(setrlimit(RLIMIT_NOFILE, &none), 0);
    int result = read_batches(partition, &count, &fixture->error);
    assert_int_equal(setrlimit(RLIMIT_NOFILE, &limit), 0);
    assert_int_equal(count, DAMAGED);
    assert_int_equal(result, -EMFILE);
    assert_int_equal(read_batches(partition, &count, &fixture->error), -EBADMSG);
    assert_int_equal(read_batches(partition, &count, &fixture->error), 0);
    assert_int_equal(count, 9);
    (void)source_partition_close(partition);
    (void)source_close(source);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(damage_is_told_and_then_the_end, set_up, tear_down),
        cmocka_unit_test_setup_teardown(bytes_behind_the_segment_are_no_damage, set_up, tear_down),
        cmocka_unit_test_setup_teardown(what_cannot_be_read_is_not_the_end, set_up, tear_down),
        cmocka_unit_test_setup_teardown(what_is_behind_damage_can_be_had, set_up_store, teardown),
        cmocka_unit_test_setup_teardown(an_io_error_at_the_damage_is_told, set_up_store, teardown),
        cmocka_unit_test_setup_teardown(a_source_stays_where_it_cannot_look, set_up_store,
                                        teardown),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}

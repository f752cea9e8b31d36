/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The rest of a segment that is damaged: its end is told from what cannot be read.
 */
#include "damaged_segment.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

enum { FILE_BYTES = 1000 };

struct fixture {
    char path[64];
    struct damaged_segment segment;
};

/* Opened with bytes that are no batch. */
static int set_up(void **state)
{
    static const char bytes[FILE_BYTES] = {1};
    struct fixture *fixture = calloc(1, sizeof(*fixture));
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
    struct fixture *fixture = *state;

    damaged_segment_done(&fixture->segment);
    (void)unlink(fixture->path);
    free(fixture);
    return 0;
}

static void damage_is_told_and_then_the_end(void **state)
{
    struct fixture *fixture = *state;
    struct segment_step step;
    struct beck_error error;

    assert_int_equal(damaged_segment_next(&fixture->segment, &step, &error), -EBADMSG);
    assert_int_equal(step.size, FILE_BYTES);
    assert_int_equal(damaged_segment_next(&fixture->segment, &step, &error), 0);
    assert_null(fixture->segment.file);
}

static void bytes_behind_the_segment_are_no_damage(void **state)
{
    struct fixture *fixture = *state;
    struct segment_step step;
    struct beck_error error;

    fixture->segment.bytes = 0;
    assert_int_equal(damaged_segment_next(&fixture->segment, &step, &error), 0);
}

static void what_cannot_be_read_is_not_the_end(void **state)
{
    struct fixture *fixture = *state;
    struct segment_step step;
    struct beck_error error;

    assert_int_equal(truncate(fixture->path, 0), 0);
    assert_int_equal(damaged_segment_next(&fixture->segment, &step, &error), -ENODATA);
    assert_non_null(strstr(error.message, "cannot read"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(damage_is_told_and_then_the_end, set_up, tear_down),
        cmocka_unit_test_setup_teardown(bytes_behind_the_segment_are_no_damage, set_up, tear_down),
        cmocka_unit_test_setup_teardown(what_cannot_be_read_is_not_the_end, set_up, tear_down),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}

/* SPDX-License-Identifier: Apache-2.0 */
/* What a process remembers of checked CRCs: how long it is believed, and what it saves. */
#include "fault_io.h"
#include "store_fixture.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define VALUE_BYTES 90000
#define VALUES      30 /* two complete segments of 1 MiB, and a third that is written to */

static struct fault_io fault;
static int reads; /* of segments, counted from when a test says so */

static int count_reads(struct fault_io *unused, const struct fault_what *what)
{
    (void)unused;
    reads += what->call == FAULT_READ;
    return 0;
}

static int setup_segments(void **state)
{
    setup_folder(state);
    struct fixture *fixture = *state;
    fault_io_init(&fault);
    fault.hook = count_reads;
    fixture->store = must_open_io(fixture->path, BECK_OPEN_CREATE, &fault.io);
    must_create_topic(fixture->store, "t", 1, "segment.bytes", "1048576");
    fixture->partition = must_open_partition(fixture->store, "t", 0);
    for (unsigned i = 0; i < VALUES; i++)
        must_append_bytes(fixture->partition, VALUE_BYTES, i, BECK_ACKS_LEADER);
    reads = 0;
    return 0;
}

/* As a process that appended nothing. */
static void open_anew(struct fixture *fixture)
{
    fixture_close(fixture);
    fixture->store = must_open_io(fixture->path, 0, &fault.io);
    fixture->partition = must_open_partition(fixture->store, "t", 0);
    reads = 0;
}

static int read_at(struct fixture *fixture, int64_t offset)
{
    struct beck_range range;
    int r = beck_read_range(fixture->partition, offset, 3 * VALUE_BYTES, BECK_READ_UNCOMMITTED,
                            &range, &fixture->error);
    if (r == 0) {
        assert_int_not_equal(range.size, 0);
        beck_range_release(&range);
    }
    return r;
}

/* Change the first batch so that the time of the change differs from that of the last append:
 * clocks of files move in steps. */
static void spoil(struct fixture *fixture)
{
    struct stat before;
    struct stat after;
    char path[PATH_MAX];
    segment_path(fixture, "t", 0, 0, path);
    assert_int_equal(stat(path, &before), 0);
    do {
        file_flip(path, 1000);
        file_flip(path, 1000);
        assert_int_equal(stat(path, &after), 0);
    } while (memcmp(&before.st_ctim, &after.st_ctim, sizeof(before.st_ctim)) == 0);
    file_flip(path, 1000);
}

static void what_this_process_appended_is_not_read_to_be_checked(void **state)
{
    struct fixture *fixture = *state;
    must(read_at(fixture, 0), &fixture->error);
    int lookups = reads; /* headers, to find the end of the range */
    must(read_at(fixture, 0), &fixture->error);
    assert_int_equal(reads, 2 * lookups);
    assert_true(lookups <= 4);
}

static void a_range_is_checked_once(void **state)
{
    struct fixture *fixture = *state;
    open_anew(fixture);
    must(read_at(fixture, 0), &fixture->error);
    int first = reads;
    must(read_at(fixture, 0), &fixture->error);
    assert_true(reads - first < first);
}

static void a_change_of_what_was_checked_is_found(void **state)
{
    struct fixture *fixture = *state;
    open_anew(fixture);
    must(read_at(fixture, 0), &fixture->error);
    spoil(fixture);
    assert_int_equal(read_at(fixture, 0), -EBADMSG);
    assert_int_equal(fixture->error.offset, 0);
}

static void a_change_of_what_this_process_appended_is_found(void **state)
{
    struct fixture *fixture = *state;
    spoil(fixture);
    assert_int_equal(read_at(fixture, 0), -EBADMSG);
}

static void what_is_put_right_again_is_served_again(void **state)
{
    struct fixture *fixture = *state;
    char path[PATH_MAX];
    spoil(fixture);
    assert_int_equal(read_at(fixture, 0), -EBADMSG);
    segment_path(fixture, "t", 0, 0, path);
    file_flip(path, 1000);
    must(read_at(fixture, 0), &fixture->error);
}

/* The third batch says offset 10: the one behind it, which goes on with 3, shows that it is wrong.
 */
static void a_batch_is_not_served_under_a_wrong_offset(void **state)
{
    struct fixture *fixture = *state;
    struct beck_range range;
    char path[PATH_MAX];
    size_t size;
    fixture_close(fixture);
    segment_path(fixture, "t", 0, 0, path);
    char *bytes = file_read(path, &size);
    size_t one =
        (size_t)((uint8_t)bytes[9] << 16 | (uint8_t)bytes[10] << 8 | (uint8_t)bytes[11]) + 12;
    bytes[2 * one + 7] = 10;
    file_write(path, bytes, size);
    free(bytes);
    open_anew(fixture);
    int64_t offset = 0;
    while (offset < 2) {
        must(beck_read_range(fixture->partition, offset, 1 << 20, BECK_READ_UNCOMMITTED, &range,
                             &fixture->error),
             &fixture->error);
        offset = range.next_offset;
        beck_range_release(&range);
    }
    assert_int_equal(offset, 2);
    assert_int_equal(read_at(fixture, 2), -EBADMSG);
    assert_int_equal(fixture->error.byte, 2 * one);
}

/* It is there whether or not its file is. */
static void the_segment_of_an_offset_is_known(void **state)
{
    struct fixture *fixture = *state;
    struct beck_segment first;
    struct beck_segment second;
    char path[PATH_MAX];
    store_file(fixture, "", path);
    must(beck_segment_at(fixture->partition, 1, &first, &fixture->error), &fixture->error);
    assert_int_equal(first.base_offset, 0);
    strcat(path, first.path);
    assert_int_equal(file_size(path), first.bytes);
    fixture_close(fixture);
    assert_int_equal(unlink(path), 0);
    fixture->store = must_open_io(fixture->path, 0, &fault.io);
    fixture->partition = must_open_partition(fixture->store, "t", 0);
    must(beck_segment_at(fixture->partition, 1, &second, &fixture->error), &fixture->error);
    assert_int_equal(second.end_offset, first.end_offset);
    must(beck_segment_at(fixture->partition, first.end_offset, &second, &fixture->error),
         &fixture->error);
    assert_int_equal(second.base_offset, first.end_offset);
    must(beck_segment_at(fixture->partition, VALUES, &second, &fixture->error), &fixture->error);
    assert_int_equal(second.end_offset, VALUES);
    assert_int_equal(beck_segment_at(fixture->partition, VALUES + 1, &second, &fixture->error),
                     -ERANGE);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup_segments, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(what_this_process_appended_is_not_read_to_be_checked),
        TEST(a_range_is_checked_once),
        TEST(a_change_of_what_was_checked_is_found),
        TEST(a_change_of_what_this_process_appended_is_found),
        TEST(what_is_put_right_again_is_served_again),
        TEST(a_batch_is_not_served_under_a_wrong_offset),
        TEST(the_segment_of_an_offset_is_known),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

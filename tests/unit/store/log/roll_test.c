/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Rolling: when a new segment begins, what it is called, and what a roll that fails or whose writer
 * dies leaves behind; and what an append leaves that fails, or whose writer dies.
 */
#include "fault_io.h"
#include "partition.h"
#include "store_fixture.h"

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#define MIB ((size_t)1 << 20)

/* Fill the first segment so that a batch of 600 bytes fits, and one of 2,000 does not. */
static void fill_segment(struct beck_partition *partition)
{
    uint64_t bytes = 0;
    struct beck_error error;
    for (unsigned i = 0; i < 10; i++)
        must_append_bytes(partition, 100000, i, BECK_ACKS_LEADER);
    must(beck_partition_disk_bytes(partition, &bytes, &error), &error);
    must_append_bytes(partition, MIB - (size_t)bytes - 1000, 99, BECK_ACKS_LEADER);
}

static void a_full_segment_is_followed_by_one_named_after_its_first_offset(void **state)
{
    struct fixture *fixture = *state;
    char path[PATH_MAX];
    fill_segment(fixture->partition);
    assert_int_equal(segment_count(fixture, "t", 0), 1);
    assert_int_equal(must_append_bytes(fixture->partition, 2000, 1, BECK_ACKS_LEADER), 11);
    assert_int_equal(segment_count(fixture, "t", 0), 2);
    segment_path(fixture, "t", 0, 1, path);
    assert_string_equal(path + strlen(path) - 24, "00000000000000000011.log");
}

static void a_segment_never_grows_above_its_limit(void **state)
{
    struct fixture *fixture = *state;
    char path[PATH_MAX];
    for (unsigned i = 0; i < 60; i++)
        must_append_bytes(fixture->partition, 90000, i, BECK_ACKS_LEADER);
    int count = segment_count(fixture, "t", 0);
    assert_true(count >= 5);
    for (int i = 0; i < count; i++) {
        segment_path(fixture, "t", 0, i, path);
        assert_true(file_size(path) <= (int64_t)MIB);
    }
    assert_int_equal(count_records(fixture->partition, 0), 60);
}

static void appends_go_on_where_no_one_maintains(void **state)
{
    struct fixture *fixture = *state;
    for (unsigned i = 0; i < 250; i++) /* some 22 segments: more than the slot can note */
        must_append_bytes(fixture->partition, 90000, i, BECK_ACKS_LEADER);
    assert_int_equal(count_records(fixture->partition, 0), 250);
    fixture_reopen(fixture);
    assert_int_equal(count_records(fixture->partition, 0), 250);
    assert_int_equal(verify_count(fixture->store, NULL), 0);
}

static void a_segment_that_is_too_old_is_rolled(void **state)
{
    struct fixture *fixture = *state;
    must_create_topic(fixture->store, "old", 1, "segment.ms", "50");
    struct beck_partition *partition = must_open_partition(fixture->store, "old", 0);
    must_append(partition, "a", BECK_ACKS_LEADER);
    usleep(80000);
    must_append(partition, "b", BECK_ACKS_LEADER);
    assert_int_equal(segment_count(fixture, "old", 0), 2);
    assert_int_equal(count_records(partition, 0), 2);
    beck_partition_close(partition);
}

/* ---- rolls that go wrong ------------------------------------------------------------------- */

static int fail_write_at_begin(struct fault_io *fault, const struct fault_what *what)
{
    (void)fault;
    return what->call == FAULT_WRITE && what->position == 0 ? -ENOSPC : 0;
}

/* A roll fails, a smaller batch still fits into the old segment; then all is opened anew. */
static void a_roll_that_failed_loses_nothing(void **state)
{
    struct fixture *fixture = *state;
    struct fault_io fault;
    struct beck_append_result result;
    struct beck_error error;
    char *value = calloc(1, 2000);
    struct beck_record record = {.key_size = -1, .value = value, .value_size = 2000};

    fill_segment(fixture->partition);
    fixture_close(fixture);
    fault_io_init(&fault);
    fixture->store = must_open_io(fixture->path, 0, &fault.io);
    fixture->partition = must_open_partition(fixture->store, "t", 0);
    fault.hook = fail_write_at_begin;
    assert_int_equal(
        beck_produce(fixture->partition, &record, 1, BECK_ACKS_LEADER, &result, &error), -ENOSPC);
    fault.hook = NULL;
    assert_int_equal(must_append(fixture->partition, "still here", BECK_ACKS_ALL), 11);
    must(beck_sync(fixture->partition, 12, &error), &error);
    fixture_close(fixture);

    fixture_open(fixture);
    assert_value(fixture->partition, 11, "still here");
    assert_int_equal(count_records(fixture->partition, 0), 12);
    assert_int_equal(verify_count(fixture->store, NULL), 0);
    free(value);
}

static int die_after_write(struct fault_io *fault, const struct fault_what *what)
{
    if (what->call == FAULT_CLOSE || what->call != FAULT_WRITE || what->position != 0)
        return 0;
    /* Write it all the same, then die before it can be published. */
    struct iovec *vectors = fault->context;
    (void)io_system.write(&io_system, what->fd, vectors, 1, 0);
    (void)raise(SIGKILL);
    return 0;
}

static void roll_and_die(struct fixture *fixture, struct beck_store *unused)
{
    static struct fault_io fault;
    static char bytes[2100];
    static struct iovec vector = {.iov_base = bytes, .iov_len = sizeof(bytes)};
    (void)unused;
    beck_store_close(unused);
    fault_io_init(&fault);
    fault.context = &vector;
    struct beck_store *store = must_open_io(fixture->path, 0, &fault.io);
    struct beck_partition *partition = must_open_partition(store, "t", 0);
    fault.hook = die_after_write;
    must_append_bytes(partition, 2000, 7, BECK_ACKS_LEADER);
}

static void a_writer_that_dies_in_a_roll_loses_nothing(void **state)
{
    struct fixture *fixture = *state;
    fill_segment(fixture->partition);
    run_and_kill(roll_and_die, fixture);
    assert_int_equal(must_append(fixture->partition, "next", BECK_ACKS_LEADER), 11);
    assert_value(fixture->partition, 11, "next");
    fixture_reopen(fixture);
    assert_value(fixture->partition, 11, "next");
    assert_int_equal(count_records(fixture->partition, 0), 12);
    assert_int_equal(verify_count(fixture->store, NULL), 0);
}

static void a_writer_that_dies_in_a_roll_leaves_nothing_to_the_next_opening(void **state)
{
    struct fixture *fixture = *state;
    fill_segment(fixture->partition);
    fixture_close(fixture);
    run_and_kill(roll_and_die, fixture);
    fixture_open(fixture);
    int64_t offset = must_append(fixture->partition, "next", BECK_ACKS_LEADER);
    assert_value(fixture->partition, offset, "next");
    fixture_reopen(fixture);
    assert_value(fixture->partition, offset, "next");
    assert_int_equal(count_records(fixture->partition, 0), 12);
    assert_int_equal(verify_count(fixture->store, NULL), 0);
}

static int die_before_creating(struct fault_io *fault, const struct fault_what *what)
{
    (void)fault;
    if (fault_is(what, FAULT_OPEN, ".log"))
        (void)raise(SIGKILL);
    return 0;
}

static void open_first_segment_and_die(struct fixture *fixture, struct beck_store *store)
{
    static struct fault_io fault;
    beck_store_close(store);
    fault_io_init(&fault);
    fault.hook = die_before_creating;
    store = must_open_io(fixture->path, 0, &fault.io);
    must_append(must_open_partition(store, "t", 0), "never", BECK_ACKS_LEADER);
}

static void a_writer_that_dies_before_the_first_file_hinders_nobody(void **state)
{
    struct fixture *fixture = *state;
    run_and_kill(open_first_segment_and_die, fixture);
    assert_int_equal(must_append(fixture->partition, "first", BECK_ACKS_LEADER), 0);
    assert_value(fixture->partition, 0, "first");
}

/* What a writer leaves that dies after it noted an index entry and before it published. */
static void note_entry_and_die(struct fixture *fixture, struct beck_store *store)
{
    struct beck_partition *partition = must_open_partition(store, "t", 0);
    struct beck_error error;
    (void)fixture;
    must(partition_lock(partition, &error), &error);
    const struct live_tail *tail = live_tail_locked(partition->slot);
    struct index_entry entry = {tail->end.offset, tail->end.position, tail->end.view,
                                tail->max_timestamp_ms};
    live_ring_add(partition->slot, &entry);
}

static void an_index_entry_of_a_dead_writer_misleads_nobody(void **state)
{
    struct fixture *fixture = *state;
    fill_segment(fixture->partition);
    run_and_kill(note_entry_and_die, fixture);
    assert_int_equal(must_append_bytes(fixture->partition, 2000, 1, BECK_ACKS_LEADER), 11);
    assert_int_equal(must_append(fixture->partition, "after", BECK_ACKS_LEADER), 12);
    assert_value(fixture->partition, 12, "after");
    assert_int_equal(count_records(fixture->partition, 11), 2);
}

/* ---- what stands behind the tail ------------------------------------------------------------ */

static const char left_behind[300] = "a batch that was written, and not published";

static void write_and_die(struct fixture *fixture, struct beck_store *store)
{
    struct beck_partition *partition = must_open_partition(store, "t", 0);
    char path[PATH_MAX];
    struct beck_error error;
    segment_path(fixture, "t", 0, 0, path);
    must(partition_lock(partition, &error), &error);
    file_append(path, left_behind, sizeof(left_behind));
}

/* A batch of a dead writer is not to come back behind a shorter one. */
static void what_a_dead_writer_left_is_cut_off_before_the_next_write(void **state)
{
    struct fixture *fixture = *state;
    char path[PATH_MAX];
    must_append(fixture->partition, "v", BECK_ACKS_LEADER);
    segment_path(fixture, "t", 0, 0, path);
    int64_t one = file_size(path);
    run_and_kill(write_and_die, fixture);
    assert_int_equal(file_size(path), one + (int64_t)sizeof(left_behind));
    must_append(fixture->partition, "v", BECK_ACKS_LEADER);
    assert_int_equal(file_size(path), 2 * one);
}

static int write_a_part(struct fault_io *fault, const struct fault_what *what)
{
    struct iovec vector = {.iov_base = (void *)(uintptr_t)left_behind, .iov_len = 100};
    (void)fault;
    if (what->call != FAULT_WRITE)
        return 0;
    (void)io_system.write(&io_system, what->fd, &vector, 1, what->position);
    return -ENOSPC;
}

static int write_a_part_and_cut_nothing(struct fault_io *fault, const struct fault_what *what)
{
    return what->call == FAULT_TRUNCATE ? -EIO : write_a_part(fault, what);
}

/* At once, or where that fails before the next write. */
static void what_a_failed_write_left_is_cut_off(void **state)
{
    struct fixture *fixture = *state;
    struct fault_io fault;
    struct beck_append_result result;
    struct beck_error error;
    const struct beck_record record = {.key_size = -1, .value = "v", .value_size = 1};
    char path[PATH_MAX];
    must_append(fixture->partition, "v", BECK_ACKS_LEADER);
    segment_path(fixture, "t", 0, 0, path);
    int64_t one = file_size(path);
    fixture_close(fixture);
    fault_io_init(&fault);
    fixture->store = must_open_io(fixture->path, 0, &fault.io);
    fixture->partition = must_open_partition(fixture->store, "t", 0);
    for (int i = 0; i < 2; i++) {
        fault.hook = i ? write_a_part_and_cut_nothing : write_a_part;
        assert_int_equal(
            beck_produce(fixture->partition, &record, 1, BECK_ACKS_LEADER, &result, &error),
            -ENOSPC);
        assert_int_equal(file_size(path), one + i * 100);
    }
    fault.hook = NULL;
    must_append(fixture->partition, "v", BECK_ACKS_LEADER);
    assert_int_equal(file_size(path), 2 * one);
    fixture_close(fixture);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup_small_segments, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(a_full_segment_is_followed_by_one_named_after_its_first_offset),
        TEST(a_segment_never_grows_above_its_limit),
        TEST(appends_go_on_where_no_one_maintains),
        TEST(a_segment_that_is_too_old_is_rolled),
        TEST(a_roll_that_failed_loses_nothing),
        TEST(a_writer_that_dies_in_a_roll_loses_nothing),
        TEST(what_a_dead_writer_left_is_cut_off_before_the_next_write),
        TEST(what_a_failed_write_left_is_cut_off),
        TEST(a_writer_that_dies_in_a_roll_leaves_nothing_to_the_next_opening),
        TEST(a_writer_that_dies_before_the_first_file_hinders_nobody),
        TEST(an_index_entry_of_a_dead_writer_misleads_nobody),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

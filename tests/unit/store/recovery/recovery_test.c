/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Recovery by whoever opens a store alone: torn ends are cut off and told, what was good stays, and
 * index.mdb and live are made again when they are gone.
 */
#include "fault_io.h"
#include "store.h"
#include "store_fixture.h"

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* Five records that no checkpoint covers. */
static void append_five(struct fixture *fixture, struct beck_store *store)
{
    struct beck_partition *partition = must_open_partition(store, "t", 0);
    struct beck_error error;
    (void)fixture;
    for (int i = 0; i < 5; i++) {
        char value[16];
        (void)snprintf(value, sizeof(value), "v%d", i);
        must_append(partition, value, BECK_ACKS_ALL);
    }
    must(beck_sync(partition, 5, &error), &error);
}

/* A store whose only process was killed after five records; closed. */
static void leave_five(struct fixture *fixture)
{
    fixture_close(fixture);
    run_and_kill(append_five, fixture);
}

static void assert_cut(struct fixture *fixture, int64_t records, uint64_t truncated)
{
    struct beck_recovery entry;
    struct beck_error error;
    fixture_open(fixture);
    assert_int_equal(count_records(fixture->partition, 0), records);
    assert_int_equal(beck_store_recovery(fixture->store, 0, &entry, &error), 1);
    assert_string_equal(entry.topic, "t");
    assert_int_equal(entry.partition, 0);
    assert_int_equal(entry.truncated_bytes, truncated);
    assert_true(entry.reason[0] != '\0');
    assert_true(entry.time_ms > FIXTURE_TIME - INT64_C(400) * 86400000);
    assert_int_equal(entry.next_offset, must_state(fixture->partition).next_offset);
    assert_int_equal(beck_store_recovery(fixture->store, 1, &entry, &error), 0);

    int64_t offset = must_append(fixture->partition, "after", BECK_ACKS_ALL);
    fixture_reopen(fixture);
    assert_value(fixture->partition, offset, "after");
    assert_int_equal(count_records(fixture->partition, 0), records + 1);
    assert_int_equal(verify_count(fixture->store, NULL), 0);
    assert_int_equal(beck_store_recovery(fixture->store, 0, &entry, &error), 1);
    must(beck_store_recovery_forget(fixture->store, &error), &error);
    assert_int_equal(beck_store_recovery(fixture->store, 0, &entry, &error), 0);
}

/* ---- killed, and nothing was cut ----------------------------------------------------------- */

static void what_a_killed_process_appended_is_there(void **state)
{
    struct fixture *fixture = *state;
    struct beck_recovery entry;
    struct beck_error error;
    leave_five(fixture);
    fixture_open(fixture);
    assert_int_equal(count_records(fixture->partition, 0), 5);
    assert_int_equal(beck_store_recovery(fixture->store, 0, &entry, &error), 0);
}

static void a_kill_without_power_loss_changes_neither_epoch_nor_offsets(void **state)
{
    struct fixture *fixture = *state;
    leave_five(fixture);
    fixture_open(fixture);
    struct beck_partition_state now = must_state(fixture->partition);
    assert_int_equal(now.next_offset, 5);
    assert_int_equal(now.high_watermark, 5);
    assert_int_equal(now.synced_offset, 5);
    assert_int_equal(now.leader_epoch, 0);
}

static void after_power_loss_epoch_and_offsets_jump(void **state)
{
    struct fixture *fixture = *state;
    char path[PATH_MAX];
    leave_five(fixture);
    store_file(fixture, STORE_PATH_LIVE, path);
    assert_int_equal(unlink(path), 0);
    fixture_open(fixture);
    struct beck_partition_state now = must_state(fixture->partition);
    assert_true(now.next_offset > 5);
    assert_int_equal(now.leader_epoch, 1);
    int64_t offset = must_append(fixture->partition, "next", BECK_ACKS_LEADER);
    assert_int_equal(offset, now.next_offset);
    assert_value(fixture->partition, offset, "next");
    assert_int_equal(count_records(fixture->partition, 0), 6);
    assert_int_equal(count_records(fixture->partition, 5), 1);
    fixture_reopen(fixture);
    assert_int_equal(count_records(fixture->partition, 0), 6);
    assert_int_equal(must_state(fixture->partition).leader_epoch, 1);
    assert_int_equal(verify_count(fixture->store, NULL), 0);
}

static void append_one(struct fixture *fixture, struct beck_store *store)
{
    (void)fixture;
    must_append(must_open_partition(store, "t", 0), "jumped", BECK_ACKS_LEADER);
}

/* The hole before the record is real, whatever junk stands behind it. */
static void a_record_behind_a_jump_survives_a_torn_end(void **state)
{
    struct fixture *fixture = *state;
    static const char zeros[200];
    char path[PATH_MAX];
    char log[PATH_MAX];
    leave_five(fixture);
    store_file(fixture, STORE_PATH_LIVE, path);
    assert_int_equal(unlink(path), 0);
    fixture_open(fixture);
    int64_t jumped = must_state(fixture->partition).next_offset;
    fixture_close(fixture);
    run_and_kill(append_one, fixture);
    segment_path(fixture, "t", 0, 0, log);
    file_append(log, zeros, sizeof(zeros));
    fixture_open(fixture);
    assert_value(fixture->partition, jumped, "jumped");
    assert_int_equal(count_records(fixture->partition, 0), 6);
}

static void a_clean_close_needs_no_new_epoch_after_power_loss(void **state)
{
    struct fixture *fixture = *state;
    char path[PATH_MAX];
    must_append(fixture->partition, "a", BECK_ACKS_LEADER);
    fixture_close(fixture);
    store_file(fixture, STORE_PATH_LIVE, path);
    assert_int_equal(unlink(path), 0);
    fixture_open(fixture);
    assert_int_equal(must_state(fixture->partition).leader_epoch, 0);
    assert_int_equal(must_state(fixture->partition).next_offset, 1);
}

static void leave_open(struct fixture *fixture, struct beck_store *store)
{
    (void)fixture;
    (void)store;
}

static void an_empty_partition_can_be_read_after_power_loss(void **state)
{
    struct fixture *fixture = *state;
    char path[PATH_MAX];
    fixture_close(fixture);
    run_and_kill(leave_open, fixture);
    store_file(fixture, STORE_PATH_LIVE, path);
    assert_int_equal(unlink(path), 0);
    fixture_open(fixture);
    assert_int_equal(count_records(fixture->partition, 0), 0);
    char buffer[256];
    struct beck_error error;
    assert_int_equal(must(beck_read(fixture->partition, 0, buffer, sizeof(buffer),
                                    BECK_READ_UNCOMMITTED, &error),
                          &error),
                     0);
    assert_int_equal(verify_count(fixture->store, NULL), 0);
}

/* Who waits at an end behind which only unused offsets are must not be told that there is more. */
static void offsets_that_were_skipped_do_not_wake_who_waits(void **state)
{
    struct fixture *fixture = *state;
    char path[PATH_MAX];
    struct beck_range range;
    struct beck_error error;
    leave_five(fixture);
    store_file(fixture, STORE_PATH_LIVE, path);
    assert_int_equal(unlink(path), 0);
    fixture_open(fixture);
    must(beck_read_range(fixture->partition, 5, 1000, BECK_READ_UNCOMMITTED, &range, &error),
         &error);
    assert_int_equal(range.size, 0);
    int woken = beck_partition_wait(fixture->partition, range.next_offset, BECK_READ_UNCOMMITTED,
                                    30, &error);
    beck_range_release(&range);
    assert_int_equal(woken, 0);
}

/* ---- torn ends ----------------------------------------------------------------------------- */

static void junk_behind_the_last_batch_is_cut_off(void **state)
{
    struct fixture *fixture = *state;
    char path[PATH_MAX];
    leave_five(fixture);
    segment_path(fixture, "t", 0, 0, path);
    file_append(path, "this is no batch, but a line of text that is longer than a header is", 68);
    assert_cut(fixture, 5, 68);
}

static void a_few_bytes_behind_the_last_batch_are_cut_off(void **state)
{
    struct fixture *fixture = *state;
    char path[PATH_MAX];
    leave_five(fixture);
    segment_path(fixture, "t", 0, 0, path);
    file_append(path, "xyz", 3);
    assert_cut(fixture, 5, 3);
}

static void zeros_behind_the_last_batch_are_cut_off(void **state)
{
    struct fixture *fixture = *state;
    char path[PATH_MAX];
    static const char zeros[4096];
    leave_five(fixture);
    segment_path(fixture, "t", 0, 0, path);
    file_append(path, zeros, sizeof(zeros));
    assert_cut(fixture, 5, sizeof(zeros));
}

static void a_last_batch_without_its_last_bytes_is_cut_off(void **state)
{
    struct fixture *fixture = *state;
    char path[PATH_MAX];
    leave_five(fixture);
    segment_path(fixture, "t", 0, 0, path);
    uint64_t batch = (uint64_t)file_size(path) / 5;
    file_cut(path, 5);
    assert_cut(fixture, 4, batch - 5);
}

static void half_of_a_header_is_cut_off(void **state)
{
    struct fixture *fixture = *state;
    char path[PATH_MAX];
    leave_five(fixture);
    segment_path(fixture, "t", 0, 0, path);
    int64_t batch = file_size(path) / 5;
    file_cut(path, batch - 30);
    assert_cut(fixture, 4, 30);
}

static void a_header_without_its_records_is_cut_off(void **state)
{
    struct fixture *fixture = *state;
    char path[PATH_MAX];
    leave_five(fixture);
    segment_path(fixture, "t", 0, 0, path);
    int64_t batch = file_size(path) / 5;
    file_cut(path, batch - BECK_BATCH_HEADER_BYTES);
    assert_cut(fixture, 4, BECK_BATCH_HEADER_BYTES);
}

static void a_batch_whose_bytes_became_zeros_is_cut_off(void **state)
{
    struct fixture *fixture = *state;
    char path[PATH_MAX];
    static const char zeros[8];
    leave_five(fixture);
    segment_path(fixture, "t", 0, 0, path);
    uint64_t batch = (uint64_t)file_size(path) / 5;
    file_cut(path, sizeof(zeros));
    file_append(path, zeros, sizeof(zeros));
    assert_cut(fixture, 4, batch);
}

static void a_batch_that_repeats_an_offset_is_cut_off(void **state)
{
    struct fixture *fixture = *state;
    char path[PATH_MAX];
    size_t size;
    leave_five(fixture);
    segment_path(fixture, "t", 0, 0, path);
    char *bytes = file_read(path, &size);
    file_append(path, bytes, size / 5);
    free(bytes);
    assert_cut(fixture, 5, size / 5);
}

static void a_torn_end_is_cut_off_after_a_clean_close_too(void **state)
{
    struct fixture *fixture = *state;
    char path[PATH_MAX];
    for (int i = 0; i < 5; i++)
        must_append(fixture->partition, "v", BECK_ACKS_LEADER);
    fixture_close(fixture);
    segment_path(fixture, "t", 0, 0, path);
    file_append(path, "junk", 4);
    assert_cut(fixture, 5, 4);
}

static void a_read_only_opening_passes_over_a_torn_end_and_changes_nothing(void **state)
{
    struct fixture *fixture = *state;
    char path[PATH_MAX];
    leave_five(fixture);
    segment_path(fixture, "t", 0, 0, path);
    file_append(path, "junk", 4);
    int64_t size = file_size(path);
    fixture->store = must_open(fixture->path, BECK_OPEN_READ_ONLY);
    fixture->partition = must_open_partition(fixture->store, "t", 0);
    assert_int_equal(count_records(fixture->partition, 0), 5);
    fixture_close(fixture);
    assert_int_equal(file_size(path), size);
}

/* ---- what can be made again ---------------------------------------------------------------- */

static void a_lost_index_is_made_again(void **state)
{
    struct fixture *fixture = *state;
    char path[PATH_MAX];
    for (unsigned i = 0; i < 50; i++)
        must_append_bytes(fixture->partition, 20000, i, BECK_ACKS_LEADER);
    fixture_close(fixture);
    store_file(fixture, STORE_PATH_INDEX, path);
    assert_int_equal(unlink(path), 0);
    fixture_open(fixture);
    assert_int_equal(count_records(fixture->partition, 0), 50);
    assert_int_equal(must_state(fixture->partition).view_bytes, 50 * 20001);
    assert_int_equal(verify_count(fixture->store, NULL), 0);
}

/* Nothing but its neighbours vouches for a batch's base offset. */
static void a_flipped_base_offset_costs_no_other_record_where_the_index_is_lost(void **state)
{
    struct fixture *fixture = *state;
    char path[PATH_MAX];
    char log[PATH_MAX];
    for (int i = 0; i < 10; i++)
        must_append(fixture->partition, "record", BECK_ACKS_LEADER);
    segment_path(fixture, "t", 0, 0, log);
    store_file(fixture, STORE_PATH_INDEX, path);
    fixture_close(fixture);
    int64_t size = file_size(log);
    assert_int_equal(unlink(path), 0);
    file_flip(log, size / 10 * 5 + 5); /* offset 5 becomes one above 65,535 */
    fixture_open(fixture);
    assert_int_equal(file_size(log), size);
    assert_int_equal(count_records(fixture->partition, 6), 4);
    assert_int_equal(must_state(fixture->partition).next_offset, 10);
}

static void an_index_that_is_no_index_is_made_again(void **state)
{
    struct fixture *fixture = *state;
    char path[PATH_MAX];
    static const char garbage[16384] = "this is no database";
    must_append(fixture->partition, "a", BECK_ACKS_LEADER);
    fixture_close(fixture);
    store_file(fixture, STORE_PATH_INDEX, path);
    file_write(path, garbage, sizeof(garbage));
    fixture_open(fixture);
    assert_value(fixture->partition, 0, "a");
    assert_int_equal(verify_count(fixture->store, NULL), 0);
}

static void an_empty_index_file_is_made_again(void **state)
{
    struct fixture *fixture = *state;
    char path[PATH_MAX];
    must_append(fixture->partition, "a", BECK_ACKS_LEADER);
    fixture_close(fixture);
    store_file(fixture, STORE_PATH_INDEX, path);
    file_write(path, "", 0);
    fixture_open(fixture);
    assert_value(fixture->partition, 0, "a");
}

/* Whatever `live` holds, who is alone does not believe it. */
static void check_live(struct fixture *fixture, const void *bytes, size_t size)
{
    char path[PATH_MAX];
    must_append(fixture->partition, "a", BECK_ACKS_LEADER);
    fixture_close(fixture);
    store_file(fixture, STORE_PATH_LIVE, path);
    file_write(path, bytes, size);
    fixture_open(fixture);
    assert_value(fixture->partition, 0, "a");
    must_append(fixture->partition, "b", BECK_ACKS_LEADER);
    assert_int_equal(count_records(fixture->partition, 0), 2);
}

static void an_empty_live_is_made_again(void **state)
{
    check_live(*state, "", 0);
}

static void a_live_of_garbage_is_made_again(void **state)
{
    static char garbage[300000];
    uint64_t random = 1;
    for (size_t i = 0; i < sizeof(garbage); i++)
        garbage[i] = (char)random_next(&random);
    check_live(*state, garbage, sizeof(garbage));
}

static void a_live_that_was_cut_is_made_again(void **state)
{
    struct fixture *fixture = *state;
    char path[PATH_MAX];
    size_t size;
    store_file(fixture, STORE_PATH_LIVE, path);
    char *bytes = file_read(path, &size);
    check_live(fixture, bytes, LIVE_SLOT_BYTES + 100);
    free(bytes);
}

static void a_copied_live_is_not_believed(void **state)
{
    struct fixture *fixture = *state;
    char copy[PATH_MAX];
    leave_five(fixture);
    (void)snprintf(copy, sizeof(copy), "%s/copy", fixture->folder);
    folder_copy(fixture->path, copy);
    struct beck_store *store = must_open(copy, 0);
    struct beck_partition *partition = must_open_partition(store, "t", 0);
    assert_int_equal(count_records(partition, 0), 5);
    assert_int_equal(must_state(partition).leader_epoch, 1);
    beck_partition_close(partition);
    beck_store_close(store);
}

static void a_live_of_an_earlier_boot_is_not_believed(void **state)
{
    struct fixture *fixture = *state;
    char path[PATH_MAX];
    leave_five(fixture);
    store_file(fixture, STORE_PATH_LIVE, path);
    file_flip(path, (int64_t)offsetof(struct live_store, boot_id));
    fixture_open(fixture);
    assert_int_equal(count_records(fixture->partition, 0), 5);
    assert_int_equal(must_state(fixture->partition).leader_epoch, 1);
}

/* ---- one partition's trouble is its own ---------------------------------------------------- */

static void a_missing_folder_leaves_other_topics_alone(void **state)
{
    struct fixture *fixture = *state;
    char path[PATH_MAX];
    must_create_topic(fixture->store, "other", 1, NULL, NULL);
    struct beck_partition *other = must_open_partition(fixture->store, "other", 0);
    must_append(other, "here", BECK_ACKS_LEADER);
    beck_partition_close(other);
    must_append(fixture->partition, "gone", BECK_ACKS_LEADER);
    fixture_close(fixture);
    partition_folder(fixture, "t", 0, path);
    folder_remove(path);
    fixture->store = must_open(fixture->path, 0);
    other = must_open_partition(fixture->store, "other", 0);
    assert_value(other, 0, "here");
    must_append(other, "more", BECK_ACKS_LEADER);
    beck_partition_close(other);
    assert_true(verify_count(fixture->store, NULL) > 0);
}

enum { MANY = 20 };

static void append_to_many(struct fixture *fixture, struct beck_store *store)
{
    (void)fixture;
    for (int32_t i = 0; i < MANY; i++)
        must_append(must_open_partition(store, "many", i), "here", BECK_ACKS_LEADER);
}

static int count_syncs_of_all(struct fault_io *fault, const struct fault_what *what)
{
    int *count = fault->context;
    *count += what->call == FAULT_SYNC_ALL;
    return 0;
}

static void what_many_partitions_left_in_memory_is_written_back_at_once(void **state)
{
    struct fixture *fixture = *state;
    struct fault_io fault;
    int count = 0;
    must_create_topic(fixture->store, "many", MANY, NULL, NULL);
    fixture_close(fixture);
    run_and_kill(append_to_many, fixture);
    fault_io_init(&fault);
    fault.context = &count;
    fault.hook = count_syncs_of_all;
    fixture->store = must_open_io(fixture->path, 0, &fault.io);
    assert_int_equal(count, 1);
    for (int32_t i = 0; i < MANY; i++) {
        struct beck_partition *partition = must_open_partition(fixture->store, "many", i);
        assert_value(partition, 0, "here");
        beck_partition_close(partition);
    }
    fixture_close(fixture);
}

static int fail_first_segment_sync(struct fault_io *fault, const struct fault_what *what)
{
    bool *done = fault->context;
    if (what->call != FAULT_SYNC_DATA || *done)
        return 0;
    *done = true;
    return -EIO;
}

static void a_sync_that_fails_in_recovery_leaves_other_topics_alone(void **state)
{
    struct fixture *fixture = *state;
    struct fault_io fault;
    bool done = false;
    must_create_topic(fixture->store, "u", 1, NULL, NULL);
    leave_five(fixture);
    fault_io_init(&fault);
    fault.context = &done;
    fault.hook = fail_first_segment_sync;
    fixture->store = must_open_io(fixture->path, 0, &fault.io);
    struct beck_partition *other = must_open_partition(fixture->store, "u", 0);
    must_append(other, "works", BECK_ACKS_LEADER);
    beck_partition_close(other);
    fixture_close(fixture);
}

/* ---- killed in recovery --------------------------------------------------------------------- */

/* The disk refuses it, and who would have been told is killed. */
static int die_at_segment_sync(struct fault_io *fault, const struct fault_what *what)
{
    bool *is_segment = fault->context;
    if (what->call == FAULT_OPEN)
        *is_segment = fault_is(what, FAULT_OPEN, ".log");
    if (what->call == FAULT_SYNC_DATA && *is_segment)
        (void)kill(getpid(), SIGKILL);
    return 0;
}

static int recover_and_die(struct fixture *fixture)
{
    struct fault_io fault;
    bool is_segment = false;
    fault_io_init(&fault);
    fault.context = &is_segment;
    fault.hook = die_at_segment_sync;
    (void)must_open_io(fixture->path, 0, &fault.io);
    return 0;
}

static int count_forgotten(struct fault_io *fault, const struct fault_what *what)
{
    int *count = fault->context;
    *count += what->call == FAULT_FORGET;
    return 0;
}

/* Somebody was killed when recovery made durable what it had read: who comes next does not believe
 * the page cache, which may have what the disk refused; and who comes after him does. */
static void assert_read_from_disk(struct fixture *fixture, int64_t records)
{
    static struct fault_io fault;
    static int count;
    assert_int_equal(run_in_child(recover_and_die, fixture), 128 + SIGKILL);
    count = 0;
    fault_io_init(&fault);
    fault.context = &count;
    fault.hook = count_forgotten;
    fixture->store = must_open_io(fixture->path, 0, &fault.io);
    assert_true(count > 0);
    fixture->partition = must_open_partition(fixture->store, "t", 0);
    assert_int_equal(count_records(fixture->partition, 0), records);
    struct beck_partition_state found = must_state(fixture->partition);
    assert_int_equal(found.next_offset, records);
    assert_int_equal(found.leader_epoch, 0);
    must_append(fixture->partition, "works", BECK_ACKS_ALL);
    fixture_close(fixture);
    count = 0;
    fixture->store = must_open_io(fixture->path, 0, &fault.io);
    assert_int_equal(count, 0);
    fixture_close(fixture);
}

static void who_is_killed_at_a_sync_in_recovery_leaves_it_to_be_read_from_the_disk(void **state)
{
    struct fixture *fixture = *state;
    leave_five(fixture);
    assert_read_from_disk(fixture, 5);
}

static void who_is_killed_at_a_cut_in_recovery_leaves_it_to_be_read_from_the_disk(void **state)
{
    struct fixture *fixture = *state;
    char path[PATH_MAX];
    leave_five(fixture);
    segment_path(fixture, "t", 0, 0, path);
    file_append(path, "torn", 4);
    assert_read_from_disk(fixture, 5);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup_partition, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(what_a_killed_process_appended_is_there),
        TEST(a_kill_without_power_loss_changes_neither_epoch_nor_offsets),
        TEST(after_power_loss_epoch_and_offsets_jump),
        TEST(a_record_behind_a_jump_survives_a_torn_end),
        TEST(a_clean_close_needs_no_new_epoch_after_power_loss),
        TEST(an_empty_partition_can_be_read_after_power_loss),
        TEST(offsets_that_were_skipped_do_not_wake_who_waits),
        TEST(junk_behind_the_last_batch_is_cut_off),
        TEST(a_few_bytes_behind_the_last_batch_are_cut_off),
        TEST(zeros_behind_the_last_batch_are_cut_off),
        TEST(a_last_batch_without_its_last_bytes_is_cut_off),
        TEST(half_of_a_header_is_cut_off),
        TEST(a_header_without_its_records_is_cut_off),
        TEST(a_batch_whose_bytes_became_zeros_is_cut_off),
        TEST(a_batch_that_repeats_an_offset_is_cut_off),
        TEST(a_torn_end_is_cut_off_after_a_clean_close_too),
        TEST(a_read_only_opening_passes_over_a_torn_end_and_changes_nothing),
        TEST(a_lost_index_is_made_again),
        TEST(a_flipped_base_offset_costs_no_other_record_where_the_index_is_lost),
        TEST(an_index_that_is_no_index_is_made_again),
        TEST(an_empty_index_file_is_made_again),
        TEST(an_empty_live_is_made_again),
        TEST(a_live_of_garbage_is_made_again),
        TEST(a_live_that_was_cut_is_made_again),
        TEST(a_copied_live_is_not_believed),
        TEST(a_live_of_an_earlier_boot_is_not_believed),
        TEST(a_missing_folder_leaves_other_topics_alone),
        TEST(what_many_partitions_left_in_memory_is_written_back_at_once),
        TEST(a_sync_that_fails_in_recovery_leaves_other_topics_alone),
        TEST(who_is_killed_at_a_sync_in_recovery_leaves_it_to_be_read_from_the_disk),
        TEST(who_is_killed_at_a_cut_in_recovery_leaves_it_to_be_read_from_the_disk),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

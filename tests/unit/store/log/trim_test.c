/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Trimming: where a log begins afterwards, for whom, and what a crash leaves. In a batch of three
 * records, in segments of one MiB, and in the middle of it all.
 */
#include "fault_io.h"
#include "store.h"
#include "store_fixture.h"

#include <errno.h>
#include <inttypes.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* Append so many records of 100,000 bytes: ten fit into a segment. */
static void append_large(struct beck_partition *partition, unsigned count)
{
    for (unsigned i = 0; i < count; i++)
        must_append_bytes(partition, 100000, i, BECK_ACKS_LEADER);
}

/* One batch of the records "a", "b", "c", at the times 30, 20 and 10 after FIXTURE_TIME. */
static void append_three(struct fixture *fixture, enum beck_compression compression)
{
    struct beck_batch_builder *builder = NULL;
    struct beck_append_result result;
    const void *batch;
    size_t size;
    must(beck_batch_builder_new(compression, 10000, &builder, &fixture->error), &fixture->error);
    for (int i = 0; i < 3; i++) {
        char value = (char)('a' + i);
        struct beck_record record = {.key_size = -1,
                                     .value = &value,
                                     .value_size = 1,
                                     .timestamp_ms = FIXTURE_TIME + 30 - 10 * i};
        must(beck_batch_builder_add(builder, &record), NULL);
    }
    must(beck_batch_builder_finish(builder, &batch, &size, &fixture->error), &fixture->error);
    must(beck_append(fixture->partition, batch, size, BECK_ACKS_LEADER, &result, &fixture->error),
         &fixture->error);
    beck_batch_builder_free(builder);
}

static int64_t must_trim(struct fixture *fixture, int64_t offset)
{
    int64_t start = -1;
    must(beck_trim(fixture->partition, offset, &start, &fixture->error), &fixture->error);
    return start;
}

/* The whole view is this text. */
static void assert_view(struct beck_partition *partition, const char *text)
{
    struct beck_reader *reader = NULL;
    struct beck_error error;
    char view[1000];
    must(beck_reader_new(partition, BECK_READ_UNCOMMITTED, &reader, &error), &error);
    ssize_t n = must(beck_reader_view(reader, 0, view, sizeof(view), &error), &error);
    beck_reader_free(reader);
    assert_int_equal(n, strlen(text));
    assert_memory_equal(view, text, strlen(text));
    assert_int_equal(must_state(partition).view_bytes, strlen(text));
}

static int seek_result(struct fixture *fixture, int64_t offset)
{
    struct beck_reader *reader = NULL;
    must(beck_reader_new(fixture->partition, BECK_READ_UNCOMMITTED, &reader, &fixture->error),
         &fixture->error);
    int r = beck_reader_seek(reader, offset, &fixture->error);
    beck_reader_free(reader);
    return r;
}

/* ---- where it begins ----------------------------------------------------------------------- */

static void a_log_may_begin_in_the_middle_of_a_batch(void **state)
{
    struct fixture *fixture = *state;
    append_three(fixture, BECK_COMPRESSION_NONE);
    assert_int_equal(must_trim(fixture, 1), 1);
    assert_value(fixture->partition, 1, "b");
    assert_int_equal(count_records(fixture->partition, 1), 2);
    assert_view(fixture->partition, "b\nc\n");
}

static void it_does_so_in_a_compressed_batch(void **state)
{
    struct fixture *fixture = *state;
    append_three(fixture, BECK_COMPRESSION_ZSTD);
    assert_int_equal(must_trim(fixture, 2), 2);
    assert_value(fixture->partition, 2, "c");
    assert_view(fixture->partition, "c\n");
}

static void a_seek_below_it_is_out_of_range(void **state)
{
    struct fixture *fixture = *state;
    append_three(fixture, BECK_COMPRESSION_NONE);
    must_trim(fixture, 2);
    assert_int_equal(seek_result(fixture, 1), -ERANGE);
    assert_int_equal(seek_result(fixture, 2), 0);
}

static void a_range_is_whole_batches_all_the_same(void **state)
{
    struct fixture *fixture = *state;
    struct beck_range range;
    append_three(fixture, BECK_COMPRESSION_NONE);
    must_trim(fixture, 1);
    assert_int_equal(beck_read_range(fixture->partition, 0, 10000, BECK_READ_UNCOMMITTED, &range,
                                     &fixture->error),
                     -ERANGE);
    must(beck_read_range(fixture->partition, 1, 10000, BECK_READ_UNCOMMITTED, &range,
                         &fixture->error),
         &fixture->error);
    assert_int_equal(range.position, 0);
    assert_int_equal(range.next_offset, 3);
    beck_range_release(&range);
}

static void times_are_of_what_is_there_still(void **state)
{
    struct fixture *fixture = *state;
    int64_t offset = -1;
    int64_t timestamp_ms = -1;
    append_three(fixture, BECK_COMPRESSION_NONE);
    must_trim(fixture, 1);
    assert_int_equal(beck_offset_for_time(fixture->partition, 0, BECK_READ_UNCOMMITTED, &offset,
                                          &timestamp_ms, &fixture->error),
                     1);
    assert_int_equal(offset, 1);
    assert_int_equal(
        beck_offset_of_max_time(fixture->partition, &offset, &timestamp_ms, &fixture->error), 1);
    assert_int_equal(offset, 1);
    assert_int_equal(timestamp_ms, FIXTURE_TIME + 20);
    assert_int_equal(beck_offset_for_time(fixture->partition, FIXTURE_TIME + 25,
                                          BECK_READ_UNCOMMITTED, &offset, &timestamp_ms,
                                          &fixture->error),
                     0);
}

static void minus_one_is_the_high_watermark(void **state)
{
    struct fixture *fixture = *state;
    append_three(fixture, BECK_COMPRESSION_NONE);
    assert_int_equal(must_trim(fixture, -1), 3);
    assert_view(fixture->partition, "");
    assert_int_equal(must_append(fixture->partition, "d", BECK_ACKS_LEADER), 3);
    assert_view(fixture->partition, "d\n");
}

static void nothing_above_the_high_watermark_is_trimmed(void **state)
{
    struct fixture *fixture = *state;
    int64_t start = 77;
    append_three(fixture, BECK_COMPRESSION_NONE);
    must_append(fixture->partition, "hidden", BECK_ACKS_ALL);
    assert_int_equal(beck_trim(fixture->partition, 4, &start, &fixture->error), -ERANGE);
    assert_int_equal(beck_trim(fixture->partition, -2, &start, &fixture->error), -ERANGE);
    assert_int_equal(start, 77);
    assert_int_equal(must_trim(fixture, -1), 3);
}

static void a_log_start_never_goes_back(void **state)
{
    struct fixture *fixture = *state;
    append_three(fixture, BECK_COMPRESSION_NONE);
    must_trim(fixture, 2);
    assert_int_equal(must_trim(fixture, 1), 2);
    assert_int_equal(must_state(fixture->partition).log_start_offset, 2);
}

/* ---- segments ------------------------------------------------------------------------------ */

static void segments_below_it_go(void **state)
{
    struct fixture *fixture = *state;
    uint64_t before = 0;
    uint64_t after = 0;
    append_large(fixture->partition, 35);
    must(beck_partition_disk_bytes(fixture->partition, &before, &fixture->error), &fixture->error);
    assert_int_equal(segment_count(fixture, "t", 0), 4);
    must_trim(fixture, 25);
    assert_int_equal(segment_count(fixture, "t", 0), 2);
    must(beck_partition_disk_bytes(fixture->partition, &after, &fixture->error), &fixture->error);
    assert_true(after < before * 16 / 35 && after > before * 14 / 35);
    assert_int_equal(count_records(fixture->partition, 25), 10);
    assert_int_equal(verify_count(fixture->store, NULL), 0);
}

static void it_is_found_again(void **state)
{
    struct fixture *fixture = *state;
    append_large(fixture->partition, 35);
    must_trim(fixture, 25);
    uint64_t view_bytes = must_state(fixture->partition).view_bytes;
    fixture_reopen(fixture);
    assert_int_equal(must_state(fixture->partition).log_start_offset, 25);
    assert_int_equal(must_state(fixture->partition).view_bytes, view_bytes);
    assert_int_equal(count_records(fixture->partition, 25), 10);
}

static void it_is_found_again_without_an_index(void **state)
{
    struct fixture *fixture = *state;
    char path[PATH_MAX];
    append_large(fixture->partition, 35);
    must_trim(fixture, 25);
    uint64_t view_bytes = must_state(fixture->partition).view_bytes;
    fixture_close(fixture);
    store_file(fixture, STORE_PATH_INDEX, path);
    assert_int_equal(unlink(path), 0);
    fixture_open(fixture);
    assert_int_equal(must_state(fixture->partition).log_start_offset, 25);
    assert_int_equal(must_state(fixture->partition).view_bytes, view_bytes);
    assert_int_equal(count_records(fixture->partition, 25), 10);
    assert_int_equal(verify_count(fixture->store, NULL), 0);
}

static void trim_and_die(struct fixture *fixture, struct beck_store *store)
{
    int64_t start;
    struct beck_partition *partition = must_open_partition(store, "t", 0);
    append_large(partition, 35);
    must(beck_trim(partition, 25, &start, &fixture->error), &fixture->error);
}

static void a_kill_behind_it_loses_nothing_of_it(void **state)
{
    struct fixture *fixture = *state;
    fixture_close(fixture);
    run_and_kill(trim_and_die, fixture);
    fixture_open(fixture);
    assert_int_equal(must_state(fixture->partition).log_start_offset, 25);
    assert_int_equal(count_records(fixture->partition, 25), 10);
    assert_int_equal(segment_count(fixture, "t", 0), 2);
}

static int die_at_removal(struct fault_io *fault, const struct fault_what *what)
{
    (void)fault;
    if (fault_is(what, FAULT_REMOVE, ".log"))
        (void)raise(SIGKILL);
    return 0;
}

static int trim_and_die_at_removal(struct fixture *fixture)
{
    static struct fault_io fault;
    int64_t start;
    fault_io_init(&fault);
    fault.hook = die_at_removal;
    struct beck_store *store = must_open_io(fixture->path, 0, &fault.io);
    struct beck_partition *partition = must_open_partition(store, "t", 0);
    append_large(partition, 35);
    must(beck_trim(partition, 25, &start, &fixture->error), &fixture->error);
    return 0;
}

static void files_that_a_kill_left_go_at_the_next_opening(void **state)
{
    struct fixture *fixture = *state;
    fixture_close(fixture);
    assert_int_equal(run_in_child(trim_and_die_at_removal, fixture), 128 + SIGKILL);
    assert_int_equal(segment_count(fixture, "t", 0), 4);
    fixture_open(fixture);
    assert_int_equal(segment_count(fixture, "t", 0), 2);
    assert_int_equal(count_records(fixture->partition, 25), 10);
    assert_int_equal(verify_count(fixture->store, NULL), 0);
}

/* ---- damage --------------------------------------------------------------------------------- */

/* Cut at the end of a batch, so that what is left is good by itself. */
static void a_first_segment_that_is_cut_short_stays_and_is_told(void **state)
{
    struct fixture *fixture = *state;
    char path[PATH_MAX];
    append_large(fixture->partition, 25);
    assert_int_equal(must_trim(fixture, 5), 5);
    fixture_close(fixture);
    segment_path(fixture, "t", 0, 0, path);
    file_cut(path, file_size(path) / 10 * 7);
    fixture_open(fixture);
    assert_int_equal(segment_count(fixture, "t", 0), 3);
    assert_true(verify_count(fixture->store, NULL) > 0);
}

static int refuse_newest(struct fault_io *fault, const struct fault_what *what)
{
    return fault->context && fault_is(what, FAULT_OPEN, "20.log") ? -EACCES : 0;
}

/* The newest segment cannot be read at the opening: those before it are there all the same. */
static void a_log_that_failed_at_opening_is_neither_skipped_nor_trimmed(void **state)
{
    struct fixture *fixture = *state;
    static struct fault_io fault;
    int64_t start;
    append_large(fixture->partition, 25);
    assert_int_equal(must_trim(fixture, 5), 5);
    fixture_close(fixture);
    fault_io_init(&fault);
    fault.hook = refuse_newest;
    fault.context = &fault;
    fixture->store = must_open_io(fixture->path, 0, &fault.io);
    fault.context = NULL;
    fixture->partition = must_open_partition(fixture->store, "t", 0);
    assert_int_equal(count_records(fixture->partition, 5), 20);
    assert_int_equal(beck_trim(fixture->partition, 12, &start, &fixture->error), -EIO);
    assert_int_equal(segment_count(fixture, "t", 0), 3);
    fixture_reopen(fixture);
    assert_int_equal(count_records(fixture->partition, 5), 20);
}

/* ---- who reads meanwhile ------------------------------------------------------------------- */

static void a_reader_is_told_where_the_log_starts(void **state)
{
    struct fixture *fixture = *state;
    struct beck_reader *reader = NULL;
    struct beck_record record;
    append_large(fixture->partition, 35);
    must(beck_reader_new(fixture->partition, BECK_READ_UNCOMMITTED, &reader, &fixture->error),
         &fixture->error);
    assert_int_equal(beck_reader_next(reader, &record, &fixture->error), 1);
    must_trim(fixture, 25);
    assert_int_equal(beck_reader_next(reader, &record, &fixture->error), -ESTALE);
    assert_non_null(strstr(fixture->error.message, "25"));
    assert_int_equal(beck_reader_next(reader, &record, &fixture->error), -ESTALE);
    must(beck_reader_seek(reader, 25, &fixture->error), &fixture->error);
    assert_int_equal(beck_reader_next(reader, &record, &fixture->error), 1);
    assert_int_equal(record.offset, 25);
    beck_reader_free(reader);
}

static void a_range_can_be_read_when_its_file_is_gone(void **state)
{
    struct fixture *fixture = *state;
    struct beck_range range;
    char byte;
    append_large(fixture->partition, 35);
    must(beck_read_range(fixture->partition, 5, 1000, BECK_READ_UNCOMMITTED, &range,
                         &fixture->error),
         &fixture->error);
    must_trim(fixture, 25);
    assert_int_equal(segment_count(fixture, "t", 0), 2);
    assert_int_equal(pread(range.fd, &byte, 1, (off_t)(range.position + range.size - 1)), 1);
    beck_range_release(&range);
}

static void positions_of_the_view_keep_their_meaning(void **state)
{
    struct fixture *fixture = *state;
    struct beck_reader *reader = NULL;
    char text[10];
    append_three(fixture, BECK_COMPRESSION_NONE);
    append_three(fixture, BECK_COMPRESSION_NONE);
    must(beck_reader_new(fixture->partition, BECK_READ_UNCOMMITTED, &reader, &fixture->error),
         &fixture->error);
    assert_int_equal(beck_reader_view(reader, 0, text, 2, &fixture->error), 2);
    must_trim(fixture, 4);
    assert_int_equal(beck_reader_view(reader, 6, text, 2, &fixture->error), -ESTALE);
    assert_int_equal(beck_reader_view(reader, 8, text, 4, &fixture->error), 4);
    assert_memory_equal(text, "b\nc\n", 4);
    struct beck_partition_state state_now = must_state(fixture->partition);
    beck_reader_view_from(reader, &state_now.view_head);
    assert_int_equal(beck_reader_view(reader, 0, text, 4, &fixture->error), 4);
    assert_memory_equal(text, "b\nc\n", 4);
    beck_reader_free(reader);
}

static void a_reader_of_the_view_goes_on_where_it_was(void **state)
{
    struct fixture *fixture = *state;
    struct beck_reader *reader = NULL;
    char text[10];
    append_three(fixture, BECK_COMPRESSION_NONE);
    must(beck_reader_new(fixture->partition, BECK_READ_UNCOMMITTED, &reader, &fixture->error),
         &fixture->error);
    assert_int_equal(beck_reader_view(reader, 0, text, 6, &fixture->error), 6);
    must_trim(fixture, 3);
    must_append(fixture->partition, "d", BECK_ACKS_LEADER);
    assert_int_equal(beck_reader_view(reader, 6, text, 6, &fixture->error), 2);
    assert_memory_equal(text, "d\n", 2);
    beck_reader_free(reader);
}

static int trim_elsewhere(struct fixture *fixture)
{
    struct beck_store *store = must_open(fixture->path, 0);
    struct beck_partition *partition = must_open_partition(store, "t", 0);
    int64_t start;
    must(beck_trim(partition, 25, &start, &fixture->error), &fixture->error);
    beck_partition_close(partition);
    beck_store_close(store);
    return 0;
}

static void another_process_sees_it_at_once(void **state)
{
    struct fixture *fixture = *state;
    append_large(fixture->partition, 35);
    assert_int_equal(count_records(fixture->partition, 0), 35);
    assert_int_equal(run_in_child(trim_elsewhere, fixture), 0);
    assert_int_equal(must_state(fixture->partition).log_start_offset, 25);
    assert_int_equal(seek_result(fixture, 24), -ERANGE);
    assert_int_equal(count_records(fixture->partition, 25), 10);
}

/* Open descriptors of this process whose file was removed. */
static int removed_files_open(void)
{
    int count = 0;
    for (int fd = 0; fd < 256; fd++) {
        char path[64];
        char target[PATH_MAX];
        (void)snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
        ssize_t n = readlink(path, target, sizeof(target) - 1);
        target[n > 0 ? n : 0] = '\0';
        count += strstr(target, ".log (deleted)") != NULL;
    }
    return count;
}

static void maintaining_lets_go_of_removed_files(void **state)
{
    struct fixture *fixture = *state;
    uint32_t next_ms;
    append_large(fixture->partition, 35);
    assert_int_equal(count_records(fixture->partition, 0), 35);
    assert_int_equal(run_in_child(trim_elsewhere, fixture), 0);
    assert_true(removed_files_open() > 0);
    must(beck_store_maintain(fixture->store, true, &next_ms, &fixture->error), &fixture->error);
    assert_int_equal(removed_files_open(), 0);
}

/* In a child: a look at a store that nobody had open, which another trims then. */
static int look_while_trimmed(struct fixture *fixture)
{
    struct beck_store *store = must_open(fixture->path, BECK_OPEN_READ_ONLY);
    struct beck_partition *partition = must_open_partition(store, "t", 0);
    assert_int_equal(count_records(partition, 0), 35);
    assert_int_equal(run_in_child(trim_elsewhere, fixture), 0);
    assert_int_equal(must_state(partition).log_start_offset, 25);
    assert_int_equal(count_records(partition, 25), 10);
    beck_partition_close(partition);
    beck_store_close(store);
    return 0;
}

static void who_may_only_read_follows(void **state)
{
    struct fixture *fixture = *state;
    append_large(fixture->partition, 35);
    fixture_close(fixture);
    assert_int_equal(run_in_child(look_while_trimmed, fixture), 0);
}

static void a_read_only_store_is_not_trimmed(void **state)
{
    struct fixture *fixture = *state;
    int64_t start;
    append_three(fixture, BECK_COMPRESSION_NONE);
    fixture_close(fixture);
    fixture->store = must_open(fixture->path, BECK_OPEN_READ_ONLY);
    fixture->partition = must_open_partition(fixture->store, "t", 0);
    assert_int_equal(beck_trim(fixture->partition, 1, &start, &fixture->error), -EROFS);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup_small_segments, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(a_log_may_begin_in_the_middle_of_a_batch),
        TEST(it_does_so_in_a_compressed_batch),
        TEST(a_seek_below_it_is_out_of_range),
        TEST(a_range_is_whole_batches_all_the_same),
        TEST(times_are_of_what_is_there_still),
        TEST(minus_one_is_the_high_watermark),
        TEST(nothing_above_the_high_watermark_is_trimmed),
        TEST(a_log_start_never_goes_back),
        TEST(segments_below_it_go),
        TEST(it_is_found_again),
        TEST(it_is_found_again_without_an_index),
        TEST(a_kill_behind_it_loses_nothing_of_it),
        TEST(files_that_a_kill_left_go_at_the_next_opening),
        TEST(a_first_segment_that_is_cut_short_stays_and_is_told),
        TEST(a_log_that_failed_at_opening_is_neither_skipped_nor_trimmed),
        TEST(a_reader_is_told_where_the_log_starts),
        TEST(a_range_can_be_read_when_its_file_is_gone),
        TEST(positions_of_the_view_keep_their_meaning),
        TEST(a_reader_of_the_view_goes_on_where_it_was),
        TEST(another_process_sees_it_at_once),
        TEST(maintaining_lets_go_of_removed_files),
        TEST(who_may_only_read_follows),
        TEST(a_read_only_store_is_not_trimmed),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

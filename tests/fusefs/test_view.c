/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The pure part of the mount: names, numbers, modes, seeking, and cutting writes into lines, with a
 * sink that keeps what it gets and can be told to fail. What needs a kernel is in mount_test.py.
 */
#include "view.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#define LIMIT      10
#define TEXT_BYTES 4096

/* A log in memory: records as "value|value|". */
struct memory_sink {
    struct view_sink sink;
    char pending[TEXT_BYTES];
    char log[TEXT_BYTES];
    size_t end;
    unsigned stores;
    unsigned fail_store; /* the store that fails, from 1; 0: none */
    int failure;
    bool store_each; /* store after each line, as when each fills a batch */
};

static void append_text(char *text, const char *more, size_t bytes)
{
    size_t length = strlen(text);
    assert_true(length + bytes < TEXT_BYTES);
    memcpy(text + length, more, bytes);
    text[length + bytes] = '\0';
}

static int memory_store(struct view_sink *sink)
{
    struct memory_sink *memory = (struct memory_sink *)sink;
    if (++memory->stores == memory->fail_store) {
        memory->pending[0] = '\0';
        return memory->failure;
    }
    append_text(memory->log, memory->pending, strlen(memory->pending));
    memory->pending[0] = '\0';
    sink->stored = memory->end;
    return 0;
}

static int memory_line(struct view_sink *sink, const char *line, size_t bytes, size_t end)
{
    struct memory_sink *memory = (struct memory_sink *)sink;
    append_text(memory->pending, line, bytes);
    append_text(memory->pending, "|", 1);
    memory->end = end;
    return memory->store_each ? memory_store(sink) : 0;
}

struct fixture {
    atomic_size_t total;
    struct view_splitter splitter;
    struct memory_sink memory;
};

static int fixture_make(void **state)
{
    struct fixture *fixture = calloc(1, sizeof(*fixture));
    fixture->splitter.held_total = &fixture->total;
    fixture->memory.sink.line = memory_line;
    fixture->memory.sink.store = memory_store;
    *state = fixture;
    return 0;
}

static int fixture_free(void **state)
{
    struct fixture *fixture = *state;
    view_splitter_done(&fixture->splitter);
    assert_int_equal(fixture->total, 0);
    free(fixture);
    return 0;
}

static ssize_t put(struct fixture *fixture, const char *text)
{
    return view_splitter_write(&fixture->splitter, LIMIT, text, strlen(text),
                               &fixture->memory.sink);
}

static int finish(struct fixture *fixture)
{
    return view_splitter_finish(&fixture->splitter, &fixture->memory.sink);
}

/* ---- names and numbers -------------------------------------------------------------------- */

static void partition_names_are_plain_decimal(void **state)
{
    (void)state;
    assert_int_equal(view_partition_number("0", 3), 0);
    assert_int_equal(view_partition_number("2", 3), 2);
    assert_int_equal(view_partition_number("65535", 65536), 65535);
    static const char *const wrong[] = {"",   "3", "00",  "01",  "+1", "-1", " 1",        "1 ",
                                        "1a", "a", "0x1", "1.0", ".",  "..", "4294967296"};
    for (size_t i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++)
        assert_int_equal(view_partition_number(wrong[i], 3), -1);
}

static void inode_numbers_differ(void **state)
{
    (void)state;
    assert_true(view_topic_ino(0) != VIEW_ROOT_INO);
    assert_true(view_topic_ino(0) != view_topic_ino(1));
    assert_true(view_topic_ino(0) != view_partition_ino(0, 0));
    assert_true(view_partition_ino(0, 0) != view_partition_ino(0, 1));
    assert_true(view_partition_ino(0, 65535) != view_topic_ino(1));
    assert_true(view_partition_ino(0, 65535) < view_partition_ino(1, 0));
    assert_true(view_topic_ino(UINT32_MAX) != view_topic_ino(UINT32_MAX - 1));
    assert_true(view_partition_ino(UINT32_MAX, 65535) > view_topic_ino(UINT32_MAX));
}

static void modes_map_both_ways(void **state)
{
    (void)state;
    assert_int_equal(view_file_mode(0755), 0644);
    assert_int_equal(view_file_mode(0711), 0600);
    assert_int_equal(view_topic_mode(0644), 0755);
    assert_int_equal(view_topic_mode(0600), 0700);
    assert_int_equal(view_topic_mode(0200), 0300);
    assert_int_equal(view_topic_mode(0), 0);
    for (mode_t mode = 0; mode <= 0777; mode++)
        assert_int_equal(view_file_mode(view_topic_mode(mode)), mode & 0666);
}

static void seeking_sees_data_without_holes(void **state)
{
    (void)state;
    assert_int_equal(view_seek(0, SEEK_DATA, 10), 0);
    assert_int_equal(view_seek(9, SEEK_DATA, 10), 9);
    assert_int_equal(view_seek(3, SEEK_HOLE, 10), 10);
    assert_int_equal(view_seek(10, SEEK_DATA, 10), -ENXIO);
    assert_int_equal(view_seek(10, SEEK_HOLE, 10), -ENXIO);
    assert_int_equal(view_seek(0, SEEK_DATA, 0), -ENXIO);
    assert_int_equal(view_seek(-1, SEEK_DATA, 10), -ENXIO);
    assert_int_equal(view_seek(0, SEEK_END, 10), -EINVAL);
}

static void line_limit_is_what_fits_a_batch(void **state)
{
    (void)state;
    /* A value of 3 bytes: header 61, record length 1, attributes 1, deltas 2, key 1, length 1, 3,
     * headers 1. */
    assert_int_equal(view_line_limit(71), 3);
    assert_int_equal(view_line_limit(70), 2);
    assert_int_equal(view_line_limit(0), 0);
    assert_int_equal(view_line_limit(61), 0);
    size_t limit = view_line_limit(1048588);
    assert_in_range(limit, 1048588 - 61 - 15, 1048588 - 61 - 8);
}

/* ---- lines -------------------------------------------------------------------------------- */

static void one_line_is_one_record(void **state)
{
    struct fixture *fixture = *state;
    assert_int_equal(put(fixture, "one\n"), 4);
    assert_string_equal(fixture->memory.log, "one|");
}

static void lines_of_a_write_are_stored_once(void **state)
{
    struct fixture *fixture = *state;
    assert_int_equal(put(fixture, "a\nb\n\nd\n"), 7);
    assert_string_equal(fixture->memory.log, "a|b||d|");
    assert_int_equal(fixture->memory.stores, 1);
}

static void a_partial_line_waits_for_its_rest(void **state)
{
    struct fixture *fixture = *state;
    assert_int_equal(put(fixture, "a\nbe"), 4);
    assert_int_equal(put(fixture, "gi"), 2);
    assert_string_equal(fixture->memory.log, "a|");
    assert_int_equal(put(fixture, "n\nc\n"), 4);
    assert_string_equal(fixture->memory.log, "a|begin|c|");
}

static void finishing_completes_the_line_once(void **state)
{
    struct fixture *fixture = *state;
    assert_int_equal(put(fixture, "rest"), 4);
    assert_int_equal(finish(fixture), 0);
    assert_int_equal(finish(fixture), 0);
    assert_string_equal(fixture->memory.log, "rest|");
}

static void finishing_nothing_records_nothing(void **state)
{
    struct fixture *fixture = *state;
    assert_int_equal(put(fixture, "a\n"), 2);
    assert_int_equal(finish(fixture), 0);
    assert_string_equal(fixture->memory.log, "a|");
}

static void other_bytes_belong_to_the_line(void **state)
{
    struct fixture *fixture = *state;
    assert_int_equal(put(fixture, "a\r\n \t\n"), 6);
    assert_string_equal(fixture->memory.log, "a\r| \t|");
}

static void the_longest_line_is_taken(void **state)
{
    struct fixture *fixture = *state;
    assert_int_equal(put(fixture, "0123456789\n"), 11);
    assert_int_equal(put(fixture, "01234"), 5);
    assert_int_equal(put(fixture, "56789"), 5);
    assert_int_equal(put(fixture, "\n"), 1);
    assert_string_equal(fixture->memory.log, "0123456789|0123456789|");
}

static void a_long_line_is_refused_and_the_next_taken(void **state)
{
    struct fixture *fixture = *state;
    assert_int_equal(put(fixture, "0123456789x\n"), -EMSGSIZE);
    assert_int_equal(put(fixture, "ok\n"), 3);
    assert_string_equal(fixture->memory.log, "ok|");
}

static void a_long_line_behind_others_makes_a_short_write(void **state)
{
    struct fixture *fixture = *state;
    assert_int_equal(put(fixture, "a\nb\n0123456789x\nc\n"), 4);
    assert_string_equal(fixture->memory.log, "a|b|");
    assert_int_equal(put(fixture, "0123456789x\nc\n"), -EMSGSIZE);
    assert_string_equal(fixture->memory.log, "a|b|");
}

static void a_long_beginning_behind_others_makes_a_short_write(void **state)
{
    struct fixture *fixture = *state;
    assert_int_equal(put(fixture, "a\n0123456789x"), 2);
    assert_int_equal(put(fixture, "0123456789x"), -EMSGSIZE);
    assert_int_equal(finish(fixture), 0);
    assert_string_equal(fixture->memory.log, "a|");
}

static void a_long_line_in_pieces_leaves_nothing(void **state)
{
    struct fixture *fixture = *state;
    assert_int_equal(put(fixture, "012345"), 6);
    assert_int_equal(put(fixture, "6789x"), -EMSGSIZE);
    assert_int_equal(put(fixture, "more of it"), -EMSGSIZE);
    assert_int_equal(put(fixture, "its end\n"), -EMSGSIZE);
    assert_int_equal(put(fixture, "next\n"), 5);
    assert_string_equal(fixture->memory.log, "next|");
}

static void a_long_line_whose_end_comes_late_leaves_nothing(void **state)
{
    struct fixture *fixture = *state;
    assert_int_equal(put(fixture, "012345"), 6);
    assert_int_equal(put(fixture, "6789x\nb\n"), -EMSGSIZE);
    assert_int_equal(finish(fixture), 0);
    assert_string_equal(fixture->memory.log, "");
    assert_int_equal(put(fixture, "b\n"), 2);
    assert_string_equal(fixture->memory.log, "b|");
}

static void a_refused_end_is_refused_again(void **state)
{
    struct fixture *fixture = *state;
    assert_int_equal(put(fixture, "012345"), 6);
    assert_int_equal(put(fixture, "6789x\nb\n"), -EMSGSIZE);
    assert_int_equal(put(fixture, "6789x\nb\n"), -EMSGSIZE);
    assert_int_equal(put(fixture, "6789x\nb\nc"), -EMSGSIZE);
    assert_int_equal(put(fixture, "b\n"), 2);
    assert_int_equal(put(fixture, "6789x\n"), 6);
    assert_string_equal(fixture->memory.log, "b|6789x|");
}

static void closing_ends_a_refused_line(void **state)
{
    struct fixture *fixture = *state;
    assert_int_equal(put(fixture, "0123456789x"), -EMSGSIZE);
    assert_int_equal(finish(fixture), 0);
    assert_int_equal(put(fixture, "a\n"), 2);
    assert_string_equal(fixture->memory.log, "a|");
}

static void a_failed_store_takes_the_write_back(void **state)
{
    struct fixture *fixture = *state;
    fixture->memory.fail_store = 1;
    fixture->memory.failure = -ENOSPC;
    assert_int_equal(put(fixture, "be"), 2);
    assert_int_equal(put(fixture, "gin\nb\nc"), -ENOSPC);
    assert_string_equal(fixture->memory.log, "");
    /* Space again: the writer repeats the write that failed. */
    assert_int_equal(put(fixture, "gin\nb\nc"), 7);
    assert_int_equal(finish(fixture), 0);
    assert_string_equal(fixture->memory.log, "begin|b|c|");
}

static void a_later_failure_is_a_short_write(void **state)
{
    struct fixture *fixture = *state;
    fixture->memory.store_each = true;
    fixture->memory.fail_store = 3;
    fixture->memory.failure = -ENOSPC;
    assert_int_equal(put(fixture, "a"), 1);
    assert_int_equal(put(fixture, "a\nb\nc\nd"), 4);
    assert_string_equal(fixture->memory.log, "aa|b|");
    assert_int_equal(put(fixture, "c\nd"), 3);
    assert_int_equal(finish(fixture), 0);
    assert_string_equal(fixture->memory.log, "aa|b|c|d|");
}

static void a_failed_finish_forgets_the_line(void **state)
{
    struct fixture *fixture = *state;
    fixture->memory.fail_store = 1;
    fixture->memory.failure = -ENOSPC;
    assert_int_equal(put(fixture, "lost"), 4);
    assert_int_equal(finish(fixture), -ENOSPC);
    assert_int_equal(finish(fixture), 0);
    assert_string_equal(fixture->memory.log, "");
}

static void held_memory_is_bounded_and_given_back(void **state)
{
    struct fixture *fixture = *state;
    size_t large = VIEW_HELD_BYTES_MAX / 2 + 1;
    char *line = calloc(1, large);
    struct view_splitter second = {.held_total = &fixture->total};
    assert_int_equal(
        view_splitter_write(&fixture->splitter, large, line, large, &fixture->memory.sink), large);
    assert_int_equal(view_splitter_write(&second, large, line, large, &fixture->memory.sink),
                     -ENOMEM);
    view_splitter_done(&fixture->splitter);
    assert_int_equal(fixture->total, 0);
    assert_int_equal(view_splitter_write(&second, large, line, large, &fixture->memory.sink),
                     large);
    view_splitter_done(&second);
    free(line);
}

#define LINES(name) cmocka_unit_test_setup_teardown(name, fixture_make, fixture_free)

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(partition_names_are_plain_decimal),
        cmocka_unit_test(inode_numbers_differ),
        cmocka_unit_test(modes_map_both_ways),
        cmocka_unit_test(seeking_sees_data_without_holes),
        cmocka_unit_test(line_limit_is_what_fits_a_batch),
        LINES(one_line_is_one_record),
        LINES(lines_of_a_write_are_stored_once),
        LINES(a_partial_line_waits_for_its_rest),
        LINES(finishing_completes_the_line_once),
        LINES(finishing_nothing_records_nothing),
        LINES(other_bytes_belong_to_the_line),
        LINES(the_longest_line_is_taken),
        LINES(a_long_line_is_refused_and_the_next_taken),
        LINES(a_long_line_behind_others_makes_a_short_write),
        LINES(a_long_beginning_behind_others_makes_a_short_write),
        LINES(a_long_line_in_pieces_leaves_nothing),
        LINES(a_long_line_whose_end_comes_late_leaves_nothing),
        LINES(a_refused_end_is_refused_again),
        LINES(closing_ends_a_refused_line),
        LINES(a_failed_store_takes_the_write_back),
        LINES(a_later_failure_is_a_short_write),
        LINES(a_failed_finish_forgets_the_line),
        LINES(held_memory_is_bounded_and_given_back),
    };
    return cmocka_run_group_tests_name("view", tests, NULL, NULL);
}

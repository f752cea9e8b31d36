/* SPDX-License-Identifier: Apache-2.0 */
/* Error texts and places. */
#include "report.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

static void test_sets_code_and_text_and_clears_the_place(void **state)
{
    (void)state;
    struct beck_error error;
    memset(&error, 'x', sizeof(error));
    assert_int_equal(report(&error, -EINVAL, "%d is %s", 7, "odd"), -EINVAL);
    assert_int_equal(error.code, -EINVAL);
    assert_string_equal(error.message, "7 is odd");
    assert_string_equal(error.topic, "");
    assert_int_equal(error.partition, -1);
    assert_int_equal(error.offset, -1);
    assert_int_equal(error.byte, -1);
}

static void test_takes_no_error(void **state)
{
    (void)state;
    assert_int_equal(report(NULL, -EIO, "text"), -EIO);
    assert_int_equal(report_errno(NULL, -EIO, "text"), -EIO);
    assert_int_equal(report_at(NULL, -EIO, 5, "text"), -EIO);
    report_prefix(NULL, "text");
    report_place(NULL, "topic", 1, 2, 3);
}

static void test_errno_says_why(void **state)
{
    (void)state;
    struct beck_error error;
    assert_int_equal(report_errno(&error, -ENOSPC, "cannot write %s", "it"), -ENOSPC);
    assert_string_equal(error.message, "cannot write it: No space left on device");
}

static void test_prefix_stands_before(void **state)
{
    (void)state;
    struct beck_error error;
    (void)report(&error, -EINVAL, "bad");
    report_prefix(&error, "line %d", 3);
    report_prefix(&error, "file");
    assert_string_equal(error.message, "file: line 3: bad");
    assert_int_equal(error.code, -EINVAL);
}

static void test_place_is_said_whole(void **state)
{
    (void)state;
    struct beck_error error;
    (void)report(&error, -EBADMSG, "the CRC is wrong");
    report_place(&error, "events", 0, 12, 4096);
    assert_string_equal(error.message,
                        "topic events partition 0 offset 12 byte 4096: the CRC is wrong");
    assert_string_equal(error.topic, "events");
    assert_int_equal(error.partition, 0);
    assert_int_equal(error.offset, 12);
    assert_int_equal(error.byte, 4096);
}

static void test_place_leaves_out_what_there_is_not(void **state)
{
    (void)state;
    struct beck_error error;
    (void)report(&error, -EBADMSG, "bad");
    report_place(&error, "events", -1, -1, 7);
    assert_string_equal(error.message, "topic events byte 7: bad");
    (void)report(&error, -EBADMSG, "bad");
    report_place(&error, NULL, 3, 5, -1);
    assert_string_equal(error.message, "partition 3 offset 5: bad");
    (void)report(&error, -EBADMSG, "bad");
    report_place(&error, NULL, -1, -1, -1);
    assert_string_equal(error.message, "bad");
}

static void test_place_is_completed_further_out(void **state)
{
    (void)state;
    struct beck_error error;
    (void)report(&error, -EBADMSG, "bad");
    report_place(&error, NULL, -1, 12, 4096);
    report_place(&error, "events", 3, -1, -1);
    assert_string_equal(error.message, "topic events partition 3 offset 12 byte 4096: bad");
}

static void test_place_that_was_nearer_stays(void **state)
{
    (void)state;
    struct beck_error error;
    (void)report(&error, -EBADMSG, "bad");
    report_place(&error, "a", 1, 2, -1);
    report_place(&error, "b", 5, 6, -1);
    assert_string_equal(error.message, "topic a partition 1 offset 2: bad");
}

static void test_byte_within_something_becomes_one_in_the_file(void **state)
{
    (void)state;
    struct beck_error error;
    assert_int_equal(report_at(&error, -EINVAL, 70, "record 3 is bad"), -EINVAL);
    assert_int_equal(error.byte, 70);
    assert_string_equal(error.message, "record 3 is bad");
    report_place(&error, "t", 0, -1, 1000 + error.byte);
    assert_int_equal(error.byte, 1070);
    assert_string_equal(error.message, "topic t partition 0 byte 1070: record 3 is bad");
}

static void test_long_texts_are_cut_and_terminated(void **state)
{
    (void)state;
    struct beck_error error;
    char text[2000];
    memset(text, 'x', sizeof(text) - 1);
    text[sizeof(text) - 1] = '\0';
    (void)report(&error, -EINVAL, "%s", text);
    assert_int_equal(strlen(error.message), sizeof(error.message) - 1);
    report_prefix(&error, "front");
    assert_int_equal(strlen(error.message), sizeof(error.message) - 1);
    assert_memory_equal(error.message, "front: xxx", 10);
    report_prefix(&error, "%s", text);
    assert_int_equal(strlen(error.message), sizeof(error.message) - 1);
    (void)report_errno(&error, -EIO, "%s", text);
    assert_int_equal(strlen(error.message), sizeof(error.message) - 1);
}

static void test_longest_place_fits(void **state)
{
    (void)state;
    struct beck_error error;
    char topic[BECK_TOPIC_NAME_BYTES + 1];
    memset(topic, 't', sizeof(topic) - 1);
    topic[sizeof(topic) - 1] = '\0';
    (void)report(&error, -EINVAL, "bad");
    report_place(&error, topic, INT32_MAX, INT64_MAX, INT64_MAX);
    assert_string_equal(error.topic, topic);
    assert_string_equal(error.message + strlen(error.message) - 5, ": bad");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_sets_code_and_text_and_clears_the_place),
        cmocka_unit_test(test_takes_no_error),
        cmocka_unit_test(test_errno_says_why),
        cmocka_unit_test(test_prefix_stands_before),
        cmocka_unit_test(test_place_is_said_whole),
        cmocka_unit_test(test_place_leaves_out_what_there_is_not),
        cmocka_unit_test(test_place_is_completed_further_out),
        cmocka_unit_test(test_place_that_was_nearer_stays),
        cmocka_unit_test(test_byte_within_something_becomes_one_in_the_file),
        cmocka_unit_test(test_long_texts_are_cut_and_terminated),
        cmocka_unit_test(test_longest_place_fits),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

/* SPDX-License-Identifier: Apache-2.0 */
/* Which names a topic may have. */
#include "beck.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

static void test_takes_letters_digits_and_three_signs(void **state)
{
    (void)state;
    assert_true(beck_topic_name_valid("a"));
    assert_true(beck_topic_name_valid("azAZ09._-"));
    assert_true(beck_topic_name_valid("..."));
    assert_true(beck_topic_name_valid("__consumer_offsets"));
}

static void test_refuses_every_other_letter(void **state)
{
    (void)state;
    unsigned allowed = 0;
    for (int letter = 1; letter < 256; letter++) {
        const char name[3] = {'x', (char)letter, '\0'};
        allowed += beck_topic_name_valid(name);
    }
    assert_int_equal(allowed, 26 + 26 + 10 + 3);
}

static void test_refuses_names_of_directories(void **state)
{
    (void)state;
    assert_false(beck_topic_name_valid("."));
    assert_false(beck_topic_name_valid(".."));
}

static void test_refuses_nothing(void **state)
{
    (void)state;
    assert_false(beck_topic_name_valid(NULL));
    assert_false(beck_topic_name_valid(""));
}

static void test_knows_the_longest(void **state)
{
    (void)state;
    char name[BECK_TOPIC_NAME_BYTES + 2];
    memset(name, 'x', sizeof(name));
    name[BECK_TOPIC_NAME_BYTES + 1] = '\0';
    assert_false(beck_topic_name_valid(name));
    name[BECK_TOPIC_NAME_BYTES] = '\0';
    assert_true(beck_topic_name_valid(name));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_takes_letters_digits_and_three_signs),
        cmocka_unit_test(test_refuses_every_other_letter),
        cmocka_unit_test(test_refuses_names_of_directories),
        cmocka_unit_test(test_refuses_nothing),
        cmocka_unit_test(test_knows_the_longest),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

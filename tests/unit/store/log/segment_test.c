/* SPDX-License-Identifier: Apache-2.0 */
/* The names of segment files: from an offset and back, and what is none. */
#include "segment.h"
#include "store_fixture.h"

#include <errno.h>
#include <stdint.h>

static void each_offset_has_a_name(void **state)
{
    static const int64_t offsets[] = {0, 1, 1234567890, INT64_MAX / 10, INT64_MAX};
    char name[SEGMENT_NAME_BYTES];
    (void)state;
    for (size_t i = 0; i < sizeof(offsets) / sizeof(offsets[0]); i++) {
        int64_t read = -1;
        segment_name(name, offsets[i]);
        assert_int_equal(segment_name_parse(name, &read), 0);
        assert_int_equal(read, offsets[i]);
    }
}

static void other_names_are_no_segments(void **state)
{
    static const char *const names[] = {"",
                                        "topic",
                                        "0.log",
                                        "00000000000000000000",
                                        "00000000000000000000.log.cleaned",
                                        "0000000000000000000x.log",
                                        "-0000000000000000001.log",
                                        "000000000000000000001.log"};
    int64_t read;
    (void)state;
    for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++)
        assert_int_equal(segment_name_parse(names[i], &read), -EINVAL);
}

static void a_name_above_the_largest_offset_is_none(void **state)
{
    int64_t read;
    (void)state;
    assert_int_equal(segment_name_parse("09223372036854775808.log", &read), -EINVAL);
    assert_int_equal(segment_name_parse("99999999999999999999.log", &read), -EINVAL);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(each_offset_has_a_name),
        cmocka_unit_test(other_names_are_no_segments),
        cmocka_unit_test(a_name_above_the_largest_offset_is_none),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

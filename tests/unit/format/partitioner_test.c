/* SPDX-License-Identifier: Apache-2.0 */
/* The partitioner against what Kafka's Java client gives. */
#include "partitioner.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

/* From Kafka's own UtilsTest. */
static void test_hashes_as_java_does(void **state)
{
    (void)state;
    static const struct {
        const char *key;
        int32_t hash;
    } cases[] = {
        {"21", -973932308},
        {"foobar", -790332482},
        {"a-little-bit-long-string", -985981536},
        {"a-little-bit-longer-string", -1486304829},
        {"lkjh234lh9fiuh90y23oiuhsafujhadof229phr9h19h89h8", -58897971},
        {"abc", 479470107},
    };
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++)
        assert_int_equal((int32_t)partitioner_murmur2(cases[i].key, strlen(cases[i].key)),
                         cases[i].hash);
}

static void test_needs_no_alignment(void **state)
{
    (void)state;
    char room[32];
    for (size_t shift = 0; shift < 8; shift++) {
        memcpy(room + shift, "foobar", 6);
        assert_int_equal((int32_t)partitioner_murmur2(room + shift, 6), -790332482);
    }
}

static void test_empty_key_has_a_place(void **state)
{
    (void)state;
    assert_int_equal(partitioner_murmur2(NULL, 0), 275646681);
    assert_int_equal(partitioner_for_key(NULL, 0, 4), 275646681 % 4);
}

static void test_sign_is_dropped_before_dividing(void **state)
{
    (void)state;
    assert_int_equal(partitioner_for_key("21", 2, 1000),
                     ((uint32_t)-973932308 & 0x7fffffff) % 1000);
    assert_int_equal(partitioner_for_key("21", 2, 1), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_hashes_as_java_does),
        cmocka_unit_test(test_needs_no_alignment),
        cmocka_unit_test(test_empty_key_has_a_place),
        cmocka_unit_test(test_sign_is_dropped_before_dividing),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

/* SPDX-License-Identifier: Apache-2.0 */
/* Integers in byte strings: order, and places that are not aligned. */
#include "bytes.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

static const uint8_t counting[9] = {0, 1, 2, 3, 4, 5, 6, 7, 8};

static void test_loads_big_endian(void **state)
{
    (void)state;
    assert_int_equal(load_be16(counting + 1), 0x0102);
    assert_int_equal(load_be32(counting + 1), 0x01020304);
    assert_int_equal(load_be64(counting + 1), UINT64_C(0x0102030405060708));
}

static void test_loads_little_endian(void **state)
{
    (void)state;
    assert_int_equal(load_le16(counting + 1), 0x0201);
    assert_int_equal(load_le32(counting + 1), 0x04030201);
    assert_int_equal(load_le64(counting + 1), UINT64_C(0x0807060504030201));
}

static void test_stores_what_it_loads(void **state)
{
    (void)state;
    uint8_t room[9];
    store_be64(room + 1, load_be64(counting + 1));
    assert_memory_equal(room + 1, counting + 1, 8);
    store_le64(room + 1, load_le64(counting + 1));
    assert_memory_equal(room + 1, counting + 1, 8);
    store_be32(room + 1, load_be32(counting + 5));
    assert_memory_equal(room + 1, counting + 5, 4);
    store_le16(room + 1, load_le16(counting + 3));
    assert_memory_equal(room + 1, counting + 3, 2);
}

static void test_fields_are_unaligned_and_little_endian(void **state)
{
    (void)state;
    struct {
        uint8_t one;
        struct le16 two;
        struct le32 four;
        struct le64 eight;
    } fields = {
        .two = le16_of(0x1234), .four = le32_of(0x12345678), .eight = le64_of(UINT64_MAX - 1)};
    assert_int_equal(sizeof(fields), 15);
    assert_int_equal(fields.four.bytes[0], 0x78);
    assert_int_equal(le16_get(fields.two), 0x1234);
    assert_int_equal(le32_get(fields.four), 0x12345678);
    assert_int_equal(le64_get(fields.eight), UINT64_MAX - 1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_loads_big_endian),
        cmocka_unit_test(test_loads_little_endian),
        cmocka_unit_test(test_stores_what_it_loads),
        cmocka_unit_test(test_fields_are_unaligned_and_little_endian),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

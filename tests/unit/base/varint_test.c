/* SPDX-License-Identifier: Apache-2.0 */
/* Varints: what is written is read, in the size foretold, and nothing else is. */
#include "varint.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

/* Read from memory that ends where the bytes end, so that a sanitizer sees a read beyond. */
static int read32(const uint8_t *bytes, size_t size, int32_t *ret_value)
{
    uint8_t *copy = malloc(size + 1);
    assert_non_null(copy);
    uint8_t *at = copy + 1;
    memcpy(at, bytes, size);
    const uint8_t *next = varint32_read(at, at + size, ret_value);
    int used = next == NULL ? -1 : (int)(next - at);
    free(copy);
    return used;
}

static int read64(const uint8_t *bytes, size_t size, int64_t *ret_value)
{
    uint8_t *copy = malloc(size + 1);
    assert_non_null(copy);
    uint8_t *at = copy + 1;
    memcpy(at, bytes, size);
    const uint8_t *next = varint64_read(at, at + size, ret_value);
    int used = next == NULL ? -1 : (int)(next - at);
    free(copy);
    return used;
}

static void round_trip32(int32_t value)
{
    uint8_t bytes[VARINT32_BYTES_MAX + 1];
    size_t size = (size_t)(varint32_write(bytes, value) - bytes);
    assert_int_equal(size, varint32_size(value));
    for (size_t cut = 0; cut < size; cut++) {
        int32_t untouched = 77;
        assert_int_equal(read32(bytes, cut, &untouched), -1);
        assert_int_equal(untouched, 77);
    }
    for (size_t behind = 0; behind <= 1; behind++) {
        int32_t back = 0;
        bytes[size] = 0xff;
        assert_int_equal(read32(bytes, size + behind, &back), size);
        assert_int_equal(back, value);
    }
}

static void round_trip64(int64_t value)
{
    uint8_t bytes[VARINT64_BYTES_MAX + 1];
    size_t size = (size_t)(varint64_write(bytes, value) - bytes);
    assert_int_equal(size, varint64_size(value));
    for (size_t cut = 0; cut < size; cut++) {
        int64_t untouched = 77;
        assert_int_equal(read64(bytes, cut, &untouched), -1);
        assert_int_equal(untouched, 77);
    }
    for (size_t behind = 0; behind <= 1; behind++) {
        int64_t back = 0;
        bytes[size] = 0xff;
        assert_int_equal(read64(bytes, size + behind, &back), size);
        assert_int_equal(back, value);
    }
}

static void test_round_trip_around_each_power_of_two(void **state)
{
    (void)state;
    for (unsigned bit = 0; bit < 64; bit++) {
        for (int near = -2; near <= 2; near++) {
            uint64_t value = (UINT64_C(1) << bit) + (uint64_t)near;
            round_trip64((int64_t)value);
            round_trip64(-(int64_t)(value & INT64_MAX));
            round_trip32((int32_t)(uint32_t)value);
            round_trip32(-(int32_t)(value & INT32_MAX));
        }
    }
    round_trip32(INT32_MIN);
    round_trip32(INT32_MAX);
    round_trip64(INT64_MIN);
    round_trip64(INT64_MAX);
}

static void test_writes_what_protocol_buffers_write(void **state)
{
    (void)state;
    uint8_t bytes[VARINT32_BYTES_MAX];
    assert_int_equal(varint32_write(bytes, -1) - bytes, 1);
    assert_int_equal(bytes[0], 1);
    assert_int_equal(varint32_write(bytes, 150) - bytes, 2);
    assert_memory_equal(bytes, "\xac\x02", 2);
    assert_int_equal(varint32_write(bytes, INT32_MIN) - bytes, 5);
    assert_memory_equal(bytes, "\xff\xff\xff\xff\x0f", 5);
}

static void test_refuses_bits_beyond_the_type(void **state)
{
    (void)state;
    int32_t narrow = 0;
    int64_t wide = 0;
    assert_int_equal(read32((const uint8_t *)"\xff\xff\xff\xff\x10", 5, &narrow), -1);
    assert_int_equal(read32((const uint8_t *)"\x80\x80\x80\x80\x80\x00", 6, &narrow), -1);
    assert_int_equal(read64((const uint8_t *)"\xff\xff\xff\xff\xff\xff\xff\xff\xff\x02", 10, &wide),
                     -1);
    assert_int_equal(
        read64((const uint8_t *)"\x80\x80\x80\x80\x80\x80\x80\x80\x80\x80\x00", 11, &wide), -1);
}

static void test_takes_longer_forms_than_need_be(void **state)
{
    (void)state;
    int32_t narrow = 0;
    int64_t wide = 0;
    assert_int_equal(read32((const uint8_t *)"\x84\x80\x80\x80\x00", 5, &narrow), 5);
    assert_int_equal(narrow, 2);
    assert_int_equal(read64((const uint8_t *)"\x84\x80\x00", 3, &wide), 3);
    assert_int_equal(wide, 2);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_round_trip_around_each_power_of_two),
        cmocka_unit_test(test_writes_what_protocol_buffers_write),
        cmocka_unit_test(test_refuses_bits_beyond_the_type),
        cmocka_unit_test(test_takes_longer_forms_than_need_be),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

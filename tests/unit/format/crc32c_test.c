/* SPDX-License-Identifier: Apache-2.0 */
/* CRC-32C: the published vectors, any size and alignment, and continuing. */
#include "crc32c.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

static void test_check_value(void **state)
{
    (void)state;
    assert_int_equal(crc32c(0, "123456789", 9), 0xe3069283);
}

/* RFC 3720, appendix B.4. */
static void test_vectors_of_rfc_3720(void **state)
{
    (void)state;
    uint8_t bytes[32];
    memset(bytes, 0, sizeof(bytes));
    assert_int_equal(crc32c(0, bytes, sizeof(bytes)), 0x8a9136aa);
    memset(bytes, 0xff, sizeof(bytes));
    assert_int_equal(crc32c(0, bytes, sizeof(bytes)), 0x62a8ab43);
    for (uint8_t i = 0; i < sizeof(bytes); i++)
        bytes[i] = i;
    assert_int_equal(crc32c(0, bytes, sizeof(bytes)), 0x46dd794e);
    for (uint8_t i = 0; i < sizeof(bytes); i++)
        bytes[i] = (uint8_t)(31 - i);
    assert_int_equal(crc32c(0, bytes, sizeof(bytes)), 0x113fdb5c);
}

static void test_nothing_changes_nothing(void **state)
{
    (void)state;
    assert_int_equal(crc32c(0, NULL, 0), 0);
    assert_int_equal(crc32c(0x12345678, NULL, 0), 0x12345678);
}

/* Bit by bit, by the polynomial. */
static uint32_t reference(const uint8_t *at, size_t size)
{
    uint32_t state = ~UINT32_C(0);
    for (size_t i = 0; i < size; i++) {
        state ^= at[i];
        for (int bit = 0; bit < 8; bit++)
            state = (state >> 1) ^ (state & 1 ? UINT32_C(0x82f63b78) : 0);
    }
    return ~state;
}

static uint8_t noise[9000];

static int make_noise(void **state)
{
    (void)state;
    uint32_t seed = 1;
    for (size_t i = 0; i < sizeof(noise); i++) {
        seed = seed * 1664525 + 1013904223;
        noise[i] = (uint8_t)(seed >> 24);
    }
    return 0;
}

static void test_every_size_and_alignment(void **state)
{
    (void)state;
    for (size_t size = 0; size < 700; size++)
        for (size_t shift = 0; shift < 16; shift += 5)
            assert_int_equal(crc32c(0, noise + shift, size), reference(noise + shift, size));
    assert_int_equal(crc32c(0, noise, sizeof(noise)), reference(noise, sizeof(noise)));
}

static void test_continues(void **state)
{
    (void)state;
    uint32_t whole = crc32c(0, noise, sizeof(noise));
    for (size_t cut = 0; cut <= sizeof(noise); cut += 123)
        assert_int_equal(crc32c(crc32c(0, noise, cut), noise + cut, sizeof(noise) - cut), whole);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_check_value),
        cmocka_unit_test(test_vectors_of_rfc_3720),
        cmocka_unit_test(test_nothing_changes_nothing),
        cmocka_unit_test(test_every_size_and_alignment),
        cmocka_unit_test(test_continues),
    };
    return cmocka_run_group_tests(tests, make_noise, NULL);
}

/* SPDX-License-Identifier: Apache-2.0 */
/* UTF-8: each rule, each boundary, and every short string against a decoder that computes. */
#include "utf8.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

static bool valid(const char *text)
{
    return utf8_valid(text, strlen(text));
}

static void test_takes_text(void **state)
{
    (void)state;
    assert_true(utf8_valid(NULL, 0));
    assert_true(valid(""));
    assert_true(valid("plain text that is longer than one step of sixteen bytes"));
    assert_true(utf8_valid("a\0b", 3));
    assert_true(valid("caf\xc3\xa9"));
    assert_true(valid("\xe6\x97\xa5\xe6\x9c\xac\xe8\xaa\x9e"));
    assert_true(valid("\xf0\x9f\x98\x80"));
}

static void test_takes_boundaries(void **state)
{
    (void)state;
    assert_true(valid("\x7f"));
    assert_true(valid("\xc2\x80"));         /* U+0080 */
    assert_true(valid("\xdf\xbf"));         /* U+07FF */
    assert_true(valid("\xe0\xa0\x80"));     /* U+0800 */
    assert_true(valid("\xed\x9f\xbf"));     /* U+D7FF */
    assert_true(valid("\xee\x80\x80"));     /* U+E000 */
    assert_true(valid("\xef\xbf\xbf"));     /* U+FFFF */
    assert_true(valid("\xf0\x90\x80\x80")); /* U+10000 */
    assert_true(valid("\xf4\x8f\xbf\xbf")); /* U+10FFFF */
}

static void test_refuses_overlong_forms(void **state)
{
    (void)state;
    assert_false(valid("\xc0\x80"));
    assert_false(valid("\xc1\xbf"));
    assert_false(valid("\xe0\x9f\xbf"));
    assert_false(valid("\xf0\x8f\xbf\xbf"));
}

static void test_refuses_surrogates(void **state)
{
    (void)state;
    assert_false(valid("\xed\xa0\x80"));
    assert_false(valid("\xed\xbf\xbf"));
    assert_false(valid("\xed\xa0\xbd\xed\xb8\x80"));
}

static void test_refuses_what_is_above_the_last_character(void **state)
{
    (void)state;
    assert_false(valid("\xf4\x90\x80\x80"));
    assert_false(valid("\xf5\x80\x80\x80"));
    assert_false(valid("\xff"));
}

static void test_refuses_what_is_cut_off(void **state)
{
    (void)state;
    const char *whole = "\xf0\x9f\x98\x80";
    for (size_t size = 1; size < 4; size++)
        assert_false(utf8_valid(whole, size));
    assert_false(valid("\xf0\x9f\x98 text"));
}

static void test_finds_a_bad_byte_anywhere(void **state)
{
    (void)state;
    char text[65];
    memset(text, 'a', sizeof(text));
    for (size_t i = 0; i < sizeof(text); i++) {
        text[i] = (char)0x80;
        assert_false(utf8_valid(text, sizeof(text)));
        text[i] = 'a';
    }
    assert_true(utf8_valid(text, sizeof(text)));
}

/* By computing the character and what it should have been encoded as. */
static bool reference(const uint8_t *at, size_t size)
{
    while (size > 0) {
        size_t length = *at < 0x80       ? 1
                        : *at >> 5 == 6  ? 2
                        : *at >> 4 == 14 ? 3
                        : *at >> 3 == 30 ? 4
                                         : 0;
        if (length == 0 || length > size)
            return false;
        uint32_t character = length == 1 ? *at : *at & (0x7fu >> length);
        for (size_t i = 1; i < length; i++) {
            if (at[i] >> 6 != 2)
                return false;
            character = character << 6 | (at[i] & 0x3f);
        }
        size_t shortest = character < 0x80      ? 1
                          : character < 0x800   ? 2
                          : character < 0x10000 ? 3
                                                : 4;
        if (length != shortest || character > 0x10ffff || character >> 11 == 0xd800 >> 11)
            return false;
        at += length;
        size -= length;
    }
    return true;
}

static void test_every_string_of_three_bytes(void **state)
{
    (void)state;
    for (uint32_t bits = 0; bits < 1u << 24; bits++) {
        uint8_t text[3] = {(uint8_t)(bits >> 16), (uint8_t)(bits >> 8), (uint8_t)bits};
        if (utf8_valid(text, 3) != reference(text, 3))
            fail_msg("%02x %02x %02x", text[0], text[1], text[2]);
    }
}

static void test_every_long_character(void **state)
{
    (void)state;
    for (uint32_t bits = 0; bits < 1u << 24; bits++) {
        uint8_t text[4] = {(uint8_t)(0xf0 | bits >> 20), (uint8_t)(bits >> 12),
                           (uint8_t)(bits >> 6), (uint8_t)(0x80 | (bits & 0x3f))};
        if (utf8_valid(text, 4) != reference(text, 4))
            fail_msg("%02x %02x %02x %02x", text[0], text[1], text[2], text[3]);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_takes_text),
        cmocka_unit_test(test_takes_boundaries),
        cmocka_unit_test(test_refuses_overlong_forms),
        cmocka_unit_test(test_refuses_surrogates),
        cmocka_unit_test(test_refuses_what_is_above_the_last_character),
        cmocka_unit_test(test_refuses_what_is_cut_off),
        cmocka_unit_test(test_finds_a_bad_byte_anywhere),
        cmocka_unit_test(test_every_string_of_three_bytes),
        cmocka_unit_test(test_every_long_character),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

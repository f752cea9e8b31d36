/* SPDX-License-Identifier: Apache-2.0 */
/* The file view: every part of it is what the whole has in that place. */
#include "view.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

#include "forge.h"

static struct forge forge;

/* Also a null, an empty value, and one that has newlines of its own. */
static const char whole[] = "one\n\ntwo two\n\n\nx\nlines\n\n\n";
#define WHOLE_BYTES (sizeof(whole) - 1)

static int begin(void **state)
{
    (void)state;
    static const char *const values[] = {"one", NULL, "two two", "", NULL, "x", "lines\n", ""};
    forge_begin(&forge);
    for (size_t i = 0; i < sizeof(values) / sizeof(values[0]); i++)
        forge_value(&forge, values[i]);
    return 0;
}

static struct record_iterator iterate(void)
{
    struct record_iterator iterator;
    record_iterator_init(&iterator, &forge.header, forge.bytes + BATCH_HEADER_BYTES,
                         forge.size - BATCH_HEADER_BYTES);
    return iterator;
}

static void test_renders_values_and_newlines(void **state)
{
    (void)state;
    struct record_iterator iterator = iterate();
    char text[64];
    uint64_t skip = 0;
    assert_int_equal(view_render(&iterator, &skip, text, sizeof(text)), WHOLE_BYTES);
    assert_memory_equal(text, whole, WHOLE_BYTES);
    assert_int_equal(skip, 0);
    assert_int_equal(iterator.remaining, 0);
    assert_int_equal(view_render(&iterator, &skip, text, sizeof(text)), 0);
}

static void test_renders_any_part(void **state)
{
    (void)state;
    for (size_t from = 0; from <= WHOLE_BYTES; from++) {
        for (size_t size = 0; size <= WHOLE_BYTES - from + 2; size++) {
            struct record_iterator iterator = iterate();
            char text[64];
            uint64_t skip = from;
            size_t expected = size < WHOLE_BYTES - from ? size : WHOLE_BYTES - from;
            memset(text, '#', sizeof(text));
            assert_int_equal(view_render(&iterator, &skip, text, size), expected);
            assert_memory_equal(text, whole + from, expected);
            assert_int_equal(text[expected], '#');
        }
    }
}

static void test_renders_on_in_steps_of_any_size(void **state)
{
    (void)state;
    for (size_t step = 1; step <= WHOLE_BYTES + 1; step++) {
        struct record_iterator iterator = iterate();
        char text[64];
        uint64_t skip = 0;
        size_t used = 0;
        ssize_t got;
        while ((got = view_render(&iterator, &skip, text + used, step)) == (ssize_t)step)
            used += step;
        assert_true(got >= 0);
        used += (size_t)got;
        assert_int_equal(used, WHOLE_BYTES);
        assert_memory_equal(text, whole, WHOLE_BYTES);
    }
}

static void test_skips_to_any_place(void **state)
{
    (void)state;
    for (size_t bytes = 0; bytes <= WHOLE_BYTES; bytes++) {
        struct record_iterator iterator = iterate();
        char text[64];
        uint64_t skip = 99;
        assert_int_equal(view_skip(&iterator, bytes, &skip), 0);
        assert_int_equal(view_render(&iterator, &skip, text, sizeof(text)), WHOLE_BYTES - bytes);
        assert_memory_equal(text, whole + bytes, WHOLE_BYTES - bytes);
    }
}

static void test_leaves_what_is_to_be_skipped_beyond_the_end(void **state)
{
    (void)state;
    struct record_iterator iterator = iterate();
    char text[8];
    uint64_t skip = 0;
    assert_int_equal(view_skip(&iterator, WHOLE_BYTES + 5, &skip), 0);
    assert_int_equal(skip, 5);
    assert_int_equal(view_render(&iterator, &skip, text, sizeof(text)), 0);
    assert_int_equal(skip, 5);
}

static void test_refuses_malformed_records(void **state)
{
    (void)state;
    forge.size--;
    char text[64];
    uint64_t skip = 0;
    struct record_iterator iterator = iterate();
    assert_int_equal(view_render(&iterator, &skip, text, sizeof(text)), -EBADMSG);
    iterator = iterate();
    assert_int_equal(view_skip(&iterator, WHOLE_BYTES, &skip), -EBADMSG);
}

static void test_refuses_bytes_behind_the_last_record(void **state)
{
    (void)state;
    forge_raw(&forge, "x", 1);
    char text[64];
    uint64_t skip = 0;
    struct record_iterator iterator = iterate();
    assert_int_equal(view_render(&iterator, &skip, text, sizeof(text)), -EBADMSG);
    iterator = iterate();
    assert_int_equal(view_skip(&iterator, WHOLE_BYTES, &skip), -EBADMSG);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup(test_renders_values_and_newlines, begin),
        cmocka_unit_test_setup(test_renders_any_part, begin),
        cmocka_unit_test_setup(test_renders_on_in_steps_of_any_size, begin),
        cmocka_unit_test_setup(test_skips_to_any_place, begin),
        cmocka_unit_test_setup(test_leaves_what_is_to_be_skipped_beyond_the_end, begin),
        cmocka_unit_test_setup(test_refuses_malformed_records, begin),
        cmocka_unit_test_setup(test_refuses_bytes_behind_the_last_record, begin),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

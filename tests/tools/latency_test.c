/* SPDX-License-Identifier: Apache-2.0 */
/* Percentiles of what was counted: exact for what is small, to 1/64 for all else. */
#include "latency.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

/* row.c prints times, which nothing here does. */
char *table_time_text(int64_t ms, char *text);
char *table_time_text(int64_t ms, char *text)
{
    (void)ms;
    return text;
}

static struct latency *make(void)
{
    struct latency *latency = calloc(1, sizeof(*latency));
    assert_non_null(latency);
    return latency;
}

static void nothing_is_zero(void **state)
{
    (void)state;
    struct latency *latency = make();
    assert_int_equal(latency_percentile_usec(latency, 500), 0);
    free(latency);
}

static void small_ones_are_exact(void **state)
{
    (void)state;
    struct latency *latency = make();
    for (int64_t usec = 1; usec <= 50; usec++)
        latency_add(latency, usec, 2);
    assert_int_equal(latency->count, 100);
    assert_int_equal(latency->least_usec, 1);
    assert_int_equal(latency->largest_usec, 50);
    assert_int_equal(latency_percentile_usec(latency, 500), 25);
    assert_int_equal(latency_percentile_usec(latency, 990), 50);
    assert_int_equal(latency_percentile_usec(latency, 20), 1);
    free(latency);
}

static void large_ones_are_near(void **state)
{
    (void)state;
    for (int64_t usec = 1; usec > 0 && usec < INT64_MAX / 3; usec = usec * 3 + 1) {
        struct latency *latency = make();
        latency_add(latency, usec, 1);
        latency_add(latency, INT64_MAX, 1);
        int64_t found = latency_percentile_usec(latency, 500);
        assert_true(found >= usec && found - usec <= usec / 64);
        assert_int_equal(latency_percentile_usec(latency, 1000), INT64_MAX);
        free(latency);
    }
}

static void below_zero_is_zero(void **state)
{
    (void)state;
    struct latency *latency = make();
    latency_add(latency, -5, 1);
    latency_add(latency, 7, 0);
    assert_int_equal(latency->count, 1);
    assert_int_equal(latency->largest_usec, 0);
    free(latency);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(nothing_is_zero),
        cmocka_unit_test(small_ones_are_exact),
        cmocka_unit_test(large_ones_are_near),
        cmocka_unit_test(below_zero_is_zero),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

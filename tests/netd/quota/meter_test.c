/* SPDX-License-Identifier: Apache-2.0
 *
 * Rates over windows and buckets of tokens: how long to wait, with Kafka's numbers.
 */
#include "quota/meter.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>

#include <cmocka.h>

#define BEGIN_MS INT64_C(1763719200000)

static const struct meter_windows usual = {.count = 11, .size_ms = 1000};

static int setup(void **state)
{
    *state = rate_new(&usual);
    return *state ? 0 : -1;
}

static int teardown(void **state)
{
    free(*state);
    return 0;
}

/* Adds, and says how long to wait then. */
static int32_t add(struct rate *rate, double amount, int64_t at_ms)
{
    rate_add(rate, &usual, amount, BEGIN_MS + at_ms);
    return rate_wait_ms(rate, &usual, 1000, 0, BEGIN_MS + at_ms);
}

static void what_ten_windows_may_have_is_free(void **state)
{
    assert_int_equal(add(*state, 10000, 0), 0);
    assert_int_equal(add(*state, 500, 500), 0);
}

static void what_is_more_is_waited_for(void **state)
{
    assert_int_equal(add(*state, 100000, 0), 90000);
    assert_int_equal(add(*state, 0, 900), 89100);
}

static void what_would_come_counts_where_it_is_asked_for(void **state)
{
    assert_int_equal(add(*state, 10000, 0), 0);
    assert_int_equal(rate_wait_ms(*state, &usual, 1000, 7, BEGIN_MS), 7);
    assert_int_equal(rate_wait_ms(*state, &usual, 1000, 0, BEGIN_MS), 0);
}

static void an_old_window_is_forgotten(void **state)
{
    assert_int_equal(add(*state, 11000, 0), 1000);
    assert_int_equal(add(*state, 1000, 10999), 1001);
    assert_int_equal(add(*state, 0, 11000), 0);
    assert_int_equal(add(*state, 9000, 11001), 0);
    assert_int_equal(add(*state, 1, 11001), 0);
    assert_int_equal(add(*state, 100, 11001), 100);
}

static void after_a_long_silence_all_is_forgotten(void **state)
{
    assert_int_equal(add(*state, 1000000, 0), 990000);
    assert_int_equal(add(*state, 10000, INT64_C(1000000000)), 0);
}

static void a_clock_that_stands_still_or_goes_back_does_no_harm(void **state)
{
    assert_int_equal(add(*state, 10000, 5000), 0);
    assert_int_equal(add(*state, 1000, 4000), 1000);
}

static void one_window_is_enough(void **state)
{
    static const struct meter_windows one = {.count = 1, .size_ms = 1000};
    struct rate *rate = rate_new(&one);
    (void)state;
    rate_add(rate, &one, 500, BEGIN_MS + 500);
    assert_int_equal(rate_wait_ms(rate, &one, 1000, 0, BEGIN_MS + 500), 0);
    assert_int_equal(rate_wait_ms(rate, &one, 1000, 500, BEGIN_MS + 500), 500);
    assert_int_equal(rate_wait_ms(rate, &one, 1000, 0, BEGIN_MS + 1000), 0);
    free(rate);
}

static void no_wait_is_longer_than_the_longest(void **state)
{
    rate_add(*state, &usual, 1e12, BEGIN_MS);
    assert_int_equal(rate_wait_ms(*state, &usual, 1e-7, 0, BEGIN_MS), METER_WAIT_MAX_MS);
}

/* What is done in the long run when each wait is kept. In each time of eleven windows there may be
 * one more than the mean allows. */
static void the_mean_is_kept(void **state)
{
    int64_t now_ms = 0;
    double done = 0;
    while (now_ms < 100000) {
        int32_t wait_ms = add(*state, 100, now_ms);
        done += 100;
        now_ms += wait_ms > 0 ? wait_ms : 1;
    }
    assert_true(done <= 1000.0 * (100 + 11) * (1 + 100.0 / 11000));
    assert_true(done >= 1000.0 * 95);
}

/* ---- buckets ---- */

static int32_t take(struct bucket *bucket, double tokens, bool is_strict, int64_t at_ms)
{
    return bucket_take(bucket, &usual, 10, tokens, is_strict, BEGIN_MS + at_ms);
}

static void a_strict_bucket_gives_while_it_has_some(void **state)
{
    struct bucket bucket = {.missing = 0};
    (void)state;
    assert_int_equal(take(&bucket, 90, true, 0), 0);
    assert_int_equal(take(&bucket, 100, true, 0), 0); /* 80 below zero */
    assert_int_equal(take(&bucket, 1, true, 0), 8000);
    assert_int_equal(take(&bucket, 1, true, 5000), 3000); /* none were taken */
    assert_int_equal(take(&bucket, 1, true, 8000), 0);
    assert_int_equal(take(&bucket, 1, true, 8000), 100);
}

static void one_that_is_not_strict_gives_always(void **state)
{
    struct bucket bucket = {.missing = 0};
    (void)state;
    assert_int_equal(take(&bucket, 110, false, 0), 0);
    assert_int_equal(take(&bucket, 80, false, 0), 8000);
    assert_int_equal(take(&bucket, 10, false, 0), 9000);
}

static void a_bucket_gets_no_fuller_than_full(void **state)
{
    struct bucket bucket = {.missing = 0};
    (void)state;
    assert_int_equal(take(&bucket, 110, true, 0), 0);
    assert_int_equal(take(&bucket, 110, true, 1000000), 0);
    assert_int_equal(take(&bucket, 1, true, 1000000), 0);
    assert_int_equal(take(&bucket, 1, true, 1000000), 100);
}

#define TEST(function) cmocka_unit_test_setup_teardown(function, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(what_ten_windows_may_have_is_free),
        TEST(what_is_more_is_waited_for),
        TEST(what_would_come_counts_where_it_is_asked_for),
        TEST(an_old_window_is_forgotten),
        TEST(after_a_long_silence_all_is_forgotten),
        TEST(a_clock_that_stands_still_or_goes_back_does_no_harm),
        TEST(one_window_is_enough),
        TEST(no_wait_is_longer_than_the_longest),
        TEST(the_mean_is_kept),
        TEST(a_strict_bucket_gives_while_it_has_some),
        TEST(one_that_is_not_strict_gives_always),
        TEST(a_bucket_gets_no_fuller_than_full),
    };
    return cmocka_run_group_tests_name("netd/quota/meter", tests, NULL, NULL);
}

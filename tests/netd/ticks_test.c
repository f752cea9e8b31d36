/* SPDX-License-Identifier: Apache-2.0
 *
 * When waits end: together with others, and a little before their time.
 */
#include "ticks.h"

#include <event2/event.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include "clock.h"

static struct event_base *base;
static struct ticks ticks;
static unsigned fired;
static unsigned afters;

static void over(struct wait *wait)
{
    (void)wait;
    fired++;
}

static void after(void *context)
{
    (void)context;
    afters++;
}

static int setup(void **state)
{
    (void)state;
    base = event_base_new();
    fired = afters = 0;
    return base ? ticks_init(&ticks, base, after, NULL) : -1;
}

static int teardown(void **state)
{
    (void)state;
    ticks_done(&ticks);
    event_base_free(base);
    return 0;
}

/* The part of a wait that is missing, in ms; at least 0. */
static void assert_missing(int32_t wait_ms, int64_t most_ms)
{
    struct wait wait = {.over = over};
    int64_t before_ms = clock_ms();
    assert_int_equal(ticks_add(&ticks, &wait, wait_ms), 0);
    int64_t after_ms = clock_ms();
    assert_true(ticks_due_ms(&wait) <= after_ms + wait_ms);
    assert_true(ticks_due_ms(&wait) >= before_ms + wait_ms - most_ms);
    ticks_remove(&ticks, &wait);
}

static void a_wait_is_cut_by_a_30th_at_most(void **state)
{
    (void)state;
    for (int32_t wait_ms = 0; wait_ms < 5000; wait_ms += 7)
        assert_missing(wait_ms, wait_ms / 30);
    assert_missing(INT32_MAX, 63);
}

static void waits_that_begin_apart_end_together(void **state)
{
    struct wait waits[64] = {{.over = NULL}};
    (void)state;
    unsigned ends = 0;
    for (int i = 0; i < 64; i++) {
        assert_int_equal(ticks_add(&ticks, &waits[i], 32 * 64 + i), 0); /* as if begun so */
        bool is_new = i == 0 || waits[i].tick != waits[i - 1].tick;
        ends += is_new;
    }
    assert_true(ends <= 3);
    for (int i = 0; i < 64; i++)
        ticks_remove(&ticks, &waits[i]);
}

static void what_nobody_waits_for_takes_no_memory(void **state)
{
    struct wait wait = {.over = over};
    (void)state;
    for (int32_t wait_ms = 1; wait_ms < 5000; wait_ms++) {
        assert_int_equal(ticks_add(&ticks, &wait, wait_ms), 0);
        ticks_remove(&ticks, &wait);
        assert_int_equal(ticks.timers.count, 0);
    }
}

static void an_earlier_wait_ends_before_one_that_is_set(void **state)
{
    struct wait late = {.over = over};
    struct wait soon = {.over = over};
    (void)state;
    assert_int_equal(ticks_add(&ticks, &late, 3600000), 0);
    assert_int_equal(ticks_add(&ticks, &soon, 5), 0);
    while (fired == 0)
        event_base_loop(base, EVLOOP_ONCE);
    assert_int_equal(fired, 1);
    assert_null(soon.tick);
    assert_true(afters >= 1);
    assert_non_null(late.tick);
    ticks_remove(&ticks, &late);
}

/* Ends one that waits beside it. */
static struct wait *beside;
static void remove_beside(struct wait *wait)
{
    (void)wait;
    ticks_remove(&ticks, beside);
    fired++;
}

static void a_wait_may_be_removed_by_one_that_ends_with_it(void **state)
{
    struct wait first = {.over = remove_beside};
    struct wait second = {.over = over};
    struct wait third = {.over = over};
    (void)state;
    beside = &second;
    do { /* until all three were added within one tick */
        ticks_remove(&ticks, &first);
        ticks_remove(&ticks, &second);
        ticks_remove(&ticks, &third);
        assert_int_equal(ticks_add(&ticks, &first, 1024), 0);
        assert_int_equal(ticks_add(&ticks, &second, 1024), 0);
        assert_int_equal(ticks_add(&ticks, &third, 1024), 0);
    } while (first.tick != third.tick);
    while (first.tick || third.tick)
        event_base_loop(base, EVLOOP_ONCE);
    assert_int_equal(fired, 2);
    assert_null(second.tick);
}

#define TEST(function) cmocka_unit_test_setup_teardown(function, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(a_wait_is_cut_by_a_30th_at_most),
        TEST(waits_that_begin_apart_end_together),
        TEST(a_wait_may_be_removed_by_one_that_ends_with_it),
        TEST(what_nobody_waits_for_takes_no_memory),
        TEST(an_earlier_wait_ends_before_one_that_is_set),
    };
    return cmocka_run_group_tests_name("netd/ticks", tests, NULL, NULL);
}

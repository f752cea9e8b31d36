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

static void fire(struct timer *timer)
{
    (void)timer;
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
    struct timer timer = {.fire = fire};
    int64_t before_ms = clock_ms();
    assert_int_equal(ticks_add(&ticks, &timer, wait_ms), 0);
    int64_t after_ms = clock_ms();
    assert_true(timer.due_ms <= after_ms + wait_ms);
    assert_true(timer.due_ms >= before_ms + wait_ms - most_ms);
    ticks_remove(&ticks, &timer);
}

static void a_wait_is_cut_by_a_32nd_at_most(void **state)
{
    (void)state;
    for (int32_t wait_ms = 0; wait_ms < 5000; wait_ms += 7)
        assert_missing(wait_ms, wait_ms / 32);
    assert_missing(INT32_MAX, 63);
}

static void waits_that_begin_apart_end_together(void **state)
{
    struct timer timers[64] = {{.fire = NULL}};
    (void)state;
    unsigned ends = 0;
    for (int i = 0; i < 64; i++) {
        assert_int_equal(ticks_add(&ticks, &timers[i], 32 * 64 + i), 0); /* as if begun so */
        bool is_new = i == 0 || timers[i].due_ms != timers[i - 1].due_ms;
        ends += is_new;
    }
    assert_true(ends <= 3);
    for (int i = 0; i < 64; i++)
        ticks_remove(&ticks, &timers[i]);
}

static void an_earlier_wait_ends_before_one_that_is_set(void **state)
{
    struct timer late = {.fire = fire};
    struct timer soon = {.fire = fire};
    (void)state;
    assert_int_equal(ticks_add(&ticks, &late, 3600000), 0);
    assert_int_equal(ticks_add(&ticks, &soon, 5), 0);
    while (fired == 0)
        event_base_loop(base, EVLOOP_ONCE);
    assert_int_equal(fired, 1);
    assert_int_equal(soon.place, 0);
    assert_true(afters >= 1);
    assert_true(late.place != 0);
    ticks_remove(&ticks, &late);
}

#define TEST(function) cmocka_unit_test_setup_teardown(function, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(a_wait_is_cut_by_a_32nd_at_most),
        TEST(waits_that_begin_apart_end_together),
        TEST(an_earlier_wait_ends_before_one_that_is_set),
    };
    return cmocka_run_group_tests_name("netd/ticks", tests, NULL, NULL);
}

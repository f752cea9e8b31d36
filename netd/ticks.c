/* SPDX-License-Identifier: Apache-2.0
 *
 * One event for all waits of a loop, set to the earliest; see ticks.h.
 */
#include "ticks.h"

#include <errno.h>
#include <event2/event.h>
#include <stddef.h>

#include "clock.h"

#define PART        32 /* of a wait that may be missing */
#define STEP_MAX_MS 64

static void set(struct ticks *ticks, int64_t now_ms)
{
    int64_t next_ms = timers_next_ms(&ticks->timers);
    if (next_ms >= ticks->set_ms)
        return;
    int64_t after_ms = next_ms > now_ms ? next_ms - now_ms : 0;
    struct timeval after = {.tv_sec = after_ms / 1000, .tv_usec = after_ms % 1000 * 1000};
    if (event_add(ticks->event, &after) == 0)
        ticks->set_ms = next_ms;
}

static void tick_event(evutil_socket_t fd, short what, void *context)
{
    (void)fd, (void)what;
    struct ticks *ticks = context;
    ticks->set_ms = INT64_MAX;
    timers_run(&ticks->timers, clock_ms());
    ticks->after(ticks->context);
    set(ticks, clock_ms());
}

int ticks_init(struct ticks *ticks, struct event_base *base, void (*after)(void *context),
               void *context)
{
    *ticks = (struct ticks){.set_ms = INT64_MAX, .after = after, .context = context};
    ticks->event = evtimer_new(base, tick_event, ticks);
    return ticks->event ? 0 : -ENOMEM;
}

void ticks_done(struct ticks *ticks)
{
    if (ticks->event)
        event_free(ticks->event);
    timers_done(&ticks->timers);
    ticks->event = NULL;
}

/* The largest power of two that is not above the part. */
static int64_t step_of(int32_t wait_ms)
{
    int64_t step = 1;
    while (step < STEP_MAX_MS && 2 * step * PART <= wait_ms)
        step *= 2;
    return step;
}

int ticks_add(struct ticks *ticks, struct timer *timer, int32_t wait_ms)
{
    int64_t now_ms = clock_ms();
    int64_t due_ms = now_ms + wait_ms;
    if (timers_reserve(&ticks->timers, ticks->timers.count + 1) < 0)
        return -ENOMEM;
    timer_set(&ticks->timers, timer, due_ms - due_ms % step_of(wait_ms));
    set(ticks, now_ms);
    return 0;
}

void ticks_remove(struct ticks *ticks, struct timer *timer)
{
    timer_cancel(&ticks->timers, timer);
}

/* SPDX-License-Identifier: Apache-2.0
 *
 * One event for all waits of a loop, set to the earliest; see ticks.h.
 */
#include "ticks.h"

#include <errno.h>
#include <event2/event.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdlib.h>

#include "clock.h"

#define PART        30 /* of a wait that may be missing */
#define STEP_MAX_MS 64

struct tick {
    struct timer timer;
    bool over; /* its waits are being told; it goes when they are */
    LIST_ENTRY(tick) link;
    TAILQ_HEAD(, wait) waits;
};

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

static void tick_over(struct timer *timer)
{
    struct tick *tick = (struct tick *)((char *)timer - offsetof(struct tick, timer));
    struct wait *wait;
    LIST_REMOVE(tick, link);
    tick->over = true;
    while ((wait = TAILQ_FIRST(&tick->waits))) {
        TAILQ_REMOVE(&tick->waits, wait, link);
        wait->tick = NULL;
        wait->over(wait);
    }
    free(tick);
}

void ticks_done(struct ticks *ticks)
{
    for (size_t i = 0; i < TICKS_BUCKETS; i++) {
        struct tick *tick;
        while ((tick = LIST_FIRST(&ticks->buckets[i]))) {
            LIST_REMOVE(tick, link);
            free(tick);
        }
    }
    if (ticks->event)
        event_free(ticks->event);
    ticks->event = NULL;
    ticks->timers.count = 0;
    timers_done(&ticks->timers);
}

/* The largest power of two that is not above the part. */
static int64_t step_of(int32_t wait_ms)
{
    int64_t step = 1;
    while (step < STEP_MAX_MS && 2 * step * PART <= wait_ms)
        step *= 2;
    return step;
}

static struct tick *find_or_make(struct ticks *ticks, int64_t due_ms)
{
    uint64_t hash = (uint64_t)due_ms * 0x9e3779b97f4a7c15;
    struct tick *tick;
    LIST_FOREACH(tick, &ticks->buckets[hash >> 56], link)
    if (tick->timer.due_ms == due_ms)
        return tick;
    if (timers_reserve(&ticks->timers, ticks->timers.count + 1) < 0)
        return NULL;
    tick = malloc(sizeof(*tick));
    if (!tick)
        return NULL;
    *tick = (struct tick){.timer.fire = tick_over};
    TAILQ_INIT(&tick->waits);
    LIST_INSERT_HEAD(&ticks->buckets[hash >> 56], tick, link);
    timer_set(&ticks->timers, &tick->timer, due_ms);
    return tick;
}

int ticks_add(struct ticks *ticks, struct wait *wait, int32_t wait_ms)
{
    int64_t now_ms = clock_ms();
    int64_t due_ms = now_ms + wait_ms;
    struct tick *tick = find_or_make(ticks, due_ms - due_ms % step_of(wait_ms));
    if (!tick)
        return -ENOMEM;
    wait->tick = tick;
    TAILQ_INSERT_TAIL(&tick->waits, wait, link);
    set(ticks, now_ms);
    return 0;
}

void ticks_remove(struct ticks *ticks, struct wait *wait)
{
    struct tick *tick = wait->tick;
    if (!tick)
        return;
    TAILQ_REMOVE(&tick->waits, wait, link);
    wait->tick = NULL;
    if (tick->over || !TAILQ_EMPTY(&tick->waits))
        return;
    timer_cancel(&ticks->timers, &tick->timer);
    LIST_REMOVE(tick, link);
    free(tick);
}

int64_t ticks_due_ms(const struct wait *wait)
{
    return wait->tick->timer.due_ms;
}

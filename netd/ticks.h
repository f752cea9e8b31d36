/* SPDX-License-Identifier: Apache-2.0
 *
 * The ends of many waits, for few wakings of a loop. Thousands of fetches wait for half a second
 * each and begin whenever they like; ended each at its own time, each would wake the loop. So ends
 * are moved to ticks, a little before: by a 32nd of the wait at most.
 */
#ifndef BECK_NETD_TICKS_H
#define BECK_NETD_TICKS_H

#include <stdint.h>

#include "group/timers.h"

struct event;
struct event_base;

struct ticks {
    struct timers timers;
    struct event *event;
    int64_t set_ms;               /* when that comes, by clock_ms(); INT64_MAX: it is not set */
    void (*after)(void *context); /* called when waits have ended */
    void *context;
};

/* 0 or -ENOMEM. */
int ticks_init(struct ticks *ticks, struct event_base *base, void (*after)(void *context),
               void *context);
/* Takes a zeroed one. */
void ticks_done(struct ticks *ticks);

/* Has timer->fire called when `wait_ms` are over, or a little before. -ENOMEM. */
int ticks_add(struct ticks *ticks, struct timer *timer, int32_t wait_ms);
/* Takes one that is not added, too. */
void ticks_remove(struct ticks *ticks, struct timer *timer);

#endif

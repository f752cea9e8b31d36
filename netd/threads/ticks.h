/* SPDX-License-Identifier: Apache-2.0
 *
 * The ends of many waits, for few wakings of a loop. Thousands of fetches wait for half a second
 * each and begin whenever they like; ended each at its own time, each would wake the loop. So ends
 * are moved to ticks, a little before: by a 30th of the wait at most.
 *
 * There are few ticks, in a heap; a wait is in its tick's list, so that it costs the same however
 * many there are.
 */
#ifndef BECK_NETD_TICKS_H
#define BECK_NETD_TICKS_H

#include <stdint.h>
#include <sys/queue.h>

#include "group/timers.h"

#define TICKS_BUCKETS 256

struct event;
struct event_base;
struct tick;

/* Embedded in what waits; zeroed it is not added. */
struct wait {
    TAILQ_ENTRY(wait) link;
    struct tick *tick; /* NULL: it is not added */
    void (*over)(struct wait *wait);
};

struct ticks {
    struct timers timers;                     /* of the ticks */
    LIST_HEAD(, tick) buckets[TICKS_BUCKETS]; /* the same, by time */
    struct event *event;
    int64_t set_ms;               /* when that comes, by clock_ms(); INT64_MAX: it is not set */
    void (*after)(void *context); /* called when waits have ended */
    void *context;
};

/* 0 or -ENOMEM. */
int ticks_init(struct ticks *ticks, struct event_base *base, void (*after)(void *context),
               void *context);
/* Takes a zeroed one. Waits that are still added are forgotten. */
void ticks_done(struct ticks *ticks);

/* Has wait->over called when `wait_ms` are over, or a little before. -ENOMEM. */
int ticks_add(struct ticks *ticks, struct wait *wait, int32_t wait_ms);
/* Takes one that is not added, too. */
void ticks_remove(struct ticks *ticks, struct wait *wait);

/* When one that is added ends, by clock_ms(). */
int64_t ticks_due_ms(const struct wait *wait);

#endif

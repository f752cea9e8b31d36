/* SPDX-License-Identifier: Apache-2.0
 *
 * Timers of one thread, in a heap: setting and firing one costs the logarithm of their number, and
 * the one that is next is known at once. The owner's loop sleeps until timers_next_ms() and calls
 * timers_run(); time is whatever it says, so that tests need not wait.
 */
#ifndef BECK_NETD_GROUP_TIMERS_H
#define BECK_NETD_GROUP_TIMERS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Embedded in what it belongs to; zeroed it is not set. */
struct timer {
    int64_t due_ms;
    size_t place; /* in the heap, from 1; 0: not set */
    void (*fire)(struct timer *timer);
};

struct timers {
    struct timer **heap; /* heap[0] is not used */
    size_t count;
    size_t room;
};

/* A zeroed struct is ready. Timers that are still set are forgotten. */
void timers_done(struct timers *timers);

/* Make room for `count` timers at once, so that timer_set() cannot fail for lack of it. -ENOMEM. */
int timers_reserve(struct timers *timers, size_t count);

/* Set, or set anew. There must be room: see timers_reserve(). */
void timer_set(struct timers *timers, struct timer *timer, int64_t due_ms);
/* Takes one that is not set, too. */
void timer_cancel(struct timers *timers, struct timer *timer);

/* When the next one is due, or INT64_MAX. */
int64_t timers_next_ms(const struct timers *timers);
/* Fire what is due at `now_ms`, in order; each is not set any more when it fires, and may set or
 * cancel any. */
void timers_run(struct timers *timers, int64_t now_ms);

#endif

/* SPDX-License-Identifier: Apache-2.0
 *
 * A binary heap of pointers; each timer knows its place, so that it can be moved.
 */
#include "group/timers.h"

#include <assert.h>
#include <errno.h>
#include <stdlib.h>

void timers_done(struct timers *timers)
{
    for (size_t i = 1; i <= timers->count; i++)
        timers->heap[i]->place = 0;
    free(timers->heap);
    *timers = (struct timers){0};
}

int timers_reserve(struct timers *timers, size_t count)
{
    if (count < timers->room)
        return 0;
    size_t room = timers->room ? 2 * timers->room : 64;
    while (room <= count)
        room *= 2;
    struct timer **grown = reallocarray(timers->heap, room, sizeof(*grown));
    if (!grown)
        return -ENOMEM;
    timers->heap = grown;
    timers->room = room;
    return 0;
}

static void place(struct timers *timers, struct timer *timer, size_t at)
{
    timers->heap[at] = timer;
    timer->place = at;
}

static void move_up(struct timers *timers, struct timer *timer, size_t at)
{
    while (at > 1 && timers->heap[at / 2]->due_ms > timer->due_ms) {
        place(timers, timers->heap[at / 2], at);
        at /= 2;
    }
    place(timers, timer, at);
}

static void move_down(struct timers *timers, struct timer *timer, size_t at)
{
    for (size_t child; (child = 2 * at) <= timers->count; at = child) {
        if (child < timers->count && timers->heap[child + 1]->due_ms < timers->heap[child]->due_ms)
            child++;
        if (timers->heap[child]->due_ms >= timer->due_ms)
            break;
        place(timers, timers->heap[child], at);
    }
    place(timers, timer, at);
}

void timer_set(struct timers *timers, struct timer *timer, int64_t due_ms)
{
    int64_t before_ms = timer->due_ms;
    timer->due_ms = due_ms;
    if (timer->place == 0) {
        assert(timers->count + 1 < timers->room);
        move_up(timers, timer, ++timers->count);
    } else if (due_ms < before_ms) {
        move_up(timers, timer, timer->place);
    } else {
        move_down(timers, timer, timer->place);
    }
}

void timer_cancel(struct timers *timers, struct timer *timer)
{
    size_t at = timer->place;
    if (at == 0)
        return;
    struct timer *last = timers->heap[timers->count--];
    timer->place = 0;
    if (last == timer)
        return;
    if (at > 1 && timers->heap[at / 2]->due_ms > last->due_ms)
        move_up(timers, last, at);
    else
        move_down(timers, last, at);
}

int64_t timers_next_ms(const struct timers *timers)
{
    return timers->count > 0 ? timers->heap[1]->due_ms : INT64_MAX;
}

void timers_run(struct timers *timers, int64_t now_ms)
{
    while (timers->count > 0 && timers->heap[1]->due_ms <= now_ms) {
        struct timer *timer = timers->heap[1];
        timer_cancel(timers, timer);
        timer->fire(timer);
    }
}

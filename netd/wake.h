/* SPDX-License-Identifier: Apache-2.0
 *
 * Waiting for a partition to grow, whoever appends: this daemon, the mount, a tool. A loop watches
 * the partitions that its waiting fetches ask for; the store's descriptor rings; the loop looks at
 * what it watches and tells the watchers of what has moved.
 *
 * Nothing is missed: a partition is armed first and looked at second, and only then the loop
 * sleeps. Under load a partition is armed at most WAKE_ARMS times in a millisecond: who appends
 * then pays for a ring only now and then, and the loop looks on its own a millisecond later.
 *
 * The store's descriptor is the process's only one: the first loop polls it and rings the bells of
 * those others that watch something. Where the store has none to give, each looks every
 * WAKE_POLL_MS.
 */
#ifndef BECK_NETD_WAKE_H
#define BECK_NETD_WAKE_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/queue.h>

#include "settings.h"

#define WAKE_ARMS    16
#define WAKE_POLL_MS 10
/* Loops in one process. */
#define WAKE_BELLS_MAX CONFIG_LOOPS_MAX

struct beck_store;
struct event;
struct event_base;
struct partition_entry;
struct watch;

/* How the first loop rings the others: one eventfd each. Made and ended before and after them. */
struct bells {
    size_t count;
    bool polling; /* the store has no descriptor: nobody rings */
    int store_fd; /* that the first loop polls */
    struct bell {
        int fd; /* -1 for the first loop */
        atomic_bool watches;
    } list[WAKE_BELLS_MAX];
};

/* 0 or a negative errno. */
int bells_init(struct bells *bells, size_t count, struct beck_store *store);
void bells_done(struct bells *bells);

/* One who wants to know. Its memory is the caller's, between watch_add() and watch_remove(). */
struct watcher {
    LIST_ENTRY(watcher) link;
    struct watch *watch; /* NULL: not added */
    /* Only notes it: watchers must not be added or removed from here. */
    void (*moved)(struct watcher *watcher);
};

/* What a partition's entry has for it. */
struct watch {
    LIST_HEAD(, watcher) watchers;
    TAILQ_ENTRY(watch) link; /* in the loop's list while there are watchers */
    struct partition_entry *entry;
    int64_t high_watermark; /* these three as seen last */
    int64_t last_stable_offset;
    int64_t log_start_offset;
    int64_t window_usec; /* when the current millisecond began */
    unsigned arms;       /* in it */
    bool late;           /* to be armed by the timer */
};

struct wake {
    struct beck_store *store;
    struct bells *bells;
    size_t index; /* of our bell */
    struct event *ring;
    struct event *timer;
    int timer_fd; /* libevent's own timers may be some milliseconds late */
    bool timer_set;
    TAILQ_HEAD(, watch) watches;
    void (*after)(void *context); /* called when watchers may have been told */
    void *context;
};

/* `index`: which of the loops this one is. */
int wake_init(struct wake *wake, struct event_base *base, struct beck_store *store,
              struct bells *bells, size_t index, void (*after)(void *context), void *context);
void wake_done(struct wake *wake);

void watch_init(struct watch *watch);

/* The last known state, from which on the watcher wants to be told: what the caller looked at when
 * it found too little. If it moved in the meantime, `moved` is called at once. Keeps the entry. */
struct beck_partition_state;
void watch_add(struct wake *wake, struct partition_entry *entry, struct watcher *watcher,
               const struct beck_partition_state *seen);
/* Takes one that is not added, too. */
void watch_remove(struct wake *wake, struct watcher *watcher);

#endif

/* SPDX-License-Identifier: Apache-2.0
 *
 * Waiting for a partition to grow, whoever appends: this daemon, the mount, a tool. A loop watches
 * the partitions that its waiting fetches ask for; one of them rings (bells.h); the loop looks at
 * it and tells its watchers if it has moved.
 *
 * Nothing is missed: a partition is armed first and looked at second, and only then the loop
 * sleeps. Under load a partition is armed at most WAKE_ARMS times in a millisecond: who appends
 * then pays for a ring only now and then, and the loop looks on its own a millisecond later.
 *
 * Where the store has no descriptor to give, each loop looks at all that it watches every
 * WAKE_POLL_MS.
 */
#ifndef BECK_NETD_WAKE_H
#define BECK_NETD_WAKE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/queue.h>

#include "bells.h"

#define WAKE_ARMS        16
#define WAKE_WINDOW_USEC 1000
#define WAKE_POLL_MS     10

struct event;
struct event_base;
struct partition_entry;
struct wake;
struct watch;

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
    struct ear ear;    /* listens since there first was a watcher; closed while there is none */
    struct wake *wake; /* that it listens for */
    TAILQ_ENTRY(watch) link;      /* in the loop's list while there are watchers */
    TAILQ_ENTRY(watch) late_link; /* in another one, if `late` */
    struct partition_entry *entry;
    int64_t high_watermark; /* these three as seen last */
    int64_t last_stable_offset;
    int64_t log_start_offset;
    int64_t window_usec; /* when the current millisecond began */
    unsigned arms;       /* in it */
    bool late;           /* to be armed by the timer */
};

/* One who looks again at the timer's next ring. Zeroed, it does not. */
struct nap {
    TAILQ_ENTRY(nap) link;
    bool naps;
    void (*over)(struct nap *nap); /* only notes it: naps of others must not be touched */
};

TAILQ_HEAD(watch_list, watch);
TAILQ_HEAD(nap_list, nap);

struct wake {
    struct bells *bells;
    size_t index; /* of our bell */
    struct hearer hearer;
    struct event *ring;
    struct event *store_ring; /* the first loop's: the store's descriptor */
    struct event *timer;
    int timer_fd; /* libevent's own timers may be some milliseconds late */
    bool timer_set;
    struct watch_list watches;
    struct watch_list late; /* of them */
    struct nap_list naps;
    void (*after)(void *context); /* called when watchers may have been told */
    void *context;
};

/* `index`: which of the loops this one is. */
int wake_init(struct wake *wake, struct event_base *base, struct bells *bells, size_t index,
              void (*after)(void *context), void *context);
void wake_done(struct wake *wake);

/* Has nap->over called in a millisecond, or in WAKE_POLL_MS where nobody rings. */
void wake_nap(struct wake *wake, struct nap *nap);
/* Takes one that does not nap, too. */
void wake_nap_no_more(struct wake *wake, struct nap *nap);

void watch_init(struct watch *watch);
/* There are no watchers, nor will there be any. */
void watch_done(struct watch *watch);

/* The last known state, from which on the watcher wants to be told: what the caller looked at when
 * it found too little. If it moved in the meantime, `moved` is called at once. Keeps the entry. */
struct beck_partition_state;
void watch_add(struct wake *wake, struct partition_entry *entry, struct watcher *watcher,
               const struct beck_partition_state *seen);
/* Takes one that is not added, too. */
void watch_remove(struct wake *wake, struct watcher *watcher);

#endif

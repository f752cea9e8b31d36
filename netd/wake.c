/* SPDX-License-Identifier: Apache-2.0
 *
 * Arming, ringing, looking; see wake.h.
 */
#include "wake.h"

#include <errno.h>
#include <event2/event.h>
#include <stddef.h>
#include <sys/eventfd.h>
#include <sys/timerfd.h>
#include <unistd.h>

#include "beck.h"
#include "clock.h"
#include "partitions.h"

#define WINDOW_USEC 1000

static void timer_set(struct wake *wake, int ms)
{
    struct itimerspec after = {.it_value.tv_nsec = ms * 1000000L};
    if (!wake->timer_set)
        wake->timer_set = timerfd_settime(wake->timer_fd, 0, &after, NULL) == 0;
}

static bool watch_differs(const struct watch *watch, const struct beck_partition_state *state)
{
    return state->high_watermark != watch->high_watermark ||
           state->last_stable_offset != watch->last_stable_offset ||
           state->log_start_offset != watch->log_start_offset;
}

static void watch_note(struct watch *watch, const struct beck_partition_state *state)
{
    watch->high_watermark = state->high_watermark;
    watch->last_stable_offset = state->last_stable_offset;
    watch->log_start_offset = state->log_start_offset;
}

/* Did the partition move since it was last looked at? A deleted one has. */
static bool watch_look(struct watch *watch)
{
    struct beck_partition_state state;
    if (beck_partition_state(watch->entry->handle, &state, NULL) < 0)
        return true;
    bool moved = watch_differs(watch, &state);
    watch_note(watch, &state);
    return moved;
}

static void watch_tell(struct watch *watch)
{
    struct watcher *watcher;
    LIST_FOREACH(watcher, &watch->watchers, link)
    watcher->moved(watcher);
}

/* Arms, or leaves it to the timer where this was done often enough in this millisecond. */
static void watch_arm(struct wake *wake, struct watch *watch)
{
    if (wake->bells->polling)
        return;
    int64_t now_usec = clock_usec();
    if (now_usec - watch->window_usec >= WINDOW_USEC) {
        watch->window_usec = now_usec;
        watch->arms = 0;
    }
    watch->late = watch->arms >= WAKE_ARMS;
    if (watch->late) {
        timer_set(wake, 1);
    } else {
        watch->arms++;
        beck_partition_arm(watch->entry->handle);
    }
}

/* Arms and looks at one that may have moved. Before, too: what has not moved since is still armed,
 * or costs its appenders nothing, and needs no limit. */
static void watch_again(struct wake *wake, struct watch *watch)
{
    bool moved = watch_look(watch);
    if (moved || watch->late)
        watch_arm(wake, watch);
    else if (!wake->bells->polling)
        beck_partition_arm(watch->entry->handle);
    if (watch_look(watch) || moved)
        watch_tell(watch);
}

/* The store's descriptor is the first loop's: it rings those that watch something. */
static void ring_others(struct bells *bells)
{
    for (size_t i = 1; i < bells->count; i++) {
        if (!atomic_load(&bells->list[i].watches))
            continue;
        uint64_t one = 1;
        ssize_t written = write(bells->list[i].fd, &one, sizeof(one));
        (void)written; /* fails only where the bell is rung already */
    }
}

static void ring_event(evutil_socket_t fd, short what, void *context)
{
    (void)what;
    struct wake *wake = context;
    struct watch *watch;
    if (wake->index == 0) {
        beck_store_wake_clear(wake->store);
        ring_others(wake->bells);
    } else {
        uint64_t rings;
        ssize_t got = read(fd, &rings, sizeof(rings));
        (void)got; /* taken, or it stays readable */
    }
    TAILQ_FOREACH(watch, &wake->watches, link)
    watch_again(wake, watch);
    wake->after(wake->context);
}

static void timer_event(evutil_socket_t fd, short what, void *context)
{
    (void)fd, (void)what;
    struct wake *wake = context;
    struct watch *watch;
    uint64_t times;
    ssize_t got = read(wake->timer_fd, &times, sizeof(times));
    (void)got; /* taken, or it stays readable for ever */
    wake->timer_set = false;
    TAILQ_FOREACH(watch, &wake->watches, link)
    if (wake->bells->polling || watch->late)
        watch_again(wake, watch);
    if (wake->bells->polling && !TAILQ_EMPTY(&wake->watches))
        timer_set(wake, WAKE_POLL_MS);
    wake->after(wake->context);
}

static int add_events(struct wake *wake, struct event_base *base)
{
    wake->timer = event_new(base, wake->timer_fd, EV_READ | EV_PERSIST, timer_event, wake);
    if (!wake->timer || event_add(wake->timer, NULL) < 0)
        return -ENOMEM;
    if (wake->bells->polling)
        return 0;
    int fd = wake->index == 0 ? wake->bells->store_fd : wake->bells->list[wake->index].fd;
    wake->ring = event_new(base, fd, EV_READ | EV_PERSIST, ring_event, wake);
    return wake->ring && event_add(wake->ring, NULL) == 0 ? 0 : -ENOMEM;
}

int bells_init(struct bells *bells, size_t count, struct beck_store *store)
{
    int result = 0;
    bells->count = count;
    bells->store_fd = beck_store_wake_fd(store, NULL);
    bells->polling = bells->store_fd < 0;
    bells->list[0].fd = -1;
    for (size_t i = 1; i < count; i++) {
        bells->list[i].fd = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
        if (bells->list[i].fd < 0)
            result = -errno;
    }
    if (result < 0)
        bells_done(bells);
    return result;
}

void bells_done(struct bells *bells)
{
    for (size_t i = 1; i < bells->count; i++)
        if (bells->list[i].fd >= 0)
            close(bells->list[i].fd);
    bells->count = 0;
}

int wake_init(struct wake *wake, struct event_base *base, struct beck_store *store,
              struct bells *bells, size_t index, void (*after)(void *context), void *context)
{
    *wake = (struct wake){
        .store = store, .bells = bells, .index = index, .after = after, .context = context};
    TAILQ_INIT(&wake->watches);
    wake->timer_fd = timerfd_create(CLOCK_MONOTONIC, TFD_NONBLOCK | TFD_CLOEXEC);
    if (wake->timer_fd < 0)
        return -errno;
    return add_events(wake, base);
}

void wake_done(struct wake *wake)
{
    if (wake->ring)
        event_free(wake->ring);
    if (wake->timer)
        event_free(wake->timer);
    if (wake->timer_fd >= 0)
        close(wake->timer_fd);
    wake->ring = wake->timer = NULL;
    wake->timer_fd = -1;
}

void watch_init(struct watch *watch)
{
    *watch = (struct watch){.late = false};
    LIST_INIT(&watch->watchers);
}

void watch_add(struct wake *wake, struct partition_entry *entry, struct watcher *watcher,
               const struct beck_partition_state *seen)
{
    struct watch *watch = &entry->watch;
    bool behind = false; /* the others have not been told of what this one has seen */
    if (LIST_EMPTY(&watch->watchers)) {
        watch->entry = partition_ref(entry);
        /* Before the partition is armed: from then on a ring must come through. */
        atomic_store(&wake->bells->list[wake->index].watches, true);
        TAILQ_INSERT_TAIL(&wake->watches, watch, link);
        watch->late = false;
    } else {
        behind = watch_differs(watch, seen);
    }
    watcher->watch = watch;
    LIST_INSERT_HEAD(&watch->watchers, watcher, link);
    if (wake->bells->polling)
        timer_set(wake, WAKE_POLL_MS);
    watch_note(watch, seen);
    watch_arm(wake, watch);
    if (watch_look(watch) || behind)
        watch_tell(watch);
}

void watch_remove(struct wake *wake, struct watcher *watcher)
{
    struct watch *watch = watcher->watch;
    if (!watch)
        return;
    LIST_REMOVE(watcher, link);
    watcher->watch = NULL;
    if (LIST_EMPTY(&watch->watchers)) {
        TAILQ_REMOVE(&wake->watches, watch, link);
        if (TAILQ_EMPTY(&wake->watches))
            atomic_store(&wake->bells->list[wake->index].watches, false);
        partition_unref(watch->entry);
    }
}

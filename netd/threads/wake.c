/* SPDX-License-Identifier: Apache-2.0
 *
 * Arming, ringing, looking; see wake.h.
 */
#include "wake.h"

#include <errno.h>
#include <event2/event.h>
#include <stddef.h>
#include <sys/timerfd.h>
#include <unistd.h>

#include "beck.h"
#include "clock.h"
#include "partitions.h"

#define EARS_AT_ONCE 64

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
    if (partition_look(watch->entry, &state, NULL) < 0)
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

static void set_late(struct wake *wake, struct watch *watch, bool late)
{
    if (late && !watch->late)
        TAILQ_INSERT_TAIL(&wake->late, watch, late_link);
    else if (!late && watch->late)
        TAILQ_REMOVE(&wake->late, watch, late_link);
    watch->late = late;
}

/* Arms, or leaves it to the timer where this was done often enough in this millisecond. */
static void watch_arm(struct wake *wake, struct watch *watch)
{
    if (wake->bells->polling)
        return;
    int64_t now_usec = clock_usec();
    if (now_usec - watch->window_usec >= WAKE_WINDOW_USEC) {
        watch->window_usec = now_usec;
        watch->arms = 0;
    }
    set_late(wake, watch, watch->arms >= WAKE_ARMS);
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

static void watches_rang(struct hearer *hearer)
{
    struct wake *wake = (struct wake *)((char *)hearer - offsetof(struct wake, hearer));
    struct ear *ears[EARS_AT_ONCE];
    size_t count = EARS_AT_ONCE;
    while (count == EARS_AT_ONCE) {
        count = bells_heard(wake->bells, hearer, ears, EARS_AT_ONCE);
        for (size_t i = 0; i < count; i++) {
            struct watch *watch = (struct watch *)((char *)ears[i] - offsetof(struct watch, ear));
            if (!LIST_EMPTY(&watch->watchers)) /* else it rang a moment before the last one went */
                watch_again(wake, watch);
        }
    }
}

static void tell_hearers(struct wake *wake)
{
    struct hearer *hearer;
    while ((hearer = bells_next(wake->bells, wake->index)))
        hearer->told(hearer);
    wake->after(wake->context);
}

static void store_ring_event(evutil_socket_t fd, short what, void *context)
{
    (void)fd, (void)what;
    struct wake *wake = context;
    bells_take(wake->bells, wake->index);
    tell_hearers(wake);
}

static void ring_event(evutil_socket_t fd, short what, void *context)
{
    (void)what;
    uint64_t rings;
    ssize_t got = read(fd, &rings, sizeof(rings));
    (void)got; /* taken, or it stays readable */
    tell_hearers(context);
}

/* Those that are late, or all where nobody rings. Each may be late again. */
static void look_at_late(struct wake *wake)
{
    struct watch_list late = TAILQ_HEAD_INITIALIZER(late);
    struct watch *watch;
    if (wake->bells->polling) {
        TAILQ_FOREACH(watch, &wake->watches, link)
        watch_again(wake, watch);
        return;
    }
    TAILQ_CONCAT(&late, &wake->late, late_link);
    while ((watch = TAILQ_FIRST(&late))) {
        TAILQ_REMOVE(&late, watch, late_link);
        TAILQ_INSERT_TAIL(&wake->late, watch, late_link);
        watch_again(wake, watch);
    }
}

static void end_naps(struct wake *wake)
{
    struct nap_list naps = TAILQ_HEAD_INITIALIZER(naps);
    struct nap *nap;
    TAILQ_CONCAT(&naps, &wake->naps, link);
    while ((nap = TAILQ_FIRST(&naps))) {
        TAILQ_REMOVE(&naps, nap, link);
        nap->naps = false;
        nap->over(nap);
    }
}

static void timer_event(evutil_socket_t fd, short what, void *context)
{
    (void)fd, (void)what;
    struct wake *wake = context;
    uint64_t times;
    ssize_t got = read(wake->timer_fd, &times, sizeof(times));
    (void)got; /* taken, or it stays readable for ever */
    wake->timer_set = false;
    look_at_late(wake);
    end_naps(wake);
    if (wake->bells->polling && !TAILQ_EMPTY(&wake->watches))
        timer_set(wake, WAKE_POLL_MS);
    wake->after(wake->context);
}

void wake_nap(struct wake *wake, struct nap *nap)
{
    if (nap->naps)
        return;
    nap->naps = true;
    TAILQ_INSERT_TAIL(&wake->naps, nap, link);
    timer_set(wake, wake->bells->polling ? WAKE_POLL_MS : 1);
}

void wake_nap_no_more(struct wake *wake, struct nap *nap)
{
    if (nap->naps)
        TAILQ_REMOVE(&wake->naps, nap, link);
    nap->naps = false;
}

static int add_event(struct wake *wake, struct event_base *base, int fd,
                     void (*call)(evutil_socket_t fd, short what, void *context),
                     struct event **ret_event)
{
    *ret_event = event_new(base, fd, EV_READ | EV_PERSIST, call, wake);
    return *ret_event && event_add(*ret_event, NULL) == 0 ? 0 : -ENOMEM;
}

int wake_init(struct wake *wake, struct event_base *base, struct bells *bells, size_t index,
              void (*after)(void *context), void *context)
{
    *wake = (struct wake){.bells = bells, .index = index, .after = after, .context = context};
    TAILQ_INIT(&wake->watches);
    TAILQ_INIT(&wake->late);
    TAILQ_INIT(&wake->naps);
    hearer_init(&wake->hearer, watches_rang);
    (void)bells_wait(bells, &wake->hearer, index);
    wake->timer_fd = timerfd_create(CLOCK_MONOTONIC, TFD_NONBLOCK | TFD_CLOEXEC);
    int result = wake->timer_fd < 0 ? -errno : 0;
    if (result == 0)
        result = add_event(wake, base, wake->timer_fd, timer_event, &wake->timer);
    if (result == 0 && !bells->polling)
        result = add_event(wake, base, bells->list[index].fd, ring_event, &wake->ring);
    if (result == 0 && !bells->polling && index == 0)
        result = add_event(wake, base, bells->store_fd, store_ring_event, &wake->store_ring);
    return result;
}

void wake_done(struct wake *wake)
{
    if (wake->store_ring)
        event_free(wake->store_ring);
    if (wake->ring)
        event_free(wake->ring);
    if (wake->timer)
        event_free(wake->timer);
    if (wake->timer_fd >= 0)
        close(wake->timer_fd);
    if (wake->bells)
        bells_wait_no_more(wake->bells, &wake->hearer);
    wake->store_ring = wake->ring = wake->timer = NULL;
    wake->timer_fd = -1;
}

void watch_init(struct watch *watch)
{
    *watch = (struct watch){.late = false};
    LIST_INIT(&watch->watchers);
}

void watch_done(struct watch *watch)
{
    if (watch->wake)
        bells_forget(watch->wake->bells, &watch->ear);
}

/* It has its first watcher. */
static void watch_begin(struct wake *wake, struct watch *watch, struct partition_entry *entry)
{
    watch->entry = partition_ref(entry);
    TAILQ_INSERT_TAIL(&wake->watches, watch, link);
    if (wake->bells->polling)
        return;
    /* Before the partition is armed: from then on a ring must come through. */
    atomic_store(&watch->ear.closed, false);
    if (!watch->wake)
        bells_listen(wake->bells, &watch->ear, &wake->hearer, beck_partition_bell(entry->handle));
    watch->wake = wake;
}

void watch_add(struct wake *wake, struct partition_entry *entry, struct watcher *watcher,
               const struct beck_partition_state *seen)
{
    struct watch *watch = &entry->watch;
    bool behind = false; /* the others have not been told of what this one has seen */
    if (LIST_EMPTY(&watch->watchers))
        watch_begin(wake, watch, entry);
    else
        behind = watch_differs(watch, seen);
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
    if (!LIST_EMPTY(&watch->watchers))
        return;
    atomic_store(&watch->ear.closed, true);
    set_late(wake, watch, false);
    TAILQ_REMOVE(&wake->watches, watch, link);
    partition_unref(watch->entry);
}

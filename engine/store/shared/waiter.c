/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Doorbells. A FIFO is opened for reading and writing by whoever touches it, so that nobody ever
 * gets SIGPIPE, or an end of file; that its owner lives is said by a lock, not by the FIFO.
 */
#include "waiter.h"

#include "check.h"
#include "live.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <poll.h>
#include <stdio.h>
#include <time.h>
#include <unistd.h>

#define WAITER_NONE       (-2) /* there was none to be had */
#define WAITER_PATH_BYTES 24

static void waiter_path(char to[WAITER_PATH_BYTES], int index)
{
    (void)snprintf(to, WAITER_PATH_BYTES, "wake/%02d", index);
}

void waiter_init(struct waiter *waiter, const struct io *io, int directory, int live_fd)
{
    pthread_condattr_t attributes;
    waiter->io = io;
    waiter->directory = directory;
    waiter->live_fd = live_fd;
    waiter->told = NULL;
    waiter->rings = waiter->taken_bytes = 0;
    waiter->polling = false;
    atomic_init(&waiter->lent, false);
    atomic_init(&waiter->fd, -1);
    atomic_init(&waiter->index, -1);
    for (int i = 0; i < BECK_WAITING_PROCESSES_MAX; i++)
        atomic_init(&waiter->bells[i], -1);
    CHECK(pthread_mutex_init(&waiter->mutex, NULL) == 0);
    CHECK(pthread_condattr_init(&attributes) == 0);
    CHECK(pthread_condattr_setclock(&attributes, CLOCK_MONOTONIC) == 0);
    CHECK(pthread_cond_init(&waiter->rung, &attributes) == 0);
    (void)pthread_condattr_destroy(&attributes);
}

void waiter_done(struct waiter *waiter)
{
    for (int i = 0; i < BECK_WAITING_PROCESSES_MAX; i++)
        if (atomic_load(&waiter->bells[i]) >= 0)
            (void)waiter->io->close(waiter->io, atomic_load(&waiter->bells[i]));
    /* The lock on our bit is the store's to release. */
    if (atomic_load(&waiter->fd) >= 0)
        (void)waiter->io->close(waiter->io, atomic_load(&waiter->fd));
    (void)pthread_cond_destroy(&waiter->rung);
    (void)pthread_mutex_destroy(&waiter->mutex);
}

/* Open a FIFO, making it where it is missing. */
static int waiter_open(struct waiter *waiter, int index)
{
    char path[WAITER_PATH_BYTES];
    waiter_path(path, index);
    int fd = waiter->io->open(waiter->io, waiter->directory, path, O_RDWR | O_NONBLOCK, 0);
    if (fd != -ENOENT)
        return fd;
    int r = waiter->io->make_fifo(waiter->io, waiter->directory, path, 0600);
    if (r < 0 && r != -EEXIST)
        return r;
    return waiter->io->open(waiter->io, waiter->directory, path, O_RDWR | O_NONBLOCK, 0);
}

static void drain(int fd)
{
    char bytes[256];
    while (read(fd, bytes, sizeof(bytes)) > 0)
        ;
}

static int waiter_claim(struct waiter *waiter)
{
    for (int i = 0; i < BECK_WAITING_PROCESSES_MAX; i++) {
        if (waiter->io->lock(waiter->io, waiter->live_fd, LIVE_LOCK_WAITER + (uint64_t)i,
                             IO_LOCK_EXCLUSIVE, false) < 0)
            continue;
        int fd = waiter_open(waiter, i);
        if (fd < 0) {
            (void)waiter->io->lock(waiter->io, waiter->live_fd, LIVE_LOCK_WAITER + (uint64_t)i,
                                   IO_LOCK_NONE, false);
            return fd;
        }
        drain(fd); /* rings that a dead owner did not hear */
        atomic_store(&waiter->index, i);
        if (waiter->told)
            atomic_store(waiter->told, i);
        return fd;
    }
    return -EUSERS;
}

int waiter_fd(struct waiter *waiter)
{
    int fd = atomic_load(&waiter->fd);
    if (LIKELY(fd >= 0))
        return fd;
    if (fd == WAITER_NONE || waiter->live_fd < 0)
        return -EUSERS;
    CHECK(pthread_mutex_lock(&waiter->mutex) == 0);
    fd = atomic_load(&waiter->fd);
    if (fd == -1) {
        fd = waiter_claim(waiter);
        atomic_store(&waiter->fd, fd >= 0 ? fd : WAITER_NONE);
    }
    CHECK(pthread_mutex_unlock(&waiter->mutex) == 0);
    return fd >= 0 ? fd : -EUSERS;
}

int waiter_lend(struct waiter *waiter)
{
    atomic_store(&waiter->lent, true);
    return waiter_fd(waiter);
}

void waiter_arm(struct waiter *waiter, _Atomic uint64_t *mask)
{
    if (waiter_fd(waiter) < 0)
        return;
    uint64_t bit = 1ULL << atomic_load(&waiter->index);
    if (!(atomic_load(mask) & bit))
        atomic_fetch_or(mask, bit);
}

static int waiter_bell(struct waiter *waiter, int index)
{
    if (index == atomic_load(&waiter->index))
        return atomic_load(&waiter->fd);
    int fd = atomic_load(&waiter->bells[index]);
    if (fd >= 0)
        return fd;
    fd = waiter_open(waiter, index);
    int expected = -1;
    if (fd >= 0 && !atomic_compare_exchange_strong(&waiter->bells[index], &expected, fd)) {
        (void)waiter->io->close(waiter->io, fd);
        fd = expected;
    }
    return fd;
}

void waiter_ring_armed(struct waiter *waiter, _Atomic uint64_t *mask, uint32_t slot)
{
    uint64_t armed = atomic_exchange(mask, 0);
    while (armed != 0) {
        int index = __builtin_ctzll(armed);
        armed &= armed - 1;
        int fd = waiter_bell(waiter, index);
        /* A full FIFO has rung already; one that cannot be opened has nobody behind it. */
        if (fd >= 0 && write(fd, &slot, sizeof(slot)) < 0)
            continue;
    }
}

void waiter_clear(struct waiter *waiter)
{
    int fd = atomic_load(&waiter->fd);
    if (fd >= 0)
        drain(fd);
    CHECK(pthread_mutex_lock(&waiter->mutex) == 0);
    waiter->taken_bytes = 0;
    waiter->rings++;
    CHECK(pthread_cond_broadcast(&waiter->rung) == 0);
    CHECK(pthread_mutex_unlock(&waiter->mutex) == 0);
}

/*
 * Was the FIFO full since it was last empty? Who rang then could leave nothing in it. Then at least
 * as much has been taken since as it has room for: it is filled without gaps.
 */
static bool waiter_was_full(const struct waiter *waiter, int fd)
{
    if (waiter->taken_bytes < PIPE_BUF) /* it has room for so much in any case */
        return false;
    int room = fcntl(fd, F_GETPIPE_SZ);
    return room < 0 || waiter->taken_bytes >= (uint64_t)room;
}

/* Returns how many, or -EOVERFLOW. Under the mutex. */
static int waiter_take_some(struct waiter *waiter, int fd, uint32_t *ret_slots, uint32_t room)
{
    ssize_t size = read(fd, ret_slots, (size_t)room * sizeof(*ret_slots));
    size_t count = size > 0 ? (size_t)size / sizeof(*ret_slots) : 0;
    bool is_right = size <= 0 || (size_t)size == count * sizeof(*ret_slots);
    for (size_t i = 0; i < count; i++)
        is_right = is_right && ret_slots[i] < LIVE_SLOTS_MAX;
    waiter->taken_bytes += count * sizeof(*ret_slots);
    if (is_right && count > 0 && !waiter_was_full(waiter, fd)) {
        if (count < room)
            waiter->taken_bytes = 0;
        return (int)count;
    }
    waiter->taken_bytes = 0;
    if (count == 0 && is_right)
        return 0;
    drain(fd);
    return -EOVERFLOW;
}

int waiter_take(struct waiter *waiter, uint32_t *ret_slots, uint32_t room)
{
    int fd = atomic_load(&waiter->fd);
    if (fd < 0)
        return 0;
    CHECK(pthread_mutex_lock(&waiter->mutex) == 0);
    int r = waiter_take_some(waiter, fd, ret_slots, room);
    if (r != 0) {
        waiter->rings++;
        CHECK(pthread_cond_broadcast(&waiter->rung) == 0);
    }
    CHECK(pthread_mutex_unlock(&waiter->mutex) == 0);
    return r;
}

uint64_t waiter_rings(struct waiter *waiter)
{
    CHECK(pthread_mutex_lock(&waiter->mutex) == 0);
    uint64_t rings = waiter->rings;
    CHECK(pthread_mutex_unlock(&waiter->mutex) == 0);
    return rings;
}

int64_t waiter_now_ms(void)
{
    struct timespec now;
    CHECK(clock_gettime(CLOCK_MONOTONIC, &now) == 0);
    return (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

/* Poll the FIFO for all threads of the process, with the mutex released meanwhile. */
static int waiter_poll(struct waiter *waiter, int64_t deadline_ms)
{
    enum { NO_DOORBELL_MS = 10 };
    struct pollfd item = {.fd = atomic_load(&waiter->lent) ? -1 : waiter_fd(waiter),
                          .events = POLLIN};
    int64_t left = deadline_ms < 0 ? -1 : deadline_ms - waiter_now_ms();
    if (deadline_ms >= 0 && left < 0)
        left = 0;
    if (item.fd < 0 && (left < 0 || left > NO_DOORBELL_MS))
        left = NO_DOORBELL_MS;
    if (left > INT32_MAX)
        left = INT32_MAX;
    int r = poll(&item, item.fd >= 0 ? 1 : 0, (int)left);
    if (r < 0)
        return -errno;
    if (r > 0)
        drain(item.fd);
    /* Without a doorbell each poll counts as a ring: look again. */
    return item.fd < 0 ? 1 : r;
}

int waiter_wait(struct waiter *waiter, uint64_t rings, int64_t deadline_ms)
{
    int r = 0;
    CHECK(pthread_mutex_lock(&waiter->mutex) == 0);
    while (r == 0 && waiter->rings == rings) {
        if (!waiter->polling) {
            waiter->polling = true;
            CHECK(pthread_mutex_unlock(&waiter->mutex) == 0);
            int polled = waiter_poll(waiter, deadline_ms);
            CHECK(pthread_mutex_lock(&waiter->mutex) == 0);
            waiter->polling = false;
            if (polled > 0)
                waiter->rings++;
            else if (polled < 0)
                r = polled;
            /* Whether there was a ring or not: somebody else has to poll now. */
            CHECK(pthread_cond_broadcast(&waiter->rung) == 0);
        } else if (deadline_ms < 0) {
            (void)pthread_cond_wait(&waiter->rung, &waiter->mutex);
        } else {
            struct timespec until = {.tv_sec = (time_t)(deadline_ms / 1000),
                                     .tv_nsec = (long)(deadline_ms % 1000) * 1000000};
            (void)pthread_cond_timedwait(&waiter->rung, &waiter->mutex, &until);
        }
        if (r == 0 && waiter->rings == rings && deadline_ms >= 0 && waiter_now_ms() >= deadline_ms)
            break;
    }
    if (r == 0)
        r = waiter->rings != rings;
    CHECK(pthread_mutex_unlock(&waiter->mutex) == 0);
    return r;
}

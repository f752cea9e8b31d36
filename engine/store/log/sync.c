/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The group commit. Whoever needs something synced and finds nobody at it does it, for all:
 * everything that was published when he began is covered. The others wait on a futex in the slot,
 * and look again when a sync is over; one of those who were too late does the next.
 *
 * Segments are synced in order, the older before the newer, and the directory before the first
 * acknowledgement in a new file. When the disk refuses, the partition has failed for everybody: a
 * later fdatasync could report success for pages that were lost.
 */
#include "check.h"
#include "partition.h"
#include "report.h"
#include "segments.h"
#include "sync_many.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/futex.h>
#include <sys/syscall.h>
#include <unistd.h>

static void futex_wait(_Atomic uint32_t *word, uint32_t value)
{
    /* The one who syncs may die without a word: look again soon. */
    struct timespec limit = {.tv_nsec = 50L * 1000 * 1000};
    (void)syscall(SYS_futex, word, FUTEX_WAIT, value, &limit, NULL, 0);
}

static void futex_wake_all(_Atomic uint32_t *word)
{
    (void)syscall(SYS_futex, word, FUTEX_WAKE, INT32_MAX, NULL, NULL, 0);
}

static int sync_directory(struct beck_partition *partition, bool *ret_refused)
{
    const struct io *io = partition->store->io;
    int fd = io->open(io, partition->store->directory, partition->path, O_RDONLY | O_DIRECTORY, 0);
    if (fd < 0)
        return fd;
    int r = io->sync(io, fd);
    *ret_refused |= r < 0;
    (void)io->close(io, fd);
    return r;
}

static int sync_segment(struct beck_partition *partition, struct segment *segment,
                        struct sync_many *many, bool *ret_refused)
{
    const struct io *io = partition->store->io;
    int fd = segment_pin(segment, false);
    if (fd < 0)
        return fd;
    int r = sync_many_file(many, io, fd);
    *ret_refused |= r < 0;
    segment_unpin(segment);
    return r;
}

/* The first segment above `from` and up to `last`, referenced; or NULL. */
static int sync_next(struct beck_partition *partition, int64_t from, int64_t last,
                     struct segment **ret_segment, struct beck_error *error)
{
    struct live_tail tail;
    int r = segments_lock(partition, &tail, error);
    if (r < 0)
        return r;
    struct segment *segment = segments_after(partition, from);
    if (segment && segment->base_offset > last)
        segment = NULL;
    *ret_segment = segment ? segment_ref(segment) : NULL;
    segments_unlock(partition);
    return 0;
}

/* Sync every file from the one that holds the synced offset to the one of `tail`; what was trimmed
 * meanwhile needs no sync. `*ret_refused`: the disk did not take it, as opposed to our not getting
 * that far. */
static int sync_files(struct beck_partition *partition, const struct live_tail *tail,
                      struct sync_many *many, bool *ret_refused, struct beck_error *error)
{
    int64_t from = atomic_load(&partition->slot->synced_segment);
    int64_t done = from - 1;
    /* Of an empty segment there is no file yet. */
    int64_t last = tail->end.segment - (tail->end.position == 0);
    struct segment *segment;
    int r = sync_next(partition, done, last, &segment, error);
    while (r == 0 && segment) {
        r = sync_segment(partition, segment, many, ret_refused);
        if (r == 0)
            done = segment->base_offset;
        else if (!*ret_refused)
            r = segments_stale(partition, segment, r, error);
        else
            (void)report_errno(error, r, "cannot sync segment %s", segment->path);
        segment_unref(segment);
        if (r == 0 || r == -EAGAIN)
            r = sync_next(partition, done, last, &segment, error);
    }
    if (r == 0 && from != last && !sync_many_has_names(many)) {
        r = sync_directory(partition, ret_refused);
        if (r < 0)
            (void)report_errno(error, r, "cannot sync directory %s", partition->path);
    }
    return r;
}

/* Count what a sync that began at `begin_ms` has left. Under append_mutex. */
static void count_synced(struct live_slot *slot, uint64_t bytes, int64_t begin_ms)
{
    uint64_t unsynced = atomic_load(&slot->unsynced_bytes);
    atomic_store(&slot->unsynced_bytes, unsynced > bytes ? unsynced - bytes : 0);
    atomic_store(&slot->unsynced_ms, begin_ms);
}

/* Say that everything up to `synced` is durable, and let readers see it: that first, because who
 * finds it synced believes that it can be seen. Who dies in between leaves it to be synced again.
 */
static int sync_publish(struct beck_partition *partition, const struct log_point *synced,
                        uint64_t synced_bytes, int64_t begin_ms, struct beck_error *error)
{
    struct live_slot *slot = partition->slot;
    int r = partition_lock(partition, error);
    if (r < 0)
        return r;
    struct live_tail tail = *live_tail_locked(slot);
    bool moves = live_tail_hides(&tail);
    if (moves && tail.pending_all_offset <= synced->offset)
        tail.high = tail.end;
    else if (moves && tail.high.offset < synced->offset)
        tail.high = *synced;
    else
        moves = false;
    if (moves) {
        tail.stable = tail.high;
        live_tail_publish(slot, &tail);
    }
    atomic_store(&slot->synced_segment, synced->segment - (synced->position == 0));
    atomic_store(&slot->synced_offset, synced->offset);
    count_synced(slot, synced_bytes, begin_ms);
    partition_unlock(partition);
    if (moves)
        waiter_ring(&partition->store->waiter, &slot->armed, partition->slot_number);
    return 0;
}

int partition_sync_mark(struct beck_partition *partition, struct sync_mark *ret_mark,
                        struct beck_error *error)
{
    const struct live_slot *slot = partition->slot;
    struct sync_mark mark = {.begin_ms = store_now_ms()};
    /* In this order: who syncs meanwhile is noticed, and the tail has all that was counted. */
    mark.synced_offset = atomic_load(&slot->synced_offset);
    mark.bytes = atomic_load(&slot->unsynced_bytes);
    int r = partition_tail(partition, &mark.tail, error);
    if (r == 0)
        *ret_mark = mark;
    return r;
}

/* Sync up to a mark, with `many` that began after it was taken; NULL: up to the end. Under
 * sync_mutex. */
static int sync_now(struct beck_partition *partition, const struct sync_mark *mark,
                    struct sync_many *many, struct beck_error *error)
{
    struct sync_mark end;
    bool refused = false;
    int r = 0;
    /* Where others have synced since, they have counted what we would count. */
    if (!mark || atomic_load(&partition->slot->synced_offset) != mark->synced_offset) {
        r = partition_sync_mark(partition, &end, error);
        mark = &end;
        many = NULL;
    }
    if (r < 0)
        return r;
    r = sync_files(partition, &mark->tail, many, &refused, error);
    if (r == 0)
        return sync_publish(partition, &mark->tail.end, mark->bytes, mark->begin_ms, error);
    if (!refused)
        return r;
    /* At once: it may be long until whoever appends lets go, and we may be the only ones that the
     * disk has told. The slot stays this partition's while sync_mutex is held. */
    atomic_fetch_or(&partition->slot->flags, LIVE_FAILED);
    return -EIO;
}

static int sync_state(struct beck_partition *partition, int64_t offset, struct beck_error *error)
{
    const struct live_slot *slot = partition->slot;
    if (partition_is_deleted(partition))
        return report(error, -ESTALE, "the topic was deleted");
    if (atomic_load(&slot->flags) & LIVE_FAILED)
        return report(error, -EIO, "the disk refused a sync; the store has to be opened anew");
    return atomic_load(&slot->synced_offset) >= offset;
}

/* Be the one who syncs, or wait for him, until it is done up to the offset. */
static int sync_up_to(struct beck_partition *partition, int64_t offset,
                      const struct sync_mark *mark, struct sync_many *many,
                      struct beck_error *error)
{
    struct live_slot *slot = partition->slot;
    for (;;) {
        uint32_t sequence = atomic_load(&slot->sync_sequence);
        int r = sync_state(partition, offset, error);
        if (r != 0)
            return r > 0 ? 0 : partition_failed(partition, r, -1, error);
        if (live_trylock(&slot->sync_mutex) == -EBUSY) {
            atomic_fetch_add(&slot->sync_waiters, 1);
            futex_wait(&slot->sync_sequence, sequence);
            atomic_fetch_sub(&slot->sync_waiters, 1);
            continue;
        }
        r = sync_state(partition, offset, error);
        if (r == 0)
            r = sync_now(partition, mark, many, error);
        /* In this order: who finds the lock taken has read the sequence before, and sees it move.
         */
        live_unlock(&slot->sync_mutex);
        atomic_fetch_add(&slot->sync_sequence, 1);
        if (atomic_load(&slot->sync_waiters) > 0)
            futex_wake_all(&slot->sync_sequence);
        if (r < 0)
            return partition_failed(partition, r, -1, error);
        if (r > 0)
            return 0;
    }
}

int partition_sync(struct beck_partition *partition, int64_t offset, bool force,
                   struct beck_error *error)
{
    struct live_tail tail;
    if (!force && atomic_load(&partition->flush_os))
        return 0;
    int r = partition_tail(partition, &tail, error);
    if (r < 0)
        return r;
    if (offset > tail.end.offset)
        offset = tail.end.offset;
    return sync_up_to(partition, offset, NULL, NULL, error);
}

int partition_sync_marked(struct beck_partition *partition, const struct sync_mark *mark,
                          struct sync_many *many, struct beck_error *error)
{
    return sync_up_to(partition, mark->tail.end.offset, mark, many, error);
}

/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What stands in `live` is believed when it is of this boot and goes on from where we are; the
 * batches behind it are checked as they are read, as all are. The catalogue in index.mdb is shared
 * anyway, so only the tail and the segments that wait for the catalogue have to be copied.
 */
#include "follow.h"

#include "check.h"

#include <fcntl.h>
#include <string.h>

/* Have `live` mapped, if there is one to be believed. */
static const struct live *follow_live(struct beck_store *store)
{
    const struct io *io = store->io;
    struct live *live = &store->followed;
    CHECK(pthread_mutex_lock(&store->mutex) == 0);
    if (!live->address) {
        if (store->live_fd < 0) {
            int fd = io_open_file(io, store->directory, STORE_PATH_LIVE, O_RDONLY, 0);
            store->live_fd = fd < 0 ? -1 : fd;
        }
        if (store->live_fd >= 0)
            (void)live_map(live, io, store->live_fd, false);
    }
    bool believed = live->address && live_is_of_this_boot(live);
    CHECK(pthread_mutex_unlock(&store->mutex) == 0);
    return believed ? live : NULL;
}

/* Has the other list of segments changed since we looked at it last? */
static bool list_has_moved(const struct live_slot *own, const struct live_tail *theirs)
{
    return own->followed_segments_generation != 0 &&
           own->followed_segments_generation != theirs->segments_generation;
}

/* Is this tail further on than ours? What an earlier process left in `live` may be behind it. */
static bool follow_is_new(const struct live_slot *own, const struct live_tail *before,
                          const struct live_tail *theirs)
{
    if (theirs->end.offset < before->end.offset || theirs->high.offset < before->high.offset)
        return false;
    return theirs->end.offset > before->end.offset || theirs->high.offset > before->high.offset ||
           theirs->log_start.offset > before->log_start.offset || list_has_moved(own, theirs);
}

/* Positions of the view go on from where they were, where it can be told how the other's moved. */
static void follow_view(const struct live_slot *own, const struct live_tail *before,
                        struct live_tail *tail)
{
    uint64_t trimmed = tail->view_trimmed - own->followed_view_trimmed;
    if (tail->view_generation == own->followed_view_generation) {
        tail->view_generation = before->view_generation;
        tail->view_trimmed = before->view_trimmed + trimmed;
    } else if (tail->view_generation == before->view_generation) {
        tail->view_generation++;
    }
}

/* Take over a tail that is further on than ours, with the segments that belong to it. */
static void follow_slot(struct live_slot *own, const struct live_slot *other,
                        const struct live_tail *theirs)
{
    struct live_rolled rolled[LIVE_ROLLED_MAX];
    struct live_tail tail = *theirs;
    uint32_t count = live_rolled_read(other, rolled);
    (void)live_lock(&own->append_mutex);
    const struct live_tail *before = live_tail_locked(own);
    if (follow_is_new(own, before, theirs)) {
        bool list_moves = tail.end.segment != before->end.segment ||
                          tail.log_start.segment != before->log_start.segment ||
                          list_has_moved(own, theirs);
        if (list_moves) {
            atomic_store(&own->rolled_begin, atomic_load(&own->rolled_end));
            for (uint32_t i = 0; i < count; i++)
                live_rolled_add(own, &rolled[i]);
        }
        tail.segments_generation = before->segments_generation + list_moves;
        follow_view(own, before, &tail);
        atomic_store(&own->log_start_offset, tail.log_start.offset);
        live_tail_publish(own, &tail);
    }
    own->followed_segments_generation = theirs->segments_generation;
    own->followed_view_generation = theirs->view_generation;
    own->followed_view_trimmed = theirs->view_trimmed;
    atomic_store(&own->followed, theirs->checksum);
    live_unlock(&own->append_mutex);
}

void follow_partition(const struct beck_partition *partition)
{
    struct beck_store *store = partition->store;
    struct live_tail tail;
    if (LIKELY(!store->is_private))
        return;
    const struct live *live = follow_live(store);
    if (!live || partition->slot_number >= atomic_load(&live_store(live)->slots))
        return;
    const struct live_slot *slot = live_slot(live, partition->slot_number);
    if (slot->topic_number == partition->topic.number &&
        slot->partition == (uint32_t)partition->number && live_tail_read(slot, &tail) == 0 &&
        tail.checksum != atomic_load(&partition->slot->followed))
        follow_slot(partition->slot, slot, &tail);
}

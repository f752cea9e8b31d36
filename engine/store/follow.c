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
            int fd = io->open(io, store->directory, STORE_PATH_LIVE, O_RDONLY, 0);
            store->live_fd = fd < 0 ? -1 : fd;
        }
        if (store->live_fd >= 0)
            (void)live_map(live, io, store->live_fd, false);
    }
    bool believed = live->address && live_is_of_this_boot(live);
    CHECK(pthread_mutex_unlock(&store->mutex) == 0);
    return believed ? live : NULL;
}

/* Take over a tail that is further on than ours, with the segments that belong to it. */
static void follow_slot(struct live_slot *own, const struct live_slot *other,
                        struct live_tail *tail)
{
    struct live_rolled rolled[LIVE_ROLLED_MAX];
    uint32_t count = live_rolled_read(other, rolled);
    (void)live_lock(&own->append_mutex);
    const struct live_tail *before = live_tail_locked(own);
    if (tail->end.offset > before->end.offset || tail->high.offset > before->high.offset) {
        if (tail->end.segment != before->end.segment) {
            atomic_store(&own->rolled_begin, atomic_load(&own->rolled_end));
            for (uint32_t i = 0; i < count; i++)
                live_rolled_add(own, &rolled[i]);
        }
        tail->segments_generation =
            before->segments_generation + (tail->end.segment != before->end.segment);
        live_tail_publish(own, tail);
    }
    live_unlock(&own->append_mutex);
}

void follow_partition(const struct beck_partition *partition)
{
    struct beck_store *store = partition->store;
    struct live_tail own;
    struct live_tail tail;
    if (LIKELY(!store->is_private))
        return;
    const struct live *live = follow_live(store);
    if (!live || partition->slot_number >= atomic_load(&live_store(live)->slots))
        return;
    const struct live_slot *slot = live_slot(live, partition->slot_number);
    if (slot->topic_number != partition->topic.number ||
        slot->partition != (uint32_t)partition->number || live_tail_read(slot, &tail) < 0 ||
        live_tail_read(partition->slot, &own) < 0)
        return;
    if (tail.end.offset > own.end.offset || tail.high.offset > own.high.offset)
        follow_slot(partition->slot, slot, &tail);
}

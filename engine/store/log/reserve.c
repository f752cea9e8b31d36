/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The number is kept in the partition's checkpoint, of which nothing else is changed here. Whoever
 * writes a checkpoint reads the old one in the same transaction and keeps a higher number: so it
 * only ever rises, and what a slot says is in index.mdb.
 */
#include "reserve.h"

#include "cleanup.h"
#include "meta_reserved.h"
#include "report.h"

#include <errno.h>

int64_t reserve_behind(int64_t end)
{
    return end > INT64_MAX - CHECKPOINT_RESERVED_OFFSETS ? INT64_MAX
                                                         : end + CHECKPOINT_RESERVED_OFFSETS;
}

int64_t reserve_at(struct beck_partition *partition, MDB_txn *txn, int64_t end)
{
    struct index_checkpoint old;
    int r = index_checkpoint_get(&partition->store->index, txn, partition->topic.number,
                                 (uint32_t)partition->number, &old);
    return r == 0 && old.reserved_offset > reserve_behind(end) ? old.reserved_offset
                                                               : reserve_behind(end);
}

/* Does meta.mdb allow it all? Returns 1, or 0. */
static int is_allowed(struct beck_store *store, const struct reserve_end *ends, size_t count,
                      struct beck_error *error)
{
    _cleanup_txn_ MDB_txn *txn = NULL;
    int r = db_begin(&store->meta, false, &txn, error);
    if (r < 0)
        return r;
    for (size_t i = 0; i < count; i++) {
        const struct beck_partition *partition = ends[i].partition;
        int64_t most = 0;
        r = meta_reserved_get(&store->meta, txn, partition->topic.number,
                              (uint32_t)partition->number, &most);
        if (r < 0 || reserve_behind(ends[i].end) > most)
            return 0;
    }
    return 1;
}

int reserve_allow(struct beck_store *store, const struct reserve_end *ends, size_t count,
                  struct beck_error *error)
{
    struct meta_partition record;
    _cleanup_txn_ MDB_txn *txn = NULL;
    int r = is_allowed(store, ends, count, error);
    if (r == 0)
        r = db_begin(&store->meta, true, &txn, error);
    if (r < 0 || !txn)
        return r < 0 ? r : 0;
    for (size_t i = 0; r >= 0 && i < count; i++) {
        uint32_t topic = ends[i].partition->topic.number;
        uint32_t number = (uint32_t)ends[i].partition->number;
        /* Of a topic that was deleted nothing is to be left. */
        if (meta_partition_get(&store->meta, txn, topic, number, &record) != -ENOENT)
            r = meta_reserved_raise(&store->meta, txn, topic, number, reserve_behind(ends[i].end));
    }
    if (r < 0)
        return report_errno(error, r, "meta.mdb: no more offsets can be set aside");
    return db_commit(&store->meta, TAKE_POINTER(txn), error);
}

void reserve_publish(struct live_slot *slot, int64_t reserved_offset)
{
    if (reserved_offset > atomic_load(&slot->reserved_offset))
        atomic_store(&slot->reserved_offset, reserved_offset);
}

/* Write it down for good. */
static int reserve_put(struct beck_partition *partition, int64_t end, int64_t *ret_reserved,
                       struct beck_error *error)
{
    struct db *index = &partition->store->index;
    uint32_t topic = partition->topic.number;
    uint32_t number = (uint32_t)partition->number;
    struct index_checkpoint checkpoint;
    _cleanup_txn_ MDB_txn *txn = NULL;
    int r = db_begin(index, true, &txn, error);
    if (r < 0)
        return r;
    if (partition_is_deleted(partition))
        return report(error, -ESTALE, "the topic was deleted");
    r = index_checkpoint_get(index, txn, topic, number, &checkpoint);
    if (r == 0) {
        checkpoint.reserved_offset = reserve_at(partition, txn, end);
        r = index_checkpoint_put(index, txn, topic, number, &checkpoint);
    }
    if (r < 0)
        return report_errno(error, r, "index.mdb: no more offsets can be set aside");
    *ret_reserved = checkpoint.reserved_offset;
    return db_commit(index, TAKE_POINTER(txn), error);
}

int reserve_extend(struct beck_partition *partition, int64_t end, struct beck_error *error)
{
    const struct reserve_end wanted = {partition, end};
    int64_t reserved_offset = 0;
    int r = reserve_allow(partition->store, &wanted, 1, error);
    if (r == 0)
        r = reserve_put(partition, end, &reserved_offset, error);
    if (r == 0)
        r = partition_lock(partition, error);
    if (r < 0)
        return r;
    reserve_publish(partition->slot, reserved_offset);
    partition_unlock(partition);
    return 0;
}

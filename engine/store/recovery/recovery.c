/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Happy path: nothing was appended since the last checkpoint of any partition, and each slot is
 * filled from it. Else what recover_partition() found is carried out: what is to be cut off is
 * noted in meta.mdb and committed, torn ends are cut off and synced, new index entries and
 * checkpoints committed, and only then is anything published.
 *
 * After power loss, or wherever it cannot be shown that nothing was lost, the leader epoch goes up
 * and the next offset jumps past those that may have been given out: an offset is never used twice.
 */
#include "recovery.h"

#include "check.h"
#include "cleanup.h"
#include "epochs.h"
#include "exchange.h"
#include "meta_reserved.h"
#include "recover_apply.h"
#include "recover_partition.h"
#include "recover_start.h"
#include "report.h"
#include "reserve.h"
#include "sync_many.h"
#include "topics.h"

#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

struct recovery {
    struct beck_store *store;
    struct scan scan;
    MDB_txn *meta_txn;  /* for writing; NULL with a read-only store */
    MDB_txn *index_txn; /* likewise */
    bool was_clean;
    bool new_index;            /* nothing was ever written to index.mdb */
    bool same_boot;            /* the slots are what was published last */
    struct recovery_cut *cuts; /* partitions that something is to be cut off */
    size_t cut_count;
    struct recovery_gone *gone; /* files to be removed */
    size_t gone_count;
    uint32_t synced; /* partitions */
    struct sync_many many;
};

struct recovery_cut {
    struct beck_topic topic;
    int32_t partition;
    struct live_slot *slot;
    struct recovered found;
    bool is_failed; /* the disk refused the cut */
};

/* Segments that a trim has left below the log start. */
struct recovery_gone {
    uint8_t topic_id[BECK_ID_BYTES];
    int32_t partition;
    size_t count;
    int64_t *segments;
};

/* ---- one partition ------------------------------------------------------------------------- */

/* The slot as an earlier process of this boot left it, where it did. */
static const struct live_slot *old_slot(const struct recovery *recovery,
                                        const struct beck_topic *topic, int32_t partition,
                                        uint32_t number)
{
    const struct live_slot *slot = live_slot(&recovery->store->live, number);
    if (!recovery->same_boot || number >= atomic_load(&live_store(&recovery->store->live)->slots) ||
        slot->topic_number != topic->number || slot->partition != (uint32_t)partition ||
        memcmp(slot->topic_id, topic->id, BECK_ID_BYTES) != 0)
        return NULL;
    return slot;
}

/* Is what is in the page cache maybe not on the disk? So says the slot of whoever it was last, of
 * this boot, finished or not. */
static bool cache_is_doubtful(const struct recovery *recovery, uint32_t number)
{
    const struct live *live = &recovery->store->live;
    return recovery->same_boot && number < atomic_load(&live_store(live)->slots) &&
           (atomic_load(&live_slot(live, number)->flags) &
            (unsigned)(LIVE_FAILED | LIVE_RECOVERING)) != 0;
}

/* Can it be shown that whatever was published is in what was found? */
static bool nothing_lost(const struct recovery *recovery, const struct beck_topic *topic,
                         int32_t partition, uint32_t slot, const struct recovered *found)
{
    const struct live_slot *old = old_slot(recovery, topic, partition, slot);
    struct live_tail tail;
    /* Each partition has a checkpoint from the very begin: where one is gone, who knows what it
     * said. A slot may have failed in recovery, which then came no further than to its tail. */
    return (recovery->was_clean && found->has_checkpoint) ||
           (old && !(atomic_load(&old->flags) & LIVE_FAILED) && live_tail_read(old, &tail) == 0 &&
            tail.end.offset <= found->tail.end.offset);
}

/* Begin where no offset was given out, in a new epoch. */
static int jump(struct recovery *recovery, const struct beck_topic *topic, int32_t partition,
                struct meta_partition *location, struct recovered *found)
{
    int64_t reserved = found->reserved_offset;
    /* index.mdb is lost, which had set aside no more than this. */
    if (reserved == 0)
        (void)meta_reserved_get(&recovery->store->meta, recovery->meta_txn, topic->number,
                                (uint32_t)partition, &reserved);
    /* Nobody knows how many were given out. */
    if (reserved <= found->tail.end.offset ||
        (found->reserved_offset == 0 && reserved < reserve_behind(found->tail.end.offset)))
        reserved = reserve_behind(found->tail.end.offset);
    found->tail.end.offset = reserved;
    found->is_dirty = true;
    location->leader_epoch++;
    int r = meta_partition_put(&recovery->store->meta, recovery->meta_txn, topic->number,
                               (uint32_t)partition, location);
    return r < 0 ? r
                 : epochs_put(&recovery->store->meta, recovery->meta_txn, topic->number,
                              (uint32_t)partition, location->leader_epoch, reserved,
                              location->log_start_offset);
}

/* What was set aside is to be known also where the rest of what index.mdb has of the partition is
 * damaged, or about to be forgotten. */
static int64_t reserved_before(const struct recovery *recovery, const struct beck_topic *topic,
                               int32_t partition)
{
    struct index_checkpoint checkpoint;
    int r = recovery->index_txn
                ? index_checkpoint_get(&recovery->store->index, recovery->index_txn, topic->number,
                                       (uint32_t)partition, &checkpoint)
                : -ENOENT;
    return r == 0 ? checkpoint.reserved_offset : 0;
}

/* What is below the log start goes: of index.mdb now, its files once that is known for good.
 * Without its file, a segment that index.mdb has would be damage. */
static int forget_below(struct recovery *recovery, const struct beck_topic *topic,
                        int32_t partition, const struct recovered *found)
{
    struct db *index = &recovery->store->index;
    int64_t first = found->tail.log_start.segment;
    size_t count = 0;
    while (count < found->file_count && found->files[count] < first)
        count++;
    if (count > 0) {
        struct recovery_gone *grown =
            reallocarray(recovery->gone, recovery->gone_count + 1, sizeof(*recovery->gone));
        if (!grown)
            return -ENOMEM;
        recovery->gone = grown;
        struct recovery_gone *gone = &grown[recovery->gone_count];
        *gone = (struct recovery_gone){.partition = partition, .count = count};
        memcpy(gone->topic_id, topic->id, BECK_ID_BYTES);
        gone->segments = calloc(count, sizeof(*gone->segments));
        if (!gone->segments)
            return -ENOMEM;
        memcpy(gone->segments, found->files, count * sizeof(*gone->segments));
        recovery->gone_count++;
    }
    return index_forget_below(index, recovery->index_txn, topic->number, (uint32_t)partition,
                              first);
}

/* Make what was read durable. Nobody writes meanwhile: where it is many partitions, their file
 * system is synced once for the rest of them. Who is killed at that may be the only one whom the
 * disk has told that it refused something. */
static int sync_found(struct recovery *recovery, const struct beck_topic *topic, int32_t partition,
                      uint32_t slot, const struct recovered *found, struct beck_error *error)
{
    struct beck_store *store = recovery->store;
    atomic_fetch_or(&live_slot(&store->live, slot)->flags, LIVE_RECOVERING);
    if (++recovery->synced == SYNC_MANY_LEAST)
        sync_many_begin(&recovery->many, store->io, store->directory);
    return recovered_sync(store, topic, partition, found,
                          recovery->synced >= SYNC_MANY_LEAST ? &recovery->many : NULL, error);
}

/* Write down what was found. Where something is to be cut off, only that: cutting comes once it is
 * known for good, see recovery_cut(). */
static int carry_out(struct recovery *recovery, const struct beck_topic *topic, int32_t partition,
                     struct meta_partition *location, struct recovered *found,
                     struct beck_error *error)
{
    struct beck_store *store = recovery->store;
    int r = 0;
    if (found->is_dirty && !found->is_cut) {
        /* The others are not to suffer from what is wrong with this one's files. */
        found->is_failed = sync_found(recovery, topic, partition, location->slot, found, error) < 0;
        if (found->is_failed)
            return 0;
    }
    if (!nothing_lost(recovery, topic, partition, location->slot, found))
        r = jump(recovery, topic, partition, location, found);
    if (r == 0 && (found->is_cut || found->is_short)) {
        found->cut.next_offset = found->tail.end.offset;
        r = meta_recovery_add(&store->meta, recovery->meta_txn, &found->cut);
    }
    if (r == 0 && found->is_dirty && !found->is_cut)
        r = recovered_put(&store->index, recovery->index_txn, topic, partition, found);
    if (r == 0)
        r = forget_below(recovery, topic, partition, found);
    if (r == 0)
        r = meta_reserved_raise(&store->meta, recovery->meta_txn, topic->number,
                                (uint32_t)partition, recovered_reserved(found));
    return r < 0 ? report_errno(error, r, "cannot write down what recovery found") : 0;
}

/* Keep what was found for recovery_cut(). Takes it over. */
static int cut_later(struct recovery *recovery, const struct beck_topic *topic, int32_t partition,
                     struct live_slot *slot, struct recovered *found)
{
    size_t count = recovery->cut_count;
    if ((count & (count - 1)) == 0) {
        struct recovery_cut *grown =
            reallocarray(recovery->cuts, count ? 2 * count : 1, sizeof(*grown));
        if (!grown)
            return -ENOMEM;
        recovery->cuts = grown;
    }
    recovery->cuts[recovery->cut_count++] = (struct recovery_cut){
        .topic = *topic, .partition = partition, .slot = slot, .found = *found};
    *found = (struct recovered){0};
    return 0;
}

/* One partition that was cut: make that durable, and put it into index.mdb. */
static int cut_put(struct recovery *recovery, struct recovery_cut *cut, struct sync_many *many,
                   struct beck_error *error)
{
    struct beck_store *store = recovery->store;
    if (recovered_sync(store, &cut->topic, cut->partition, &cut->found, many, error) < 0) {
        cut->is_failed = true;
        return 0;
    }
    int r =
        recovered_put(&store->index, recovery->index_txn, &cut->topic, cut->partition, &cut->found);
    return r < 0 ? report_errno(error, r, "index.mdb: cannot be written") : 0;
}

/* meta.mdb has the notes: cut off what has to go. */
static int recovery_cut(struct recovery *recovery, struct beck_error *error)
{
    struct beck_store *store = recovery->store;
    bool are_many = recovery->cut_count >= SYNC_MANY_LEAST;
    struct sync_many many;
    int r = 0;
    for (size_t i = 0; i < recovery->cut_count; i++) {
        struct recovery_cut *cut = &recovery->cuts[i];
        cut->is_failed = recovered_cut(store, &cut->topic, cut->partition, &cut->found, error) < 0;
    }
    if (are_many)
        sync_many_begin(&many, store->io, store->directory);
    for (size_t i = 0; r == 0 && i < recovery->cut_count; i++) {
        struct recovery_cut *cut = &recovery->cuts[i];
        if (!cut->is_failed)
            r = cut_put(recovery, cut, are_many ? &many : NULL, error);
        if (cut->is_failed)
            atomic_fetch_or(&cut->slot->flags, LIVE_FAILED);
    }
    return r;
}

static int recovery_partition(struct recovery *recovery, const struct beck_topic *topic,
                              int32_t partition, struct beck_error *error)
{
    struct beck_store *store = recovery->store;
    __attribute__((cleanup(recovered_done))) struct recovered found = {0};
    struct meta_partition location;
    _cleanup_txn_ MDB_txn *read_txn = NULL;
    MDB_txn *txn = recovery->meta_txn;

    int r = txn ? 0 : db_begin(&store->meta, false, &read_txn, error);
    if (r < 0)
        return r;
    r = meta_partition_get(&store->meta, txn ? txn : read_txn, topic->number, (uint32_t)partition,
                           &location);
    if (r < 0)
        return 0; /* opening it says so; the others go on */
    if (location.slot >= atomic_load(&live_store(&store->live)->slots))
        return 0;
    found.reserved_offset = reserved_before(recovery, topic, partition);
    /* Where that is refused, the intent stays, and who reads the segment finds the new file. */
    if (!store->read_only)
        r = exchange_recover(store, recovery->index_txn, topic, (uint32_t)partition, error);
    if (r == -ENOMEM)
        return r;
    unsigned flags = r == 1 ? RECOVER_ALL_FILES : 0;
    if (cache_is_doubtful(recovery, location.slot))
        flags |= RECOVER_FROM_DISK;
    r = recover_partition(store, topic, partition, flags, location.log_start_offset,
                          &recovery->scan, &found, error);
    if (r == 0)
        r = recover_start(store, topic, partition, location.log_start_offset, &recovery->scan,
                          &found, error);
    if (r == 0 && !store->read_only && !found.is_failed)
        r = carry_out(recovery, topic, partition, &location, &found, error);
    if (r < 0)
        return r;
    struct live_tail *tail = &found.tail;
    tail->high = tail->end;
    tail->high.offset = found.records_end;
    tail->stable = tail->high;
    tail->leader_epoch = location.leader_epoch;
    struct live_slot *slot = live_slot(&store->live, location.slot);
    bool is_cut = found.is_cut && !found.is_failed && !store->read_only;
    r = live_slot_init(slot, topic, (uint32_t)partition, tail,
                       found.is_failed ? LIVE_FAILED
                       : is_cut        ? LIVE_RECOVERING
                                       : 0);
    if (r == 0) /* as the checkpoint at the end says */
        atomic_store(&slot->reserved_offset, recovered_reserved(&found));
    if (r < 0)
        return report_errno(error, r, "live: cannot set up a slot");
    /* Without the right to write, what is not catalogued is told to ourselves through the slot. */
    for (size_t i = 0; store->read_only && i < found.sealed_count; i++) {
        struct live_rolled rolled = {
            .base_offset = found.sealed[i].base_offset,
            .next_offset = found.sealed[i].next_offset,
            .bytes = found.sealed[i].bytes,
            .view_bytes = found.sealed[i].view_bytes,
            .max_timestamp_ms = found.sealed[i].max_timestamp_ms,
        };
        if (!live_rolled_has_room(slot))
            return report(error, -EROFS,
                          "there is too much to recover for a read-only look; open the store for "
                          "writing once");
        live_rolled_add(slot, &rolled);
    }
    if (is_cut && cut_later(recovery, topic, partition, slot, &found) < 0)
        return report(error, -ENOMEM, "out of memory");
    return 0;
}

/* ---- the store ----------------------------------------------------------------------------- */

static int recovery_topics(struct recovery *recovery, struct beck_error *error)
{
    struct beck_store *store = recovery->store;
    struct meta_topic topic = {0};
    for (;;) {
        _cleanup_txn_ MDB_txn *read_txn = NULL;
        int r = recovery->meta_txn ? 0 : db_begin(&store->meta, false, &read_txn, error);
        if (r == 0)
            r = meta_topic_next(&store->meta, recovery->meta_txn ? recovery->meta_txn : read_txn,
                                topic.topic.name, &topic);
        if (r <= 0)
            return r;
        if (read_txn)
            mdb_txn_abort(TAKE_POINTER(read_txn));
        for (uint32_t i = 0; i < topic.topic.partition_count; i++) {
            r = recovery_partition(recovery, &topic.topic, (int32_t)i, error);
            if (r < 0) {
                report_place(error, topic.topic.name, (int32_t)i, -1, -1);
                return r;
            }
        }
    }
}

/* Have the slots, and find out whether what is in them may be believed. */
static int recovery_slots(struct recovery *recovery, struct beck_error *error)
{
    struct beck_store *store = recovery->store;
    uint32_t end;
    _cleanup_txn_ MDB_txn *txn = NULL;
    int r = db_begin(&store->meta, false, &txn, error);
    if (r < 0)
        return r;
    r = meta_slots_end(&store->meta, txn, &end);
    if (r < 0)
        return report(error, r, "meta.mdb: the table of slots is damaged");
    if (store->is_private) {
        r = live_map_private(&store->live, store->io, end + 1);
        if (r < 0)
            return report_errno(error, r, "no memory for the slots");
    } else {
        recovery->same_boot = live_is_of_this_boot(&store->live);
    }
    r = live_format(&store->live, error);
    if (r == 0 && !store->is_private) {
        r = live_grow(&store->live, end);
        if (r < 0)
            return report_errno(error, r, "live: cannot make room for the slots");
    }
    return r;
}

static int recovery_begin(struct recovery *recovery, struct beck_error *error)
{
    struct beck_store *store = recovery->store;
    if (store->read_only) {
        recovery->was_clean = true;
        return 0;
    }
    int r = db_begin(&store->meta, true, &recovery->meta_txn, error);
    if (r == 0)
        r = db_begin(&store->index, true, &recovery->index_txn, error);
    if (r == 0 && index_clean_get(&store->index, recovery->index_txn, &recovery->was_clean) < 0) {
        recovery->was_clean = false;
        recovery->new_index = true;
    }
    return r;
}

static int recovery_commit(struct recovery *recovery, struct beck_error *error)
{
    struct beck_store *store = recovery->store;
    int r = index_clean_put(&store->index, recovery->index_txn, false);
    if (r < 0)
        return report_errno(error, r, "index.mdb: cannot be written");
    /* Epochs and notes of what is cut first: an epoch that is too high does no harm, and who is
     * killed before the cut finds it to be made again. */
    r = db_commit(&store->meta, TAKE_POINTER(recovery->meta_txn), error);
    if (r == 0)
        r = recovery_cut(recovery, error);
    if (r == 0)
        r = db_commit(&store->index, TAKE_POINTER(recovery->index_txn), error);
    for (size_t i = 0; r == 0 && i < recovery->cut_count; i++)
        atomic_fetch_and(&recovery->cuts[i].slot->flags, ~(uint32_t)LIVE_RECOVERING);
    for (size_t i = 0; r == 0 && i < recovery->gone_count; i++)
        recovered_remove(store, recovery->gone[i].topic_id, recovery->gone[i].partition,
                         recovery->gone[i].segments, recovery->gone[i].count);
    /* Else all that the file will promise could go with its name. */
    if (r == 0 && recovery->new_index && (r = store->io->sync(store->io, store->directory)) < 0)
        (void)report_errno(error, r, "the directory cannot be synced");
    return r;
}

static void recovery_done(struct recovery *recovery)
{
    for (size_t i = 0; i < recovery->cut_count; i++)
        recovered_done(&recovery->cuts[i].found);
    free(recovery->cuts);
    for (size_t i = 0; i < recovery->gone_count; i++)
        free(recovery->gone[i].segments);
    free(recovery->gone);
}

int recovery_run(struct beck_store *store, struct beck_error *error)
{
    struct recovery recovery = {.store = store, .scan = {.fd = -1}};
    int r = recovery_slots(&recovery, error);
    if (r == 0)
        r = recovery_begin(&recovery, error);
    if (r == 0)
        r = recovery_topics(&recovery, error);
    /* Before the commit that takes back what the last close said: who is killed after it has slots
     * that prove as much. None of them has a tail below what was published, whatever is committed
     * yet: it is what was found, where nothing was lost, or behind all that was set aside. */
    if (r == 0)
        r = live_vouch(&store->live);
    if (r == 0 && !store->read_only)
        r = recovery_commit(&recovery, error);
    db_abortp(&recovery.meta_txn);
    db_abortp(&recovery.index_txn);
    scan_done(&recovery.scan);
    recovery_done(&recovery);
    if (r == 0 && !store->read_only)
        r = topics_finish_deletions(store, error);
    if (r == 0 && !store->read_only)
        topics_remove_orphans(store);
    return r;
}

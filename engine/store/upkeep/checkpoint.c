/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Happy path, for each dirty partition that is due: take its tail, sync up to it (many at once:
 * sync_many.h), and put into one transaction the segments that were rolled, the index entries and
 * the checkpoint itself. After the commit the slots forget what index.mdb has now.
 *
 * A partition that cannot be synced is left out, and the others are not: it has failed for
 * everybody already. When the commit fails nothing was forgotten, and the next run does it again.
 */
#include "checkpoint.h"

#include "check.h"
#include "cleanup.h"
#include "entries.h"
#include "partition.h"
#include "report.h"
#include "reserve.h"
#include "sync_many.h"

#include <errno.h>
#include <stdlib.h>

#define CHECKPOINT_BATCH     512  /* partitions in one transaction */
#define CHECKPOINT_RUN_MS    5000 /* after so long the rest is left to the next call */
#define CHECKPOINT_LOOK_MS   20   /* when to look again while there is much */
#define CHECKPOINT_HIDDEN_MS 1000 /* how long records may stay unseen for want of a sync */

struct checkpoint_item {
    struct beck_partition *partition;
    struct sync_mark mark; /* up to its tail is the checkpoint */
    int64_t reserved_offset;
    uint64_t dirty_bytes;
    uint32_t rolled; /* counter behind the last rolled segment that was taken */
    struct entry_list entries;
    struct producer_table producers; /* what they sent since index.mdb was told */
};

struct checkpoint_round {
    struct beck_store *store;
    int64_t until_ms; /* monotonic */
    uint32_t from;    /* the slot to go on with */
    size_t count;
    struct checkpoint_item items[CHECKPOINT_BATCH];
};

/* An empty one. Of the many items there may be, memory that none needs is not touched. */
static struct checkpoint_round *round_new(struct beck_store *store, int64_t until_ms,
                                          struct beck_error *error)
{
    struct checkpoint_round *round = malloc(sizeof(*round));
    if (!round) {
        (void)report(error, -ENOMEM, "out of memory");
        return NULL;
    }
    round->store = store;
    round->until_ms = until_ms;
    round->from = 1;
    round->count = 0;
    return round;
}

/* ---- which partitions ---------------------------------------------------------------------- */

/* Is there something to checkpoint that can be? */
static bool slot_is_dirty(const struct live_slot *slot)
{
    return atomic_load_explicit(&slot->dirty_ms, memory_order_relaxed) != 0 &&
           !(atomic_load_explicit(&slot->flags, memory_order_relaxed) &
             (LIVE_DELETED | LIVE_FAILED));
}

/* Have so many offsets been given out that the reserved ones might run short? Or did somebody
 * append with acks=all and die before the sync, which hides what came after? */
static bool slot_tail_is_due(const struct live_slot *slot, int64_t dirty_for_ms)
{
    struct live_tail tail;
    if (live_tail_read(slot, &tail) < 0)
        return false;
    return atomic_load(&slot->reserved_offset) - tail.end.offset <
               CHECKPOINT_RESERVED_OFFSETS / 2 ||
           (live_tail_hides(&tail) && dirty_for_ms >= CHECKPOINT_HIDDEN_MS);
}

static bool slot_is_due(const struct live_slot *slot, bool all, int64_t now_ms)
{
    int64_t dirty_ms = atomic_load(&slot->dirty_ms);
    if (!slot_is_dirty(slot))
        return false;
    return all || now_ms - dirty_ms >= CHECKPOINT_MS ||
           atomic_load(&slot->dirty_bytes) >= CHECKPOINT_BYTES ||
           atomic_load(&slot->rolled_end) != atomic_load(&slot->rolled_begin) ||
           slot_tail_is_due(slot, now_ms - dirty_ms);
}

/* Collect due partitions. */
static void round_collect(struct checkpoint_round *round, bool all)
{
    struct beck_store *store = round->store;
    uint32_t slots = atomic_load(&live_store(&store->live)->slots);
    int64_t now_ms = store_monotonic_ms();
    round->count = 0;
    for (; round->from < slots && round->count < CHECKPOINT_BATCH; round->from++) {
        struct beck_partition *partition;
        if (slot_is_due(live_slot(&store->live, round->from), all, now_ms) &&
            partition_open_slot(store, round->from, &partition, NULL) == 0)
            round->items[round->count++] = (struct checkpoint_item){.partition = partition};
    }
}

static bool round_is_late(const struct checkpoint_round *round)
{
    return store_monotonic_ms() >= round->until_ms;
}

/* ---- one round ----------------------------------------------------------------------------- */

/* Note how far one partition has come: up to there the checkpoint will be. */
static int item_mark(struct checkpoint_item *item, struct beck_error *error)
{
    struct live_slot *slot = item->partition->slot;
    item->dirty_bytes = atomic_load(&slot->dirty_bytes);
    item->rolled = atomic_load(&slot->rolled_end);
    return partition_sync_mark(item->partition, &item->mark, error);
}

/* Sync it up to there. `many` began since, or is NULL. */
static int item_sync(struct checkpoint_item *item, struct sync_many *many, struct beck_error *error)
{
    int r = partition_sync_marked(item->partition, &item->mark, many, error);
    if (r == 0)
        r = producers_collect(item->partition, &item->mark.tail, &item->producers, error);
    if (r == 0)
        entries_collect(item->partition, &item->mark.tail, &item->entries);
    return r;
}

static void item_done(struct checkpoint_item *item)
{
    producer_table_done(&item->producers);
    entry_list_done(&item->entries);
    partition_close(item->partition);
}

/* Keep what `r` says is good; drop it from the round where it is not. */
static void round_keep(struct checkpoint_round *round, size_t *good, size_t i, int r)
{
    if (r == 0)
        round->items[(*good)++] = round->items[i];
    else
        item_done(&round->items[i]);
}

static void round_sync(struct checkpoint_round *round, struct beck_error *error)
{
    struct beck_store *store = round->store;
    struct sync_many many;
    size_t marked = 0;
    size_t good = 0;
    for (size_t i = 0; i < round->count; i++)
        round_keep(round, &marked, i, item_mark(&round->items[i], error));
    bool are_many = marked >= SYNC_MANY_LEAST;
    if (are_many) {
        sync_many_begin(&many, store->io, store->directory);
        /* It may have lasted: what it was for is not to be thrown away. */
        if (round->until_ms != INT64_MAX)
            round->until_ms = store_monotonic_ms() + CHECKPOINT_RUN_MS;
    }
    size_t done = 0;
    for (; done < marked && (done == 0 || !round_is_late(round)); done++)
        round_keep(round, &good, done,
                   item_sync(&round->items[done], are_many ? &many : NULL, error));
    if (done < marked)
        round->from = round->items[done].partition->slot_number;
    for (; done < marked; done++)
        item_done(&round->items[done]);
    round->count = good;
}

static int item_put_rolled(struct checkpoint_item *item, MDB_txn *txn)
{
    struct beck_partition *partition = item->partition;
    struct live_rolled rolled[LIVE_ROLLED_MAX];
    uint32_t count = live_rolled_read(partition->slot, rolled);
    int r = 0;
    for (uint32_t i = 0; r == 0 && i < count; i++) {
        struct segment_record record = segment_record_of(&rolled[i]);
        if (record.base_offset < item->mark.tail.end.segment &&
            record.base_offset >= item->mark.tail.log_start.segment)
            r = index_segment_put(&partition->store->index, txn, partition->topic.number,
                                  (uint32_t)partition->number, &record);
    }
    return r;
}

/* Entries of a segment whose earlier ones are damaged are begun anew: they only make things faster.
 */
static int item_add_entries(struct checkpoint_item *item, MDB_txn *txn, int64_t segment,
                            const struct index_entry *entries, uint32_t count)
{
    struct beck_partition *partition = item->partition;
    struct db *index = &partition->store->index;
    uint32_t number = partition->topic.number;
    int r =
        index_entries_add(index, txn, number, (uint32_t)partition->number, segment, entries, count);
    if (r != -EBADMSG)
        return r;
    r = index_forget_entries(index, txn, number, (uint32_t)partition->number, segment);
    return r < 0 ? r
                 : index_entries_add(index, txn, number, (uint32_t)partition->number, segment,
                                     entries, count);
}

/* The entries, each under its segment. */
static int item_put_entries(struct checkpoint_item *item, MDB_txn *txn)
{
    const struct entry_list *list = &item->entries;
    int r = 0;
    for (size_t i = 0; r == 0 && i < list->count;) {
        struct index_entry entries[INDEX_CHUNK_ENTRIES];
        uint32_t count = 0;
        int64_t segment = list->places[i].segment;
        while (i < list->count && list->places[i].segment == segment && count < ELEMENTS(entries))
            entries[count++] = list->places[i++].entry;
        r = item_add_entries(item, txn, segment, entries, count);
    }
    return r;
}

static int item_put(struct checkpoint_item *item, MDB_txn *txn)
{
    struct beck_partition *partition = item->partition;
    struct index_checkpoint checkpoint = {
        .end = item->mark.tail.end,
        .records_end = live_tail_hides(&item->mark.tail) ? item->mark.tail.end.offset
                                                         : item->mark.tail.high.offset,
        .max_timestamp_ms = item->mark.tail.max_timestamp_ms,
        .append_ms = item->mark.tail.append_ms,
        .reserved_offset = reserve_at(partition, txn, item->mark.tail.end.offset),
    };
    item->reserved_offset = checkpoint.reserved_offset;
    if (partition_is_deleted(partition))
        return 0; /* what it had in index.mdb is gone, and is not to come back */
    int r = item_put_rolled(item, txn);
    if (r == 0)
        r = item_put_entries(item, txn);
    if (r == 0)
        r = index_checkpoint_put(&partition->store->index, txn, partition->topic.number,
                                 (uint32_t)partition->number, &checkpoint);
    if (r == 0 && item->producers.count > 0)
        r = producers_put(&partition->store->index, txn, partition->topic.number,
                          (uint32_t)partition->number, &item->producers,
                          item->mark.tail.end.offset);
    return r;
}

/* Let the slot forget what index.mdb has now. */
static void item_forget(struct checkpoint_item *item)
{
    struct live_slot *slot = item->partition->slot;
    if (partition_lock(item->partition, NULL) < 0)
        return;
    const struct live_tail *tail = live_tail_locked(slot);
    atomic_store(&slot->checkpoint_offset, item->mark.tail.end.offset);
    reserve_publish(slot, item->reserved_offset);
    uint32_t begin = atomic_load(&slot->rolled_begin);
    while (begin != item->rolled &&
           slot->rolled[begin % LIVE_ROLLED_MAX].base_offset < item->mark.tail.end.segment)
        begin++;
    atomic_store(&slot->rolled_begin, begin);
    live_ring_trim(slot, item->mark.tail.end.offset);
    uint64_t dirty = atomic_load(&slot->dirty_bytes);
    atomic_store(&slot->dirty_bytes, dirty - item->dirty_bytes);
    atomic_store(&slot->dirty_ms,
                 tail->end.offset == item->mark.tail.end.offset ? 0 : store_monotonic_ms());
    partition_unlock(item->partition);
}

/* meta.mdb comes first: it has to know of what index.mdb sets aside. */
static int round_allow(struct checkpoint_round *round, struct beck_error *error)
{
    struct reserve_end ends[CHECKPOINT_BATCH];
    for (size_t i = 0; i < round->count; i++)
        ends[i] =
            (struct reserve_end){round->items[i].partition, round->items[i].mark.tail.end.offset};
    return reserve_allow(round->store, ends, round->count, error);
}

static int round_commit(struct checkpoint_round *round, struct beck_error *error)
{
    struct beck_store *store = round->store;
    _cleanup_txn_ MDB_txn *txn = NULL;
    int r = round_allow(round, error);
    if (r == 0)
        r = db_begin(&store->index, true, &txn, error);
    for (size_t i = 0; r == 0 && i < round->count; i++) {
        r = item_put(&round->items[i], txn);
        if (r < 0)
            (void)report_errno(error, r, "index.mdb: cannot write the checkpoint of %s-%d",
                               round->items[i].partition->topic.name,
                               round->items[i].partition->number);
    }
    if (r < 0)
        return r;
    r = db_commit(&store->index, TAKE_POINTER(txn), error);
    if (r < 0)
        return r;
    for (size_t i = 0; i < round->count; i++)
        item_forget(&round->items[i]);
    return 0;
}

/* Is anything dirty, and how much? */
static bool store_is_dirty(struct beck_store *store, uint64_t *ret_bytes)
{
    uint32_t slots = atomic_load(&live_store(&store->live)->slots);
    bool dirty = false;
    *ret_bytes = 0;
    for (uint32_t i = 1; i < slots; i++) {
        const struct live_slot *slot = live_slot(&store->live, i);
        if (slot_is_dirty(slot)) {
            dirty = true;
            *ret_bytes += atomic_load_explicit(&slot->dirty_bytes, memory_order_relaxed);
        }
    }
    return dirty;
}

bool checkpoint_is_due(struct beck_store *store, bool all, uint32_t *next_ms)
{
    uint64_t bytes;
    (void)all;
    if (!store_is_dirty(store, &bytes))
        return false;
    if (*next_ms > CHECKPOINT_LOOK_MS)
        *next_ms = CHECKPOINT_LOOK_MS;
    return true;
}

int checkpoint_run(struct beck_store *store, bool all, struct beck_error *error)
{
    int64_t until_ms = all ? INT64_MAX : store_monotonic_ms() + CHECKPOINT_RUN_MS;
    _cleanup_free_ struct checkpoint_round *round = round_new(store, until_ms, error);
    uint32_t slots = atomic_load(&live_store(&store->live)->slots);
    uint64_t dirty_bytes = 0;
    int r = 0;
    if (!round)
        return -ENOMEM;
    /* Appends go on without checkpoints; index.mdb does not grow for ever. */
    if (!all && db_is_held_back(&store->index))
        return 0;
    if (!all && store->checkpoint_from >= 1 && store->checkpoint_from < slots)
        round->from = store->checkpoint_from;
    (void)store_is_dirty(store, &dirty_bytes);
    while (r == 0 && round->from < slots && !round_is_late(round)) {
        round_collect(round, all || dirty_bytes >= CHECKPOINT_STORE_BYTES);
        if (round->count == 0)
            continue;
        round_sync(round, error);
        r = round_commit(round, error);
        for (size_t i = 0; i < round->count; i++)
            item_done(&round->items[i]);
    }
    store->checkpoint_from = round->from < slots ? round->from : 1;
    return r;
}

int checkpoint_partition(struct beck_partition *partition, struct beck_error *error)
{
    _cleanup_free_ struct checkpoint_round *round = round_new(partition->store, INT64_MAX, error);
    if (!round)
        return -ENOMEM;
    struct checkpoint_item *item = &round->items[0];
    *item = (struct checkpoint_item){.partition = NULL};
    int r = partition_open_slot(partition->store, partition->slot_number, &item->partition, error);
    if (r < 0)
        return r;
    if (item->partition != partition)
        r = report(error, -ESTALE, "the topic was deleted");
    if (r == 0)
        r = item_mark(item, error);
    if (r == 0)
        r = item_sync(item, NULL, error);
    round->count = 1;
    if (r == 0)
        r = round_commit(round, error);
    item_done(item);
    return r;
}

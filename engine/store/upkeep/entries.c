/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Happy path: the ring has an entry for each interval, and nothing is read. Else the walk goes from
 * the checkpoint through all segments up to the tail, from one entry that is known to the next, and
 * looks at the headers between. Only where they show that an entry is missing are the records read,
 * for how much view they make is not in a header.
 */
#include "entries.h"

#include "cleanup.h"
#include "lookup.h"
#include "scan.h"
#include "segments.h"

#include <errno.h>
#include <stdlib.h>

/* A walk through the segments. */
struct entries_walk {
    struct beck_partition *partition;
    const struct live_tail *tail;
    struct entry_list *list;
    struct scan scan;
    struct segment *segment; /* referenced */
    struct index_entry at;   /* a batch's begin, and what is before it */
    uint64_t indexed;        /* position of the segment's newest entry */
    struct index_entry ring[LIVE_RING_ENTRIES];
    uint32_t ring_count;
    uint32_t ring_next;
};

void entry_list_done(struct entry_list *list)
{
    free(list->places);
    *list = (struct entry_list){0};
}

static int add(struct entries_walk *walk, const struct index_entry *entry)
{
    struct entry_list *list = walk->list;
    if (list->count == list->room) {
        size_t room = list->room ? 2 * list->room : LIVE_RING_ENTRIES;
        struct entry_place *grown = reallocarray(list->places, room, sizeof(*grown));
        if (!grown)
            return -ENOMEM;
        list->places = grown;
        list->room = room;
    }
    list->places[list->count++] = (struct entry_place){walk->segment->base_offset, *entry};
    walk->indexed = entry->position;
    return 0;
}

/* The position of the last batch before `end` that should have an entry; 0: there is none. */
static int last_missing(struct entries_walk *walk, int fd, uint64_t end, uint64_t *ret_position)
{
    struct scan_batch batch;
    uint64_t indexed = walk->indexed;
    int r;
    *ret_position = 0;
    scan_begin(&walk->scan, walk->partition->store->io, fd, SCAN_HEADERS, walk->at.position, end);
    while ((r = scan_next(&walk->scan, &batch, NULL)) == 1)
        if (batch.position - indexed >= INDEX_INTERVAL_BYTES)
            indexed = *ret_position = batch.position;
    return r;
}

/* Read the batches from the walk's place up to the one at `last`, and add entries. */
static int add_missing(struct entries_walk *walk, int fd, uint64_t last, uint64_t end)
{
    struct scan_batch batch;
    int r;
    scan_begin(&walk->scan, walk->partition->store->io, fd, SCAN_RECORDS, walk->at.position, end);
    while (walk->at.position <= last && (r = scan_next(&walk->scan, &batch, NULL)) == 1) {
        walk->at.offset = batch.summary.header.base_offset;
        walk->at.position = batch.position;
        if (batch.position - walk->indexed >= INDEX_INTERVAL_BYTES) {
            r = add(walk, &walk->at);
            if (r < 0)
                return r;
        }
        if (batch.position == last)
            return 0;
        walk->at.view += batch.summary.view_bytes;
        if (batch.summary.max_timestamp_ms > walk->at.max_timestamp_ms)
            walk->at.max_timestamp_ms = batch.summary.max_timestamp_ms;
    }
    return -EBADMSG;
}

/* Add what is missing between the walk's place and `end`. */
static int fill(struct entries_walk *walk, uint64_t end)
{
    uint64_t last;
    if (end < walk->indexed || end - walk->indexed < 2 * (uint64_t)INDEX_INTERVAL_BYTES)
        return 0;
    int fd = segment_pin(walk->segment, false);
    if (fd < 0)
        return fd;
    int r = last_missing(walk, fd, end, &last);
    if (r == 0 && last > 0)
        r = add_missing(walk, fd, last, end);
    segment_unpin(walk->segment);
    return r;
}

/* Go to the end of the walk's segment, from one of the ring's entries to the next. */
static int walk_segment(struct entries_walk *walk)
{
    int64_t next_segment = walk->segment->base_offset == walk->tail->end.segment
                               ? walk->tail->end.offset
                               : walk->segment->next_offset;
    for (; walk->ring_next < walk->ring_count; walk->ring_next++) {
        const struct index_entry *entry = &walk->ring[walk->ring_next];
        if (entry->offset >= next_segment)
            break;
        if (entry->offset < walk->segment->base_offset)
            continue;
        if (entry->position < walk->at.position) { /* index.mdb has it */
            walk->indexed = entry->position;
            continue;
        }
        int r = fill(walk, entry->position);
        if (r == 0)
            r = add(walk, entry);
        if (r < 0)
            return r;
        walk->at = *entry;
    }
    return fill(walk, segment_limit(walk->segment, &walk->tail->end));
}

/* The walk's next segment: the one with this base offset, or the first above it. */
static int next_segment(struct entries_walk *walk, int64_t base_offset, bool above)
{
    struct beck_partition *partition = walk->partition;
    struct live_tail now;
    int r = segments_lock(partition, &now, NULL);
    if (r < 0)
        return r;
    struct segment *segment =
        above ? segments_after(partition, base_offset) : segments_find(partition, base_offset);
    if (segment && segment->base_offset > walk->tail->end.segment)
        segment = NULL;
    if (segment)
        segment_ref(segment);
    segments_unlock(partition);
    segment_unref(walk->segment);
    walk->segment = segment;
    return segment != NULL;
}

/* Where the last checkpoint was. */
static int walk_begin(struct entries_walk *walk)
{
    struct beck_partition *partition = walk->partition;
    struct db *index = &partition->store->index;
    struct index_checkpoint checkpoint;
    _cleanup_txn_ MDB_txn *txn = NULL;
    int r = db_begin(index, false, &txn, NULL);
    if (r == 0)
        r = index_checkpoint_get(index, txn, partition->topic.number, (uint32_t)partition->number,
                                 &checkpoint);
    if (r < 0)
        return r;
    mdb_txn_abort(TAKE_POINTER(txn));
    walk->at = (struct index_entry){checkpoint.end.offset, checkpoint.end.position,
                                    checkpoint.end.view, checkpoint.max_timestamp_ms};
    walk->indexed = checkpoint.end.position;
    walk->ring_count = live_ring_read(partition->slot, walk->ring);
    return next_segment(walk, checkpoint.end.segment, false);
}

void entries_collect(struct beck_partition *partition, const struct live_tail *tail,
                     struct entry_list *list)
{
    struct entries_walk walk = {
        .partition = partition, .tail = tail, .list = list, .scan = {.fd = -1}};
    int r = walk_begin(&walk);
    while (r == 1) {
        (void)walk_segment(&walk);
        r = next_segment(&walk, walk.segment->base_offset, true);
        if (r == 1) {
            walk.at = (struct index_entry){.offset = walk.segment->base_offset,
                                           .max_timestamp_ms = INT64_MIN};
            walk.indexed = 0;
        }
    }
    segment_unref(walk.segment);
    scan_done(&walk.scan);
}

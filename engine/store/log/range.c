/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Ranges for sendfile. Where the range ends is taken from the index, which knows a batch boundary
 * every 64 KiB; so a fetch that goes on from there finds its place remembered, and no byte is read
 * by us at all once the range's CRCs were checked. Only what a process neither appended nor read
 * before is read and checked.
 */
#include "range.h"

#include "check.h"
#include "lookup.h"
#include "report.h"
#include "segments.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>

/* The range being made, between lookup_begin() and lookup_end(). */
struct range {
    struct beck_partition *partition;
    const struct live_tail *tail;
    const struct log_point *bound;
    struct segment *segment; /* referenced */
    int fd;                  /* pinned */
    int64_t offset;          /* that was asked for */
    uint64_t begin;
    uint64_t end;
    uint64_t limit;      /* of what may be read of the segment */
    int64_t next_offset; /* after the range */
};

/* Up to where the file's CRCs are known to be right, from `begin` on. */
static uint64_t verified_end(const struct segment *segment, uint64_t begin)
{
    uint64_t end = begin;
    uint64_t appended = atomic_load_explicit(&segment->appended_end, memory_order_acquire);
    for (size_t i = 0; i < SEGMENT_VERIFIED; i++)
        if (segment->verified[i].begin <= begin && segment->verified[i].end > end)
            end = segment->verified[i].end;
    if (atomic_load(&segment->appended_begin) <= end && appended > end &&
        atomic_load(&segment->appended_end) >= appended)
        end = appended;
    return end;
}

static void verified_add(struct segment *segment, uint64_t begin, uint64_t end)
{
    struct byte_range *least = &segment->verified[0];
    for (size_t i = 0; i < SEGMENT_VERIFIED; i++) {
        struct byte_range *range = &segment->verified[i];
        if (range->begin <= begin && range->end >= begin) {
            if (end > range->end)
                range->end = end;
            return;
        }
        if (range->end - range->begin < least->end - least->begin)
            least = range;
    }
    *least = (struct byte_range){.begin = begin, .end = end};
}

/* A complete file never changes. Where it did all the same, nothing is known of it any more. */
static void verified_forget_changed(struct segment *segment, int fd)
{
    if (segment->bytes == UINT64_MAX)
        return;
    uint64_t stamp = segment_stamp(segment, fd);
    if (LIKELY(stamp != 0 && stamp == atomic_load(&segment->stamp)))
        return;
    for (size_t i = 0; i < SEGMENT_VERIFIED; i++)
        segment->verified[i] = (struct byte_range){0};
    atomic_store(&segment->appended_end, 0);
    atomic_store(&segment->stamp, stamp);
}

/* Have the range end with a batch that is good. */
static int range_cut(struct range *range, uint64_t end, struct beck_error *error)
{
    struct scan *scan = &range->partition->scan;
    struct scan_batch batch;
    int r;
    scan_begin(scan, range->partition->store->io, range->fd, SCAN_HEADERS, range->begin, end);
    while ((r = scan_next(scan, &batch, error)) == 1)
        range->next_offset = batch_next_offset(&batch.summary.header);
    range->end = end;
    return r;
}

/* Where a batch ends, and the offset after it. */
struct place {
    uint64_t position;
    int64_t next_offset;
};

/* Check what was not checked before. Where damage follows good batches, the range ends before it.
 *
 * A base offset is not covered by the CRC. One that leaves a hole is real where the next batch has
 * no offset below it; else it is this one that is wrong, as the next fits to what is before both.
 */
static int range_verify(struct range *range, struct beck_error *error)
{
    struct scan *scan = &range->partition->scan;
    struct scan_batch batch;
    verified_forget_changed(range->segment, range->fd);
    uint64_t from = verified_end(range->segment, range->begin);
    if (LIKELY(from >= range->end))
        return 0;
    bool offset_is_known = from == range->begin;
    struct place good = {from, range->offset};
    struct place sure = good; /* before the last batch, where that left a hole */
    int r;
    scan_begin(scan, range->partition->store->io, range->fd, SCAN_CRC, from, range->end);
    while ((r = scan_next(scan, &batch, error)) == 1) {
        const struct batch_header *header = &batch.summary.header;
        bool contradicts = good.position > from && header->base_offset < good.next_offset;
        if (contradicts || batch_next_offset(header) > range->next_offset) {
            good = contradicts ? sure : good;
            r = report(error, -EBADMSG, "the batch's offset does not fit between its neighbours'");
            report_place(error, NULL, -1, -1, (int64_t)good.position);
            break;
        }
        /* The first may have the offset that was asked for in its middle. */
        bool is_next = header->base_offset <= good.next_offset || !offset_is_known;
        sure = good;
        good = (struct place){scan->position, batch_next_offset(header)};
        sure = is_next ? good : sure;
        offset_is_known = true;
    }
    verified_add(range->segment, from, good.position);
    if (r == 0)
        return 0;
    if (good.position == range->begin)
        return r;
    return range_cut(range, good.position, error);
}

/* The last batch boundary within `max_bytes`, or the end of the first batch. */
static int range_find_end(struct range *range, size_t max_bytes, struct beck_error *error)
{
    struct index_entry entry;
    struct scan_batch batch;
    struct scan *scan = &range->partition->scan;
    uint64_t wanted = range->begin + max_bytes;

    lookup_entry(range->partition, range->segment, range->tail,
                 (struct lookup_target){INDEX_BY_POSITION, (int64_t)wanted}, &entry);
    if (entry.position > range->begin && entry.position <= range->limit) {
        range->end = entry.position;
        range->next_offset = entry.offset;
        return 0;
    }
    range->end = range->begin;
    scan_begin(scan, range->partition->store->io, range->fd, SCAN_HEADERS, range->begin,
               range->limit);
    int r;
    while ((r = scan_next(scan, &batch, error)) == 1) {
        if (range->end > range->begin && scan->position > wanted)
            break;
        range->end = scan->position;
        range->next_offset = batch_next_offset(&batch.summary.header);
    }
    return range->end > range->begin ? 0 : r;
}

static int range_fill(struct range *range, size_t max_bytes, struct beck_error *error)
{
    int r = 0;
    range->fd = segment_pin(range->segment, false);
    if (range->fd < 0)
        return segments_stale(range->partition, range->segment, range->fd, error);
    if (range->limit - range->begin <= max_bytes) {
        range->end = range->limit;
        range->next_offset = range->segment->base_offset == range->bound->segment
                                 ? range->bound->offset
                                 : range->segment->next_offset;
    } else {
        r = range_find_end(range, max_bytes, error);
    }
    if (r == 0)
        r = range_verify(range, error);
    if (r < 0)
        segment_unpin(range->segment);
    return r;
}

/* Find the range. Returns 1, and its segment is referenced and pinned; 0 where there is nothing
 * yet. Between lookup_begin() and lookup_end(). */
static int range_find(struct range *range, int64_t offset, size_t max_bytes,
                      struct beck_error *error)
{
    struct lookup_place place;
    int r = lookup_batch(range->partition, range->tail, range->bound, offset, &place, error);
    range->segment = place.segment;
    range->begin = place.position;
    range->limit = place.limit;
    if (r == 1) {
        r = range_fill(range, max_bytes, error);
        r = r < 0 ? r : 1;
    }
    if (r == 1)
        lookup_hint(range->partition, range->next_offset, range->segment, range->end);
    else
        range->segment = segment_unref(range->segment);
    return r;
}

static void range_drop(struct range *range)
{
    segment_unpin(range->segment);
    range->segment = segment_unref(range->segment);
}

/* -ERANGE where the log has no such offset. */
static int range_check(struct beck_partition *partition, const struct live_tail *tail,
                       int64_t offset, struct beck_error *error)
{
    if (LIKELY(offset >= tail->log_start.offset && offset <= tail->end.offset))
        return 0;
    int r = report(error, -ERANGE,
                   "offset %" PRId64 " is outside of the log, which has %" PRId64 " to %" PRId64,
                   offset, tail->log_start.offset, tail->end.offset);
    return partition_failed(partition, r, -1, error);
}

int range_read(struct beck_partition *partition, int64_t offset, size_t max_bytes,
               enum beck_isolation isolation, struct beck_range *ret_range,
               struct beck_error *error)
{
    struct live_tail tail;
    int r = partition_tail(partition, &tail, error);
    if (r == 0)
        r = range_check(partition, &tail, offset, error);
    if (r < 0)
        return r;
    struct range range = {.partition = partition,
                          .tail = &tail,
                          .bound = tail_bound(&tail, isolation),
                          .offset = offset,
                          .fd = -1};
    if (offset >= range.bound->offset) {
        *ret_range = (struct beck_range){.fd = -1, .next_offset = offset};
        return 0;
    }
    do {
        r = lookup_begin(partition, &tail, error);
        if (r < 0)
            break;
        r = range_find(&range, offset, max_bytes, error);
        lookup_end(partition);
        /* Trimmed while we looked? Then it may be a later batch that was found. */
        if ((r == 0 || r == 1) && partition_log_start(partition) > offset) {
            if (r == 1)
                range_drop(&range);
            r = -EAGAIN;
        }
        if (r == -EAGAIN && (r = partition_tail(partition, &tail, error)) == 0 &&
            (r = range_check(partition, &tail, offset, error)) == 0)
            r = -EAGAIN;
    } while (r == -EAGAIN);
    if (r < 0)
        return partition_failed(partition, r, offset, error);
    if (r == 0)
        *ret_range = (struct beck_range){.fd = -1, .next_offset = range.bound->offset};
    else
        *ret_range = (struct beck_range){
            .fd = range.fd,
            .position = range.begin,
            .size = (size_t)(range.end - range.begin),
            .next_offset = range.next_offset,
            .pin = range.segment,
        };
    return 0;
}

int range_segment(struct beck_partition *partition, int64_t offset,
                  struct beck_segment *ret_segment, struct beck_error *error)
{
    struct live_tail tail;
    int r = segments_lock(partition, &tail, error);
    if (r < 0)
        return partition_failed(partition, r, offset, error);
    const struct segment *segment = segments_at(partition, offset);
    if (!segment || segment->next_offset <= offset)
        segment = segments_after(partition, segment ? segment->base_offset : -1);
    r = range_check(partition, &tail, offset, error);
    if (r == 0 && !segment)
        r = report(error, -ENOENT, "there is no segment");
    if (r == 0) {
        const struct segment *next = segments_after(partition, segment->base_offset);
        bool is_last = !next || next->base_offset > tail.high.segment;
        *ret_segment = (struct beck_segment){
            .base_offset = segment->base_offset,
            .end_offset = is_last ? tail.high.offset : next->base_offset,
            .bytes = segment_limit(segment, &tail.high),
        };
        (void)snprintf(ret_segment->path, sizeof(ret_segment->path), "%s", segment->path);
    }
    segments_unlock(partition);
    return r < 0 ? partition_failed(partition, r, offset, error) : 0;
}

void range_release(struct beck_range *range)
{
    struct segment *segment = range->pin;
    if (!segment)
        return;
    segment_unpin(segment);
    segment_unref(segment);
    *range = (struct beck_range){.fd = -1};
}

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

#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>

/* The range being made, under the partition's mutex. */
struct range {
    struct beck_partition *partition;
    struct segment *segment;
    int fd;
    uint64_t begin;
    uint64_t end;
    uint64_t limit;      /* of what may be read of the segment */
    int64_t next_offset; /* after the range */
};

/* A pin: the segment, referenced and pinned, and whose files it is of. */
struct range_pin {
    struct segment_files *files;
    struct segment *segment;
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

/* Check what was not checked before. Where damage follows good batches, the range ends before it.
 */
static int range_verify(struct range *range, struct beck_error *error)
{
    struct scan *scan = &range->partition->scan;
    struct scan_batch batch;
    uint64_t from = verified_end(range->segment, range->begin);
    if (LIKELY(from >= range->end))
        return 0;
    int64_t next_offset = -1;
    int r;
    scan_begin(scan, range->partition->store->io, range->fd, SCAN_CRC, from, range->end);
    while ((r = scan_next(scan, &batch, error)) == 1)
        next_offset = batch_next_offset(&batch.summary.header);
    verified_add(range->segment, from, scan->position);
    if (r == 0)
        return 0;
    if (scan->position == range->begin)
        return r;
    range->end = scan->position;
    range->next_offset = next_offset;
    return 0;
}

/* The last batch boundary within `max_bytes`, or the end of the first batch. */
static int range_find_end(struct range *range, size_t max_bytes, struct beck_error *error)
{
    struct index_entry entry;
    struct scan_batch batch;
    struct scan *scan = &range->partition->scan;
    uint64_t wanted = range->begin + max_bytes;

    lookup_entry(range->partition, range->segment, INDEX_BY_POSITION, (int64_t)wanted, &entry);
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

static int range_fill(struct range *range, size_t max_bytes, const struct log_point *bound,
                      struct beck_error *error)
{
    int r = 0;
    range->fd = segment_pin(&range->partition->store->files, range->segment, false);
    if (range->fd < 0)
        return report_errno(error, range->fd == -ENOENT ? -EBADMSG : range->fd,
                            "cannot open segment %s", range->segment->path);
    if (range->limit - range->begin <= max_bytes) {
        range->end = range->limit;
        range->next_offset = range->segment->base_offset == bound->segment
                                 ? bound->offset
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

/* Find segment and batch. Returns 1, or 0 where there is nothing yet. */
static int range_find(struct range *range, int64_t offset, const struct log_point *bound,
                      struct beck_error *error)
{
    for (;;) {
        range->segment = lookup_segment(range->partition, offset, bound);
        if (!range->segment)
            return 0;
        range->limit = segment_limit(range->segment, bound);
        int r = lookup_batch(range->partition, range->segment, offset, range->limit, &range->begin,
                             error);
        if (r != 0 || range->segment->base_offset >= bound->segment)
            return r;
        /* The segment's last offsets are not there any more: go on with the next. */
        if (range->segment->next_offset <= offset || range->segment->next_offset == INT64_MAX)
            return 0;
        offset = range->segment->next_offset;
    }
}

static int range_export(struct range *range, struct beck_range *ret_range)
{
    struct range_pin *pin = malloc(sizeof(*pin));
    if (!pin) {
        segment_unpin(range->segment);
        return -ENOMEM;
    }
    *pin = (struct range_pin){.files = &range->partition->store->files,
                              .segment = segment_ref(range->segment)};
    lookup_hint(range->partition, range->next_offset, range->segment->base_offset, range->end);
    *ret_range = (struct beck_range){
        .fd = range->fd,
        .position = range->begin,
        .size = (size_t)(range->end - range->begin),
        .next_offset = range->next_offset,
        .pin = pin,
    };
    return 0;
}

int range_read(struct beck_partition *partition, int64_t offset, size_t max_bytes,
               enum beck_isolation isolation, struct beck_range *ret_range,
               struct beck_error *error)
{
    struct range range = {.partition = partition};
    struct live_tail tail;
    int r = partition_tail(partition, &tail, error);
    if (r < 0)
        return r;
    const struct log_point *bound = tail_bound(&tail, isolation);
    if (offset < tail.log_start_offset || offset > tail.end.offset) {
        r = report(error, -ERANGE,
                   "offset %" PRId64 " is outside of the log, which has %" PRId64 " to %" PRId64,
                   offset, tail.log_start_offset, tail.end.offset);
        return partition_failed(partition, r, -1, error);
    }
    if (offset >= bound->offset) {
        *ret_range = (struct beck_range){.fd = -1, .next_offset = offset};
        return 0;
    }
    CHECK(pthread_mutex_lock(&partition->mutex) == 0);
    r = partition_refresh_segments(partition, &tail, error);
    if (r == 0)
        r = range_find(&range, offset, bound, error);
    if (r == 1) {
        r = range_fill(&range, max_bytes, bound, error);
        if (r == 0)
            r = range_export(&range, ret_range);
    } else if (r == 0) {
        *ret_range = (struct beck_range){.fd = -1, .next_offset = bound->offset};
    }
    CHECK(pthread_mutex_unlock(&partition->mutex) == 0);
    return r < 0 ? partition_failed(partition, r, offset, error) : 0;
}

void range_release(struct beck_range *range)
{
    struct range_pin *pin = range->pin;
    if (!pin)
        return;
    segment_unpin(pin->segment);
    segment_unref(pin->files, pin->segment);
    free(pin);
    *range = (struct beck_range){.fd = -1};
}

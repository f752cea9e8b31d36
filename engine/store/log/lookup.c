/* SPDX-License-Identifier: Apache-2.0 */
/* Searches by offset, view position and time. */
#include "lookup.h"

#include "check.h"
#include "cleanup.h"
#include "record.h"
#include "report.h"
#include "start.h"

#include <errno.h>

uint64_t segment_limit(const struct segment *segment, const struct log_point *bound)
{
    if (segment->base_offset == bound->segment)
        return bound->position;
    return segment->base_offset < bound->segment ? segment->bytes : 0;
}

/* ---- the sparse index ---------------------------------------------------------------------- */

/* The last entry of the slot's ring that is in the segment and precedes the target. */
static bool ring_find(struct beck_partition *partition, const struct segment *segment,
                      const struct live_tail *tail, struct lookup_target target,
                      struct index_entry *ret_entry)
{
    struct index_entry ring[LIVE_RING_ENTRIES];
    uint32_t count = live_ring_read(partition->slot, ring);
    while (count-- > 0) {
        const struct index_entry *entry = &ring[count];
        if (entry->offset < segment->base_offset)
            return false;
        /* The ring may be newer than the tail, and have entries of a segment that comes after it.
         */
        if (entry->offset >= segment->next_offset || entry->offset >= tail->end.offset ||
            !index_entry_precedes(entry, target.by, target.value))
            continue;
        *ret_entry = *entry;
        return true;
    }
    return false;
}

/* Are the entries of index.mdb those of the very file that this struct is about? One exchange
 * always changes the size; the last of several may have brought it back, but then the first of them
 * has told of itself since the tail. */
static bool entries_are_of(struct beck_partition *partition, const struct segment *segment,
                           const struct live_tail *tail, MDB_txn *txn)
{
    struct segment_record record;
    struct live_tail now;
    int r = index_segment_get(&partition->store->index, txn, partition->topic.number,
                              (uint32_t)partition->number, segment->base_offset, &record);
    if (r == -ENOENT)
        return !segment->is_catalogued;
    return r == 0 && record.bytes == segment->bytes && live_tail_read(partition->slot, &now) == 0 &&
           now.segments_generation == tail->segments_generation;
}

void lookup_entry(struct beck_partition *partition, const struct segment *segment,
                  const struct live_tail *tail, struct lookup_target target,
                  struct index_entry *ret_entry)
{
    struct beck_store *store = partition->store;
    *ret_entry =
        (struct index_entry){.offset = segment->base_offset, .max_timestamp_ms = INT64_MIN};
    /* Of a catalogued segment index.mdb has all; what the ring has may be of an earlier file. */
    if (!segment->is_catalogued && ring_find(partition, segment, tail, target, ret_entry))
        return;
    _cleanup_txn_ MDB_txn *txn = NULL;
    struct index_entry entry;
    if (db_begin(&store->index, false, &txn, NULL) == 0 &&
        entries_are_of(partition, segment, tail, txn) &&
        index_entry_find(&store->index, txn, partition->topic.number, (uint32_t)partition->number,
                         segment->base_offset, target.by, target.value, &entry) == 1)
        *ret_entry = entry;
}

/* ---- segments ------------------------------------------------------------------------------ */

int lookup_begin(struct beck_partition *partition, struct live_tail *ret_tail,
                 struct beck_error *error)
{
    CHECK(pthread_mutex_lock(&partition->lookup_mutex) == 0);
    int r = start_lock(partition, ret_tail, error);
    if (r < 0)
        lookup_end(partition);
    else
        segments_unlock(partition);
    return r;
}

void lookup_end(struct beck_partition *partition)
{
    CHECK(pthread_mutex_unlock(&partition->lookup_mutex) == 0);
}

struct segment *lookup_segment(struct beck_partition *partition, int64_t offset,
                               const struct log_point *bound)
{
    CHECK(pthread_mutex_lock(&partition->mutex) == 0);
    struct segment *segment = segments_at(partition, offset);
    if (!segment)
        segment = partition->segment_count > 0 ? partition->segments[0] : NULL;
    else if (segment->next_offset <= offset) /* a hole between two segments */
        segment = segments_after(partition, segment->base_offset);
    if (segment && segment->base_offset <= bound->segment)
        segment_ref(segment);
    else
        segment = NULL;
    CHECK(pthread_mutex_unlock(&partition->mutex) == 0);
    return segment;
}

/* Give the reference back, and get one on the segment that has the offsets after it; NULL: it was
 * the last. From NULL to the first. */
static struct segment *next_segment(struct beck_partition *partition, struct segment *segment,
                                    const struct log_point *bound)
{
    int64_t offset = segment ? segment->next_offset : 0;
    bool is_last = segment && (offset == INT64_MAX || segment->base_offset >= bound->segment);
    segment_unref(segment);
    return is_last ? NULL : lookup_segment(partition, offset, bound);
}

/* ---- by offset ----------------------------------------------------------------------------- */

void lookup_hint(struct beck_partition *partition, int64_t offset, const struct segment *segment,
                 uint64_t position)
{
    partition->hints[partition->next_hint++ % PARTITION_HINTS] =
        (struct partition_hint){.offset = offset, .segment = segment->serial, .position = position};
}

static bool hint_find(const struct beck_partition *partition, int64_t offset,
                      const struct segment *segment, uint64_t *ret_position)
{
    for (size_t i = 0; i < PARTITION_HINTS; i++) {
        const struct partition_hint *hint = &partition->hints[i];
        if (hint->offset == offset && hint->segment == segment->serial && hint->position > 0) {
            *ret_position = hint->position;
            return true;
        }
    }
    return false;
}

/* Begin to walk over a segment's batches. Its descriptor is pinned until it is unpinned. */
static int walk_begin(struct beck_partition *partition, struct segment *segment,
                      enum scan_depth depth, uint64_t position, uint64_t limit,
                      struct beck_error *error)
{
    int fd = segment_pin(segment, false);
    if (fd < 0)
        return segments_stale(partition, segment, fd, error);
    scan_begin(&partition->scan, partition->store->io, fd, depth, position, limit);
    return 0;
}

/* Search one segment. Returns 1, and sets the place's position, or 0. */
static int segment_find_offset(struct beck_partition *partition, const struct live_tail *tail,
                               int64_t offset, struct lookup_place *place, struct beck_error *error)
{
    struct segment *segment = place->segment;
    struct index_entry entry;
    struct scan_batch batch;
    if (place->limit == 0)
        return 0;
    if (hint_find(partition, offset, segment, &place->position))
        return place->position < place->limit;
    lookup_entry(partition, segment, tail, (struct lookup_target){INDEX_BY_OFFSET, offset}, &entry);
    int r = walk_begin(partition, segment, SCAN_HEADERS, entry.position, place->limit, error);
    if (r < 0)
        return r;
    do
        r = scan_next(&partition->scan, &batch, error);
    while (r == 1 && batch_next_offset(&batch.summary.header) <= offset);
    segment_unpin(segment);
    if (r == 1)
        place->position = batch.position;
    return r;
}

int lookup_batch(struct beck_partition *partition, const struct live_tail *tail,
                 const struct log_point *bound, int64_t offset, struct lookup_place *ret_place,
                 struct beck_error *error)
{
    struct lookup_place place = {0};
    int r = 0;
    for (;;) {
        segment_unref(place.segment);
        place = (struct lookup_place){.segment = lookup_segment(partition, offset, bound)};
        if (!place.segment)
            break;
        place.limit = segment_limit(place.segment, bound);
        r = segment_find_offset(partition, tail, offset, &place, error);
        if (r != 0)
            break;
        /* The segment's last offsets are not there any more: go on with the next. */
        int64_t next_offset = place.segment->next_offset;
        place.position = place.limit;
        if (place.segment->base_offset >= bound->segment || next_offset <= offset ||
            next_offset == INT64_MAX)
            break;
        offset = next_offset;
    }
    *ret_place = place;
    return r;
}

/* ---- by time ------------------------------------------------------------------------------- */

/* The first record of a batch that is not before the time, and in the log still. Returns 1 or 0. */
static int batch_find_time(struct scan *scan, const struct scan_batch *batch, int64_t timestamp_ms,
                           int64_t log_start_offset, struct beck_record *ret_record,
                           struct beck_error *error)
{
    struct record_iterator iterator;
    int r = scan_records(scan, batch, &iterator, error);
    if (r < 0)
        return r;
    do
        r = record_next(&iterator, ret_record);
    while (r == 1 &&
           (ret_record->timestamp_ms < timestamp_ms || ret_record->offset < log_start_offset));
    return r < 0 ? report(error, r, "a record of the batch is malformed") : r;
}

/* Search one segment. Returns 1 or 0. */
static int segment_find_time(struct beck_partition *partition, struct segment *segment,
                             int64_t timestamp_ms, const struct live_tail *tail, uint64_t limit,
                             struct beck_record *ret_record, struct beck_error *error)
{
    struct scan *scan = &partition->scan;
    struct index_entry entry;
    struct scan_batch batch;
    lookup_entry(partition, segment, tail, (struct lookup_target){INDEX_BY_TIME, timestamp_ms},
                 &entry);
    int r = walk_begin(partition, segment, SCAN_CRC, entry.position, limit, error);
    if (r < 0)
        return r;
    while ((r = scan_next(scan, &batch, error)) == 1) {
        const struct batch_header *header = &batch.summary.header;
        if (header->max_timestamp_ms < timestamp_ms ||
            batch_next_offset(header) <= tail->log_start.offset)
            continue;
        r = batch_find_time(scan, &batch, timestamp_ms, tail->log_start.offset, ret_record, error);
        if (r != 0)
            break;
    }
    segment_unpin(segment);
    return r;
}

static int find_time(struct beck_partition *partition, int64_t timestamp_ms,
                     enum beck_isolation isolation, struct beck_record *ret_record,
                     struct beck_error *error)
{
    struct live_tail tail;
    int r = lookup_begin(partition, &tail, error);
    if (r < 0)
        return r;
    const struct log_point *bound = tail_bound(&tail, isolation);
    struct segment *segment = next_segment(partition, NULL, bound);
    while (segment && r == 0) {
        uint64_t limit = segment_limit(segment, bound);
        int64_t max = segment->base_offset == tail.end.segment ? tail.max_timestamp_ms
                                                               : segment->max_timestamp_ms;
        if (limit > 0 && max >= timestamp_ms)
            r = segment_find_time(partition, segment, timestamp_ms, &tail, limit, ret_record,
                                  error);
        segment = r == 0 ? next_segment(partition, segment, bound) : segment_unref(segment);
    }
    lookup_end(partition);
    return r;
}

int lookup_time(struct beck_partition *partition, int64_t timestamp_ms,
                enum beck_isolation isolation, int64_t *ret_offset, int64_t *ret_timestamp_ms,
                struct beck_error *error)
{
    struct beck_record record;
    int r;
    do
        r = find_time(partition, timestamp_ms, isolation, &record, error);
    while (r == -EAGAIN);
    if (r < 0)
        return partition_failed(partition, r, -1, error);
    if (r == 1) {
        *ret_offset = record.offset;
        *ret_timestamp_ms = record.timestamp_ms;
    }
    return r;
}

/* The largest timestamp in the part of a segment that readers see. */
static int visible_max_timestamp(struct beck_partition *partition, struct segment *segment,
                                 const struct live_tail *tail, int64_t *max,
                                 struct beck_error *error)
{
    uint64_t limit = segment_limit(segment, &tail->high);
    struct index_entry entry;
    struct scan_batch batch;
    if (limit == 0)
        return 0;
    lookup_entry(partition, segment, tail,
                 (struct lookup_target){INDEX_BY_POSITION, (int64_t)limit}, &entry);
    if (entry.max_timestamp_ms > *max)
        *max = entry.max_timestamp_ms;
    int r = walk_begin(partition, segment, SCAN_CRC, entry.position, limit, error);
    if (r < 0)
        return r;
    while ((r = scan_next(&partition->scan, &batch, error)) == 1)
        if (batch.summary.header.max_timestamp_ms > *max)
            *max = batch.summary.header.max_timestamp_ms;
    segment_unpin(segment);
    return r;
}

/* The largest timestamp of a batch's records from an offset on. */
static int batch_max_timestamp(struct scan *scan, const struct scan_batch *batch, int64_t offset,
                               int64_t *max, struct beck_error *error)
{
    const struct batch_header *header = &batch->summary.header;
    struct beck_record record;
    if (header->base_offset >= offset) {
        if (header->max_timestamp_ms > *max)
            *max = header->max_timestamp_ms;
        return 0;
    }
    struct record_iterator iterator;
    int r = scan_records(scan, batch, &iterator, error);
    if (r < 0)
        return r;
    while ((r = record_next(&iterator, &record)) == 1)
        if (record.offset >= offset && record.timestamp_ms > *max)
            *max = record.timestamp_ms;
    return r < 0 ? report(error, r, "a record of the batch is malformed") : 0;
}

/* The same of the segment that the log begins in the middle of. */
static int first_max_timestamp(struct beck_partition *partition, struct segment *segment,
                               const struct live_tail *tail, int64_t *max, struct beck_error *error)
{
    struct scan *scan = &partition->scan;
    struct scan_batch batch;
    uint64_t limit = segment_limit(segment, &tail->high);
    if (limit == 0)
        return 0;
    int r = walk_begin(partition, segment, SCAN_CRC, tail->log_start.position, limit, error);
    if (r < 0)
        return r;
    while ((r = scan_next(scan, &batch, error)) == 1) {
        r = batch_max_timestamp(scan, &batch, tail->log_start.offset, max, error);
        if (r < 0)
            break;
    }
    segment_unpin(segment);
    return r;
}

static int find_max_timestamp(struct beck_partition *partition, int64_t *ret_max,
                              struct beck_error *error)
{
    struct live_tail tail;
    int64_t max = INT64_MIN;
    int r = lookup_begin(partition, &tail, error);
    if (r < 0)
        return r;
    struct segment *segment = next_segment(partition, NULL, &tail.high);
    /* Where the log begins inside of it, the first segment has to be read: so it comes last, and
     * only where it could have the largest one. */
    struct segment *first =
        segment && tail.log_start.offset > segment->base_offset ? segment_ref(segment) : NULL;
    if (first)
        segment = next_segment(partition, segment, &tail.high);
    while (segment && r == 0) {
        if (segment->base_offset == tail.high.segment)
            r = visible_max_timestamp(partition, segment, &tail, &max, error);
        else if (segment->max_timestamp_ms > max)
            max = segment->max_timestamp_ms;
        segment = next_segment(partition, segment, &tail.high);
    }
    if (r == 0 && first && first->max_timestamp_ms > max)
        r = first_max_timestamp(partition, first, &tail, &max, error);
    segment_unref(first);
    segment_unref(segment);
    lookup_end(partition);
    *ret_max = max;
    return r;
}

int lookup_max_timestamp(struct beck_partition *partition, int64_t *ret_timestamp_ms,
                         struct beck_error *error)
{
    int64_t max = INT64_MIN;
    int r;
    do
        r = find_max_timestamp(partition, &max, error);
    while (r == -EAGAIN);
    if (r < 0)
        return partition_failed(partition, r, -1, error);
    if (max == INT64_MIN)
        return 0;
    *ret_timestamp_ms = max;
    return 1;
}

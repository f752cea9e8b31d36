/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A reader goes from batch to batch through the segments, up to what it may see, and hands out
 * records or bytes of the file view. Each batch's CRC is checked as it is loaded. Reading on takes
 * no lock but at a segment's end, and no search.
 *
 * The view of a record is its value and a newline; a read that ends inside of one leaves in `skip`
 * how much of it was rendered, and the next one goes on from there.
 */
#include "reader.h"

#include "bytes.h"
#include "check.h"
#include "lookup.h"
#include "record.h"
#include "report.h"
#include "start.h"
#include "view.h"

#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>

struct beck_reader {
    struct beck_partition *partition;
    enum beck_isolation isolation;
    struct scan scan;
    struct segment *segment; /* referenced and pinned; NULL: nowhere yet */

    int64_t next_offset;  /* of the record that is wanted next */
    int64_t batch_offset; /* that the batch at the scan's position has, or the one after a hole */
    bool in_batch;        /* the iterator stands in a batch's records */
    struct record_iterator iterator;

    uint64_t view_position; /* that the next byte has; UINT64_MAX: the iterator is not there */
    uint64_t skip;          /* bytes of the record before the iterator that were rendered */
    int64_t previous_end;   /* offset after the batch that was read last; 0: none since a search */
    int64_t end_offset;     /* that the last batch before the scan's end may have */
    bool viewing;           /* the last thing read was the view */
    bool has_head;          /* positions of the view are counted from this one: */
    struct beck_view_head head;
};

int reader_new(struct beck_partition *partition, enum beck_isolation isolation,
               struct beck_reader **ret_reader)
{
    struct beck_reader *reader = calloc(1, sizeof(*reader));
    if (!reader)
        return -ENOMEM;
    reader->partition = partition;
    reader->isolation = isolation;
    reader->scan.fd = -1;
    reader->next_offset = -1;
    reader->view_position = UINT64_MAX;
    *ret_reader = reader;
    return 0;
}

struct beck_store *reader_store(const struct beck_reader *reader)
{
    return reader->partition->store;
}

void reader_view_from(struct beck_reader *reader, const struct beck_view_head *head)
{
    reader->head = *head;
    reader->has_head = true;
    reader->view_position = UINT64_MAX;
}

static void reader_leave_segment(struct beck_reader *reader)
{
    if (reader->segment) {
        segment_unpin(reader->segment);
        reader->segment = segment_unref(reader->segment);
    }
    reader->in_batch = false;
    reader->view_position = UINT64_MAX;
}

struct beck_reader *reader_free(struct beck_reader *reader)
{
    if (!reader)
        return NULL;
    reader_leave_segment(reader);
    scan_done(&reader->scan);
    free(reader);
    return NULL;
}

/* Stand at a position of a segment, which somebody else holds a reference on. */
static int reader_enter_segment(struct beck_reader *reader, struct segment *segment,
                                uint64_t position, const struct log_point *bound,
                                struct beck_error *error)
{
    uint64_t limit = segment_limit(segment, bound);
    reader_leave_segment(reader);
    int fd = segment_pin(segment, false);
    if (fd < 0)
        return segments_stale(reader->partition, segment, fd, error);
    reader->segment = segment_ref(segment);
    reader->end_offset =
        segment->base_offset == bound->segment ? bound->offset : segment->next_offset;
    scan_begin(&reader->scan, reader->partition->store->io, fd, SCAN_CRC, position, limit);
    return 0;
}

/* Stand before the batch that has the offset or the next one after it; where there is none below
 * the bound, where it is to come, or stay. Between lookup_begin() and lookup_end(). */
static int reader_find(struct beck_reader *reader, int64_t offset, const struct live_tail *tail,
                       struct beck_error *error)
{
    const struct log_point *bound = tail_bound(tail, reader->isolation);
    struct lookup_place place;
    int r = lookup_batch(reader->partition, tail, bound, offset, &place, error);
    /* Of a segment without batches there may be no file yet: reading on comes here again. */
    if (r >= 0 && place.limit > 0)
        r = reader_enter_segment(reader, place.segment, place.position, bound, error);
    segment_unref(place.segment);
    return r < 0 ? r : 0;
}

static int reader_go(struct beck_reader *reader, int64_t offset, struct beck_error *error)
{
    int r;
    do {
        struct live_tail tail;
        r = lookup_begin(reader->partition, &tail, error);
        if (r < 0)
            return r;
        r = reader_find(reader, offset, &tail, error);
        lookup_end(reader->partition);
    } while (r == -EAGAIN);
    return r;
}

/* -ESTALE where the record that comes next was removed. */
static int reader_check_start(const struct beck_reader *reader, int64_t offset,
                              struct beck_error *error)
{
    int64_t log_start = partition_log_start(reader->partition);
    return LIKELY(offset >= log_start)
               ? 0
               : report(error, -ESTALE,
                        "offset %" PRId64 " was removed; the log starts at %" PRId64 " by now",
                        offset, log_start);
}

/* At the end of a segment, or of what was visible of it: go on with what comes after the last
 * batch, wherever that is now. Returns 1 where there is more, or 0. */
static int reader_leave_off(struct beck_reader *reader, struct beck_error *error)
{
    uint64_t view_position = reader->view_position;
    uint64_t skip = reader->skip;
    int64_t offset = reader->batch_offset;
    int64_t next_offset = reader->segment->next_offset;
    if (next_offset != INT64_MAX && next_offset > offset)
        offset = next_offset;
    int r = reader_check_start(reader, offset, error);
    if (r == 0)
        r = reader_go(reader, offset, error);
    if (r == 0)
        r = reader_check_start(reader, offset, error);
    if (r < 0 || !reader->segment)
        return r;
    reader->view_position = view_position;
    reader->skip = skip;
    if (reader->batch_offset < reader->segment->base_offset)
        reader->batch_offset = reader->segment->base_offset;
    return reader->scan.position < reader->scan.end;
}

/* Take over how far may be read by now; at the end of a segment, go to the next. Returns 1 where
 * there is more, or 0. */
static int reader_extend(struct beck_reader *reader, struct beck_error *error)
{
    struct beck_partition *partition = reader->partition;
    struct segment *segment = reader->segment;
    struct live_tail tail;
    int r = partition_tail(partition, &tail, error);
    if (r < 0)
        return r;
    const struct log_point *bound = tail_bound(&tail, reader->isolation);
    if (segment->base_offset == bound->segment) {
        reader->scan.end = bound->position;
        reader->end_offset = bound->offset;
        return reader->scan.position < reader->scan.end;
    }
    /* It was rolled: have its end told. */
    r = segments_lock(partition, &tail, error);
    if (r < 0)
        return r;
    segments_unlock(partition);
    uint64_t bytes = segment->bytes;
    if (bytes == UINT64_MAX || reader->scan.position >= bytes ||
        segment->base_offset >= bound->segment)
        return reader_leave_off(reader, error);
    reader->scan.end = bytes;
    reader->end_offset = segment->next_offset;
    return 1;
}

/* Is what stands there a good batch? Returns 1, or 0. */
static int next_is_good(const struct scan *scan)
{
    struct scan ahead = {.fd = -1};
    struct scan_batch next;
    scan_begin(&ahead, scan->io, scan->fd, SCAN_CRC, scan->position, scan->end);
    int r = scan_next(&ahead, &next, NULL);
    scan_done(&ahead);
    return r == -EBADMSG ? 0 : r;
}

/* The base offset is not covered by the CRC, only by its neighbours: it is not below the end of the
 * batch before it, and where there is a hole, or nothing known of that one, the batch behind it is
 * looked at. One that is damaged says nothing of its neighbour. */
static int reader_check_offset(struct beck_reader *reader, const struct batch_header *header,
                               struct beck_error *error)
{
    const struct scan *scan = &reader->scan;
    int64_t next_offset = batch_next_offset(header);
    uint8_t next[8];
    int64_t limit = reader->end_offset;
    if (header->base_offset < reader->previous_end)
        return report(error, -EBADMSG, "offset %" PRId64 " comes after %" PRId64,
                      header->base_offset, reader->previous_end - 1);
    if (LIKELY(header->base_offset == reader->previous_end && reader->previous_end > 0))
        return 0;
    if (scan->position < scan->end) {
        ssize_t n = scan->io->read(scan->io, scan->fd, next, sizeof(next), scan->position);
        int r = n != (ssize_t)sizeof(next)                ? (n < 0 ? (int)n : -EBADMSG)
                : next_offset <= (int64_t)load_be64(next) ? 0
                                                          : next_is_good(scan);
        if (r < 0)
            return report_errno(error, r, "the next batch cannot be read");
        if (r == 1)
            limit = (int64_t)load_be64(next);
    }
    if (next_offset > limit)
        return report(error, -EBADMSG, "the batch of offset %" PRId64 " stands before %" PRId64,
                      header->base_offset, limit);
    return 0;
}

/* Load the next batch that has records for readers. Returns 1 or 0. */
static int reader_next_batch(struct beck_reader *reader, struct beck_error *error)
{
    struct scan *scan = &reader->scan;
    struct scan_batch batch;
    int r;

    reader->in_batch = false;
    do {
        if (scan->position >= scan->end) {
            r = reader_extend(reader, error);
            if (r <= 0)
                return r;
        }
        r = scan_next(scan, &batch, error);
        if (r < 0)
            return r;
    } while (r == 0 || (batch.summary.header.attributes & BATCH_CONTROL));

    const struct batch_header *header = &batch.summary.header;
    r = reader->viewing ? 0 : reader_check_start(reader, reader->next_offset, error);
    if (r == 0)
        r = reader_check_offset(reader, header, error);
    if (r == 0)
        r = scan_records(scan, &batch, &reader->iterator, error);
    if (r < 0) {
        scan->position = batch.position;
        report_place(error, NULL, -1, -1, (int64_t)batch.position);
        return r;
    }
    reader->batch_offset = reader->previous_end = batch_next_offset(header);
    reader->in_batch = true;
    return 1;
}

/* Damage was met: the reader stays before it, and says so again. */
static int reader_failed(struct beck_reader *reader, int code, struct beck_error *error)
{
    reader->view_position = UINT64_MAX;
    return partition_failed(reader->partition, code, reader->batch_offset, error);
}

/* ---- records ------------------------------------------------------------------------------- */

int reader_seek(struct beck_reader *reader, int64_t offset, struct beck_error *error)
{
    struct beck_partition *partition = reader->partition;
    struct live_tail tail;
    int r = partition_tail(partition, &tail, error);
    if (r < 0)
        return r;
    if (offset < tail.log_start.offset || offset > tail.end.offset) {
        r = report(error, -ERANGE,
                   "offset %" PRId64 " is outside of the log, which has %" PRId64 " to %" PRId64,
                   offset, tail.log_start.offset, tail.end.offset);
        return partition_failed(partition, r, -1, error);
    }
    reader_leave_segment(reader);
    r = reader_go(reader, offset, error);
    reader->next_offset = reader->batch_offset = offset;
    reader->previous_end = 0;
    reader->viewing = false;
    return r < 0 ? partition_failed(partition, r, offset, error) : 0;
}

int reader_next(struct beck_reader *reader, struct beck_record *ret_record,
                struct beck_error *error)
{
    int r = 0;
    if (UNLIKELY(reader->viewing))
        reader_leave_segment(reader);
    reader->viewing = false;
    reader->view_position = UINT64_MAX;
    if (!reader->segment) {
        struct live_tail tail;
        int64_t offset = reader->next_offset;
        r = partition_tail(reader->partition, &tail, error);
        if (r == 0 && offset >= 0 && (r = reader_check_start(reader, offset, error)) < 0)
            return reader_failed(reader, r, error);
        if (r == 0)
            r = reader_seek(reader, offset >= 0 ? offset : tail.log_start.offset, error);
        if (r < 0 || !reader->segment)
            return r;
    }
    for (;;) {
        if (!reader->in_batch) {
            r = reader_next_batch(reader, error);
            if (r <= 0)
                return r < 0 ? reader_failed(reader, r, error) : 0;
        }
        r = record_next(&reader->iterator, ret_record);
        if (UNLIKELY(r < 0))
            return reader_failed(reader, report(error, r, "a record is malformed"), error);
        if (r == 0) {
            reader->in_batch = false;
            continue;
        }
        if (UNLIKELY(ret_record->offset < reader->next_offset))
            continue;
        reader->next_offset = ret_record->offset + 1;
        return 1;
    }
}

/* ---- the view ------------------------------------------------------------------------------ */

/* The segment that has a position of the view. Under the partition's mutex. */
static struct segment *view_segment(const struct beck_partition *partition, uint64_t position,
                                    const struct log_point *bound)
{
    struct segment *found = NULL;
    size_t low = 0;
    size_t high = partition->segment_count;
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        struct segment *segment = partition->segments[middle];
        if (segment->base_offset <= bound->segment && segment->view_begin <= position) {
            found = segment;
            low = middle + 1;
        } else {
            high = middle;
        }
    }
    return found;
}

/* The position in the view of the segments of the list, of which the first may begin before the log
 * does. -ESTALE: it is not there any more. */
static int reader_map_view(struct beck_reader *reader, const struct live_tail *tail,
                           uint64_t position, uint64_t *ret_position, struct beck_error *error)
{
    uint64_t generation = segments_view_generation(reader->partition, tail);
    if (!reader->has_head) {
        reader->head = (struct beck_view_head){generation, tail->view_trimmed};
        reader->has_head = true;
    }
    if (reader->head.generation != generation)
        return report(error, -ESTALE,
                      "positions of the view have changed; the log starts at %" PRId64 " by now",
                      tail->log_start.offset);
    uint64_t removed = tail->view_trimmed - reader->head.trimmed;
    if (position < removed)
        return report(error, -ESTALE,
                      "byte %" PRIu64 " of the view was removed; the log starts at %" PRId64
                      " by now",
                      position, tail->log_start.offset);
    *ret_position = position - removed + tail->log_start.view;
    return 0;
}

/* Stand before the batch that a search for the position begins at; `skip` has the rest. Returns 1,
 * or 0 where the position is at the view's end or beyond. */
static int reader_find_view(struct beck_reader *reader, uint64_t position, struct beck_error *error)
{
    struct beck_partition *partition = reader->partition;
    struct live_tail tail;
    struct index_entry entry;
    int r = start_lock(partition, &tail, error);
    if (r < 0)
        return r;
    const struct log_point *bound = tail_bound(&tail, reader->isolation);
    uint64_t in_list = 0;
    r = reader_map_view(reader, &tail, position, &in_list, error);
    struct segment *segment = r == 0 ? view_segment(partition, in_list, bound) : NULL;
    uint64_t inside = segment ? in_list - segment->view_begin : 0;
    if (segment && segment->base_offset == bound->segment && inside >= bound->view)
        segment = NULL;
    if (segment)
        segment_ref(segment);
    segments_unlock(partition);
    if (!segment)
        return r;
    lookup_entry(partition, segment, &tail, (struct lookup_target){INDEX_BY_VIEW, (int64_t)inside},
                 &entry);
    r = reader_enter_segment(reader, segment, entry.position, bound, error);
    segment_unref(segment);
    if (r < 0)
        return r;
    reader->skip = inside - entry.view;
    reader->batch_offset = entry.offset;
    reader->previous_end = 0;
    reader->view_position = position;
    return 1;
}

static int reader_seek_view(struct beck_reader *reader, uint64_t position, struct beck_error *error)
{
    int r;
    do
        r = reader_find_view(reader, position, error);
    while (r == -EAGAIN);
    return r < 0 ? partition_failed(reader->partition, r, -1, error) : r;
}

ssize_t reader_view(struct beck_reader *reader, uint64_t position, void *buffer, size_t size,
                    struct beck_error *error)
{
    size_t done = 0;
    int r;
    reader->viewing = true;
    if (reader->view_position != position || !reader->segment) {
        r = reader_seek_view(reader, position, error);
        if (r <= 0)
            return r;
    }
    while (done < size) {
        if (!reader->in_batch) {
            r = reader_next_batch(reader, error);
            if (r == 0)
                break;
            if (r < 0) {
                /* What was good before the damage is served; the next call meets it again. */
                (void)reader_failed(reader, r, error);
                return done > 0 ? (ssize_t)done : r;
            }
        }
        ssize_t n =
            view_render(&reader->iterator, &reader->skip, (char *)buffer + done, size - done);
        if (UNLIKELY(n < 0)) {
            reader->in_batch = false;
            n = reader_failed(reader, report(error, (int)n, "a record is malformed"), error);
            return done > 0 ? (ssize_t)done : n;
        }
        done += (size_t)n;
        reader->view_position += (size_t)n;
        if (done < size || reader->iterator.remaining == 0)
            reader->in_batch = false;
    }
    return (ssize_t)done;
}

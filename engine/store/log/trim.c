/* SPDX-License-Identifier: Apache-2.0 */
/*
 * All of it under the maintenance lock, so that log start and catalogue stand still. In this order,
 * so that whoever is killed, or loses power, leaves nothing that is wrong:
 *
 *  1. A checkpoint stands in the first segment that stays, or behind it.
 *  2. The new log start is committed to meta.mdb: from here on it holds.
 *  3. The slot's tail has it: all processes see it.
 *  4. index.mdb forgets the segments below it.
 *  5. Their files are removed. Who has them open reads on.
 *
 * Where it stops between 2 and 3, or between 3 and 5, the next trim or recovery does the rest.
 */
#include "trim.h"

#include "check.h"
#include "checkpoint.h"
#include "cleanup.h"
#include "exchange.h"
#include "lookup.h"
#include "report.h"
#include "segments.h"
#include "start.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>

/* A trim under way. */
struct trim {
    struct beck_partition *partition;
    struct live_tail tail; /* as it was when the point was looked for */
    struct log_point point;
    uint64_t point_bytes; /* of the file that it is in, where that is complete; else 0 */
};

/* ---- where the log is to begin ------------------------------------------------------------- */

static int place_to_point(struct trim *trim, const struct lookup_place *place, int64_t offset,
                          struct beck_error *error)
{
    struct beck_partition *partition = trim->partition;
    struct segment *segment = place->segment;
    struct index_entry from;
    int fd = segment_pin(segment, false);
    if (fd < 0)
        return segments_stale(partition, segment, fd, error);
    struct start_file file = {partition->store->io, fd, segment->base_offset, place->limit};
    lookup_entry(partition, segment, &trim->tail,
                 (struct lookup_target){INDEX_BY_POSITION, (int64_t)place->position}, &from);
    int r = start_find(&partition->scan, &file, &from, offset, &trim->point, error);
    segment_unpin(segment);
    return r < 0 ? r : 0;
}

/* Find the place of an offset, or of the high watermark where it is -1. */
static int find_point(struct trim *trim, int64_t offset, struct beck_error *error)
{
    struct lookup_place place = {0};
    const struct live_tail *tail = &trim->tail;
    int r = lookup_begin(trim->partition, &trim->tail, error);
    if (r < 0)
        return r;
    if (offset < 0)
        offset = tail->high.offset;
    if (offset > tail->high.offset)
        r = report(error, -ERANGE,
                   "offset %" PRId64 " is above the high watermark, which is %" PRId64, offset,
                   tail->high.offset);
    else if (offset <= tail->log_start.offset)
        trim->point = tail->log_start;
    else
        r = lookup_batch(trim->partition, tail, &tail->high, offset, &place, error);
    if (r == 1) {
        r = place_to_point(trim, &place, offset, error);
    } else if (r == 0 && offset > tail->log_start.offset) {
        trim->point = tail->high;
        trim->point.offset = offset;
    }
    segment_unref(place.segment);
    lookup_end(trim->partition);
    return r;
}

/* Bytes of the view between the present log start and the new one. */
static int view_between(struct trim *trim, uint64_t *ret_bytes, struct beck_error *error)
{
    const struct log_point *from = &trim->tail.log_start;
    const struct log_point *to = &trim->point;
    struct live_tail now;
    int r = segments_lock(trim->partition, &now, error);
    if (r < 0)
        return r;
    trim->point_bytes = 0;
    const struct segment *first = segments_find(trim->partition, from->segment);
    const struct segment *last = segments_find(trim->partition, to->segment);
    if (last && last->bytes != UINT64_MAX)
        trim->point_bytes = last->bytes;
    if (first && last)
        *ret_bytes = last->view_begin + to->view - first->view_begin - from->view;
    segments_unlock(trim->partition);
    return first && last ? 0
                         : report(error, -EBADMSG, "index.mdb: segment %" PRId64 " is missing",
                                  first ? to->segment : from->segment);
}

/* ---- the steps ----------------------------------------------------------------------------- */

/* Recovery must not begin in a segment that goes. */
static int have_checkpoint(struct trim *trim, struct beck_error *error)
{
    struct beck_partition *partition = trim->partition;
    struct db *index = &partition->store->index;
    struct index_checkpoint checkpoint;
    {
        _cleanup_txn_ MDB_txn *txn = NULL;
        int r = db_begin(index, false, &txn, error);
        if (r < 0)
            return r;
        r = index_checkpoint_get(index, txn, partition->topic.number, (uint32_t)partition->number,
                                 &checkpoint);
        if (r == 0 && checkpoint.end.segment >= trim->point.segment &&
            checkpoint.end.offset >= trim->point.offset)
            return 0;
    }
    return checkpoint_partition(partition, error);
}

static int commit_start(struct trim *trim, struct beck_error *error)
{
    struct beck_partition *partition = trim->partition;
    struct db *meta = &partition->store->meta;
    uint32_t number = partition->topic.number;
    struct meta_partition record;
    _cleanup_txn_ MDB_txn *txn = NULL;
    int r = db_begin(meta, true, &txn, error);
    if (r < 0)
        return r;
    r = meta_partition_get(meta, txn, number, (uint32_t)partition->number, &record);
    if (r == -ENOENT)
        return report(error, -ESTALE, "the topic was deleted");
    if (r == 0 && record.log_start_offset >= trim->point.offset)
        return 0;
    record.log_start_offset = trim->point.offset;
    if (r == 0)
        r = meta_partition_put(meta, txn, number, (uint32_t)partition->number, &record);
    if (r < 0)
        return report_errno(error, r, "meta.mdb: cannot write the log start");
    return db_commit(meta, TAKE_POINTER(txn), error);
}

static int publish(struct trim *trim, uint64_t view_bytes, struct beck_error *error)
{
    struct beck_partition *partition = trim->partition;
    struct live_slot *slot = partition->slot;
    int r = partition_lock(partition, error);
    if (r < 0)
        return r;
    struct live_tail tail = *live_tail_locked(slot);
    if (tail.log_start.segment != trim->point.segment)
        tail.segments_generation++;
    tail.log_start = trim->point;
    tail.log_start_bytes = trim->point_bytes;
    tail.view_trimmed += view_bytes;
    atomic_store(&slot->log_start_offset, tail.log_start.offset);
    live_tail_publish(slot, &tail);
    partition_unlock(partition);
    waiter_ring(&partition->store->waiter, &slot->armed, partition->slot_number);
    return 0;
}

static int forget_segments(struct trim *trim)
{
    struct beck_partition *partition = trim->partition;
    struct db *index = &partition->store->index;
    _cleanup_txn_ MDB_txn *txn = NULL;
    int r = db_begin(index, true, &txn, NULL);
    if (r == 0)
        r = index_forget_below(index, txn, partition->topic.number, (uint32_t)partition->number,
                               trim->point.segment);
    return r < 0 ? r : db_commit(index, TAKE_POINTER(txn), NULL);
}

struct removal {
    const struct io *io;
    int directory;
    int64_t below;
};

static int remove_below(void *context, const char *name)
{
    const struct removal *removal = context;
    int64_t base;
    if (segment_name_parse(name, &base) == 0 && base < removal->below)
        (void)removal->io->remove(removal->io, removal->directory, name, false);
    return 0;
}

static void remove_files(struct trim *trim)
{
    const struct beck_partition *partition = trim->partition;
    const struct io *io = partition->store->io;
    _cleanup_close_ int fd =
        io->open(io, partition->store->directory, partition->path, O_RDONLY | O_DIRECTORY, 0);
    struct removal removal = {io, fd, trim->point.segment};
    if (fd >= 0)
        (void)io_list(io, fd, remove_below, &removal);
}

/* A file that is open here takes its room for as long. Other processes do the same now and then. */
static void let_go(struct beck_partition *partition)
{
    struct live_tail tail;
    if (segments_lock(partition, &tail, NULL) == 0)
        segments_unlock(partition);
}

/* The point is found. What fails once it is committed is done again by the next trim or recovery,
 * and is no failure of this one. */
static int carry_out(struct trim *trim, struct beck_error *error)
{
    uint64_t view_bytes = 0;
    bool goes = trim->point.segment != trim->tail.log_start.segment;
    int r = view_between(trim, &view_bytes, error);
    if (r == 0)
        r = have_checkpoint(trim, error);
    if (r == 0)
        r = commit_start(trim, error);
    if (r == 0)
        r = publish(trim, view_bytes, error);
    if (r == 0 && goes && forget_segments(trim) == 0) {
        remove_files(trim);
        let_go(trim->partition);
    }
    return r;
}

/* ---- what is asked for --------------------------------------------------------------------- */

int trim_to_segment(struct beck_partition *partition, int64_t base_offset, struct beck_error *error)
{
    struct trim trim = {.partition = partition};
    int r = exchange_finish_partition(partition, error);
    if (r == 0)
        r = partition_tail(partition, &trim.tail, error);
    if (r < 0 || base_offset <= trim.tail.log_start.segment)
        return r;
    /* Where nobody could read between the high watermark and the segment, it begins there. */
    int64_t offset = base_offset < trim.tail.high.offset ? base_offset : trim.tail.high.offset;
    if (offset < trim.tail.log_start.offset)
        offset = trim.tail.log_start.offset;
    trim.point = (struct log_point){.offset = offset, .segment = base_offset};
    r = carry_out(&trim, error);
    return r < 0 ? partition_failed(partition, r, -1, error) : 0;
}

int trim_partition(struct beck_partition *partition, int64_t offset, int64_t *ret_log_start_offset,
                   struct beck_error *error)
{
    struct trim trim = {.partition = partition};
    pthread_mutex_t *lock = &live_store(&partition->store->live)->maintenance;
    int r;
    (void)live_lock(lock);
    do {
        r = exchange_finish_partition(partition, error);
        if (r == 0)
            r = find_point(&trim, offset, error);
        /* Of such a partition it is not known for sure where the segments begin and end. */
        if (r == 0 && (atomic_load(&partition->slot->flags) & LIVE_FAILED))
            r = report(error, -EIO,
                       "the disk refused an earlier write; the store has to be "
                       "opened anew");
    } while (r == -EAGAIN);
    if (r == 0 && trim.point.offset > trim.tail.log_start.offset)
        r = carry_out(&trim, error);
    live_unlock(lock);
    if (r < 0)
        return partition_failed(partition, r, offset, error);
    *ret_log_start_offset = trim.point.offset;
    return 0;
}

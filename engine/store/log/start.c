/* SPDX-License-Identifier: Apache-2.0 */
/* A walk over the batches before the offset, and over the records of the one that has it. */
#include "start.h"

#include "check.h"
#include "record.h"
#include "recover_start.h"
#include "report.h"
#include "segments.h"

#include <errno.h>

/* Bytes of the view of a batch's records that are below the offset. */
static int view_below(struct scan *scan, const struct scan_batch *batch, int64_t offset,
                      uint64_t *ret_bytes)
{
    const struct batch_header *header = &batch->summary.header;
    struct record_iterator iterator;
    struct beck_record record;
    uint64_t bytes = 0;
    *ret_bytes = 0;
    if (header->base_offset >= offset || (header->attributes & BATCH_CONTROL))
        return 0;
    int r = scan_records(scan, batch, &iterator, NULL);
    if (r < 0)
        return r;
    while ((r = record_next(&iterator, &record)) == 1 && record.offset < offset)
        bytes += (record.value_size > 0 ? (uint64_t)record.value_size : 0) + 1;
    *ret_bytes = bytes;
    return r < 0 ? r : 0;
}

int start_find(struct scan *scan, const struct start_file *file, const struct index_entry *from,
               int64_t offset, struct log_point *ret_point, struct beck_error *error)
{
    struct log_point point = {offset, file->base_offset, from->position, from->view};
    struct scan_batch batch;
    uint64_t below = 0;
    int r;
    scan_begin(scan, file->io, file->fd, SCAN_RECORDS, from->position, file->limit);
    while ((r = scan_next(scan, &batch, error)) == 1) {
        point.position = batch.position;
        if (batch_next_offset(&batch.summary.header) > offset)
            break;
        point.view += batch.summary.view_bytes;
        point.position = scan->position;
    }
    bool found = r != 0;
    if (r == 1)
        r = view_below(scan, &batch, offset, &below);
    if (r < 0 && r != -EBADMSG)
        return report_errno(error, r, "cannot read up to the log start");
    point.view += below;
    *ret_point = point;
    return found;
}

/* With the list locked. */
static bool is_place_in_list(struct beck_partition *partition, const struct live_tail *tail)
{
    if (tail->log_start.position == 0 && tail->log_start.view == 0)
        return true;
    const struct segment *first = segments_find(partition, tail->log_start.segment);
    return first && (tail->log_start_bytes == 0 || first->bytes == UINT64_MAX ||
                     first->bytes == tail->log_start_bytes);
}

int start_lock(struct beck_partition *partition, struct live_tail *ret_tail,
               struct beck_error *error)
{
    struct log_point point;
    uint64_t bytes;
    int r = segments_lock(partition, ret_tail, error);
    if (r < 0 || LIKELY(is_place_in_list(partition, ret_tail)))
        return r;
    segments_unlock(partition);
    r = recover_start_again(partition, &point, &bytes, error);
    if (r == 0)
        r = segments_lock(partition, ret_tail, error);
    if (r < 0)
        return r;
    if (!is_place_in_list(partition, ret_tail) && ret_tail->log_start.offset == point.offset)
        ret_tail->log_start = point;
    return 0;
}

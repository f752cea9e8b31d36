/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Log start points: where in a segment the record stands that the log begins with, and how much of
 * the segment's view is before it. meta.mdb keeps the offset alone; the rest is found again.
 */
#ifndef STORE_START_H
#define STORE_START_H

#include "partition.h"
#include "scan.h"

/* A segment's file, and what of it may be read. */
struct start_file {
    const struct io *io;
    int fd;
    int64_t base_offset;
    uint64_t limit;
};

/*
 * Find the batch of the file that has the offset, or the first one after it; the walk begins at
 * `from`. Returns 1; 0: there is none below the limit, and the point is that one; where a batch on
 * the way is damaged the point stands before it, so that whoever reads from there meets it.
 * -ENOMEM; errors of reading.
 */
int start_find(struct scan *scan, const struct start_file *file, const struct index_entry *from,
               int64_t offset, struct log_point *ret_point, struct beck_error *error);

/* As segments_lock(), with a log start that is a place in the file which the list speaks of. While
 * compaction exchanges the log's first segment, or where it was killed at that, the tail has the
 * place in the old file still, and this finds the other one. */
int start_lock(struct beck_partition *partition, struct live_tail *ret_tail,
               struct beck_error *error);

#endif

/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What is good in a segment of a store behind damage. The library finds batches by offset, and
 * stops where one is damaged; here the rest of the segment is read batch by batch, from that byte
 * on. With the next segment the library can go on.
 */
#ifndef SOURCE_DAMAGED_SEGMENT_H
#define SOURCE_DAMAGED_SEGMENT_H

#include "beck.h"
#include "segment_file.h"

struct damaged_segment {
    struct segment_file *file; /* NULL: nothing of it is left to be read */
    uint64_t bytes;
    int64_t end_offset; /* where to go on behind it */
    int64_t passed;     /* what is before was read */
};

/* Have what is behind the damage that reading `offset` met, at `byte` of its segment; -1: it is not
 * known, or there is no file. `ret_skipped`: the bytes that are passed over at once. 0; the
 * library's error; or why the file cannot be read, which is no damage. */
int damaged_segment_begin(struct damaged_segment *segment, struct beck_store *store,
                          struct beck_partition *partition, int64_t offset, int64_t byte,
                          uint64_t *ret_skipped, struct beck_error *error);

/* As segment_file_next(); at the end the file is closed: 0. */
int damaged_segment_next(struct damaged_segment *segment, struct segment_step *ret_step,
                         struct beck_error *error);

void damaged_segment_done(struct damaged_segment *segment);

#endif

/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Finding a place in a partition by offset, by position in the file view, or by time: a search of
 * the list of segments, then of one segment's sparse index (the slot's ring, then index.mdb), then
 * a short walk over batches. A damaged index only makes the walk longer.
 *
 * A lookup is made for one tail, and begins with lookup_begin(). The walk may read the disk, so it
 * is under the partition's lookup_mutex and not under the one that appends and syncs need.
 *
 * Segments may be trimmed or replaced while a lookup is under way. It then ends with -EAGAIN, and
 * is to be made again from lookup_begin() on: see segments_stale().
 */
#ifndef STORE_LOOKUP_H
#define STORE_LOOKUP_H

#include "partition.h"
#include "segments.h"

/* What is looked for in the sparse index. */
struct lookup_target {
    enum index_by by;
    int64_t value;
};

/* The end of what a reader of that isolation may see. */
static inline const struct log_point *tail_bound(const struct live_tail *tail,
                                                 enum beck_isolation isolation)
{
    return isolation == BECK_READ_COMMITTED ? &tail->stable : &tail->high;
}

/* How many bytes of a segment's file may be read, when readers see up to `bound`. */
uint64_t segment_limit(const struct segment *segment, const struct log_point *bound);

/* Take lookup_mutex, with a tail and the list of segments that belongs to it. Where that fails, the
 * mutex is not taken. */
int lookup_begin(struct beck_partition *partition, struct live_tail *ret_tail,
                 struct beck_error *error);
void lookup_end(struct beck_partition *partition);

/* The best index entry of a segment to begin a search at. Its own begin is always one. Needs no
 * mutex. */
void lookup_entry(struct beck_partition *partition, const struct segment *segment,
                  const struct live_tail *tail, struct lookup_target target,
                  struct index_entry *ret_entry);

/* The segment that has the record with this offset, or the next one after it, below `bound`; NULL:
 * there is none. A reference. */
struct segment *lookup_segment(struct beck_partition *partition, int64_t offset,
                               const struct log_point *bound);

/*
 * Where the batch begins that has the offset, or the next one after it, below `bound`. Returns 1;
 * 0: there is none yet; then the place is the end of the last segment that was looked at, if there
 * is one. The segment is a reference, also where this fails. Between lookup_begin() and
 * lookup_end().
 */
struct lookup_place {
    struct segment *segment; /* or NULL */
    uint64_t position;
    uint64_t limit; /* of what may be read of the segment */
};
int lookup_batch(struct beck_partition *partition, const struct live_tail *tail,
                 const struct log_point *bound, int64_t offset, struct lookup_place *ret_place,
                 struct beck_error *error);

/* Remember where a batch begins. */
void lookup_hint(struct beck_partition *partition, int64_t offset, const struct segment *segment,
                 uint64_t position);

/* The first record at or after `timestamp_ms`: see beck_offset_for_time(). */
int lookup_time(struct beck_partition *partition, int64_t timestamp_ms,
                enum beck_isolation isolation, int64_t *ret_offset, int64_t *ret_timestamp_ms,
                struct beck_error *error);
/* The largest timestamp in the partition. Returns 1, or 0: no records. */
int lookup_max_timestamp(struct beck_partition *partition, int64_t *ret_timestamp_ms,
                         struct beck_error *error);

#endif

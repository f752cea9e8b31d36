/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The list of segments of an open partition. It belongs to one tail, and is made anew where the
 * tail's `segments_generation` has moved: segments come with rolls, go by trimming, and are
 * replaced by compaction. Who holds a struct segment keeps what he has: a replaced segment gets a
 * new struct, and a descriptor that is pinned can be read on when its file is gone.
 *
 * What comes behind segments_let_go() is called under the partition's `mutex`.
 */
#ifndef STORE_SEGMENTS_H
#define STORE_SEGMENTS_H

#include "partition.h"

/* Take `mutex`, with a tail and the list that belongs to it. Where that fails it is not taken. */
int segments_lock(struct beck_partition *partition, struct live_tail *ret_tail,
                  struct beck_error *error);
void segments_unlock(struct beck_partition *partition);

/*
 * A segment could not be pinned (`code`): the list is from before it was trimmed or replaced, or
 * there is damage. Returns -EAGAIN: take the list anew, and try again; it waits a little, because
 * the catalogue may just be about to say so. When nothing has changed after some times, a file that
 * is missing is -EBADMSG, and one of another size is let through: what is good in it can be read.
 * Not under `mutex`.
 */
int segments_stale(struct beck_partition *partition, struct segment *segment, int code,
                   struct beck_error *error);

/* Take the lists of all open partitions anew where they have changed, so that this process does not
 * keep the room of files that are gone, because it has them open. */
void segments_let_go(struct beck_store *store);

/* Within which generation positions of the view in the present list can be told from each other:
 * the tail's, and where an exchange was seen before the tail said so, one of our own. */
uint64_t segments_view_generation(const struct beck_partition *partition,
                                  const struct live_tail *tail);

/* The segment that holds an offset: the last whose base is not above it; NULL where there is none.
 */
struct segment *segments_at(const struct beck_partition *partition, int64_t offset);
/* The segment with this very base offset, or NULL. */
struct segment *segments_find(const struct beck_partition *partition, int64_t base_offset);
/* The segment after this one, or NULL. */
struct segment *segments_after(const struct beck_partition *partition, int64_t base_offset);
/* The newest segment, that appends go to; added where it is not in the list. */
int segments_active(struct beck_partition *partition, int64_t base_offset,
                    struct segment **ret_segment);
/* Take a segment out of the list, whose file is gone. */
void segments_drop(struct beck_partition *partition, int64_t base_offset);

#endif

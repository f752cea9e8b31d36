/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A bare segment file, batch by batch, by the format layer alone: no store, no index, nothing to
 * trust. Kafka's own segment files are the same bytes. Damage is told with its place, and the walk
 * goes on behind it: at the next batch whose CRC is right.
 *
 * Uses: where a store cannot be opened, and for single files. Belongs to one thread.
 */
#ifndef TOOLS_SEGMENT_FILE_H
#define TOOLS_SEGMENT_FILE_H

#include "batch.h"

#include <stdint.h>

struct segment_file;

/* 0, or a negative errno from opening; -EINVAL: no regular file; -ENOMEM. */
int segment_file_open(const char *path, struct segment_file **ret_file);
struct segment_file *segment_file_close(struct segment_file *file);

/* The file's size when it was opened. */
uint64_t segment_file_bytes(const struct segment_file *file);

/* Which base offsets the batches may have, from `least` up to below `end`: others are damage.
 * Without it, any that rise. */
void segment_file_expect(struct segment_file *file, int64_t least, int64_t end);

/* Go on at `position`, where the caller knows that a batch begins; the offsets before it count no
 * more. */
void segment_file_seek(struct segment_file *file, uint64_t position);

struct segment_step {
    uint64_t position;
    const uint8_t *batch; /* valid until the next step */
    size_t size;
    struct batch_summary summary;
    struct decompressor *decompressor; /* to read the records with */
};

/*
 * The next batch, checked whole: 1. 0: the end. -EBADMSG: what is at `ret_step->position` is no
 * good batch, `ret_step->size` bytes were passed over to come to the next good one, or to the end,
 * and `error` says why; the offset that was expected there is in error->offset. Else a negative
 * errno: the file cannot be read.
 */
int segment_file_next(struct segment_file *file, struct segment_step *ret_step,
                      struct beck_error *error);

/*
 * The next batch's header alone, for who looks for a place or for control batches; the rest of the
 * batch is not read, and nothing but what a header can show is checked. Fills in position, size and
 * summary.header. -EBADMSG: no batch can be there; the walk stays before it.
 */
int segment_file_hop(struct segment_file *file, struct segment_step *ret_step,
                     struct beck_error *error);

#endif

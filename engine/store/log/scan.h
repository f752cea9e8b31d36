/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Walking the batches of a segment file, one after the other, from a known batch boundary to a
 * known end. Reads in blocks that grow while the walk goes on, and checks as deeply as it is told
 * to. The one place that turns bytes of a file into batches: readers, lookups, recovery and
 * verification use it.
 */
#ifndef STORE_SCAN_H
#define STORE_SCAN_H

#include "batch.h"
#include "compression.h"
#include "io.h"

enum scan_depth {
    SCAN_HEADERS, /* the header must make sense; the rest of a batch is not even read */
    SCAN_CRC,     /* the batch is whole and its CRC is right */
    SCAN_RECORDS, /* each record is right, too: fills in the rest of the summary */
};

struct scan {
    const struct io *io;
    int fd;
    enum scan_depth depth;
    uint64_t position; /* of the batch that comes next */
    uint64_t end;      /* of what may be read */

    uint8_t *buffer;
    size_t buffer_bytes;  /* allocated */
    uint64_t block_begin; /* the part of the file that the buffer holds */
    size_t block_bytes;
    size_t next_read_bytes;
    struct decompressor *decompressor; /* made when first needed */
};

/* A zeroed struct is ready for this. The buffer is kept from one walk to the next. */
void scan_begin(struct scan *scan, const struct io *io, int fd, enum scan_depth depth,
                uint64_t position, uint64_t end);
void scan_done(struct scan *scan);

struct scan_batch {
    uint64_t position;
    const uint8_t *bytes; /* until the next call; NULL with SCAN_HEADERS */
    size_t size;
    struct batch_summary summary; /* but for its header, with SCAN_RECORDS only */
};

/*
 * The next batch; on success the walk stands behind it. Returns 1; 0 at the end; -EBADMSG: what
 * stands there is no good batch, or only a part of one: the walk stays before it, and the error
 * says why and at which byte.
 */
int scan_next(struct scan *scan, struct scan_batch *ret_batch, struct beck_error *error);

/* Look for a good batch from a position on, that may begin anywhere and has no offset below
 * `offset`. Returns 1 and where; or 0. Ends the walk: begin anew. */
int scan_find(struct scan *scan, uint64_t from, uint64_t end, int64_t offset,
              uint64_t *ret_position);

struct record_iterator;

/* Stand before the records of a batch, which is one of the walk's; they are valid as long as it is.
 * -EBADMSG: they cannot be decompressed. -ENOMEM. */
int scan_records(struct scan *scan, const struct scan_batch *batch,
                 struct record_iterator *ret_iterator, struct beck_error *error);

/* The decompressor, for who does that otherwise. -ENOMEM. */
int scan_decompressor(struct scan *scan, struct decompressor **ret_decompressor);

#endif

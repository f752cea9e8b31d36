/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Batches as they are in a log, made for copying: records with the offsets and timestamps that they
 * had, whatever these are, where beck_batch_builder gives new ones; batches that stand for offsets
 * without records; and batches without the traces of their producers. Belongs to one thread.
 */
#ifndef TOOLS_LOG_BATCH_H
#define TOOLS_LOG_BATCH_H

#include "batch.h"

struct compressor;

struct log_batch {
    struct compressor *compressor; /* NULL: none */
    enum beck_compression compression;
    uint8_t *buffer; /* the header's place, then the records */
    size_t used;
    size_t capacity;
    struct batch_header header;
};

/* -EPROTONOSUPPORT: no such compression. -ENOMEM. */
int log_batch_init(struct log_batch *batch, enum beck_compression compression);
void log_batch_done(struct log_batch *batch);

/*
 * Add a record at record->offset and record->timestamp_ms. -EMSGSIZE: this batch is full, or the
 * record cannot be in one with those that it has: finish it, and begin a new one. A record alone is
 * taken whatever its size. -EINVAL: its offset does not rise. -ENOMEM.
 */
int log_batch_add(struct log_batch *batch, const struct beck_record *record);

static inline bool log_batch_is_empty(const struct log_batch *batch)
{
    return batch->header.record_count == 0;
}

/* The finished batch, valid until the next call; it begins anew with the next log_batch_add().
 * -ENOMEM; -EMSGSIZE: above BECK_BATCH_BYTES_LIMIT. */
int log_batch_finish(struct log_batch *batch, const uint8_t **ret_bytes, size_t *ret_size);

/* Write a batch without records, of BATCH_HEADER_BYTES, that stands for the offsets from `begin` up
 * to `end`, or as many of them as it can. Returns the offset behind it. */
int64_t log_batch_fill(uint8_t *to, int64_t begin, int64_t end);

/* Clear producer and transaction out of a whole batch, in place, and give it a base offset and
 * leader epoch. `header` is its header, and is changed too. */
void log_batch_make_plain(uint8_t *batch, struct batch_header *header, int64_t base_offset,
                          int32_t leader_epoch);

#endif

/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The history of a partition's leader epochs: at which offset each began. An epoch begins where
 * recovery cannot show that nothing was lost, at an offset that was never given out, so records
 * between the end of one and the begin of the next never were, or are lost (KIP-101, KIP-320).
 *
 * In meta.mdb. Epoch 0 begins at 0 and has no record. Epochs that have no offsets at or above the
 * log start, and the oldest of more than EPOCHS_MAX, are forgotten.
 */
#ifndef STORE_EPOCHS_H
#define STORE_EPOCHS_H

#include "meta.h"

struct beck_partition;

#define EPOCHS_MAX 1000 /* of one partition */

/* Begin an epoch. */
int epochs_put(struct db *meta, MDB_txn *txn, uint32_t topic_number, uint32_t partition,
               uint32_t epoch, int64_t start_offset, int64_t log_start_offset);

/* Call `visit` with each epoch of a partition, rising, until it returns non-zero. -EBADMSG. */
int epochs_walk(struct db *meta, MDB_txn *txn, uint32_t topic_number, uint32_t partition,
                int (*visit)(void *context, uint32_t epoch, int64_t start_offset), void *context);

/* Which epoch batches are of, to hold their headers against, as no CRC covers what these say. */
struct epoch_history {
    struct epoch_begin {
        uint32_t epoch;
        int64_t start_offset;
    } * begins; /* rising */
    size_t count;
    uint32_t newest; /* the partition's leader epoch */
};

/* 0; -ENOENT: the partition has no record. -EBADMSG: there is no believing it. */
int epoch_history_load(struct epoch_history *history, struct db *meta, MDB_txn *txn,
                       uint32_t topic_number, uint32_t partition);
void epoch_history_done(struct epoch_history *history);
/* The epoch of the batch at an offset; -1: nobody knows, as that epoch was forgotten, or the store
 * kept no history then. */
int64_t epoch_history_at(const struct epoch_history *history, int64_t offset);
/* Can the batch at an offset be of that epoch? */
bool epoch_history_allows(const struct epoch_history *history, int64_t offset, int32_t epoch);

/* See beck_partition_epoch_end(). */
int partition_epoch_end(struct beck_partition *partition, int32_t epoch, int32_t *ret_epoch,
                        int64_t *ret_end_offset, struct beck_error *error);

#endif

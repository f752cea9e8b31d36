/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The state of a partition's idempotent producers: what this process knows of it, what index.mdb
 * keeps of it, and how both follow the log.
 *
 * index.mdb has the state as of some offset, at or before the checkpoint, with no producer's batch
 * between the two. A process that appends for producers loads it once, and goes on from there by
 * the headers of what others appended, so that all that was published is in its table when it
 * checks a batch under the slot's lock.
 */
#ifndef STORE_PRODUCERS_H
#define STORE_PRODUCERS_H

#include "producer_table.h"
#include "scan.h"
#include "store.h"

/* What a process knows of one partition's producers. All under `mutex`, which is taken before the
 * slot's append_mutex. */
struct producers {
    pthread_mutex_t mutex;
    struct producer_table table;
    struct log_point at; /* the table has all that is before it */
    bool is_loaded;
    bool
        is_damaged; /* index.mdb was: the table lacks what is behind `at`, whatever the tail says */
    struct scan scan;
};

void producers_init(struct producers *producers);
void producers_done(struct producers *producers);

/* As partition_lock(), with the table up to the slot's tail. -ENOMEM; errors of the disk. */
int producers_lock(struct beck_partition *partition, struct beck_error *error);
void producers_unlock(struct beck_partition *partition);
/* May the batch be appended? As producer_check(). When it returns 0 there is room for what
 * producers_appended() adds. Under the lock. */
int producers_check(struct beck_partition *partition, const struct batch_header *header,
                    int64_t now_ms, struct producer_batch *ret_duplicate, struct beck_error *error);
/* It was appended with its header as it is now, and `end` is the log's end. */
void producers_appended(struct beck_partition *partition, const struct batch_header *header,
                        int64_t now_ms, const struct log_point *end);

/* As beck_partition_producers(). */
int producers_list(struct beck_partition *partition, struct beck_producer *list, uint32_t room,
                   uint32_t *ret_count, struct beck_error *error);

/* ---- checkpoints --------------------------------------------------------------------------- */

/* Collect what index.mdb lacks up to a tail that was synced. Under the maintenance lock. */
int producers_collect(struct beck_partition *partition, const struct live_tail *tail,
                      struct producer_table *table, struct beck_error *error);
/* Put what was collected: it goes up to `offset`. */
int producers_put(struct db *index, MDB_txn *txn, uint32_t topic_number, uint32_t partition,
                  const struct producer_table *table, int64_t offset);

/* Look at one pair of the database. Returns 1 and the producer; 0: it says how far all go. */
int producers_unpack(const MDB_val *key, const MDB_val *value, struct producer *ret_producer);
/* Remove one of a partition's. */
int producers_delete(struct db *index, MDB_txn *txn, uint32_t topic_number, uint32_t partition,
                     int64_t id);

/* Call `visit` with each producer that index.mdb has for a partition, until it returns non-zero.
 * Tells up to which offset they are known. -ENOENT: nothing is. -EBADMSG: a value is damaged. */
int producers_walk(struct db *index, MDB_txn *txn, uint32_t topic_number, uint32_t partition,
                   int (*visit)(void *context, const struct producer *producer), void *context,
                   int64_t *ret_offset);

#endif

/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What index.mdb knows of compaction: up to where a partition's log is clean, and the exchange of
 * segments that is under way. An exchange is there from the commit that puts the new segment into
 * the catalogue until the files in the folder are those that the catalogue says; who finds one
 * carries it out (exchange.h). Functions work inside a transaction of the caller's.
 */
#ifndef STORE_CLEANINGS_H
#define STORE_CLEANINGS_H

#include "index.h"

/* Segments that are merged into one, at most. */
#define CLEANING_SOURCES_MAX 1024

/* An exchange: the sources' files go, and the first one's name is then that of the new file, whose
 * name so far ends in ".cleaned". */
struct cleaning_intent {
    int64_t next_offset; /* of the last source */
    uint64_t bytes;      /* of the new file; 0: there is none, as nothing was left */
    uint8_t digest[16];
    uint32_t source_count;
    int64_t sources[CLEANING_SOURCES_MAX]; /* base offsets, rising */
};

int cleanings_put(struct db *index, MDB_txn *txn, uint32_t topic_number, uint32_t partition,
                  const struct cleaning_intent *intent);
/* -ENOENT: none is under way. */
int cleanings_get(struct db *index, MDB_txn *txn, uint32_t topic_number, uint32_t partition,
                  struct cleaning_intent *ret_intent);
int cleanings_delete(struct db *index, MDB_txn *txn, uint32_t topic_number, uint32_t partition);
/* The next partition behind these two with one that is under way; 0 and 0 to begin. -ENOENT: there
 * is none. */
int cleanings_next(struct db *index, MDB_txn *txn, uint32_t *topic_number, uint32_t *partition);

/* The offset up to which the log is clean. -ENOENT: it was never cleaned. */
int cleaned_get(struct db *index, MDB_txn *txn, uint32_t topic_number, uint32_t partition,
                int64_t *ret_offset);
int cleaned_put(struct db *index, MDB_txn *txn, uint32_t topic_number, uint32_t partition,
                int64_t offset);

#endif

/* SPDX-License-Identifier: Apache-2.0 */
/*
 * index.mdb: what can be found again by reading the segments, kept so that nobody has to. The
 * segment catalogue, the sparse index and the checkpoints. Functions work inside a transaction of
 * the caller's; FORMAT.md has the bytes.
 *
 * The sparse index of a segment is cut into chunks, numbered from 0, so that a lookup is a binary
 * search over chunks and then inside one, by whichever of its columns: all of them rise together.
 */
#ifndef STORE_INDEX_H
#define STORE_INDEX_H

#include "db.h"
#include "live.h"

#include <stdbool.h>

#define INDEX_INTERVAL_BYTES (64 * 1024) /* of a segment between two entries, at least */
#define INDEX_CHUNK_ENTRIES  256

enum index_database {
    INDEX_STATE,       /* "state" -> was the store closed cleanly? */
    INDEX_CHECKPOINTS, /* topic number, partition -> index_checkpoint */
    INDEX_SEGMENTS,    /* topic number, partition, base offset -> segment_record, of rolled ones */
    INDEX_ENTRIES,     /* topic number, partition, base offset, chunk -> index entries */
    INDEX_PRODUCERS,   /* topic number, partition -> how far it goes; and producer id -> state */
    INDEX_CLEANINGS,   /* topic number, partition -> cleaning_intent; see cleanings.h */
    INDEX_CLEANED,     /* topic number, partition -> offset up to which the log is compacted */
    INDEX_DATABASES,
    INDEX_REQUIRED = INDEX_ENTRIES + 1, /* a store may lack the ones from here on */
};

extern const struct db_layout index_layout;

/* A point up to which all was synced, and what recovery has to know to go on from it. */
struct index_checkpoint {
    struct log_point end;
    int64_t records_end;      /* offset after the last record: below end's after a jump */
    int64_t max_timestamp_ms; /* in the segment so far */
    int64_t append_ms;
    int64_t reserved_offset; /* after power loss the next offset is at least this */
};

/* A segment that is complete. */
struct segment_record {
    int64_t base_offset;
    int64_t next_offset;
    uint64_t bytes;
    uint64_t view_bytes;
    int64_t max_timestamp_ms;
    bool has_digest;
    uint8_t digest[16]; /* XXH3-128 of the file, canonical (big-endian) */
};

/* What a slot says of a segment that waits for its place in the catalogue. */
static inline struct segment_record segment_record_of(const struct live_rolled *rolled)
{
    return (struct segment_record){
        .base_offset = rolled->base_offset,
        .next_offset = rolled->next_offset,
        .bytes = rolled->bytes,
        .view_bytes = rolled->view_bytes,
        .max_timestamp_ms = rolled->max_timestamp_ms,
    };
}

int index_clean_get(struct db *index, MDB_txn *txn, bool *ret_clean);
int index_clean_put(struct db *index, MDB_txn *txn, bool clean);

/* One that was found as a pair. -EBADMSG, -EPROTONOSUPPORT. */
int index_checkpoint_read(const void *key, size_t key_size, const void *value, size_t size,
                          struct index_checkpoint *ret_checkpoint);
int index_checkpoint_get(struct db *index, MDB_txn *txn, uint32_t topic_number, uint32_t partition,
                         struct index_checkpoint *ret_checkpoint);
int index_checkpoint_put(struct db *index, MDB_txn *txn, uint32_t topic_number, uint32_t partition,
                         const struct index_checkpoint *checkpoint);

int index_segment_put(struct db *index, MDB_txn *txn, uint32_t topic_number, uint32_t partition,
                      const struct segment_record *segment);
/* -ENOENT; -EBADMSG. */
int index_segment_get(struct db *index, MDB_txn *txn, uint32_t topic_number, uint32_t partition,
                      int64_t base_offset, struct segment_record *ret_segment);
/* Call `visit` with each segment in order, until it returns non-zero. -EBADMSG: one is damaged. */
int index_segments(struct db *index, MDB_txn *txn, uint32_t topic_number, uint32_t partition,
                   int (*visit)(void *context, const struct segment_record *segment),
                   void *context);

/* Add entries behind those that the segment has; ones not above its last are passed over. */
int index_entries_add(struct db *index, MDB_txn *txn, uint32_t topic_number, uint32_t partition,
                      int64_t segment, const struct index_entry *entries, uint32_t count);

enum index_by {
    INDEX_BY_OFFSET,   /* the last entry at or below an offset */
    INDEX_BY_POSITION, /* ... at or below a position in the file */
    INDEX_BY_VIEW,     /* ... at or below a position in the view */
    INDEX_BY_TIME,     /* the last entry before which all timestamps are smaller */
};

/* Does a search for `target` begin at this entry or behind it? */
bool index_entry_precedes(const struct index_entry *entry, enum index_by by, int64_t target);

/* Find the last such entry of a segment. Returns 1 or 0. -EBADMSG: damaged. */
int index_entry_find(struct db *index, MDB_txn *txn, uint32_t topic_number, uint32_t partition,
                     int64_t segment, enum index_by by, int64_t target,
                     struct index_entry *ret_entry);

/* Call `visit` with each entry of a segment in order, until it returns non-zero. */
int index_entries(struct db *index, MDB_txn *txn, uint32_t topic_number, uint32_t partition,
                  int64_t segment, int (*visit)(void *context, const struct index_entry *entry),
                  void *context);

/* Take a segment and its entries out. */
int index_segment_delete(struct db *index, MDB_txn *txn, uint32_t topic_number, uint32_t partition,
                         int64_t base_offset);

/* Copy all of a partition into another file, that has nothing of it, as it is; but what is under
 * way (`cleanings`). */
int index_copy(struct db *from, MDB_txn *from_txn, struct db *to, MDB_txn *to_txn,
               uint32_t topic_number, uint32_t partition);

/* Forget all of a partition; its segments below a base offset; the entries of a segment. */
int index_forget(struct db *index, MDB_txn *txn, uint32_t topic_number, uint32_t partition);
int index_forget_below(struct db *index, MDB_txn *txn, uint32_t topic_number, uint32_t partition,
                       int64_t base_offset);
int index_forget_entries(struct db *index, MDB_txn *txn, uint32_t topic_number, uint32_t partition,
                         int64_t segment);

#endif

/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Comparing everything that a store holds with everything else. See beck_verify_new(). What there
 * is to read is listed once, segment by segment, and any number of threads take from the list:
 * verify.c. Reading one segment: verify_segment.c. The records in LMDB: verify_records.c.
 */
#ifndef STORE_VERIFY_H
#define STORE_VERIFY_H

#include "epochs.h"
#include "partition.h"

#include <xxhash.h>

/* A segment to be read. */
struct verify_item {
    size_t topic; /* index into the list of topics */
    int32_t partition;
    int64_t segment;
};

/* The last batch of a producer, as index.mdb has it. */
struct verify_sent {
    int64_t base_offset;
    int64_t producer_id;
    int32_t base_sequence;
    int32_t last_offset_delta;
    int16_t epoch;
};

struct beck_verify {
    struct beck_store *store;
    struct beck_verify_options options;
    struct beck_topic *topics;
    size_t topic_count;
    size_t topic_room;
    struct verify_item *items;
    size_t item_count;
    size_t item_room;
    uint64_t all_bytes;

    pthread_mutex_t mutex; /* for what follows; held while the caller is called back */
    bool records_are_taken;
    size_t next_item;
    struct beck_verify_totals totals;
    uint64_t told_bytes; /* when progress was told last */
    int damages;
    _Atomic int stop; /* what a callback returned, to end with */
};

/* What one thread works with. */
struct verify_worker {
    struct beck_verify *verify;
    struct beck_store *store;
    struct scan scan;
    XXH3_state_t *hash;
    struct beck_partition *partition;
    struct live_tail tail;
    struct segment *segment; /* referenced */

    /* What index.mdb says of the segment. */
    struct segment_record record; /* where it is_catalogued */
    bool is_catalogued;
    struct index_checkpoint checkpoint; /* where it is in this segment */
    bool has_checkpoint;
    bool has_log_start; /* the log starts in the middle of this segment, and that was not met yet */
    struct index_entry *entries;
    size_t entry_count;
    size_t entry_room;
    size_t entry_next;           /* the first that no batch was held against yet */
    struct epoch_history epochs; /* what meta.mdb says of the partition's leader epochs: */
    bool has_epochs;
    struct verify_sent *sent; /* the producers' last batches that are in the segment, in order */
    size_t sent_count;
    size_t sent_room;
    size_t sent_next; /* as entry_next */

    int damages; /* of this segment so far */
    struct beck_verify_totals totals;
    uint64_t untold_bytes;
};

int verify_new(struct beck_store *store, const struct beck_verify_options *options,
               struct beck_verify **ret_verify, struct beck_error *error);
int verify_run(struct beck_verify *verify, struct beck_error *error);
int verify_result(struct beck_verify *verify, struct beck_verify_totals *ret_totals);
struct beck_verify *verify_free(struct beck_verify *verify);

/* Tell of one damage; of the worker's partition, where it has one. */
void verify_tell(struct verify_worker *worker, const char *file, int64_t offset, int64_t byte,
                 const char *format, ...) __attribute__((format(printf, 5, 6)));
/* So many bytes of segments more were read. */
void verify_progress(struct verify_worker *worker, uint64_t bytes);

/* Take the partition's `mutex`, with its tail and list of segments as they are now. Returns 1; 0:
 * it was deleted, or the list is damaged, which is told where `loud`; -ENOMEM. */
int verify_lock(struct verify_worker *worker, bool loud);
/* Have the segment that the partition has there now. Returns 1; 0: none; -ENOMEM. */
int verify_find(struct verify_worker *worker, int64_t base_offset);

/* Read the worker's segment. Damage is told; what is returned is what prevents reading on. */
int verify_segment(struct verify_worker *worker);

/* What producers sent last to the worker's segment, as index.mdb has it: load it; hold a good batch
 * against it; pass over what is below an offset, for damage; the segment was read to its end. */
int verify_producers_load(struct verify_worker *worker, MDB_txn *txn);
void verify_producers_batch(struct verify_worker *worker, const struct batch_header *header);
void verify_producers_pass(struct verify_worker *worker, int64_t offset);
void verify_producers_end(struct verify_worker *worker);

/* Hold the records of meta.mdb, and what else is in LMDB, against each other. */
int verify_records(struct verify_worker *worker);

/* See beck_database_walk(). */
int verify_walk(const char *path, const char *name, void (*tick)(void *context), void *context,
                struct beck_error *error);

#endif

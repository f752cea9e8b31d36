/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What idempotent producers (KIP-98) last appended to one partition: for each producer id its epoch
 * and its last batches. Says whether a batch is the next one, one that is there already, or
 * neither. Pure: no I/O, no locks.
 *
 * The state is a function of the batches that were applied, in the order of their offsets, wherever
 * one begins: so that processes that read the same log agree. Of more than PRODUCERS_MAX producers
 * those go first that were silent the longest.
 */
#ifndef STORE_PRODUCER_TABLE_H
#define STORE_PRODUCER_TABLE_H

#include "batch.h"

#include <stdbool.h>

#define PRODUCERS_MAX    BECK_PARTITION_PRODUCERS_MAX
#define PRODUCER_BATCHES 5 /* as many as a client may have on their way */

struct producer_batch {
    int64_t base_offset;
    int64_t append_time_ms; /* -1 where the producer's timestamps stay */
    int32_t base_sequence;
    int32_t last_offset_delta;
};

struct producer {
    int64_t id;
    int64_t next_offset; /* after its last batch, or marker of a transaction */
    int64_t seen_ms;     /* when that was appended, or seen by who read it */
    uint32_t older;      /* the table's: neighbours by next_offset */
    uint32_t newer;
    int16_t epoch;
    uint8_t batch_count;                             /* 0 after a marker that began an epoch */
    struct producer_batch batches[PRODUCER_BATCHES]; /* oldest first */
};

/* A zeroed struct is an empty table. */
struct producer_table {
    struct producer *producers;
    uint32_t count;
    uint32_t room;
    uint32_t *slots; /* open addressing: index into producers, plus 1 */
    uint32_t slot_mask;
    uint32_t oldest; /* indices; of an empty table they mean nothing */
    uint32_t newest;
};

void producer_table_done(struct producer_table *table);

/* Make room, so that the next apply finds it. -ENOMEM. */
int producer_table_reserve(struct producer_table *table);
/* NULL where the producer is not known. Valid until the next change. */
struct producer *producer_table_find(const struct producer_table *table, int64_t id);
/* Take the batch of a producer, the newest so far, into the table. -ENOMEM. */
int producer_table_apply(struct producer_table *table, const struct batch_header *header,
                         int64_t now_ms);
/* Add a producer that the table does not have, however many there are. When all are added they are
 * to be put in order. -ENOMEM. */
int producer_table_put(struct producer_table *table, const struct producer *producer);
/* Put the producers in order, and let go of those that are too many. */
void producer_table_order(struct producer_table *table);
/* Remove the ones that were not seen since `before_ms`, the oldest first, up to one that was. */
void producer_table_expire(struct producer_table *table, int64_t before_ms);

/* Continue a producer's state with that of batches behind it. */
void producer_merge(struct producer *producer, const struct producer *newer);

/* The sequence of the last record of a batch. It is 0 that follows the largest. */
int32_t producer_last_sequence(const struct producer_batch *batch);

/*
 * May this batch be appended, by what is known of its producer (NULL: nothing)? Returns 0: yes. 1:
 * it is there already, and which one it is. -EILSEQ, -EKEYEXPIRED: see beck_append().
 */
int producer_check(const struct producer *producer, const struct batch_header *header,
                   struct producer_batch *ret_duplicate, struct beck_error *error);

#endif

/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What compaction keeps of a log: Kafka's rules (Cleaner), batch by batch. Two walks: one over the
 * part that was not compacted yet, which notes the last offset of each key; then one over all of
 * the log from its begin, which leaves out what a later record of the same key makes obsolete.
 *
 * A record stays where it is behind what the map knows, or is the last of its key and either has a
 * value or is a tombstone that is not due yet; one without a key goes. A batch of which nothing
 * stays goes, but for the last one of a producer that is active, whose sequence it has, and the
 * last one of the part that is cleaned.
 *
 * Pure: where the batches come from and go to is the store's matter.
 */
#ifndef FORMAT_CLEANING_H
#define FORMAT_CLEANING_H

#include "cleaned_transactions.h"
#include "compression.h"
#include "filter.h"
#include "offset_map.h"

/* How far an active producer came. */
struct last_record {
    int64_t producer_id;
    int64_t last_offset; /* of its last batch with records; -1: it has only a marker */
    int16_t epoch;
};

/* One walk from the log's begin. The caller fills in all but what is for the batch at hand. */
struct cleaning {
    const struct offset_map *map;
    int64_t map_end;   /* after the last offset that the map knows of */
    int64_t round_end; /* after the last offset that may be cleaned */
    int64_t now_ms;    /* when cleaning began */
    int64_t delete_retention_ms;
    const struct last_record *producers; /* that are active, rising by id */
    size_t producer_count;
    bool delays_horizons; /* no batch is told this time when its tombstones may go */
    bool keeps_producers; /* which are active is not known: the batches of all stay */
    struct cleaned_transactions transactions;

    bool discard; /* the batch at hand: its records go */
};

/*
 * Note the keys of a batch, whose CRC was checked, from `from_offset` on: not those of a batch that
 * an aborted transaction wrote, and there are none in a control batch. `*map_end` goes up to behind
 * the last offset that the map knows of. Returns 1 where the map is full before the batch's end,
 * else 0. -EBADMSG: the records are malformed.
 */
int cleaning_map(struct offset_map *map, struct cleaned_transactions *transactions,
                 struct decompressor *decompressor, const void *batch, size_t size,
                 int64_t from_offset, int64_t *map_end);

/* Clean a batch, whose CRC was checked. As filter_batch(). */
int cleaning_batch(struct cleaning *cleaning, struct filter *filter, const void *batch, size_t size,
                   struct filtered *ret_filtered, struct beck_error *error);

#endif

/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Writing a batch again without some of its records, as Kafka's cleaner does
 * (MemoryRecords.filterTo): what a consumer and a producer's state see of the batch stays. Base
 * offset, last offset, leader epoch, producer id, epoch and base sequence, codec and kind of
 * timestamps are those that it had; records keep offset, timestamp, key, value and headers.
 *
 * Pure. Which records go is the caller's matter (cleaning.h).
 */
#ifndef FORMAT_FILTER_H
#define FORMAT_FILTER_H

#include "batch.h"
#include "record.h"

#include <stdbool.h>

enum filter_retention {
    FILTER_DELETE,       /* the batch goes, whatever is in it */
    FILTER_DELETE_EMPTY, /* it goes where no record stays */
    FILTER_RETAIN_EMPTY, /* its header stays even then */
};

/* What is asked of one batch. */
struct filter_rules {
    enum filter_retention retention;
    /* Does the record stay? */
    bool (*retain)(void *context, const struct batch_header *header,
                   const struct beck_record *record);
    /* NULL, or told of each record that is asked about next, some before they are. */
    void (*foresee)(void *context, const struct batch_header *header,
                    const struct beck_record *record);
    void *context;
    /* What a batch gets, if it has none yet, that keeps a tombstone, or that is a marker of which
     * `marks_nothing`: when these may go. -1: it gets none this time. */
    int64_t delete_horizon_ms;
    bool marks_nothing;
};

enum filter_outcome {
    FILTER_DROPPED,
    FILTER_UNCHANGED, /* the bytes stay as they are */
    FILTER_REWRITTEN,
};

/* A filtered batch. All but the outcome is undefined where it was dropped. */
struct filtered {
    enum filter_outcome outcome;
    struct batch_header header;
    uint64_t view_bytes;      /* as batch_check() tells them of the batch that stays */
    int64_t max_timestamp_ms; /* likewise */
    /* Of a rewritten one: the header's bytes, and what stands behind them, until the next use. */
    uint8_t header_bytes[BATCH_HEADER_BYTES];
    const void *records;
    size_t records_size;
};

/* Memory that is kept from batch to batch; for one thread at a time. */
struct filter;

int filter_new(struct filter **ret_filter);
struct filter *filter_free(struct filter *filter);

/*
 * Filter the batch of `size` bytes, whose header and CRC were checked. Where the timestamps do not
 * fit behind another base it keeps the one that it has, and gets no horizon. One that could not be
 * written again within BECK_BATCH_BYTES_LIMIT stays unchanged. -EBADMSG: its records are malformed.
 * -ENOMEM.
 */
int filter_batch(struct filter *filter, const void *batch, size_t size,
                 const struct filter_rules *rules, struct filtered *ret_filtered,
                 struct beck_error *error);

/* When a batch's tombstones or marker may go; -1: it was not said yet. */
static inline int64_t filter_delete_horizon(const struct batch_header *header)
{
    return (header->attributes & BATCH_DELETE_HORIZON) != 0 ? header->base_timestamp_ms : -1;
}

#endif

/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Transactions in a partition of a Kafka log directory: which records were aborted, and where the
 * first transaction that is still open begins, the last stable offset.
 *
 * Aborted transactions stand in the .txnindex beside each segment, entries of 34 bytes, big-endian:
 * version (0) u16, producer id i64, first offset i64, last offset i64 (of the marker), last stable
 * offset i64. An open one stands in the .snapshot that a broker writes as it stops: version (1)
 * u16, CRC-32C of what follows u32, count u32, and for each producer 46 bytes: id i64, epoch i16,
 * last sequence i32, last offset i64, offset delta i32, timestamp i64, coordinator epoch i32, first
 * offset of its open transaction i64, or -1.
 *
 * Where such a file cannot be, or there is none, the log itself is asked: all its headers are
 * walked, and markers say what became of each transaction. Belongs to one thread.
 */
#ifndef SOURCE_KAFKA_TXN_H
#define SOURCE_KAFKA_TXN_H

#include "segments.h"

#include <stdbool.h>

enum control_type {
    CONTROL_ABORT = 0,
    CONTROL_COMMIT = 1,
    CONTROL_LEADER_CHANGE = 2,
    CONTROL_SNAPSHOT_HEADER = 3,
    CONTROL_SNAPSHOT_FOOTER = 4,
    CONTROL_KRAFT_VERSION = 5,
    CONTROL_KRAFT_VOTERS = 6,
};

/* The type of a control record, by its key: version i16, type i16; -1: that is none. */
int control_type(const struct beck_record *record);

/* A transaction that was aborted: what this producer wrote from `first` to `last`. */
struct aborted {
    int64_t producer_id;
    int64_t first_offset;
    int64_t last_offset;
};

struct transactions {
    struct aborted *aborted; /* by producer id, then first offset */
    size_t count;
    int64_t stable_offset; /* the end of the log, where no transaction is open */
};

/*
 * Learn about the transactions of a log that ends before `end`. Moves `segments`. A negative errno:
 * a file cannot be read, or memory is short.
 */
int transactions_load(struct segments *segments, int64_t end, struct transactions *transactions,
                      struct beck_error *error);
void transactions_done(struct transactions *transactions);

/* Are these records of a transaction that was aborted? The marker itself is none. */
bool transactions_aborted(const struct transactions *transactions,
                          const struct batch_header *header);

/*
 * The entries of a segment's .txnindex, in their order: their number; 0: there are none, or there
 * is no such file. -EBADMSG: they cannot be.
 */
ssize_t transactions_read_index(const struct segment_entry *segment, struct aborted **ret_entries,
                                struct beck_error *error);

/*
 * The same from the log's own headers and markers: aborted transactions as the markers tell them,
 * in the order of these, and the first offset of the transactions that are open at the end. Passes
 * over damage.
 */
struct transaction_scan;
int transaction_scan_new(struct transaction_scan **ret_scan);
struct transaction_scan *transaction_scan_free(struct transaction_scan *scan);
/* Take a batch, in the log's order. `control` is a control batch's type, else -1. Returns 1 where
 * it ended a transaction by aborting it, and which; 0; -ENOMEM. */
int transaction_scan_take(struct transaction_scan *scan, const struct batch_header *header,
                          int control, struct aborted *ret_aborted);
/* The first offset of an open transaction; `end` where none is open. */
int64_t transaction_scan_stable(const struct transaction_scan *scan, int64_t end);

#endif

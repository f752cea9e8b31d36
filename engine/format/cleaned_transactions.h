/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What cleaning has to know of transactions while it walks a log from its begin: which batches
 * belong to one that was aborted, and which markers end one of which nothing is left (Kafka's
 * CleanedTransactionMetadata). A marker may go only when all of its transaction's batches have.
 */
#ifndef FORMAT_CLEANED_TRANSACTIONS_H
#define FORMAT_CLEANED_TRANSACTIONS_H

#include "batch.h"

#include <stdbool.h>

/* A transaction that was aborted. */
struct aborted_transaction {
    int64_t producer_id;
    int64_t first_offset;
    int64_t last_offset; /* of its marker */
};

enum control_type {
    CONTROL_ABORT = 0,
    CONTROL_COMMIT = 1,
    CONTROL_OTHER = -1, /* no end of a transaction, or none that is known */
};

/* Of a control batch, of which all bytes are there. -ENODATA: it was emptied. */
int control_type_read(const void *batch, size_t size, enum control_type *ret_type);

/* Zero it, with the list, which outlives it. Done with cleaned_transactions_done(). */
struct cleaned_transactions {
    bool is_unknown; /* whether there are any: the list is still to be made */
    const struct aborted_transaction *aborted; /* by first offset */
    size_t aborted_count;
    size_t aborted_next;                 /* the first that was not come to yet */
    struct ongoing_transaction *ongoing; /* that the walk is inside of */
    size_t ongoing_count;
    size_t ongoing_room;
};

/* The same walk, to be gone on with from here once more. -ENOMEM. */
int cleaned_transactions_copy(struct cleaned_transactions *to,
                              const struct cleaned_transactions *from);
void cleaned_transactions_done(struct cleaned_transactions *transactions);

/*
 * The walk comes to this batch. Returns 1 where cleaning may discard it, as far as transactions go:
 * a batch of one that was aborted, or a marker that ends nothing that is left; else 0. -EAGAIN: the
 * batch is of a transaction, or control, and the list is unknown. -ENOMEM.
 */
int cleaned_transactions_visit(struct cleaned_transactions *transactions,
                               const struct batch_header *header, const void *batch, size_t size);

#endif

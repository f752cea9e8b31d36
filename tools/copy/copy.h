/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A partition's batches on their way into another log: what is committed, from the log's start to
 * its end, as they are compressed, but without control batches and aborted ones, and without the
 * traces of producers and transactions, whose state stays behind. Offsets stay as they are: where
 * something is left out there is a hole. Belongs to one thread.
 */
#ifndef TOOLS_COPY_H
#define TOOLS_COPY_H

#include "log_batch.h"
#include "source.h"

struct copy {
    struct source_partition *partition;
    const char *topic; /* for messages */
    bool skip_damaged; /* say it, and go on; else it ends there */
    bool damaged;
    struct source_bounds bounds;
    int64_t passed; /* the offset behind the batch that was read last */
    struct source_records records;
    uint8_t *buffer;
    size_t capacity;
};

/* Like all here that fails: says so and returns an exit code. */
int copy_begin(struct copy *copy, struct source_partition *partition, const char *topic,
               bool skip_damaged);
void copy_done(struct copy *copy);

/* The next batch: 1; 0: the end; a negative exit code. It is the caller's to change, until the next
 * call. */
int copy_next(struct copy *copy, struct batch_header *ret_header, uint8_t **ret_batch);

#endif

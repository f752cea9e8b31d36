/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Records on their way into a topic: a batch is built for each partition that gets some, and
 * appended when it is full or when the sender is flushed. Counts what went where, for the summary.
 *
 * With acks=all, nothing is reported before sender_sync() covered it. Belongs to one thread.
 */
#ifndef TOOLS_SENDER_H
#define TOOLS_SENDER_H

#include "beck.h"

struct sender;

struct sender_options {
    enum beck_acks acks;
    enum beck_compression compression;
};

/* What one partition got. Offsets are -1 before the first append. */
struct sender_lane {
    int64_t first_offset;
    int64_t last_offset;
    uint64_t records;
    uint64_t batches;
};

/* Where a record came from, for errors: "line" and 17. Number 0: the text alone. */
struct sender_origin {
    const char *what;
    uint64_t number;
};

/* Like everything here that fails: says so and returns an exit code. */
int sender_new(struct beck_store *store, const struct beck_topic *topic,
               const struct sender_options *options, struct sender **ret_sender);
struct sender *sender_free(struct sender *sender);

/* The largest value that could fit into a record of this topic (max.message.bytes). */
size_t sender_value_limit(const struct sender *sender);

/*
 * Take one record, copying it. Partition -1: by the key, or round-robin where there is none; which
 * one it was is returned in `ret_partition` (may be NULL).
 */
int sender_add(struct sender *sender, int32_t partition, const struct beck_record *record,
               const struct sender_origin *origin, int32_t *ret_partition);

/* Append what was taken. */
int sender_flush(struct sender *sender);

/* Flush, and with acks=all wait until all of it survives power loss. */
int sender_sync(struct sender *sender);

const struct sender_lane *sender_lane(const struct sender *sender, int32_t partition);

/* Print a line for each partition that got records, in numbers' order, or one that says there were
 * none. Call it after sender_sync(): "synced" says whether that succeeded. */
void sender_print_summary(const struct sender *sender);

#endif

/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Records on their way into a topic, of a store or of a cluster: gathered in batches, which go when
 * they are full or when the sender is flushed. Counts what went where, for the summary.
 *
 * With acks=all, nothing is reported before sender_sync() covered it. Belongs to one thread.
 */
#ifndef TOOLS_SENDER_H
#define TOOLS_SENDER_H

#include "beck.h"
#include "latency.h"
#include "tool.h"

#include <stdbool.h>

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

/* What an implementation does; see the functions below. */
struct sender_ops {
    void (*free)(struct sender *sender);
    int (*add)(struct sender *sender, int32_t partition, const struct beck_record *record,
               const struct sender_origin *origin, int32_t *ret_partition);
    int (*flush)(struct sender *sender);
    int (*sync)(struct sender *sender);
};

/* What each implementation begins with. */
struct sender {
    const struct sender_ops *ops;
    char topic[BECK_TOPIC_NAME_BYTES + 1];
    uint32_t partition_count;
    size_t value_limit; /* the largest value that could fit into a record (max.message.bytes) */
    struct sender_lane *lanes; /* one a partition */
    struct latency *latency;   /* where to count how long records took until acknowledged; NULL */
    bool synced;               /* everything so far survives power loss, as far as can be told */
};

/* Into a topic of a store. Like everything here that fails: says so and returns an exit code. */
int sender_of_store(struct beck_store *store, const struct beck_topic *topic,
                    const struct sender_options *options, struct sender **ret_sender);
/* Into a topic of the cluster that -b named; `tool` outlives it. */
int sender_of_cluster(const struct tool *tool, const char *topic,
                      const struct sender_options *options, struct sender **ret_sender);
/* Into a topic of the cluster that -b named, or else of the store, which `*ret_store` becomes: to
 * be closed when the sender is free, whatever this returns. NULL for a cluster. */
int sender_open(const struct tool *tool, const char *topic, const struct sender_options *options,
                struct beck_store **ret_store, struct sender **ret_sender);
struct sender *sender_free(struct sender *sender);

/* For implementations: take over the topic, and make the lanes. -ENOMEM. */
int sender_init(struct sender *sender, const struct sender_ops *ops, const char *topic,
                uint32_t partition_count);

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

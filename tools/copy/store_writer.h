/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Batches of another log on their way into a topic of the store, with the offsets that they have
 * there, or with new ones. What is missing between offsets that are kept is taken up by batches
 * without records. Nothing is visible before it survives the loss of power. Belongs to one thread.
 */
#ifndef TOOLS_STORE_WRITER_H
#define TOOLS_STORE_WRITER_H

#include "batch.h"
#include "beck.h"

#include <stdbool.h>

struct store_writer_lane {
    struct beck_partition *partition; /* NULL: not opened yet */
    int64_t next_offset;
    int64_t start_offset; /* where the log is to begin once all is there */
    int64_t first_offset; /* of what was written; -1: nothing was */
    int64_t last_offset;
    uint64_t records;
    uint64_t batches;
    uint64_t unsynced_bytes;
};

struct store_writer {
    struct beck_store *store;
    struct beck_topic topic;
    bool keep_offsets;
    bool flush_os;
    struct store_writer_lane *lanes;
};

/* Like all here that fails: says so and returns an exit code. */
int store_writer_init(struct store_writer *writer, struct beck_store *store,
                      const struct beck_topic *topic, bool keep_offsets);
void store_writer_done(struct store_writer *writer);

/* The offset that a partition gives next. */
int store_writer_next_offset(struct store_writer *writer, int32_t partition, int64_t *ret_offset);

/* Append a batch, whose base offset is changed where offsets are new ones. */
int store_writer_put(struct store_writer *writer, int32_t partition, struct batch_header *header,
                     uint8_t *batch);

/* Where offsets are kept: let a partition that has nothing yet begin at `offset`. Before the first
 * batch. */
int store_writer_start_at(struct store_writer *writer, int32_t partition, int64_t offset);

/* Where offsets are kept: let a partition end at `offset`, if it does not go beyond it. */
int store_writer_end_at(struct store_writer *writer, int32_t partition, int64_t offset);

/* Wait until all of it survives the loss of power; then logs begin where they should. */
int store_writer_sync(struct store_writer *writer);

/* Print a line for each partition that got something, or one that says that none did. */
void store_writer_print(const struct store_writer *writer, bool synced);

#endif

/* SPDX-License-Identifier: Apache-2.0 */
/* Appending a batch to a partition: the hot path. See beck_append(), beck_append_at(). */
#ifndef STORE_APPEND_H
#define STORE_APPEND_H

#include "batch.h"
#include "crc32c.h"
#include "partition.h"

int partition_append(struct beck_partition *partition, const void *batch, size_t size,
                     enum beck_acks acks, struct beck_append_result *ret_result,
                     struct beck_error *error);
int partition_append_at(struct beck_partition *partition, const void *batch, size_t size,
                        enum beck_acks acks, struct beck_append_result *ret_result,
                        struct beck_error *error);

/* See beck_append_refusals(). */
int partition_append_refusals(struct beck_partition *partition, const void *bytes, size_t size,
                              struct beck_refusal *list, uint32_t room, uint32_t *ret_count,
                              struct beck_error *error);

/*
 * Begin a new segment without a batch, where the log still ends as `expected` says. Its file comes
 * with the first append. Returns 1, or 0: somebody has appended, or the catalogue cannot keep up.
 */
int partition_roll(struct beck_partition *partition, const struct live_tail *expected,
                   struct beck_error *error);

#endif

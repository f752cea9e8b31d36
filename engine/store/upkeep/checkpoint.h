/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Checkpoints: sync what was appended, then commit positions and index entries of many partitions
 * to index.mdb at once. Recovery begins at them. Done by whoever holds the maintenance lock, in the
 * program's own time. See beck_store_maintain().
 */
#ifndef STORE_CHECKPOINT_H
#define STORE_CHECKPOINT_H

#include "store.h"

/* Is there anything to checkpoint? `*next_ms` is lowered where it is to be asked again soon. */
bool checkpoint_is_due(struct beck_store *store, bool all, uint32_t *next_ms);

/* Under the maintenance lock. `all`: every dirty partition, due or not. */
int checkpoint_run(struct beck_store *store, bool all, struct beck_error *error);

/* One partition, whether or not it is dirty. Under the maintenance lock. */
int checkpoint_partition(struct beck_partition *partition, struct beck_error *error);

#endif

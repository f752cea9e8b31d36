/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What has to be done now and then, and is short: checkpoints first, then what builds on them. Done
 * by whoever comes and finds the maintenance lock (slot 0) free, in the program's own time. What is
 * long, and takes no lock for its length, is clean.h's.
 */
#ifndef STORE_MAINTENANCE_H
#define STORE_MAINTENANCE_H

#include "store.h"

/* See beck_store_maintain(). `all`: whatever there is, due or not, waiting for the lock. */
int maintenance_run(struct beck_store *store, bool all, uint32_t *ret_next_ms,
                    struct beck_error *error);
/* Checkpoint whatever is not, and nothing else: before the store is closed. */
int maintenance_checkpoint(struct beck_store *store, struct beck_error *error);

#endif

/* SPDX-License-Identifier: Apache-2.0 */
/* Carrying out what was found of one partition: on the files, and in index.mdb. */
#ifndef STORE_RECOVER_APPLY_H
#define STORE_RECOVER_APPLY_H

#include "recover_partition.h"

/* Cut the log where it ends: what has to go of the files. */
int recovered_cut(struct beck_store *store, const struct beck_topic *topic, int32_t partition,
                  const struct recovered *found, struct beck_error *error);
/* Make durable what was read: it is in the page cache, and may be nowhere else. */
int recovered_sync(struct beck_store *store, const struct beck_topic *topic, int32_t partition,
                   const struct recovered *found, struct beck_error *error);
/* Put what was found, and a checkpoint at its end, into index.mdb. */
int recovered_put(struct db *index, MDB_txn *txn, const struct beck_topic *topic, int32_t partition,
                  const struct recovered *found);
/* Remove what a trim has left below the log start; what cannot be removed only takes room. */
int recovered_trim(struct beck_store *store, MDB_txn *txn, const struct beck_topic *topic,
                   int32_t partition, const struct recovered *found);

#endif
